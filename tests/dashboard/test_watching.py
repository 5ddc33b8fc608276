"""The table of runs and the page of one run: filter, tags, groups, alerts, curves as one wants them, log."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.parts.runs import run_table
from dashboard.parts.shared import curves
from tests.dashboard.fake_runs import fake_range_test, fake_run
from tests.dashboard.pages import open_page, text_of, unfold, well
from workbench import files
from workbench.files import append_line
from workbench.runs import run as run_files
from workbench.runs.run import Run
from workbench.runs.series import alerts, pyramid
from workbench.runs.series import metric_store as column_files
from workbench.runs.series.metric_store import open_metrics
from workbench.runs.tags import read_tags, tag
from workbench.workspace import Workspace


def table_of(test: AppTest) -> Any:
    return next(each.value for each in test.dataframe if "State" in each.value)


def in_link(test: AppTest, name: str) -> str:
    """A parameter of the page's address; a list of one where the test has put it there."""
    value: Any = test.query_params[name]
    return str(value if isinstance(value, str) else value[0])


def figures(test: AppTest) -> dict[str, Any]:
    charts = [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]
    return {figure["layout"]["title"]["text"]: figure for figure in charts if "title" in figure["layout"]}


def test_a_filter_in_the_link_is_shown_and_a_wrong_one_helps(workspace: Workspace) -> None:
    fake_run(workspace, name="one"), fake_run(workspace, tuning="lora", name="two")
    test = well(open_page("runs", where="tuning = 'lora'"))
    assert [name.partition(" ")[0] for name in table_of(test)["Run"]] == ["two"]
    well(test.text_input(key="list.where").set_value("acuracy > 1").run())
    assert "Did you mean accuracy" in test.error[0].value and len(table_of(test)) == 2
    well(test.text_input(key="list.where").set_value("accuracy > 5").run())
    assert any("No run matches" in info.value for info in test.info)
    assert test.query_params["where"] in ("accuracy > 5", ["accuracy > 5"])


@pytest.mark.parametrize("attack", ["1=1; DROP TABLE runs", "<script>alert(1)</script>", "x" * 5000, "'", "\0"])
def test_a_hostile_filter_in_the_link_harms_nothing(workspace: Workspace, attack: str) -> None:
    fake_run(workspace)
    test = well(
        open_page(
            "runs",
            where=attack,
            sort=attack,
            group=attack,
            value=attack,
            columns=attack,
            tags=attack,
            x=attack,
            smooth=attack,
            log=attack,
        )
    )
    assert len(table_of(test)) == 1 and "<script>" not in "".join(error.value for error in test.error)


def test_the_columns_and_the_metric_of_the_link(workspace: Workspace) -> None:
    for seed in (0, 1):
        fake_run(workspace, seed=seed)
    link = {"columns": "training.learning_rate,Started,no-such,training.seed", "value": "macro_f1", "group": "tuning"}
    test = well(open_page("runs", **link, tags="gone", archived="1"))
    table = next(each.value for each in test.dataframe if "training.seed" in each.value)
    assert list(table) == ["Run", "training.learning_rate", "Started", "training.seed"]
    assert list(table["training.seed"]) == [1, 0]
    groups = next(each.value for each in test.dataframe if "Mean" in each.value)
    assert groups["Mean"][0] == pytest.approx((0.78 + 0.784) / 2)  # of macro_f1, not of accuracy
    assert (
        in_link(test, "columns") == "training.learning_rate,Started,training.seed" and in_link(test, "archived") == "1"
    )
    well(test.multiselect(key="list.columns").set_value([]).run())
    assert list(table_of(test)["Macro f1"]) == pytest.approx([0.784, 0.78]) and "columns" not in test.query_params
    well(test.selectbox(key="list.metric").set_value("seconds").run())
    assert list(table_of(test)["Seconds"]) == [71.5, 71.5] and in_link(test, "value") == "seconds"


def test_filtered_runs_are_compared(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=seed, tuning="lora") for seed in range(3)]
    fake_run(workspace)
    fake_range_test(workspace)
    test = well(open_page("runs", where="tuning = 'lora'", sort="training.seed"))
    assert test.button(key="list.compare").label == "Compare 3 runs"
    test.button(key="list.compare").click().run()
    assert test.title[0].value == "Compare" and in_link(test, "runs") == ",".join(run.id for run in runs)


