"""The folder of a run: atomic creation, the state of its process, damaged files, and deletion."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import BusyError, RefusedError, RequestError, SpecError, StorageError, UnknownNameError
from workbench.runs import run as run_module
from workbench.runs.run import FINISHED, RESUMABLE, STATES, Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

SPEC = RunSpec.parse({"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "tuning": "lora"})


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return Run.create(SPEC, workspace)


def _store(run: Run, **status: Any) -> None:
    run.status_file.write_text(json.dumps(status))


# -- creating and opening ------------------------------------------------------------------------------------------


def test_new_run_is_queued_and_reads_back(workspace: Workspace, run: Run) -> None:
    assert run.state == "queued"
    assert run.spec() == SPEC
    assert "-minilm-rotten-tomatoes-lora-" in run.id
    assert Run.all(workspace) == [run]
    assert Run.open(run.id, workspace) == run


def test_the_name_of_a_run_may_contain_anything(workspace: Workspace) -> None:
    run = Run.create(SPEC.changed({"name": "../../<b>../汉字\u0000 $(rm)"}), workspace)
    assert run.folder.parent == workspace.runs
    assert Run.open(run.id, workspace) == run


def test_runs_created_in_one_second_have_unique_names(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hexadecimal digits alone would produce the same name twice among a few hundred runs."""
    suffixes = iter(["aaaa", "aaaa", "aaaa", "bbbb"] + [f"{i:04x}" for i in range(1000)])
    monkeypatch.setattr(
        run_module.secrets, "token_hex", lambda size: next(suffixes) if size == 2 else os.urandom(4).hex()
    )
    first, second = Run.create(SPEC, workspace), Run.create(SPEC, workspace)
    assert first.id.endswith("aaaa")
    assert second.id.endswith("bbbb")
    assert len(Run.all(workspace)) == 2


@pytest.mark.parametrize("step", ["write_text", "write_json", "new_folder"])
def test_a_full_disk_leaves_no_partial_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(run_module, step, fail)
    with pytest.raises(StorageError, match="the disk is full"):
        Run.create(SPEC, workspace)
    assert os.listdir(workspace.runs) == []


def test_open_by_a_prefix_or_suffix_of_the_id(workspace: Workspace, run: Run) -> None:
    other = Run.create(SPEC, workspace)
    assert Run.open(run.id[-4:], workspace).id == run.id or run.id[-4:] == other.id[-4:]
    with pytest.raises(RequestError, match="matches 2 runs"):
        Run.open(run.id[:8], workspace)
    with pytest.raises(UnknownNameError, match="There is no run 'nonesuch'"):
        Run.open("nonesuch", workspace)
    with pytest.raises(RefusedError):
        Run.open("../runs", workspace)


def test_drafts_links_and_files_are_not_listed_as_runs(workspace: Workspace, run: Run, tmp_path: Path) -> None:
    (workspace.runs / ".tmp-left-behind").mkdir()
    (workspace.runs / "a-file").write_text("")
    (workspace.runs / "link").symlink_to(tmp_path)
    assert Run.all(workspace) == [run]
    shutil.rmtree(workspace.runs)
    assert Run.all(workspace) == []


# -- state and process --------------------------------------------------------------------------------------------


