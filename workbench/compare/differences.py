"""Whether one run is better than another, with its evidence; and in which settings they differ.

Runs are compared example by example on the same test examples. The interval is a paired bootstrap's (examples are drawn
with replacement, both runs are scored on the draw): Efron and Tibshirani (1993), chapter 13. The p-value of accuracy is
McNemar's exact test, on the examples that only one of the two gets right; that of other metrics is the paired
bootstrap's own. Against several runs the p-values are corrected by Holm's method.

Where a metric is made of sums over examples (:mod:`workbench.metrics.measures`) the bootstrap adds up again. Language
models of different tokenizers are compared by bits per byte, the only loss that means the same for both. Groups of runs
that differ in their seed only: :mod:`workbench.compare.seeds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from workbench.compare import verdicts
from workbench.compare.evaluated import (
    LABEL_METRICS,
    LABEL_SEPARATOR,
    EvaluatedRun,
    Metric,
    check_comparable,
    primary_metric,
    shared_metrics,
    why_not_comparable,
)
from workbench.compare.results import Comparison, RunPair
from workbench.compare.verdicts import examples_needed
from workbench.errors import MissingPackageError, RequestError, UnknownNameError, WorkbenchError
from workbench.formatting import flatten
from workbench.metrics import measures, scores, text_scores
from workbench.runs.documents import Report
from workbench.runs.run import Run
from workbench.types import Floats

__all__ = ["accuracy_interval", "compare", "compare_settings", "examples_needed", "holm", "mcnemar"]

RESAMPLES = 10_000
SEED = 0


def compare(runs: Sequence[Run], metric: str | None = None) -> Comparison:
    """Compare the first run with each of the others on the test examples that they share.

    Args:
        runs: two or more.
        metric: ``accuracy``, ``macro_f1`` or ``matthews``; with several labels an example ``accuracy`` (of the whole
            set), ``micro_f1`` or ``macro_f1``; of language models what their reports have. The run's primary metric if
            left out.

    Raises:
        RequestError: fewer than two runs, one without predictions, or their test examples differ.
        UnknownNameError: no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    if len(runs) < 2:
        raise RequestError(f"Two runs or more are needed for a comparison, given {len(runs)}.", "Name another run.")
    if len({run.id for run in runs}) < len(runs):
        raise RequestError("A run cannot be compared with itself.", "Name each run once.")
    tables, metric, multi_label = read_comparable(runs, metric)
    drawn = [_difference(tables[0], other, metric, multi_label) for other in tables[1:]]
    corrected = holm([result.p_value for result in drawn])
    names = display_names(runs)
    pairs = [
        _pair(result, (runs[0], other), (names[0], name), metric, len(tables[0].ids), p, len(drawn))
        for result, other, name, p in zip(drawn, runs[1:], names[1:], corrected, strict=True)
    ]
    first = pairs[0]
    return Comparison(
        runs=[run.id for run in runs],
        metric=metric,
        values=[first.values[0], *(pair.values[1] for pair in pairs)],
        difference=first.difference,
        low=first.low,
        high=first.high,
        p_value=first.p_value,
        test=first.test,
        verdict=" ".join(pair.verdict for pair in pairs),
        examples=len(tables[0].ids),
        pairs=pairs,
    )


def read_comparable(runs: Sequence[Run], metric: str | None) -> tuple[list[EvaluatedRun], str, bool]:
    """What some runs were tested on, the metric to compare them by, and whether an example may have several labels.

    Raises:
        RequestError: one has no predictions, or their test examples differ.
        UnknownNameError: no such metric.
    """
    tables = [EvaluatedRun.read(run) for run in runs]
    for other in tables[1:]:
        check_comparable(tables[0], other)
    multi_label = any(table.multi_label for table in tables)
    known = shared_metrics(tables, multi_label)
    metric = metric or primary_metric(runs[0], known)
    if metric not in known:
        raise UnknownNameError("metric to compare by", metric, known, why_not_comparable(metric, tables))
    return tables, metric, multi_label


# -- statistics ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Difference:
    values: tuple[float, float]
    low: float
    high: float
    p_value: float
    test: str


def _difference(one: EvaluatedRun, other: EvaluatedRun, metric: str, multi_label: bool) -> _Difference:
    if metric == "accuracy" and not one.measures:
        return _accuracy_difference(one, other)
    return _metric_difference(*_tables(one, other, metric, multi_label))