def test_one_run_has_nothing_to_be_compared_with(workspace: Workspace) -> None:
    fake_run(workspace), fake_run(workspace, "queued")
    assert well(open_page("runs", where="state = 'succeeded'")).button(key="list.compare").disabled


def test_ticks_select_runs_and_a_clicked_cell_opens_one(workspace: Workspace) -> None:
    ids = [fake_run(workspace, seed=seed).id for seed in range(3)][::-1]
    test = well(open_page("runs"))
    test.session_state["list.ticked"] = [ids[0], ids[2], "gone"]
    well(test.run())
    assert test.button(key="list.compare").label == "Compare 2 runs"
    held: dict[str, Any] = {"list.ticked": [ids[0], "hidden"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", held)
        run_table._select({"rows": [1, 2], "cells": []}, ids, "key")
        assert held["list.ticked"] == ["hidden", ids[1], ids[2]] and "list.opened" not in held
        run_table._select({"rows": [1, 2], "cells": [(2, "Run")]}, ids, "key")
        assert held.pop("list.opened") == ids[2]
        run_table._select({"rows": [1], "cells": [(2, "Run")]}, ids, "key")
        assert "list.opened" not in held and held["list.ticked"] == ["hidden", ids[1]]  # the same cell opens nothing


def test_a_single_run_is_compared_with_the_newest_of_its_task(workspace: Workspace) -> None:
    first, second = fake_run(workspace), fake_run(workspace, tuning="lora")
    fake_run(workspace, "failed"), fake_range_test(workspace)
    test = well(open_page("run", id=first.id))
    test.button(key="run.compare").click().run()
    assert in_link(test, "runs") == f"{first.id},{second.id}"


def test_tags_notes_and_archive(workspace: Workspace) -> None:
    run, _ = fake_run(workspace, name="mine"), fake_run(workspace, name="other")
    test = well(open_page("run", id=run.id))
    test.text_input(key=f"run.tags.{run.id}").set_value("good, <b>bold</b>")
    test.text_area(key=f"run.note.{run.id}").set_value("kept for the paper")
    test.checkbox(key=f"run.archived.{run.id}").set_value(True)
    well(test.button(key="run.notes.save").click().run())
    assert read_tags(run).tags == ("good", "<b>bold</b>") and read_tags(run).archived
    test = well(open_page("runs"))
    assert len(table_of(test)) == 1
    well(test.toggle(key="list.archived").set_value(True).run())
    assert len(table_of(test)) == 2


def test_one_change_to_all_that_is_shown_and_delete_wants_the_number(workspace: Workspace) -> None:
    other = fake_run(workspace, name="kept")
    for name in ("a", "b"):
        tag(fake_run(workspace, name=name), ["old"])
    test = well(open_page("runs", where="list_contains(tags, 'old')"))
    assert test.button(key="list.delete").disabled
    test.text_input(key="list.tag").set_value("older")
    well(test.run())
    well(test.button(key="list.tag.add").click().run())
    assert [read_tags(run).tags for run in Run.all(workspace) if run.id != other.id] == [("old", "older")] * 2
    well(test.number_input(key="list.delete.count").set_value(2).run())
    well(test.button(key="list.delete").click().run())
    assert [run.id for run in Run.all(workspace)] == [other.id]


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
    test = well(open_page("run", id=run.id, x="time", smooth="0.9", log="1"))
    loss = figures(test)["Loss"]
    assert loss["layout"]["xaxis"]["title"]["text"] == "Time (s)" and loss["layout"]["yaxis"]["type"] == "log"
    assert len(loss["data"]) == 4  # two metrics, each raw and smoothed
    assert {"Gradient norm", "Tokens per second", "Learning rate"} <= set(figures(test))
    well(test.slider(key="watch.smooth").set_value(0.0).run())
    assert len(figures(test)["Loss"]["data"]) == 2 and "smooth" not in test.query_params
    well(test.slider(key="watch.range").set_value((50.0, 100.0)).run())
    assert test.query_params["range"] in ("50-100", ["50-100"])
    again = figures(well(open_page("run", id=run.id, range="50-100")))["Loss"]["data"][0]
    assert again == figures(test)["Loss"]["data"][0] | {"x": again["x"]}
    for wrong in ("90-10", "0-101", "x", "1-2-3", "50-50"):
        well(open_page("run", id=run.id, range=wrong))


def test_an_alert_is_shown(workspace: Workspace) -> None:
    run = fake_run(workspace)
    assert not well(open_page("run", id=run.id)).warning
    run.append_metrics({"step": 121, "train/loss": float("nan")})
    test = well(open_page("run", id=run.id))
    assert "not finite" in test.error[0].value and "What to do" in test.error[0].value


def test_the_use_of_the_machine_is_drawn(workspace: Workspace) -> None:
    run = fake_run(workspace)
    for second in range(2, 42, 2):
        row = {"time": float(second), "cpu_percent": 98.5, "memory_bytes": 1.5e9}
        append_line(run.usage_file, row | {"gpu_percent": 2.0 * second, "gpu_memory_bytes": 40e9})
    test = well(open_page("run", id=run.id))
    assert "Memory (GB)" not in figures(test)
    drawn = figures(well(unfold(test, "run.usage")))
    assert {"Processor (% of one core)", "Memory (GB)", "GPU (%)", "GPU memory (GB)"} <= set(drawn)
    assert any(box.label == "Machine: 98% of one core, 1.5 GB of memory" for box in test.expander)


def test_the_result_is_a_table_of_numbers(workspace: Workspace) -> None:
    """As numbers they stand at the right, under each other."""
    test = well(open_page("run", id=fake_run(workspace).id))
    table = next(each.value for each in test.dataframe if "baseline" in each.value)
    first = table.iloc[0]
    assert [first[name] for name in ("value", "low", "high", "baseline")] == pytest.approx([0.79, 0.765, 0.814, 0.52])


def test_the_log_is_searched(workspace: Workspace) -> None:
    run = fake_run(workspace, log="first line\nsecond **line**\nthird\n")
    test = well(unfold(open_page("run", id=run.id), "run.log"))
    well(test.text_input(key="run.log.find").set_value("LINE").run())
    assert "first line\nsecond **line**" in [code.value for code in test.code] and "2 lines" in text_of(test)


def test_seeds_are_one_line_with_their_number(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=seed, name="same") for seed in range(3)] + [fake_run(workspace, tuning="lora")]
    first, second = curves.overlaid_lines(runs, "train/loss", curves.Style())
    assert "n = 3" in first.label and first.low is not None and second.low is None
    mean = np.mean([open_metrics(run).curve("train/loss")[1] for run in runs[:3]], axis=0)
    np.testing.assert_allclose(first.y, mean)
    singles = curves.overlaid_lines(runs, "train/loss", curves.Style(), curves.Averaging(singles=True))
    assert sum(line.faint for line in singles) == 3
    test = well(open_page("compare", runs=",".join(run.id for run in runs)))
    assert any("n = 3" in trace["name"] for trace in figures(test)["Training loss"]["data"] if trace.get("name"))
    well(test.selectbox(key="compare.together").set_value("each").run())
    assert len(figures(test)["Training loss"]["data"]) == 4


# -- what a look costs ---------------------------------------------------------------------------------------------


class Counted:
    """A stored array that counts how many of its values are taken out; cutting a part of it takes nothing."""

    taken = 0

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice | str):
            return Counted(self.array[index])
        Counted.taken += np.size(index)
        return self.array[index]

    def __array__(self, *_: Any, **__: Any) -> Any:
        Counted.taken += len(self.array)
        return np.array(self.array)


