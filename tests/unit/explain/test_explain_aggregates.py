"""Entropy, distance, flow and patterns of heads, checked by hand, by brute force and with planted patterns."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from tests.unit.explain.explain_models import bert, predictor, tokenizer
from workbench.errors import RequestError
from workbench.explain import Attention, explain
from workbench.explain.internals.aggregates import (
    PATTERNS,
    distance,
    entropy,
    head_patterns,
    patterns_of,
)
from workbench.explain.methods.flow import attention_flow


def attention(tokens: str, heads: list[Any]) -> Attention:
    """Return the attention of one layer with these heads, each [T, T]."""
    names = tokens.split()
    special = [name.startswith("[") for name in names]
    segments = [None if is_special else 0 for is_special in special]
    weights = np.array([heads], dtype=np.float32)
    return Attention(weights, names, names, [(0, 0)] * len(names), segments, special, [])


def test_entropy_by_hand() -> None:
    uniform, certain, half = [[0.25] * 4] * 4, np.eye(4), [[0.5, 0.5, 0, 0]] * 4
    np.testing.assert_allclose(entropy(np.array([[uniform, certain, half]])), [[2, 0, 1]])


def test_distance_by_hand() -> None:
    # Tokens 1 and 2 attend half to themselves and half to the first token.
    head = [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]]
    np.testing.assert_allclose(distance(np.array([[head, np.eye(3)]])), [[(0 + 0.5 + 1) / 3, 0]])


def flow_by_cuts(weights: np.ndarray[Any, Any], readout: int) -> list[float]:
    """Return the maximum flow to each token, the minimum over all cuts (Ford and Fulkerson)."""
    layers, _, count, _ = weights.shape
    mixed = 0.5 * weights.mean(1) + 0.5 * np.eye(count)
    nodes = [(layer, token) for layer in range(layers + 1) for token in range(count)]
    flows = []
    for sink in range(count):
        other_nodes = [node for node in nodes if node not in ((layers, readout), (0, sink))]
        cuts = []
        for sides in itertools.product([True, False], repeat=len(other_nodes)):
            source_side = {(layers, readout)} | {node for node, side in zip(other_nodes, sides, strict=True) if side}
            cuts.append(
                sum(
                    mixed[layer - 1, token, below]
                    for layer, token in source_side
                    if layer
                    for below in range(count)
                    if (layer - 1, below) not in source_side
                )
            )
        flows.append(min(cuts))
    return flows


@pytest.mark.parametrize(("layers", "count"), [(1, 3), (2, 3), (3, 3)])
def test_flow_equals_the_minimum_cut(layers: int, count: int) -> None:
    weights = np.random.default_rng(layers).dirichlet(np.full(count, 0.5), (layers, 2, count))
    np.testing.assert_allclose(attention_flow(weights, 1), flow_by_cuts(weights, 1), atol=1e-5)


def test_flow_by_hand() -> None:
    # Token 0 of layer 2 passes .75 to token 0 and .25 to token 1 of layer 1; these pass .5 and 1 to input 1.
    first, second = [[0, 1], [0, 1]], [[0.5, 0.5], [0, 1]]
    # to input 1: min(.75, .5) + min(.25, 1) = .75; to input 0: min(.75, .5) + 0 = .5
    np.testing.assert_allclose(attention_flow(np.array([[first], [second]], dtype=float), 0), [0.5, 0.75], atol=1e-6)


def test_flow_explains_short_texts_only() -> None:
    loaded = predictor(bert(), tokenizer())
    explanation = explain(loaded, "the film was good", "flow")
    expected = attention_flow(explanation.attention.weights, 0)  # type: ignore[union-attr]
    np.testing.assert_allclose(explanation.scores, expected)
    loaded = predictor(bert(max_position_embeddings=128), tokenizer())
    loaded.tokenizer.model_max_length = loaded.max_length = 100
    with pytest.raises(RequestError, match="at most 64 tokens, but this one has 92"):
        explain(loaded, "film " * 90, "flow")


def test_patterns_of_induction_and_same_word() -> None:
    repeated = attention("[CLS] a b c a b [SEP]", [np.eye(7)])
    assert np.argwhere(PATTERNS["same word"](repeated)).tolist() == [[1, 4], [2, 5], [4, 1], [5, 2]]
    assert np.argwhere(PATTERNS["induction"](repeated)).tolist() == [[4, 2], [5, 3]]
    assert not PATTERNS["same word"](attention("[SEP] a [SEP]", [np.eye(3)])).any()  # special tokens are not words
    assert np.argwhere(PATTERNS["induction"](attention("a a a", [np.eye(3)]))).tolist() == [[2, 1]]  # not itself


def planted(tokens: str) -> Attention:
    """Return a head for each pattern that follows it with 0.9 of its attention, and a uniform head."""
    empty = attention(tokens, [np.zeros((len(tokens.split()),) * 2)])
    count, heads = len(empty.tokens), []
    for pattern_of in PATTERNS.values():
        matches = pattern_of(empty).astype(float)
        has_match = matches.any(1, keepdims=True)
        pattern_weights = matches / np.maximum(matches.sum(1, keepdims=True), 1)
        heads.append(np.where(has_match, 0.9 * pattern_weights + 0.1 / count, 1 / count))
    return attention(tokens, [*heads, np.full((count, count), 1 / count)])


def test_only_planted_patterns_are_detected() -> None:
    texts = [
        "[CLS] a b c d e a b c d e [SEP]",
        "[CLS] f g h i j f g h i j [SEP]",
        "[CLS] k l m n o k l m n o [SEP]",
    ] * 2
    result = patterns_of([planted(text) for text in texts])
    named = {(entry["head"], entry["pattern"]) for entry in result.named}
    assert named == {(number, name) for number, name in enumerate(PATTERNS)}
    assert result.patterns["induction"][0][5] == pytest.approx(0.9 + 0.1 / 12, abs=1e-6)
    for name in PATTERNS:
        assert result.patterns[name][0][6] == pytest.approx(result.even[name], abs=1e-6)
    assert result.measured["induction"] == 6 * 5 and result.notes == []
    assert json.loads(json.dumps(result.as_dict()))["texts"] == 6


def test_too_few_tokens_name_no_pattern() -> None:
    result = patterns_of([planted("[CLS] a b a b [SEP]")])
    assert result.named == [] and "Too few tokens" in result.notes[0]


def test_uniform_attention_over_a_short_text_is_no_pattern() -> None:
    uniform = attention("[CLS] a", [np.full((2, 2), 0.5)])  # half is on the first token, as on any token
    result = patterns_of([uniform] * 30)
    assert result.patterns["first token"][0][0] == result.even["first token"] == 0.5
    assert result.named == []


def test_a_decoder_is_compared_with_causal_uniform_attention() -> None:
    count = 12
    head = np.tril(np.ones((count, count)))
    head /= head.sum(1, keepdims=True)
    result = patterns_of([attention(" ".join(f"t{i}" for i in range(count)), [head])] * 3)
    assert result.even["first token"] == pytest.approx(np.mean([1 / n for n in range(2, count + 1)]))
    assert result.patterns["first token"][0][0] == pytest.approx(result.even["first token"], abs=1e-6)
    assert result.measured["next token"] == 0  # a decoder cannot attend to later tokens


def test_patterns_of_a_model() -> None:
    result = head_patterns(bert(), tokenizer(), ["the film was good", "a bad story"], repeat=True)
    assert np.shape(result.entropy) == (3, 4) == np.shape(result.patterns["separator"])
    assert result.measured["induction"] == 4 - 1 + 3 - 1 + 2 and result.texts == 2
    with pytest.raises(RequestError, match="no texts"):
        head_patterns(bert(), tokenizer(), [])