def test_a_run_is_running_while_its_process_holds_the_lock(run: Run) -> None:
    code = (
        "import sys, time; from pathlib import Path; from workbench.runs.run import Run\n"
        "run = Run(Path(sys.argv[1])); assert run.process_lock().acquire()\n"
        "run.transition(('queued',), 'running', process={'pid': 1}); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(run.folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert run.state == "running"
        with pytest.raises(BusyError, match="is running"):
            run.delete()
    finally:
        process.kill()
        process.wait()
    assert run.state == "interrupted"
    assert json.loads(run.status_file.read_text())["state"] == "running"  # reading the state writes nothing


def test_the_status_of_a_process_that_ends_between_two_reads(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.transition(("queued",), "running", process={"pid": 1})

    def ends_now(_: Run) -> bool:
        run.transition(("running",), "succeeded")
        return False

    monkeypatch.setattr(Run, "is_alive", ends_now)
    assert run.status().state == "succeeded"


def test_transition_only_from_the_expected_state(run: Run) -> None:
    assert not run.transition(("running",), "succeeded")
    assert run.state == "queued"
    assert run.transition(("queued",), "stopped", error=None)
    assert run.state == "stopped"
    assert set(FINISHED) | set(RESUMABLE) <= set(STATES)


def test_only_one_of_two_concurrent_claims_succeeds(workspace: Workspace) -> None:
    for _ in range(20):
        run = Run.create(SPEC, workspace)
        won: list[bool] = []
        barrier = threading.Barrier(4)

        def claim(run: Run = run, won: list[bool] = won, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            won.append(run.transition(("queued",), "running"))

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(won) == [False, False, False, True]


def test_concurrent_updates_are_both_written(run: Run) -> None:
    def update(name: str) -> None:
        for number in range(10):
            run.update_status(**{f"{name}{number}": number})

    threads = [threading.Thread(target=update, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {f"{name}{number}" for name in "ab" for number in range(10)} <= run.status().as_dict().keys()


def test_a_stop_request_can_be_cleared(run: Run) -> None:
    assert not run.stop_requested()
    run.request_stop()
    assert run.stop_requested()
    run.clear_stop()
    run.clear_stop()
    assert not run.stop_requested()


# -- damage -------------------------------------------------------------------------------------------------------

DAMAGED = [
    None,
    b"",
    b"{half",
    b"[]",
    b"{}",
    b'{"state": "dancing"}',
    b'{"state": ["queued"]}',
    b"\xff\xfe",
    b"[" * 9999,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_status_is_reported_and_the_run_can_be_deleted(
    workspace: Workspace, run: Run, content: bytes | None
) -> None:
    run.status_file.unlink()
    if content is not None:
        run.status_file.write_bytes(content)
    summary = run.summary()
    assert summary.state == "failed"
    assert summary.error.kind == "DamagedRun"
    assert not run.transition(("queued",), "running")
    run.delete()
    assert Run.all(workspace) == []


@pytest.mark.parametrize("content", [None, b"", b"version: 99", b"\xff", b"task: [1", b"a: 1"])
def test_a_damaged_spec_is_reported_and_the_rest_is_shown(run: Run, content: bytes | None) -> None:
    run.spec_file.unlink()
    if content is not None:
        run.spec_file.write_bytes(content)
    _store(run, state="succeeded", error=None)
    with pytest.raises(SpecError):
        run.spec()
    summary = run.summary()
    assert summary.state == "succeeded"
    assert summary.spec is None
    assert summary.error.kind == "Spec"


def test_empty_folder_is_a_failed_run(workspace: Workspace) -> None:
    (workspace.runs / "empty").mkdir()
    (run,) = Run.all(workspace)
    assert run.state == "failed"
    assert run.read_metrics() == ([], 0)
    assert run.log() == ""
    assert run.report() is None
    assert Run.open("empty", workspace) == run


def test_reading_the_log_returns_its_end_and_never_fails(run: Run) -> None:
    run.log_file.write_bytes("汉".encode() * 100)
    assert run.log() == "汉" * 100
    assert run.log(last_bytes=4).endswith("汉")


def test_a_report_that_is_not_an_object_is_ignored(run: Run) -> None:
    run.report_file.write_text("[1]")
    assert run.report() is None


# -- deletion -----------------------------------------------------------------------------------------------------


def test_deleted_run_does_not_come_back(workspace: Workspace, run: Run) -> None:
    """A late heartbeat, claim or stop of a deleted run must not create its folder again."""
    run.delete()
    for late in (
        lambda: run.update_status(heartbeat=1),
        lambda: run.transition(("queued",), "running"),
        lambda: run.process_lock().acquire(),
        run.request_stop,
        run.delete,
    ):
        with pytest.raises(UnknownNameError):
            late()
    assert os.listdir(workspace.runs) == []
    assert run.status().state == "failed"
    assert run.read_metrics() == ([], 0)


def test_folder_deleted_while_it_is_read(workspace: Workspace) -> None:
    """Readers of a run that is being deleted get partial results, never an OSError."""
    for _ in range(15):
        run = Run.create(SPEC, workspace)
        run.append_metrics({"step": 1})
        deleting = threading.Thread(target=run.delete)
        deleting.start()
        while deleting.is_alive():
            run.summary()
            run.read_metrics()
            run.log()
            Run.all(workspace)
        deleting.join()
    assert os.listdir(workspace.runs) == []


def test_a_run_can_be_opened_by_a_unique_name(workspace: Workspace) -> None:
    spec = RunSpec.parse({"name": "reviews", "task": "t", "data": "d", "model": "m"})
    first = Run.create(spec, workspace)
    assert Run.open("reviews", workspace) == first
    Run.create(spec, workspace)
    with pytest.raises(RequestError, match="matches 2 runs"):
        Run.open("reviews", workspace)


def test_a_beginning_names_its_run_even_if_another_id_contains_it(workspace: Workspace, run: Run) -> None:
    further = RunSpec.parse({"task": "t", "data": "d", "model": f"run:{run.id}"})
    other = Run.create(further, workspace)
    beginning = run.id[:15]
    renamed = Run(other.folder.rename(workspace.runs / f"20990101-000000-{beginning}-d-full-{run.id[-4:]}"))
    assert Run.open(beginning, workspace) == run
    assert Run.open(renamed.id[:8], workspace) == renamed
    assert Run.open(f"{beginning}-d", workspace).id == renamed.id, "no id begins so: the middle of one counts"
    named = Run(run.folder.rename(workspace.runs / f"{beginning}-first"))
    assert Run.open("first", workspace) == named


def test_confusions_are_read_back_from_the_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run.confusions() == []
    for step in range(1, 100):
        run.append_confusion(step, ["a", "b" * 1000], [[step, 1], [0, 2]])
    assert [row["step"] for row in run.confusions()] == list(range(1, 100))
    assert run.confusions()[-1] == {"step": 99, "labels": ["a", "b" * 200], "counts": [[99, 1], [0, 2]]}
    monkeypatch.setattr(run_module, "TAIL_BYTES", 1000)  # bytes
    assert [row["step"] for row in run.confusions()] == [97, 98, 99]
    with open(run.confusion_file, "a") as file:
        for counts in ("[[1, 2]]", "[[1], [2]]", '[["x", 1], [1, 1]]', "null", "[]"):
            file.write(f'{{"step": 100, "labels": ["a", "b"], "counts": {counts}}}\n')
        file.write('{"step": 101, "lab')
    assert [row["step"] for row in run.confusions()][-1] == 99


def test_no_confusion_matrix_is_stored_for_many_labels(run: Run) -> None:
    n_labels = run_module.MAX_LABELS + 1
    run.append_confusion(1, [str(i) for i in range(n_labels)], [[0] * n_labels] * n_labels)
    assert not run.confusion_file.exists()


def test_samples_are_read_from_the_end_of_the_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "TAIL_BYTES", 100)  # bytes
    lines = [json.dumps({"step": step, "prompt": "", "text": f"t{index}"}) for step in (1, 2, 3) for index in (0, 1)]
    run.samples_file.write_text("\n".join(lines) + "\n")
    assert [row["text"] for row in run.last_samples()] == ["t0", "t1"] and run.last_samples()[0]["step"] == 3