def _tables(
    one: EvaluatedRun, other: EvaluatedRun, metric: str, multi_label: bool
) -> tuple[Iterator[tuple[Any, Any]], Metric]:
    """Counts or sums of both runs, of all examples and then of bootstrap samples; and the metric of them."""
    if one.measures:
        return _summed_tables(one.sums, other.sums), partial(measures.metric_value, one.measures[metric])
    if multi_label:
        return _label_tables(one, other), LABEL_METRICS[metric]
    return _class_tables(one, other), scores.CLASS_METRICS[metric]


def metric_value(table: EvaluatedRun, metric: str, multi_label: bool) -> float:
    """The metric of one run, over all its test examples."""
    if metric == "accuracy" and not table.measures:
        return float((np.array(table.gold) == np.array(table.predicted)).mean())
    counts, calculate = _tables(table, table, metric, multi_label)
    return float(calculate(next(counts)[0]))


def _summed_tables(one: dict[str, Floats], other: dict[str, Floats]) -> Iterator[tuple[Any, Any]]:
    """Sums over examples of both runs."""
    yield measures.totals(one), measures.totals(other)
    drawn = (measures.bootstrap_sums(table, RESAMPLES, SEED) for table in (one, other))  # one seed: the same examples
    yield from zip(*drawn, strict=True)


def _accuracy_difference(one: EvaluatedRun, other: EvaluatedRun) -> _Difference:
    right = np.array(one.gold) == np.array(one.predicted)
    right_other = np.array(other.gold) == np.array(other.predicted)
    only_one, only_other = int((right & ~right_other).sum()), int((~right & right_other).sum())
    return _Difference(
        (float(right.mean()), float(right_other.mean())),
        *accuracy_interval(only_one, only_other, len(right)),
        mcnemar(only_one, only_other),
        "McNemar's exact test",
    )


