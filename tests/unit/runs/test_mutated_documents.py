"""One damaged run hides nothing: whatever its documents contain, all runs are listed, sorted, filtered and drawn.

The number of documents is WORKBENCH_DOCUMENTS where that is set.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.dashboard.pages import open_page
from tests.unit.base.test_opening import special_file
from tests.unit.runs.mutated_documents import OLD_RUN, PATHS, Mutation, mutations, sweep_mutations
from workbench.cli import output, views
from workbench.cli.commands import runs as commands
from workbench.cli.commands import sweep as sweep_commands
from workbench.data.uploads import list_uploads, unusable_uploads
from workbench.errors import WorkbenchError
from workbench.files import write_json
from workbench.jobs import queue, queue_status, reviving, worker_status
from workbench.jobs.sweeps import Sweep, list_sweeps, running_sweeps, trial_line
from workbench.jobs.waiting import StatusScan, has_running_sweep, has_work, next_order
from workbench.runs.export import as_csv
from workbench.runs.filters.filter import filter_rows
from workbench.runs.predictions import has_predictions
from workbench.runs.query import latest_metrics, list_runs, read_curves
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import Run
from workbench.runs.series.metric_store import open_metrics
from workbench.runs.table import group_rows, run_table, sort_rows
from workbench.runs.tags import read_tags
from workbench.workspace import Workspace

BATCH = 20  # mutated runs in one workspace
QUICK, SLOW, PAGES = 200, 1000, 60  # documents
_GOOD = "20260101-000000-good-0000"
_numbers = itertools.count()


def documents(default: int) -> int:
    return int(os.environ.get("WORKBENCH_DOCUMENTS") or default)


def write_batch(workspace: Workspace, changes: Sequence[Mutation]) -> list[Run]:
    """Write a good run, and one run for each change."""
    good = workspace.runs / _GOOD
    shutil.copytree(OLD_RUN, good)
    for number, change in enumerate(changes):
        folder = workspace.runs / f"20260102-000000-mutated-{next(_numbers):06d}"
        folder.mkdir()
        shutil.copy(OLD_RUN / "spec.yaml", folder / "spec.yaml")
        shutil.copy(OLD_RUN / "metrics.jsonl", folder / "metrics.jsonl")
        change.apply(folder)
        assert number < BATCH
    return Run.all(workspace)


@contextlib.contextmanager
def batch(changes: Sequence[Mutation]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "home").create()
        yield workspace, write_batch(workspace, changes)


def assert_lists_everything(workspace: Workspace, runs: Sequence[Run]) -> None:
    """Assert that every list has every run, and that none of what looks at many runs fails."""
    ids = {run.id for run in runs}
    summaries = list_runs(workspace)
    assert {summary.id for summary in summaries} == ids
    good = next(summary for summary in summaries if summary.id == _GOOD)
    assert good.state == "succeeded" and good.report and good.report.primary
    rows = run_table(workspace, summaries)
    assert {row["id"] for row in rows} == ids
    for field in ("created", "value", "training.epochs", "tags", "notes", "seconds"):
        assert len(sort_rows(rows, field, descending=True)) == len(rows)
    assert len(filter_rows(rows, "id <> 'none'")) == len(rows)
    assert sum(group["runs"] for group in group_rows(rows, ["task", "tuning"])) == len(rows)
    assert len(as_csv(rows).splitlines()) > len(rows)
    assert {curve["run"] for curve in read_curves(runs)} >= {_GOOD}
    queued, running = StatusScan(workspace).scan()
    assert {run.id for run in queued} == {run.id for run in queue(workspace)}
    assert has_work(workspace) == bool(queued)
    assert next_order(workspace) < float("inf")
    assert worker_status(workspace)["queued"] == len(queued) == len(queue_status(workspace)["queued"])
    assert reviving._something_waits(workspace) in (True, False)
    assert {run.id for run in running} <= ids
    with contextlib.redirect_stdout(io.StringIO()):
        views.show_runs(summaries)
        output.print_result(summaries, True, lambda: None)


def assert_can_be_opened(run: Run) -> None:
    """Assert that one run can be shown, and deleted: with an error that names it, at most."""
    workspace = run.workspace
    assert Run.open(run.id, workspace) == run
    with contextlib.redirect_stdout(io.StringIO()):
        summary = run.summary()
        views.show_run(summary, data_notes=run.data_notes())
        output.print_result(summary, True, lambda: None)
        for read in (run.environment, run.splits, run.base_note, run.is_confined, run.kind, lambda: read_tags(run)):
            read()
        open_metrics(run).names()
        latest_metrics(run)
        has_predictions(run)
        run.log(), run.samples(), run.confusions()
    clear_leftovers(run)
    with contextlib.suppress(WorkbenchError):  # an adapter of another run needs it
        run.delete()


@pytest.fixture(autouse=True)
def a_terminal_that_encodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print to a stream that encodes, as a terminal does; StringIO would take anything."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace")
    monkeypatch.setattr(output.console, "_file", stream)


def check(changes: Sequence[Mutation]) -> None:
    with batch(changes) as (workspace, runs):
        try:
            assert_lists_everything(workspace, runs)
            for run in runs:
                assert_can_be_opened(run)
        except Exception as error:
            error.add_note(f"changes: {[(change.file, change.path, str(change.value)[:80]) for change in changes]}")
            raise


# A failing example names its changes; to shrink twenty of them takes minutes.
_options: dict[str, Any] = {
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.explicit, Phase.reuse, Phase.generate),
}
_batches = st.lists(mutations(), min_size=BATCH, max_size=BATCH)


@settings(max_examples=max(1, documents(QUICK) // BATCH), **_options)
@given(_batches)
def test_a_mutated_document_hides_no_run(changes: list[Mutation]) -> None:
    check(changes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=max(1, documents(SLOW) // BATCH), **_options)
@given(_batches)
def test_thousands_of_mutated_documents_hide_no_run(changes: list[Mutation]) -> None:
    check(changes)


def test_the_schemas_have_been_walked() -> None:
    assert ("progress", "steps") in PATHS["status.json"] and ("metrics", "accuracy", "value") in PATHS["report.json"]
    assert ("estimate", "seconds", "low") in PATHS["report.json"] and ("base", "source") in PATHS[
        "model/workbench.json"
    ]
    assert sum(map(len, PATHS.values())) > 150


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", ["home", "runs", "compare"])
@settings(max_examples=max(1, documents(PAGES) // BATCH), **_options)
@given(_batches)
def test_a_mutated_document_closes_no_page(page: str, changes: list[Mutation]) -> None:
    with batch(changes) as (workspace, runs), pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_HOME", str(workspace.root))
        drawn = open_page(page)
        assert not drawn.exception, (
            [(each.file, each.path, str(each.value)[:80]) for each in changes],
            drawn.exception,
        )
        assert len(runs) == BATCH + 1


# -- names ------------------------------------------------------------------------------------------------------------


def test_a_copied_folder_is_named_and_hides_nothing(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file manager calls it ``... (copy)``: no page or command can open that name."""
    (good,) = write_batch(workspace, [])
    shutil.copytree(good.folder, workspace.runs / f"{good.id} (copy)")
    (workspace.runs / "notes.txt").touch()
    os.mkfifo(workspace.runs / "pipe")
    (workspace.runs / "link").symlink_to(good.folder)
    (workspace.runs / ".hidden").mkdir()
    assert Run.all(workspace) == [good]
    assert Run.strangers(workspace) == [f"{good.id} (copy)", "link", "notes.txt", "pipe"]
    assert [run.id for run in list_runs(workspace)] == [good.id]
    monkeypatch.setattr(output.console, "_file", None)
    commands.runs_command()
    printed = capsys.readouterr()
    assert good.id in printed.out and "(copy)" not in printed.out
    assert "(copy)" in printed.err and "Not a run" in printed.err


