"""How `workbench lab` starts JupyterLab: the opened notebook, the kernel, and isolation from other settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.cli import main
from workbench.cli.commands.lab import jupyter_command, jupyter_environment
from workbench.workspace import Workspace


def default_url(root: Path, *arguments: str) -> str:
    (flag,) = [
        flag for flag in jupyter_command(root, True, 8888, list(arguments)) if flag.startswith("--LabApp.default_url=")
    ]
    return flag.partition("=")[2]


def test_the_first_notebook_is_opened_or_else_the_list(tmp_path: Path) -> None:
    assert default_url(tmp_path) == "/lab/tree/notebooks"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "README.md").touch()
    assert default_url(tmp_path) == "/lab/tree/notebooks/README.md"
    (tmp_path / "notebooks" / "00_start_here.ipynb").touch()
    assert default_url(tmp_path) == "/lab/tree/notebooks/00_start_here.ipynb"


def test_a_named_notebook_of_the_course_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "course"
    (root / "tutorials").mkdir(parents=True)
    for path in (root / "tutorials" / "01 mail.ipynb", tmp_path / "other.ipynb"):
        path.touch()
    assert default_url(root, "--debug", "tutorials/01 mail.ipynb") == "/lab/tree/tutorials/01%20mail.ipynb"
    assert "tutorials/01 mail.ipynb" not in jupyter_command(root, True, 8888, ["tutorials/01 mail.ipynb"])
    assert default_url(root, "../other.ipynb") == "/lab/tree/notebooks"


def test_the_kernel_is_this_python_even_if_others_are_installed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_kernel = tmp_path / "theirs" / "kernels" / "python3"
    other_kernel.mkdir(parents=True)
    (other_kernel / "kernel.json").write_text(
        json.dumps({"argv": ["other"], "display_name": "Other", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "theirs"))
    result = subprocess.run(
        [sys.executable, "-m", "jupyter", "kernelspec", "list", "--json"],
        env=jupyter_environment(workspace),
        capture_output=True,
        check=True,
    )
    assert json.loads(result.stdout)["kernelspecs"]["python3"]["spec"]["argv"][0] == sys.executable


def test_jupyters_files_stay_in_the_workspace(workspace: Workspace) -> None:
    environment = jupyter_environment(workspace)
    changed = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    assert {"JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_PATH"} <= set(changed)
    assert all(Path(value).is_relative_to(workspace.root) for value in changed.values())


def test_a_setting_of_the_user_replaces_ours(tmp_path: Path) -> None:
    command = jupyter_command(tmp_path, True, 8888, ["--ServerApp.root_dir=/elsewhere"])  # twice would be an error
    assert [flag for flag in command if flag.startswith("--ServerApp.root_dir")] == ["--ServerApp.root_dir=/elsewhere"]


def test_jupyter_starts_locally_with_the_users_arguments_last(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    assert main(["lab", "--no-browser", "--port", "9999", "--", "--debug-me"]) == 0
    ((program, command, environment),) = started
    assert program == sys.executable and command[-1] == "--debug-me"
    assert {"--ServerApp.ip=127.0.0.1", "--ServerApp.open_browser=False", "--ServerApp.port=9999"} <= set(command)
    assert not [flag for flag in command if "token" in flag or "password" in flag]  # Jupyter makes a token itself
    assert environment["WORKBENCH_HOME"] == str(workspace.root)
