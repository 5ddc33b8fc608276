"""Occlusion: Zeiler and Fergus 2014 for images; Li et al. 2016, "Understanding Neural Networks through Erasure"."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.instance import Instance, Predictor, mask_token
from workbench.tasks.base import Target


class HidingBased(Explainer):
    """An explainer that hides tokens and asks again; not an entry itself."""

    signed: ClassVar[bool] = True

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        if mask_token(predictor.tokenizer) is None:
            return "the tokenizer has no mask, padding, unknown or end token to put in a token's place"
        return super().fits(predictor)


@explainers.register("occlusion")
class Occlusion(HidingBased):
    """Occlusion: how far the target's probability falls when a token is hidden."""

    reading = (
        "A token's number is how far the label's probability falls when that token alone is hidden. Words that say the "
        "same twice hide each other: neither seems to count."
    )

    def run(self, instance: Instance, target: Target) -> Scores:
        count = len(instance.positions)
        # Row 0 is the whole text; row i + 1 hides the i-th token that can be hidden.
        kept = np.concatenate([np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)])
        probabilities = instance.masked_probabilities(instance.expand_mask(kept), target)
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.positions] = probabilities[0] - probabilities[1:]
        return Scores(scores)
