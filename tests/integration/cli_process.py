"""Run the ``workbench`` command in a process of its own or in this one, and check what it prints."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tiny import make_model, write_csv
from workbench.cli import main
from workbench.workspace import Workspace

INSTALLED = Path(sys.executable).with_name("workbench")
COMMAND = [str(INSTALLED)] if INSTALLED.exists() else [sys.executable, "-m", "workbench"]
ROOT = Path(__file__).resolve().parents[2]
RUN_KEYS = {"id", "state", "report", "error"}
COST_KEYS = {"seconds", "tokens_per_second", "peak_memory_bytes", "trained_parameters", "total_parameters"}


def environment(workspace: Workspace, **variables: str) -> dict[str, str]:
    """Return the environment of a command: one thread, this workspace and checkout."""
    return {
        **os.environ,
        "WORKBENCH_HOME": str(workspace.root),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **variables,
    }


def call(workspace: Workspace, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a ``workbench`` command in the workspace."""
    command = [*COMMAND, *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=180,
        env=environment(workspace, **variables),
        cwd=workspace.root,
    )


class CallHere:
    """Runs commands in this process, which saves their start-up; output is captured as that of a process is."""

    def __init__(
        self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd
        monkeypatch.setenv("WORKBENCH_HOME", str(workspace.root))
        monkeypatch.chdir(workspace.root)

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        self._capfd.readouterr()
        code = main(list(arguments))
        output = self._capfd.readouterr()
        return subprocess.CompletedProcess(list(arguments), code, output.out, output.err)


def call_json(workspace: Workspace, *arguments: str, code: int = 0) -> Any:
    """Run a command with ``--json``; return the one document that it prints."""
    done = call(workspace, *arguments, "--json")
    assert done.returncode == code, f"{done.returncode}: {done.stdout[-500:]}{done.stderr[-1500:]}"
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def write_spec(workspace: Workspace, name: str = "tiny", **training: Any) -> str:
    """Write the YAML file of a small run, as a user would; return its name."""
    if not (workspace.uploads / "tiny").exists():
        make_model(workspace.uploads / "tiny")
        write_csv(workspace.uploads / "reviews.csv")
    document = {
        "name": name,
        "task": "text-classification",
        "data": {"train": "uploads/reviews.csv", "max_length": 32},
        "model": "path:uploads/tiny",
        "training": {"epochs": 1, "learning_rate": 1e-3, "device": "cpu", **training},
    }
    path = workspace.root / f"{re.sub('[^a-z]', '', name)}.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    return path.name


def assert_finished_run(document: dict[str, Any]) -> None:
    """Assert that the document describes a run that succeeded, with its costs and metrics."""
    assert document.keys() >= RUN_KEYS
    assert document["state"] == "succeeded" and document["error"] is None
    report = document["report"]
    assert report["cost"].keys() >= COST_KEYS
    for value in report["metrics"].values():
        assert value.keys() == {"value", "low", "high"}
        assert value["low"] is None or value["low"] <= value["value"] <= value["high"]
    assert report["baseline"].keys() >= {"accuracy", "macro_f1"}
