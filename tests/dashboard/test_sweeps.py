"""The page Sweeps and the section Queue, under AppTest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.pages import open_page, text_of, well
from workbench import jobs
from workbench.jobs.sweep_driver import advance
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.workspace import Workspace

HOSTILE = "x<script>alert(1)</script>"


def chart(test: AppTest, key: str) -> dict[str, Any]:
    """The figure that the page draws under this key."""
    (element,) = [each for each in test.get("plotly_chart") if key in each.proto.id]
    figure: dict[str, Any] = json.loads(element.proto.spec)
    return figure


def history_of(test: AppTest) -> dict[str, Any]:
    """The trials in the picture of the history."""
    points, best = chart(test, "sweep.history")["data"]
    assert best["y"] == [max(points["y"][: index + 1]) for index in range(len(points["y"]))]
    return dict(points)


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.jobs.start_worker.ensure_worker", lambda workspace: False)


def made(workspace: Workspace, trials: int, ended: int, **changes: Any) -> Sweep:
    """A sweep whose first trials have ended, the third one badly."""
    spec = {"name": "reviews", "task": "text-classification", "data": "rotten-tomatoes", "model": "minilm"}
    over = {"training.learning_rate": "1e-5..1e-3:log", "tuning.rank": "4,8,16"}
    document = {"spec": {**spec, "tuning": "lora"}, "over": over, "method": "random", "trials": trials, **changes}
    sweep = Sweep.create(SweepPlan.parse(document), workspace, start=False)
    for number in range(ended):
        while len(sweep.read()["trials"]) <= number:
            advance(sweep)
        for run_id in sweep.read()["trials"][number]["runs"].values():
            run = Run.open(run_id, workspace)
            run.append_metrics({"step": 1, "eval/accuracy": 0.7 + number / 100})
            run.update_status(state="failed" if number == 2 else "succeeded")
        advance(sweep)
    return sweep


def test_an_empty_page_explains_sweeps(workspace: Workspace) -> None:
    test = well(open_page("sweeps"))
    assert "no sweeps yet" in text_of(test) and not [b for b in test.button if b.key == "sweep.start"]


def test_a_sweep_is_begun_from_a_preset(workspace: Workspace) -> None:
    test = well(open_page("sweeps"))
    well(test.selectbox(key="sweep.spec").set_value("preset:demo-lora").run())
    well(test.selectbox(key="sweep.field.1").set_value("tuning.rank").run())
    well(test.text_input(key="sweep.values.1").set_value("4,8").run())
    test.number_input(key="sweep.trials").set_value(6)
    well(test.number_input(key="sweep.seeds").set_value(3).run())
    assert "6 trials, 18 runs" in text_of(test)
    well(test.button(key="sweep.start").click().run())
    plan = Sweep.all(workspace)[0].plan()
    assert (plan.method, plan.trials, plan.seeds, list(plan.over)) == (
        "tpe", 6, [0, 1, 2], ["training.learning_rate", "tuning.rank"],
    )  # fmt: skip
    assert test.query_params["sweep"] == Sweep.all(workspace)[0].name


@pytest.mark.parametrize("values", ["5..1", "4,4", HOSTILE + "..", "["])
def test_invalid_values_block_the_start_and_are_shown(values: str, workspace: Workspace) -> None:
    test = well(open_page("sweeps"))
    well(test.selectbox(key="sweep.spec").set_value("preset:demo-lora").run())
    well(test.text_input(key="sweep.values.0").set_value(values).run())
    assert test.button(key="sweep.start").disabled
    assert "learning" in text_of(test) and not Sweep.all(workspace)


def test_a_sweep_in_full(workspace: Workspace) -> None:
    sweep = made(workspace, 8, 7)
    test = well(open_page("sweeps", sweep=sweep.name))
    text = text_of(test)
    assert "Trial 6" in text and test.metric[0].value == "0.760"
    table = test.dataframe[0].value
    assert list(table["trial"]) == list(range(8)) and "failed" in table["state"][2].lower()
    assert table["tuning.rank"].dtype.kind == "i"
    assert history_of(test)["y"] == pytest.approx([0.7, 0.71, 0.73, 0.74, 0.75, 0.76])  # the third has failed
    importance = chart(test, "sweep.importance")["data"][0]
    assert sorted(importance["y"]) == ["training.learning_rate", "tuning.rank"]
    assert sum(importance["x"]) == pytest.approx(100)
    (lines,) = chart(test, "sweep.parallel")["data"]
    assert lines["type"] == "parcoords" and len(lines["dimensions"]) == 3
    best = sweep.best()
    assert best
    test.button(key="sweep.launch").click().run()
    assert test.title[0].value == "Launch" and not test.exception
    assert test.query_params["from"] == best["runs"]["0"]


def test_from_the_trials_it_is_one_click_to_compare_the_best_of_them(workspace: Workspace) -> None:
    sweep = made(workspace, 3, 2, seeds=2)
    test = well(open_page("sweeps", sweep=sweep.name))
    test.button(key="sweep.compare").click().run()
    first, second = (list(trial["runs"].values()) for trial in sweep.read()["trials"][:2])
    assert test.title[0].value == "Compare" and test.query_params["runs"] == ",".join([*second, *first])


def test_seeds_of_one_run_are_launched_shown_and_compared(workspace: Workspace) -> None:
    test = well(open_page("launch", preset="demo-lora"))
    well(test.number_input(key="launch_seeds").set_value(3).run())
    assert "workbench sweep seeds.yaml" in text_of(test)
    well(test.button(key="launch_submit").click().run())
    (sweep,) = Sweep.all(workspace)
    assert sweep.plan().seeds == [0, 1, 2] and not sweep.plan().over and sweep.read()["confined"]
    assert test.title[0].value == "Sweeps" and test.query_params["sweep"] == sweep.name
    advance(sweep)
    runs = list(sweep.read()["trials"][0]["runs"].values())
    for index, run_id in enumerate(runs):
        run = Run.open(run_id, workspace)
        run.append_metrics({"step": 1, "eval/accuracy": 0.7 + index / 100})
        run.update_status(state="succeeded")
    advance(sweep)
    test = well(open_page("sweeps", sweep=sweep.name))
    assert "0.710" in test.metric[0].value and list(test.dataframe[0].value["seed"]) == [0, 1, 2]
    test.button(key="sweep.compare").click().run()
    assert test.title[0].value == "Compare" and test.query_params["runs"] == ",".join(runs)


def test_stop_and_go_on(workspace: Workspace) -> None:
    sweep = made(workspace, 5, 0)
    advance(sweep)
    test = well(open_page("sweeps", sweep=sweep.name))
    well(test.button(key="sweep.stop").click().run())
    assert sweep.read()["state"] == "stopped" and not jobs.queue(workspace)
    well(test.button(key="sweep.continue").click().run())
    assert sweep.read()["state"] == "running"


def test_a_link_to_a_missing_sweep_shows_a_warning(workspace: Workspace) -> None:
    made(workspace, 2, 0)
    assert any("no longer exists" in warning.value for warning in well(open_page("sweeps", sweep=HOSTILE)).warning)


def test_long_names_and_words_as_values(workspace: Workspace) -> None:
    over = {"tuning.method": "lora,full", "training.group_by_length": "true,false"}
    sweep = made(workspace, 4, 2, name="n" * 60, over=over)
    test = well(open_page("sweeps", sweep=sweep.name))
    assert "Trial 1" in text_of(test) and set(test.dataframe[0].value["training.group_by_length"]) <= {"yes", "no"}


QUEUE = """
from dashboard.parts.runs import queue
from workbench.workspace import Workspace
queue.draw(Workspace.current())
"""


def test_the_queue_is_ordered_paused_and_emptied(workspace: Workspace) -> None:
    made(workspace, 5, 0, seeds=3)
    advance(Sweep.all(workspace)[0])
    ids = [run.id for run in jobs.queue(workspace)]
    test = well(AppTest.from_string(QUEUE, default_timeout=30).run())
    assert len(ids) == 3 and test.button(key=f"queue.first.{ids[0]}").disabled
    well(test.button(key=f"queue.first.{ids[2]}").click().run())
    assert [run.id for run in jobs.queue(workspace)] == [ids[2], ids[0], ids[1]]
    well(test.button(key=f"queue.later.{ids[2]}").click().run())
    assert [run.id for run in jobs.queue(workspace)] == ids[:1] + ids[2:] + ids[1:2]
    well(test.button(key=f"queue.cancel.{ids[0]}").click().run())
    assert [run.id for run in jobs.queue(workspace)] == [ids[2], ids[1]]
    well(test.button(key="queue.pause").click().run())
    assert jobs.is_paused(workspace) and "paused" in text_of(test)
    well(test.button(key="queue.continue").click().run())
    assert not jobs.is_paused(workspace)


def test_an_empty_queue_is_no_section(workspace: Workspace) -> None:
    assert not well(AppTest.from_string(QUEUE, default_timeout=30).run()).button
