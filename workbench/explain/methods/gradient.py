"""Gradient x input: Shrikumar et al. 2016, "Not Just a Black Box"; Denil et al. 2014 for text."""

from __future__ import annotations

import torch

from workbench.explain.base import Scores, explainers
from workbench.explain.embeddings import GradientBased, embed, logits_of_embeddings
from workbench.explain.hooks import differentiable
from workbench.explain.instance import Instance
from workbench.tasks.base import Target


@explainers.register("gradient-x-input")
class GradientTimesInput(GradientBased):
    """Gradient x input: how the target's logit would change with each token's embedding, near this text."""

    reading = (
        "Tokens coloured for the label would raise its logit if their embedding grew; those coloured against would "
        "lower it. This holds only close to this text: a model that is very confident may have small gradients."
    )

    def run(self, instance: Instance, target: Target) -> Scores:
        embedded = embed(instance, instance.encoded.inputs).requires_grad_()
        with differentiable(instance.model):
            logit = logits_of_embeddings(instance, embedded, target)[0]
            (gradient,) = torch.autograd.grad(logit, embedded)  # leaves the parameters' .grad alone
        return Scores((gradient * embedded).detach().sum(-1)[0].double().cpu().numpy())
