"""Attention rollout: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.explain.base import Scores, explainers
from workbench.explain.capture import attention_of, head_mean
from workbench.explain.instance import Instance
from workbench.explain.methods.attention import AttentionBased
from workbench.tasks.base import Target


def rollout(weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """How much of each input token each token of the last layer holds, if attention were all that mixes them.

    Heads are averaged, half of each token's own vector is taken to pass by the attention (the residual connection),
    and the layers are multiplied.

    Args:
        weights: [layers, heads, tokens, tokens].

    Returns:
        [tokens, tokens]: from the last layer's tokens to the input's; rows sum to 1.
    """
    tokens = weights.shape[-1]
    mixed = 0.5 * head_mean(weights) + 0.5 * np.eye(tokens)
    mixed /= mixed.sum(-1, keepdims=True)
    total: NDArray[np.float64] = np.eye(tokens)
    for layer in mixed:
        total = layer @ total
    return total


@explainers.register("rollout")
class Rollout(AttentionBased):
    """Attention rollout: attention of all layers multiplied, from the classifier's token down to the text."""

    reading = (
        "The darker a token, the more of it reaches the token that the classifier reads, if each layer mixed tokens "
        "by attention and residual connection alone. What the layers compute in between is left out."
    )

    def run(self, instance: Instance, target: Target) -> Scores:
        attention = attention_of(instance.model, instance.encoded)
        return Scores(rollout(attention.weights)[instance.readout_position(attention, target)], attention)
