"""Quality against cost: which runs are not beaten by another one that is at least as good and costs no more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.runs.documents import Interval, RunSummary

COSTS = {  # as a report has them, and what one unit of what is shown is
    "seconds": ("Training time", "s", 1.0),
    "peak_memory_bytes": ("Memory at most", "GB", 1e9),
    "trained_parameters": ("Trained parameters", "", 1.0),
}


@dataclass(frozen=True)
class Point:
    """One run between quality and cost.

    Attributes:
        run: its id.
        quality: the metric; low, high: its 95% interval, where the report has one.
        cost: in the unit that ``COSTS`` names.
        on_front: whether it is on the Pareto front of the runs given.
    """

    run: str
    quality: float
    low: float | None
    high: float | None
    cost: float
    on_front: bool


def pareto_front(quality: Sequence[float], cost: Sequence[float], larger_is_better: bool = True) -> list[bool]:
    """Which of some things are on the Pareto front: none other is as good or better, costs as little or less, and is
    truly better or cheaper.

    Args:
        quality: of each.
        cost: of each, smaller is better.
        larger_is_better: of the quality.

    Things with the same quality and cost are on the front together. One with a value that is not a number never is.
    """
    sign = 1 if larger_is_better else -1
    known = [i for i in range(len(quality)) if not (math.isnan(quality[i]) or math.isnan(cost[i]))]
    best, front = -math.inf, [False] * len(quality)
    last: tuple[float, float] | None = None
    for i in sorted(known, key=lambda i: (cost[i], -sign * quality[i])):  # a cheaper one comes first, then a better one
        value = (cost[i], sign * quality[i])
        if sign * quality[i] > best or value == last:
            front[i], best, last = True, sign * quality[i], value
    return front


def tradeoff_points(runs: Sequence[RunSummary], metric: str, cost: str) -> list[Point]:
    """The runs that have both, in their order.

    Args:
        runs: summaries of :func:`workbench.runs.query.list_runs`.
        metric: a final metric of theirs.
        cost: one of ``COSTS``.
    """
    unit = COSTS[cost][2]
    with_both: list[tuple[str, Interval, float, float]] = []
    for run in runs:
        spent = getattr(run.cost, cost)
        if (value := quality(run, metric)) is not None and spent is not None and math.isfinite(spent):
            with_both.append((run.id, run.metric(metric), value, spent / unit))
    larger_is_better = metric not in SMALLER_IS_BETTER
    front = pareto_front([value for _, _, value, _ in with_both], [spent for *_, spent in with_both], larger_is_better)
    return [
        Point(run, value, interval.low, interval.high, spent, on)
        for (run, interval, value, spent), on in zip(with_both, front, strict=True)
    ]


def quality(run: RunSummary, metric: str) -> float | None:
    """Return a final metric of a run; None where its report has no finite number of it."""
    value = run.metric(metric).value
    return float(value) if value is not None and math.isfinite(value) else None


def front_line(found: Sequence[Point]) -> tuple[list[float], list[float]]:
    """The front as steps, from the cheapest run to the dearest: what can be had at most for each cost."""
    on = sorted({(point.cost, point.quality) for point in found if point.on_front})
    return [cost for cost, _ in on], [quality for _, quality in on]


def summary_sentence(found: Sequence[Point], names: Mapping[str, str], metric: str, cost: str) -> str:
    """What follows from the front, in words."""
    on, beaten = [p for p in found if p.on_front], sum(not p.on_front for p in found)
    if len(found) < 2:
        return ""
    title = COSTS[cost][0].lower()
    if len(on) == 1:
        return f"{names[on[0].run]} is the best by {metric.replace('_', ' ')}, and no other costs less ({title})."
    said = f"{len(on)} of {len(found)} runs are on the Pareto front: more quality is only had at more cost ({title})."
    return said + (f" The other {beaten} are beaten by one that is as good and costs no more." if beaten else "")
