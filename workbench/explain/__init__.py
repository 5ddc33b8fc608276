"""Why a model decided as it did: attention, attributions, and how far each can be believed."""

from workbench.explain.base import Explainer, Explanation, explain, explainers, fitting
from workbench.explain.capture import Attention, capture_attention

__all__ = ["Attention", "Explainer", "Explanation", "capture_attention", "explain", "explainers", "fitting"]
