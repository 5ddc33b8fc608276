"""Attention weights out of any transformers model, whatever attention it computes with.

The fast kernels (SDPA, flash) never hold the weights, so a model that uses them returns none. For the capture the
model is switched to its plain ("eager") attention, and always switched back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.instance import Encoded, encode, evaluating, readable


@dataclass(frozen=True)
class Attention:
    """The attention of every head over one text.

    Attributes:
        weights: float32 [layers, heads, from token, to token]; each row sums to 1 unless special tokens were left out.
        tokens, shown, offsets, segments, special: one for each token, as in
            :class:`~workbench.explain.instance.Encoded`.
        notes: what a reader has to know, such as that the text was cut off.
        words: the number of each token's word in its own text, None for a special token; empty where it is not known.
        layer_numbers, head_numbers: which of the model's layers and heads ``weights`` hold; empty for all.
    """

    weights: NDArray[np.float32]
    tokens: list[str]
    shown: list[str]
    offsets: list[tuple[int, int]]
    segments: list[int | None]
    special: list[bool]
    notes: list[str]
    words: list[int | None] = field(default_factory=list)
    layer_numbers: list[int] = field(default_factory=list)
    head_numbers: list[int] = field(default_factory=list)

    @property
    def layers(self) -> int:
        return int(self.weights.shape[0])

    @property
    def heads(self) -> int:
        return int(self.weights.shape[1])

    @property
    def second_text_start(self) -> int | None:
        """The index of the first token of the second text; None when there is one text only."""
        return self.segments.index(1) if 1 in self.segments else None

    @property
    def is_causal(self) -> bool:
        """Whether no token attends to one after it: so in a decoder, where the last token has seen the whole text."""
        return len(self.tokens) > 1 and not np.triu(self.weights, 1).any()

    @property
    def readout(self) -> int:
        """The token whose view of the text a classifier reads: the first, or in a causal model the last."""
        return len(self.tokens) - 1 if self.is_causal else 0

    def without_special(self) -> Attention:
        """Only the text's own tokens. Rows then sum to less than 1: what went to special tokens is left out."""
        keep = np.flatnonzero(~np.array(self.special))
        chosen: dict[str, Any] = {
            name: [getattr(self, name)[i] for i in keep]
            for name in ("tokens", "shown", "offsets", "segments", "special", "words")
            if name != "words" or self.words
        }
        note = "Special tokens are left out; what they receive is missing from the sums."
        return replace(self, weights=self.weights[:, :, keep][..., keep], notes=[*self.notes, note], **chosen)