def test_every_listed_name_can_be_opened_and_deleted(workspace: Workspace) -> None:
    for name in ("a", "a-copy", "x" * 200, "x" * 201, "a b", "..a", "a..b", "ä", "empty", "-x", "a" * 3):
        with contextlib.suppress(OSError):
            (workspace.runs / name).mkdir()
    write_json(workspace.runs / "a" / "status.json", {"state": "stopped"})
    runs = Run.all(workspace)
    assert {run.id for run in runs} == {"a", "a-copy", "x" * 200, "empty", "aaa"}
    assert Run.strangers(workspace) == sorted(["a b", "a..b", "x" * 201, "ä", "-x"])
    for run in runs:
        Run.open(run.id, workspace).delete()
    assert Run.all(workspace) == []


# -- sweeps -----------------------------------------------------------------------------------------------------------


@settings(max_examples=max(1, documents(QUICK) // 2 // BATCH), **_options)
@given(st.lists(sweep_mutations(), min_size=BATCH, max_size=BATCH))
def test_a_mutated_state_hides_no_sweep(contents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder) / "home").create()
        for number, content in enumerate([None, *contents]):
            target = workspace.root / "sweeps" / f"sweep-{number}"
            shutil.copytree(OLD_RUN.parent / "sweep", target)
            if content is not None:
                (target / "state.json").write_bytes(content)
        shutil.copytree(OLD_RUN.parent / "sweep", workspace.root / "sweeps" / "sweep-0 (copy)")
        sweeps = Sweep.all(workspace)
        assert len(sweeps) == BATCH + 1
        summaries, damaged = list_sweeps(workspace)
        assert {summary["name"] for summary in summaries} | damaged.keys() >= {sweep.name for sweep in sweeps}
        assert "sweep-0 (copy)" in damaged and any(summary["name"] == "sweep-0" for summary in summaries)
        assert has_running_sweep(workspace) == bool(running_sweeps(workspace))
        for sweep in sweeps:
            assert sweep.best() is None or isinstance(sweep.best()["value"], int | float)
            for trial in sweep.read()["trials"]:
                trial_line(trial)
                assert all(workspace.run_folder(run_id) for run_id in trial["runs"].values())
            sweep.stop()
        with contextlib.redirect_stdout(io.StringIO()):
            sweep_commands._list(summaries)
            for summary in summaries:
                sweep_commands._show(summary)
            output.print_result(summaries, True, lambda: None)


@pytest.mark.timeout(60)
def test_special_files_in_the_folder_of_a_run_hold_nobody_up(workspace: Workspace) -> None:
    """Opening a pipe waits for ever, /dev/zero has no end, and a folder is no file."""
    write_batch(workspace, [])
    names = ["status.json", "report.json", "notes.json", "spec.yaml", "metrics.jsonl", "log.txt", "samples.jsonl"]
    names += ["data.json", "run.lock", "status.lock", "stop", "usage.jsonl", "splits.json", "environment.json"]
    for kind in ("pipe", "endless", "folder", "huge"):
        for name in names:
            folder = workspace.runs / f"20260102-000000-{kind}-{name.replace('.', '-')}"
            shutil.copytree(OLD_RUN, folder)
            (folder / name).unlink(missing_ok=True)
            special_file(folder / name, kind)
    runs = Run.all(workspace)
    assert len(runs) == 4 * len(names) + 1
    assert_lists_everything(workspace, runs)
    for run in runs:
        if run.id != _GOOD:
            assert_can_be_opened(run)


def test_special_files_among_the_uploads_are_named(workspace: Workspace) -> None:
    (workspace.uploads / "reviews.csv").write_text("text,label\n")
    os.mkfifo(workspace.uploads / "pipe.csv")
    (workspace.uploads / "zero.csv").symlink_to("/dev/zero")
    (workspace.uploads / "folder.csv").mkdir()
    assert [upload.name for upload in list_uploads(workspace)] == ["reviews.csv"]
    assert unusable_uploads(workspace) == ["folder.csv", "pipe.csv", "zero.csv"]
