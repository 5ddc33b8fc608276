"""The base of the three models: how weights are initialized, and how a text passes through the layers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import Cache, PreTrainedModel, initialization

from workbench.errors import RequestError
from workbench.models.networks.attention import Rotary, document_positions
from workbench.models.networks.blocks import Block, Embeddings, Sinusoidal
from workbench.models.networks.configuration import TransformerConfig


class TransformerModel(PreTrainedModel):
    """Base of every model here: how weights are initialized."""

    config: TransformerConfig
    base_model_prefix = "model"
    _supports_sdpa = True
    _supports_flash_attn = False
    _no_split_modules = ["Block"]  # noqa: RUF012

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialize with standard deviation 0.02, zero biases, norms that change nothing (BERT, GPT-2).

        With ``pre`` norm the outputs of the layers add up, so residual projections start smaller by
        √(number of additions) (Radford et al. 2019, section 2.3).
        """
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, Sinusoidal):
            initialization.copy_(module.table, module.make_table())
        elif isinstance(module, Rotary):
            initialization.copy_(module.frequencies, module.make_frequencies())
        elif getattr(module, "is_residual_projection", False) and self.config.norm == "pre":
            std = self.config.initializer_range / math.sqrt(2 * self.depth)
            initialization.normal_(module.weight, 0.0, std)  # type: ignore[arg-type]

    @property
    def depth(self) -> int:
        """The number of layers that a text passes through."""
        return self.config.num_hidden_layers


@dataclass(frozen=True)
class OutputFlags:
    """What a model returns besides its last hidden states.

    Attributes:
        attentions: whether to return attention weights.
        hidden_states: whether to return the hidden states of every layer.
        eager: whether attention is written out: it must be to have weights, and is when ``eager`` attention is set.
    """

    attentions: bool
    hidden_states: bool
    eager: bool

    @classmethod
    def resolve(
        cls, config: TransformerConfig, output_attentions: bool | None, output_hidden_states: bool | None
    ) -> OutputFlags:
        """Fill in what a call leaves open from the configuration.

        Args:
            config: configuration of the model.
            output_attentions: the argument of the call.
            output_hidden_states: the argument of the call.
        """
        requested = config.output_attentions if output_attentions is None else output_attentions
        eager = bool(requested) or config._attn_implementation == "eager"
        hidden_states = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        return cls(eager and output_attentions is not False, bool(hidden_states), eager)


class TransformerStack(TransformerModel):
    """Embeddings and layers: what encoder and decoder share.

    Args:
        config: shape of the model.
        cross: whether each layer also attends to an encoder.
    """

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__(config)
        self.cross = cross  # if so, the layers are those of an encoder-decoder's decoder
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Block(config, i, cross) for i in range(self.depth))
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps) if config.norm == "pre" else None
        head_dim = config.hidden_size // config.num_attention_heads
        self.rotary = Rotary(head_dim, config.rotary_base) if config.positions == "rotary" else None

    @property
    def depth(self) -> int:
        decoder: int | None = getattr(self.config, "decoder_layers", None) if self.cross else None
        return decoder or self.config.num_hidden_layers

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embeddings.tokens = value  # type: ignore[assignment]

    def run_layers(
        self,
        hidden: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        causal: bool,
        flags: OutputFlags,
        cache: Cache | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_mask: Tensor | None = None,
    ) -> dict[str, Tensor | tuple[Tensor | None, ...] | None]:
        """Pass a text through all layers.

        Args:
            hidden: [B, T, D], the embeddings.
            positions: [B or 1, T].
            mask: True where a query may attend.
            causal: a token attends to itself and earlier tokens only; used instead of ``mask``.
            flags: what to return.
            cache: keys and values of earlier tokens.
            encoder_hidden_states: [B, S, D], for cross attention.
            encoder_mask: [B, 1, 1 or T, S], True where a query may attend to the encoder's tokens.

        Returns:
            ``last_hidden_state`` [B, T, D]; where requested ``hidden_states`` (before the first layer and after each),
            ``attentions`` and ``cross_attentions`` (of each layer).
        """
        rotary = self.rotary(positions) if self.rotary is not None else None
        states, attentions, cross_attentions = [], [], []
        for layer in self.layers:
            if flags.hidden_states:
                states.append(hidden)
            hidden, weights, cross_weights = layer(
                hidden, mask, causal, rotary, cache, encoder_hidden_states, encoder_mask, flags.eager
            )
            attentions.append(weights)
            cross_attentions.append(cross_weights)
        if self.final_norm is not None:
            hidden = self.final_norm(hidden)
        with_cross = flags.attentions and encoder_hidden_states is not None
        return {
            "last_hidden_state": hidden,
            "hidden_states": (*states, hidden) if flags.hidden_states else None,
            "attentions": tuple(attentions) if flags.attentions else None,
            "cross_attentions": tuple(cross_attentions) if with_cross else None,
        }

    def resolve_positions(
        self,
        input_ids: Tensor | None,
        inputs_embeds: Tensor | None,
        position_ids: Tensor | None,
        document_ids: Tensor | None,
        past: int,
    ) -> tuple[Tensor, int]:
        """Return the position of each token, and the number of tokens.

        Args:
            input_ids: [B, T].
            inputs_embeds: [B, T, D], in place of ``input_ids``.
            position_ids: [B, T]; by default counted from ``past``, or from 0 in each document.
            document_ids: [B, T], of packed rows.
            past: number of tokens in the cache.

        Returns:
            Positions [B or 1, T], and T.

        Raises:
            RequestError: there are both ids and embeddings, or neither; or the model has too few positions.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise RequestError("A model takes either input_ids or inputs_embeds.", "Pass one of the two.")
        inputs = input_ids if input_ids is not None else inputs_embeds
        assert inputs is not None
        length = inputs.shape[1]
        if position_ids is None and document_ids is not None:
            position_ids = document_positions(document_ids)
        if position_ids is None:
            self.embeddings.check_length(past + length)
            return torch.arange(past, past + length, device=inputs.device)[None], length
        if position_ids.device.type == "cpu" and not torch.compiler.is_compiling():
            self.embeddings.check_positions(position_ids)
        elif past:  # reading the positions would make the host wait for a GPU; the number of tokens is known here
            self.embeddings.check_length(past + length)
        return position_ids, length
