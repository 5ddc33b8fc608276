"""Queries over many runs: lists, curves, and folders that are damaged or deleted meanwhile."""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import MissingPackageError, UnknownNameError
from workbench.files import write_json
from workbench.runs.query import latest_metrics, list_runs, metric_names, read_curves
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def make_run(workspace: Workspace, rows: list[dict[str, Any]] | None = None, **fields: Any) -> Run:
    run = Run.create(RunSpec.parse({"task": "t", "data": "d.csv", "model": "m", **fields}), workspace)
    for row in rows or []:
        run.append_metrics(row)
    return run


def test_runs_are_listed_newest_first_with_their_summaries(workspace: Workspace) -> None:
    runs = [make_run(workspace, name=name) for name in ("zebra", "apple", "mouse")]  # within one second
    write_json(runs[0].folder / "report.json", {"metrics": {}, "primary_metric": "accuracy"})
    runs[1].transition(("queued",), "failed", error={"kind": "Data", "message": "bad", "hint": ""})
    summaries = list_runs(workspace)
    assert [item.title for item in summaries] == ["mouse", "apple", "zebra"]
    assert summaries[2].report.primary_metric == "accuracy"
    assert (summaries[1].state, summaries[1].error.kind) == ("failed", "Data")
    assert {k: getattr(summaries[0], k) for k in ("task", "model", "data", "tuning")} == {
        "task": "t",
        "model": "m",
        "data": "d.csv",
        "tuning": "full",
    }
    assert "spec" not in summaries[0].as_dict()


def test_damaged_folders_are_listed_with_the_reason(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    good, deleted = make_run(workspace), make_run(workspace)
    (workspace.runs / "empty").mkdir()
    (workspace.runs / "torn").mkdir()
    (workspace.runs / "torn" / "status.json").write_text('{"state": "que')
    (workspace.runs / "list").mkdir()
    (workspace.runs / "list" / "status.json").write_text("[]")
    (workspace.runs / "a file").write_text("")
    (good.folder / "spec.yaml").write_text("version: 99")  # not read for a list
    (good.folder / "report.json").write_text("[1]")
    all_runs = Run.all(workspace)
    shutil.rmtree(deleted.folder)  # after it was listed
    monkeypatch.setattr(Run, "all", lambda workspace: all_runs)
    summaries = {item.id: item for item in list_runs(workspace)}
    assert set(summaries) == {good.id, "empty", "torn", "list"}
    assert summaries[good.id].state == "queued" and summaries[good.id].report is None
    for name in ("empty", "torn", "list"):
        assert summaries[name].state == "failed" and name in summaries[name].error.message


def test_a_thousand_folders_are_listed_quickly(workspace: Workspace) -> None:
    run = make_run(workspace)
    write_json(run.report_file, {"metrics": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}})
    for number in range(999):
        shutil.copytree(run.folder, workspace.runs / f"20200101-000000-copy-{number:04d}")
    begin = time.process_time()  # CPU time of this process: other work on the machine does not count
    assert len(list_runs(workspace)) == 1000
    assert time.process_time() - begin < 1.5


def test_curves_over_each_axis(workspace: Workspace) -> None:
    rows = [
        {"step": s, "epoch": s / 2, "time": s * 1.5, "tokens": s * 100, "train/loss": 1 / (s + 1)} for s in range(3)
    ]
    run = make_run(workspace, [*rows, {"step": 2, "epoch": 1, "eval/loss": 0.25}])
    other = make_run(workspace, [{"step": 7, "train/loss": 7.0}])
    empty, missing = make_run(workspace), make_run(workspace)
    (empty.folder / "metrics.jsonl").touch()
    shutil.rmtree(missing.folder)
    runs = [other, run, empty, missing]
    assert metric_names(runs) == ["eval/loss", "train/loss"]
    curves = read_curves(runs)
    assert [(c["run"], c["name"]) for c in curves] == [
        (other.id, "train/loss"),
        (run.id, "eval/loss"),
        (run.id, "train/loss"),
    ]
    assert curves[2]["x"] == [0, 1, 2] and curves[2]["y"] == pytest.approx([1, 1 / 2, 1 / 3])
    assert read_curves([run], ["train/loss"], x="time")[0]["x"] == [0, 1.5, 3]
    assert read_curves([run], ["train/loss"], x="tokens")[0]["x"] == [0, 100, 200]
    assert read_curves([run], ["eval/loss"], x="epoch") == [{"run": run.id, "name": "eval/loss", "x": [1], "y": [0.25]}]
    assert (
        read_curves([run], ["no such"]) == [] and read_curves([run], []) == [] and read_curves([empty, missing]) == []
    )
    assert metric_names([empty, missing]) == []
    with pytest.raises(UnknownNameError, match="steps"):
        read_curves([run], x="steps")


def test_unfinished_lines_and_foreign_rows_are_skipped(workspace: Workspace) -> None:
    run = make_run(workspace, [{"step": 1, "train/loss": 1.0}, {"step": 2, "train/loss": float("nan")}])
    with open(run.metrics_file, "a") as file:
        file.write('[1, 2]\n"text"\nnot json at all\n\n{"step": 3, "train/loss": "high"}\n{"train/loss": 9}\n')
        file.write('{"step": 4, "train/loss": 0.5}\n{"step": 5, "train/lo')
    assert read_curves([run], ["train/loss"]) == [{"run": run.id, "name": "train/loss", "x": [1, 4], "y": [1.0, 0.5]}]


def test_a_resumed_run_has_one_value_for_each_step(workspace: Workspace) -> None:
    first = [{"step": s, "time": s * 10, "train/loss": 5.0} for s in (1, 2, 3)]
    resumed = [{"step": s, "time": s * 10 + 5, "train/loss": 1.0} for s in (2, 3)]
    run = make_run(workspace, [*first, *resumed])
    assert read_curves([run])[0]["y"] == [5, 1, 1]
    assert read_curves([run], x="time")[0] == {"run": run.id, "name": "train/loss", "x": [10, 25, 35], "y": [5, 1, 1]}


@pytest.mark.parametrize(
    "name", ["a/b", "a~b", 'quo"te', "back\\slash", "'; DROP TABLE x; --", "$.x", "*", "好", "a b"]
)
def test_metric_names_are_escaped_in_sql(workspace: Workspace, name: str) -> None:
    run = make_run(workspace, [{"step": 1, name: 2.5, "other": 1}])
    assert read_curves([run], [name]) == [{"run": run.id, "name": name, "x": [1], "y": [2.5]}]
    assert name in metric_names([run])


def test_a_workspace_path_with_glob_characters(tmp_path: Path) -> None:
    runs = [make_run(Workspace(tmp_path / name).create(), [{"step": 1, "loss": 1.0}]) for name in ("a[b]*?", "ab")]
    assert [len(read_curves([run])) for run in runs] == [1, 1]


def test_the_last_value_of_each_metric(workspace: Workspace) -> None:
    run = make_run(workspace, [{"step": 1, "eval/loss": 2.0}, {"step": 2, "train/loss": 1.0}, {"step": 3, "x": None}])
    assert latest_metrics(run) == {"step": 3, "eval/loss": 2.0, "train/loss": 1.0}
    assert latest_metrics(make_run(workspace)) == {}
    assert latest_metrics(run, last_bytes=60)["train/loss"] == 1.0
    assert run.environment() is None
    run.environment_file.write_text(json.dumps({"seed": 1}))
    assert run.environment().seed == 1


def test_missing_duckdb_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    run = make_run(workspace, [{"step": 1, "loss": 1.0}])
    with pytest.raises(MissingPackageError, match="pip install duckdb"):
        read_curves([run])
