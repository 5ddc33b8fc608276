"""Why a model decided as it did: attention, attributions, and how faithful each of them is."""

from workbench.explain.base import Explainer, Explanation, compatibility, compatible_methods, explain, explainers
from workbench.explain.capture import Attention, EncoderDecoderAttention, capture_attention, capture_encoder_decoder
from workbench.explain.dataset_faithfulness import (
    DatasetFaithfulness,
    evaluate_dataset_faithfulness,
    read_dataset_faithfulness,
)
from workbench.explain.evaluation import FaithfulnessEvaluation, evaluate_faithfulness
from workbench.explain.internals.aggregates import HeadPatterns, head_patterns
from workbench.explain.internals.attention_difference import AttentionDivergence, attention_divergence
from workbench.explain.internals.heads import HeadImportance, head_importance
from workbench.explain.internals.lens import LogitLens, logit_lens
from workbench.explain.internals.patching import Patching, patch
from workbench.explain.internals.queries import QueriesKeys, capture_queries_keys

__all__ = [
    "Attention",
    "AttentionDivergence",
    "DatasetFaithfulness",
    "EncoderDecoderAttention",
    "Explainer",
    "Explanation",
    "FaithfulnessEvaluation",
    "HeadImportance",
    "HeadPatterns",
    "LogitLens",
    "Patching",
    "QueriesKeys",
    "attention_divergence",
    "capture_attention",
    "capture_encoder_decoder",
    "capture_queries_keys",
    "compatibility",
    "compatible_methods",
    "evaluate_dataset_faithfulness",
    "evaluate_faithfulness",
    "explain",
    "explainers",
    "head_importance",
    "head_patterns",
    "logit_lens",
    "patch",
    "read_dataset_faithfulness",
]
