"""What heads share: how a body's output becomes logits, a loss and an output of transformers.

A model with a head consists of a body (``model``) and a layer or two on top. Most heads differ only in the vectors that
they read, so each class here defines ``forward`` once, for Transformers and for baselines::

    class EncoderForTokenClassification(EncoderWithHead, TokenClassifier): ...
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import (
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
)
from transformers.utils.generic import ModelOutput

from workbench.errors import RequestError
from workbench.models.networks.losses import classification_loss, span_loss, token_loss, upcast_to_fp32

Output = ModelOutput | tuple[Tensor, ...]
OutputFields: TypeAlias = "dict[str, Any]"  # keyword arguments of a ModelOutput


def as_requested(output: ModelOutput, return_dict: bool | None) -> Output:
    """Return the output itself, or a tuple when ``return_dict`` is False.

    Args:
        output: output of a model.
        return_dict: as passed to ``forward``.
    """
    return output if return_dict is not False else output.to_tuple()


def num_labels(config: PreTrainedConfig) -> int:
    """Return the number of labels that a classifier chooses from.

    Args:
        config: configuration of a model with a classifier.
    """
    assert config.num_labels is not None
    return config.num_labels


class ModelWithHead(PreTrainedModel):
    """Base of every model with a head.

    Attributes:
        model: the body.
        dropout: applied to what the head reads.
    """

    model: PreTrainedModel
    dropout: nn.Dropout

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        """Compute the logits from the body's output.

        Args:
            body: its output.
            attention_mask: [B, T], as passed to ``forward``.
        """
        raise NotImplementedError

    def output_fields(self, body: ModelOutput) -> OutputFields:
        """Return the fields of the output besides loss and logits.

        Args:
            body: the body's output.
        """
        return {name: body.get(name) for name in ("hidden_states", "attentions")}


class SequenceClassifier(ModelWithHead):
    """One label, several labels, or a number for the whole text."""

    output_class: ClassVar[type[ModelOutput]] = SequenceClassifierOutput
    classifier: nn.Linear

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(body["pooler_output"]))
        return logits

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Classify texts.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], the segment of each token.
            labels: [B] label ids, [B, L] of 0 and 1 for several labels, or [B] numbers for regression.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss, and logits [B, L].
        """
        body = self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, **inputs)
        logits = self.compute_logits(body, attention_mask)
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        output = self.output_class(loss=loss, logits=logits, **self.output_fields(body))
        return as_requested(output, return_dict)


class TokenClassifier(ModelWithHead):
    """A label for each token."""

    classifier: nn.Linear

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(body["last_hidden_state"]))
        return logits

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Classify tokens.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], the segment of each token.
            labels: [B, T] label ids; -100 where there is no target.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss, and logits [B, T, L].
        """
        body = self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, **inputs)
        logits = self.compute_logits(body, attention_mask)
        loss = None if labels is None else token_loss(logits, labels)
        return as_requested(TokenClassifierOutput(loss=loss, logits=logits, **self.output_fields(body)), return_dict)


class SpanPredictor(ModelWithHead):
    """The start and end of a span: two numbers for each token (Devlin et al. 2018, section 4.2)."""

    span: nn.Linear

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self.span(body["last_hidden_state"])
        return logits

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        start_positions: Tensor | None = None,
        end_positions: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Predict where a span starts and ends.

        Args:
            input_ids: [B, T].
            attention_mask: [B, T], 1 on text and 0 on padding.
            token_type_ids: [B, T], the segment of each token.
            start_positions: [B], the first token of the span; a position beyond the text has no loss.
            end_positions: [B], the last token.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss (the mean of both ends), and logits [B, T] of both.
        """
        body = self.model(input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids, **inputs)
        start, end = self.compute_logits(body, attention_mask).unbind(-1)
        loss = None
        if start_positions is not None and end_positions is not None:
            loss = span_loss(start, end, start_positions, end_positions)
        output = QuestionAnsweringModelOutput(loss=loss, start_logits=start, end_logits=end, **self.output_fields(body))
        return as_requested(output, return_dict)


class ChoicePredictor(ModelWithHead):
    """The best of several texts: each gets one number, the highest wins."""

    classifier: nn.Linear

    def compute_logits(self, body: ModelOutput, attention_mask: Tensor | None) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(body["pooler_output"]))
        return logits

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Output:
        """Score the choices of each example.

        Args:
            input_ids: [B, C, T], for C choices.
            attention_mask: [B, C, T], 1 on text and 0 on padding.
            token_type_ids: [B, C, T].
            labels: [B], the index of the correct choice.
            inputs_embeds: [B, C, T, D], in place of ``input_ids``.
            return_dict: False to return a tuple.
            **inputs: passed to the body.

        Returns:
            Loss, and logits [B, C].

        Raises:
            RequestError: there are neither ids nor embeddings.
        """
        choices = input_ids if input_ids is not None else inputs_embeds
        if choices is None:
            raise RequestError("A model takes either input_ids or inputs_embeds.", "Pass one of the two.")
        mask = _flatten_choices(attention_mask)
        body = self.model(
            _flatten_choices(input_ids),
            attention_mask=mask,
            token_type_ids=_flatten_choices(token_type_ids),
            inputs_embeds=_flatten_choices(inputs_embeds),
            **inputs,
        )
        logits = self.compute_logits(body, mask).view(-1, choices.shape[1])
        loss = None if labels is None else F.cross_entropy(upcast_to_fp32(logits), labels)
        output = MultipleChoiceModelOutput(loss=loss, logits=logits, **self.output_fields(body))
        return as_requested(output, return_dict)


def _flatten_choices(x: Tensor | None) -> Tensor | None:
    """[B * C, ...] from [B, C, ...]."""
    return None if x is None else x.flatten(0, 1)
