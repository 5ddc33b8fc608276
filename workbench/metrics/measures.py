"""Metrics as functions of sums over examples, with bootstrap intervals.

A run's ``predictions.parquet`` holds a few numbers for each example (whether an answer is exact, its overlap with the
reference, ...). A measure names the columns that it needs and the function that computes a metric from their sums:

    measures = {"exact_match": ("ratio", "exact", "examples"), "entity_f1": ("f1", "hits", "predicted", "gold")}

``report.json`` contains the measures, so that two runs can be compared by any of them, example by example, without
knowledge of the task: the bootstrap resamples examples and sums again. Where examples belong together (the chunks of a
document), the task sums over them first. Only numpy is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from workbench.metrics import scores
from workbench.types import Floats

Measure: TypeAlias = Sequence[str]  # the name of a function below, then its columns
Measures: TypeAlias = Mapping[str, Measure]
Columns: TypeAlias = Mapping[str, ArrayLike]  # by name: a number for each example [N], or sums of these

MAX_UNITS = 5_000  # more examples are summed into this many units before the bootstrap resamples them
MAX_LOSS = 700.0  # exp() of more overflows
FRACTIONS = frozenset({"bleu", "chrf"})  # stored as fractions of 1, though sacreBLEU and most papers use 0 to 100
SMALLER_IS_BETTER = frozenset({"loss", "perplexity", "bits_per_byte", "mae", "rmse"})


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return ``numerator / denominator``, and 0 where the denominator is 0: a mean, a share.

    Args:
        numerator: sums, of any shape.
        denominator: sums, of a shape that broadcasts with it.
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    out: Floats = np.zeros(np.broadcast(above, below).shape)
    np.divide(above, below, out=out, where=below > 0)
    return out


def root_ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return the square root of :func:`ratio`: the root mean squared error from a sum of squares.

    Args:
        numerator: sums of squares, of any shape.
        denominator: sums, of a shape that broadcasts with it.
    """
    return np.sqrt(np.maximum(ratio(numerator, denominator), 0.0))


def r2(squared_error: ArrayLike, value: ArrayLike, squared_value: ArrayLike, examples: ArrayLike) -> Floats:
    """Return the coefficient of determination: the share of the variance that the predictions explain.

    It is 1 for exact predictions, 0 for those of the mean, and has no lower limit. Where all values are equal, it is 0.

    Args:
        squared_error: squared errors.
        value: the true values.
        squared_value: their squares.
        examples: number of examples.
    """
    total = np.asarray(squared_value, dtype=np.float64) - np.asarray(value) * ratio(value, examples)
    return np.where(total > 0, 1.0 - ratio(squared_error, total), 0.0)


def f1(hits: ArrayLike, predicted: ArrayLike, gold: ArrayLike) -> Floats:
    """Return the harmonic mean of precision and recall: ``2 hits / (predicted + gold)``.

    Args:
        hits: predictions that are right.
        predicted: all predictions.
        gold: all references.
    """
    return ratio(2 * np.asarray(hits, dtype=np.float64), np.asarray(predicted) + np.asarray(gold))


def macro_f1(*counts: ArrayLike) -> Floats:
    """Return the mean F1 over classes. A class that never occurs counts as 0.

    Args:
        counts: three for each class: hits, predicted, gold.
    """
    return np.asarray(np.mean([f1(*counts[i : i + 3]) for i in range(0, len(counts), 3)], axis=0))


def perplexity(nll: ArrayLike, n_targets: ArrayLike) -> Floats:
    """Return exp(nats per target): the number of equally likely tokens that the model is as uncertain about.

    Args:
        nll: negative log-likelihood of the targets, in nats.
        n_targets: number of predicted tokens.
    """
    return np.asarray(np.exp(np.minimum(ratio(nll, n_targets), MAX_LOSS)))


def loss(nll: ArrayLike, n_targets: ArrayLike, pair_nll: ArrayLike = 0.0, pairs: ArrayLike = 0.0) -> Floats:
    """Return nats per target, plus nats per pair of sentences where there are pairs.

    Args:
        nll: negative log-likelihood of the targets, in nats.
        n_targets: number of predicted tokens.
        pair_nll: negative log-likelihood of the next-sentence labels, in nats.
        pairs: number of pairs.
    """
    return ratio(nll, n_targets) + ratio(pair_nll, pairs)


