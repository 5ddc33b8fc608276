"""Attention weights of any transformers model, whatever its attention implementation.

The fast kernels (SDPA, flash) never hold the weights, so a model that uses them returns none. For the capture the model
is switched to its plain ("eager") attention, and always switched back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError
from workbench.explain.encoding import Encoded, Inputs, Offsets, encode, readable
from workbench.explain.hooks import evaluating
from workbench.types import Floats, Floats32, Model, Tokenizer

Item = TypeVar("Item")

NO_ATTENTION = "returned no attention weights."
OTHER_METHOD = "choose a method that needs no attention, such as occlusion."


@dataclass(frozen=True)
class Attention:
    """The attention of every head over one text.

    Attributes:
        weights: float32 [layers, heads, from token, to token]; each row sums to 1 unless tokens were left out.
        tokens, shown, offsets, segments, special: one for each token, as in
            :class:`~workbench.explain.encoding.Encoded`.
        notes: what readers should know, such as that the text was truncated.
        words: the index of each token's word in its own text, None for a special token; empty where it is not known.
        layer_numbers, head_numbers: which of the model's layers and heads ``weights`` holds; empty for all.
    """

    weights: Floats32
    tokens: list[str]
    shown: list[str]
    offsets: Offsets
    segments: list[int | None]
    special: list[bool]
    notes: list[str]
    words: list[int | None] = field(default_factory=list)
    layer_numbers: list[int] = field(default_factory=list)
    head_numbers: list[int] = field(default_factory=list)

    @property
    def layers(self) -> int:
        """The number of layers."""
        return int(self.weights.shape[0])

    @property
    def heads(self) -> int:
        """The number of heads of a layer."""
        return int(self.weights.shape[1])

    @property
    def second_text_start(self) -> int | None:
        """The position of the first token of the second text; None when there is one text only."""
        return self.segments.index(1) if 1 in self.segments else None

    @property
    def is_causal(self) -> bool:
        """Whether no token attends to a later one, as in a decoder, where the last token has seen the whole text."""
        return len(self.tokens) > 1 and not np.triu(self.weights, 1).any()

    @property
    def readout(self) -> int:
        """The position that a classifier reads: the first, or in a causal model the last."""
        return len(self.tokens) - 1 if self.is_causal else 0

    def at(self, positions: Sequence[int]) -> Attention:
        """Return the attention among some of the tokens; rows then sum to less than 1.

        Args:
            positions: positions of the tokens to keep, in order.
        """

        def select(values: list[Item]) -> list[Item]:
            return [values[i] for i in positions] if values else []

        return replace(
            self,
            weights=self.weights[:, :, positions][..., positions],
            tokens=select(self.tokens),
            shown=select(self.shown),
            offsets=select(self.offsets),
            segments=select(self.segments),
            special=select(self.special),
            words=select(self.words),
        )

    def without_special(self) -> Attention:
        """Return the attention among the text's own tokens; rows then sum to less than 1."""
        own = self.at(np.flatnonzero(~np.array(self.special)).tolist())
        note = "Special tokens are left out; the attention that they receive is missing from the sums."
        return replace(own, notes=[*self.notes, note])


