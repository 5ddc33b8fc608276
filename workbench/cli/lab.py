"""JupyterLab on the course: this environment's Python as kernel, offline, for this machine only, with a token."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workbench.files import storage_errors, write_json
from workbench.workspace import Workspace

# What is opened first: the first of these that is there.
OPENED = ("notebooks/00_start_here.ipynb", "notebooks/README.md")

# JupyterLab's own settings, where the user has not chosen others.
SETTINGS: dict[str, Any] = {
    # It would ask at its first start whether it may fetch news.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # Texts are for reading here.
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}


def lab_command(root: Path, browser: bool, port: int, arguments: list[str]) -> list[str]:
    """The command that starts JupyterLab.

    Args:
        root: the checkout, which is what JupyterLab shows of the disk.
        browser: open one.
        port: or the next free one.
        arguments: the user's own; a setting that they give takes the place of ours. The first that is a file below
            ``root`` is what is opened.
    """
    opened = next((path for path in arguments if _below(root, path)), None)
    arguments = [argument for argument in arguments if argument != opened]
    settings = {
        "ServerApp.root_dir": root,
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.allow_remote_access": False,
        "ServerApp.open_browser": browser,
        "ServerApp.allow_root": os.geteuid() == 0,  # as in a container; it listens to this machine only
        "LabApp.default_url": f"/lab/tree/{quote(opened) if opened else _first(root)}",
        # Nothing is asked of the network: no news, no look for updates, no list of extensions.
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }
    given = {argument.partition("=")[0] for argument in arguments}
    flags = [f"--{name}={value}" for name, value in settings.items() if f"--{name}" not in given]
    return [sys.executable, "-m", "jupyter", "lab", *flags, *arguments]


def lab_environment(workspace: Workspace) -> dict[str, str]:
    """The environment of JupyterLab; makes the folders that it names.

    All that Jupyter keeps (settings, layouts, history) stays in the workspace, so that neither the course changes the
    user's own Jupyter, nor a setting there (another kernel, an open address, no token) changes the course.
    """
    folder = workspace.root / "lab"
    # Named as every notebook names its kernel, and found before all others: the environment that has the workbench.
    _write(
        folder / "kernel" / "kernels" / "python3" / "kernel.json",
        {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3 (Transformer workbench)",
            "language": "python",
            "env": {"IPYTHONDIR": str(folder / "ipython")},
            "metadata": {"debugger": True},
        },
    )
    _write(folder / "defaults" / "labconfig" / "default_setting_overrides.json", SETTINGS)
    return {
        **os.environ,
        "JUPYTER_PATH": str(folder / "kernel"),
        "JUPYTER_CONFIG_PATH": str(folder / "defaults"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "data" / "runtime"),
        "WORKBENCH_HOME": str(workspace.root),
    }


def _write(path: Path, value: dict[str, Any]) -> None:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def _below(root: Path, path: str) -> bool:
    return not path.startswith("-") and (root / path).is_file() and (root / path).resolve().is_relative_to(root)


def _first(root: Path) -> str:
    return quote(next((path for path in OPENED if (root / path).exists()), "notebooks"))
