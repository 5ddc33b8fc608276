"""Metrics for classification, computed from counts, with bootstrap intervals. Only numpy is needed.

Every function of counts works over leading axes, so that a bootstrap is one draw of many tables of counts and one call.

Shapes: ``C`` classes, ``L`` labels (multi-label), ``N`` examples, ``...`` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from workbench.types import Floats, Ints

Bounds: TypeAlias = tuple[float, float]  # of an interval: low, high

_MAX_CELLS = 4_000_000  # of one chunk of a bootstrap: 32 MB of float64


def confusion_matrix(gold: ArrayLike, predicted: ArrayLike, classes: int) -> Ints:
    """Count examples by gold class (row) and predicted class (column).

    Args:
        gold: class indices [N].
        predicted: class indices [N].
        classes: number of classes, C.

    Returns:
        Counts [C, C].

    Raises:
        ValueError: the two differ in length, or an index is outside 0 .. C - 1.
    """
    rows = np.asarray(gold, dtype=np.int64).ravel()
    columns = np.asarray(predicted, dtype=np.int64).ravel()
    if len(rows) != len(columns):
        raise ValueError(
            f"There are {len(rows)} gold labels and {len(columns)} predictions; the numbers must be equal."
        )
    for name, values in (("gold", rows), ("predicted", columns)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"The {name} classes range from {values.min()} to {values.max()}: 0 to {classes - 1} is allowed."
            )
    return np.bincount(rows * classes + columns, minlength=classes * classes).reshape(classes, classes)


def _ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return ``numerator / denominator``, and 0 where the denominator is 0."""
    above, below = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    out: Floats = np.zeros(above.shape)
    np.divide(above, below, out=out, where=below != 0)
    return out


