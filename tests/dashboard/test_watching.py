"""The table of runs and the page of one run: filter, tags, groups, alerts, curves as one wants them, log."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts import curves
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench.runs.columns import columns
from workbench.runs.labels import labels, tag
from workbench.runs.run import Run
from workbench.workspace import Workspace


def table_of(test: AppTest) -> Any:
    return next(each.value for each in test.dataframe if "State" in each.value)


def figures(test: AppTest) -> dict[str, Any]:
    found = [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]
    return {figure["layout"]["title"]["text"]: figure for figure in found if "title" in figure["layout"]}


def test_a_filter_in_the_link_is_shown_and_a_wrong_one_helps(workspace: Workspace) -> None:
    fake_run(workspace, name="one"), fake_run(workspace, tuning="lora", name="two")
    test = well(open_page("runs", where="tuning = 'lora'"))
    assert [name.partition(" ")[0] for name in table_of(test)["Run"]] == ["two"]
    well(test.text_input(key="list.where").set_value("acuracy > 1").run())
    assert "Did you mean accuracy" in test.error[0].value and len(table_of(test)) == 2
    well(test.text_input(key="list.where").set_value("accuracy > 5").run())
    assert any("No run fits" in info.value for info in test.info)
    assert test.query_params["where"] in ("accuracy > 5", ["accuracy > 5"])


@pytest.mark.parametrize("attack", ["1=1; DROP TABLE runs", "<script>alert(1)</script>", "x" * 5000, "'", "\0"])
def test_a_hostile_filter_in_the_link_harms_nothing(workspace: Workspace, attack: str) -> None:
    fake_run(workspace)
    test = well(open_page("runs", where=attack, sort=attack, group=attack, x=attack, smooth=attack, log=attack))
    assert len(table_of(test)) == 1 and "<script>" not in "".join(error.value for error in test.error)


def test_tags_notes_and_archive(workspace: Workspace) -> None:
    run, _ = fake_run(workspace, name="mine"), fake_run(workspace, name="other")
    test = well(open_page("runs", run=run.id))
    test.text_input(key=f"run.tags.{run.id}").set_value("good, <b>bold</b>")
    test.text_area(key=f"run.note.{run.id}").set_value("kept for the paper")
    test.checkbox(key=f"run.archived.{run.id}").set_value(True)
    well(test.button(key="run.notes.save").click().run())
    assert labels(run).tags == ("good", "<b>bold</b>") and labels(run).archived
    assert len(table_of(well(test.run()))) == 1
    well(test.toggle(key="list.archived").set_value(True).run())
    assert len(table_of(test)) == 2


def test_one_change_to_all_that_is_shown_and_delete_wants_the_number(workspace: Workspace) -> None:
    kept = fake_run(workspace, name="kept")
    for name in ("a", "b"):
        tag(fake_run(workspace, name=name), ["old"])
    test = well(open_page("runs", run=kept.id, where="list_contains(tags, 'old')"))
    assert test.button(key="list.delete").disabled
    test.text_input(key="list.tag").set_value("older")
    well(test.run())
    well(test.button(key="list.tag.add").click().run())
    assert [labels(run).tags for run in Run.all(workspace) if run.id != kept.id] == [("old", "older")] * 2
    well(test.number_input(key="list.delete.count").set_value(2).run())
    well(test.button(key="list.delete").click().run())
    assert [run.id for run in Run.all(workspace)] == [kept.id]


def test_groups_say_how_many_and_their_mean(workspace: Workspace) -> None:
    for seed in range(3):
        fake_run(workspace, seed=seed)
    fake_run(workspace, tuning="lora")
    test = well(open_page("runs", group="tuning"))
    groups = next(each.value for each in test.dataframe if "n" in each.value)
    assert list(groups["tuning"]) == ["lora", "full"] and list(groups["n"]) == [1, 3]
    assert groups["Mean"][1] == pytest.approx(0.794) and groups["95% interval"][0] == ""


def test_the_link_says_how_curves_are_drawn(workspace: Workspace) -> None:
    run = fake_run(workspace)
    test = well(open_page("runs", run=run.id, x="time", smooth="0.9", log="1"))
    loss = figures(test)["Loss"]
    assert loss["layout"]["xaxis"]["title"]["text"] == "Time (s)" and loss["layout"]["yaxis"]["type"] == "log"
    assert len(loss["data"]) == 4  # two metrics, each raw and smoothed
    assert {"Gradient norm", "Tokens per second", "Learning rate"} <= set(figures(test))
    well(test.slider(key="watch.smooth").set_value(0.0).run())
    assert len(figures(test)["Loss"]["data"]) == 2 and "smooth" not in test.query_params
    well(test.slider(key="watch.part").set_value((50.0, 100.0)).run())
    assert test.query_params["part"] in ("50-100", ["50-100"])
    again = figures(well(open_page("runs", run=run.id, part="50-100")))["Loss"]["data"][0]
    assert again == figures(test)["Loss"]["data"][0] | {"x": again["x"]}
    for wrong in ("90-10", "0-101", "x", "1-2-3", "50-50"):
        well(open_page("runs", run=run.id, part=wrong))


def test_an_alert_stands_on_the_page(workspace: Workspace) -> None:
    run = fake_run(workspace)
    assert not well(open_page("runs", run=run.id)).warning
    run.append_metrics({"step": 121, "train/loss": float("nan")})
    test = well(open_page("runs", run=run.id))
    assert "not finite" in test.error[0].value and "What to do" in test.error[0].value


def test_the_log_is_searched(workspace: Workspace) -> None:
    run = fake_run(workspace, log="first line\nsecond **line**\nthird\n")
    test = well(open_page("runs", run=run.id))
    well(test.text_input(key="run.log.find").set_value("LINE").run())
    assert "first line\nsecond **line**" in [code.value for code in test.code] and "2 lines" in text_of(test)


def test_seeds_are_one_line_with_their_number(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=seed, name="same") for seed in range(3)] + [fake_run(workspace, tuning="lora")]
    first, second = curves.overlaid_lines(runs, "train/loss", "step")
    assert "n = 3" in first.label and first.low is not None and second.low is None
    mean = np.mean([columns(run).curve("train/loss")[1] for run in runs[:3]], axis=0)
    np.testing.assert_allclose(first.y, mean)
    singles = curves.overlaid_lines(runs, "train/loss", "step", singles=True)
    assert sum(line.faint for line in singles) == 3
    test = well(open_page("compare", runs=",".join(run.id for run in runs)))
    assert any("n = 3" in trace["name"] for trace in figures(test)["Training loss"]["data"] if trace.get("name"))
    well(test.selectbox(key="compare.together").set_value("each").run())
    assert len(figures(test)["Training loss"]["data"]) == 4
