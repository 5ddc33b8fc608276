"""Execute a notebook of the course without network and collect its outputs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient

from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import fetch
from workbench.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).parent / "guard"
SECONDS = 600  # for one cell, on a busy machine
# Deprecation warnings, including those that libraries log.
DEPRECATION = re.compile(r"(?:Deprecation|Future)Warning|\bis deprecated\b|\bwill be (?:deprecated|removed)\b")


def block_network(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Block the network for processes started from now on; return the file to which they write their attempts."""
    attempts = folder / "attempts.txt"
    paths = [str(GUARD), str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("WORKBENCH_TEST_ATTEMPTS", str(attempts))
    return attempts


def fetch_named_entries(source: str, workspace: Workspace) -> list[str]:
    """Fetch every catalogue entry that a text names, before the network is blocked; return their names."""
    kinds = catalogue()
    names = [name for kind in (kinds.datasets, kinds.models, kinds.assets) for name in kind if f'"{name}"' in source]
    if "bertviz" in source:
        names += kinds.assets
    for name in names:
        fetch(name, workspace)
    return names


def execute(notebook: Any, folder: Path) -> None:
    """Run all cells from top to bottom and save their outputs in the notebook; raise an error if a cell fails."""
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()


def cell_outputs(notebook: Any) -> str:
    """Return the text of all cell outputs."""
    return "\n".join(_text_of(output) for cell in notebook.cells for output in cell.get("outputs", []))


def run_logs(workspace: Workspace) -> str:
    """Return the logs of all runs."""
    logs = workspace.runs.glob("*/log.txt") if workspace.runs.exists() else []
    return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in sorted(logs))


def _text_of(output: Any) -> str:
    """Return the text of an output, without images."""
    data = output.get("data", {})
    page = re.sub(r"data:image/[^\"']+", "", str(data.get("text/html", "")))
    return "\n".join([str(output.get("text", "")), str(data.get("text/plain", "")), page])
