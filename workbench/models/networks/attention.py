"""Attention: how each token of a text gathers information from others (Vaswani et al. 2017, arXiv 1706.03762, 3.2).

Shapes, in this file and wherever a comment names them:

    B   texts in a batch
    T   tokens that query
    S   tokens that are attended to (keys and values); S = T in self-attention
    D   width of a token's vector (``hidden_size``)
    H   heads
    K   width of one head, D / H

    hidden                 [B, T, D]        query            [B, H, T, K]
    encoder_hidden_states  [B, S, D]        key, value       [B, H, S, K]
    mask                   [B or 1, 1, T or 1, S], True where a query may attend
    weights                [B, H, T, S], each row sums to 1

The vectors of one token, with D = 8 and H = 4 heads of K = 2:

    query   │ q q │ q q │ q q │ q q │      Each head compares its own part of the query with its own part of the
    key     │ k k │ k k │ k k │ k k │      keys of all tokens, and averages its own part of their values. The
    value   │ v v │ v v │ v v │ v v │      outputs are joined to D numbers again and mixed by one more layer.
            head 0 head 1 head 2 head 3

With grouped-query attention (Llama 3, for example) several query heads share one key head and one value head. Here
every query head has its own.

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
from transformers import Cache, EncoderDecoderCache


def eager_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> tuple[Tensor, Tensor]:
    """Compute scaled dot-product attention, written out: softmax(Q Kᵀ / √K) V (equation 1).

    The dot product of two vectors of K independent numbers with variance 1 has variance K. Without the division, the
    softmax of wide heads would be almost one-hot, and its gradient almost zero.

    Args:
        query: [B, H, T, K].
        key: [B, H, S, K].
        value: [B, H, S, K].
        mask: True where a query may attend to a key; None when it may attend everywhere.
        dropout: probability of dropping a weight; 0 outside training.

    Returns:
        Output [B, H, T, K], and weights [B, H, T, S] before dropout.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [B, H, T, S]
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    return F.dropout(weights, dropout) @ value, weights


def sdpa_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool = False
) -> Tensor:
    """Compute the output of :func:`eager_attention` with a fused kernel that never holds the T x S weights.

    Args:
        query: [B, H, T, K].
        key: [B, H, S, K].
        value: [B, H, S, K].
        mask: True where a query may attend to a key; None when it may attend everywhere.
        dropout: probability of dropping a weight; 0 outside training.
        causal: each query attends to the keys up to its own position. Used instead of ``mask``, so that the kernel
            skips the masked half.

    Returns:
        [B, H, T, K].
    """
    return F.scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal)


# -- masks: which tokens a query may attend to ----------------------------------------------------------------------


def padding_mask(attention_mask: Tensor | None) -> Tensor | None:
    """Build a mask that hides padding.

    Args:
        attention_mask: [B, S], 1 on text and 0 on padding; or a complete mask of four dimensions, which a static cache
            provides and which is returned unchanged.

    Returns:
        [B, 1, 1, S]; None when there is no padding, because attention without a mask is faster. On a GPU the check
        would make the host wait, so there the mask is always returned.
    """
    if attention_mask is None or attention_mask.dim() == 4:
        return attention_mask
    mask = attention_mask.bool()
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and bool(mask.all()):
        return None
    return mask[:, None, None, :]


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """Build a mask by which a token attends to itself and to earlier tokens only.

    With a cache there are more keys than queries: the queries are the last tokens of the text.

    Args:
        queries: T.
        keys: S.
        device: device of the mask.

    Returns:
        [1, 1, T, S].
    """
    position = torch.arange(keys - queries, keys, device=device)  # of each query in the text
    return (position[:, None] >= torch.arange(keys, device=device))[None, None]


def document_mask(document_ids: Tensor) -> Tensor:
    """Build a mask by which a token attends to its own document only, for rows that several documents are packed into.

    Padding has the id 0 and attends to padding: a row of a softmax needs at least one key.

    Args:
        document_ids: [B, T], the number of each token's document, from 1; 0 on padding.

    Returns:
        [B, 1, T, T].
    """
    return document_ids[:, None, :, None] == document_ids[:, None, None, :]


