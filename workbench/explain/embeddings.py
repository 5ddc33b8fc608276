"""The embeddings of a text's tokens: to compute gradients with respect to them, and to replace them."""

from __future__ import annotations

from typing import ClassVar

import torch

from workbench.explain.base import Explainer
from workbench.explain.encoding import Inputs
from workbench.explain.hooks import evaluating, intercept_embeddings
from workbench.explain.instance import Instance
from workbench.explain.predictor import Predictor
from workbench.tasks.base import Target


class GradientBased(Explainer):
    """An explainer that computes gradients with respect to the tokens' embeddings; a base class, not an entry."""

    signed: ClassVar[bool] = True

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        reason = super().why_incompatible(predictor)
        if reason is None and not isinstance(predictor.model.get_input_embeddings(), torch.nn.Module):
            return f"{type(predictor.model).__name__} has no token embeddings"
        return reason


def embed(instance: Instance, inputs: Inputs) -> torch.Tensor:
    """Return the embeddings of inputs.

    Args:
        instance: the model.
        inputs: [B, T] each.

    Returns:
        [B, T, D].
    """
    embeddings: list[torch.Tensor] = []

    def record(output: torch.Tensor) -> torch.Tensor:
        embeddings.append(output.detach())
        return output

    with evaluating(instance.model), torch.no_grad(), intercept_embeddings(instance.model, record):
        instance.model(**inputs)
    return embeddings[0]


def logits_of_embeddings(instance: Instance, embedded: torch.Tensor, target: Target) -> torch.Tensor:
    """Return the target's logit when the embeddings of the tokens are replaced.

    Args:
        instance: the text and its model.
        embedded: [B, T, D].
        target: what is explained.

    Returns:
        [B].
    """
    with intercept_embeddings(instance.model, lambda _: embedded):
        return instance.target_score(instance.repeated(len(embedded)), target).logit
