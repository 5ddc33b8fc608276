"""Figures of merit for classification, from counts, with bootstrap intervals. Only numpy is needed.

Every function of counts works over leading axes, so that a bootstrap is a draw of many tables of counts and one call.

Shapes: ``C`` classes, ``L`` labels (multi-label), ``N`` examples, ``...`` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

_CELLS_AT_ONCE = 4_000_000  # 32 MB of float64: what one chunk of a bootstrap may take


def confusion_matrix(gold: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts [C, C] of examples by gold class (row) and predicted class (column).

    Args:
        gold: class numbers [N].
        predicted: class numbers [N].
        classes: C, the number of classes.

    Raises:
        ValueError: the two differ in length, or a number is outside 0 .. C - 1.
    """
    rows = np.asarray(gold, dtype=np.int64).ravel()
    columns = np.asarray(predicted, dtype=np.int64).ravel()
    if len(rows) != len(columns):
        raise ValueError(f"{len(rows)} gold labels and {len(columns)} predictions were given: as many are needed.")
    for name, values in (("gold", rows), ("predicted", columns)):
        if len(values) and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(f"{name} classes go from {values.min()} to {values.max()}: 0 to {classes - 1} is allowed.")
    return np.bincount(rows * classes + columns, minlength=classes * classes).reshape(classes, classes)


def _ratio(above: Any, below: Any) -> Floats:
    """``above / below``, and 0 where ``below`` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64))
    out: Floats = np.zeros(above.shape)
    np.divide(above, below, out=out, where=below != 0)
    return out


def accuracy(counts: ArrayLike) -> Floats:
    """Share of examples on the diagonal of ``counts`` [..., C, C]."""
    table = np.asarray(counts)
    return _ratio(np.trace(table, axis1=-2, axis2=-1), table.sum(axis=(-2, -1)))


def class_f1(counts: ArrayLike) -> Floats:
    """F1 of each class [..., C]: 2 tp / (gold + predicted); 0 for a class that never occurs."""
    table = np.asarray(counts)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    return _ratio(2 * hits, table.sum(axis=-1) + table.sum(axis=-2))


def macro_f1(counts: ArrayLike) -> Floats:
    """Mean F1 over the classes of ``counts`` [..., C, C] that occur as gold or predicted (as in scikit-learn)."""
    table = np.asarray(counts)
    present = (table.sum(axis=-1) + table.sum(axis=-2)) > 0
    return _ratio(class_f1(table).sum(axis=-1), present.sum(axis=-1))


def matthews(counts: ArrayLike) -> Floats:
    """Matthews' correlation of ``counts`` [..., C, C], -1 to 1, for any number of classes; 0 where it is undefined.

    Gorodkin (2004), "Comparing two K-category assignments by a K-category correlation coefficient".
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
    """Every metric of one table of counts [C, C]: ``{"accuracy", "macro_f1", "matthews"}``."""
    return {name: float(metric(counts)) for name, metric in CLASS_METRICS.items()}


def per_class(counts: ArrayLike, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """``{label: {"precision", "recall", "f1", "support"}}`` of one table of counts [C, C]."""
    table = np.asarray(counts)
    hits, gold, predicted = np.diagonal(table), table.sum(axis=-1), table.sum(axis=-2)
    columns = (_ratio(hits, predicted), _ratio(hits, gold), class_f1(table), gold)
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    }


# -- several labels an example -------------------------------------------------------------------------------------


