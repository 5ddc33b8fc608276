"""``workbench lab``: JupyterLab on the course, with this environment's Python, offline, for this machine only."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from workbench.cli.output import console
from workbench.course_files import copy_course, course_root, is_checkout
from workbench.errors import MissingPackageError, RequestError
from workbench.files import SHARED, storage_errors, write_json
from workbench.i18n import _
from workbench.types import JsonObject
from workbench.workspace import Workspace

# What is opened first: the first of these that exists.
OPENED = ("notebooks/00_start_here.ipynb", "notebooks/README.md")

# JupyterLab's own settings, where the user has not chosen others.
SETTINGS: JsonObject = {
    # It would ask at its first start whether it may fetch news.
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    # Texts are for reading here.
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}},
}


def lab_command(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="A notebook to open. What follows `--` is passed on to JupyterLab.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; the next free one if it is taken.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Open the course in JupyterLab.

    JupyterLab listens to this machine only, and its address holds a token.
    """
    from importlib.util import find_spec

    if find_spec("jupyterlab") is None:
        raise MissingPackageError("jupyterlab", "to open notebooks")
    workspace = Workspace.current()
    command = jupyter_command(_root(workspace), browser, port, arguments or [])
    os.execve(command[0], command, jupyter_environment(workspace))


def _root(workspace: Workspace) -> Path:
    """Return the folder to work in: a checkout, or the user's own copy of the installed course."""
    root = course_root()
    if is_checkout():
        return root
    if not (root / "notebooks").is_dir():
        raise RequestError(f"There are no notebooks in {root}.", "Install the workbench again, or use a checkout.")
    copy = copy_course(workspace)
    console.print(_("Your copy of the course: {folder}").format(folder=copy), markup=False, soft_wrap=True)
    return copy


def jupyter_command(root: Path, browser: bool, port: int, arguments: list[str]) -> list[str]:
    """Return the command that starts JupyterLab.

    Args:
        root: the folder that JupyterLab shows.
        browser: open one.
        port: the first to try.
        arguments: the user's own; a setting among them replaces ours. The first that is a file below ``root`` is
            opened.
    """
    opened = next((path for path in arguments if _is_below(root, path)), None)
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
    chosen = {argument.partition("=")[0] for argument in arguments}
    flags = [f"--{name}={value}" for name, value in settings.items() if f"--{name}" not in chosen]
    return [sys.executable, "-m", "jupyter", "lab", *flags, *arguments]


def jupyter_environment(workspace: Workspace) -> dict[str, str]:
    """Return the environment of JupyterLab, and make the folders that it names.

    Everything that Jupyter stores (settings, layouts, history) stays in the workspace: the course does not change the
    user's own Jupyter, and a setting there (another kernel, an open address, no token) does not change the course.

    Args:
        workspace: where it is stored.
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


def _write(path: Path, value: JsonObject) -> None:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value, SHARED)


def _is_below(root: Path, path: str) -> bool:
    return not path.startswith("-") and (root / path).is_file() and (root / path).resolve().is_relative_to(root)


def _first(root: Path) -> str:
    return quote(next((path for path in OPENED if (root / path).exists()), "notebooks"))