def bits_per_byte(nll: ArrayLike, n_targets: ArrayLike, tokens: ArrayLike, n_bytes: ArrayLike) -> Floats:
    """Return the loss in bits per byte of text, which is comparable across tokenizers.

    Args:
        nll: negative log-likelihood of the targets, in nats.
        n_targets: number of predicted tokens.
        tokens: number of tokens that could be predicted.
        n_bytes: length of the text in UTF-8.
    """
    return ratio(nll, n_targets) * ratio(tokens, n_bytes) / math.log(2)


def bleu(*counts: ArrayLike) -> Floats:
    """Return the BLEU of a corpus, 0 to 1; 0 where no n-gram matches at all.

    Papineni et al. (2002), section 2.3, with sacreBLEU's "exp" smoothing: each order without a match counts half as
    much as the one before (Chen and Cherry 2014, method 3).

    Args:
        counts: matches of 1- to 4-grams, numbers of generated 1- to 4-grams, then generated and reference length.
    """
    matches, generated = np.asarray(counts[:4], dtype=np.float64), np.asarray(counts[4:8], dtype=np.float64)
    length, reference = np.asarray(counts[8], dtype=np.float64), np.asarray(counts[9], dtype=np.float64)
    missing = np.cumsum((matches == 0) & (generated > 0), axis=0)
    smoothed = np.where(matches == 0, 0.5 ** np.maximum(missing, 1), matches)
    precision = ratio(smoothed, generated)
    defined = (generated > 0).all(axis=0) & (matches.sum(axis=0) > 0)
    logs = np.log(np.where(precision > 0, precision, 1.0)).mean(axis=0)
    brevity = np.where(length > 0, np.minimum(0.0, 1.0 - ratio(reference, np.maximum(length, 1e-9))), 0.0)
    return np.asarray(np.where(defined, np.exp(logs + brevity), 0.0))


def chrf(*counts: ArrayLike) -> Floats:
    """Return the chrF2 of a corpus, 0 to 1.

    Popovic (2015), section 2: F-score with recall weighted twice, of the mean precision and recall over the orders.

    Args:
        counts: matching, generated and reference character n-grams, of orders 1 to 6 each.
    """
    orders = len(counts) // 3
    matches, generated, reference = (
        np.asarray(counts[i * orders : (i + 1) * orders], dtype=np.float64) for i in range(3)
    )
    present = (generated > 0) & (reference > 0)
    n_present = np.maximum(present.sum(axis=0), 1)
    precision = ratio(matches, generated).sum(axis=0) / n_present
    recall = ratio(matches, reference).sum(axis=0) / n_present
    return ratio(5 * precision * recall, 4 * precision + recall)


FUNCTIONS: dict[str, Callable[..., Floats]] = {
    "ratio": ratio,
    "root_ratio": root_ratio,
    "r2": r2,
    "f1": f1,
    "macro_f1": macro_f1,
    "loss": loss,
    "perplexity": perplexity,
    "bits_per_byte": bits_per_byte,
    "bleu": bleu,
    "chrf": chrf,
}


def scale_note(name: str) -> str:
    """Return the suffix of a metric's name that states an unusual scale; empty for most metrics."""
    return " (0 to 1)" if name in FRACTIONS else ""


def is_per_token(measure: Measure) -> bool:
    """Return whether a measure is counted in tokens, so that it cannot be compared across tokenizers."""
    function, *names = measure
    return "predicted" in names and function != "bits_per_byte"


def valid_measures(measures: object) -> dict[str, Measure]:
    """Return the measures of a report that can be computed; anything else is skipped.

    Args:
        measures: the report's field ``measures``, which may come from another version.
    """
    if not isinstance(measures, Mapping):
        return {}
    return {
        str(name): tuple(map(str, measure))
        for name, measure in measures.items()
        if isinstance(measure, Sequence) and not isinstance(measure, str) and measure and measure[0] in FUNCTIONS
    }


