"""Occlusion: Zeiler and Fergus 2014 for images; Li et al. 2016, "Understanding Neural Networks through Erasure"."""

from __future__ import annotations

import numpy as np

from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.subject import Classifier, Subject


@explainers.register("occlusion")
class Occlusion(Explainer):
    """Occlusion: how far the target's probability falls when a token is hidden."""

    reading = (
        "A token's number is how far the label's probability falls when that token alone is hidden. Words that say the "
        "same twice hide each other: neither seems to count."
    )
    signed = True

    @classmethod
    def fits(cls, predictor: Classifier) -> str | None:
        tokenizer = predictor.tokenizer
        if not (tokenizer.mask_token or tokenizer.pad_token or tokenizer.unk_token):
            return "the tokenizer has no mask, padding or unknown token to put in a token's place"
        return super().fits(predictor)

    def run(self, subject: Subject, target: int) -> Scores:
        length = len(subject.encoded.tokens)
        # Row 0 is the whole text; row i + 1 hides the i-th token that can be hidden.
        kept = np.ones((len(subject.positions) + 1, length), dtype=bool)
        kept[np.arange(len(subject.positions)) + 1, subject.positions] = False
        probabilities = subject.when_kept(kept)[:, target]
        scores = np.zeros(length)
        scores[subject.positions] = probabilities[0] - probabilities[1:]
        return Scores(scores)