def capture_attention(
    model: Any,
    tokenizer: Any,
    text: str,
    text_pair: str | None = None,
    max_length: int | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Attention:
    """The attention weights of ``model`` reading ``text``; of an encoder-decoder, its encoder's.

    Args:
        model: a transformers model, or one that peft has wrapped.
        tokenizer: its fast tokenizer.
        text, text_pair: what it reads.
        max_length: cut the text off at this many tokens; the tokenizer's own limit always holds.
        layers, heads: keep only these, in this order; by default all.

    Raises:
        RequestError: the model has no attention to show, or what it returns is not attention over the tokens.
    """
    encoded = encode(tokenizer, text, text_pair, max_length, next(model.parameters()).device)
    return attention_of(model, encoded, layers, heads)


def attention_of(
    model: Any, encoded: Encoded, layers: Sequence[int] | None = None, heads: Sequence[int] | None = None
) -> Attention:
    """As :func:`capture_attention`, for a text that is encoded already."""
    if getattr(model.config, "is_encoder_decoder", False):
        return encoder_decoder_attention(model, _beginning(model, encoded), layers, heads).encoder
    outputs = _outputs(model, encoded.inputs)
    weights = _stacked(model, getattr(outputs, "attentions", None), layers, heads)
    return _over(weights, encoded, layers, heads)


def _beginning(model: Any, encoded: Encoded) -> Encoded:
    """With the token that a decoder starts from, where nothing is written yet."""
    if "decoder_input_ids" in encoded.inputs:
        return encoded
    start = torch.full((1, 1), int(model.config.decoder_start_token_id or 0), device=next(model.parameters()).device)
    return replace(encoded, inputs={**encoded.inputs, "decoder_input_ids": start})


def _outputs(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    with evaluating(model), eager_attention(model), torch.no_grad():
        return model(**inputs, output_attentions=True, return_dict=True)


def _stacked(model: Any, found: Any, layers: Sequence[int] | None, heads: Sequence[int] | None) -> NDArray[np.float32]:
    """float32 [layers, heads, from, to] of one text, of what was asked for; the rest is let go before it is copied."""
    there = [layer for layer in found or () if layer is not None]
    if not there:
        raise RequestError(
            f"{type(model).__name__} returned no attention weights.",
            "It may not be a Transformer; choose a method that needs no attention, such as occlusion.",
        )
    chosen = _chosen("layer", layers, len(there))
    most = max(layer.shape[1] for layer in there)
    of_each = _chosen("head", heads, most)
    kept = [_with_room(there[layer][0], most) for layer in chosen]
    kept = kept if heads is None else [layer[of_each] for layer in kept]
    weights: NDArray[np.float32] = torch.stack(kept).float().cpu().numpy()
    return weights


def _with_room(layer: torch.Tensor, heads: int) -> torch.Tensor:
    """A layer [H, T, S] of which heads were cut out, filled up to as many as the others have: these look nowhere."""
    missing = heads - len(layer)
    return layer if missing == 0 else torch.cat([layer, layer.new_zeros(missing, *layer.shape[1:])])


def head_mean(weights: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The mean over the heads that there are, [layers, ...] of [layers, heads, ...]; see :func:`_with_room`."""
    there = weights.reshape(*weights.shape[:2], -1).any(-1).sum(1).clip(1)
    mean: NDArray[np.float64] = weights.sum(1, dtype=np.float64) / there.reshape(-1, *[1] * (weights.ndim - 2))
    return mean


def _chosen(what: str, wanted: Sequence[int] | None, there: int) -> list[int]:
    chosen = list(range(there)) if wanted is None else list(wanted)
    wrong = [one for one in chosen if not 0 <= one < there]
    if wrong or not chosen:
        told = f"There is no {what} {wrong[0]}." if wrong else f"No {what} is asked for."
        raise RequestError(told, f"Choose some from 0 to {there - 1}.")
    return chosen


def _over(
    weights: NDArray[np.float32], encoded: Encoded, layers: Sequence[int] | None, heads: Sequence[int] | None
) -> Attention:
    """Weights of a text over itself."""
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


# -- an encoder and a decoder ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EncoderDecoderAttention:
    """The three kinds of attention of a model that reads one text and writes another.

    Attributes:
        encoder: of the text that is read, over itself.
        decoder: of the text that is written, over what stands before; its first token is the one that begins all.
        cross: float32 [layers, heads, token that is written, token that is read]; each row sums to 1.
        written: what the decoder has written.
    """

    encoder: Attention
    decoder: Attention
    cross: NDArray[np.float32]
    written: str

    def cross_as_pair(self) -> Attention:
        """The cross attention as attention of a pair, which every view can draw.

        The text that is read is the first of the pair, the one that is written the second, which looks at the first
        and nowhere else; the first looks nowhere.
        """
        first, second = self.encoder, self.decoder
        read, total = len(first.tokens), len(first.tokens) + len(second.tokens)
        weights = np.zeros((*self.cross.shape[:2], total, total), dtype=np.float32)
        weights[:, :, read:, :read] = self.cross
        segments = [None if segment is None else 1 for segment in second.segments]
        note = "Only the attention of the written text (the second) to the text that is read (the first) is shown."
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
    model: Any,
    tokenizer: Any,
    text: str,
    written: str | None = None,
    max_length: int | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    max_new_tokens: int = 24,
) -> EncoderDecoderAttention:
    """All attention of an encoder-decoder that reads ``text`` and writes ``written``.

    Args:
        model, tokenizer, text, max_length, layers, heads: as of :func:`capture_attention`.
        written: what it writes; by default what it would write itself, token by token the most probable.
        max_new_tokens: of these, at most.

    Raises:
        RequestError: the model has not both an encoder and a decoder, or no attention to show.
    """
    start = getattr(model.config, "decoder_start_token_id", None)
    if not getattr(model.config, "is_encoder_decoder", False) or start is None:
        raise RequestError(
            f"{type(model).__name__} has not both an encoder and a decoder.", "Use capture_attention for this model."
        )
    device = next(model.parameters()).device
    encoded = encode(tokenizer, text, None, max_length, device)
    if written is None:
        with evaluating(model), torch.no_grad():
            ids = model.generate(**encoded.inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)[0]
        ids = ids.tolist()
    else:
        ids = [start, *tokenizer(written, add_special_tokens=False)["input_ids"]]
    both = replace(encoded, inputs={**encoded.inputs, "decoder_input_ids": torch.tensor([ids], device=device)})
    return encoder_decoder_attention(model, both, layers, heads, tokenizer)


def encoder_decoder_attention(
    model: Any,
    encoded: Encoded,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    tokenizer: Any = None,
) -> EncoderDecoderAttention:
    """As :func:`capture_encoder_decoder`, for texts that are encoded already."""
    outputs = _outputs(model, encoded.inputs)
    own, written, cross = (
        _stacked(model, getattr(outputs, f"{kind}_attentions", None), layers, heads)
        for kind in ("encoder", "decoder", "cross")
    )
    ids = encoded.inputs["decoder_input_ids"][0].tolist()
    side = _written(tokenizer, ids)
    _check(cross, len(ids), len(encoded.tokens))
    text = "" if tokenizer is None else str(tokenizer.decode(ids, skip_special_tokens=True))
    return EncoderDecoderAttention(_over(own, encoded, layers, heads), _over(written, side, layers, heads), cross, text)


def _written(tokenizer: Any, ids: list[int]) -> Encoded:
    """The tokens of what a decoder has written. They have no place in a text that was given."""
    names = [str(i) for i in ids]
    if tokenizer is not None:  # a model may write numbers that no token has
        names = [name or f"[{i}]" for i, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)]
    special = [tokenizer is not None and i in tokenizer.all_special_ids for i in ids]
    shown = [name if tokenizer is None or odd else readable(tokenizer.decode([i]) or name)
             for i, name, odd in zip(ids, names, special, strict=True)]  # fmt: skip
    segments: list[int | None] = [None if odd else 0 for odd in special]
    return Encoded(names, shown, [(0, 0)] * len(ids), segments, special, [None] * len(ids), {})


@contextlib.contextmanager
def eager_attention(model: Any) -> Iterator[None]:
    """The model with the attention that returns its weights; as it was before in the end, also after an error.

    A model that peft has wrapped passes this on to the model inside.
    """
    configs = {id(part.config): part.config for part in model.modules() if hasattr(part, "config")}.values()
    before = [(config, config._attn_implementation) for config in configs if hasattr(config, "_attn_implementation")]
    try:
        if any(implementation != "eager" for _, implementation in before):
            model.set_attn_implementation("eager")
        yield
    finally:
        # Outermost first: setting an outer configuration sets those inside it too.
        for config, implementation in before:
            config._attn_implementation = implementation


def _check(weights: NDArray[np.float32], rows: int, columns: int) -> None:
    """Raises RequestError unless ``weights`` are [layers, heads, rows, columns] and each row sums to 1."""
    if weights.ndim != 4 or weights.shape[2:] != (rows, columns):
        raise RequestError(
            f"The model's attention has the shape {weights.shape}, which is not over its {columns} tokens.",
            "Prompt and prefix tuning add tokens of their own, and windowed attention leaves some out; "
            "choose a method that needs no attention, such as occlusion.",
        )
    sums = weights.sum(-1)
    error = float(np.abs(sums[sums.any(-1)] - 1).max(initial=0))  # a head that was cut out looks nowhere at all
    if not error < 0.02:  # half precision keeps two to three digits; NaN is refused as well
        raise RequestError(
            f"The model's attention weights do not sum to 1 (one row is off by {error:.3g}).",
            "Its attention is of another kind; choose a method that needs no attention, such as occlusion.",
        )
