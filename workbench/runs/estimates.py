"""What a run is expected to cost, measured by a few real steps on this machine, compared with the actual cost.

An estimate is stored in the workspace (``estimates/``) under a hash of its spec. A run of the same spec copies it into
its folder (``estimate.json``) when it begins, and ``report.json`` ends with it, so that a wrong estimate can be seen.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path

from workbench.files import read_json, write_json
from workbench.runs.documents import Cost, Estimate
from workbench.spec import RunSpec
from workbench.system.machine import describe, gpu_names
from workbench.workspace import Workspace

FOLDER = "estimates"  # in the workspace
FILE = "estimate.json"  # in a run's folder
# What changes neither time nor memory.
_NO_COST = ("name", "notes", "schema_version")
_SEEDS = ("seed",)


@cache
def this_machine() -> str:
    """Return what an estimate is valid for: the processor with its cores, and the GPUs."""
    cpu = describe()["cpu"]
    return ", ".join([f"{cpu['name']} ({cpu['cores']} cores)", *gpu_names()])


def fingerprint(spec: RunSpec) -> str:
    """Return a hash of everything that time and memory depend on, this machine included.

    Args:
        spec: a resolved spec (:func:`workbench.check.resolve`).
    """
    document = spec.model_dump(mode="json", exclude=set(_NO_COST))
    for name in _SEEDS:
        document["training"].pop(name, None)
    files = [_file_version(getattr(spec.data, split)) for split in ("train", "valid", "test")]
    text = json.dumps([document, files, this_machine()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _file_version(file: str | None) -> list[int]:
    """Return a text that changes when the file changes; empty if there is no such file."""
    if file is None or not os.path.isfile(file):
        return []
    stat = os.stat(file)
    return [stat.st_size, stat.st_mtime_ns]


def save(estimate: Estimate, spec: RunSpec, workspace: Workspace) -> None:
    """Store an estimate for runs of this spec.

    Args:
        estimate: what was measured.
        spec: a resolved spec.
        workspace: where to store it.

    Raises:
        StorageError: the disk is full or read-only.
    """
    folder = workspace.root / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder / f"{fingerprint(spec)}.json", estimate.as_dict())


def find(spec: RunSpec, workspace: Workspace) -> Estimate | None:
    """Return the last estimate that was made on this machine for a spec; None when there is none.

    Args:
        spec: a resolved spec.
        workspace: where it was stored.
    """
    return Estimate.read(read_json(workspace.root / FOLDER / f"{fingerprint(spec)}.json"))


def copy_to_run(spec: RunSpec, workspace: Workspace, folder: Path) -> None:
    """Copy the estimate of a spec into a run's folder, once: a resumed run keeps what was expected before it began.

    Args:
        spec: a resolved spec.
        workspace: where the estimate was stored.
        folder: folder of the run.
    """
    if not (folder / FILE).exists() and (estimate := find(spec, workspace)) is not None:
        write_json(folder / FILE, estimate.as_dict())


def read(folder: Path) -> Estimate | None:
    """Return what the run in ``folder`` was expected to cost."""
    return Estimate.read(read_json(folder / FILE))


def with_errors(estimate: Estimate | None, cost: Cost) -> Estimate | None:
    """Return an estimate with the fraction of the truth by which each guess was off.

    Args:
        estimate: what was expected; None for nothing.
        cost: what the run took.
    """
    if estimate is None:
        return None
    errors = {}
    for name in ("total_seconds", "seconds", "peak_memory_bytes"):
        truth = getattr(cost, name)
        if truth is not None and truth > 0:
            errors[name] = round(getattr(estimate, name).relative_error(truth), 4)
    return estimate.model_copy(update={"errors": errors})
