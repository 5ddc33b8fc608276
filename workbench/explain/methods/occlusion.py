"""Occlusion: Zeiler and Fergus 2014 for images; Li et al. 2016, "Understanding Neural Networks through Erasure"."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.instance import Instance, mask_token
from workbench.explain.predictor import Predictor
from workbench.tasks.base import Target


class MaskingBased(Explainer):
    """An explainer that masks tokens and runs the model again; a base class, not an entry."""

    signed: ClassVar[bool] = True

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        if mask_token(predictor.tokenizer) is None:
            return "the tokenizer has no mask, padding, unknown or end token to replace tokens with"
        return super().why_incompatible(predictor)


@explainers.register("occlusion")
class Occlusion(MaskingBased):
    """Occlusion: how far the target's probability falls when a token is masked."""

    reading = (
        "A token's score is how far the label's probability falls when that token alone is masked. Of two words that "
        "mean the same, neither seems to matter: the other one is still there."
    )

    def run(self, instance: Instance, target: Target) -> Scores:
        count = len(instance.maskable)
        # Row 0 is the whole text; row i + 1 masks the i-th maskable token.
        visible = np.concatenate([np.ones((1, count), dtype=bool), ~np.eye(count, dtype=bool)])
        probabilities = instance.masked_probabilities(instance.expand_mask(visible), target)
        scores = np.zeros(len(instance.encoded.tokens))
        scores[instance.maskable] = probabilities[0] - probabilities[1:]
        return Scores(scores)
