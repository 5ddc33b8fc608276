"""Disk full, I/O error or read-only disk (fault F3) at any write: the run reports the cause and can be resumed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.faulty_runs import (
    FaultScenario,
    ProcessResult,
    assert_readable,
    every_second,
    leftovers,
    one_of_each_kind,
    requeue,
    small_disk,
    spread,
)
from tests.integration.write_faults import Fault
from workbench.runs.recovery import clear_leftovers
from workbench.runs.run import Run
from workbench.training.core import checkpoint

QUICK_COUNT, SLOW_SHARES, SEED = 9, 2, 2
FAULTS = (("ENOSPC", True), ("EIO", False), ("EROFS", True))  # the error and whether it persists


def assert_storage_error(run: Run, result: ProcessResult) -> None:
    """Assert that the run failed and that its status says why and what to do."""
    status = run.status()
    assert status.state == "failed", (result.code, status, run.log()[-2000:])
    assert result.code == 1
    assert status.error.kind == "Storage", status.error
    assert "resume the run" in status.error.hint


def assert_survives_error(scenario: FaultScenario, event: int, kind: str, lasting: bool) -> None:
    run = scenario.new_run()
    result = scenario.server.execute(run, Fault(kind, event, lasting=lasting))
    assert_readable(run)
    state = run.state
    started = run.splits_file.exists()
    operation = result.events[event - 1][0]
    removing = operation in ("remove", "rmdir")  # never fails on a full disk, so the reserve is not used up
    assert state in ("failed", "succeeded", "queued", "interrupted")
    assert started or state != "succeeded"
    if state == "failed":
        assert_storage_error(run, result)
    elif state == "queued":
        assert not started
    elif state == "interrupted":
        # Only if not even the final status can be written: read-only, or full before the reserve was made.
        assert kind == "EROFS" or removing or not started, run.log()[-2000:]
    if kind != "EROFS" and not removing:
        assert leftovers(run) == [], (operation, result.events[event - 1])
    if run.state == "succeeded":  # the error came after its last status: its worker removes the leftovers
        clear_leftovers(run)
    scenario.assert_finishes_the_same(run)


def test_a_run_survives_an_error_at_some_writes(scenario):
    points = spread(QUICK_COUNT, len(scenario.events))
    for number, event in enumerate(points):
        assert_survives_error(scenario, event, *FAULTS[number % len(FAULTS)])
    print(f"{len(points)} of {len(scenario.events)} writes")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(SLOW_SHARES))
def test_a_run_survives_an_error_at_every_kind_of_write(scenario, share):
    numbers = every_second(len(scenario.events), 2)
    faults = {event: FAULTS[(i % 4 + i // 4) % len(FAULTS)] for i, event in enumerate(numbers)}
    points = one_of_each_kind(scenario.events, numbers, SEED)[share::SLOW_SHARES]
    for event in points:
        assert_survives_error(scenario, event, *faults[event])
    print(f"{len(points)} of {len(scenario.events)} writes")


@pytest.mark.parametrize("file", ["weights", "optimizer", "manifest"])
def test_a_disk_that_fills_during_a_checkpoint_leaves_earlier_ones_complete(scenario, file):
    operation = "write" if file == "manifest" else "save"
    run = scenario.new_run()
    result = scenario.server.execute(
        run, Fault("ENOSPC", 1, operation, f"checkpoints/.tmp-step-00000012-*{file}*", lasting=True)
    )
    assert_storage_error(run, result)
    assert "disk is full" in run.status().error.message
    remaining = [path.name for path in checkpoint.find(run.checkpoints_folder)]
    assert remaining[-1] == "step-00000008" == checkpoint.latest(run.checkpoints_folder).name
    assert leftovers(run) == []
    scenario.assert_finishes_the_same(run)


@pytest.mark.parametrize(
    "path", [".tmp-status.json-*/", "checkpoints/", "checkpoints/.tmp-*/weights*/", ".tmp-model/*/"]
)
def test_a_failed_fsync(scenario, path):
    run = scenario.new_run()
    number = 3 if "status" in path else 1  # the first is before training, the second the last progress
    result = scenario.server.execute(run, Fault("EIO", number, "fsync", path))
    assert_storage_error(run, result)
    assert leftovers(run) == []
    scenario.assert_finishes_the_same(run)


# -- real errors of the operating system ------------------------------------------------------------------------------


@pytest.mark.parametrize("max_bytes", [1_500, 60_000, 150_000])
def test_a_file_larger_than_the_system_allows(scenario, max_bytes):
    """RLIMIT_FSIZE also affects writes that Python cannot see: safetensors and tokenizers write in Rust."""
    run = scenario.new_run()
    result = scenario.server.execute(run, limits={"file": max_bytes})
    assert_storage_error(run, result)
    assert_readable(run)
    assert leftovers(run) == []
    scenario.assert_finishes_the_same(run)


def assert_survives_full_disk(scenario: FaultScenario, folder: Path, kilobytes: int) -> str | None:
    """Execute a run on a small disk and resume it once there is room; return its error if the disk was full."""
    with small_disk(folder, f"{kilobytes}k") as disk:
        (disk / "runs").mkdir()
        run = scenario.new_run(disk / "runs")
        result = scenario.server.execute(run)
        assert_readable(run)
        if run.state == "succeeded":
            scenario.assert_same(run)
            return None
        assert_storage_error(run, result)
        message = run.status().error.message
        assert "disk is full" in message
        assert leftovers(run) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        requeue(run)
        assert scenario.server.execute(run).code == 0, run.log()
        scenario.assert_same(run)
        return message


@pytest.mark.skipif(os.name != "posix" or not Path("/proc/mounts").exists(), reason="needs Linux's tmpfs")
@pytest.mark.parametrize("kilobytes", [480, 1200])
def test_a_disk_that_is_really_full(scenario, tmp_path, kilobytes):
    assert assert_survives_full_disk(scenario, tmp_path / "disk", kilobytes)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(os.name != "posix" or not Path("/proc/mounts").exists(), reason="needs Linux's tmpfs")
def test_disks_of_many_sizes(scenario, tmp_path):
    messages = [assert_survives_full_disk(scenario, tmp_path / f"disk-{size}", size) for size in range(360, 2000, 80)]
    assert any(messages) and messages[-1] is None
    print(f"{sum(map(bool, messages))} of {len(messages)} disks were full")