def cross_document_mask(document_ids: Tensor, encoder_document_ids: Tensor) -> Tensor:
    """Build a mask by which a token attends to the encoder's tokens of its own document only.

    Padding, which has the id 0, attends to everything: the encoder's row may have no padding.

    Args:
        document_ids: [B, T], of the decoder's packed row.
        encoder_document_ids: [B, S], of the encoder's packed row.

    Returns:
        [B, 1, T, S].
    """
    same = document_ids[:, None, :, None] == encoder_document_ids[:, None, None, :]
    return same | (document_ids == 0)[:, None, :, None]


def document_positions(document_ids: Tensor) -> Tensor:
    """Count each token's position within its document.

    Args:
        document_ids: [B, T], of packed rows.

    Returns:
        [B, T], from 0 in each document.
    """
    position = torch.arange(document_ids.shape[1], device=document_ids.device).expand_as(document_ids)
    starts = torch.ones_like(document_ids, dtype=torch.bool)
    starts[:, 1:] = document_ids[:, 1:] != document_ids[:, :-1]
    first = torch.where(starts, position, 0).cummax(dim=1).values  # where the token's document starts
    return position - first


# -- rotary positions -----------------------------------------------------------------------------------------------


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021, arXiv 2104.09864, section 3.2.2): queries and keys are rotated by position.

    The numbers of a head form K/2 pairs; pair i of the token at position p is rotated by the angle p·base^(-2i/K). The
    dot product of a rotated query and a rotated key then depends on the distance between them, not on their positions.

    Args:
        head_dim: K, even.
        base: the larger, the slower the slowest pair rotates.
    """

    frequencies: Tensor

    def __init__(self, head_dim: int, base: float = 10_000.0) -> None:
        super().__init__()
        self.head_dim, self.base = head_dim, base
        self.register_buffer("frequencies", self.make_frequencies(), persistent=False)

    def make_frequencies(self) -> Tensor:
        """Compute the angle by which each pair rotates from one token to the next, [K / 2], in radians."""
        return self.base ** (-torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim)

    def forward(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the cosine and sine of the angles.

        Args:
            positions: [B, T].

        Returns:
            Cosine and sine, both [B, 1, T, K / 2].
        """
        angles = positions[:, None, :, None].float() * self.frequencies.float()
        return angles.cos(), angles.sin()


