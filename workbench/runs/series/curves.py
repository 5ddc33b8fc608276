"""Curves for plots: thinned, smoothed, and several seeds as one mean with its interval. Numpy in, numpy out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import MissingPackageError, RequestError
from workbench.metrics.statistics import t_quantile
from workbench.runs.run import Run
from workbench.runs.series.metric_store import MetricStore, open_metrics
from workbench.runs.settings import read_settings
from workbench.types import Floats, Ints

MAX_POINTS = 1000  # of one line; more cannot be seen
MAX_POINTS_PER_FIGURE = 15_000  # of all its lines: what a browser draws in half a second
MIN_POINTS = 200  # of one line, however many lines there are
GRID_POINTS = 400  # of a mean over runs that did not log at the same steps
# Settings in which runs of the same configuration may differ.
IGNORED_FIELDS = ("training.seed", "data.seed", "name", "notes", "schema_version")


def thin(x: Floats, y: Floats, max_points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """Return at most ``max_points`` points, such that the line looks the same and both extremes are kept.

    MinMaxLTTB: the lowest and the highest point of each segment are candidates, and of these the ones that span the
    largest triangles are selected (Van Der Donckt et al., "MinMaxLTTB", IEEE VIS 2023; Steinarsson 2013).

    Args:
        x: ascending, [N].
        y: [N].
        max_points: maximum number of points in the result.

    Raises:
        MissingPackageError: tsdownsample is not installed.
    """
    if len(x) <= max_points:
        return np.asarray(x), np.asarray(y)
    try:
        from tsdownsample import MinMaxLTTBDownsampler
    except ImportError as error:
        raise MissingPackageError("tsdownsample", "to draw curves of many points") from error
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    downsampler: Any = MinMaxLTTBDownsampler  # untyped
    selected = downsampler().downsample(x, y, n_out=max_points - 2)
    selected = np.union1d(selected, [int(np.argmin(y)), int(np.argmax(y))]).astype(np.int64)
    return x[selected], y[selected]


def smooth(y: Floats, weight: float, sizes: Ints | None = None) -> Floats:
    """Return a bias-corrected exponential moving average.

    Args:
        y: values at equal distances, or means over as many values as ``sizes`` says, [N].
        weight: weight of the average so far, from 0 (``y`` itself) to below 1; for the mean of ``s`` values ``weight **
            s``, so that the average reaches back equally far.
        sizes: number of values in each mean, [N].

    Raises:
        RequestError: the weight is not in this range.
    """
    if not 0 <= weight < 1:
        raise RequestError(
            f"The smoothing weight is {weight}.", "Use a value from 0 (no smoothing) to below 1, such as 0.6 or 0.9."
        )
    if not weight or not len(y):
        return np.asarray(y, dtype=np.float64)
    if sizes is not None and (sizes > 1).any():
        return _smooth_means(y, weight, sizes)
    # m_i = weight m_(i-1) + (1 - weight) y_i, over the sum of the weights; in blocks, so that no power underflows.
    length = max(1, min(len(y), int(-200 / np.log(weight)) if weight else 1))
    powers = weight ** np.arange(1, length + 1)
    carry, out = 0.0, np.empty(len(y))
    for start in range(0, len(y), length):
        block = np.asarray(y[start : start + length], dtype=np.float64)
        p = powers[: len(block)]
        out[start : start + length] = p * carry + (1 - weight) * p * np.cumsum(block / p)
        carry = float(out[start + len(block) - 1])
    return np.asarray(out / (1 - weight ** np.minimum(np.arange(1, len(y) + 1), 1e6)))


def _smooth_means(y: Floats, weight: float, sizes: Ints) -> Floats:
    weights = weight ** sizes.astype(np.float64)
    average, out = 0.0, []
    for share, new in zip(weights.tolist(), ((1 - weights) * y).tolist(), strict=True):
        average = share * average + new
        out.append(average)
    return np.asarray(np.array(out) / (1 - weight ** np.cumsum(sizes).astype(np.float64)))


@dataclass(frozen=True)
class Band:
    """The curve of a group of runs: their mean, and its 95% interval for two runs or more.

    Attributes:
        label: what the runs have in common.
        runs: their ids.
        x: [N].
        mean: [N].
        low: lower end of the interval [N]; None for a single run.
        high: upper end [N]; None for a single run.
    """

    label: str
    runs: tuple[str, ...]
    x: Floats
    mean: Floats
    low: Floats | None
    high: Floats | None

    @property
    def n(self) -> int:
        return len(self.runs)


def mean_band(label: str, curves: Sequence[tuple[str, Floats, Floats]]) -> Band:
    """Average the curves of some runs over the range where all of them have values.

    The interval is Student's t over runs at each x: ``mean ± t(0.975, n - 1) s / √n``.

    Args:
        label: what they have in common.
        curves: ``(id of the run, x, y)``, each ``x`` ascending; curves are interpolated linearly.

    Raises:
        RequestError: there is none, or they have no range in common.
    """
    curves = [curve for curve in curves if len(curve[1])]
    if not curves:
        raise RequestError("None of these runs has such a curve.", "Choose another metric.")
    ids = tuple(run for run, _, _ in curves)
    if len(curves) == 1:
        return Band(label, ids, curves[0][1], curves[0][2], None, None)
    low, high = max(x[0] for _, x, _ in curves), min(x[-1] for _, x, _ in curves)
    if low > high:
        raise RequestError(f"The curves of {label!r} have no range in common.", "Draw them over another axis.")
    xs = curves[0][1]
    if not all(np.array_equal(xs, x) for _, x, _ in curves):
        xs = np.unique(np.concatenate([x[(x >= low) & (x <= high)] for _, x, _ in curves]))
        xs = xs if len(xs) <= GRID_POINTS else np.linspace(low, high, GRID_POINTS)
    values = np.stack([np.interp(xs, x, y) for _, x, y in curves])
    mean = values.mean(axis=0)
    half = t_quantile(len(curves) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(curves))
    return Band(label, ids, xs, mean, mean - half, mean + half)


def group_by_config(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Group runs whose settings are the same except for the seed and the name, in the order of their first run.

    Args:
        runs: in any order.

    Returns:
        ``[(label, runs)]``; the label is the id of the first run of the group.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_config(run), []).append(run)
    return [(group[0].id, group) for group in groups.values()]


def _config(run: Run) -> str:
    fields = {name: value for name, value in read_settings(run).items() if name not in IGNORED_FIELDS}
    return json.dumps(fields, sort_keys=True, default=str) if fields else run.id


def group_by_field(runs: Sequence[Run], field: str) -> list[tuple[str, list[Run]]]:
    """Group runs by the value of one field of their settings; the label names the value.

    Args:
        runs: in any order.
        field: its dotted name, such as ``training.learning_rate``.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(read_settings(run).get(field), default=str), []).append(run)
    short = field.rpartition(".")[2].replace("_", " ")
    return [(f"{short} = {value.strip(chr(34))}", group) for value, group in groups.items()]