def label_counts(gold: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """Counts [L, 4] (true positive, false positive, false negative, true negative) of indicators [N, L]."""
    counts: NDArray[np.int64] = label_cells(gold, predicted).sum(axis=0)
    return counts


def label_cells(gold: ArrayLike, predicted: ArrayLike) -> NDArray[np.int64]:
    """Counts [N, L, 4] as :func:`label_counts`, of each example alone. Raises ValueError for other shapes."""
    true, said = np.asarray(gold, dtype=bool), np.asarray(predicted, dtype=bool)
    if true.shape != said.shape or true.ndim != 2:
        raise ValueError(f"Indicators of one shape [N, L] are needed, given {true.shape} and {said.shape}.")
    return np.stack([true & said, ~true & said, true & ~said, ~true & ~said], axis=-1).astype(np.int64)


def label_f1(counts: ArrayLike) -> Floats:
    """F1 of each label [..., L] from ``counts`` [..., L, 4]; 0 for a label that never occurs."""
    tp, fp, fn, _ = np.moveaxis(np.asarray(counts), -1, 0)
    return _ratio(2 * tp, 2 * tp + fp + fn)


def label_macro_f1(counts: ArrayLike) -> Floats:
    """Mean F1 over all labels of ``counts`` [..., L, 4] (as scikit-learn does for indicators)."""
    mean: Floats = label_f1(counts).mean(axis=-1)
    return mean


def label_micro_f1(counts: ArrayLike) -> Floats:
    """F1 of all labels' counts [..., L, 4] added up."""
    return label_f1(np.asarray(counts).sum(axis=-2))


def label_matthews(counts: ArrayLike) -> Floats:
    """Matthews' correlation of all yes-or-no answers together, of counts [..., L, 4]."""
    tp, fp, fn, tn = np.moveaxis(np.asarray(counts).sum(axis=-2), -1, 0)
    return matthews(np.stack([np.stack([tn, fp], axis=-1), np.stack([fn, tp], axis=-1)], axis=-2))


def subset_accuracy(gold: ArrayLike, predicted: ArrayLike) -> float:
    """Share of examples whose labels [N, L] are all right."""
    right = (np.asarray(gold, dtype=bool) == np.asarray(predicted, dtype=bool)).all(axis=-1)
    return float(right.mean()) if len(right) else 0.0


def label_scores(gold: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """``{"accuracy", "micro_f1", "macro_f1", "matthews"}`` of indicators [N, L]; accuracy: of whole label sets."""
    counts = label_counts(gold, predicted)
    return {
        "accuracy": subset_accuracy(gold, predicted),
        "micro_f1": float(label_micro_f1(counts)),
        "macro_f1": float(label_macro_f1(counts)),
        "matthews": float(label_matthews(counts)),
    }


def per_label(counts: ArrayLike, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """``{label: {"precision", "recall", "f1", "support"}}`` of ``counts`` [L, 4]."""
    tp, fp, fn, _ = np.moveaxis(np.asarray(counts), -1, 0)
    columns = (_ratio(tp, tp + fp), _ratio(tp, tp + fn), label_f1(counts), tp + fn)
    return {
        label: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    }


# -- bootstrap -----------------------------------------------------------------------------------------------------


def percentile_interval(values: ArrayLike, level: float = 0.95) -> Bounds:
    """The middle ``level`` of bootstrap ``values`` [resamples]."""
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resample_counts(
    cells: ArrayLike, resamples: int, generator: np.random.Generator, width: int | None = None
) -> Iterator[NDArray[np.int64]]:
    """Bootstrap samples of examples that fall into cells, in chunks [chunk, K] of new counts.

    Examples in one cell are exchangeable, so drawing N examples with replacement is one multinomial draw over cells.

    Args:
        cells: number of examples in each cell [K].
        resamples: how many samples in all.
        generator: source of randomness.
        width: numbers that the caller will hold for one sample, if more than K; chunks are cut to fit memory.
    """
    counts = np.asarray(cells, dtype=np.int64)
    total = int(counts.sum())
    chunk = max(1, _CELLS_AT_ONCE // max(1, width or 0, counts.size))
    for start in range(0, resamples, chunk):
        yield generator.multinomial(total, counts / total, size=min(chunk, resamples - start))


def bootstrap_intervals(counts: ArrayLike, resamples: int = 2000, seed: int = 0) -> dict[str, Bounds]:
    """95% percentile intervals ``{metric: (low, high)}`` of every class metric, from one table of counts [C, C].

    Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. With no example there is nothing to
    draw from: every interval is then (0, 0).
    """
    table = np.asarray(counts, dtype=np.int64)
    full = np.flatnonzero(table)
    if not len(full):
        return dict.fromkeys(CLASS_METRICS, (0.0, 0.0))
    values: dict[str, list[Floats]] = {name: [] for name in CLASS_METRICS}
    generator = np.random.default_rng(seed)
    for draws in resample_counts(table.ravel()[full], resamples, generator, width=table.size):
        tables = np.zeros((len(draws), table.size), dtype=np.int64)
        tables[:, full] = draws
        tables = tables.reshape(-1, *table.shape)
        for name, metric in CLASS_METRICS.items():
            values[name].append(metric(tables))
    return {name: percentile_interval(np.concatenate(parts)) for name, parts in values.items()}


def bootstrap_label_intervals(
    gold: ArrayLike, predicted: ArrayLike, resamples: int = 2000, seed: int = 0
) -> dict[str, Bounds]:
    """95% percentile intervals of the metrics of :func:`label_scores`, from indicators [N, L]."""
    cells = label_cells(gold, predicted)  # [N, L, 4]
    values: dict[str, list[Floats]] = {"accuracy": [], "micro_f1": [], "macro_f1": [], "matthews": []}
    if not len(cells):
        return dict.fromkeys(values, (0.0, 0.0))
    right = (cells[..., 1] + cells[..., 2]).sum(axis=-1) == 0
    flat = cells.reshape(len(cells), -1).astype(np.float64)
    for draws in resample_counts(np.ones(len(cells), dtype=np.int64), resamples, np.random.default_rng(seed)):
        tables = (draws @ flat).reshape(len(draws), *cells.shape[1:])
        values["accuracy"].append(draws @ right / len(cells))
        values["micro_f1"].append(label_micro_f1(tables))
        values["macro_f1"].append(label_macro_f1(tables))
        values["matthews"].append(label_matthews(tables))
    return {name: percentile_interval(np.concatenate(parts)) for name, parts in values.items()}
