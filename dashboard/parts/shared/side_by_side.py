"""What Explain looks into: a model with a text, or two of these side by side."""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import streamlit as st

from workbench.explain.base_model import load_base_model
from workbench.explain.capture import Attention, attention_of, capture_encoder_decoder
from workbench.explain.hooks import MODEL_LOCK
from workbench.explain.instance import Instance
from workbench.explain.targets import TargetSpec, resolve_target
from workbench.inference.cache import PredictorCache
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.workspace import Workspace

_MOST_KEPT = 60
_BATCH = 8
LEAST_KEPT = 2**30  # bytes of models that stay in memory on a small machine, too
_KEPT = "explain.kept"


@dataclass(frozen=True)
class Side:
    """One model and what it reads.

    Args:
        name: for people: a run's title, "its base", "the other text".
        run: whose model it is, or whose base.
        predictor: the model.
        given: the texts by role.
        what: which model: the run's id, with a mark when its base is meant.
    """

    name: str
    run: Run
    predictor: Predictor
    given: dict[str, str]
    what: str

    @property
    def text(self) -> str:
        return next(iter(self.given.values()))

    @property
    def pair(self) -> str | None:
        return list(self.given.values())[1] if len(self.given) > 1 else None

    @property
    def key(self) -> str:
        """Tells this model with this text from all others."""
        return hashlib.sha256(json.dumps([self.what, self.given]).encode()).hexdigest()

    def instance(self) -> Instance:
        """The text as the model sees it. Raises WorkbenchError."""
        return Instance(self.predictor, self.text, self.pair)

    def target_spec(self, target: str | None = None, word: int | None = None) -> TargetSpec:
        """What is explained, and what the model says; by default that."""
        return computed(lambda: resolve_target(self.instance(), target, word), "target_spec", self.key, target, word)

    @property
    def seconds(self) -> float:
        """How long the model takes for a text of a batch, so that what takes long can say so beforehand."""

        def measured() -> float:
            instance = self.instance()
            kept = np.ones((_BATCH, len(instance.encoded.tokens)), dtype=bool)
            target = resolve_target(instance).target
            start = time.perf_counter()
            instance.masked_probabilities(kept, target)
            return (time.perf_counter() - start) / _BATCH

        return float(computed(measured, "seconds", self.key))

    @property
    def writes_another(self) -> bool:
        """Whether the model reads one text and writes another: it then has three kinds of attention."""
        return bool(getattr(self.predictor.model.config, "is_encoder_decoder", False))

    def attention(self, kind: str = "encoder") -> Attention:
        """All the model's attention; that of the last few texts stays in memory.

        Args:
            kind: of a model that reads one text and writes another: ``encoder``, ``decoder`` or ``cross``.
        """
        return _attention(self.key, kind if self.writes_another else "", self)


# -- models and their attention stay in memory for a while ----------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _models() -> PredictorCache:
    """Shared by all who look: at most an eighth of the machine's memory together, or a gigabyte."""
    return PredictorCache(max(psutil.virtual_memory().total // 8, LEAST_KEPT))


def load(run: Run) -> Predictor:
    """The run's model; those used last stay in memory. Raises WorkbenchError."""

    def loaded() -> Predictor:
        with st.spinner("Loading the model ..."):
            return Predictor.load(run)

    return _models().get((run.id, changed(run), str(run.folder.parent)), loaded)


@st.cache_resource(max_entries=1, show_spinner="Loading the base ...")
def _base(run_id: str, changed: int, root: str) -> Predictor:
    run = Run.open(run_id, Workspace.current())
    return load_base_model(run, load(run))


def load_base(run: Run) -> Predictor:
    """What the run began with. Raises WorkbenchError."""
    return _base(run.id, changed(run), str(run.folder.parent))


@st.cache_resource(max_entries=3, show_spinner="Reading the text ...")
def _attention(key: str, kind: str, _side: Side) -> Attention:
    read = _side.predictor
    with MODEL_LOCK:
        if not kind:
            return attention_of(read.model, _side.instance().encoded)
        found = capture_encoder_decoder(read.model, read.tokenizer, _side.text, max_length=read.max_length)
    return {"encoder": found.encoder, "decoder": found.decoder}.get(kind) or found.cross_as_pair()


def changed(run: Run) -> int:
    """When the run was finished, as a number that differs when it was done again."""
    report = run.folder / "report.json"
    return report.stat().st_mtime_ns if report.exists() else 0


# -- what was computed stays in the session -------------------------------------------------------------------------


def kept(*key: object) -> Any:
    """What was computed under this key in this session; None when nothing was, or it is long ago."""
    return _store().get(_name(key))


def keep(value: Any, *key: object) -> Any:
    """Keep ``value`` under this key, and give it back."""
    store = _store()
    store[_name(key)] = value
    while len(store) > _MOST_KEPT:
        store.popitem(last=False)
    return value


def computed(make: Callable[[], Any], *key: object) -> Any:
    """What is kept under this key, made now where it is not."""
    found = kept(*key)
    return keep(make(), *key) if found is None else found


def _store() -> OrderedDict[str, Any]:
    return st.session_state.setdefault(_KEPT, OrderedDict())


def _name(key: tuple[object, ...]) -> str:
    return json.dumps(key, default=str)
