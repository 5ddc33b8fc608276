"""Attention rollout: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.explain.base import Scores, explainers
from workbench.explain.capture import attention_of, head_mean
from workbench.explain.instance import Instance
from workbench.explain.methods.attention import AttentionBased, readout_positions
from workbench.tasks.base import Target
from workbench.types import Floats


def rollout(weights: NDArray[np.floating]) -> Floats:
    """Compute how much of each input token each token of the last layer holds, if only attention mixed them.

    Heads are averaged, half of each token's own vector bypasses the attention (the residual connection), and the layers
    are multiplied.

    Args:
        weights: [layers, heads, tokens, tokens].

    Returns:
        [tokens, tokens], from the last layer's tokens to the input's; rows sum to 1.
    """
    tokens = weights.shape[-1]
    mixed = 0.5 * head_mean(weights) + 0.5 * np.eye(tokens)
    mixed /= mixed.sum(-1, keepdims=True)
    total: Floats = np.eye(tokens)
    for layer in mixed:
        total = layer @ total
    return total


@explainers.register("rollout")
class Rollout(AttentionBased):
    """Attention rollout: attention of all layers multiplied, from the classifier's position down to the text."""

    reading = (
        "The darker a token, the more of it reaches the position that the classifier reads, if each layer mixed tokens "
        "by attention and residual connection alone. The layers' other computations are left out."
    )

    def run(self, instance: Instance, target: Target) -> Scores:
        attention = attention_of(instance.model, instance.encoded)
        positions = readout_positions(instance.model, attention, target)
        return Scores(rollout(attention.weights)[positions].mean(axis=0), attention)
