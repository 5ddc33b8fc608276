"""Disk full, input/output error, read-only (fault F3) at any write: the run tells why, and can be resumed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.faulty_runs import (
    Ended,
    Scene,
    assert_readable,
    every_second,
    leftovers,
    requeue,
    spread,
)
from tests.integration.write_faults import Fault
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import Run
from workbench.training.core import checkpoint

QUICK, SLOW_PARTS = 15, 4
FAULTS = (("ENOSPC", True), ("EIO", False), ("EROFS", True))  # the error, and whether it lasts


def assert_reported(run: Run, ended: Ended) -> None:
    """The run has failed, and its status says why and what to do."""
    status = run.status()
    assert status.state == "failed", (ended.code, status, run.log()[-2000:])
    assert ended.code == 1
    assert status.error.kind == "Storage", status.error
    assert "resume the run" in status.error.hint


def fail_and_resume(scene: Scene, event: int, kind: str, lasting: bool) -> None:
    run = scene.another()
    ended = scene.server.do(run, Fault(kind, event, lasting=lasting))
    assert_readable(run)
    state = run.state
    begun = run.splits_file.exists()
    operation = ended.events[event - 1][0]
    removing = operation in ("remove", "rmdir")  # of which no full disk complains: the reserve would be given up
    assert state in ("failed", "succeeded", "queued", "interrupted")
    assert begun or state != "succeeded"
    if state == "failed":
        assert_reported(run, ended)
    elif state == "queued":
        assert not begun
    elif state == "interrupted":
        # Only where not even the last words can be written: read-only, or full before the reserve was made.
        assert kind == "EROFS" or removing or not begun, run.log()[-2000:]
    if kind != "EROFS" and not removing:
        assert leftovers(run) == [], (operation, ended.events[event - 1])
    if run.state == "succeeded":  # the error came after its last word: the worker clears away what is left
        clear_leftovers(run)
    scene.finish(run)


def test_an_error_at_a_write(scene):
    points = spread(QUICK, len(scene.events))
    for number, event in enumerate(points):
        fail_and_resume(scene, event, *FAULTS[number % len(FAULTS)])
    print(f"{len(points)} of {len(scene.events)} writes")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(SLOW_PARTS))
def test_an_error_at_every_second_write(scene, part):
    points = every_second(len(scene.events), 2, part, SLOW_PARTS)
    for number, event in enumerate(points, part):  # each kind in each part
        fail_and_resume(scene, event, *FAULTS[number % len(FAULTS)])
    print(f"{len(points)} of {len(scene.events)} writes")


@pytest.mark.parametrize("part", ["weights", "optimizer", "manifest"])
def test_a_disk_that_fills_during_a_checkpoint_leaves_the_earlier_whole(scene, part):
    operation = "write" if part == "manifest" else "save"
    run = scene.another()
    ended = scene.server.do(
        run, Fault("ENOSPC", 1, operation, f"checkpoints/.tmp-step-00000012-*{part}*", lasting=True)
    )
    assert_reported(run, ended)
    assert "disk is full" in run.status().error.message
    left = [path.name for path in checkpoint.find(run.checkpoints_folder)]
    assert left[-1] == "step-00000008" and checkpoint.latest(run.checkpoints_folder).name == left[-1]
    assert leftovers(run) == []
    scene.finish(run)


@pytest.mark.parametrize(
    "path", [".tmp-status.json-*/", "checkpoints/", "checkpoints/.tmp-*/weights*/", ".tmp-model/*/"]
)
def test_a_failed_fsync(scene, path):
    run = scene.another()
    at = 3 if "status" in path else 1  # the first is before the work, the second the last progress
    ended = scene.server.do(run, Fault("EIO", at, "fsync", path))
    assert_reported(run, ended)
    assert leftovers(run) == []
    scene.finish(run)


# -- the system's own errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1_500, 60_000, 150_000])
def test_a_file_larger_than_the_system_allows(scene, most):
    """RLIMIT_FSIZE meets what Python does not see: safetensors and tokenizers write in Rust."""
    run = scene.another()
    ended = scene.server.do(run, limits={"file": most})
    assert_reported(run, ended)
    assert_readable(run)
    assert leftovers(run) == []
    scene.finish(run)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(scene: Scene, folder: Path, kilobytes: int) -> str | None:
    with small_disk(folder, f"{kilobytes}k") as disk:
        (disk / "runs").mkdir()
        run = scene.another(disk / "runs")
        ended = scene.server.do(run)
        assert_readable(run)
        if run.state == "succeeded":
            scene.assert_same(run)
            return None
        assert_reported(run, ended)
        messages = run.status().error.message
        assert "disk is full" in messages
        assert leftovers(run) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        requeue(run)
        assert scene.server.do(run).code == 0, run.log()
        scene.assert_same(run)
        return messages


@pytest.mark.skipif(os.name != "posix" or not Path("/proc/mounts").exists(), reason="needs Linux's tmpfs")
@pytest.mark.parametrize("kilobytes", [480, 1200])
def test_a_disk_that_is_really_full(scene, tmp_path, kilobytes):
    assert full_disk(scene, tmp_path / "disk", kilobytes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name != "posix" or not Path("/proc/mounts").exists(), reason="needs Linux's tmpfs")
def test_disks_of_many_sizes(scene, tmp_path):
    messages = [full_disk(scene, tmp_path / f"disk-{size}", size) for size in range(360, 2000, 40)]
    assert any(messages) and messages[-1] is None
    print(f"{sum(map(bool, messages))} of {len(messages)} disks were full")
