"""Quality against cost: the runs for which no other run is at least as good and costs no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.i18n import N_, _
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.documents import Interval, Number, RunSummary

COSTS = {  # field of a report's cost: title, unit, and how many of the field are one unit
    "seconds": (N_("Training time"), "s", 1.0),
    "peak_memory_bytes": (N_("Peak memory"), "GB", 1e9),
    "trained_parameters": (N_("Trained parameters"), "", 1.0),
}


@dataclass(frozen=True)
class Point:
    """One run between quality and cost.

    Attributes:
        run: its id.
        quality: the metric.
        low: lower end of its 95% interval; None where the report has none.
        high: upper end.
        cost: in the unit of ``COSTS``.
        on_front: whether it is on the Pareto front of the runs.
    """

    run: str
    quality: float
    low: Number | None
    high: Number | None
    cost: float
    on_front: bool


def pareto_front(quality: Sequence[float], cost: Sequence[float], larger_is_better: bool = True) -> list[bool]:
    """Find the Pareto front: no other item is as good or better, costs as little or less, and is better or cheaper.

    Args:
        quality: quality of each item.
        cost: cost of each item; smaller is better.
        larger_is_better: whether a larger quality is better.

    Returns:
        Whether each item is on the front. Items with equal quality and cost are on it together; an item with a value
        that is not a number never is.
    """
    sign = 1 if larger_is_better else -1
    known = [i for i in range(len(quality)) if not (math.isnan(quality[i]) or math.isnan(cost[i]))]
    best, front = -math.inf, [False] * len(quality)
    last: tuple[float, float] | None = None
    for i in sorted(known, key=lambda i: (cost[i], -sign * quality[i])):  # the cheapest first, then the best
        value = (cost[i], sign * quality[i])
        if sign * quality[i] > best or value == last:
            front[i], best, last = True, sign * quality[i], value
    return front


def tradeoff_points(runs: Sequence[RunSummary], metric: str, cost: str) -> list[Point]:
    """Return the runs that have a metric and a cost, in their order.

    Args:
        runs: summaries of :func:`workbench.runs.query.list_runs`.
        metric: a final metric.
        cost: one of ``COSTS``.
    """
    unit = COSTS[cost][2]
    with_both: list[tuple[str, Interval, float, float]] = []
    for run in runs:
        spent = getattr(run.cost, cost)
        if (value := quality(run, metric)) is not None and spent is not None and math.isfinite(spent):
            with_both.append((run.id, run.metric(metric), value, spent / unit))
    larger_is_better = metric not in SMALLER_IS_BETTER
    front = pareto_front([row[2] for row in with_both], [row[3] for row in with_both], larger_is_better)
    return [
        Point(run, value, interval.low, interval.high, spent, on)
        for (run, interval, value, spent), on in zip(with_both, front, strict=True)
    ]


def quality(run: RunSummary, metric: str) -> float | None:
    """Return a final metric of a run; None where its report has no finite number for it.

    Args:
        run: its summary.
        metric: name of the metric.
    """
    value = run.metric(metric).value
    return float(value) if value is not None and math.isfinite(value) else None


def front_line(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Return the front as steps: costs ascending, and the best quality for each.

    Args:
        points: the result of :func:`tradeoff_points`.
    """
    front = sorted({(point.cost, point.quality) for point in points if point.on_front})
    return [cost for cost, _quality in front], [quality for _cost, quality in front]


def summary_sentence(points: Sequence[Point], names: Mapping[str, str], metric: str, cost: str) -> str:
    """Return the result in words; empty for fewer than two runs.

    Args:
        points: the result of :func:`tradeoff_points`.
        names: names of the runs, by id.
        metric: name of the metric.
        cost: one of ``COSTS``.
    """
    front, dominated = [point for point in points if point.on_front], sum(not point.on_front for point in points)
    if len(points) < 2:
        return ""
    title = _(COSTS[cost][0]).lower()
    if len(front) == 1:
        text = _("{run} is the best by {metric}, and no other costs less ({cost}).")
        return text.format(run=names[front[0].run], metric=_(metric.replace("_", " ")), cost=title)
    text = _("{n} of {total} runs are on the Pareto front: better quality only at more cost ({cost}).")
    sentence = text.format(n=len(front), total=len(points), cost=title)
    if not dominated:
        return sentence
    text = _("The other {n} are dominated by a run that is as good and costs no more.")
    return f"{sentence} {text.format(n=dominated)}"
