"""The importance of each layer: what is lost when a text bypasses it, over many texts.

A layer adds something to the state of each token. Without the layer, its input becomes its output, as if it had nothing
to add; later layers read what earlier layers wrote. Nothing is trained afterwards (compare Fan et al. 2020, "Reducing
Transformer Depth on Demand with Structured Dropout", section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
import torch

from workbench.errors import RequestError
from workbench.explain.display import HtmlDisplay
from workbench.explain.examples import NO_TEXTS, TextInputs
from workbench.explain.hooks import intercept_layer, layers_of
from workbench.explain.instance import Instance
from workbench.explain.internals.patching import layer_states, probabilities_within
from workbench.explain.predictor import Predictor
from workbench.explain.targets import resolve_target
from workbench.i18n import _
from workbench.types import Floats, JsonObject

READING = (
    "How far the answer's probability falls when one layer at a time is left out, without training afterwards. If two "
    "layers do the same, either can be left out without loss."
)


@dataclass(frozen=True)
class LayerImportance(HtmlDisplay):
    """The importance of every layer.

    Attributes:
        texts: the number of texts.
        importance: [layers], how far the probability of the model's own answer falls without the layer, on average.
        low, high: [layers], bounds of the 95% interval of that mean over texts (percentile bootstrap).
    """

    texts: int
    importance: list[float]
    low: list[float]
    high: list[float]

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Return a line per layer, for people."""
        rows = zip(self.importance, self.low, self.high, strict=True)
        text = _("layer {layer}: {fall:+.3f} ({low:+.3f} to {high:+.3f})")
        return [text.format(layer=i, fall=fall, low=low, high=high) for i, (fall, low, high) in enumerate(rows)]


def layer_importance(
    predictor: Predictor,
    examples: Sequence[TextInputs],
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> LayerImportance:
    """Leave out every layer in turn, and measure the probability of the answer that the whole model gives.

    Args:
        predictor: a loaded run.
        examples: the texts.
        progress: receives the number of texts done, and of all.
        seed: seed of the bootstrap.

    Raises:
        RequestError: there are no examples, or the model has no list of layers.
    """
    if not examples:
        raise RequestError(NO_TEXTS, "Pass at least one text.")
    rows = []
    for number, example in enumerate(examples):
        rows.append(_falls(Instance(predictor, example["text"], example.get("text_pair"))))
        if progress is not None:
            progress(number + 1, len(examples))
    falls = np.stack(rows)
    samples = np.random.default_rng(seed).integers(len(falls), size=(2000, len(falls)))
    low, high = np.quantile(falls[samples].mean(1), [0.025, 0.975], axis=0)
    return LayerImportance(len(falls), falls.mean(0).tolist(), low.tolist(), high.tolist())


def _falls(instance: Instance) -> Floats:
    """Return [layers]: how far the answer's probability falls without each layer."""
    layers, target = layers_of(instance.model), resolve_target(instance).target
    states = layer_states(instance, layers)
    whole = instance.probability(target)
    without = [
        probabilities_within(instance, target, 1, intercept_layer(layers, number, partial(_replace, state)))[0]
        for number, state in enumerate(states[:-1], start=1)
    ]
    return whole - np.array(without)


def _replace(state: torch.Tensor, _output: torch.Tensor) -> torch.Tensor:
    """Return the layer's input in place of its output."""
    return state
