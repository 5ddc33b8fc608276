"""Documents of a run as somebody's editor, another program or a broken disk may leave them: generated from the schemas.

A mutation takes the valid documents of a run and changes one value of one of them, at a path that the pydantic class of
the document has: another type, a number that nothing can hold, text that nothing can print, a missing or an added key.
Or it replaces the bytes of a file.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from hypothesis import strategies as st
from pydantic import BaseModel

from workbench.runs.documents import BaseNote, Environment, Estimate, Report, Splits, Status

OLD_RUN = Path(__file__).parents[2] / "old_runs" / "seed-0"
CLASSES: dict[str, type[BaseModel] | None] = {
    "status.json": Status,
    "report.json": Report,
    "notes.json": None,
    "environment.json": Environment,
    "splits.json": Splits,
    "model/workbench.json": BaseNote,
    "estimate.json": Estimate,
    "data.json": None,
}
NOTES = {"tags": ["paper"], "notes": "compare with the long one", "archived": False}
PROGRESS = {"phase": "training", "step": 40, "steps": 120, "epoch": 0.7, "seconds_left": 12.5, "done": 1, "total": 3}
ERROR = {"kind": "Data", "message": "row 3 is empty", "hint": "Fill it."}


def valid_documents() -> dict[str, Any]:
    """Return the documents of a run by the names of their files, with every field that a class has."""
    documents = {
        name: json.loads((OLD_RUN / name).read_text(encoding="utf-8")) if (OLD_RUN / name).exists() else {}
        for name in CLASSES
    }
    documents["status.json"] |= {"order": 1.5, "claimed": 3.0, "slot": 0, "progress": PROGRESS, "error": ERROR}
    documents["notes.json"] = NOTES
    interval = {"value": 3.0, "low": 2.0, "high": 4.0}
    estimate = {name: interval for name in ("total_seconds", "seconds", "peak_memory_bytes")}
    numbers = ("trained_parameters", "total_parameters", "steps", "evaluations", "measured_steps")
    estimate |= dict.fromkeys(numbers, 7) | {
        "seconds_per_step": 0.5,
        "seconds_per_evaluation": 1.5,
        "took_seconds": 9.0,
    }
    documents["estimate.json"] = estimate | {"device": "cpu", "machine": "one", "notes": ["a note"]}
    documents["report.json"] |= {
        "estimate": documents["estimate.json"] | {"errors": {"seconds": 0.1}},
        "range_test": {
            **{"suggestion": 0.001, "how": "steepest", "steepest": 0.002, "minimum": 0.1, "minimum_tenth": 0.01},
            **{"fall": 0.3, "diverged_at": 90, "rates": [1e-4, 1e-3], "losses": [1.0, 0.5], "smoothed": [1.0, 0.6]},
        },
        "pruning": {"source": "x", "heads_cut": 2, "heads_kept": [[0]], "before": {"metrics": {"accuracy": 0.5}}},
    }
    documents["model/workbench.json"] = {
        "base": {"source": "minilm", "fingerprint": "f"},
        "adapter": True,
        "labels": ["a"],
    }
    return documents


VALID = valid_documents()


def paths(model: type[BaseModel] | None, document: Any, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the paths of the fields of a class and of the keys of a document."""
    fields = model.model_fields if model else {}
    keys = [*fields, *(document if isinstance(document, dict) else ())]
    result = []
    for key in dict.fromkeys(keys):
        result.append((*prefix, key))
        inner = _model_of(fields[key].annotation) if key in fields else None
        value = document.get(key) if isinstance(document, dict) else None
        if inner is not None or isinstance(value, dict):
            result += paths(inner, value, (*prefix, key))
    return result


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the class of a part among the classes of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_of, get_args(annotation))), None)


PATHS = {name: paths(model, VALID[name]) for name, model in CLASSES.items()}


@dataclass(frozen=True)
class Mutation:
    """A change of one file.

    Attributes:
        file: its name in the folder of the run.
        path: keys of the value that is replaced; None to replace the bytes of the file.
        value: the new value, or the bytes; ``DELETE`` to remove the key.
    """

    file: str
    path: tuple[str, ...] | None
    value: Any

    def apply(self, folder: Path) -> None:
        """Write all documents of a run, with the change in one of them."""
        for name, document in VALID.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self._content(document) if name == self.file else json.dumps(document).encode())

    def _content(self, document: Any) -> bytes:
        if self.path is None:
            return self.value
        document = node = copy.deepcopy(document)
        for key in self.path[:-1]:
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        if self.value is DELETE:
            node.pop(self.path[-1], None)
        else:
            node[self.path[-1]] = self.value
        return json.dumps(document, ensure_ascii=True).encode()


DELETE = object()
_texts = st.text(st.characters(exclude_categories=[]), max_size=12) | st.sampled_from(
    ["", "\ud800", "\x1b]0;x\x07", "x" * 5000, "[bold]", "../..", "=1+1", "2026-13-45T99", "0001-01-01T00:00:00+14:00",
     "NaN", "9" * 400, "running", "a\nb", "\0"]
)  # fmt: skip
_numbers = (
    st.integers() | st.floats() | st.sampled_from([0, -1, 10**400, -(10**400), 2**63, 1e308, -1e308, 1e-320, 10**18])
)
_scalars = st.none() | st.booleans() | _numbers | _texts
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3), max_leaves=6
)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


_special = st.sampled_from([DELETE, _deep(60), _deep(200), {"value": None}, {"value": "x"}, [], {}, [[]], [{}]])
_bytes = st.binary(max_size=20) | st.sampled_from(
    [b"", b"{", b"null", b"[]", b'"text"', b"[" * 5000, b"\xff\xfe", b'{"state": "running", "state": "queued"}', b"NaN"]
)


@st.composite
def mutations(draw: st.DrawFn) -> Mutation:
    """A change of one of the documents of a run."""
    file = draw(st.sampled_from(list(CLASSES)))
    if draw(st.integers(0, 9)) == 0:
        return Mutation(file, None, draw(_bytes))
    path = draw(st.sampled_from(PATHS[file]))
    if draw(st.integers(0, 9)) == 0:
        path = (*path[:-1], draw(_texts))
    return Mutation(file, path, draw(_values | _special))


STATE = json.loads((OLD_RUN.parent / "sweep" / "state.json").read_text(encoding="utf-8"))
_TRIAL_KEYS = ("number", "values", "state", "value", "runs", "figures", "resumed", "seen", "error", "failed")


@st.composite
def sweep_mutations(draw: st.DrawFn) -> bytes:
    """A changed ``state.json`` of a sweep."""
    if draw(st.integers(0, 9)) == 0:
        return draw(_bytes)
    state = copy.deepcopy(STATE)
    key = draw(st.sampled_from([*state, "resuming"]))
    if draw(st.booleans()) and state["trials"]:
        trial = draw(st.sampled_from(state["trials"]))
        name = draw(st.sampled_from(_TRIAL_KEYS))
        if isinstance(trial.get(name), dict) and draw(st.booleans()):
            trial[name][draw(_texts)] = draw(_values)
        else:
            trial[name] = draw(_values)
    else:
        state[key] = draw(_values)
    return json.dumps(state).encode()