def accuracy_interval(only_first: int, only_second: int, examples: int) -> scores.Bounds:
    """95% paired bootstrap interval of a difference of accuracy.

    Args:
        only_first: examples that only the first run gets right.
        only_second: examples that only the second gets right.
        examples: number of all examples.
    """
    cells = [only_first, only_second, examples - only_first - only_second]
    chunks = scores.resample_counts(cells, RESAMPLES, np.random.default_rng(SEED))
    return scores.percentile_interval(np.concatenate([(d[:, 0] - d[:, 1]) / examples for d in chunks]))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: of the examples that one run alone gets right, half would be each one's.

    McNemar (1947), Psychometrika 12. Raises MissingPackageError without scipy.
    """
    try:
        from scipy.special import bdtr  # scipy.stats, which has the test itself, takes 25 MB of memory
    except ImportError as error:
        raise MissingPackageError("scipy", "to compare runs") from error
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction for several tests at once, in the order given. Holm (1979), Scand. J. Statist. 6."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _metric_difference(tables: Iterator[tuple[Any, Any]], metric: Metric) -> _Difference:
    """From tables of counts of both runs: first those of all examples, then chunks of bootstrap samples."""
    one, other = next(tables)
    values = (float(metric(one)), float(metric(other)))
    drawn = np.concatenate([metric(a) - metric(b) for a, b in tables])
    below, above = int((drawn <= 0).sum()), int((drawn >= 0).sum())
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(drawn) + 1))
    return _Difference(
        values, *scores.percentile_interval(drawn), p_value, f"paired bootstrap, {len(drawn):,} resamples"
    )


def _class_tables(one: EvaluatedRun, other: EvaluatedRun) -> Iterator[tuple[Any, Any]]:
    """Confusion matrices [..., C, C] of both runs."""
    number = {label: i for i, label in enumerate(sorted({*one.gold, *one.predicted, *other.predicted}))}
    classes = len(number)
    gold, a, b = (np.array([number[v] for v in column]) for column in (one.gold, one.predicted, other.predicted))
    cells, counts = np.unique(np.stack([gold, a, b]), axis=1, return_counts=True)
    keys = [cells[0] * classes + cells[1], cells[0] * classes + cells[2]]

    def tables(draws: Any) -> tuple[Any, Any]:
        first, second = (_add_by_key(draws, key, classes * classes) for key in keys)
        return first.reshape(-1, classes, classes), second.reshape(-1, classes, classes)

    yield tuple(table[0] for table in tables(counts[None]))
    for draws in scores.resample_counts(counts, RESAMPLES, np.random.default_rng(SEED), width=classes * classes):
        yield tables(draws)


def _add_by_key(draws: Any, key: Any, width: int) -> Any:
    """The columns of ``draws`` [B, K] added up by their ``key`` [K] into [B, width]."""
    order = np.argsort(key, kind="stable")
    used, starts = np.unique(key[order], return_index=True)
    table = np.zeros((len(draws), width), dtype=np.int64)
    table[:, used] = np.add.reduceat(draws[:, order], starts, axis=1)
    return table


def _label_tables(one: EvaluatedRun, other: EvaluatedRun) -> Iterator[tuple[Any, Any]]:
    """Counts [..., L, 4] of both runs, for examples with several labels."""
    parts = [
        [frozenset(filter(None, v.split(LABEL_SEPARATOR))) for v in c]
        for c in (one.gold, one.predicted, other.predicted)
    ]
    labels = sorted(frozenset().union(*(given for part in parts for given in part)))
    kinds: dict[tuple[frozenset[str], ...], int] = {}
    for kind in zip(*parts, strict=True):
        kinds[kind] = kinds.get(kind, 0) + 1
    gold, a, b = (
        np.array([[label in kind[part] for label in labels] for kind in kinds], dtype=bool) for part in range(3)
    )
    cells = [scores.label_cells(gold, given).astype(np.float64) for given in (a, b)]  # [K, L, 4]
    counts = np.array(list(kinds.values()))

    def tables(draws: Any) -> tuple[Any, Any]:
        first, second = (np.tensordot(draws.astype(np.float64), cell, axes=1) for cell in cells)
        return first, second

    yield tuple(table[0] for table in tables(counts[None]))
    for draws in scores.resample_counts(counts, RESAMPLES, np.random.default_rng(SEED), width=4 * len(labels)):
        yield tables(draws)


# -- words -----------------------------------------------------------------------------------------------------------


def display_names(runs: Sequence[Run]) -> list[str]:
    """What to call each run: its own name where no other has it, otherwise its id."""
    titles = [run.status().title or "" for run in runs]
    return [title if title and titles.count(title) == 1 else run.id for title, run in zip(titles, runs, strict=True)]


def _pair(
    found: _Difference,
    runs: tuple[Run, Run],
    names: tuple[str, str],
    metric: str,
    examples: int,
    p_value: float,
    comparisons: int,
) -> RunPair:
    difference = found.values[0] - found.values[1]
    test = found.test + (f", Holm-corrected for {comparisons} comparisons" if comparisons > 1 else "")
    advice = verdicts.more_examples_advice(difference, (found.low, found.high), examples, comparisons)
    said = verdicts.verdict(metric, names, found.values, (found.low, found.high), p_value, test, advice)
    said += _lossy(runs, names) if metric == "bits_per_byte" else ""
    return RunPair(
        runs=(runs[0].id, runs[1].id),
        values=found.values,
        difference=difference,
        low=found.low,
        high=found.high,
        p_value=p_value,
        test=test,
        verdict=said,
    )


def _lossy(runs: tuple[Run, Run], names: tuple[str, str]) -> str:
    """A warning where the tokenizers of two runs lose different parts of the text; empty where they do not."""
    lost = [text_scores.describe_lost_text((run.report() or Report()).tokenizer) for run in runs]
    if lost[0] == lost[1]:
        return ""
    told = " and ".join(
        f"that of {name} loses part of it ({what})" for name, what in zip(names, lost, strict=True) if what
    )
    return (
        f" Their tokenizers do not keep the same text: {told}. Less is left to guess there: its bits per byte flatter."
    )


# -- settings --------------------------------------------------------------------------------------------------------


def compare_settings(runs: Sequence[Run], only_different: bool = False) -> list[dict[str, Any]]:
    """Every field of the runs' specs, side by side.

    Args:
        runs: which runs.
        only_different: leave out what is the same in all of them.

    Returns:
        ``[{"field": "training.epochs", "values": [2, 3], "differs": True}]``, in the order of the spec; None where a
        run has no such field. A run whose spec cannot be read is told in a field ``spec``; the others are shown.
    """
    documents: list[dict[str, Any]] = []
    troubles: list[str | None] = []
    for run in runs:
        try:
            documents.append(flatten(run.spec().model_dump(mode="json"), keep_empty=True))
            troubles.append(None)
        except WorkbenchError as error:
            documents.append({})
            troubles.append(str(error))
    rows = [{"field": "spec", "values": troubles, "differs": True}] if any(troubles) else []
    readable = [document for document, trouble in zip(documents, troubles, strict=True) if trouble is None]
    for field in dict.fromkeys(name for document in documents for name in document):
        values = [document.get(field) for document in documents]
        differs = any(document.get(field) != readable[0].get(field) for document in readable)
        if differs or not only_different:
            rows.append({"field": field, "values": values, "differs": differs})
    return rows
