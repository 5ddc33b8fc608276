"""Whether one run is better than another, with its evidence; and in which settings they differ.

Runs are compared example by example on the same test examples. The interval is that of a paired bootstrap (examples are
drawn with replacement, and both runs are scored on the sample): Efron and Tibshirani (1993), chapter 13. The p-value of
accuracy is McNemar's exact test, on the examples that only one of the two gets right; that of other metrics is the
paired bootstrap's own. With several comparisons the p-values are corrected by Holm's method.

Where a metric is a function of sums over examples (:mod:`workbench.metrics.measures`) the bootstrap sums again.
Language models with different tokenizers are compared by bits per byte, the only loss that means the same for both.
Groups of runs that differ only in their seed: :mod:`workbench.compare.seeds`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypedDict

import numpy as np

from workbench.compare import verdicts
from workbench.compare.evaluated import (
    LABEL_METRICS,
    LABEL_SEPARATOR,
    EvaluatedRun,
    Metric,
    align,
    primary_metric,
    shared_metrics,
    why_not_comparable,
)
from workbench.compare.results import Comparison, RunPair
from workbench.compare.training_data import training_data_notes
from workbench.compare.verdicts import examples_needed
from workbench.errors import MissingPackageError, RequestError, UnknownNameError, WorkbenchError
from workbench.formatting import flatten
from workbench.i18n import _
from workbench.metrics import measures, scores, text_scores
from workbench.runs.documents import Report
from workbench.runs.run import Run
from workbench.types import Floats, Ints, Json

__all__ = ["accuracy_interval", "compare", "compare_settings", "examples_needed", "holm", "mcnemar"]

RESAMPLES = 10_000
SEED = 0

Tables: TypeAlias = tuple[Any, Any]  # counts or sums of two runs, as a Metric takes them


def compare(runs: Sequence[Run], metric: str | None = None) -> Comparison:
    """Compare the first run with each of the others on the test examples that they share.

    Args:
        runs: two or more.
        metric: ``accuracy``, ``macro_f1`` or ``matthews``; with several labels per example ``accuracy`` (of complete
            label sets), ``micro_f1``, ``macro_f1`` or ``matthews``; for other tasks a metric of the reports. The first
            run's primary metric by default.

    Raises:
        RequestError: fewer than two runs, one without predictions, or their test examples differ.
        UnknownNameError: there is no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    if len(runs) < 2:
        raise RequestError(f"A comparison needs at least two runs, but got {len(runs)}.", "Name another run.")
    if len({run.id for run in runs}) < len(runs):
        raise RequestError("A run cannot be compared with itself.", "Name each run once.")
    evaluated, metric, multi_label = read_comparable(runs, metric)
    differences = [_difference(evaluated[0], other, metric, multi_label) for other in evaluated[1:]]
    p_values = holm([difference.p_value for difference in differences])
    names = display_names(runs)
    pairs = [
        _pair(difference, (runs[0], other), (names[0], name), metric, len(evaluated[0]), p_value, len(differences))
        for difference, other, name, p_value in zip(differences, runs[1:], names[1:], p_values, strict=True)
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
        examples=len(evaluated[0]),
        pairs=pairs,
        notes=training_data_notes(dict(zip(names, runs, strict=True))),
    )


def read_comparable(runs: Sequence[Run], metric: str | None) -> tuple[list[EvaluatedRun], str, bool]:
    """Read the predictions of runs, and choose the metric to compare them by.

    Args:
        runs: two or more.
        metric: name of the metric; the first run's primary metric by default.

    Returns:
        The runs' predictions, the metric, and whether an example may have several labels.

    Raises:
        RequestError: a run has no predictions, or their test examples differ.
        UnknownNameError: there is no such metric.
    """
    evaluated = align([EvaluatedRun.read(run) for run in runs])
    multi_label = any(each.multi_label for each in evaluated)
    shared = shared_metrics(evaluated, multi_label)
    metric = metric or primary_metric(runs[0], shared)
    if metric not in shared:
        raise UnknownNameError("metric to compare by", metric, shared, why_not_comparable(metric, evaluated))
    return evaluated, metric, multi_label


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


def _tables(one: EvaluatedRun, other: EvaluatedRun, metric: str, multi_label: bool) -> tuple[Iterator[Tables], Metric]:
    """Return counts or sums of both runs, of all examples and then of bootstrap samples; and the metric of them."""
    if one.measures:
        return _summed_tables(one.sums, other.sums), partial(measures.metric_value, one.measures[metric])
    if multi_label:
        return _label_tables(one, other), LABEL_METRICS[metric]
    return _class_tables(one, other), scores.CLASS_METRICS[metric]


