"""Why a model decided as it did: attention, attributions, and how far each can be believed."""

from workbench.explain.aggregates import HeadPatterns, head_patterns
from workbench.explain.attention_difference import HeadMoves, head_moves
from workbench.explain.base import Explainer, Explanation, explain, explainers, fitting, offered
from workbench.explain.capture import Attention, EncoderDecoderAttention, capture_attention, capture_encoder_decoder
from workbench.explain.evaluation import DataProof, Proof, prove, prove_over, read_proofs
from workbench.explain.heads import HeadImportance, head_importance
from workbench.explain.lens import LogitLens, logit_lens
from workbench.explain.patching import Patching, patch
from workbench.explain.queries import QueriesKeys, capture_queries_keys

__all__ = [
    "Attention",
    "DataProof",
    "EncoderDecoderAttention",
    "Explainer",
    "Explanation",
    "HeadImportance",
    "HeadMoves",
    "HeadPatterns",
    "LogitLens",
    "Patching",
    "Proof",
    "QueriesKeys",
    "capture_attention",
    "capture_encoder_decoder",
    "capture_queries_keys",
    "explain",
    "explainers",
    "fitting",
    "head_importance",
    "head_moves",
    "head_patterns",
    "logit_lens",
    "offered",
    "patch",
    "prove",
    "prove_over",
    "read_proofs",
]
