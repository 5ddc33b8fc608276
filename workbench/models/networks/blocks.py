"""The building blocks of the Transformer: embeddings, feed-forward network, and the block that is stacked.

    Block       attention, then a small network on each token; each adds to its input ("residual")

The letters in shapes are explained in :mod:`workbench.models.networks.attention`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from transformers import Cache, EncoderDecoderCache

from workbench.errors import RequestError
from workbench.models.networks.attention import CrossAttention, MultiHeadAttention
from workbench.models.networks.configuration import ACTIVATIONS, TransformerConfig


class Sinusoidal(nn.Module):
    """Sinusoidal positions: waves of many lengths (Vaswani et al. 2017, section 3.5). Nothing is learned.

    Component 2i of the vector at position p is sin(p / 10000^(2i/D)), component 2i + 1 the cosine of the same angle.

    Args:
        max_positions: number of positions.
        hidden_size: D.
    """

    table: Tensor

    def __init__(self, max_positions: int, hidden_size: int) -> None:
        super().__init__()
        self.max_positions, self.hidden_size = max_positions, hidden_size
        self.register_buffer("table", self.make_table(), persistent=False)

    def make_table(self) -> Tensor:
        """Compute the vectors of all positions, [max_positions, D]."""
        position = torch.arange(self.max_positions, dtype=torch.float32)[:, None]
        even = torch.arange(0, self.hidden_size, 2, dtype=torch.float32)
        angles = position / 10_000 ** (even / self.hidden_size)
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, : self.hidden_size]

    def forward(self, positions: Tensor) -> Tensor:
        """Look up the vectors [B, T, D] at ``positions`` [B, T].

        Args:
            positions: [B, T], from 0.
        """
        waves: Tensor = self.table[positions]
        return waves


class Embeddings(nn.Module):
    """Token ids to vectors: the sum of the token's, its position's and its segment's embedding.

    Args:
        config: shape of the model.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.tokens = nn.Embedding(config.vocab_size, width)
        self.scale = math.sqrt(width) if config.scale_embeddings else 1.0
        layers = {"learned": nn.Embedding, "sinusoidal": Sinusoidal}
        layer = layers.get(config.positions)
        self.max_positions = config.max_position_embeddings if layer else None
        self.positions = layer(config.max_position_embeddings, width) if layer else None
        self.types = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps) if config.embedding_norm else None
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, input_ids: Tensor | None, inputs_embeds: Tensor | None, positions: Tensor, token_type_ids: Tensor | None
    ) -> Tensor:
        """Embed a text.

        Args:
            input_ids: [B, T].
            inputs_embeds: [B, T, D], in place of ``input_ids``.
            positions: [B or 1, T].
            token_type_ids: [B, T]; None when all tokens belong to the first segment.

        Returns:
            Vectors [B, T, D].
        """
        hidden = inputs_embeds if inputs_embeds is not None else self.tokens(input_ids)
        if self.scale != 1.0:
            hidden = hidden * self.scale
        if self.positions is not None:
            hidden = hidden + self.positions(positions)
        if self.types is not None:
            # Without segments, or with one type only, every token has the first type: no lookup needed.
            same_type = token_type_ids is None or self.types.num_embeddings == 1
            hidden = hidden + (self.types.weight[0] if same_type else self.types(token_type_ids))
        if self.norm is not None:
            hidden = self.norm(hidden)
        dropped: Tensor = self.dropout(hidden)
        return dropped

    def check_positions(self, positions: Tensor) -> None:
        """Check that every position has an embedding.

        Args:
            positions: [B, T].

        Raises:
            RequestError: the largest one is beyond ``max_positions``.
        """
        if self.max_positions is not None and positions.numel():
            self.check_length(int(positions.max()) + 1)

    def check_length(self, length: int) -> None:
        """Check that a text is not longer than there are positions.

        Args:
            length: in tokens.

        Raises:
            RequestError: it is too long.
        """
        if self.max_positions is not None and length > self.max_positions:
            raise RequestError(
                f"The text has {length} tokens, but the model has {self.max_positions} positions.",
                "Cut the text, or build the model with more max_position_embeddings (or rotary positions).",
            )


