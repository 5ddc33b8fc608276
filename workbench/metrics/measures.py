"""Metrics of which every example knows its share: sums over examples, functions of them, bootstrap intervals.

A run's ``predictions.parquet`` holds a few numbers for each example (of an answer: whether it is exact, its overlap); a
measure names the columns it needs and the function that makes a metric of their sums:

    measures = {"exact_match": ("ratio", "exact", "examples"), "entity_f1": ("f1", "hits", "predicted", "gold")}

``report.json`` carries the measures, so that two runs can be compared by any of them, example by example, without
knowing the task: a bootstrap draws examples and adds up again. Where examples belong together (the pieces of a
document), the task adds them up first. Only numpy is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.metrics import scores

Floats = NDArray[np.float64]
Sums = Mapping[str, Any]
Measure = Sequence[str]  # the name of a function below, then its columns
Measures = Mapping[str, Measure]

MAX_UNITS = 5_000  # more examples than this are added up to so many before the bootstrap draws from them
MAX_LOSS = 700.0  # exp() of more is infinite
FRACTIONS = frozenset({"bleu", "chrf"})  # kept as a share of 1, though sacreBLEU and most papers print them out of 100
SMALLER_IS_BETTER = frozenset({"loss", "perplexity", "bits_per_byte"})


def ratio(above: Any, below: Any) -> Floats:
    """``above / below``, 0 where nothing is below: a mean, a share."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    out: Floats = np.zeros(np.broadcast(above, below).shape)
    np.divide(above, below, out=out, where=below > 0)
    return out


def f1(hits: Any, predicted: Any, gold: Any) -> Floats:
    """Harmonic mean of precision and recall over all examples: ``2 hits / (predicted + gold)``."""
    return ratio(2 * np.asarray(hits, dtype=np.float64), np.asarray(predicted) + np.asarray(gold))


def macro_f1(*counts: Any) -> Floats:
    """Mean F1 over classes; three counts for each: hits, predicted, gold. A class that never occurs counts as 0."""
    return np.asarray(np.mean([f1(*counts[i : i + 3]) for i in range(0, len(counts), 3)], axis=0))


def perplexity(nats: Any, predicted: Any) -> Floats:
    """Among how many equally probable tokens the model is as unsure: exp(nats per predicted token)."""
    return np.asarray(np.exp(np.minimum(ratio(nats, predicted), MAX_LOSS)))


def loss(nats: Any, predicted: Any, pair_nats: Any = 0.0, pairs: Any = 0.0) -> Floats:
    """Nats per predicted token and, where there are pairs of sentences, nats per pair beside."""
    return ratio(nats, predicted) + ratio(pair_nats, pairs)


def bits_per_byte(nats: Any, predicted: Any, tokens: Any, size: Any) -> Floats:
    """Nats per predicted token x tokens per byte of the text, in bits: comparable across tokenizers."""
    return ratio(nats, predicted) * ratio(tokens, size) / math.log(2)


def bleu(*counts: Any) -> Floats:
    """BLEU of a corpus, 0 to 1: matches of 1- to 4-grams, their number in what was written, then both lengths.

    Papineni et al. (2002), section 2.3; 0 where there is no match of some order (no smoothing but sacreBLEU's "exp":
    each order without a match counts as half as much as the one before; Chen and Cherry 2014, method 3).
    """
    matches, written = np.asarray(counts[:4], dtype=np.float64), np.asarray(counts[4:8], dtype=np.float64)
    length, reference = np.asarray(counts[8], dtype=np.float64), np.asarray(counts[9], dtype=np.float64)
    missing = np.cumsum((matches == 0) & (written > 0), axis=0)
    smoothed = np.where(matches == 0, 0.5 ** np.maximum(missing, 1), matches)
    precision = ratio(smoothed, written)
    known = (written > 0).all(axis=0) & (matches.sum(axis=0) > 0)
    logs = np.log(np.where(precision > 0, precision, 1.0)).mean(axis=0)
    brevity = np.where(length > 0, np.minimum(0.0, 1.0 - ratio(reference, np.maximum(length, 1e-9))), 0.0)
    return np.asarray(np.where(known, np.exp(logs + brevity), 0.0))


def chrf(*counts: Any) -> Floats:
    """chrF2 of a corpus, 0 to 1: matches, written and reference n-grams of characters, of orders 1 to 6 each.

    Popovic (2015), section 2: F with recall counting twice as much, of the mean precision and recall over the orders.
    """
    orders = len(counts) // 3
    matches, written, reference = (
        np.asarray(counts[i * orders : (i + 1) * orders], dtype=np.float64) for i in range(3)
    )
    there = (written > 0) & (reference > 0)
    used = np.maximum(there.sum(axis=0), 1)
    precision, recall = ratio(matches, written).sum(axis=0) / used, ratio(matches, reference).sum(axis=0) / used
    return ratio(5 * precision * recall, 4 * precision + recall)


FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "ratio": ratio,
    "f1": f1,
    "macro_f1": macro_f1,
    "loss": loss,
    "perplexity": perplexity,
    "bits_per_byte": bits_per_byte,
    "bleu": bleu,
    "chrf": chrf,
}


def scale_note(name: str) -> str:
    """What to say behind a metric's name of a scale that readers may not expect; empty for nothing."""
    return " (0 to 1)" if name in FRACTIONS else ""


def is_per_token(measure: Measure) -> bool:
    """Whether a measure means another thing with another tokenizer: one per predicted token."""
    function, *needed = measure
    return "predicted" in needed and function != "bits_per_byte"


def valid_measures(measures: Any) -> dict[str, Measure]:
    """The measures of a report that can be computed; anything else in it is passed over."""
    if not isinstance(measures, Mapping):
        return {}
    return {
        str(name): tuple(map(str, given))
        for name, given in measures.items()
        if isinstance(given, Sequence) and not isinstance(given, str) and given and given[0] in FUNCTIONS
    }


def columns(measures: Measures) -> list[str]:
    """Every column that the measures need, once."""
    return list(dict.fromkeys(column for _, *needed in measures.values() for column in needed))


def metric_value(measure: Measure, sums: Sums) -> Floats:
    """A metric of sums: numbers, or arrays [resamples]."""
    function, *needed = measure
    return FUNCTIONS[function](*(sums[column] for column in needed))


def totals(table: Mapping[str, Any]) -> dict[str, Floats]:
    """The sums over all examples of columns [N]."""
    return {name: np.asarray(column, dtype=np.float64).sum() for name, column in table.items()}


def bootstrap_sums(table: Mapping[str, Any], resamples: int, seed: int = 0) -> Iterator[dict[str, Floats]]:
    """Bootstrap samples of examples, as their sums, in chunks [chunk] of ``resamples`` in all.

    Args:
        table: columns [N]. Of more than ``MOST_UNITS`` examples every so many are one unit: the interval is nearly the
            same, and the time does not grow.
        resamples: how many samples.
        seed: of the drawing; tables of as many examples, drawn with one seed, are drawn alike (paired).
    """
    examples = len(next(iter(table.values())))
    unit = np.arange(examples) % MAX_UNITS
    units = min(examples, MAX_UNITS)
    matrix = np.stack([np.bincount(unit, weights=column, minlength=units) for column in table.values()], axis=1)
    for counts in scores.resample_counts(np.ones(units, dtype=np.int64), resamples, np.random.default_rng(seed)):
        yield dict(zip(table, (counts @ matrix).T, strict=True))


def metric_values(table: Mapping[str, Any], measures: Measures) -> dict[str, float]:
    """Each metric of all examples."""
    whole = totals(table)
    return {name: float(metric_value(measure, whole)) for name, measure in measures.items()}


def intervals(table: Mapping[str, Any], measures: Measures, resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Each metric of all examples, with its 95% percentile interval: ``{name: {"value", "low", "high"}}``."""
    whole = metric_values(table, measures)
    chunks = list(bootstrap_sums(table, resamples)) if len(next(iter(table.values()))) else []
    found = {}
    for name, measure in measures.items():
        drawn = (
            np.concatenate([metric_value(measure, chunk) for chunk in chunks]) if chunks else np.array([whole[name]])
        )
        low, high = scores.percentile_interval(drawn)
        found[name] = {"value": whole[name], "low": low, "high": high}
    return found


def improvements(
    before: Mapping[str, Any], after: Mapping[str, Any], measures: Measures, resamples: int = 2000
) -> dict[str, dict[str, float]]:
    """How much better each metric is than before, with its 95% interval by a paired bootstrap of examples.

    Args:
        before: columns [N] of what is compared with: the model before training, say, or a trivial answer.
        after: columns [N] of the same examples, in the same order.
        measures: the metrics; a smaller loss or perplexity is a gain.
        resamples: how many samples are drawn.

    Returns:
        ``{name: {"value", "low", "high"}}``, above 0 where it is better.
    """
    names = columns(measures)
    table = {f"{side}:{name}": each[name] for side, each in (("-", before), ("+", after)) for name in names}

    def difference(name: str, sums: Sums) -> Floats:
        was, now = (metric_value(measures[name], {n: sums[f"{side}:{n}"] for n in names}) for side in "-+")
        return was - now if name in SMALLER_IS_BETTER else now - was

    whole = totals(table)
    chunks = list(bootstrap_sums(table, resamples)) if table and len(next(iter(table.values()))) else []
    found = {}
    for name in measures:
        drawn = np.concatenate([difference(name, chunk) for chunk in chunks] or [difference(name, whole).reshape(1)])
        low, high = scores.percentile_interval(drawn)
        found[name] = {"value": float(difference(name, whole)), "low": low, "high": high}
    return found
