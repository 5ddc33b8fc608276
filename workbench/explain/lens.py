"""Logit lens: what the model would say if it stopped after each layer (nostalgebraist 2020; Belrose et al. 2023, 2.1).

The state of every layer is put in the place of the last layer's, and the model goes on from there: final norm, pooler
and head are the model's own, whatever its architecture.
"""

from __future__ import annotations

import contextlib
import html
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from workbench.errors import RequestError, SpecError
from workbench.explain.instance import encode_for, evaluating
from workbench.tuning.structure import ModelStructure

READING = (
    "Each row is what the model's own head makes of the text after one layer. Heads are trained on the last layer: "
    "early rows may look uncertain because the head cannot read them, not because nothing is known yet."
)


@dataclass(frozen=True)
class Candidate:
    """A label, or a token of the vocabulary, and its probability (0 to 1)."""

    name: str
    probability: float


@dataclass(frozen=True)
class LogitLens:
    """What a model would say after each layer.

    Attributes:
        tokens, shown, offsets: as in :class:`~workbench.explain.instance.Encoded`.
        rows: for each layer (0: the embeddings, then after each) a list of places, and for each place its candidates,
            the likeliest first. A classifier of texts has one place; any other model one for each token.
        whole_text: whether the one place is the whole text.
        settled: for each place, the first layer from which on the first candidate is the last layer's.
        reading: what the picture means, in plain words.
        notes: what a reader has to know.
    """

    tokens: list[str]
    shown: list[str]
    offsets: list[tuple[int, int]]
    rows: list[list[list[Candidate]]]
    whole_text: bool
    settled: list[int]
    reading: str
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)

    def _repr_html_(self) -> str:
        places = ["the text"] if self.whole_text else self.shown
        head = "".join(f"<th><bdi>{html.escape(place)}</bdi></th>" for place in places)
        body = "".join(
            f"<tr><th>{layer or 'embeddings'}</th>{''.join(map(_cell, row))}</tr>"
            for layer, row in enumerate(self.rows)
        )
        note = html.escape(" ".join([self.reading, *self.notes]))
        table = f"<table><tr><th>layer</th>{head}</tr>{body}</table>"
        return f"<div style='font:14px/1.45 system-ui,sans-serif;overflow-x:auto'>{table}<p>{note}</p></div>"


def _cell(candidates: list[Candidate]) -> str:
    first = candidates[0]
    others = ", ".join(f"{one.name} {one.probability:.2f}" for one in candidates)
    shade = f"rgba(0,114,178,{0.55 * first.probability:.3f})"  # as in workbench.explain.render.static
    name = html.escape(first.name)
    return (
        f"<td title='{html.escape(others)}' style='background:{shade}'><bdi>{name}</bdi> {first.probability:.2f}</td>"
    )


def logit_lens(predictor: Any, text: str, text_pair: str | None = None, top: int = 3) -> LogitLens:
    """What ``predictor`` would say of ``text`` if it stopped after each layer.

    Args:
        predictor: a loaded run; of a classifier, a tagger or a language model.
        text, text_pair: what it reads.
        top: candidates for each place.

    Raises:
        RequestError: the model has no layers that can be told apart, or no logits.
    """
    model, tokenizer = predictor.model, predictor.tokenizer
    encoded = encode_for(predictor, text, text_pair)
    logits = layer_logits(model, encoded.inputs)
    whole_text = logits.dim() == 2
    if whole_text:
        logits = logits[:, None]
    count = logits.shape[-1]
    labels = list(getattr(predictor, "labels", []) or [])
    multi_label = bool(getattr(predictor.task.config, "multi_label", False))
    probabilities = logits.sigmoid() if multi_label else logits.softmax(-1)
    best = probabilities.topk(min(top, count), dim=-1)
    rows = [
        [
            [Candidate(_name(labels, tokenizer, count, i), p) for i, p in zip(ids, values, strict=True)]
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


def layer_logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The logits after each layer: [layers + 1, ...], the embeddings' first, the model's own last.

    Args:
        model: a transformers model or a peft model over one.
        inputs: of one text, each [1, tokens].
    """
    layers = _layers(model)
    with evaluating(model), torch.no_grad():
        with layer_states(layers) as states:
            model(**inputs)
        stacked = torch.cat(states)
        repeated = {name: value.expand(len(stacked), -1) for name, value in inputs.items()}
        with _put(layers[-1], stacked):
            outputs = model(**repeated)
    logits = outputs.get("logits", None)
    logits = outputs.get("prediction_logits", None) if logits is None else logits
    if logits is None:
        raise RequestError(f"{type(model).__name__} has no logits to read after each layer.")
    return logits.float().cpu()  # type: ignore[no-any-return]


def _layers(model: Any) -> Any:
    inside = model.get_base_model() if hasattr(model, "get_base_model") else model
    if getattr(inside.config, "is_encoder_decoder", False):
        raise RequestError(
            "The logit lens reads one stack of layers, and this model has two.", "Use it on an encoder or a decoder."
        )
    try:
        return ModelStructure.of(inside).layers
    except SpecError as error:
        raise RequestError(
            f"{type(inside).__name__} has no list of layers to look between.", "Choose another method."
        ) from error


@contextlib.contextmanager
def layer_states(layers: Any) -> Iterator[list[torch.Tensor]]:
    """Collects [1, T, D]: what goes into the first layer, and what comes out of each, as this thread runs the model."""
    me, states = threading.get_ident(), []

    def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() == me:
            states.append(args[0] if args else kwargs["hidden_states"])

    def after(_module: Any, _args: Any, output: Any) -> None:
        if threading.get_ident() == me:
            states.append(output[0] if isinstance(output, tuple) else output)

    handles = [layers[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [layer.register_forward_hook(after) for layer in layers]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


@contextlib.contextmanager
def _put(layer: Any, states: torch.Tensor) -> Iterator[None]:
    """Within, ``layer`` gives ``states`` whatever it computes."""
    me = threading.get_ident()

    def replace(_module: Any, _args: Any, output: Any) -> Any:
        if threading.get_ident() != me:
            return output
        return (states, *output[1:]) if isinstance(output, tuple) else states

    handle = layer.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def _name(labels: list[str], tokenizer: Any, count: int, index: int) -> str:
    if len(labels) == count:
        return labels[index]
    return str(tokenizer.decode([index])) if index < len(tokenizer) else f"[{index}]"


def _settled(first: torch.Tensor) -> list[int]:
    """For each place of ``first`` [layers + 1, places], the first layer from which on it is as in the last."""
    same = (first == first[-1]).flip(0).long().cumprod(0)
    return (len(first) - same.sum(0)).tolist()
