"""Compare's choice of runs, many of them, what is one curve, and that the link holds the whole view."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboard import state
from dashboard.parts.compare import selection
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench.runs.documents import Report, RunSummary
from workbench.workspace import Workspace


def test_a_single_run_offers_the_most_comparable_runs_first(workspace: Workspace) -> None:
    one, other = fake_run(workspace), fake_run(workspace, seed=1)
    elsewhere = fake_run(workspace, changes={"data.train": "ag-news"})
    unfinished = fake_run(workspace, "failed")
    test = well(open_page("compare", runs=one.id))
    assert "Choose a run to compare it with" in text_of(test)
    offered = test.selectbox(key="compare.with").options
    assert [name.rpartition(", ")[2] for name in offered] == ["same data set", "same task", "not finished"]
    assert other.id[-4:] in offered[0] and elsewhere.id[-4:] in offered[1] and unfinished.id[-4:] in offered[2]
    test = well(test.selectbox(key="compare.with").set_value(other.id).run())
    assert test.query_params["runs"] == f"{one.id},{other.id}" and "Evidence" in text_of(test)


def test_comparability_needs_the_same_rows() -> None:
    report = Report(data_fingerprint="x")
    one = RunSummary(id="1", state="succeeded", task="t", data="d", report=report)

    def comparability(**changes: Any) -> int:
        return selection.comparability(one, one.model_copy(update=changes))

    assert comparability() == 4
    assert comparability(report=Report(data_fingerprint="y")) == 3
    assert comparability(report=None, data="e") == 2
    assert comparability(task="u") == 1
    assert comparability(state="failed") == 0


def test_many_runs_are_a_table_and_not_a_wall(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=i % 3, changes={"training.learning_rate": 1e-5 * (i + 1)}) for i in range(30)]
    test = well(open_page("compare", runs=",".join(run.id for run in runs)))
    assert len(test.multiselect(key="chosen.runs").value) == 30
    assert len(test.info) == 4  # sentences; the rest is in the table
    pairs = next(frame.value for frame in test.dataframe if "verdict" in frame.value.columns)
    assert len(pairs) == 29 and (pairs["low"] <= pairs["high"]).all()
    surest = pairs.sort_values("p", kind="stable")["verdict"].iloc[0]
    assert test.info[0].value.replace("\\", "").startswith(surest[:40])
    figures = next(frame.value for frame in test.dataframe if "seconds" in frame.value.columns)
    assert len(figures) == 30 and figures["accuracy"].dtype == float and figures["trained_parameters"][0] == 22_713_986
    settings = [frame.value for frame in test.dataframe if "training.learning_rate" in frame.value.columns]
    assert len(settings[0]) == 30  # a row a run


def test_curves_are_grouped_by_any_setting(workspace: Workspace) -> None:
    runs = [fake_run(workspace, tuning=tuning, seed=seed) for tuning in ("full", "lora") for seed in (1, 2, 3)]
    query = {"runs": ",".join(run.id for run in runs), "curves": "train/loss"}

    def lines(**more: str) -> list[str]:
        page = well(open_page("compare", **query, **more))
        drawn = [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]
        (curve,) = [one for one in drawn if one["layout"].get("title", {}).get("text") == "Training loss"]
        return [trace["name"] for trace in curve["data"] if trace.get("name") and trace.get("showlegend", True)]

    assert lines(together="tuning.method") == [
        f"method = {method} (mean of n = 3, 95% interval)" for method in ("full", "lora")
    ]
    assert [name[:8] for name in lines(together="training.seed")] == ["seed = 1", "seed = 2", "seed = 3"]
    assert len(lines(together="each")) == 6 and len(lines()) == 2


FULL = {
    "metric": "macro_f1",
    "cost": "trained_parameters",
    "x": "epoch",
    "log": "1",
    "curves": "train/loss",
    "together": "training.seed",
    "singles": "1",
    "smooth": "0.5",
    "only": "0",
}
WIDGETS = {
    "against": ("selectbox", "compare.other"),
    "confused": ("selectbox", "compare.confused"),
    "class": ("selectbox", "compare.class"),
    "slices": ("selectbox", "compare.slice_by"),
    "labels": ("segmented_control", "compare.labels"),
    "which": ("segmented_control", "compare.which"),
}


@pytest.mark.parametrize(
    "part",
    [
        {"which": "second"},
        {"evidence": "confusion"},
        {"evidence": "thresholds", "class": "positive"},
        {"evidence": "slices", "slices": "right label"},
        {"evidence": "labels", "labels": "label-errors"},
    ],
    ids=lambda part: part.get("evidence", "examples"),
)
def test_the_link_holds_the_whole_view(workspace: Workspace, part: dict[str, str]) -> None:
    runs = [fake_run(workspace, seed=seed) for seed in (0, 1, 2)]
    query = FULL | part | {"runs": ",".join(run.id for run in runs), "against": runs[2].id}
    if part.get("evidence") == "confusion":
        query["confused"] = runs[2].id
    test = well(open_page("compare", **query))
    assert {name: test.query_params.get(name) for name in query} == query
    assert test.selectbox(key=state.Compare.METRIC.key).value == "macro_f1"
    assert test.multiselect(key="compare.metrics").value == ["train/loss"]
    assert test.selectbox(key="compare.together").value == "training.seed"
    assert test.slider(key=state.Compare.SMOOTH.key).value == 0.5
    assert test.toggle(key="compare.singles").value and not test.toggle(key="compare.only").value
    assert test.segmented_control(key="compare.evidence").value == part.get("evidence", "examples")
    for name, (kind, key) in WIDGETS.items():
        if name in query:
            assert getattr(test, kind)(key=key).value == query[name], name


def test_a_link_with_unknown_values_shows_the_defaults(workspace: Workspace) -> None:
    runs = [fake_run(workspace, seed=seed) for seed in (0, 1)]
    wrong = dict.fromkeys([*FULL, *WIDGETS, "evidence"], "<b>nothing</b>")
    test = well(open_page("compare", runs=",".join(run.id for run in runs), **wrong))
    assert test.segmented_control(key="compare.evidence").value == "examples"
    assert test.slider(key=state.Compare.SMOOTH.key).value == 0 and test.toggle(key="compare.only").value
    assert len(test.multiselect(key="compare.metrics").value) == 4
