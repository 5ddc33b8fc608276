"""How much each layer matters: what is lost when a text goes past it, over many texts.

A layer adds something to the state of each token. Leaving the layer out means that its output is its input, as if it
had nothing to add; the layers behind it read what the layers before it wrote. Nothing is trained after that (compare
Fan et al. 2020, "Reducing Transformer Depth on Demand with Structured Dropout", section 4.3).
"""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.instance import Instance, Predictor
from workbench.explain.patching import asked_with, layers_of, output_changed, states_of
from workbench.explain.targets import resolve_target

READING = (
    "How far the answer's probability falls when a layer is left out, one layer at a time, nothing being trained after "
    "that. Two layers that do the same can each be missed without loss."
)


@dataclass(frozen=True)
class LayerImportance:
    """How much each layer matters.

    Attributes:
        texts: over how many.
        importance: [layers], how far the probability of the model's own answer falls without the layer, on average.
        low, high: [layers], bounds of the 95% interval of that mean over texts (percentile bootstrap).
    """

    texts: int
    importance: list[float]
    low: list[float]
    high: list[float]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """A line a layer, for people."""
        rows = zip(self.importance, self.low, self.high, strict=True)
        return [f"layer {i}: {fall:+.3f} ({low:+.3f} to {high:+.3f})" for i, (fall, low, high) in enumerate(rows)]

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in self.lines())
        return f"<p>{html.escape(READING)}</p><ul style='font-variant-numeric:tabular-nums'>{items}</ul>"


def layer_importance(
    predictor: Predictor,
    examples: Sequence[dict[str, str]],
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> LayerImportance:
    """Leave out every layer in turn, for each of ``examples``, and look at the answer that the whole model gives.

    Args:
        predictor: a loaded run.
        examples: ``{"text": ...}``, of pairs also ``"text_pair"``.
        progress: told how many of how many are done.
        seed: of the bootstrap.

    Raises:
        RequestError: there are no examples, or the model has no layers that can be told apart.
    """
    if not examples:
        raise RequestError("There are no texts to measure layers on.", "Give a list of some.")
    rows = []
    for number, example in enumerate(examples):
        rows.append(_falls(Instance(predictor, example["text"], example.get("text_pair"))))
        if progress is not None:
            progress(number + 1, len(examples))
    falls = np.stack(rows)
    draw = np.random.default_rng(seed).integers(len(falls), size=(2000, len(falls)))
    low, high = np.quantile(falls[draw].mean(1), [0.025, 0.975], axis=0)
    return LayerImportance(len(falls), falls.mean(0).tolist(), low.tolist(), high.tolist())


def _falls(instance: Instance) -> NDArray[np.float64]:
    """[layers]: how far the answer's probability falls without each layer."""
    layers, target = layers_of(instance.model), resolve_target(instance).target
    states = states_of(instance, layers)
    whole = float(instance.masked_probabilities(np.ones((1, len(instance.encoded.tokens)), dtype=bool), target)[0])
    without = [
        asked_with(instance, target, 1, output_changed(layers, number, partial(_instead, before)))[0]
        for number, before in enumerate(states[:-1], start=1)
    ]
    return whole - np.array(without)


def _instead(state: torch.Tensor, _output: torch.Tensor) -> torch.Tensor:
    """What would have gone into the layer comes out of it."""
    return state
