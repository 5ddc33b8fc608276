"""Attention: how each token of a text takes in the others (Vaswani et al. 2017, arXiv 1706.03762, section 3.2).

Shapes, in this file and wherever a comment names them:

    B   texts in a batch
    T   tokens that ask (queries)
    S   tokens that are asked (keys and values); S = T where a text attends to itself
    D   width of a token's vector (``hidden_size``)
    H   heads
    K   width of one head, D / H

    hidden   [B, T, D]        query            [B, H, T, K]
    memory   [B, S, D]        key, value       [B, H, S, K]
    mask     [B or 1, 1, T or 1, S], True where a query may look
    weights  [B, H, T, S]     each row sums to 1

The same product is written twice. :func:`eager_attention` spells it out and returns its weights, for learning and for
looking inside. :func:`sdpa_attention` calls torch's fused kernel, which never holds the weights. Both return the same
output.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def eager_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor]:
    """Scaled dot-product attention, written out: softmax(Q Kᵀ / √K) V (equation 1).

    The dot product of two vectors of K independent numbers of variance 1 has variance K. Without the division the
    softmax of wide heads would be all but one-hot, and its gradient all but zero.

    Args:
        query: [B, H, T, K].
        key, value: [B, H, S, K].
        mask: True where a query may look at a key; None when everywhere.
        dropout: share of the weights that is dropped out, 0 outside training.

    Returns:
        output [B, H, T, K], and weights [B, H, T, S] before dropout.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [B, H, T, S]
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    return F.dropout(weights, dropout) @ value, weights


def sdpa_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool = False
) -> Tensor:
    """The output of :func:`eager_attention`, by a fused kernel that never holds the T x S weights.

    Args:
        causal: each query looks at the keys up to its own place; given in place of a ``mask``, the kernel then skips
            the half that is hidden.
    """
    return F.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal)


# -- masks: who may look at whom ------------------------------------------------------------------------------------


def padding_mask(attention_mask: Tensor | None) -> Tensor | None:
    """[B, 1, 1, S] from a mask [B, S] that is 1 on text and 0 on padding: nobody looks at padding.

    None when there is no padding: attention without a mask is faster. To know that, a GPU would make the host wait, so
    there the mask is always given.
    """
    if attention_mask is None or attention_mask.dim() == 4:  # a static cache brings a mask that is complete
        return attention_mask
    mask = attention_mask.bool()
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all()):
        return None
    return mask[:, None, None, :]


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """[1, 1, T, S]: a token looks at itself and at what stands before it.

    With a cache there are more keys than queries: the queries are the last ``queries`` tokens of the text.
    """
    place = torch.arange(keys - queries, keys, device=device)  # of each query in the text
    return (place[:, None] >= torch.arange(keys, device=device))[None, None]


def document_mask(document_ids: Tensor) -> Tensor:
    """[B, 1, T, T] from the documents' numbers [B, T] of packed rows: a token looks at its own document alone.

    Padding has the number 0, and looks at padding: a row of a softmax needs something to look at.
    """
    return document_ids[:, None, :, None] == document_ids[:, None, None, :]


def cross_document_mask(document_ids: Tensor, memory_ids: Tensor) -> Tensor:
    """[B, 1, T, S] from the documents' numbers of two packed rows, [B, T] and [B, S]: a token looks at what its own
    document was made from. Padding, which has the number 0, looks at all: there may be no padding to look at."""
    same = document_ids[:, None, :, None] == memory_ids[:, None, None, :]
    return same | (document_ids == 0)[:, None, :, None]


def document_positions(document_ids: Tensor) -> Tensor:
    """[B, T]: the place of each token in its document, from 0, for documents that are packed into one row."""
    place = torch.arange(document_ids.shape[1], device=document_ids.device).expand_as(document_ids)
    starts = torch.ones_like(document_ids, dtype=torch.bool)
    starts[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    first = torch.where(starts, place, 0).cummax(dim=1).values  # where the token's document begins
    return place - first


# -- rotary positions -----------------------------------------------------------------------------------------------


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021, arXiv 2104.09864, section 3.2.2): queries and keys are turned by their place.

    The numbers of a head are taken in K/2 pairs; pair i of the token at place p is turned by the angle p·base^(-2i/K).
    The dot product of a turned query and a turned key then depends on how far apart they stand, not on where.
    """

    frequencies: Tensor

    def __init__(self, head_size: int, base: float = 10_000.0) -> None:
        super().__init__()
        self.head_size, self.base = head_size, base
        self.register_buffer("frequencies", self.make_frequencies(), persistent=False)

    def make_frequencies(self) -> Tensor:
        """[K / 2]: the angle by which each pair is turned from one token to the next, in radians."""
        return self.base ** (-torch.arange(0, self.head_size, 2, dtype=torch.float32) / self.head_size)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine [B, 1, T, K / 2] of the angles at ``positions`` [B, T]."""
        angles = positions[:, None, :, None].float() * self.frequencies.float()
        return angles.cos(), angles.sin()