def long_run(workspace: Workspace, lines: int) -> Run:
    """A run at work that has written so much of everything."""
    run = fake_run(workspace, "running", steps=2)  # of which no line is written yet
    with open(run.metrics_file, "w") as file:
        for step in range(lines):
            row = {"step": step, "epoch": step / 1e4, "time": step / 7, "tokens": 9 * step, "train/loss": step % 97}
            file.write(json.dumps(row | ({"eval/loss": 9.5, "eval/accuracy": 0.5} if step % 10 == 0 else {})) + "\n")
    with open(run.usage_file, "w") as file:
        file.writelines(f'{{"time": {second}.0, "memory_bytes": {second % 91}}}\n' for second in range(lines))
    with open(run.samples_file, "w") as file:
        file.writelines(f'{{"step": {step}, "prompt": "a", "text": "a b"}}\n' for step in range(lines))
    with open(run.confusion_file, "w") as file:
        file.writelines(f'{{"step": {step}, "labels": ["a"], "counts": [[{step}]]}}\n' for step in range(lines))
    return run


@pytest.mark.parametrize("smoothing", ["", "0.9"])
def test_redrawing_costs_the_same_for_long_and_short_runs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, smoothing: str
) -> None:
    """Of 16 times as many lines no more values are taken out of the columns, and no more bytes are read as JSON."""
    parsed = 0

    def counting(read: Any) -> Any:
        def parse(content: bytes) -> Any:
            nonlocal parsed
            parsed += len(content)
            return read(content)

        return parse

    opened = column_files._open
    monkeypatch.setattr(column_files, "_open", lambda *args: Counted(opened(*args)))
    monkeypatch.setattr(column_files, "_parse", counting(column_files._parse))
    monkeypatch.setattr(files, "_rows", counting(files._rows))
    monkeypatch.setattr(column_files, "MAX_UNINDEXED_BYTES", 0)
    monkeypatch.setattr(pyramid, "MAX_SEGMENTS", 64)
    monkeypatch.setattr(alerts, "MAX_POINTS", 300)
    monkeypatch.setattr(run_files, "TAIL_BYTES", 4000)
    costs = []
    for lines in (2000, 32_000):
        run = long_run(workspace, lines)
        test = well(unfold(open_page("run", id=run.id, range="10-100", smooth=smoothing), "run.usage"))
        run.append_metrics({"step": lines, "epoch": 1.0, "time": 1e6, "tokens": 1, "train/loss": 1.0})
        Counted.taken = parsed = 0
        well(test.run())
        assert {"Loss", "Validation accuracy", "Memory (GB)"} <= set(figures(test)) and "Generated text" in text_of(
            test
        )
        costs.append((Counted.taken, parsed))
    (short, short_bytes), (long, long_bytes) = costs
    assert 0 < long < 1.3 * short and long_bytes < 1.3 * short_bytes, costs


