"""Attention of the token that the classifier reads."""

from __future__ import annotations

from pydantic import Field

from workbench.errors import RequestError
from workbench.explain.base import Explainer, Scores, explainers
from workbench.explain.capture import attention_of, encoder_decoder_attention, head_mean
from workbench.explain.instance import Instance, Predictor
from workbench.spec import SpecModel
from workbench.tasks.base import Target


class AttentionBased(Explainer):
    """An explainer that reads attention weights; not an entry itself."""

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        reason = super().fits(predictor)
        if reason is None and getattr(predictor.model.config, "is_encoder_decoder", False):
            return "with an encoder and a decoder there are three kinds of attention, and this method reads one"
        return reason or _no_heads(predictor)


@explainers.register("attention")
class AttentionExplainer(Explainer):
    """Attention: where the token that the classifier reads looks, averaged over heads."""

    reading = (
        "The darker a token, the more the token that the classifier reads ([CLS], or the last one in a decoder) "
        "attends to it in one layer. It shows where the model looks, not why it decides: see how faithful it is."
    )

    class Config(SpecModel):
        layer: int = Field(-1, description="Index of the layer, from 0; negative numbers count from the last.")

    @classmethod
    def fits(cls, predictor: Predictor) -> str | None:
        return super().fits(predictor) or _no_heads(predictor)

    def run(self, instance: Instance, target: Target) -> Scores:
        if "decoder_input_ids" in instance.encoded.inputs:
            both = encoder_decoder_attention(instance.model, instance.encoded)
            looking, shown = both.cross[:, :, -1], both.encoder  # the token that writes the next
        else:
            shown = attention_of(instance.model, instance.encoded)
            looking = shown.weights[:, :, instance.readout_position(shown, target)]
        layer, layers = self.config.layer, len(looking)
        if not -layers <= layer < layers:
            raise RequestError(
                f"There is no layer {layer}: the model has {layers}.",
                f"Choose one from 0 to {layers - 1}, or -1 for the last.",
            )
        return Scores(head_mean(looking)[layer], shown)


def _no_heads(predictor: Predictor) -> str | None:
    """Why there is no attention to read; None where there is."""
    if getattr(predictor.model.config, "num_attention_heads", None):
        return None
    return f"{type(predictor.model).__name__} has no attention heads"