def rotate(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Turn each pair (number i of the first half, number i of the second) of ``vectors`` [B, H, T, K]."""
    first, second = vectors.float().chunk(2, dim=-1)
    turned = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return turned.to(vectors.dtype)


# -- the layers -----------------------------------------------------------------------------------------------------


class MultiHeadAttention(nn.Module):
    """A text attends to itself, in H heads side by side (section 3.2.2).

    Each head sees its own K numbers of every query, key and value. The three maps are one matrix [3 D, D], queries
    first: one large product is faster than three small ones, and gives the same numbers.

    Args:
        width: D.
        heads: H; must divide D.
        dropout: of the weights, while training.
        layer: the number of this layer, under which a cache keeps its keys and values.
        head_size: K, where it is not D / H: some heads were cut out.
    """

    def __init__(
        self, width: int, heads: int, dropout: float = 0.0, layer: int = 0, head_size: int | None = None
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.layer = heads, dropout, layer
        inner = width if head_size is None else heads * head_size  # what all heads have together
        self.query_key_value = nn.Linear(width, 3 * inner)
        self.output = nn.Linear(inner, width)

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: Any = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The tokens' new vectors [B, T, D], and with ``output_attentions`` the weights [B, H, T, S].

        Args:
            hidden: [B, T, D].
            mask: True where a query may look.
            causal: a token sees what stands before it only; in place of ``mask``, not beside it.
            rotary: cosine and sine of the tokens' places, to turn queries and keys by.
            cache: keys and values of the tokens before these; they are put together, and kept (transformers' Cache).
            output_attentions: take the written-out path, which has them.
        """
        query, key, value = (split_heads(x, self.heads) for x in self.query_key_value(hidden).chunk(3, dim=-1))
        if rotary is not None:
            query, key = rotate(query, *rotary), rotate(key, *rotary)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        output, weights = compute_attention(
            query, key, value, mask, self.dropout if self.training else 0.0, causal, output_attentions
        )
        return self.output(join_heads(output)), weights


class CrossAttention(nn.Module):
    """One text attends to another: the decoder's queries, the encoder's keys and values (section 3.2.3).

    Args: as of :class:`MultiHeadAttention`.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, layer: int = 0) -> None:
        super().__init__()
        self.heads, self.dropout, self.layer = heads, dropout, layer
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self,
        hidden: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        cache: Any = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The tokens' new vectors [B, T, D], and with ``output_attentions`` the weights [B, H, T, S].

        Args:
            hidden: of the text that asks, [B, T, D].
            memory: of the text that is asked, [B, S, D].
            mask: True where a query may look, [B, 1, 1, S].
            cache: transformers' EncoderDecoderCache: the memory's keys and values are the same at every step.
            output_attentions: take the written-out path, which has them.
        """
        query = split_heads(self.query(hidden), self.heads)
        if cache is not None and cache.is_updated.get(self.layer):
            kept = cache.cross_attention_cache.layers[self.layer]
            key, value = kept.keys, kept.values
        else:
            key, value = (split_heads(x, self.heads) for x in self.key_value(memory).chunk(2, dim=-1))
            if cache is not None:
                key, value = cache.cross_attention_cache.update(key, value, self.layer)
                cache.is_updated[self.layer] = True
        dropout = self.dropout if self.training else 0.0
        output, weights = compute_attention(query, key, value, mask, dropout, False, output_attentions)
        return self.output(join_heads(output)), weights


def compute_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    causal: bool,
    output_attentions: bool,
) -> tuple[Tensor, Tensor | None]:
    """One of the two ways, as asked."""
    if not output_attentions:
        return sdpa_attention(query, key, value, mask, dropout, causal), None
    if causal:
        mask = causal_mask(query.shape[2], key.shape[2], query.device)
    return eager_attention(query, key, value, mask, dropout)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, D] as [B, H, T, K]."""
    return x.view(*x.shape[:-1], heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """[B, H, T, K] as [B, T, D]."""
    return x.transpose(1, 2).flatten(2)
