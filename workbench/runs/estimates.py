"""What a run is expected to cost, as a few real steps on this machine told it, and how that compares with the truth.

An estimate is kept in the workspace (``estimates/``) by what its spec asks for. A run of the same spec takes a copy
into its folder (``estimate.json``) when it begins, and ``report.json`` ends with it: a wrong estimate can be seen.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from workbench.files import read_json, write_json
from workbench.machine import describe, gpu_names
from workbench.spec import RunSpec
from workbench.workspace import Workspace

FOLDER = "estimates"  # in the workspace
FILE = "estimate.json"  # in a run's folder
# What changes neither time nor memory.
_NO_COST = ("name", "notes", "schema_version")
_SEEDS = ("seed",)


@dataclass(frozen=True)
class Expected:
    """A figure that is not known yet.

    Attributes:
        value: the best guess.
        low: it will hardly be less.
        high: it will hardly be more.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, found: Any) -> Expected:
        return cls(float(found["value"]), float(found["low"]), float(found["high"]))

    def error(self, truth: float) -> float:
        """How far the guess was off, as a share of the truth: 0.1 is a tenth too much."""
        return self.value / truth - 1


@dataclass(frozen=True)
class Estimate:
    """What a spec is expected to cost on this machine.

    Attributes:
        total_seconds: of the whole run, from reading the data to its report.
        seconds: of training alone, with its evaluations (``report.json``'s ``cost.seconds``).
        peak_memory_bytes: most memory at once: of the process, or of the GPU where there is one.
        trained_parameters: how many weights move.
        total_parameters: how many the model has.
        steps: optimizer steps of the run.
        seconds_per_step: a step, evaluation left out.
        evaluations: how often the validation part is evaluated in training.
        seconds_per_evaluation: each time.
        measured_steps: how many real steps all this rests on.
        took_seconds: that the measurement took.
        device: that it was made on.
        machine: the processor, and what else says whether the estimate holds here.
        notes: sentences on what it leaves out.
    """

    total_seconds: Expected
    seconds: Expected
    peak_memory_bytes: Expected
    trained_parameters: int
    total_parameters: int
    steps: int
    seconds_per_step: float
    evaluations: int
    seconds_per_evaluation: float
    measured_steps: int
    took_seconds: float
    device: str
    machine: str
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, found: Any) -> Estimate | None:
        """An estimate from what was stored; None when it is none."""
        if not isinstance(found, dict):
            return None
        try:
            known = {each.name: found[each.name] for each in fields(cls)}
            for name in ("total_seconds", "seconds", "peak_memory_bytes"):
                known[name] = Expected.of(known[name])
            return cls(**known)
        except (KeyError, TypeError, ValueError):
            return None


@cache
def this_machine() -> str:
    """What an estimate holds for: the processor with its cores, and the GPUs."""
    cpu = describe()["cpu"]
    return ", ".join([f"{cpu['name']} ({cpu['cores']} cores)", *gpu_names()])


def fingerprint(spec: RunSpec) -> str:
    """A name for all that time and memory depend on in a whole spec (``workbench.check.resolve``), this machine too."""
    document = spec.model_dump(mode="json", exclude=set(_NO_COST))
    for name in _SEEDS:
        document["training"].pop(name, None)
    files = [_version_of(getattr(spec.data, part)) for part in ("train", "valid", "test")]
    text = json.dumps([document, files, this_machine()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _version_of(file: str | None) -> list[int]:
    """What differs when a file has been changed; empty for what is no file."""
    if file is None or not os.path.isfile(file):
        return []
    found = os.stat(file)
    return [found.st_size, found.st_mtime_ns]


def save(estimate: Estimate, spec: RunSpec, workspace: Workspace) -> None:
    """Remember an estimate for runs of this spec. Raises StorageError."""
    folder = workspace.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{fingerprint(spec)}.json", estimate.as_dict())


def find(spec: RunSpec, workspace: Workspace) -> Estimate | None:
    """The last estimate that was made here for a whole spec; None when there is none."""
    return Estimate.of(read_json(workspace.root / FOLDER / f"{fingerprint(spec)}.json"))


def copy_to_run(spec: RunSpec, workspace: Workspace, folder: Path) -> None:
    """Copy what was expected of a run into its folder, once: a resumed run keeps what was said before it began."""
    if not (folder / FILE).exists() and (found := find(spec, workspace)) is not None:
        write_json(folder / FILE, found.as_dict())


def read(folder: Path) -> Estimate | None:
    """What was expected of the run in ``folder``."""
    return Estimate.of(read_json(folder / FILE))


def with_errors(estimate: Estimate | None, cost: dict[str, Any]) -> dict[str, Any] | None:
    """``report.json``'s part ``estimate``: what was expected, and the share by which each guess was off.

    Args:
        estimate: what was said before.
        cost: the report's part ``cost``.
    """
    if estimate is None:
        return None
    errors = {}
    for name in ("total_seconds", "seconds", "peak_memory_bytes"):
        truth = cost.get(name)
        if isinstance(truth, int | float) and truth > 0:
            errors[name] = round(getattr(estimate, name).error(truth), 4)
    return {**estimate.as_dict(), "errors": errors}
