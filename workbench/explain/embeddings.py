"""The vectors that a text's tokens become first: to take gradients by, and to put others in their place."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch

from workbench.explain.base import Explainer
from workbench.explain.instance import Instance, Predictor, evaluating
from workbench.tasks.base import Target


class GradientBased(Explainer):
    """An explainer that takes gradients by the tokens' vectors; not an entry itself."""

    signed: ClassVar[bool] = True

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        reason = super().fits(predictor)
        if reason is None and not isinstance(predictor.model.get_input_embeddings(), torch.nn.Module):
            return f"{type(predictor.model).__name__} has no token embeddings"
        return reason


@contextlib.contextmanager
def embeddings_changed(model: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Within, what the model's embedding layer gives at its first call goes through ``change`` [B, T, D].

    Only in this thread: another may be predicting with the same model.
    """
    me, done = threading.get_ident(), False

    def hook(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
        nonlocal done
        if threading.get_ident() != me or done:
            return output
        done = True
        return change(output)

    handle = model.get_input_embeddings().register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def differentiable(model: Any) -> Iterator[None]:
    """The model in evaluation mode, with gradients, also of recurrent layers on a GPU."""
    # cuDNN's recurrent layers have no backward in evaluation mode, so PyTorch's own are used.
    with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield


def embed(instance: Instance, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The vectors [B, T, D] that ``inputs`` become."""
    kept: list[torch.Tensor] = []

    def keep(output: torch.Tensor) -> torch.Tensor:
        kept.append(output.detach())
        return output

    with evaluating(instance.model), torch.no_grad(), embeddings_changed(instance.model, keep):
        instance.model(**inputs)
    return kept[0]


def logits_of_embeddings(instance: Instance, embedded: torch.Tensor, target: Target) -> torch.Tensor:
    """The target's logit [B] when the tokens' vectors are ``embedded`` [B, T, D] in place of the text's own."""
    inputs = {name: value.expand(len(embedded), -1) for name, value in instance.encoded.inputs.items()}
    with embeddings_changed(instance.model, lambda _: embedded):
        return instance.explained(inputs, target).logit
