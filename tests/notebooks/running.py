"""A notebook of the course, run as the tests run it: at their scale, without network, with all that it says kept."""

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
# Warnings, and what libraries log instead of warning.
AGEING = re.compile(r"(?:Deprecation|Future)Warning|\bis deprecated\b|\bwill be (?:deprecated|removed)\b")


def cut_off(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Cut the network for the processes that are started from now on; the file in which they note what they tried."""
    attempts = folder / "attempts.txt"
    paths = [str(GUARD), str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("WORKBENCH_TEST_ATTEMPTS", str(attempts))
    return attempts


def fetch_what_it_names(source: str, workspace: Workspace) -> list[str]:
    """Fetch every entry of the catalogue that a text names, before the network is cut; their names."""
    kinds = catalogue()
    names = [name for kind in (kinds.datasets, kinds.models, kinds.assets) for name in kind if f'"{name}"' in source]
    if "bertviz" in source:
        names += kinds.assets
    for name in names:
        fetch(name, workspace)
    return names


def execute(notebook: Any, folder: Path) -> None:
    """Run all cells from top to bottom; their outputs are in the notebook then. Raises when a cell fails."""
    client = NotebookClient(
        notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()


def reported_by_cells(notebook: Any) -> str:
    """All that cells have printed or shown, in words."""
    return "\n".join(_text_of(output) for cell in notebook.cells for output in cell.get("outputs", []))


def reported_by_runs(workspace: Workspace) -> str:
    """The logs of all runs."""
    logs = workspace.runs.glob("*/log.txt") if workspace.runs.exists() else []
    return "\n".join(log.read_text(encoding="utf-8", errors="replace") for log in sorted(logs))


def _text_of(output: Any) -> str:
    """What an output says in words; pictures are left out."""
    shown = output.get("data", {})
    page = re.sub(r"data:image/[^\"']+", "", str(shown.get("text/html", "")))
    return "\n".join([str(output.get("text", "")), str(shown.get("text/plain", "")), page])