def rotate(vectors: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate each pair of numbers: number i of the first half and number i of the second half.

    Args:
        vectors: [B, H, T, K], queries or keys.
        cosine: [B, 1, T, K / 2].
        sine: [B, 1, T, K / 2].

    Returns:
        [B, H, T, K].
    """
    first, second = vectors.float().chunk(2, dim=-1)
    rotated = torch.cat((first * cosine - second * sine, second * cosine + first * sine), dim=-1)
    return rotated.to(vectors.dtype)


# -- the layers -----------------------------------------------------------------------------------------------------


class MultiHeadAttention(nn.Module):
    """Self-attention with H heads (section 3.2.2).

    The layers for queries, keys and values (``q_proj``, ``k_proj``, ``v_proj`` in other code) are one matrix
    ``query_key_value`` [3 D, D], queries first: one large product is faster than three small ones. ``output`` is what
    others call ``o_proj`` or ``c_proj``.

    Args:
        hidden_size: D.
        num_heads: H; must divide D.
        dropout: dropout of the attention weights, during training.
        layer: index of this layer, under which a cache stores its keys and values.
        head_dim: K, where it is not D / H because heads were pruned.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, dropout: float = 0.0, layer: int = 0, head_dim: int | None = None
    ) -> None:
        super().__init__()
        self.num_heads, self.dropout, self.layer = num_heads, dropout, layer
        inner = hidden_size if head_dim is None else num_heads * head_dim  # width of all heads together
        self.query_key_value = nn.Linear(hidden_size, 3 * inner)
        self.output = nn.Linear(inner, hidden_size)

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from every token to the tokens of the same text.

        Args:
            hidden: [B, T, D].
            mask: True where a query may attend.
            causal: a token attends to itself and earlier tokens only; used instead of ``mask``, not together with it.
            rotary: cosine and sine at the tokens' positions, to rotate queries and keys by.
            cache: keys and values of earlier tokens; those of the new tokens are appended.
            output_attentions: return the weights, which takes the written-out path.

        Returns:
            Vectors [B, T, D], and weights [B, H, T, S] (None unless requested).
        """
        query, key, value = (split_heads(x, self.num_heads) for x in self.query_key_value(hidden).chunk(3, dim=-1))
        if rotary is not None:
            query, key = rotate(query, *rotary), rotate(key, *rotary)
        if cache is not None:
            key, value = cache.update(key, value, self.layer)
        dropout = self.dropout if self.training else 0.0
        output, weights = compute_attention(query, key, value, mask, dropout, causal, output_attentions)
        return self.output(join_heads(output)), weights


class CrossAttention(nn.Module):
    """Attention from one text to another: the decoder's queries, the encoder's keys and values (section 3.2.3).

    Args:
        hidden_size: D.
        num_heads: H; must divide D.
        dropout: dropout of the attention weights, during training.
        layer: index of this layer, under which a cache stores its keys and values.
    """

    def __init__(self, hidden_size: int, num_heads: int, dropout: float = 0.0, layer: int = 0) -> None:
        super().__init__()
        self.num_heads, self.dropout, self.layer = num_heads, dropout, layer
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key_value = nn.Linear(hidden_size, 2 * hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(
        self,
        hidden: Tensor,
        encoder_hidden_states: Tensor,
        mask: Tensor | None = None,
        cache: Cache | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from every token of the decoder to the tokens of the encoder.

        Args:
            hidden: [B, T, D], of the decoder.
            encoder_hidden_states: [B, S, D].
            mask: True where a query may attend, [B, 1, 1 or T, S].
            cache: an EncoderDecoderCache: the encoder's keys and values are the same at every step.
            output_attentions: return the weights, which takes the written-out path.

        Returns:
            Vectors [B, T, D], and weights [B, H, T, S] (None unless requested).
        """
        query = split_heads(self.query(hidden), self.num_heads)
        key, value = self._keys_and_values(encoder_hidden_states, cache)
        dropout = self.dropout if self.training else 0.0
        output, weights = compute_attention(query, key, value, mask, dropout, False, output_attentions)
        return self.output(join_heads(output)), weights

    def _keys_and_values(self, encoder_hidden_states: Tensor, cache: Cache | None) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, S, K] of the encoder's output, computed once per text."""
        if isinstance(cache, EncoderDecoderCache) and cache.is_updated.get(self.layer):
            cached: Any = cache.cross_attention_cache.layers[self.layer]
            return cached.keys, cached.values
        key, value = (split_heads(x, self.num_heads) for x in self.key_value(encoder_hidden_states).chunk(2, dim=-1))
        if isinstance(cache, EncoderDecoderCache):
            key, value = cache.cross_attention_cache.update(key, value, self.layer)
            cache.is_updated[self.layer] = True
        return key, value


def compute_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float,
    causal: bool,
    output_attentions: bool,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention with the fused kernel, or written out when the weights are requested.

    Args:
        query: [B, H, T, K].
        key: [B, H, S, K].
        value: [B, H, S, K].
        mask: True where a query may attend; None when ``causal`` or when it may attend everywhere.
        dropout: probability of dropping a weight.
        causal: each query attends to the keys up to its own position.
        output_attentions: return the weights.

    Returns:
        Output [B, H, T, K], and weights [B, H, T, S] (None unless requested).
    """
    if not output_attentions:
        return sdpa_attention(query, key, value, mask, dropout, causal), None
    if causal:
        mask = causal_mask(query.shape[2], key.shape[2], query.device)
    return eager_attention(query, key, value, mask, dropout)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """Split vectors into heads.

    Args:
        x: [B, T, D].
        num_heads: H.

    Returns:
        [B, H, T, K].
    """
    return x.view(*x.shape[:-1], num_heads, -1).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """Join the outputs of the heads.

    Args:
        x: [B, H, T, K].

    Returns:
        [B, T, D].
    """
    return x.transpose(1, 2).flatten(2)
