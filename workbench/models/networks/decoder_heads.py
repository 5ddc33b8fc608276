"""Heads on the decoder, and on encoder and decoder: language modelling, classification, text from text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions, Seq2SeqLMOutput
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError
from workbench.models.networks.configuration import DecoderConfig, EncoderDecoderConfig, TransformerConfig
from workbench.models.networks.losses import can_fuse, fused_cross_entropy, token_loss
from workbench.models.networks.outputs import Output, SequenceClassifier, TokenClassifier, as_requested, num_labels
from workbench.models.networks.transformer import DecoderModel, EncoderDecoderModel
from workbench.models.networks.transformer_heads import TransformerWithHead, head_dropout
from workbench.types import IGNORE_INDEX


class DecoderWithHead(TransformerWithHead):
    """Base of the decoder's heads."""

    config_class = DecoderConfig
    model: DecoderModel

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.model = DecoderModel(config)
        self.dropout = head_dropout(config)


class DecoderForCausalLM(DecoderWithHead, GenerationMixin):
    """Predict the next token, at every position at once.

    The output layer, ``lm_head`` in other models, is ``vocabulary``.
    """

    _tied_weights_keys = {"vocabulary.weight": "model.embeddings.tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.vocabulary = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_output_embeddings(self) -> nn.Module:
        return self.vocabulary

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.vocabulary = value

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        document_ids: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int = 0,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Predict the next tokens.

        Args:
            input_ids: [B, T].
            attention_mask: [B, S], 1 on text and 0 on padding, including the tokens in the cache.
            position_ids: [B, T].
            document_ids: [B, T], of packed rows; a document's first token is not predicted from its neighbour's last.
            labels: [B, T], usually ``input_ids`` itself with -100 on padding: they are shifted here, so that each token
                is predicted from the earlier ones.
            logits_to_keep: return the logits of this many last tokens only; 0 for all.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss, and logits [B, T, V]; no logits during training, where nobody reads them (see
            :func:`~workbench.models.networks.losses.fused_cross_entropy`).
        """
        body = self.model(input_ids, attention_mask, position_ids, document_ids, **inputs)
        hidden = body.last_hidden_state
        targets = None if labels is None else next_tokens(labels, document_ids)
        loss = logits = None
        if targets is not None and self.training and can_fuse(self.vocabulary):
            loss = fused_cross_entropy(hidden, self.vocabulary, targets)
        else:
            # The loss covers all tokens, however many logits are returned.
            logits = self.vocabulary(hidden if targets is not None else hidden[:, -logits_to_keep:])
            loss = None if targets is None else token_loss(logits, targets)
            logits = logits[:, -logits_to_keep:]
        output = CausalLMOutputWithCrossAttentions(
            loss, logits, body.past_key_values, body.hidden_states, body.attentions
        )
        return as_requested(output, return_dict)


def next_tokens(labels: Tensor, document_ids: Tensor | None) -> Tensor:
    """Shift labels so that each position's target is the next token.

    Args:
        labels: [B, T].
        document_ids: [B, T], of packed rows.

    Returns:
        [B, T]; -100 at the last token of a text or document.
    """
    targets = labels.roll(-1, dims=1)
    targets[:, -1] = IGNORE_INDEX
    if document_ids is not None:
        targets = targets.masked_fill(document_ids != document_ids.roll(-1, dims=1), IGNORE_INDEX)
    return targets


class DecoderForSequenceClassification(DecoderWithHead, SequenceClassifier):
    """One answer for the whole text, from its last token: the only one that has seen everything."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.hidden_size, num_labels(config), bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        hidden: Tensor = body["last_hidden_state"]
        last = hidden[:, -1]
        if attention_mask is not None:
            positions = torch.arange(hidden.shape[1], device=hidden.device) * attention_mask[:, -hidden.shape[1] :]
            last = hidden[torch.arange(len(hidden), device=hidden.device), positions.argmax(dim=1)]
        logits: Tensor = self.score(last)
        return logits


class DecoderForTokenClassification(DecoderWithHead, TokenClassifier):
    """A label for each token, from the tokens up to it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, num_labels(config))
        self.post_init()  # type: ignore[no-untyped-call]


class EncoderDecoderForSeq2SeqLM(TransformerWithHead, GenerationMixin):
    """Generate a text from a text: a translation, a summary (Vaswani et al. 2017).

    The output layer, ``lm_head`` in other models, is ``vocabulary``.
    """

    config_class = EncoderDecoderConfig
    model: EncoderDecoderModel
    _tied_weights_keys = {  # noqa: RUF012
        "model.decoder.embeddings.tokens.weight": "model.encoder.embeddings.tokens.weight",
        "vocabulary.weight": "model.encoder.embeddings.tokens.weight",
    }

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.model = EncoderDecoderModel(config)
        self.vocabulary = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def get_encoder(self, *_: Any, **__: Any) -> nn.Module:
        return self.model.encoder

    def get_decoder(self) -> nn.Module:
        return self.model.decoder

    def get_output_embeddings(self) -> nn.Module:
        return self.vocabulary

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.vocabulary = value

    def prepare_decoder_input_ids_from_labels(self, labels: Tensor) -> Tensor:
        """Shift labels one position to the right: what the decoder has written before each token.

        Args:
            labels: [B, T], -100 on padding.

        Returns:
            [B, T].

        Raises:
            RequestError: the configuration lacks the start token or the padding token.
        """
        start, pad = self.config.decoder_start_token_id, self.config.pad_token_id
        if start is None or pad is None:
            raise RequestError(
                "The decoder has no start token or no padding token.", "Set decoder_start_token_id and pad_token_id."
            )
        shifted = labels.roll(1, dims=1)
        shifted[:, 0] = start
        return shifted.masked_fill(shifted == IGNORE_INDEX, pad)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Predict the tokens of the text that is written.

        Args:
            input_ids: [B, S], of the text that is read.
            attention_mask: [B, S], 1 on text and 0 on padding.
            decoder_input_ids: [B, T]; by default ``labels``, shifted.
            labels: [B, T], the text to write, -100 on padding.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss, and logits [B, T, V] (none during training).
        """
        if decoder_input_ids is None and labels is not None and inputs.get("decoder_inputs_embeds") is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        body = self.model(input_ids, attention_mask, decoder_input_ids, **inputs)
        loss = logits = None
        if labels is not None and self.training and can_fuse(self.vocabulary):
            loss = fused_cross_entropy(body.last_hidden_state, self.vocabulary, labels)
        else:
            logits = self.vocabulary(body.last_hidden_state)
            loss = None if labels is None else token_loss(logits, labels)
        output = Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=body.past_key_values,
            decoder_hidden_states=body.decoder_hidden_states,
            decoder_attentions=body.decoder_attentions,
            cross_attentions=body.cross_attentions,
            encoder_last_hidden_state=body.encoder_last_hidden_state,
            encoder_hidden_states=body.encoder_hidden_states,
            encoder_attentions=body.encoder_attentions,
        )
        return as_requested(output, return_dict)
