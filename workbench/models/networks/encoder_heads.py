"""Heads on the encoder: masked words, next sentence, and classification (Devlin et al. 2018, arXiv 1810.04805)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_outputs import MaskedLMOutput
from transformers.models.bert.modeling_bert import BertForPreTrainingOutput

from workbench.errors import SpecError
from workbench.models.networks.configuration import ACTIVATIONS, EncoderConfig, TransformerConfig
from workbench.models.networks.losses import can_fuse, fused_cross_entropy, token_loss, upcast_to_fp32
from workbench.models.networks.outputs import (
    ChoicePredictor,
    Output,
    SequenceClassifier,
    SpanPredictor,
    TokenClassifier,
    as_requested,
    num_labels,
)
from workbench.models.networks.transformer import EncoderModel
from workbench.models.networks.transformer_heads import TransformerWithHead, head_dropout
from workbench.types import IGNORE_INDEX


class MaskedLMHead(nn.Module):
    """A token's vector to logits over the vocabulary: a transform, then the output layer (Devlin et al. 2018, A.2).

    Args:
        config: shape of the model.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = ACTIVATIONS[config.activation]()
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.vocabulary = nn.Linear(config.hidden_size, config.vocab_size)  # lm_head of other models

    def forward(self, hidden: Tensor) -> Tensor:
        """Compute the logits.

        Args:
            hidden: [..., D].

        Returns:
            [..., V].
        """
        logits: Tensor = self.vocabulary(self.transform(hidden))
        return logits

    def transform(self, hidden: Tensor) -> Tensor:
        """Compute the output layer's input.

        Args:
            hidden: [..., D].

        Returns:
            [..., D].
        """
        transformed: Tensor = self.norm(self.activation(self.dense(hidden)))
        return transformed


class EncoderWithHead(TransformerWithHead):
    """Base of the encoder's heads."""

    config_class = EncoderConfig
    model: EncoderModel
    pooled: ClassVar[bool] = False  # whether the head reads the text's summary instead of its tokens

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.model = EncoderModel(config, add_pooling_layer=self.pooled)
        self.dropout = head_dropout(config)


class _MaskedLM(EncoderWithHead):
    """Base of the two heads that predict masked words."""

    head: MaskedLMHead

    def get_output_embeddings(self) -> nn.Module:
        return self.head.vocabulary

    def set_output_embeddings(self, value: nn.Linear) -> None:
        self.head.vocabulary = value

    def predict_words(
        self, hidden: Tensor, labels: Tensor | None, label_positions: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """Compute logits and loss of masked words.

        One token in seven has a label. Computing the V logits of the others as well, as libraries do, is most of the
        work of a small model; with ``config.sparse_prediction`` only those with a label are computed.

        Args:
            hidden: [B, T, D].
            labels: [B, T], -100 where nothing is masked.
            label_positions: [M], the positions with a label in reading order, with B and T flattened into one axis.
                Computed here if None, for which a GPU makes the host wait.

        Returns:
            Logits [M, V] of the positions with a label, in reading order (None during training), or [B, T, V]; and the
            mean loss.
        """
        if labels is None:
            return self.head(hidden), None
        if not self.config.sparse_prediction:
            logits = self.head(hidden)
            return logits, token_loss(logits, labels)
        if label_positions is None:
            label_positions = (labels.flatten() != IGNORE_INDEX).nonzero().squeeze(1)
        transformed = self.head.transform(hidden.flatten(0, 1)[label_positions])
        targets = labels.flatten()[label_positions]
        if self.training and can_fuse(self.head.vocabulary):
            return None, fused_cross_entropy(transformed, self.head.vocabulary, targets)
        logits = self.head.vocabulary(transformed)
        return logits, token_loss(logits, targets)


class EncoderForMaskedLM(_MaskedLM):
    """Predict masked words (Devlin et al. 2018, section 3.1, task 1)."""

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
        **inputs: Any,
    ) -> Output:
        """Predict masked words.

        Args:
            input_ids: [B, T].
            labels: [B, T], the original token where one is masked, -100 elsewhere.
            label_positions: see :meth:`predict_words`.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss and logits; see :meth:`predict_words`.
        """
        body = self.model(input_ids, **inputs)
        logits, loss = self.predict_words(body.last_hidden_state, labels, label_positions)
        return as_requested(MaskedLMOutput(loss, logits, **self.output_fields(body)), return_dict)


class EncoderForPreTraining(_MaskedLM):
    """Predict masked words, and whether the second text follows the first (Devlin et al. 2018, section 3.1)."""

    pooled = True
    _tied_weights_keys = {"head.vocabulary.weight": "model.embeddings.tokens.weight"}  # noqa: RUF012

    def __init__(self, config: TransformerConfig) -> None:
        if config.pooling != "first":
            raise SpecError(
                f"pooling is {config.pooling!r}, but pairs of texts are summarized by their first token: a packed row "
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
        **inputs: Any,
    ) -> Output:
        """Predict masked words and next sentences.

        Args:
            input_ids: [B, T].
            labels: [B, T], the original token where one is masked, -100 elsewhere.
            label_positions: see :meth:`predict_words`.
            next_sentence_label: 0 where the second text follows the first, 1 where it is a random one: [B]; or, when
                pairs are packed into rows (``document_ids``), [B, T] with -100 everywhere but at a pair's first token.
            pair_positions: [P], the pairs' first tokens in packed rows, with B and T flattened into one axis; computed
                here if None.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            The sum of both losses, and both kinds of logits.
        """
        body = self.model(input_ids, pooled=False, **inputs)
        hidden = body.last_hidden_state
        words, loss = self.predict_words(hidden, labels, label_positions)
        if next_sentence_label is not None and next_sentence_label.dim() == 2:
            if pair_positions is None:
                pair_positions = (next_sentence_label.flatten() != IGNORE_INDEX).nonzero().squeeze(1)
            pooled = self.model.pool(hidden.flatten(0, 1)[pair_positions])
            next_sentence_label = next_sentence_label.flatten()[pair_positions]
        else:
            pooled = self.model.pool(hidden[:, 0])  # as in packed rows, a pair is summarized by its first token
        follows = self.next_sentence(pooled)
        if next_sentence_label is not None:
            next_loss = F.cross_entropy(upcast_to_fp32(follows), next_sentence_label)
            loss = next_loss if loss is None else loss + next_loss
        output = BertForPreTrainingOutput(
            loss=loss, prediction_logits=words, seq_relationship_logits=follows, **self.output_fields(body)
        )
        return as_requested(output, return_dict)


class EncoderForSequenceClassification(EncoderWithHead, SequenceClassifier):
    """One answer for the whole text, from its summary."""

    pooled = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, num_labels(config))
        self.post_init()  # type: ignore[no-untyped-call]


class EncoderForMultipleChoice(EncoderWithHead, ChoicePredictor):
    """The best of several texts, from the summary of each."""

    pooled = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]


class EncoderForTokenClassification(EncoderWithHead, TokenClassifier):
    """A label for each token, such as the type of a named entity."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, num_labels(config))
        self.post_init()  # type: ignore[no-untyped-call]


class EncoderForQuestionAnswering(EncoderWithHead, SpanPredictor):
    """Where in the text the answer starts and ends."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.span = nn.Linear(config.hidden_size, 2)
        self.post_init()  # type: ignore[no-untyped-call]
