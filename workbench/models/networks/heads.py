"""What is put on a Transformer for a task, and the Auto classes under which transformers finds it.

    from transformers import AutoModelForMaskedLM
    model = AutoModelForMaskedLM.from_config(EncoderConfig(hidden_size=128, ...))

Importing this module is what makes ``AutoModelFor...`` know the models of :mod:`workbench.models.networks.transformer`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.modeling_outputs import (
    CausalLMOutputWithCrossAttentions,
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    Seq2SeqLMOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.models.bert.modeling_bert import BertForPreTrainingOutput

from workbench.errors import RequestError, SpecError
from workbench.models.networks.losses import (
    IGNORED,
    can_fuse,
    classification_loss,
    fused_cross_entropy,
    span_loss,
    token_loss,
    upcast_to_fp32,
)
from workbench.models.networks.transformer import (
    ACTIVATIONS,
    DecoderConfig,
    DecoderModel,
    EncoderConfig,
    EncoderDecoderConfig,
    EncoderDecoderModel,
    EncoderModel,
    TransformerConfig,
    TransformerModel,
)


def classes(config: TransformerConfig) -> int:
    """How many answers a classifier chooses from."""
    assert config.num_labels is not None
    return config.num_labels


def head_dropout(config: TransformerConfig) -> nn.Dropout:
    """Dropout of what a classifier reads."""
    return nn.Dropout(config.dropout if config.classifier_dropout is None else config.classifier_dropout)


class TransformerWithHead(TransformerModel):
    """Base of every model with a head: the body is ``model``."""

    model: EncoderModel | DecoderModel | EncoderDecoderModel

    def get_input_embeddings(self) -> nn.Module:
        return self.model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.model.set_input_embeddings(value)


# -- on the encoder -------------------------------------------------------------------------------------------------


class MaskedLMHead(nn.Module):
    """A token's vector to a score for each word: one more map, then the vocabulary (Devlin et al. 2018, A.2)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.vocabulary = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., V]."""
        scores: Tensor = self.vocabulary(self.transform(hidden))
        return scores

    def transform(self, hidden: Tensor) -> Tensor:
        """[..., D] to [..., D], before the vocabulary."""
        ready: Tensor = self.norm(self.activation(self.dense(hidden)))
        return ready


class EncoderWithHead(TransformerWithHead):
    """Base of the encoder's heads."""

    config_class = EncoderConfig
    model: EncoderModel
    pooled: ClassVar[bool] = False  # the head reads the summary of the text, not its tokens

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config, add_pooling_layer=self.pooled)
        self.dropout = head_dropout(config)