def overlaid_curves(
    runs: Sequence[Run],
    name: str,
    x: str = "step",
    group_seeds: bool = True,
    weight: float = 0.0,
    by: str | None = None,
) -> list[Band]:
    """Return one metric of several runs for a plot: one band for each setting, or each run on its own.

    Args:
        runs: which; runs without the metric are left out.
        name: name of the metric.
        x: ``step``, ``epoch``, ``time`` (seconds) or ``tokens``.
        group_seeds: one band for runs of the same configuration, see :func:`group_by_config`.
        weight: smoothing weight, see :func:`smooth`.
        by: instead, one band for runs with the same value of this field.
    """
    if by:
        groups = group_by_field(runs, by)
    else:
        groups = group_by_config(runs) if group_seeds else [(run.id, [run]) for run in runs]
    # A mean is computed from finer curves.
    max_points = points_per_line(len(groups)) if len(groups) == len(runs) else MAX_POINTS
    bands = []
    for label, group in groups:
        curves = [
            (run.id, *plot_points(open_metrics(run), name, x, weight=weight, max_points=max_points)) for run in group
        ]
        if any(len(xs) for _, xs, _ in curves):
            bands.append(mean_band(label, curves))
    return bands


def points_per_line(lines: int) -> int:
    """Return how many points a line may have in a figure with this many lines."""
    return max(MIN_POINTS, min(MAX_POINTS, MAX_POINTS_PER_FIGURE // max(1, lines)))


def plot_points(
    metrics: MetricStore, name: str, x: str = "step", low: float | None = None, high: float | None = None,
    weight: float = 0.0, max_points: int = MAX_POINTS,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Return one metric for a plot: smoothed and thinned.

    Of a long curve, stored segments (:mod:`workbench.runs.series.pyramid`) are read instead of all points: every
    extreme is kept, and smoothing works on the means of the segments.

    Args:
        metrics: metrics of a run.
        name: name of the metric.
        x: the axis.
        low: smallest x; None for no limit.
        high: largest x; None for no limit.
        weight: smoothing weight, see :func:`smooth`.
        max_points: maximum number of points in the result.
    """
    trace = metrics.trace(name, x)
    first, last = trace.between(low, high)
    if not weight:
        return thin(*trace.outline(first, last), max_points)
    xs, means, sizes = trace.means(first, last)
    return thin(xs, smooth(means, weight, sizes), max_points)
