"""Logit lens: the model's prediction if it stopped after each layer (nostalgebraist 2020; Belrose et al. 2023, 2.1).

Each layer's state replaces the last layer's output, and the rest of the model runs on it: the final norm, pooler and
head are the model's own, whatever its architecture.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch

from workbench.errors import RequestError
from workbench.explain.display import HtmlDisplay
from workbench.explain.encoding import Inputs, Offsets, encode_for
from workbench.explain.hooks import evaluating, intercept_layer, layers_of, record_states
from workbench.explain.predictor import Predictor
from workbench.types import JsonObject, Model, Tokenizer

READING = (
    "Each row is the prediction of the model's own head after one layer. The head was trained on the last layer: early "
    "rows may look uncertain because the head cannot read them, not because the model knows nothing yet."
)


@dataclass(frozen=True)
class Candidate:
    """A label, or a token of the vocabulary, and its probability (0 to 1)."""

    name: str
    probability: float


@dataclass(frozen=True)
class LogitLens(HtmlDisplay):
    """The model's prediction after each layer.

    Attributes:
        tokens, shown, offsets: as in :class:`~workbench.explain.encoding.Encoded`.
        rows: [layers + 1][positions], the candidates of each, most probable first; row 0 is the embeddings. A text
            classifier has one position, any other model one per token.
        whole_text: whether the one position is the whole text.
        settled: [positions], the first layer from which on the best candidate is the last layer's.
        reading: what the picture means, in plain words.
        notes: what readers should know.
    """

    tokens: list[str]
    shown: list[str]
    offsets: Offsets
    rows: list[list[list[Candidate]]]
    whole_text: bool
    settled: list[int]
    reading: str
    notes: list[str]

    def as_dict(self) -> JsonObject:
        """Return all fields, for JSON."""
        return asdict(self)


def logit_lens(predictor: Predictor, text: str, text_pair: str | None = None, top: int = 3) -> LogitLens:
    """Compute the prediction for a text after each layer.

    Args:
        predictor: a loaded run of a classifier, a tagger or a language model.
        text: the text.
        text_pair: the second text, for a model of text pairs.
        top: candidates per position.

    Raises:
        RequestError: the model has no single list of layers, or no logits.
    """
    model, tokenizer = predictor.model, predictor.tokenizer
    encoded = encode_for(predictor, text, text_pair)
    logits = layer_logits(model, encoded.inputs)
    whole_text = logits.dim() == 2
    if whole_text:
        logits = logits[:, None]
    count = logits.shape[-1]
    probabilities = predictor.task.label_probabilities(logits)
    best = probabilities.topk(min(top, count), dim=-1)
    rows = [
        [
            [Candidate(_name(predictor.labels, tokenizer, count, i), p) for i, p in zip(ids, values, strict=True)]
            for ids, values in zip(layer_ids, layer_values, strict=True)
        ]
        for layer_ids, layer_values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    return LogitLens(
        encoded.tokens,
        encoded.shown,
        encoded.offsets,
        rows,
        whole_text,
        _settled(probabilities.argmax(-1)),
        READING,
        encoded.notes,
    )


def layer_logits(model: Model, inputs: Inputs) -> torch.Tensor:
    """Compute the logits after each layer.

    Args:
        model: a transformers model or a peft model over one.
        inputs: model inputs for one text, [1, tokens] each.

    Returns:
        [layers + 1, ...], the embeddings' first, the model's own last.

    Raises:
        RequestError: the model has no single list of layers, or no logits.
    """
    layers = layers_of(model, single_stack=True)
    with evaluating(model), torch.no_grad():
        with record_states(layers) as states:
            model(**inputs)
        stacked = torch.cat(states)
        repeated = {name: value.expand(len(stacked), -1) for name, value in inputs.items()}
        with intercept_layer(layers, len(layers), lambda _: stacked):
            output = model(**repeated)
    logits: torch.Tensor | None = output.get("logits", None)
    logits = output.get("prediction_logits", None) if logits is None else logits
    if logits is None:
        raise RequestError(f"{type(model).__name__} has no logits to read after each layer.")
    return logits.float().cpu()


def _name(labels: list[str], tokenizer: Tokenizer, count: int, index: int) -> str:
    if len(labels) == count:
        return labels[index]
    return str(tokenizer.decode([index])) if index < len(tokenizer) else f"[{index}]"


def _settled(best: torch.Tensor) -> list[int]:
    """Return, for each position of ``best`` [layers + 1, positions], the first layer from which it equals the last."""
    same = (best == best[-1]).flip(0).long().cumprod(0)
    layers: list[int] = (len(best) - same.sum(0)).tolist()
    return layers
