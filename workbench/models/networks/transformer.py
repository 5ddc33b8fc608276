"""The Transformer: encoder (BERT), decoder (GPT-2), and the two together (Attention Is All You Need), from one block.

    EncoderModel          every token sees the whole text       Devlin et al. 2018, arXiv 1810.04805
    DecoderModel          every token sees the earlier ones     Radford et al. 2019 (GPT-2)
    EncoderDecoderModel   the decoder also sees the encoder     Vaswani et al. 2017, arXiv 1706.03762

    configuration.py   the numbers that decide the shape
    attention.py       attention and its masks; the letters in shapes are explained there
    blocks.py          embeddings, feed-forward network, the block that is stacked
    stack.py           how a text passes through the layers
    transformer.py     this file: the three models
    heads.py           what a task adds on top

All models here are transformers models: they are saved and loaded, generate text, and are tuned by peft like any other.
:mod:`workbench.models.convert` loads published weights into them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache, EncoderDecoderCache
from transformers.modeling_outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    BaseModelOutputWithPoolingAndCrossAttentions,
    Seq2SeqModelOutput,
)
from transformers.utils.generic import ModelOutput

from workbench.models.networks.attention import causal_mask, cross_document_mask, document_mask, padding_mask
from workbench.models.networks.blocks import Block, Embeddings, FeedForward, Sinusoidal
from workbench.models.networks.configuration import (
    ACTIVATIONS,
    DecoderConfig,
    EncoderConfig,
    EncoderDecoderConfig,
    TransformerConfig,
)
from workbench.models.networks.outputs import as_requested
from workbench.models.networks.stack import OutputFlags, TransformerModel, TransformerStack

__all__ = [
    "ACTIVATIONS",
    "Block",
    "DecoderConfig",
    "DecoderModel",
    "Embeddings",
    "EncoderConfig",
    "EncoderDecoderConfig",
    "EncoderDecoderModel",
    "EncoderModel",
    "FeedForward",
    "Sinusoidal",
    "TransformerConfig",
    "TransformerModel",
    "TransformerStack",
]


class EncoderModel(TransformerStack):
    """An encoder: every token sees the whole text, before and after it.

    Args:
        config: shape of the model.
        add_pooling_layer: whether to add the layer that summarizes a text (BERT's pooler).
    """

    config_class = EncoderConfig

    def __init__(self, config: TransformerConfig, add_pooling_layer: bool = True) -> None:
        super().__init__(config)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if add_pooling_layer else None
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        pooled: bool = True,
        return_dict: bool | None = None,
        **_: object,
    ) -> ModelOutput | tuple[Tensor, ...]:
        """Encode a text.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], 0 in the first text of a pair, 1 in the second.
            position_ids: [B, T]; counted from 0 by default.
            document_ids: [B, T], for rows that several documents are packed into: the number of each token's document,
                0 on padding. Attention does not cross documents, and positions restart in each.
            inputs_embeds: [B, T, D], in place of ``input_ids``.
            past_key_values: keys and values before the text (prefix tuning); they take no positions.
            output_attentions: return the attention weights.
            output_hidden_states: return the hidden states of every layer.
            pooled: compute ``pooler_output``; heads that pool differently skip it.
            return_dict: False to return a tuple.

        Returns:
            ``last_hidden_state`` [B, T, D] and ``pooler_output`` [B, D] (of the first token, or the mean of all).
        """
        positions, _length = self.resolve_positions(input_ids, inputs_embeds, position_ids, document_ids, past=0)
        body = self.run_layers(
            self.embeddings(input_ids, inputs_embeds, positions, token_type_ids),
            positions,
            padding_mask(attention_mask) if document_ids is None else document_mask(document_ids),
            causal=False,
            flags=OutputFlags.resolve(self.config, output_attentions, output_hidden_states),
            cache=past_key_values,
        )
        summary = None
        if self.pooler is not None and pooled:
            summary = self.pool(self._gather(body["last_hidden_state"], attention_mask))  # type: ignore[arg-type]
        return as_requested(
            BaseModelOutputWithPoolingAndCrossAttentions(pooler_output=summary, **body),  # type: ignore[arg-type]
            return_dict,
        )

    def pool(self, gathered: Tensor) -> Tensor:
        """Summarize texts (BERT's pooler).

        Args:
            gathered: [..., D], the vector of a text's first token, or the mean of all its tokens.

        Returns:
            [..., D].
        """
        assert self.pooler is not None
        return torch.tanh(self.pooler(gathered))

    def _gather(self, hidden: Tensor, attention_mask: Tensor | None) -> Tensor:
        """Return the pooler's input [B, D] from the tokens [B, T, D], without padding."""
        if self.config.pooling == "first":
            return hidden[:, 0]
        if attention_mask is None:
            return hidden.mean(1)
        visible = attention_mask[:, -hidden.shape[1] :, None].to(hidden.dtype)  # the mask may cover virtual tokens too
        return (hidden * visible).sum(1) / visible.sum(1).clamp(min=1)


class DecoderModel(TransformerStack):
    """A decoder: every token sees earlier tokens, and in an encoder-decoder the encoder's text.

    Args:
        config: shape of the model.
        cross: whether each layer also attends to an encoder.
    """

    config_class = DecoderConfig

    def __init__(self, config: TransformerConfig, cross: bool = False) -> None:
        super().__init__(config, cross)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        encoder_document_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: object,
    ) -> ModelOutput | tuple[Tensor, ...]:
        """Decode a text.

        Args:
            input_ids: [B, T].
            attention_mask: [B, S], 1 on text and 0 on padding, including the tokens in the cache.
            position_ids: [B, T]; by default counted from the end of the cache.
            document_ids: [B, T], as in :meth:`EncoderModel.forward`.
            inputs_embeds: [B, T, D], in place of ``input_ids``.
            past_key_values: keys and values of earlier tokens.
            use_cache: create such a cache when none is passed.
            encoder_hidden_states: [B, S', D], what to attend to.
            encoder_attention_mask: [B, S'].
            encoder_document_ids: [B, S'], the document of each of the encoder's tokens, when both rows are packed.
            output_attentions: return the attention weights.
            output_hidden_states: return the hidden states of every layer.
            return_dict: False to return a tuple.

        Returns:
            ``last_hidden_state`` [B, T, D] and ``past_key_values``.
        """
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
            if encoder_hidden_states is not None:
                past_key_values = EncoderDecoderCache(past_key_values, DynamicCache(config=self.config))
        past = int(past_key_values.get_seq_length()) if past_key_values is not None else 0
        positions, length = self.resolve_positions(input_ids, inputs_embeds, position_ids, document_ids, past)
        mask, causal = self._mask(attention_mask, document_ids, length, past, positions.device)
        encoder_mask = padding_mask(encoder_attention_mask)
        if document_ids is not None and encoder_document_ids is not None:
            encoder_mask = cross_document_mask(document_ids, encoder_document_ids)
        body = self.run_layers(
            self.embeddings(input_ids, inputs_embeds, positions, None),
            positions,
            mask,
            causal,
            flags=OutputFlags.resolve(self.config, output_attentions, output_hidden_states),
            cache=past_key_values,
            encoder_hidden_states=encoder_hidden_states,
            encoder_mask=encoder_mask,
        )
        return as_requested(
            BaseModelOutputWithPastAndCrossAttentions(past_key_values=past_key_values, **body),  # type: ignore[arg-type]
            return_dict,
        )

    def _mask(
        self, attention_mask: Tensor | None, document_ids: Tensor | None, length: int, past: int, device: torch.device
    ) -> tuple[Tensor | None, bool]:
        """Return the mask, and whether to use the kernel's own causal form instead, which is faster."""
        if attention_mask is not None and attention_mask.dim() == 4:
            return attention_mask, False
        visible = padding_mask(attention_mask) if document_ids is None else document_mask(document_ids)
        if visible is None:
            if length == 1:  # the newest token sees everything
                return None, False
            if past == 0:
                return None, True
        causal = causal_mask(length, past + length, device)
        if visible is None:
            return causal, False
        # A token always sees itself: padding on the left would otherwise have nothing to attend to, and yield NaN.
        itself = torch.eye(past + length, dtype=torch.bool, device=device)[past:]
        return (causal & visible) | itself, False


