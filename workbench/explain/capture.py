"""Attention weights out of any transformers model, whatever attention it computes with.

The fast kernels (SDPA, flash) never hold the weights, so a model that uses them returns none. For the capture the
model is switched to its plain ("eager") attention, and always switched back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.subject import Encoded, encode, evaluating


@dataclass(frozen=True)
class Attention:
    """The attention of every head over one text.

    Attributes:
        weights: float32 [layers, heads, from token, to token]; each row sums to 1 unless special tokens were left out.
        tokens, shown, offsets, segments, special: one for each token, as in
            :class:`~workbench.explain.subject.Encoded`.
        notes: what a reader has to know, such as that the text was cut off.
        words: the number of each token's word in its own text, None for a special token; empty where it is not known.
    """

    weights: NDArray[np.float32]
    tokens: list[str]
    shown: list[str]
    offsets: list[tuple[int, int]]
    segments: list[int | None]
    special: list[bool]
    notes: list[str]
    words: list[int | None] = field(default_factory=list)

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
    def reader(self) -> int:
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
    model: Any, tokenizer: Any, text: str, text_pair: str | None = None, max_length: int | None = None
) -> Attention:
    """The attention weights of ``model`` reading ``text``.

    Args:
        model: a transformers model, or one that peft has wrapped.
        tokenizer: its fast tokenizer.
        text, text_pair: what it reads.
        max_length: cut the text off at this many tokens; the tokenizer's own limit always holds.

    Raises:
        RequestError: the model has no attention to show, or what it returns is not attention over the tokens.
    """
    encoded = encode(tokenizer, text, text_pair, max_length, next(model.parameters()).device)
    return attention_of(model, encoded)


def attention_of(model: Any, encoded: Encoded) -> Attention:
    """As :func:`capture_attention`, for a text that is encoded already."""
    with evaluating(model), eager_attention(model), torch.no_grad():
        outputs = model(**encoded.inputs, output_attentions=True, return_dict=True)
    layers = [layer for layer in getattr(outputs, "attentions", None) or () if layer is not None]
    if not layers:
        raise RequestError(
            f"{type(model).__name__} returned no attention weights.",
            "It may not be a Transformer; choose a method that needs no attention, such as occlusion.",
        )
    weights = torch.stack([layer[0] for layer in layers]).float().cpu().numpy()
    _check(weights, len(encoded.tokens))
    return Attention(
        weights,
        encoded.tokens,
        encoded.shown,
        encoded.offsets,
        encoded.segments,
        encoded.special,
        encoded.notes,
        encoded.words,
    )


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


def _check(weights: NDArray[np.float32], tokens: int) -> None:
    """Raises RequestError unless ``weights`` are [layers, heads, tokens, tokens] and each row sums to 1."""
    if weights.ndim != 4 or weights.shape[2:] != (tokens, tokens):
        raise RequestError(
            f"The model's attention has the shape {weights.shape}, which is not over its {tokens} tokens.",
            "Prompt and prefix tuning add tokens of their own, and windowed attention leaves some out; "
            "choose a method that needs no attention, such as occlusion.",
        )
    error = float(np.abs(weights.sum(-1) - 1).max())
    if not error < 0.02:  # half precision keeps two to three digits; NaN is refused as well
        raise RequestError(
            f"The model's attention weights do not sum to 1 (one row is off by {error:.3g}).",
            "Its attention is of another kind; choose a method that needs no attention, such as occlusion.",
        )
