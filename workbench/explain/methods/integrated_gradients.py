"""Integrated gradients: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks"."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field

from workbench.errors import MissingPackageError
from workbench.explain.base import Scores, explainers
from workbench.explain.embeddings import GradientBased, differentiable, embed, logits_of_embeddings
from workbench.explain.instance import Instance, Predictor, mask_token
from workbench.spec import SpecModel
from workbench.tasks.base import Target

_FIRST_STEPS = 24
_TEXTS_AT_ONCE = 32
_NOISE = 1e-3  # of a logit: what single precision leaves when two texts give nearly the same


@explainers.register("integrated-gradients")
class IntegratedGradients(GradientBased):
    """Integrated gradients: the gradient gathered on the way from a text of masks to this text."""

    reading = (
        "The numbers share out the difference between the label's logit for this text and for the same text with every "
        "word hidden. What they sum to is checked against that difference; the way in between is a mixture of vectors "
        "that no real text has."
    )

    class Config(SpecModel):
        tolerance: float = Field(
            0.01, gt=0, lt=1, description="Greatest error of the sum, as a share of what is shared out."
        )
        max_steps: int = Field(384, ge=_FIRST_STEPS, description="Most steps from the hidden text to this one.")

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        if mask_token(predictor.tokenizer) is None:
            return "the tokenizer has no mask, padding, unknown or end token to start from"
        return super().fits(predictor)

    def run(self, instance: Instance, target: Target) -> Scores:
        """Steps are doubled until the scores sum to the difference of the logits, up to the tolerance."""
        embedded = embed(instance, instance.encoded.inputs)
        baseline = embed(instance, hidden_inputs(instance))
        with differentiable(instance.model), torch.no_grad():
            start, end = logits_of_embeddings(instance, torch.cat([baseline, embedded]), target).tolist()
        allowed = max(self.config.tolerance * abs(end - start), _NOISE)
        steps = _FIRST_STEPS
        while True:
            attributions = _attributions(instance, embedded, baseline, target, steps)
            error = abs(float(attributions.sum()) - (end - start))
            if error <= allowed or steps >= self.config.max_steps:
                break
            steps = min(2 * steps, self.config.max_steps)
        details: dict[str, Any] = {
            "steps": steps,
            "baseline": instance.mask_token,
            "logit": end,
            "baseline_logit": start,
            "completeness_error": error,
            "completeness_share": error / max(abs(end - start), _NOISE),
            "complete": error <= allowed,
        }
        notes = [] if details["complete"] else [_incomplete(details)]
        return Scores(attributions.cpu().numpy(), details=details, notes=notes)


def hidden_inputs(instance: Instance) -> dict[str, torch.Tensor]:
    """The inputs with every token of the text replaced by the stand-in; special tokens and masks stay."""
    mask_token = instance.tokenizer.convert_tokens_to_ids(instance.mask_token)
    ids = instance.encoded.inputs["input_ids"].clone()
    ids[:, instance.positions] = mask_token
    return {**instance.encoded.inputs, "input_ids": ids}


def _attributions(
    instance: Instance, embedded: torch.Tensor, baseline: torch.Tensor, target: Target, steps: int
) -> torch.Tensor:
    """float64 [T]: captum's integral by Gauss and Legendre's rule with ``steps`` points."""
    try:
        from captum.attr import IntegratedGradients as Integral
    except ImportError as error:
        raise MissingPackageError("captum", "for integrated gradients") from error
    integral = Integral(lambda vectors: logits_of_embeddings(instance, vectors, target), multiply_by_inputs=True)
    with differentiable(instance.model):
        found = integral.attribute(embedded, baseline, n_steps=steps, internal_batch_size=min(steps, _TEXTS_AT_ONCE))
    tokens: torch.Tensor = found.detach().double().sum(-1)[0]
    return tokens


def _incomplete(details: dict[str, Any]) -> str:
    return (
        f"With {details['steps']} steps the numbers still miss what they share out by "
        f"{details['completeness_share']:.1%}: take more steps, or trust them less."
    )
