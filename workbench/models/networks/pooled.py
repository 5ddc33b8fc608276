"""A token classifier whose logits are averaged: a classifier of texts. See :mod:`workbench.models.pooling`."""

from __future__ import annotations

from typing import Any, cast

from torch import Tensor
from transformers.modeling_outputs import MultipleChoiceModelOutput, SequenceClassifierOutput
from transformers.utils.generic import ModelOutput

from workbench.models.networks.losses import classification_loss
from workbench.models.networks.outputs import Output, as_requested
from workbench.types import Model


class PooledClassifier:
    """Mixin for a token classifier, whose ``forward`` is the next in line."""

    config: Any

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: object,
    ) -> Output:
        """Classify texts, or choose among texts.

        Args:
            input_ids: [B, T], or [B, C, T] for C choices.
            attention_mask: of the same shape, 1 on text and 0 on padding.
            labels: [B] label ids, [B, L] of 0 and 1 for several labels, or [B] numbers for regression.
            inputs_embeds: [B, T, D] or [B, C, T, D], in place of ``input_ids``.
            return_dict: False to return a tuple.
            **inputs: passed to the token classifier.

        Returns:
            Loss, and logits [B, L] or [B, C].
        """
        ids = inputs_embeds[..., 0] if input_ids is None and inputs_embeds is not None else input_ids
        assert ids is not None, "a model takes either input_ids or inputs_embeds"
        tensors = {"input_ids": input_ids, "attention_mask": attention_mask, "inputs_embeds": inputs_embeds, **inputs}
        if of_choices := ids.dim() == 3:
            tensors = {name: _flatten_choices(tensor, ids.shape) for name, tensor in tensors.items()}
        output: ModelOutput = super().forward(**tensors, return_dict=True)  # type: ignore[misc]
        mask = attention_mask.flatten(0, -2) if attention_mask is not None else None
        logits = pool(output["logits"], mask, self.config.text_pooling)
        fields = {name: output.get(name) for name in ("hidden_states", "attentions")}
        if of_choices:
            logits = logits.view(ids.shape[:2])
            loss = None if labels is None else classification_loss(logits, labels, "single_label_classification")
            return as_requested(MultipleChoiceModelOutput(loss=loss, logits=logits, **fields), return_dict)
        loss = None if labels is None else classification_loss(logits, labels, self.config.problem_type)
        return as_requested(SequenceClassifierOutput(loss=loss, logits=logits, **fields), return_dict)


def pool(vectors: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    """Return one vector for each text, in 32 bits.

    Args:
        vectors: [B, T, D], of the tokens.
        mask: [B, T], 1 on text and 0 on padding; None if there is no padding.
        pooling: ``mean`` or ``cls``.

    Returns:
        [B, D].
    """
    if pooling == "cls":
        return vectors[:, 0].float()
    if mask is None:
        return vectors.float().mean(dim=1)
    weights = mask.unsqueeze(-1).float()
    return (vectors.float() * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def pooled_class(token_classifier: type[Model]) -> type[Model]:
    """Return a subclass that pools. It has the same name, which a saved configuration states as the architecture.

    Args:
        token_classifier: a class of transformers or of ours.
    """
    attributes = {"__module__": token_classifier.__module__, "__doc__": token_classifier.__doc__}
    name, bases = token_classifier.__name__, (PooledClassifier, token_classifier)
    return cast("type[Model]", type(name, bases, attributes))


def _flatten_choices(value: object, shape: tuple[int, ...]) -> object:
    """[B * C, ...] from [B, C, ...]; other values as they are."""
    return value.flatten(0, 1) if isinstance(value, Tensor) and value.shape[:2] == shape[:2] else value
