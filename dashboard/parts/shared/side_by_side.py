"""What Explain and Playground look at: a model with a text, or two of them side by side."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass

import numpy as np
import streamlit as st

from dashboard.parts.shared import session_cache
from dashboard.parts.shared.text import md
from workbench.explain.base_model import load_base_model
from workbench.explain.capture import Attention, attention_of, capture_encoder_decoder
from workbench.explain.hooks import MODEL_LOCK
from workbench.explain.instance import Instance
from workbench.explain.targets import TargetSpec, resolve_target
from workbench.i18n import _
from workbench.inference.cache import PredictorCache
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.system.cgroups import memory_of
from workbench.workspace import Workspace

MIN_MODEL_BYTES = 2**30  # of models that stay in memory, on a small machine as well
_BATCH_SIZE = 8


@dataclass(frozen=True)
class Side:
    """One model and the text that it reads.

    Attributes:
        name: as people see it: a run's title, "base model", "other text".
        run: whose model it is, or whose base model.
        predictor: the model.
        inputs: the texts by role.
        model_key: identifies the model: the run's id, with a suffix for its base model.
    """

    name: str
    run: Run
    predictor: Predictor
    inputs: dict[str, str]
    model_key: str

    @property
    def text(self) -> str:
        """The first text."""
        return next(iter(self.inputs.values()))

    @property
    def pair(self) -> str | None:
        """The second text of a pair."""
        return list(self.inputs.values())[1] if len(self.inputs) > 1 else None

    @property
    def key(self) -> str:
        """A hash of the model and its inputs."""
        return hashlib.sha256(json.dumps([self.model_key, self.inputs]).encode()).hexdigest()

    @property
    def is_run(self) -> bool:
        """Whether the model is the run's own and not its base model."""
        return self.model_key == self.run.id

    def instance(self) -> Instance:
        """Return the text as the model sees it.

        Raises:
            WorkbenchError: the model cannot read the text.
        """
        return Instance(self.predictor, self.text, self.pair)

    def target_spec(self, target: str | None = None, word: int | None = None) -> TargetSpec:
        """Return what is explained and the model's prediction.

        Args:
            target: a label, an answer or a token; by default the prediction.
            word: index of the word whose label is explained.
        """
        return session_cache.get_or_compute(
            lambda: resolve_target(self.instance(), target, word), "target_spec", self.key, target, word
        )

    @property
    def seconds(self) -> float:
        """The time that the model takes for one text of a batch; long tasks announce their time with it."""

        def measure() -> float:
            instance = self.instance()
            mask = np.ones((_BATCH_SIZE, len(instance.encoded.tokens)), dtype=bool)
            target = resolve_target(instance).target
            start = time.perf_counter()
            instance.masked_probabilities(mask, target)
            return (time.perf_counter() - start) / _BATCH_SIZE

        return session_cache.get_or_compute(measure, "seconds", self.key)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model reads one text and generates another; it then has three kinds of attention."""
        return bool(getattr(self.predictor.model.config, "is_encoder_decoder", False))

    @property
    def num_layers(self) -> int:
        """The number of the model's layers."""
        return int(getattr(self.predictor.model.config, "num_hidden_layers", 6))

    def attention(self, kind: str = "encoder") -> Attention:
        """Return all of the model's attention; that of the last few texts stays in memory.

        Args:
            kind: kind of attention in an encoder-decoder model: ``encoder``, ``decoder`` or ``cross``.
        """
        with st.spinner(_("Reading the text ...")):
            return _attention(self.key, kind if self.is_encoder_decoder else "", self)


def show_name(sides: list[Side], side: Side) -> None:
    """Show the name of a side above its results, where there are two sides.

    Args:
        sides: one or two.
        side: one of them.
    """
    if len(sides) > 1:
        st.markdown(f"**{md(side.name, 80)}**")


# -- models and their attention stay in memory for a while ----------------------------------------------------------


@st.cache_resource(show_spinner=False)
def _models() -> PredictorCache:
    """Return the models of all sessions: at most an eighth of the machine's memory, or a gigabyte."""
    return PredictorCache(max(memory_of().total_bytes // 8, MIN_MODEL_BYTES))


def load(run: Run) -> Predictor:
    """Load a run's model, or return it from memory if it was used recently.

    Args:
        run: a finished run.

    Raises:
        WorkbenchError: the run has no model.
    """

    def read() -> Predictor:
        with st.spinner(_("Loading the model ...")):
            return Predictor.load(run)

    return _models().get((run.id, version_of(run), str(run.folder.parent)), read)


@st.cache_resource(max_entries=1, show_spinner=False)
def _base(run_id: str, version: int, root: str) -> Predictor:
    run = Run.open(run_id, Workspace.current())
    return load_base_model(run, load(run))


def load_base(run: Run) -> Predictor:
    """Load the model that a run started from.

    Args:
        run: a finished run.

    Raises:
        WorkbenchError: it cannot be loaded.
    """
    with st.spinner(_("Loading the base model ...")):
        return _base(run.id, version_of(run), str(run.folder.parent))


@st.cache_resource(max_entries=3, show_spinner=False)
def _attention(key: str, kind: str, _side: Side) -> Attention:
    predictor = _side.predictor
    with MODEL_LOCK:
        if not kind:
            return attention_of(predictor.model, _side.instance().encoded)
        captured = capture_encoder_decoder(
            predictor.model, predictor.tokenizer, _side.text, max_length=predictor.max_length
        )
    return {"encoder": captured.encoder, "decoder": captured.decoder}.get(kind) or captured.cross_as_pair()


def version_of(run: Run) -> int:
    """Return when the run finished, as a number that changes when it is run again.

    Args:
        run: the run.
    """
    report = run.report_file
    return report.stat().st_mtime_ns if report.exists() else 0
