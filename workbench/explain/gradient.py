"""Gradient x input: Shrikumar et al. 2016, "Not Just a Black Box"; Denil et al. 2014 for text."""

from __future__ import annotations

import threading
from typing import Any

import torch

from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.subject import Classifier, Subject, evaluating


@explainers.register("gradient-x-input")
class GradientTimesInput(Explainer):
    """Gradient x input: how the target's logit would follow each token's embedding, at this text."""

    reading = (
        "Tokens coloured for the label would raise its logit if their embedding grew; those coloured against would "
        "lower it. It holds close to this text only: a model that is sure of itself may have small gradients."
    )
    signed = True

    @classmethod
    def fits(cls, predictor: Classifier) -> str | None:
        reason = super().fits(predictor)
        if reason is None and not isinstance(predictor.model.get_input_embeddings(), torch.nn.Module):
            return f"{type(predictor.model).__name__} has no token embeddings"
        return reason

    def run(self, subject: Subject, target: int) -> Scores:
        model, me = subject.model, threading.get_ident()
        embedded: list[torch.Tensor] = []

        def leaf(_module: Any, _inputs: Any, output: torch.Tensor) -> torch.Tensor:
            # Another thread may be predicting with the same model: its embeddings are none of ours.
            if threading.get_ident() != me or embedded:
                return output
            embedded.append(output.detach().requires_grad_())
            return embedded[0]

        # cuDNN's recurrent layers have no backward in evaluation mode, so PyTorch's own are used.
        with evaluating(model), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            hook = model.get_input_embeddings().register_forward_hook(leaf)
            try:
                logit = model(**subject.encoded.inputs).logits[0, target]
                (gradient,) = torch.autograd.grad(logit, embedded)  # the parameters' .grad is not touched
            finally:
                hook.remove()
        return Scores((gradient * embedded[0]).detach().sum(-1)[0].double().cpu().numpy())