def capture_attention(
    model: Model,
    tokenizer: Tokenizer,
    text: str,
    text_pair: str | None = None,
    max_length: int | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Attention:
    """Capture the attention weights of a model that reads a text; of an encoder-decoder, its encoder's.

    Args:
        model: a transformers model, or a peft model over one.
        tokenizer: its fast tokenizer.
        text: the text.
        text_pair: the second text of a pair.
        max_length: truncate to this many tokens; the tokenizer's own limit always applies.
        layers: only these layers, in this order; by default all.
        heads: only these heads, in this order; by default all.

    Raises:
        RequestError: the model returns no attention, or what it returns is not attention over the tokens.
    """
    encoded = encode(tokenizer, text, text_pair, max_length, next(model.parameters()).device)
    return attention_of(model, encoded, layers, heads)


def attention_of(
    model: Model, encoded: Encoded, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None
) -> Attention:
    """Capture attention weights as :func:`capture_attention` does, for a text that is encoded already.

    Args:
        model: a transformers model, or a peft model over one.
        encoded: the text.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        return encoder_decoder_attention(model, _with_any_start(model, encoded), layers, heads).encoder
    weights = _stacked(model, _output(model, encoded.inputs), "attentions", layers, heads)
    return _self_attention(weights, encoded, layers, heads)


def _with_any_start(model: Model, encoded: Encoded) -> Encoded:
    """Add a first token for the decoder if nothing is written yet; an encoder's attention does not depend on it."""
    if "decoder_input_ids" in encoded.inputs:
        return encoded
    start = torch.full((1, 1), int(model.config.decoder_start_token_id or 0), device=next(model.parameters()).device)
    return replace(encoded, inputs={**encoded.inputs, "decoder_input_ids": start})


def _output(model: Model, inputs: Inputs) -> ModelOutput:
    with evaluating(model), eager_attention(model), torch.no_grad():
        output: ModelOutput = model(**inputs, output_attentions=True, return_dict=True)
    return output


def _stacked(
    model: Model, output: ModelOutput, name: str, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> Floats32:
    """Return float32 [layers, heads, from, to] of one text; only the selected weights are copied from the device."""
    available: list[torch.Tensor] = [layer for layer in output.get(name) or () if layer is not None]
    if not available:
        raise RequestError(f"{type(model).__name__} {NO_ATTENTION}", f"It may not be a Transformer; {OTHER_METHOD}")
    layer_indices = _selected("layer", layers, len(available))
    most = max(layer.shape[1] for layer in available)
    head_indices = _selected("head", heads, most)
    selected = [_padded_heads(available[layer][0], most) for layer in layer_indices]
    selected = selected if heads is None else [layer[head_indices] for layer in selected]
    weights: Floats32 = torch.stack(selected).float().cpu().numpy()
    return weights


def _padded_heads(layer: torch.Tensor, heads: int) -> torch.Tensor:
    """Pad a pruned layer [H, T, S] to ``heads`` heads; the added ones attend to nothing."""
    missing = heads - len(layer)
    return layer if missing == 0 else torch.cat([layer, layer.new_zeros(missing, *layer.shape[1:])])


def head_mean(weights: NDArray[np.floating]) -> Floats:
    """Average attention over heads; heads that were pruned, whose weights are all 0, do not count.

    Args:
        weights: [layers, heads, ...].

    Returns:
        [layers, ...].
    """
    present = weights.reshape(*weights.shape[:2], -1).any(-1).sum(1).clip(1)
    mean: Floats = weights.sum(1, dtype=np.float64) / present.reshape(-1, *[1] * (weights.ndim - 2))
    return mean


def _selected(kind: str, indices: Sequence[int] | None, count: int) -> list[int]:
    selected = list(range(count)) if indices is None else list(indices)
    wrong = [index for index in selected if not 0 <= index < count]
    if wrong or not selected:
        message = f"There is no {kind} {wrong[0]}." if wrong else f"No {kind} is selected."
        raise RequestError(message, f"Choose from 0 to {count - 1}.")
    return selected


def _self_attention(
    weights: Floats32, encoded: Encoded, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> Attention:
    _check(weights, len(encoded.tokens), len(encoded.tokens))
    return Attention(
        weights,
        encoded.tokens,
        encoded.shown,
        encoded.offsets,
        encoded.segments,
        encoded.special,
        encoded.notes,
        encoded.words,
        list(layers or ()),
        list(heads or ()),
    )


# -- encoder-decoders -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EncoderDecoderAttention:
    """The three kinds of attention of a model that reads one text and writes another.

    Attributes:
        encoder: self-attention over the text that is read.
        decoder: self-attention over the text that is written; its first token is the decoder's start token.
        cross: float32 [layers, heads, written token, read token]; each row sums to 1.
        written: the text that the decoder has written.
    """

    encoder: Attention
    decoder: Attention
    cross: Floats32
    written: str

    def cross_as_pair(self) -> Attention:
        """Return the cross attention as attention over a pair of texts, which every view can draw.

        The first text of the pair is the one that is read and attends to nothing. The second is the one that is
        written, and attends to the first only.
        """
        first, second = self.encoder, self.decoder
        read, total = len(first.tokens), len(first.tokens) + len(second.tokens)
        weights = np.zeros((*self.cross.shape[:2], total, total), dtype=np.float32)
        weights[:, :, read:, :read] = self.cross
        segments = [None if segment is None else 1 for segment in second.segments]
        note = "Only the attention from the written text (the second) to the text that is read (the first) is shown."
        return Attention(
            weights,
            first.tokens + second.tokens,
            first.shown + second.shown,
            first.offsets + second.offsets,
            first.segments + segments,
            first.special + second.special,
            [*first.notes, note],
            first.words + second.words,
            first.layer_numbers,
            first.head_numbers,
        )


def capture_encoder_decoder(
    model: Model,
    tokenizer: Tokenizer,
    text: str,
    written: str | None = None,
    max_length: int | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    max_new_tokens: int = 24,
) -> EncoderDecoderAttention:
    """Capture all attention of an encoder-decoder that reads ``text`` and writes ``written``.

    Args:
        model: a transformers model, or a peft model over one.
        tokenizer: its fast tokenizer.
        text: the text that is read.
        written: the text that is written; by default what the model generates greedily.
        max_length: truncate ``text`` to this many tokens.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
        max_new_tokens: the most tokens to generate.

    Raises:
        RequestError: the model is no encoder-decoder, or returns no attention.
    """
    start = getattr(model.config, "decoder_start_token_id", None)
    if not getattr(model.config, "is_encoder_decoder", False) or start is None:
        raise RequestError(
            f"{type(model).__name__} does not have both an encoder and a decoder.",
            "Use capture_attention for this model.",
        )
    device = next(model.parameters()).device
    encoded = encode(tokenizer, text, None, max_length, device)
    if written is None:
        with evaluating(model), torch.no_grad():
            generate: Callable[..., torch.Tensor] = getattr(model, "generate")  # noqa: B009  typed as a module
            generated = generate(**encoded.inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
        ids = generated[0].tolist()
    else:
        ids = [start, *tokenizer(written, add_special_tokens=False)["input_ids"]]
    inputs = {**encoded.inputs, "decoder_input_ids": torch.tensor([ids], device=device)}
    return encoder_decoder_attention(model, replace(encoded, inputs=inputs), layers, heads, tokenizer)


def encoder_decoder_attention(
    model: Model,
    encoded: Encoded,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    tokenizer: Tokenizer | None = None,
) -> EncoderDecoderAttention:
    """Capture attention as :func:`capture_encoder_decoder` does, for texts that are encoded already.

    Args:
        model: a transformers model, or a peft model over one.
        encoded: the text that is read, with the ``decoder_input_ids`` of the one that is written.
        layers: only these layers; by default all.
        heads: only these heads; by default all.
        tokenizer: names the written tokens; without it they are numbers.
    """
    output = _output(model, encoded.inputs)
    kinds: tuple[Literal["encoder", "decoder", "cross"], ...] = ("encoder", "decoder", "cross")
    own, written, cross = (_stacked(model, output, f"{kind}_attentions", layers, heads) for kind in kinds)
    ids = encoded.inputs["decoder_input_ids"][0].tolist()
    _check(cross, len(ids), len(encoded.tokens))
    return EncoderDecoderAttention(
        _self_attention(own, encoded, layers, heads),
        _self_attention(written, _encode_written(tokenizer, ids), layers, heads),
        cross,
        "" if tokenizer is None else str(tokenizer.decode(ids, skip_special_tokens=True)),
    )


def _encode_written(tokenizer: Tokenizer | None, ids: list[int]) -> Encoded:
    """Describe the tokens that a decoder has written; they have no offsets."""
    names = [str(i) for i in ids]
    if tokenizer is not None:  # a model may generate an id that no token has
        names = [name or f"[{i}]" for i, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)]
    special = [tokenizer is not None and i in tokenizer.all_special_ids for i in ids]
    shown = [
        name if tokenizer is None or is_special else readable(str(tokenizer.decode([i])) or name)
        for i, name, is_special in zip(ids, names, special, strict=True)
    ]
    segments: list[int | None] = [None if is_special else 0 for is_special in special]
    return Encoded(names, shown, [(0, 0)] * len(ids), segments, special, [None] * len(ids), {})


@contextlib.contextmanager
def eager_attention(model: Model) -> Iterator[None]:
    """Switch the model to attention that returns its weights, and restore it afterwards, even after an error.

    Args:
        model: a transformers model, or a peft model over one, which passes this on to the model inside.
    """
    configs = {id(module.config): module.config for module in model.modules() if hasattr(module, "config")}.values()
    before = [(config, config._attn_implementation) for config in configs if hasattr(config, "_attn_implementation")]
    try:
        if any(implementation != "eager" for _, implementation in before):
            model.set_attn_implementation("eager")
        yield
    finally:
        # Outermost first: setting an outer configuration sets those inside it too.
        for config, implementation in before:
            config._attn_implementation = implementation


def _check(weights: Floats32, rows: int, columns: int) -> None:
    """Raise RequestError unless ``weights`` are [layers, heads, rows, columns] and each row sums to 1."""
    if weights.ndim != 4 or weights.shape[2:] != (rows, columns):
        raise RequestError(
            f"The model's attention has the shape {weights.shape}, which does not match its {columns} tokens.",
            f"Prompt and prefix tuning add tokens of their own, and windowed attention leaves some out; {OTHER_METHOD}",
        )
    sums = weights.sum(-1)
    error = float(np.abs(sums[sums.any(-1)] - 1).max(initial=0))  # a pruned head attends to nothing at all
    if not error < 0.02:  # half precision keeps two to three digits; NaN is refused as well
        raise RequestError(
            f"The model's attention weights do not sum to 1 (one row is off by {error:.3g}).",
            f"Its attention is of another kind; {OTHER_METHOD}",
        )