def metric_value(run: EvaluatedRun, metric: str, multi_label: bool) -> float:
    """Compute the metric of one run over all its test examples.

    Args:
        run: with its predictions.
        metric: name of the metric.
        multi_label: whether an example may have several labels.
    """
    if metric == "accuracy" and not run.measures:
        return float((np.array(run.gold) == np.array(run.predicted)).mean())
    tables, compute = _tables(run, run, metric, multi_label)
    return float(compute(next(tables)[0]))


def _summed_tables(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> Iterator[Tables]:
    """Yield sums over examples of both runs."""
    yield measures.totals(one), measures.totals(other)
    samples = (measures.bootstrap_sums(table, RESAMPLES, SEED) for table in (one, other))  # one seed: the same examples
    yield from zip(*samples, strict=True)


def _accuracy_difference(one: EvaluatedRun, other: EvaluatedRun) -> _Difference:
    right = np.array(one.gold) == np.array(one.predicted)
    right_other = np.array(other.gold) == np.array(other.predicted)
    only_one, only_other = int((right & ~right_other).sum()), int((~right & right_other).sum())
    return _Difference(
        (float(right.mean()), float(right_other.mean())),
        *accuracy_interval(only_one, only_other, len(right)),
        mcnemar(only_one, only_other),
        _("McNemar's exact test"),
    )


def accuracy_interval(only_first: int, only_second: int, examples: int) -> scores.Bounds:
    """Compute the 95% paired bootstrap interval of a difference of accuracy.

    Args:
        only_first: examples that only the first run gets right.
        only_second: examples that only the second gets right.
        examples: number of all examples.
    """
    cells = [only_first, only_second, examples - only_first - only_second]
    chunks = scores.resample_counts(cells, RESAMPLES, np.random.default_rng(SEED))
    return scores.percentile_interval(np.concatenate([(d[:, 0] - d[:, 1]) / examples for d in chunks]))


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    McNemar (1947), Psychometrika 12: of the examples that only one run gets right, half are expected for each.

    Args:
        only_first: examples that only the first run gets right.
        only_second: examples that only the second gets right.

    Raises:
        MissingPackageError: scipy is not installed.
    """
    try:
        from scipy.special import bdtr  # scipy.stats, which has the test itself, takes 25 MB of memory
    except ImportError as error:
        raise MissingPackageError("scipy", "to compare runs") from error
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for several tests by Holm's method, in the order given. Holm (1979), Scand. J. Statist. 6."""
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _metric_difference(tables: Iterator[Tables], metric: Metric) -> _Difference:
    """Compute a difference from tables of both runs: first those of all examples, then chunks of bootstrap samples."""
    one, other = next(tables)
    values = (float(metric(one)), float(metric(other)))
    samples = np.concatenate([metric(a) - metric(b) for a, b in tables])
    below, above = int((samples <= 0).sum()), int((samples >= 0).sum())
    p_value = min(1.0, 2 * (min(below, above) + 1) / (len(samples) + 1))
    test = _("paired bootstrap, {n:,} resamples").format(n=len(samples))
    return _Difference(values, *scores.percentile_interval(samples), p_value, test)


def _class_tables(one: EvaluatedRun, other: EvaluatedRun) -> Iterator[Tables]:
    """Yield confusion matrices [..., C, C] of both runs."""
    class_index = {label: i for i, label in enumerate(sorted({*one.gold, *one.predicted, *other.predicted}))}
    classes = len(class_index)
    columns = (one.gold, one.predicted, other.predicted)
    gold, a, b = (np.array([class_index[v] for v in column]) for column in columns)
    cells, counts = np.unique(np.stack([gold, a, b]), axis=1, return_counts=True)
    keys = [cells[0] * classes + cells[1], cells[0] * classes + cells[2]]

    def tables(samples: Ints) -> Tables:
        first, second = (_sum_by_key(samples, key, classes * classes) for key in keys)
        return first.reshape(-1, classes, classes), second.reshape(-1, classes, classes)

    yield tuple(table[0] for table in tables(counts[None]))
    for samples in scores.resample_counts(counts, RESAMPLES, np.random.default_rng(SEED), width=classes * classes):
        yield tables(samples)


def _sum_by_key(samples: Ints, key: Ints, width: int) -> Ints:
    """Sum the columns of ``samples`` [B, K] by their ``key`` [K] into [B, width]."""
    order = np.argsort(key, kind="stable")
    used, starts = np.unique(key[order], return_index=True)
    table = np.zeros((len(samples), width), dtype=np.int64)
    table[:, used] = np.add.reduceat(samples[:, order], starts, axis=1)
    return table


def _label_tables(one: EvaluatedRun, other: EvaluatedRun) -> Iterator[Tables]:
    """Yield counts [..., L, 4] of both runs, for examples with several labels."""
    columns = (one.gold, one.predicted, other.predicted)
    label_sets = [[frozenset(filter(None, v.split(LABEL_SEPARATOR))) for v in column] for column in columns]
    labels = sorted(frozenset().union(*(each for column in label_sets for each in column)))
    counted: dict[tuple[frozenset[str], ...], int] = {}
    for combination in zip(*label_sets, strict=True):
        counted[combination] = counted.get(combination, 0) + 1
    gold, a, b = (
        np.array([[label in each[column] for label in labels] for each in counted], dtype=bool) for column in range(3)
    )
    cells = [scores.label_cells(gold, predicted).astype(np.float64) for predicted in (a, b)]  # [K, L, 4]
    counts = np.array(list(counted.values()))

    def tables(samples: Ints) -> Tables:
        first, second = (np.tensordot(samples.astype(np.float64), cell, axes=1) for cell in cells)
        return first, second

    yield tuple(table[0] for table in tables(counts[None]))
    for samples in scores.resample_counts(counts, RESAMPLES, np.random.default_rng(SEED), width=4 * len(labels)):
        yield tables(samples)


# -- words -----------------------------------------------------------------------------------------------------------


def display_names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its own where no other run has it, otherwise its id."""
    titles = [run.status().title or "" for run in runs]
    return [title if title and titles.count(title) == 1 else run.id for title, run in zip(titles, runs, strict=True)]


def _pair(
    difference: _Difference,
    runs: tuple[Run, Run],
    names: tuple[str, str],
    metric: str,
    examples: int,
    p_value: float,
    comparisons: int,
) -> RunPair:
    size, interval = difference.values[0] - difference.values[1], (difference.low, difference.high)
    test = verdicts.corrected(difference.test, comparisons)
    advice = verdicts.more_examples_advice(size, interval, examples, comparisons)
    sentence = verdicts.verdict(metric, names, difference.values, interval, p_value, test, advice)
    return RunPair(
        runs=(runs[0].id, runs[1].id),
        values=difference.values,
        difference=size,
        low=difference.low,
        high=difference.high,
        p_value=p_value,
        test=test,
        verdict=sentence + (_lossy_tokenizers(runs, names) if metric == "bits_per_byte" else ""),
    )


def _lossy_tokenizers(runs: tuple[Run, Run], names: tuple[str, str]) -> str:
    """Return a warning where the tokenizers of two runs lose different parts of the text; empty where they do not."""
    lost = [text_scores.describe_lost_text((run.report() or Report()).tokenizer) for run in runs]
    if lost[0] == lost[1]:
        return ""
    which = [
        _("that of {name} loses part of it ({what})").format(name=name, what=what)
        for name, what in zip(names, lost, strict=True)
        if what
    ]
    text = _(
        "Their tokenizers do not keep the same text: {which}. Less is left to predict there, so the bits per byte are "
        "too low."
    )
    both = _("{first} and {second}").format(first=which[0], second=which[1]) if len(which) > 1 else which[0]
    return " " + text.format(which=both)


# -- settings --------------------------------------------------------------------------------------------------------


class Setting(TypedDict):
    """One field of several specs.

    Attributes:
        field: its dotted name.
        values: each run's value; None where a run has no such field.
        differs: whether they are not all the same.
    """

    field: str
    values: list[Json]
    differs: bool


def compare_settings(runs: Sequence[Run], only_different: bool = False) -> list[Setting]:
    """Return every field of the runs' specs, side by side.

    Args:
        runs: the runs.
        only_different: leave out what is the same in all of them.

    Returns:
        ``[{"field": "training.epochs", "values": [2, 3], "differs": True}]``, in the order of the spec. A run whose
        spec cannot be read has its error in a field ``spec``.
    """
    documents: list[dict[str, Any]] = []
    errors: list[Json] = []
    for run in runs:
        try:
            documents.append(flatten(run.spec().model_dump(mode="json"), keep_empty=True))
            errors.append(None)
        except WorkbenchError as error:
            documents.append({})
            errors.append(str(error))
    settings = [Setting(field="spec", values=errors, differs=True)] if any(errors) else []
    readable = [document for document, error in zip(documents, errors, strict=True) if error is None]
    for field in dict.fromkeys(name for document in documents for name in document):
        values = [document.get(field) for document in documents]
        differs = any(document.get(field) != readable[0].get(field) for document in readable)
        if differs or not only_different:
            settings.append(Setting(field=field, values=values, differs=differs))
    return settings
