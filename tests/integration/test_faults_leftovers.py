"""What a killed process leaves half made or half deleted is removed, what the cache holds only on request."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.cli_process import call, environment
from tests.integration.test_jobs import WORKER, make_run
from workbench.files import TEMPORARY_PREFIX
from workbench.jobs.start_worker import module_environment
from workbench.locks import Lock
from workbench.runs.leftovers import OLD_SECONDS, clean_leftovers
from workbench.runs.run import Run
from workbench.workspace import Workspace

KILLED_DELETING = """
import os, shutil, signal, sys
from workbench.runs.run import Run
from workbench.workspace import Workspace
shutil.rmtree = lambda path, **options: os.kill(os.getpid(), signal.SIGKILL)
Run.open(sys.argv[1], Workspace.current()).delete()
"""
KILLED_SUBMITTING = """
import os, pathlib, signal
from tests.integration.test_jobs import make_run
from workbench.workspace import Workspace
pathlib.Path.rename = lambda path, target: os.kill(os.getpid(), signal.SIGKILL)
make_run(Workspace.current())
"""


def kill_in(workspace: Workspace, code: str, *arguments: str) -> None:
    command = [sys.executable, "-c", code, *arguments]
    assert subprocess.run(command, env=environment(workspace)).returncode == -signal.SIGKILL


def leftovers(workspace: Workspace) -> list[Path]:
    return [path for path in workspace.runs.iterdir() if path.name.startswith(TEMPORARY_PREFIX)]


def age(path: Path, seconds: float = OLD_SECONDS + 60) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_worker_removes_what_killed_processes_left(workspace: Workspace) -> None:
    deleted, other = make_run(workspace), make_run(workspace)
    (deleted.folder / "model").mkdir()
    (deleted.folder / "model" / "model.safetensors").write_bytes(bytes(1_000_000))
    age(deleted.folder)  # an old run: what is left of it is young all the same
    kill_in(workspace, KILLED_DELETING, deleted.id)
    kill_in(workspace, KILLED_SUBMITTING)
    assert len(leftovers(workspace)) == 2 and Run.all(workspace) == [other]
    command = [sys.executable, str(WORKER), str(workspace.root)]
    options = {"env": {**os.environ, **module_environment()}, "capture_output": True, "text": True, "timeout": 60}
    subprocess.run(command, **options, check=True)
    assert len(leftovers(workspace)) == 2  # another process may be about to finish them
    for path in leftovers(workspace):
        age(path)
    done = subprocess.run(command, **options, check=True)
    assert leftovers(workspace) == [] and Run.all(workspace) == [other]
    assert "Removed 1.0 MB" in done.stdout


def test_what_a_living_process_holds_is_not_removed(workspace: Workspace) -> None:
    run = make_run(workspace)
    draft = workspace.runs / f"{TEMPORARY_PREFIX}draft"
    shutil.copytree(run.folder, draft)
    reserve, stray = run.folder / f"{TEMPORARY_PREFIX}reserve", workspace.uploads / f"{TEMPORARY_PREFIX}upload"
    reserve.touch()
    stray.write_bytes(bytes(10))
    with run.lock_for("test"), Lock(draft / "run.lock"):
        for path in (draft, reserve, stray):
            age(path)
        assert clean_leftovers(workspace) == 10
        assert draft.exists() and reserve.exists() and not stray.exists()
    age(draft)
    clean_leftovers(workspace)
    assert not draft.exists() and not reserve.exists()


# -- data clean -------------------------------------------------------------------------------------------------------


def fill_caches(workspace: Workspace, shared: Path) -> None:
    for root in (workspace.cache, shared):
        for folder in ("datasets/reviews", "hub/owner--name"):
            (root / folder).mkdir(parents=True)
            (root / folder / "file").write_bytes(bytes(500_000))
    (workspace.cache / "tokens").mkdir()
    (workspace.cache / "tokens" / "a.npz").write_bytes(bytes(1000))


def in_a_terminal(workspace: Workspace, answer: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a command in a pseudo terminal and answer its question; return the exit code and what it printed."""
    pty = pytest.importorskip("pty")
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "workbench", *arguments],
        stdin=side,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(workspace, **variables),
    )
    os.write(main, answer.encode())
    output = process.communicate(timeout=60)[0].decode()
    os.close(main)
    os.close(side)
    return process.returncode, output


def test_cleaning_shows_bytes_asks_and_leaves_the_shared_cache(workspace: Workspace, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    fill_caches(workspace, shared)
    variables = {"WORKBENCH_CACHE": str(shared)}
    everything = sorted(tmp_path.rglob("*"))
    done = call(workspace, "data", "clean", **variables)
    assert done.returncode == 2 and "--yes" in done.stderr and "1.0 MB" in done.stderr
    code, output = in_a_terminal(workspace, "n\n", "data", "clean", **variables)
    assert code == 1 and "1.0 MB" in output
    assert sorted(tmp_path.rglob("*")) == everything  # nothing was deleted
    code, output = in_a_terminal(workspace, "y\n", "data", "clean", **variables)
    assert code == 0 and "Freed 1.0 MB" in output and str(shared) in output and "--shared" in output
    assert not (workspace.cache / "datasets" / "reviews").exists() and (shared / "datasets" / "reviews").exists()
    done = call(workspace, "data", "clean", "--shared", "--yes", "--json", **variables)
    assert json.loads(done.stdout) == {"freed_bytes": 1_000_000}
    assert not (shared / "datasets" / "reviews").exists() and not (shared / "hub" / "owner--name").exists()