class EncoderDecoderModel(TransformerModel):
    """An encoder reads one text; a decoder writes another and attends to the first.

    Args:
        config: shape of the model.
    """

    config_class = EncoderDecoderConfig
    _tied_weights_keys = {  # noqa: RUF012
        "decoder.embeddings.tokens.weight": "encoder.embeddings.tokens.weight"
    }

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.encoder = EncoderModel(config, add_pooling_layer=False)
        self.decoder = DecoderModel(config, cross=True)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_encoder(self, *_: Any, **__: Any) -> EncoderModel:
        return self.encoder

    def get_decoder(self) -> DecoderModel:
        return self.decoder

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.embeddings.tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.embeddings.tokens = value  # type: ignore[assignment]
        self.decoder.embeddings.tokens = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: ModelOutput | tuple[Tensor, ...] | None = None,
        inputs_embeds: Tensor | None = None,
        decoder_inputs_embeds: Tensor | None = None,
        decoder_position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        decoder_document_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **_: object,
    ) -> ModelOutput | tuple[Tensor, ...]:
        """Encode the text that is read, and decode the text that is written.

        Args:
            input_ids: [B, S], of the text that is read.
            attention_mask: [B, S], 1 on text and 0 on padding.
            decoder_input_ids: [B, T], of the text that is written.
            decoder_attention_mask: [B, T].
            encoder_outputs: outputs of an earlier encoder call, in place of ``input_ids``.
            inputs_embeds: [B, S, D], in place of ``input_ids``.
            decoder_inputs_embeds: [B, T, D], in place of ``decoder_input_ids``.
            decoder_position_ids: [B, T].
            document_ids: [B, S], of packed rows: nothing is shared between documents, on either side.
            decoder_document_ids: [B, T].
            past_key_values: keys and values of earlier tokens.
            use_cache: create such a cache when none is passed.
            output_attentions: return the attention weights.
            output_hidden_states: return the hidden states of every layer.
            return_dict: False to return a tuple.

        Returns:
            ``last_hidden_state`` [B, T, D], and the outputs of encoder and decoder.
        """
        output_flags = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        if encoder_outputs is None:
            encoder_outputs = self.encoder(
                input_ids, attention_mask, document_ids=document_ids, inputs_embeds=inputs_embeds, **output_flags
            )
        assert encoder_outputs is not None
        encoder_hidden_states = encoder_outputs[0]
        decoded = self.decoder(
            decoder_input_ids,
            decoder_attention_mask,
            position_ids=decoder_position_ids,
            document_ids=decoder_document_ids,
            inputs_embeds=decoder_inputs_embeds,
            past_key_values=past_key_values,
            use_cache=use_cache,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=attention_mask,
            encoder_document_ids=document_ids,
            **output_flags,
        )
        output = Seq2SeqModelOutput(
            last_hidden_state=decoded.last_hidden_state,
            past_key_values=decoded.past_key_values,
            decoder_hidden_states=decoded.hidden_states,
            decoder_attentions=decoded.attentions,
            cross_attentions=decoded.cross_attentions,
            encoder_last_hidden_state=encoder_hidden_states,
            encoder_hidden_states=getattr(encoder_outputs, "hidden_states", None),
            encoder_attentions=getattr(encoder_outputs, "attentions", None),
        )
        return as_requested(output, return_dict)
