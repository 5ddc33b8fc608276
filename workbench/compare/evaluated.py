"""What runs were tested on: their predictions in one order, and whether they can be laid beside each other at all.

Two runs can be compared on the same test examples with the same gold labels only. Runs of a task whose metrics are sums
over examples (:mod:`workbench.metrics.measures`) can be compared by those of them that both know; language models of
different tokenizers by bits per byte, the only loss that means the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError, WorkbenchError
from workbench.metrics import measures, scores
from workbench.runs.documents import Report
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run

Floats = NDArray[np.float64]
Metric = Callable[[Any], Floats]

LABEL_SEPARATOR = "|"  # between the labels of one example, where it may have several
LABEL_METRICS: dict[str, Metric] = {
    "micro_f1": scores.label_micro_f1,
    "macro_f1": scores.label_macro_f1,
    "matthews": scores.label_matthews,
}


@dataclass(frozen=True)
class EvaluatedRun:
    """A run's predictions in the order of their ids."""

    run: Run
    ids: list[str]
    gold: list[str]
    predicted: list[str]
    multi_label: bool  # whether an example may have several labels
    measures: dict[str, measures.Measure]  # by name; empty where metrics are counted from labels
    sums: dict[str, Floats]  # the columns that these need

    @classmethod
    def read(cls, run: Run) -> EvaluatedRun:
        known = measures.valid_measures((run.report() or Report()).measures)
        sums = [*measures.columns(known), *(["tokens"] if known else [])]
        columns = read_predictions(run, ("id", "gold", "prediction", *sums))
        missing = [name for name in ("id", "gold", "prediction") if name not in columns]
        if missing:
            raise RequestError(f"The predictions of run {run.id} have no column {' and no '.join(missing)}.")
        keys = list(zip(columns["id"], columns["gold"], strict=True))
        order = sorted(range(len(keys)), key=keys.__getitem__)
        if not order:
            raise RequestError(f"The run {run.id} has no test example.", "Give its data a test part.")
        ids, gold, predicted = ([columns[name][i] for i in order] for name in ("id", "gold", "prediction"))
        try:
            multi_label = bool(run.spec().task.options.get("multi_label"))
        except WorkbenchError:
            multi_label = False
        found = {name: np.array(columns[name], dtype=np.float64)[order] for name in sums if name in columns}
        known = {name: measure for name, measure in known.items() if set(measure[1:]) <= set(found)}
        return cls(run, ids, gold, predicted, multi_label, known, found)


def check_comparable(one: EvaluatedRun, other: EvaluatedRun) -> None:
    """Raises RequestError when the two were not tested on the same examples."""
    hint = "Runs compared need the same data, data.split_seed, data.holdout and data.limit."
    tasks = [_task(each.run) for each in (one, other)]
    if (one.measures or other.measures) and tasks[0] != tasks[1]:
        raise RequestError(
            f"{one.run.id} has learned {tasks[0]} and {other.run.id} {tasks[1]}: they measure different things.",
            "Compare runs of one task.",
        )
    if one.ids != other.ids:
        only_one, only_other = len(set(one.ids) - set(other.ids)), len(set(other.ids) - set(one.ids))
        raise RequestError(
            f"The runs were tested on different examples: {one.run.id} on {len(one.ids)} ({only_one} of them its own), "
            f"{other.run.id} on {len(other.ids)} ({only_other} of them its own).",
            hint,
        )
    changed = sum(a != b for a, b in zip(one.gold, other.gold, strict=True))
    if changed:
        raise RequestError(f"{changed} test examples have another gold label in {other.run.id}.", hint)


def _task(run: Run) -> str:
    try:
        return run.spec().task.name
    except WorkbenchError:
        return "an unknown task"


def shared_metrics(tables: list[EvaluatedRun], multi_label: bool) -> list[str]:
    """What these runs can be compared by."""
    first = tables[0]
    if not first.measures:
        metrics: dict[str, Metric] = dict(LABEL_METRICS if multi_label else scores.CLASS_METRICS)
        return ["accuracy", *(name for name in metrics if name != "accuracy")]
    known = [name for name in first.measures if all(name in table.measures for table in tables)]
    if _tokenizers_differ(tables):
        known = [name for name in known if not measures.is_per_token(first.measures[name])]
    return known


def _tokenizers_differ(tables: list[EvaluatedRun]) -> bool:
    tokens = [table.sums.get("tokens") for table in tables]
    return tokens[0] is not None and any(other is None or not np.array_equal(tokens[0], other) for other in tokens)


def why_not_comparable(metric: str, tables: list[EvaluatedRun]) -> str:
    """What to say of a metric that runs of different tokenizers cannot be compared by; empty for any other."""
    if metric not in tables[0].measures or not _tokenizers_differ(tables):
        return ""
    return f"These runs cut the texts into different tokens, and {metric} is counted in tokens: use bits_per_byte."


def primary_metric(run: Run, known: list[str]) -> str:
    report = run.report() or Report()
    usual = [name for name in (report.primary_metric, "accuracy", "bits_per_byte") if name in known]
    if not usual and not known:
        raise RequestError(f"The run {run.id} has no metric that these runs could be compared by.")
    return usual[0] if usual else known[0]
