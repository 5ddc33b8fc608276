"""A run's process is killed at any write (fault F1): no partial file is read, and it resumes to the same weights."""

from __future__ import annotations

import pytest

from tests.integration.faulty_runs import (
    FaultScenario,
    assert_readable,
    every_second,
    one_of_each_kind,
    requeue,
    spread,
)
from tests.integration.write_faults import Fault
from workbench.runs.recovery import clear_leftovers
from workbench.training.core import checkpoint

QUICK_COUNT, SLOW_SHARES, SEED = 10, 2, 1


def assert_survives_kill(scenario: FaultScenario, event: int) -> None:
    run = scenario.new_run()
    result = scenario.server.execute(run, Fault("kill", event))
    assert result.code == -9, f"event {event} did not happen"
    assert_readable(run)
    started = (run.folder / ".tmp-reserve").exists() or run.splits_file.exists()
    assert run.state in (("interrupted", "succeeded") if started else ("queued", "interrupted"))
    if run.state == "succeeded":  # killed after its last status: its worker removes the leftovers
        clear_leftovers(run)
    scenario.assert_finishes_the_same(run)


def test_a_run_survives_a_kill_at_some_writes(scenario):
    points = spread(QUICK_COUNT, len(scenario.events))
    for event in points:
        assert_survives_kill(scenario, event)
    print(f"{len(points)} of {len(scenario.events)} kill points")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("share", range(SLOW_SHARES))
def test_a_run_survives_a_kill_at_every_kind_of_write(scenario, share):
    """Every second write is left to the test of errors.

    ``python -m tests.integration.survival kills --count 500`` kills runs at every single write.
    """
    assert len(scenario.events) >= 200
    points = one_of_each_kind(scenario.events, every_second(len(scenario.events), 1), SEED)[share::SLOW_SHARES]
    for event in points:
        assert_survives_kill(scenario, event)
    print(f"{len(points)} of {len(scenario.events)} kill points")


def test_a_run_survives_kills_while_it_resumes(scenario):
    """The next processes are killed during work that only a resumed run does: dropping lines, removing leftovers."""
    run = scenario.new_run()
    assert (
        scenario.server.execute(run, Fault("kill", 1, "save", "checkpoints/.tmp-step-00000012-*/optimizer*")).code == -9
    )
    for fault in (
        Fault("kill", 1, "remove", ".tmp-*"),
        Fault("kill", 1, "write", ".tmp-metrics.jsonl-*"),
        Fault("kill", 1, "rename", ".tmp-metrics.jsonl-*"),
        Fault("kill", 2, "write", "metrics.jsonl"),
        Fault("kill", 1, "rmdir", "checkpoints/.tmp-step-00000012-*"),
    ):
        requeue(run)
        assert scenario.server.execute(run, fault).code == -9, fault
        assert_readable(run)
        assert checkpoint.latest(run.checkpoints_folder) is not None
    scenario.assert_finishes_the_same(run)


def test_files_are_flushed_before_they_are_renamed(scenario):
    """After a power cut, a renamed file or folder must have its content: every file in it was flushed before."""
    unflushed: set[str] = set()
    for operation, path in scenario.events:
        if operation in ("open", "write", "save"):
            unflushed.add(path)
        elif operation == "fsync":
            unflushed.discard(path.rstrip("/"))
        elif operation == "rename" and "/.tmp-" in f"/{path}":
            assert not {name for name in unflushed if name == path or name.startswith(f"{path}/")}
