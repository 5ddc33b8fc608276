"""A first score within seconds of a file: what guessing gets, and what a simple model of word counts gets."""

from __future__ import annotations

import time
from typing import TypedDict, cast

from workbench.check.contents import load_examples
from workbench.check.resolving import make_task
from workbench.data.examples import Examples
from workbench.data.progress import Progress
from workbench.spec import RunSpec
from workbench.workspace import Workspace

MAX_TRAIN, MAX_TEST = 20_000, 5_000  # examples; more would take longer, and say little more


class FirstScore(TypedDict):
    """The score of a simple model.

    ``guess`` is the score of the task's plain baseline, such as always answering the most frequent label. ``low`` and
    ``high`` are the 95% interval of ``value``. ``seconds`` is the time of learning and answering.
    """

    metric: str
    guess: float
    guess_name: str
    value: float
    low: float
    high: float
    model: str
    train: int
    test: int
    seconds: float


def first_score(spec: RunSpec, workspace: Workspace, progress: Progress | None = None) -> FirstScore | None:
    """Train the simple model of a spec's task on its training examples, and score it on its test examples.

    The examples of both splits are those of a run of the spec, at most 20,000 and 5,000 of them.

    Args:
        spec: names the data and the task.
        workspace: whose cache is used.
        progress: called while a large file is read, and when the model begins to learn.

    Returns:
        None for a task without a simple model.

    Raises:
        DataError: the data cannot be used for this task.
        SpecError: an option of the task is not allowed.
    """
    task = make_task(spec)
    dataset = load_examples(spec.data, task, workspace, progress)
    reported = dataset.test if len(dataset.test) else dataset.valid
    train, reported = _evenly(dataset.train, MAX_TRAIN), _evenly(reported, MAX_TEST)
    if progress is not None:
        progress("learning", 0, None)
    began = time.monotonic()
    report = task.simple_report(train, reported)
    if report is None:
        return None
    name = task.primary_metric
    metrics = cast("dict[str, dict[str, float]]", report["metrics"])
    return {
        "metric": name,
        "guess": cast("dict[str, float]", report["baseline"])[name],
        "guess_name": str(report["baseline_name"]),
        "value": metrics[name]["value"],
        "low": metrics[name]["low"],
        "high": metrics[name]["high"],
        "model": str(report["simple_model"]),
        "train": len(train),
        "test": len(reported),
        "seconds": time.monotonic() - began,
    }


def _evenly(examples: Examples, count: int) -> Examples:
    """Return at most ``count`` examples, evenly spaced."""
    size = len(examples)
    return examples if size <= count else examples.take(i * size // count for i in range(count))
