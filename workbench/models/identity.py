"""The identity of a model's weights, by which an adapter recognizes the base that it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypedDict

from workbench.tuning.adapters import HEADS
from workbench.types import Json, Model

if TYPE_CHECKING:
    from torch import Tensor


class _Source(TypedDict):
    source: str
    fingerprint: str


class BaseIdentity(_Source, total=False):
    """Where a model came from, and a hash of its weights.

    Attributes:
        source: as a spec names it.
        fingerprint: fingerprint of the body's weights.
        head_fingerprint: fingerprint of the head's weights, when no adapter saves them: an output layer over the
            vocabulary that is not tied to the embeddings.
    """

    head_fingerprint: str


def fingerprint(model: Model, newly_initialized: Collection[str] = ()) -> str:
    """Hash the body's loaded weights. The result is the same for the same folder, whatever the head.

    Args:
        model: with or without a head.
        newly_initialized: names of the weights that were not loaded.

    Returns:
        A sha256 digest.
    """
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    body = model.base_model.state_dict()
    return _digest({name: tensor for name, tensor in body.items() if prefix + name not in newly_initialized})


def identify_base(source: str, model: Model, newly_initialized: Collection[str] = ()) -> BaseIdentity:
    """Return the identity of a model.

    Args:
        source: as a spec names it.
        model: with a head, before fine-tuning.
        newly_initialized: names of its weights that were not loaded.
    """
    identity = BaseIdentity(source=source, fingerprint=fingerprint(model, newly_initialized))
    body = {tensor.data_ptr() for tensor in model.base_model.state_dict().values()}
    head = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name not in newly_initialized and tensor.data_ptr() not in body and not set(name.split(".")) & set(HEADS)
    }
    if head:
        identity["head_fingerprint"] = _digest(head)
    return identity


def same_base(recorded: Mapping[str, Json] | BaseIdentity, actual: BaseIdentity) -> bool:
    """Return whether a recorded base has the same weights as another.

    Args:
        recorded: as saved with an adapter. If it is an older record without ``head_fingerprint``, only the bodies are
            compared.
        actual: the identity of the loaded model.
    """
    head = actual.get("head_fingerprint")
    same_body = recorded.get("fingerprint") == actual["fingerprint"]
    return bool(same_body and recorded.get("head_fingerprint", head) == head)


def _digest(weights: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
