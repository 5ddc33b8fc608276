"""Figures of language models: by hand, against a known distribution under two tokenizers, and with honest intervals."""

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


def test_every_metric_worked_by_hand():
    sums = {"nats": 6.0, "predicted": 3.0, "right": 1.0, "tokens": 20.0, "bytes": 80.0}
    pairs = {"pair_nats": 1.0, "pairs": 4.0, "pairs_right": 3.0}
    assert metric("loss", sums) == 2
    assert metric("loss", sums | pairs) == 2.25
    assert metric("perplexity", sums | pairs) == pytest.approx(math.exp(2))
    assert metric("bits_per_byte", sums) == pytest.approx(2 * 20 / 80 / math.log(2))
    assert metric("masked_accuracy", sums) == pytest.approx(1 / 3)
    assert metric("nsp_accuracy", sums | pairs) == 0.75
    nothing = dict.fromkeys(sums, 0.0)
    assert metric("loss", nothing) == 0 and metric("perplexity", nothing) == 1
    assert math.isfinite(metric("perplexity", {**sums, "nats": 1e9}))


@pytest.mark.parametrize("alphabet", ["abcd", "aéß好"])
def test_bits_per_byte_are_the_entropy_whatever_the_tokenizer(alphabet):
    """Letters are drawn independently; a model that knows how is scored on letters and on pairs of them."""
    probability = np.array([0.5, 0.25, 0.125, 0.125])
    entropy = 1.75  # bits a letter
    width = np.array([len(letter.encode()) for letter in alphabet])
    generator = np.random.default_rng(2)
    letters = generator.choice(4, size=(400, 200), p=probability)
    nll = -np.log(probability)[letters]
    size = width[letters].sum(axis=1)
    chosen = generator.random(letters.shape) < 0.5
    by_letter = {"nats": (nll * chosen).sum(1), "predicted": chosen.sum(1), "tokens": np.full(400, 200)}
    couple, chosen = nll.reshape(400, 100, 2).sum(2), generator.random((400, 100)) < 0.5
    by_couple = {"nats": (couple * chosen).sum(1), "predicted": chosen.sum(1), "tokens": np.full(400, 100)}
    expected = entropy / float(probability @ width)
    for table in (by_letter, by_couple):
        result = intervals({**table, "right": table["predicted"], "bytes": size}, ("loss", "bits_per_byte"))
        assert result["bits_per_byte"]["value"] == pytest.approx(expected, rel=0.01)
        assert result["bits_per_byte"]["low"] < expected < result["bits_per_byte"]["high"]
    assert metric("loss", totals(by_couple)) == pytest.approx(2 * metric("loss", totals(by_letter)), 0.01)


@pytest.mark.parametrize("documents", [300, 12_000])
def test_intervals_come_from_a_bootstrap_over_documents(documents):
    """Held against the normal approximation of a ratio; more documents than units are drawn from in blocks."""
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


def test_two_tables_are_resampled_in_pairs():
    table = {"nats": np.arange(50.0), "predicted": np.ones(50)}
    one = np.concatenate([d["nats"] for d in bootstrap_sums(table, 200, seed=3)])
    other = np.concatenate([d["nats"] for d in bootstrap_sums({**table, "bytes": np.ones(50)}, 200, seed=3)])
    assert len(one) == 200 and (one == other).all() and one.std() > 0


def test_no_documents():
    nothing = {name: np.zeros(0) for name in text_scores.COLUMNS}
    assert intervals(nothing, ("loss",)) == {"loss": {"value": 0.0, "low": 0.0, "high": 0.0}}
