"""The names of runs: which folders are runs, and how a new one is named and begun."""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.files import TEMPORARY_PREFIX, is_safe_name
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def run_names(workspace: Workspace) -> tuple[list[str], list[str]]:
    """Return the names of a workspace's runs, and what else is in their folder, both sorted.

    A run is a folder whose name :meth:`Workspace.run_folder` accepts: what is listed can be opened.

    Args:
        workspace: whose runs.
    """
    runs: list[str] = []
    others: list[str] = []
    try:
        with os.scandir(workspace.runs) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                is_run = is_safe_name(entry.name) and entry.is_dir(follow_symlinks=False)
                (runs if is_run else others).append(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    return sorted(runs), sorted(others)


def new_folder(runs: Path, stem: str) -> tuple[Path, Path]:
    """Return an empty draft folder of our own, and the free name that it will get.

    The draft is created before the name is checked: another process with the same name has either renamed its draft by
    then, or still has it.

    Args:
        runs: the folder of all runs.
        stem: beginning of the name.
    """
    runs.mkdir(parents=True, exist_ok=True)
    while True:
        run_id = f"{stem}-{secrets.token_hex(2)}"
        draft = runs / f"{TEMPORARY_PREFIX}{run_id}"
        try:
            draft.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if not (runs / run_id).exists():
            return draft, runs / run_id
        draft.rmdir()


def first_status(spec: RunSpec, now: datetime, order: float) -> dict[str, Any]:
    """Return the status of a new run, with the fields of its spec that a list of runs shows.

    Args:
        spec: what will run.
        now: the time of creation.
        order: position in the queue.
    """
    return {
        "state": "queued",
        "created": now.isoformat(),
        "order": order,
        "title": spec.name or "",
        "kind": spec.kind,
        "task": spec.task.name,
        "model": spec.model.source,
        "data": spec.data.train,
        "tuning": spec.tuning.method,
        "group": spec.group,
        "trial": spec.trial,
        "seed": spec.training.seed,
    }


def kind_prefix(spec: RunSpec) -> list[str]:
    """Return what the name of a run starts with when it is not a training.

    Args:
        spec: what will run.
    """
    return [] if spec.kind == "training" else [spec.kind.removeprefix("learning-rate-")]
