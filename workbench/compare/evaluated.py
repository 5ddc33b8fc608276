"""Predictions of runs on their test examples, and whether runs can be compared at all.

Two runs can be compared only on the same test examples with the same gold labels. Runs of a task whose metrics are sums
over examples (:mod:`workbench.metrics.measures`) can be compared by the metrics that both have; language models with
different tokenizers by bits per byte, the only loss that means the same for both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from workbench.compare.pairing import EvaluatedExamples, pair_examples
from workbench.errors import RequestError, WorkbenchError
from workbench.metrics import measures, scores
from workbench.runs.documents import Report
from workbench.runs.predictions import EXAMPLE, read_predictions
from workbench.runs.run import Run
from workbench.types import Floats

Metric: TypeAlias = Callable[[Any], Floats]  # of counts [..., C, C] or [..., L, 4], or of sums by column

HINT = "Runs can be compared if they have the same test data, data.split_seed, data.holdout and data.limit."
LABEL_SEPARATOR = "|"  # between the labels of one example, where it may have several
LABEL_METRICS: dict[str, Metric] = {
    "micro_f1": scores.label_micro_f1,
    "macro_f1": scores.label_macro_f1,
    "matthews": scores.label_matthews,
}


@dataclass(frozen=True)
class EvaluatedRun:
    """A run's predictions.

    Attributes:
        examples: the run and the examples that it was tested on [N].
        gold: gold labels [N].
        predicted: predictions [N].
        multi_label: whether an example may have several labels.
        measures: the metrics that are sums over examples, by name; empty where metrics are counted from labels.
        sums: the columns [N] that these need.
    """

    examples: EvaluatedExamples
    gold: list[str]
    predicted: list[str]
    multi_label: bool
    measures: dict[str, measures.Measure]
    sums: dict[str, Floats]

    @classmethod
    def read(cls, run: Run) -> EvaluatedRun:
        """Read the predictions of a run.

        Args:
            run: a finished run.

        Raises:
            RequestError: it has no predictions, or no test example.
            DataError: the file is damaged.
        """
        known = measures.valid_measures((run.report() or Report()).measures)
        needed = [*measures.columns(known), *(["tokens"] if known else [])]
        columns = read_predictions(run, ("id", EXAMPLE, "gold", "prediction", *needed))
        missing = [name for name in ("id", "gold", "prediction") if name not in columns]
        if missing:
            raise RequestError(f"The predictions of run {run.id} have no column {' and no '.join(missing)}.")
        if not columns["id"]:
            raise RequestError(f"The run {run.id} has no test examples.", "Add a test split to its data.")
        try:
            multi_label = bool(run.spec().task.options.get("multi_label"))
        except WorkbenchError:
            multi_label = False
        sums = {name: np.array(columns[name], dtype=np.float64) for name in needed if name in columns}
        known = {name: measure for name, measure in known.items() if set(measure[1:]) <= set(sums)}
        examples = EvaluatedExamples.of(run, columns)
        return cls(examples, columns["gold"], columns["prediction"], multi_label, known, sums)

    @property
    def run(self) -> Run:
        """The run."""
        return self.examples.run

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, order: Sequence[int]) -> EvaluatedRun:
        """Return the predictions in another order.

        Args:
            order: indices of the examples.
        """
        gold, predicted = ([values[i] for i in order] for values in (self.gold, self.predicted))
        sums = {name: values[list(order)] for name, values in self.sums.items()}
        return replace(self, examples=self.examples.take(order), gold=gold, predicted=predicted, sums=sums)


def align(runs: Sequence[EvaluatedRun]) -> list[EvaluatedRun]:
    """Return the predictions of runs in one order of the test examples, which is the same for all.

    Args:
        runs: two or more.

    Raises:
        RequestError: their tasks, their test examples or their gold labels differ.
    """
    first = runs[0]
    for other in runs[1:]:
        _check_tasks(first, other)
    keys = pair_examples([each.examples for each in runs])
    for other, other_keys in zip(runs[1:], keys[1:], strict=True):
        _check_examples(first, other, set(keys[0]), set(other_keys))
    order = sorted(range(len(first)), key=lambda i: (first.examples.ids[i], first.gold[i]))
    aligned = []
    for each, own in zip(runs, keys, strict=True):
        index = {key: i for i, key in enumerate(own)}
        aligned.append(each.take([index[keys[0][i]] for i in order]))
    for other in aligned[1:]:
        changed = sum(a != b for a, b in zip(aligned[0].gold, other.gold, strict=True))
        if changed:
            raise RequestError(f"{changed} test examples have a different gold label in {other.run.id}.", HINT)
    return aligned


def _check_tasks(one: EvaluatedRun, other: EvaluatedRun) -> None:
    tasks = [_task(each.run) for each in (one, other)]
    if (one.measures or other.measures) and tasks[0] != tasks[1]:
        raise RequestError(
            f"{one.run.id} is a run of {tasks[0]}, and {other.run.id} one of {tasks[1]}: their metrics are different.",
            "Compare runs of the same task.",
        )


def _check_examples(one: EvaluatedRun, other: EvaluatedRun, keys: set[str], other_keys: set[str]) -> None:
    if keys == other_keys:
        return
    same_ids = set(one.examples.ids) == set(other.examples.ids)
    why = " Their files have the same name, but not the same content." if same_ids else ""
    raise RequestError(
        f"The runs were tested on different examples: {one.run.id} on {len(one)} ({len(keys - other_keys)} of them not "
        f"shared), {other.run.id} on {len(other)} ({len(other_keys - keys)} of them not shared).{why}",
        HINT,
    )


def _task(run: Run) -> str:
    try:
        return run.spec().task.name
    except WorkbenchError:
        return "an unknown task"


def shared_metrics(runs: Sequence[EvaluatedRun], multi_label: bool) -> list[str]:
    """Return the metrics by which these runs can be compared.

    Args:
        runs: on the same examples.
        multi_label: whether an example may have several labels.
    """
    first = runs[0]
    if not first.measures:
        metrics: dict[str, Metric] = dict(LABEL_METRICS if multi_label else scores.CLASS_METRICS)
        return ["accuracy", *(name for name in metrics if name != "accuracy")]
    shared = [name for name in first.measures if all(name in run.measures for run in runs)]
    if _tokenizers_differ(runs):
        shared = [name for name in shared if not measures.is_per_token(first.measures[name])]
    return shared


def _tokenizers_differ(runs: Sequence[EvaluatedRun]) -> bool:
    tokens = [run.sums.get("tokens") for run in runs]
    return tokens[0] is not None and any(other is None or not np.array_equal(tokens[0], other) for other in tokens)


def why_not_comparable(metric: str, runs: Sequence[EvaluatedRun]) -> str:
    """Return why runs with different tokenizers cannot be compared by a metric; empty for other reasons.

    Args:
        metric: its name.
        runs: on the same examples.
    """
    if metric not in runs[0].measures or not _tokenizers_differ(runs):
        return ""
    return f"These runs tokenize the texts differently, and {metric} is counted in tokens: use bits_per_byte."


def primary_metric(run: Run, shared: Sequence[str]) -> str:
    """Return the metric to compare by when none was chosen.

    Args:
        run: the first run; its report names its primary metric.
        shared: the metrics that all runs have.

    Raises:
        RequestError: there is none.
    """
    preferred = ((run.report() or Report()).primary_metric, "accuracy", "bits_per_byte")
    candidates = [name for name in preferred if name in shared]
    if not candidates and not shared:
        raise RequestError(f"The run {run.id} has no metric that these runs could be compared by.")
    return str(candidates[0]) if candidates else shared[0]