class FeedForward(nn.Module):
    """A small network applied to each token separately: D to 4 D and back (Vaswani et al. 2017, section 3.3).

    Args:
        config: shape of the model.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = ACTIVATIONS[config.activation]()
        self.down = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform each token's vector.

        Args:
            hidden: [B, T, D].

        Returns:
            [B, T, D].
        """
        output: Tensor = self.down(self.activation(self.up(hidden)))
        return output


class Block(nn.Module):
    """One layer: attention, cross attention in a decoder with an encoder, then the feed-forward network.

    With ``post`` norm each sublayer computes norm(x + sublayer(x)); with ``pre`` norm x + sublayer(norm(x)).

    Args:
        config: shape of the model.
        layer: index of this layer, from 0.
        cross: whether to attend to an encoder's output.
    """

    def __init__(self, config: TransformerConfig, layer: int, cross: bool = False) -> None:
        super().__init__()
        width, heads, dropout = config.hidden_size, config.num_attention_heads, config.attention_dropout
        self.pre = config.norm == "pre"
        remaining = heads if config.kept_heads is None else config.kept_heads[layer]
        self.attention = MultiHeadAttention(width, remaining, dropout, layer, width // heads)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        if cross:
            self.cross_attention = CrossAttention(width, heads, dropout, layer)
            self.cross_attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        # Residual projections: _init_weights scales them by 1/√(2·layers) in models with ``pre`` norm.
        for projection in (self.attention.output, self.feed_forward.down):
            projection.is_residual_projection = True  # type: ignore[assignment]

    def forward(
        self,
        hidden: Tensor,
        mask: Tensor | None = None,
        causal: bool = False,
        rotary: tuple[Tensor, Tensor] | None = None,
        cache: Cache | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_mask: Tensor | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Run one layer.

        Args:
            hidden: [B, T, D].
            mask: as in :meth:`MultiHeadAttention.forward`.
            causal: as in :meth:`MultiHeadAttention.forward`.
            rotary: as in :meth:`MultiHeadAttention.forward`.
            cache: keys and values of earlier tokens; with an encoder, an EncoderDecoderCache.
            encoder_hidden_states: [B, S, D], the encoder's output, for cross attention.
            encoder_mask: [B, 1, 1 or T, S], True where a query may attend to the encoder's tokens.
            output_attentions: return the attention weights.

        Returns:
            Vectors [B, T, D], and the weights of attention and of cross attention (None unless requested).
        """
        own_cache = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
        change, weights = self.attention(
            self._before(self.attention_norm, hidden), mask, causal, rotary, own_cache, output_attentions
        )
        hidden = self._add(self.attention_norm, hidden, change)
        cross_weights = None
        if encoder_hidden_states is not None:
            normed = self._before(self.cross_attention_norm, hidden)
            change, cross_weights = self.cross_attention(
                normed, encoder_hidden_states, encoder_mask, cache, output_attentions
            )
            hidden = self._add(self.cross_attention_norm, hidden, change)
        change = self.feed_forward(self._before(self.feed_forward_norm, hidden))
        return self._add(self.feed_forward_norm, hidden, change), weights, cross_weights

    def _before(self, norm: nn.LayerNorm, hidden: Tensor) -> Tensor:
        """Return the input of a sublayer."""
        normed: Tensor = norm(hidden) if self.pre else hidden
        return normed

    def _add(self, norm: nn.LayerNorm, hidden: Tensor, change: Tensor) -> Tensor:
        """Return the residual addition after a sublayer."""
        total: Tensor = hidden + self.dropout(change)
        return total if self.pre else norm(total)