def columns(measures: Measures) -> list[str]:
    """Return the names of the columns that the measures need, each once."""
    return list(dict.fromkeys(column for _, *names in measures.values() for column in names))


def metric_value(measure: Measure, sums: Columns) -> Floats:
    """Compute a metric from sums.

    Args:
        measure: the function and its columns.
        sums: by column: a number, or an array [resamples].
    """
    function, *names = measure
    return FUNCTIONS[function](*(sums[name] for name in names))


def totals(table: Columns) -> dict[str, Floats]:
    """Return the sums over all examples of columns [N]."""
    return {name: np.asarray(np.asarray(column, dtype=np.float64).sum()) for name, column in table.items()}


def bootstrap_sums(table: Columns, resamples: int, seed: int = 0) -> Iterator[dict[str, Floats]]:
    """Draw bootstrap samples of examples and return their sums, in chunks [chunk] of ``resamples`` in all.

    Args:
        table: columns [N]. More than ``MAX_UNITS`` examples are grouped into units first: the interval is nearly the
            same, and the time does not grow.
        resamples: number of samples.
        seed: seed of the random generator. Tables with the same number of examples and the same seed draw the same
            examples, so that their samples are paired.
    """
    examples = _length(table)
    unit = np.arange(examples) % MAX_UNITS
    units = min(examples, MAX_UNITS)
    weights = [np.asarray(column, dtype=np.float64) for column in table.values()]
    matrix = np.stack([np.bincount(unit, weights=column, minlength=units) for column in weights], axis=1)
    for counts in scores.resample_counts(np.ones(units, dtype=np.int64), resamples, np.random.default_rng(seed)):
        yield dict(zip(table, (counts @ matrix).T, strict=True))


def _length(table: Columns) -> int:
    return len(np.asarray(next(iter(table.values())))) if table else 0


def metric_values(table: Columns, measures: Measures) -> dict[str, float]:
    """Compute each metric over all examples.

    Args:
        table: columns [N].
        measures: the metrics by name.
    """
    sums = totals(table)
    return {name: float(metric_value(measure, sums)) for name, measure in measures.items()}


def intervals(table: Columns, measures: Measures, resamples: int = 2000) -> dict[str, dict[str, float]]:
    """Compute each metric over all examples, with its 95% percentile interval.

    Args:
        table: columns [N].
        measures: the metrics by name.
        resamples: number of bootstrap samples.

    Returns:
        ``{name: {"value", "low", "high"}}``.
    """
    values = metric_values(table, measures)
    chunks = list(bootstrap_sums(table, resamples)) if _length(table) else []
    result = {}
    for name, measure in measures.items():
        samples = [metric_value(measure, chunk) for chunk in chunks]
        low, high = scores.percentile_interval(np.concatenate(samples) if samples else np.array([values[name]]))
        result[name] = {"value": values[name], "low": low, "high": high}
    return result


def improvements(
    baseline: Columns, table: Columns, measures: Measures, resamples: int = 2000
) -> dict[str, dict[str, float]]:
    """Compute how much better each metric is than a baseline, with its 95% interval by a paired bootstrap.

    Args:
        baseline: columns [N] of the baseline: the model before training, say, or a simple answer.
        table: columns [N] for the same examples, in the same order.
        measures: the metrics by name; a smaller loss or perplexity is an improvement.
        resamples: number of bootstrap samples.

    Returns:
        ``{name: {"value", "low", "high"}}``, above 0 where ``table`` is better.
    """
    names = columns(measures)
    both = {f"{side}:{name}": each[name] for side, each in (("-", baseline), ("+", table)) for name in names}

    def difference(name: str, sums: Columns) -> Floats:
        before, after = (metric_value(measures[name], {n: sums[f"{side}:{n}"] for n in names}) for side in "-+")
        return before - after if name in SMALLER_IS_BETTER else after - before

    sums = totals(both)
    chunks = list(bootstrap_sums(both, resamples)) if _length(both) else []
    result = {}
    for name in measures:
        samples = [difference(name, chunk) for chunk in chunks] or [difference(name, sums).reshape(1)]
        low, high = scores.percentile_interval(np.concatenate(samples))
        result[name] = {"value": float(difference(name, sums)), "low": low, "high": high}
    return result