class _PredictsMasked(EncoderWithHead):
    """Base of the two heads that guess masked words."""

    head: MaskedLMHead

    def get_output_embeddings(self) -> nn.Module:
        return self.head.vocabulary

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.head.vocabulary = value

    def predict_words(
        self, hidden: Tensor, labels: Tensor | None, label_positions: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Scores and loss of masked words.

        One token in seven has a label. To compute the others' V scores, as libraries do, is most of the work of a small
        model; with ``config.sparse_prediction`` only those with a label are computed.

        Args:
            hidden: [B, T, D].
            labels: [B, T], -100 where nothing is masked.
            label_positions: [M], the positions with a label in reading order, B and T counted as one; computed here if
                left out, for which a GPU makes the host wait.

        Returns:
            scores [M, V] of the M places with a label, in reading order (none while training), or [B, T, V]; and the
            mean loss.
        """
        if labels is None:
            return self.head(hidden), None
        if not self.config.sparse_prediction:
            scores = self.head(hidden)
            return scores, token_loss(scores, labels)
        if label_positions is None:
            label_positions = (labels.flatten() != IGNORED).nonzero().squeeze(1)
        ready, right = self.head.transform(hidden.flatten(0, 1)[label_positions]), labels.flatten()[label_positions]
        if self.training and can_fuse(self.head.vocabulary):
            return None, fused_cross_entropy(ready, self.head.vocabulary, right)
        scores = self.head.vocabulary(ready)
        return scores, token_loss(scores, right)


class EncoderForMaskedLM(_PredictsMasked):
    """Guess the words that are masked (Devlin et al. 2018, section 3.1, task 1)."""

    _tied_weights_keys = {"head.vocabulary.weight": "model.embeddings.tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.head = MaskedLMHead(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        label_positions: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss and logits. ``labels`` [B, T]: the word at each masked place, -100 elsewhere; see ``predict_words``."""
        found = self.model(input_ids, **more)
        logits, loss = self.predict_words(found.last_hidden_state, labels, label_positions)
        return _told(MaskedLMOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


class EncoderForPreTraining(_PredictsMasked):
    """Guess the masked words, and whether the second text follows the first (Devlin et al. 2018, section 3.1)."""

    pooled = True
    _tied_weights_keys = {"head.vocabulary.weight": "model.embeddings.tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TransformerConfig) -> None:
        if config.pooling != "first":
            raise SpecError(
                f"pooling is {config.pooling!r}, and pairs of texts are summed up by their first token: a packed row "
                "has several pairs, each with its own.",
                "Set pooling: first, or pretrain with masked words alone (masked-lm).",
            )
        super().__init__(config)
        self.head = MaskedLMHead(config)
        self.next_sentence = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        label_positions: Tensor | None = None,
        next_sentence_label: Tensor | None = None,
        pair_positions: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """The sum of both losses, and both kinds of logits.

        Args:
            labels: [B, T], the word at each masked place, -100 elsewhere.
            next_sentence_label: 0 where the second text follows the first, 1 where it is a random one: [B]; or, where
                pairs are packed into rows (``document_ids``), [B, T] with -100 everywhere but at a pair's first token.
            pair_positions: [P], the pairs' first tokens in packed rows, B and T counted as one; found here if left out.
        """
        found = self.model(input_ids, pooled=False, **more)
        hidden = found.last_hidden_state
        words, loss = self.predict_words(hidden, labels, label_positions)
        if next_sentence_label is not None and next_sentence_label.dim() == 2:
            if pair_positions is None:
                pair_positions = (next_sentence_label.flatten() != IGNORED).nonzero().squeeze(1)
            pooled = self.model.pool(hidden.flatten(0, 1)[pair_positions])
            next_sentence_label = next_sentence_label.flatten()[pair_positions]
        else:
            pooled = self.model.pool(hidden[:, 0])  # as in packed rows: a pair's summary is its first token's
        follows = self.next_sentence(pooled)
        if next_sentence_label is not None:
            next_loss = F.cross_entropy(upcast_to_fp32(follows), next_sentence_label)
            loss = next_loss if loss is None else loss + next_loss
        output = BertForPreTrainingOutput(
            loss=loss,
            prediction_logits=words,
            seq_relationship_logits=follows,
            hidden_states=found.hidden_states,
            attentions=found.attentions,
        )
        return _told(output, return_dict)


class EncoderForSequenceClassification(EncoderWithHead):
    """One answer for the whole text, read off the summary of its first token."""

    pooled = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, classes(config))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss, and logits [B, classes]. ``labels``: [B] class numbers, or [B, classes] of 0 and 1."""
        found = self.model(input_ids, **more)
        logits = self.classifier(self.dropout(found.pooler_output))
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return _told(SequenceClassifierOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


class EncoderForMultipleChoice(EncoderWithHead):
    """The best of several texts: each gets one number, the highest wins."""

    pooled = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss, and logits [B, choices]. Inputs are [B, choices, T]; ``labels`` [B]: which one is right."""
        given = input_ids if input_ids is not None else inputs_embeds
        if given is None:
            raise RequestError("A model takes either input_ids or inputs_embeds.", "Give one of the two.")
        choices = given.shape[1]

        def flat(x: Tensor | None) -> Tensor | None:
            return None if x is None else x.flatten(0, 1)

        found = self.model(
            flat(input_ids), flat(attention_mask), flat(token_type_ids), inputs_embeds=flat(inputs_embeds), **more
        )
        logits = self.classifier(self.dropout(found.pooler_output)).view(-1, choices)
        loss = None if labels is None else F.cross_entropy(upcast_to_fp32(logits), labels)
        return _told(MultipleChoiceModelOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


class EncoderForTokenClassification(EncoderWithHead):
    """An answer for each token: the kind of name it belongs to, say."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, classes(config))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss, and logits [B, T, classes]. ``labels`` [B, T], -100 where none is wanted."""
        found = self.model(input_ids, **more)
        logits = self.classifier(self.dropout(found.last_hidden_state))
        loss = None if labels is None else token_loss(logits, labels)
        return _told(TokenClassifierOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


class EncoderForQuestionAnswering(EncoderWithHead):
    """Where in the text the answer begins and ends: two numbers for each token (Devlin et al. 2018, section 4.2)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.span = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss (mean of both ends), and logits [B, T] of both. A position beyond the text counts for nothing."""
        found = self.model(input_ids, **more)
        start, end = self.span(found.last_hidden_state).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions)
        output = QuestionAnsweringModelOutput(loss, start, end, found.hidden_states, found.attentions)
        return _told(output, return_dict)


# -- on the decoder -------------------------------------------------------------------------------------------------


class DecoderWithHead(TransformerWithHead):
    """Base of the decoder's heads."""

    config_class = DecoderConfig
    model: DecoderModel

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.model = DecoderModel(config)
        self.dropout = head_dropout(config)


class DecoderForCausalLM(DecoderWithHead, GenerationMixin):
    """Guess the next word, at every place of the text at once."""

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
        **more: Any,
    ) -> Any:
        """Loss and logits [B, T, V]; no logits while training, where nobody reads them (see ``fused_cross_entropy``).

        Args:
            labels: [B, T], usually ``input_ids`` itself with -100 on padding: they are shifted here, so that each token
                is guessed from those before it. A document's first token is not guessed from its neighbour's last.
            logits_to_keep: only the logits of so many last tokens; 0 for all.
        """
        found = self.model(input_ids, attention_mask, position_ids, document_ids, **more)
        hidden = found.last_hidden_state
        following = None if labels is None else next_tokens(labels, document_ids)
        loss = logits = None
        if following is not None and self.training and can_fuse(self.vocabulary):
            loss = fused_cross_entropy(hidden, self.vocabulary, following)
        else:
            # The loss is over all tokens, whatever is kept of their logits.
            logits = self.vocabulary(hidden if following is not None else hidden[:, -logits_to_keep:])
            loss = None if following is None else token_loss(logits, following)
            logits = logits[:, -logits_to_keep:]
        output = CausalLMOutputWithCrossAttentions(
            loss, logits, found.past_key_values, found.hidden_states, found.attentions
        )
        return _told(output, return_dict)


def next_tokens(labels: Tensor, document_ids: Tensor | None) -> Tensor:
    """What is to be guessed at each place, [B, T]: the next label; nothing at the end of a text or document."""
    following = labels.roll(-1, dims=1)
    following[:, -1] = IGNORED
    if document_ids is not None:
        following = following.masked_fill(document_ids != document_ids.roll(-1, dims=1), IGNORED)
    return following


class DecoderForSequenceClassification(DecoderWithHead):
    """One answer for the whole text, read off its last token: the only one that has seen it all."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.score = nn.Linear(config.hidden_size, classes(config), bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss, and logits [B, classes]. ``labels``: [B] class numbers, or [B, classes] of 0 and 1."""
        found = self.model(input_ids, attention_mask=attention_mask, **more)
        hidden = found.last_hidden_state
        last = hidden[:, -1]
        if attention_mask is not None:
            places = torch.arange(hidden.shape[1], device=hidden.device) * attention_mask[:, -hidden.shape[1] :]
            last = hidden[torch.arange(len(hidden), device=hidden.device), places.argmax(dim=1)]
        logits = self.score(last)
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return _told(SequenceClassifierOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


class DecoderForTokenClassification(DecoderWithHead):
    """An answer for each token, from what stands before it."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, classes(config))
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss, and logits [B, T, classes]. ``labels`` [B, T], -100 where none is wanted."""
        found = self.model(input_ids, **more)
        logits = self.classifier(self.dropout(found.last_hidden_state))
        loss = None if labels is None else token_loss(logits, labels)
        return _told(TokenClassifierOutput(loss, logits, found.hidden_states, found.attentions), return_dict)


# -- on both --------------------------------------------------------------------------------------------------------


class EncoderDecoderForSeq2SeqLM(TransformerWithHead, GenerationMixin):
    """Write a text from a text: a translation, a summary (Vaswani et al. 2017)."""

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
        """``labels`` [B, T] moved one place to the right: what the decoder has written before each token."""
        start, pad = self.config.decoder_start_token_id, self.config.pad_token_id
        if start is None or pad is None:
            raise RequestError(
                "The decoder does not know how a text begins.", "Set decoder_start_token_id and pad_token_id."
            )
        moved = labels.roll(1, dims=1)
        moved[:, 0] = start
        return moved.masked_fill(moved == IGNORED, pad)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **more: Any,
    ) -> Any:
        """Loss and logits [B, T, V] (none while training). ``labels`` [B, T]: the text to write, -100 on padding."""
        if decoder_input_ids is None and labels is not None and more.get("decoder_inputs_embeds") is None:
            decoder_input_ids = self.prepare_decoder_input_ids_from_labels(labels)
        found = self.model(input_ids, attention_mask, decoder_input_ids, **more)
        loss = logits = None
        if labels is not None and self.training and can_fuse(self.vocabulary):
            loss = fused_cross_entropy(found.last_hidden_state, self.vocabulary, labels)
        else:
            logits = self.vocabulary(found.last_hidden_state)
            loss = None if labels is None else token_loss(logits, labels)
        output = Seq2SeqLMOutput(
            loss=loss,
            logits=logits,
            past_key_values=found.past_key_values,
            decoder_hidden_states=found.decoder_hidden_states,
            decoder_attentions=found.decoder_attentions,
            cross_attentions=found.cross_attentions,
            encoder_last_hidden_state=found.encoder_last_hidden_state,
            encoder_hidden_states=found.encoder_hidden_states,
            encoder_attentions=found.encoder_attentions,
        )
        return _told(output, return_dict)


def _told(output: Any, return_dict: bool | None) -> Any:
    return output if return_dict is not False else output.to_tuple()


# -- transformers' Auto classes -------------------------------------------------------------------------------------

HEADS: dict[type[TransformerConfig], dict[str, type[TransformerModel]]] = {
    EncoderConfig: {
        "AutoModel": EncoderModel,
        "AutoModelForMaskedLM": EncoderForMaskedLM,
        "AutoModelForPreTraining": EncoderForPreTraining,
        "AutoModelForSequenceClassification": EncoderForSequenceClassification,
        "AutoModelForTokenClassification": EncoderForTokenClassification,
        "AutoModelForQuestionAnswering": EncoderForQuestionAnswering,
        "AutoModelForMultipleChoice": EncoderForMultipleChoice,
    },
    DecoderConfig: {
        "AutoModel": DecoderModel,
        "AutoModelForCausalLM": DecoderForCausalLM,
        "AutoModelForPreTraining": DecoderForCausalLM,
        "AutoModelForSequenceClassification": DecoderForSequenceClassification,
        "AutoModelForTokenClassification": DecoderForTokenClassification,
    },
    EncoderDecoderConfig: {
        "AutoModel": EncoderDecoderModel,
        "AutoModelForSeq2SeqLM": EncoderDecoderForSeq2SeqLM,
    },
}


def register_with_auto_classes(heads: dict[Any, dict[str, Any]]) -> None:
    """Make transformers' Auto classes know models by their configuration.

    Args:
        heads: configuration class -> {name of the Auto class: model class}.
    """
    for config, models in heads.items():
        transformers.AutoConfig.register(config.model_type, config, exist_ok=True)
        for name, model in models.items():
            getattr(transformers, name).register(config, model, exist_ok=True)


register_with_auto_classes(HEADS)
