"""Integrated gradients: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks"."""

from __future__ import annotations

import torch
from pydantic import Field

from workbench.errors import MissingPackageError
from workbench.explain.base import Scores, explainers
from workbench.explain.embeddings import GradientBased, embed, logits_of_embeddings
from workbench.explain.encoding import Inputs
from workbench.explain.hooks import differentiable
from workbench.explain.instance import Instance, mask_token
from workbench.explain.predictor import Predictor
from workbench.spec import SpecModel
from workbench.tasks.base import Target
from workbench.types import JsonObject

_FIRST_STEPS = 24
_BATCH = 32
_NOISE = 1e-3  # of a logit: what single precision leaves when two texts have nearly the same


@explainers.register("integrated-gradients")
class IntegratedGradients(GradientBased):
    """Integrated gradients: the gradient accumulated on the way from a text of masks to this text."""

    reading = (
        "The scores share out the difference between the label's logit for this text and for the same text with every "
        "word masked. Their sum is checked against that difference; the points in between are mixtures of embeddings "
        "that no real text has."
    )

    class Config(SpecModel):
        tolerance: float = Field(
            0.01, gt=0, lt=1, description="Largest error of the sum, as a share of the difference of the logits."
        )
        max_steps: int = Field(
            384, ge=_FIRST_STEPS, description="Largest number of steps from the masked text to this one."
        )

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        if mask_token(predictor.tokenizer) is None:
            return "the tokenizer has no mask, padding, unknown or end token to start from"
        return super().why_incompatible(predictor)

    def run(self, instance: Instance, target: Target) -> Scores:
        embedded = embed(instance, instance.encoded.inputs)
        baseline = embed(instance, masked_inputs(instance))
        with differentiable(instance.model), torch.no_grad():
            start, end = logits_of_embeddings(instance, torch.cat([baseline, embedded]), target).tolist()
        allowed = max(self.config.tolerance * abs(end - start), _NOISE)
        steps = _FIRST_STEPS  # doubled until the scores sum to the difference of the logits, up to the tolerance
        while True:
            attributions = _attributions(instance, embedded, baseline, target, steps)
            error = abs(float(attributions.sum()) - (end - start))
            if error <= allowed or steps >= self.config.max_steps:
                break
            steps = min(2 * steps, self.config.max_steps)
        error_share = error / max(abs(end - start), _NOISE)
        details: JsonObject = {
            "steps": steps,
            "baseline": instance.mask_token,
            "logit": end,
            "baseline_logit": start,
            "completeness_error": error,
            "completeness_share": error_share,
            "complete": error <= allowed,
        }
        incomplete = (
            f"After {steps} steps, the sum of the scores is still off by {error_share:.1%}: increase max_steps, or "
            "trust them less."
        )
        return Scores(attributions.cpu().numpy(), details=details, notes=[] if error <= allowed else [incomplete])


def masked_inputs(instance: Instance) -> Inputs:
    """Return the inputs with every token of the text masked; special tokens and attention masks stay.

    Args:
        instance: the text and its model.
    """
    ids = instance.encoded.inputs["input_ids"].clone()
    ids[:, instance.maskable] = instance.mask_token_id
    return {**instance.encoded.inputs, "input_ids": ids}


def _attributions(
    instance: Instance, embedded: torch.Tensor, baseline: torch.Tensor, target: Target, steps: int
) -> torch.Tensor:
    """Return float64 [T]: captum's Gauss-Legendre integral with ``steps`` points."""
    try:
        from captum.attr import IntegratedGradients as Integral
    except ImportError as error:
        raise MissingPackageError("captum", "for integrated gradients") from error
    integral = Integral(lambda vectors: logits_of_embeddings(instance, vectors, target), multiply_by_inputs=True)
    with differentiable(instance.model):
        attributions = integral.attribute(embedded, baseline, n_steps=steps, internal_batch_size=min(steps, _BATCH))
    tokens: torch.Tensor = attributions.detach().double().sum(-1)[0]
    return tokens
