"""A run's process has the environment variables of the command that asked for it, whatever the worker has."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.tiny import write_csv
from workbench.jobs import cancel, submit
from workbench.jobs.process import RunProcess
from workbench.jobs.variables import is_passed, merge, own_variables, read_variables, visible_devices
from workbench.runs.run import LOCK_VARIABLE, Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

PRINT = "import os; print({name: os.environ.get(name) for name in ('HF_TOKEN', 'OMP_NUM_THREADS', 'https_proxy', 'X')})"


@pytest.fixture
def run(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    data = str(write_csv(tmp_path / "reviews.csv"))
    spec = RunSpec.parse({"task": "text-classification", "data": data, "model": "minilm"})
    return submit(spec, workspace, start=False)


def test_the_process_has_the_variables_of_the_command(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE(run.variables_file.stat().st_mode) == 0o600, "a token is in it"
    assert not any("secret" in file.read_text() for file in run.folder.iterdir() if file != run.variables_file)
    monkeypatch.setenv("HF_TOKEN", "of the worker")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("X", "kept")
    lock = run.lock_for("testing")
    assert lock.acquire()
    process = RunProcess.start(run, [sys.executable, "-c", PRINT], lock, None, run.workspace)
    assert process.popen.wait(30) == 0
    lock.release()
    printed = "{'HF_TOKEN': 'secret', 'OMP_NUM_THREADS': None, 'https_proxy': 'http://proxy:1', 'X': 'kept'}"
    assert printed in run.log()
    assert not run.variables_file.exists(), "tokens do not stay on the disk"


def test_a_cancelled_run_leaves_no_variables(run: Run) -> None:
    assert cancel(run) and not run.variables_file.exists()


def test_only_listed_variables_are_passed() -> None:
    for name in ("OMP_NUM_THREADS", "HF_HOME", "HTTP_PROXY", "no_proxy", "WORKBENCH_CACHE", "CUDA_VISIBLE_DEVICES"):
        assert is_passed(name), name
    for name in ("PATH", "AWS_SECRET_ACCESS_KEY", "WORKBENCH_HOME", LOCK_VARIABLE, "LD_PRELOAD"):
        assert not is_passed(name), name
    assert own_variables({"PATH": "/bin", "HF_HOME": "/hf"}) == {"HF_HOME": "/hf"}
    assert merge({"PATH": "/bin", "HF_HOME": "/worker"}, None) == {"PATH": "/bin", "HF_HOME": "/worker"}


def test_a_damaged_file_does_not_set_other_variables(tmp_path: Path) -> None:
    (tmp_path / "variables.json").write_text('{"LD_PRELOAD": "evil.so", "HF_HOME": "/hf"}')
    assert read_variables(tmp_path / "variables.json") == {"HF_HOME": "/hf"}
    assert read_variables(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("assigned", "own", "visible"),
    [
        (None, None, None),
        ("1", None, "1"),
        ("1", {}, "1"),
        ("1", {"CUDA_VISIBLE_DEVICES": "0,1"}, "1"),
        ("1", {"CUDA_VISIBLE_DEVICES": "2"}, "2"),
        ("1", {"CUDA_VISIBLE_DEVICES": ""}, ""),
        (None, {"CUDA_VISIBLE_DEVICES": "0"}, "0"),
    ],
)
def test_the_gpus_of_a_run(assigned: str | None, own: dict[str, str] | None, visible: str | None) -> None:
    assert visible_devices(assigned, own) == visible
