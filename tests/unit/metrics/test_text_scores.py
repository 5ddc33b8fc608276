"""Metrics of language models: by hand, for a known distribution with two tokenizers, and with confidence intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from workbench.metrics import measures, text_scores
from workbench.metrics.measures import bootstrap_sums, totals

NAMES = ("loss", "perplexity", "bits_per_byte", "masked_accuracy")


def metric(name: str, sums: dict[str, float]) -> float:
    pairs = ["nsp_accuracy"] if "pairs" in sums else []
    return float(measures.metric_value(text_scores.measures([*NAMES, *pairs])[name], sums))


def intervals(table, names):
    return measures.intervals(table, text_scores.measures(names))


def test_every_metric_by_hand():
    sums = {"nats": 6.0, "predicted": 3.0, "right": 1.0, "tokens": 20.0, "bytes": 80.0}
    pairs = {"pair_nats": 1.0, "pairs": 4.0, "pairs_right": 3.0}
    assert metric("loss", sums) == 2
    assert metric("loss", sums | pairs) == 2.25
    assert metric("perplexity", sums | pairs) == pytest.approx(math.exp(2))
    assert metric("bits_per_byte", sums) == pytest.approx(2 * 20 / 80 / math.log(2))
    assert metric("masked_accuracy", sums) == pytest.approx(1 / 3)
    assert metric("nsp_accuracy", sums | pairs) == 0.75
    empty = dict.fromkeys(sums, 0.0)
    assert metric("loss", empty) == 0 and metric("perplexity", empty) == 1
    assert math.isfinite(metric("perplexity", {**sums, "nats": 1e9}))


@pytest.mark.parametrize("alphabet", ["abcd", "aéß好"])
def test_bits_per_byte_equal_the_entropy_for_any_tokenizer(alphabet):
    """Score the true distribution of independent letters, tokenized into letters and into pairs of letters."""
    probability = np.array([0.5, 0.25, 0.125, 0.125])
    entropy = 1.75  # bits per letter
    bytes_per_letter = np.array([len(letter.encode()) for letter in alphabet])
    generator = np.random.default_rng(2)
    letters = generator.choice(4, size=(400, 200), p=probability)
    nll = -np.log(probability)[letters]
    n_bytes = bytes_per_letter[letters].sum(axis=1)
    masked = generator.random(letters.shape) < 0.5
    by_letter = {"nats": (nll * masked).sum(1), "predicted": masked.sum(1), "tokens": np.full(400, 200)}
    pair_nll, masked = nll.reshape(400, 100, 2).sum(2), generator.random((400, 100)) < 0.5
    by_pair = {"nats": (pair_nll * masked).sum(1), "predicted": masked.sum(1), "tokens": np.full(400, 100)}
    expected = entropy / float(probability @ bytes_per_letter)
    for table in (by_letter, by_pair):
        result = intervals({**table, "right": table["predicted"], "bytes": n_bytes}, ("loss", "bits_per_byte"))
        assert result["bits_per_byte"]["value"] == pytest.approx(expected, rel=0.01)
        assert result["bits_per_byte"]["low"] < expected < result["bits_per_byte"]["high"]
    assert metric("loss", totals(by_pair)) == pytest.approx(2 * metric("loss", totals(by_letter)), 0.01)


@pytest.mark.parametrize("documents", [300, 12_000])
def test_intervals_come_from_a_bootstrap_over_documents(documents):
    """Compare with the normal approximation of a ratio; many documents are resampled in blocks."""
    generator = np.random.default_rng(1)
    predicted = generator.integers(5, 50, documents).astype(float)
    nll = predicted * generator.normal(3, 0.5, documents)
    table = {"nats": nll, "predicted": predicted, "right": predicted, "tokens": predicted, "bytes": predicted}
    result = intervals(table, ("loss",))["loss"]
    mean = nll.sum() / predicted.sum()
    error = np.sqrt(((nll - mean * predicted) ** 2).sum()) / predicted.sum()
    assert result["value"] == pytest.approx(mean)
    assert result["low"] == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert result["high"] == pytest.approx(mean + 1.96 * error, abs=0.15 * error)


def test_two_tables_are_resampled_with_the_same_documents():
    table = {"nats": np.arange(50.0), "predicted": np.ones(50)}
    first = np.concatenate([d["nats"] for d in bootstrap_sums(table, 200, seed=3)])
    second = np.concatenate([d["nats"] for d in bootstrap_sums({**table, "bytes": np.ones(50)}, 200, seed=3)])
    assert len(first) == 200 and (first == second).all() and first.std() > 0


def test_no_documents():
    empty = {name: np.zeros(0) for name in text_scores.COLUMNS}
    assert intervals(empty, ("loss",)) == {"loss": {"value": 0.0, "low": 0.0, "high": 0.0}}
