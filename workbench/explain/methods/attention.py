"""Attention of the position that the classifier reads."""

from __future__ import annotations

from pydantic import Field

from workbench.errors import RequestError
from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.capture import Attention, attention_of, encoder_decoder_attention, head_mean
from workbench.explain.instance import Instance
from workbench.explain.predictor import Predictor
from workbench.models.pooling import pooling_of
from workbench.spec import SpecModel
from workbench.tasks.base import Target
from workbench.types import Model


class AttentionBased(Explainer):
    """An explainer that reads attention weights of one stack of layers; a base class, not an entry."""

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        reason = super().why_incompatible(predictor)
        if reason is None and getattr(predictor.model.config, "is_encoder_decoder", False):
            return "an encoder-decoder has three kinds of attention, but this method reads only one"
        return reason or _no_heads(predictor)


def readout_positions(model: Model, attention: Attention, target: Target) -> list[int]:
    """Return the positions that the answer is read from: one, or all tokens for a classifier of their mean.

    Args:
        model: the explained model.
        attention: its attention over the text.
        target: what is explained.
    """
    if target.position is not None:
        return [target.position]
    return list(range(len(attention.tokens))) if pooling_of(model) == "mean" else [attention.readout]


@explainers.register("attention")
class AttentionExplainer(Explainer):
    """Attention: where the position that the classifier reads looks, averaged over heads."""

    reading = (
        "The darker a token, the more the position that the classifier reads ([CLS], or the last one in a decoder; all "
        "on average, where it reads their mean) attends to it in one layer. It shows where the model looks, not why it "
        "decides: see its faithfulness."
    )

    class Config(SpecModel):
        layer: int = Field(-1, description="Index of the layer, from 0; negative numbers count from the last.")

    @classmethod
    def why_incompatible(cls, predictor: Predictor) -> str | None:
        return super().why_incompatible(predictor) or _no_heads(predictor)

    def run(self, instance: Instance, target: Target) -> Scores:
        if "decoder_input_ids" in instance.encoded.inputs:
            both = encoder_decoder_attention(instance.model, instance.encoded)
            weights, attention = both.cross[:, :, -1], both.encoder  # of the position that generates the next token
        else:
            attention = attention_of(instance.model, instance.encoded)
            positions = readout_positions(instance.model, attention, target)
            weights = attention.weights[:, :, positions].mean(axis=2)
        layer, layers = self.config.layer, len(weights)
        if not -layers <= layer < layers:
            raise RequestError(
                f"There is no layer {layer}: the model has {layers}.",
                f"Choose one from 0 to {layers - 1}, or -1 for the last.",
            )
        return Scores(head_mean(weights)[layer], attention)


def _no_heads(predictor: Predictor) -> str | None:
    """Return the reason why there is no attention to read; None where there is."""
    if getattr(predictor.model.config, "num_attention_heads", None):
        return None
    return f"{type(predictor.model).__name__} has no attention heads"
