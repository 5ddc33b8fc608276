"""A run's process killed at any write (fault F1): nothing half is read, and resuming ends with the same weights."""

from __future__ import annotations

import pytest

from tests.integration.faulty_runs import Scene, assert_readable, every_second, requeue, spread
from tests.integration.write_faults import Fault
from workbench.runs.recovery import clear_leftovers
from workbench.training.core import checkpoint

QUICK, QUICK_PARTS, SLOW_PARTS = 20, 2, 4


def kill_and_resume(scene: Scene, event: int) -> None:
    run = scene.another()
    ended = scene.server.do(run, Fault("kill", event))
    assert ended.code == -9, f"event {event} never came"
    assert_readable(run)
    begun = (run.folder / ".tmp-reserve").exists() or run.splits_file.exists()
    assert run.state in (("interrupted", "succeeded") if begun else ("queued", "interrupted"))
    if run.state == "succeeded":  # killed after its last word: the worker that started it clears away what is left
        clear_leftovers(run)
    scene.finish(run)


@pytest.mark.parametrize("part", range(QUICK_PARTS))
def test_killed_at_a_write(scene, part):
    points = spread(QUICK, len(scene.events))[part::QUICK_PARTS]
    for event in points:
        kill_and_resume(scene, event)
    print(f"{len(points)} of {len(scene.events)} kill points")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(SLOW_PARTS))
def test_killed_at_every_second_write(scene, part):
    """At those between them a write fails instead: ``test_an_error_at_every_second_write``."""
    assert len(scene.events) >= 200
    points = every_second(len(scene.events), 1, part, SLOW_PARTS)
    for event in points:
        kill_and_resume(scene, event)
    print(f"{len(points)} of {len(scene.events)} kill points")


def test_killed_again_while_it_goes_on(scene):
    """The second process dies in what only a resumed run does: dropping lines, clearing away what the first left."""
    run = scene.another()
    assert scene.server.do(run, Fault("kill", 1, "save", "checkpoints/.tmp-step-00000012-*/optimizer*")).code == -9
    for fault in (
        Fault("kill", 1, "remove", ".tmp-*"),
        Fault("kill", 1, "write", ".tmp-metrics.jsonl-*"),
        Fault("kill", 1, "rename", ".tmp-metrics.jsonl-*"),
        Fault("kill", 2, "write", "metrics.jsonl"),
        Fault("kill", 1, "rmdir", "checkpoints/.tmp-step-00000012-*"),
    ):
        requeue(run)
        assert scene.server.do(run, fault).code == -9, fault
        assert_readable(run)
        assert checkpoint.latest(run.checkpoints_folder) is not None
    scene.finish(run)


def test_nothing_takes_its_name_before_it_is_on_the_disk(scene):
    """A rename survives a power cut, and the content too: every file in what is renamed was flushed before."""
    unflushed: set[str] = set()
    for operation, path in scene.events:
        if operation in ("open", "write", "save"):
            unflushed.add(path)
        elif operation == "fsync":
            unflushed.discard(path.rstrip("/"))
        elif operation == "rename" and "/.tmp-" in f"/{path}":
            assert not {name for name in unflushed if name == path or name.startswith(f"{path}/")}
