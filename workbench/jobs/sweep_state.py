"""``state.json`` of a sweep: what it holds, and how it is read when it is damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

from pydantic import AfterValidator, Field, ValidationError

from workbench.files import read_json, safe_name
from workbench.runs.document import Document
from workbench.runs.documents import Number, RunError, Whole
from workbench.spec_versions import upgrade_paths
from workbench.types import Json

TrialOutcome = Literal["waiting", "running", "succeeded", "failed", "stopped", "pruned"]
SweepOutcome = Literal["running", "succeeded", "failed", "stopped"]
OPEN: tuple[TrialOutcome, ...] = ("waiting", "running")  # states of a trial that has not ended
FILE = "state.json"
MAX_STATE_BYTES = 2**28  # of state.json, which has a few hundred bytes for each trial


class Trial(TypedDict):
    """One choice of values, as ``state.json`` and ``--json`` hold it.

    ``value`` is the mean of ``figures``, the validation metric of each seed (None for a seed without one). ``runs``
    has the run of each seed, ``resumed`` how often each was resumed, ``seen`` how many evaluations the pruner has
    seen. Where only seeds vary, ``failed`` lists those whose run has failed while the others continued.
    """

    number: int
    values: dict[str, Json]
    state: TrialOutcome
    value: float | None
    runs: dict[str, str]
    figures: dict[str, float | None]
    resumed: dict[str, int]
    seen: int
    error: dict[str, str] | None
    failed: NotRequired[list[str]]


class SweepState(TypedDict):
    """``state.json``. ``resuming`` is there until the next step after a sweep was resumed."""

    state: SweepOutcome
    created: str | None
    metric: str
    maximize: bool
    confined: bool
    error: dict[str, str] | None
    trials: list[Trial]
    resuming: NotRequired[bool]


RunId = Annotated[str, AfterValidator(safe_name)]


class _Trial(Document):
    """A trial, checked: one that is not complete is left out."""

    number: Whole
    values: dict[str, Any]
    state: TrialOutcome
    value: Number | None
    runs: dict[str, RunId]
    figures: dict[str, Number | None]
    resumed: dict[str, Whole]
    seen: Whole
    error: RunError | None
    failed: list[str] = Field(default_factory=list)


class _State(Document):
    """The fields of a state besides its trials."""

    state: SweepOutcome
    created: str | None
    metric: str
    maximize: bool
    confined: bool
    error: RunError | None
    resuming: bool = False


def empty_trial(number: int, values: Mapping[str, Json]) -> Trial:
    """Return a trial that has no run yet.

    Args:
        number: from 0.
        values: values of the fields that vary.
    """
    return {
        "number": number,
        "values": dict(values),
        "state": "running",
        "value": None,
        "runs": {},
        "figures": {},
        "resumed": {},
        "seen": 0,
        "error": None,
    }


def read_state(folder: Path) -> SweepState:
    """Return ``state.json`` of a sweep. What is missing has its default.

    A damaged file is a failed sweep, with the trials that can be read and an error that names the file.

    Args:
        folder: the sweep's.
    """
    state: SweepState = {
        "state": "failed",
        "created": None,
        "metric": "",
        "maximize": True,
        "confined": False,
        "error": None,
        "trials": [],
    }
    document = read_json(folder / FILE, MAX_STATE_BYTES)
    stored = document if isinstance(document, dict) else {}
    listed = stored.get("trials", [])
    trials = [_trial(entry) for entry in listed] if isinstance(listed, list) else [None]
    state["trials"] = [trial for trial in trials if trial is not None]
    try:
        checked = _State.model_validate({**state, **{name: stored[name] for name in stored if name != "trials"}})
        state.update(cast(SweepState, {**checked.as_dict(), "trials": state["trials"], "error": _error(checked.error)}))
        damaged = not stored or len(state["trials"]) < len(trials)
    except ValidationError:
        damaged = True
    if damaged:
        state["state"] = "failed"
        state["error"] = {
            "kind": "DamagedSweep",
            "message": f"{folder.name}/{FILE} is missing or damaged: {len(state['trials'])} trials can be read.",
            "hint": "Restore the file, or resume the sweep: it finds its runs again.",
        }
    return state


def _trial(entry: object) -> Trial | None:
    """Return a trial with its defaults; None for something else."""
    if not isinstance(entry, dict):
        return None
    try:
        checked = _Trial.model_validate({**empty_trial(-1, {}), **entry})
        trial = checked.as_dict()
        trial |= {"values": upgrade_paths(checked.values), "error": _error(checked.error)}
        is_complete = checked.number >= 0 and (checked.value is None or bool(checked.runs))
        return cast(Trial, trial) if is_complete else None
    except Exception:  # an unsafe name of a run, or values that are no fields
        return None


def _error(error: RunError | None) -> dict[str, str] | None:
    """Return an error with all its fields, which those who show it expect."""
    return None if error is None else {"kind": error.kind, "message": error.message, "hint": error.hint}