def test_the_confusion_of_an_earlier_evaluation_is_shown(workspace: Workspace) -> None:
    run = fake_run(workspace, "running", labels=["a", "b"])
    assert "What is taken for what" not in text_of(well(open_page("run", id=run.id)))
    run.append_confusion(20, ["a", "b"], [[3, 1], [2, 4]])
    run.append_confusion(40, ["a", "b"], [[4, 0], [0, 6]])
    with open(run.confusion_file, "a") as file:
        file.write('{"step": 60, "labels": ["a"], "counts": [[1, 2]]}\n{"step": 60, "lab')  # damaged, and half

    def counts(test: AppTest) -> Any:
        charts = [json.loads(chart.proto.spec) for chart in test.get("plotly_chart")]
        written = next(f["data"][0]["text"] for f in charts if f["data"][0]["type"] == "heatmap")
        return np.frombuffer(base64.b64decode(written["bdata"]), written["dtype"]).reshape(2, 2).tolist()

    test = well(open_page("run", id=run.id))
    assert counts(test) == [[4, 0], [0, 6]] and "evaluation" not in test.query_params
    well(test.selectbox(key="watch.evaluation").set_value(20).run())
    assert counts(test) == [[3, 1], [2, 4]] and test.query_params["evaluation"] in ("20", ["20"])
    run.append_confusion(80, ["a", "b"], [[4, 0], [1, 5]])
    assert counts(well(test.run())) == [[3, 1], [2, 4]]  # the choice stays when another evaluation comes
    assert counts(well(open_page("run", id=run.id, evaluation="20"))) == [[3, 1], [2, 4]]
    for wrong in ("60", "x", "-1", "9" * 500):
        assert counts(well(open_page("run", id=run.id, evaluation=wrong))) == [[4, 0], [1, 5]]