def accuracy(counts: ArrayLike) -> Floats:
    """Return the share of examples on the diagonal.

    Args:
        counts: confusion matrices [..., C, C].
    """
    table = np.asarray(counts)
    return _ratio(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def class_f1(counts: ArrayLike) -> Floats:
    """Return the F1 of each class [..., C]; 0 for a class that never occurs.

    Args:
        counts: confusion matrices [..., C, C].
    """
    table = np.asarray(counts)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    return _ratio(2 * hits, table.sum(axis=-1) + table.sum(axis=-2))


def macro_f1(counts: ArrayLike) -> Floats:
    """Return the mean F1 over the classes that occur as gold or predicted, as scikit-learn does.

    Args:
        counts: confusion matrices [..., C, C].
    """
    table = np.asarray(counts)
    present = (table.sum(axis=-1) + table.sum(axis=-2)) > 0
    return _ratio(class_f1(table).sum(axis=-1), present.sum(axis=-1))


def matthews(counts: ArrayLike) -> Floats:
    """Return Matthews' correlation for any number of classes, -1 to 1; 0 where it is undefined.

    Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient".

    Args:
        counts: confusion matrices [..., C, C].
    """
    table = np.asarray(counts, dtype=np.float64)
    gold, predicted = table.sum(axis=-1), table.sum(axis=-2)
    total = table.sum(axis=(-2, -1))
    covariance = np.trace(table, axis1=-2, axis2=-1) * total - (gold * predicted).sum(axis=-1)
    spread = (total**2 - (gold**2).sum(axis=-1)) * (total**2 - (predicted**2).sum(axis=-1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


CLASS_METRICS: dict[str, Callable[[ArrayLike], Floats]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "matthews": matthews,
}


def class_scores(counts: ArrayLike) -> dict[str, float]:
    """Compute every metric of one confusion matrix: ``{"accuracy", "macro_f1", "matthews"}``.

    Args:
        counts: [C, C].
    """
    return {name: float(metric(counts)) for name, metric in CLASS_METRICS.items()}


def per_class(counts: ArrayLike, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute precision, recall, F1 and support of each class.

    Args:
        counts: confusion matrix [C, C].
        labels: names of the classes [C].

    Returns:
        ``{label: {"precision", "recall", "f1", "support"}}``; 0 where a share has nothing to divide by.
    """
    table = np.asarray(counts)
    hits, gold, predicted = np.diagonal(table), table.sum(axis=-1), table.sum(axis=-2)
    columns = (_ratio(hits, predicted), _ratio(hits, gold), class_f1(table), gold)
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    }


# -- multi-label ---------------------------------------------------------------------------------------------------


def label_counts(gold: ArrayLike, predicted: ArrayLike) -> Ints:
    """Count true positives, false positives, false negatives and true negatives of each label.

    Args:
        gold: indicators [N, L].
        predicted: indicators [N, L].

    Returns:
        Counts [L, 4].
    """
    counts: Ints = label_cells(gold, predicted).sum(axis=0)
    return counts


def label_cells(gold: ArrayLike, predicted: ArrayLike) -> Ints:
    """Count as :func:`label_counts`, for each example alone.

    Args:
        gold: indicators [N, L].
        predicted: indicators [N, L].

    Returns:
        Counts [N, L, 4].

    Raises:
        ValueError: the shapes differ.
    """
    positive, guess = np.asarray(gold, dtype=bool), np.asarray(predicted, dtype=bool)
    if positive.shape != guess.shape or positive.ndim != 2:
        raise ValueError(f"Indicators must have one shape [N, L]; they have {positive.shape} and {guess.shape}.")
    cells = [positive & guess, ~positive & guess, positive & ~guess, ~positive & ~guess]
    return np.stack(cells, axis=-1).astype(np.int64)


def label_f1(counts: ArrayLike) -> Floats:
    """Return the F1 of each label [..., L]; 0 for a label that never occurs.

    Args:
        counts: the result of :func:`label_counts`, [..., L, 4].
    """
    tp, fp, fn, _ = np.moveaxis(np.asarray(counts), -1, 0)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def label_macro_f1(counts: ArrayLike) -> Floats:
    """Return the mean F1 over all labels, as scikit-learn does for indicators.

    Args:
        counts: the result of :func:`label_counts`, [..., L, 4].
    """
    mean: Floats = label_f1(counts).mean(axis=-1)
    return mean


def label_micro_f1(counts: ArrayLike) -> Floats:
    """Return the F1 of the counts summed over labels.

    Args:
        counts: the result of :func:`label_counts`, [..., L, 4].
    """
    return label_f1(np.asarray(counts).sum(axis=-2))


def label_matthews(counts: ArrayLike) -> Floats:
    """Return Matthews' correlation of all yes-or-no decisions together.

    Args:
        counts: the result of :func:`label_counts`, [..., L, 4].
    """
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts).sum(axis=-2), -1, 0)
    return matthews(np.stack([np.stack([tn, fp], axis=-1), np.stack([fn, tp], axis=-1)], axis=-2))


def subset_accuracy(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Return the share of examples whose labels are all right.

    Args:
        gold: indicators [N, L].
        predicted: indicators [N, L].
    """
    right = (np.asarray(gold, dtype=bool) == np.asarray(predicted, dtype=bool)).all(axis=-1)
    return float(right.mean()) if len(right) else 0.0


def label_scores(gold: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Compute every multi-label metric: ``{"accuracy", "micro_f1", "macro_f1", "matthews"}``.

    Args:
        gold: indicators [N, L].
        predicted: indicators [N, L]. Accuracy is that of complete label sets.
    """
    counts = label_counts(gold, predicted)
    return {
        "accuracy": subset_accuracy(gold, predicted),
        "micro_f1": float(label_micro_f1(counts)),
        "macro_f1": float(label_macro_f1(counts)),
        "matthews": float(label_matthews(counts)),
    }


def per_label(counts: ArrayLike, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute precision, recall, F1 and support of each label.

    Args:
        counts: the result of :func:`label_counts`, [L, 4].
        labels: names [L].

    Returns:
        ``{label: {"precision", "recall", "f1", "support"}}``.
    """
    tp, fp, fn, _ = np.moveaxis(np.asarray(counts), -1, 0)
    columns = (_ratio(tp, tp + fp), _ratio(tp, tp + fn), label_f1(counts), tp + fn)
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    }


# -- bootstrap -----------------------------------------------------------------------------------------------------


def percentile_interval(values: ArrayLike, level: float = 0.95) -> Bounds:
    """Return the ends of the central interval of bootstrap values.

    Args:
        values: [resamples].
        level: share of the values between the ends.
    """
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resample_counts(
    cells: ArrayLike, resamples: int, generator: np.random.Generator, width: int | None = None
) -> Iterator[Ints]:
    """Draw bootstrap samples of examples that fall into cells, in chunks [chunk, K] of new counts.

    Examples in one cell are exchangeable, so drawing N examples with replacement is one multinomial draw over cells.

    Args:
        cells: number of examples in each cell [K].
        resamples: number of samples in all.
        generator: source of randomness.
        width: how many numbers the caller holds for one sample, if more than K; chunks are sized to fit memory.
    """
    counts = np.asarray(cells, dtype=np.int64)
    total = int(counts.sum())
    chunk = max(1, _MAX_CELLS // max(1, width or 0, counts.size))
    for start in range(0, resamples, chunk):
        yield generator.multinomial(total, counts / total, size=min(chunk, resamples - start))


def bootstrap_intervals(counts: ArrayLike, resamples: int = 2000, seed: int = 0) -> dict[str, Bounds]:
    """Compute 95% percentile intervals of every class metric.

    Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.

    Args:
        counts: confusion matrix [C, C].
        resamples: number of samples.
        seed: seed of the random generator.

    Returns:
        ``{metric: (low, high)}``; (0, 0) for each when there is no example.
    """
    table = np.asarray(counts, dtype=np.int64)
    occupied = np.flatnonzero(table)
    if not len(occupied):
        return dict.fromkeys(CLASS_METRICS, (0.0, 0.0))
    values: dict[str, list[Floats]] = {name: [] for name in CLASS_METRICS}
    generator = np.random.default_rng(seed)
    for samples in resample_counts(table.ravel()[occupied], resamples, generator, width=table.size):
        tables = np.zeros((len(samples), table.size), dtype=np.int64)
        tables[:, occupied] = samples
        tables = tables.reshape(-1, *table.shape)
        for name, metric in CLASS_METRICS.items():
            values[name].append(metric(tables))
    return {name: percentile_interval(np.concatenate(chunks)) for name, chunks in values.items()}


def paired_improvements(
    gold: ArrayLike, before: ArrayLike, after: ArrayLike, n_classes: int, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Compute how much better every class metric of ``after`` is than that of ``before``, by a paired bootstrap.

    Args:
        gold: the right classes [N].
        before: predicted classes [N].
        after: other predictions for the same examples [N].
        n_classes: number of classes.
        resamples: number of samples.
        seed: seed of the random generator.

    Returns:
        ``{metric: {"value", "low", "high"}}``, with 95% intervals; above 0 where ``after`` is better.
    """
    triples = np.stack([np.asarray(gold), np.asarray(before), np.asarray(after)])
    cells, counts = np.unique(triples, axis=1, return_counts=True)
    size = n_classes**2
    keys = [cells[0] * n_classes + cells[1], cells[0] * n_classes + cells[2]]

    def differences(samples: Ints) -> dict[str, Floats]:
        first, second = (_scatter(samples, key, size).reshape(-1, n_classes, n_classes) for key in keys)
        return {name: metric(second) - metric(first) for name, metric in CLASS_METRICS.items()}

    exact = differences(counts[None])
    generator = np.random.default_rng(seed)
    chunks = [differences(drawn) for drawn in resample_counts(counts, resamples, generator, width=2 * size)]
    result = {}
    for name, value in exact.items():
        low, high = percentile_interval(np.concatenate([chunk[name] for chunk in chunks]))
        result[name] = {"value": float(value[0]), "low": low, "high": high}
    return result


def _scatter(samples: Ints, keys: Ints, size: int) -> Ints:
    """Return [resamples, size]: the counts [resamples, K] summed by key [K]."""
    tables = np.zeros((len(samples), size), dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(keys[order]) > 0])
    tables[:, keys[order][starts]] = np.add.reduceat(samples[:, order], starts, axis=1)
    return tables


def bootstrap_label_intervals(
    gold: ArrayLike, predicted: ArrayLike, resamples: int = 2000, seed: int = 0
) -> dict[str, Bounds]:
    """Compute 95% percentile intervals of the metrics of :func:`label_scores`.

    Args:
        gold: indicators [N, L].
        predicted: indicators [N, L].
        resamples: number of samples.
        seed: seed of the random generator.

    Returns:
        ``{metric: (low, high)}``; (0, 0) for each when there is no example.
    """
    cells = label_cells(gold, predicted)  # [N, L, 4]
    values: dict[str, list[Floats]] = {"accuracy": [], "micro_f1": [], "macro_f1": [], "matthews": []}
    if not len(cells):
        return dict.fromkeys(values, (0.0, 0.0))
    right = (cells[..., 1] + cells[..., 2]).sum(axis=-1) == 0
    flat = cells.reshape(len(cells), -1).astype(np.float64)
    for samples in resample_counts(np.ones(len(cells), dtype=np.int64), resamples, np.random.default_rng(seed)):
        tables = (samples @ flat).reshape(len(samples), *cells.shape[1:])
        values["accuracy"].append(samples @ right / len(cells))
        values["micro_f1"].append(label_micro_f1(tables))
        values["macro_f1"].append(label_macro_f1(tables))
        values["matthews"].append(label_matthews(tables))
    return {name: percentile_interval(np.concatenate(chunks)) for name, chunks in values.items()}
