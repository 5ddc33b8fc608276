"""Attention flow: Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers", section 3."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from workbench.errors import MissingPackageError, RequestError
from workbench.explain.base import Scores, explainers
from workbench.explain.capture import attention_of, head_mean
from workbench.explain.instance import Instance
from workbench.explain.methods.attention import AttentionBased, readout_positions
from workbench.tasks.base import Target
from workbench.types import Floats

LONGEST = 64  # tokens: the network has layers x tokens^2 edges, and a flow is computed for each token
_UNIT = 1_000_000  # capacities are whole numbers


def attention_flow(weights: NDArray[np.floating], *readout: int) -> Floats:
    """Compute the maximum flow from tokens of the last layer to each input token.

    Attention is a network of pipes: heads are averaged, and with the residual connection (as in rollout) each weight is
    the capacity of a pipe from a token to one of the layer below.

    Args:
        weights: [layers, heads, tokens, tokens].
        *readout: indices of the tokens that the flow starts from, each with an equal share.

    Returns:
        [tokens], each from 0 to 1, to a millionth.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    try:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import maximum_flow
    except ImportError as error:
        raise MissingPackageError("scipy", "for attention flow") from error
    layers, _, tokens, _ = weights.shape
    mixed = 0.5 * head_mean(weights) + 0.5 * np.eye(tokens)
    mixed /= mixed.sum(-1, keepdims=True)
    # Node number: token + tokens * layer; layer 0 is the input.
    layer, here, below = np.nonzero(np.round(mixed * _UNIT))
    capacity = np.round(mixed[layer, here, below] * _UNIT).astype(np.int32)
    start, end = here + tokens * (layer + 1), below + tokens * layer
    source = readout[0] + tokens * layers
    if len(readout) > 1:
        source = tokens * (layers + 1)
        start = np.append(start, np.full(len(readout), source))
        end = np.append(end, np.array(readout) + tokens * layers)
        capacity = np.append(capacity, np.full(len(readout), _UNIT // len(readout), np.int32))
    size = tokens * (layers + 1) + 1
    pipes = coo_array((capacity, (start, end)), shape=(size, size)).tocsr()
    flows = [maximum_flow(pipes, source, token).flow_value for token in range(tokens)]
    return np.array(flows) / _UNIT


@explainers.register("flow")
class Flow(AttentionBased):
    """Attention flow: the most that can flow from the classifier's position down to each token of a short text."""

    reading = (
        "The darker a token, the more could flow from it to the position that the classifier reads, if attention "
        "weights were the capacities of pipes. Only for short texts; the layers' other computations are left out."
    )

    slow = True

    def run(self, instance: Instance, target: Target) -> Scores:
        count = len(instance.encoded.tokens)
        if count > LONGEST:
            raise RequestError(
                f"Attention flow is computed for texts of at most {LONGEST} tokens, but this one has {count}.",
                "Shorten the text, or choose the method rollout.",
            )
        attention = attention_of(instance.model, instance.encoded)
        positions = readout_positions(instance.model, attention, target)
        return Scores(attention_flow(attention.weights, *positions), attention)
