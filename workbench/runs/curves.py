"""Curves as they are drawn: thinned, smoothed, and several seeds as one with its interval. Numpy in, numpy out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.errors import MissingPackageError, RequestError
from workbench.metrics.statistics import t_quantile
from workbench.runs.metric_store import MetricStore, open_metrics
from workbench.runs.pyramid import Floats, Ints
from workbench.runs.run import Run
from workbench.runs.settings import read_settings

MAX_POINTS = 1000  # of one line that is drawn; more cannot be seen
MAX_POINTS_PER_FIGURE = 15_000  # of all lines of one figure: what a browser draws in half a second
MIN_POINTS = 200  # of one line, however many there are
GRID_POINTS = 400  # points of a mean over runs that did not log at the same places


def thin(x: Floats, y: Floats, max_points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """At most ``max_points`` of the points, such that the drawn line looks the same and every extreme stays.

    MinMaxLTTB: of each segment the lowest and the highest are kept as candidates, and among these those that span
    the largest triangles (Van Der Donckt and others, "MinMaxLTTB", IEEE VIS 2023; Steinarsson 2013). The lowest and
    the highest of all points are kept whatever the triangles say.

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
    downsampler: Any = MinMaxLTTBDownsampler
    kept = downsampler().downsample(x, y, n_out=max_points - 2)
    kept = np.union1d(kept, [int(np.argmin(y)), int(np.argmax(y))]).astype(np.int64)
    return x[kept], y[kept]


def smooth(y: Floats, weight: float, sizes: Ints | None = None) -> Floats:
    """An exponential moving average that is not drawn towards zero at its beginning.

    Args:
        y: values at even distances, or the means of so many each as ``sizes`` says.
        weight: of what was before, from 0 (``y`` itself) to below 1; of the mean of ``s`` values ``weight ** s``, so
            that the average reaches back equally far.
    """
    if not 0 <= weight < 1:
        raise RequestError(f"The weight of smoothing is {weight}.", "It lies from 0 (none) to below 1: 0.6, 0.9.")
    if not weight or not len(y):
        return np.asarray(y, dtype=np.float64)
    if sizes is not None and (sizes > 1).any():
        return _smooth_means(y, weight, sizes)
    # m_i = weight m_(i-1) + (1 - weight) y_i, over the sum of the weights; in blocks, so that no power underflows.
    length = max(1, min(len(y), int(-200 / np.log(weight)) if weight else 1))
    powers = weight ** np.arange(1, length + 1)
    carried, out = 0.0, np.empty(len(y))
    for start in range(0, len(y), length):
        part = np.asarray(y[start : start + length], dtype=np.float64)
        p = powers[: len(part)]
        out[start : start + length] = p * carried + (1 - weight) * p * np.cumsum(part / p)
        carried = float(out[start + len(part) - 1])
    return np.asarray(out / (1 - weight ** np.minimum(np.arange(1, len(y) + 1), 1e6)))


def _smooth_means(y: Floats, weight: float, sizes: Ints) -> Floats:
    before = weight ** sizes.astype(np.float64)
    average, out = 0.0, []
    for share, new in zip(before.tolist(), ((1 - before) * y).tolist(), strict=True):
        average = share * average + new
        out.append(average)
    return np.asarray(np.array(out) / (1 - weight ** np.cumsum(sizes).astype(np.float64)))


@dataclass(frozen=True)
class Band:
    """The curve of a group of runs: their mean, and its 95% interval where there are two and more.

    Args:
        label: what the runs share.
        runs: their ids.
        x, mean: of equal length.
        low, high: the interval; None for a single run.
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


def mean_band(label: str, traces: Sequence[tuple[str, Floats, Floats]]) -> Band:
    """The mean of some runs' curves, over the segment where every one of them has values.

    The interval is Student's t over runs, place by place: ``mean ± t(0.975, n - 1) s / √n``.

    Args:
        label: what they share.
        traces: ``(run's id, x, y)``, each ``x`` rising; between its points a curve is taken as straight.

    Raises:
        RequestError: there is none, or they have no segment in common.
    """
    traces = [trace for trace in traces if len(trace[1])]
    if not traces:
        raise RequestError("None of these runs has such a curve.", "Choose another metric.")
    ids = tuple(run for run, _, _ in traces)
    if len(traces) == 1:
        return Band(label, ids, traces[0][1], traces[0][2], None, None)
    low, high = max(x[0] for _, x, _ in traces), min(x[-1] for _, x, _ in traces)
    if low > high:
        raise RequestError(f"The runs of {label!r} have no segment in common.", "Draw them over another axis.")
    xs = traces[0][1]
    if not all(np.array_equal(xs, x) for _, x, _ in traces):
        xs = np.unique(np.concatenate([x[(x >= low) & (x <= high)] for _, x, _ in traces]))
        xs = xs if len(xs) <= GRID_POINTS else np.linspace(low, high, GRID_POINTS)
    values = np.stack([np.interp(xs, x, y) for _, x, y in traces])
    mean = values.mean(axis=0)
    half = t_quantile(len(traces) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(traces))
    return Band(label, ids, xs, mean, mean - half, mean + half)


def group_by_config(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Runs whose settings are the same but for the seed and the name, together; in the order of their first.

    Returns:
        ``[(label, runs)]``; the label is the id of the first of them.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(_settings_without_seed(run), []).append(run)
    return [(group[0].id, group) for group in groups.values()]


def _settings_without_seed(run: Run) -> str:
    fields = {name: value for name, value in read_settings(run).items() if name not in IGNORED_FIELDS}
    return json.dumps(fields, sort_keys=True, default=str) if fields else run.id


def group_by_field(runs: Sequence[Run], field: str) -> list[tuple[str, list[Run]]]:
    """Group runs by the value of one field of their settings; the label names the value.

    Args:
        runs: which.
        field: its dotted name, such as ``training.learning_rate``.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(read_settings(run).get(field), default=str), []).append(run)
    short = field.rpartition(".")[2].replace("_", " ")
    return [(f"{short} = {value.strip(chr(34))}", group) for value, group in groups.items()]


IGNORED_FIELDS = (
    "training.seed",
    "data.seed",
    "name",
    "notes",
    "schema_version",
)  # runs may differ in these and still be alike


def overlaid_curves(
    runs: Sequence[Run],
    name: str,
    x: str = "step",
    group_seeds: bool = True,
    weight: float = 0.0,
    by: str | None = None,
) -> list[Band]:
    """One metric of several runs, ready to be drawn: seeds of one setting as one band, or each run by itself.

    Args:
        runs: which; those without the metric are left out.
        name: of the metric.
        x: ``step``, ``epoch``, ``time`` (seconds) or ``tokens``.
        group_seeds: one band for the runs that are :func:`group_by_config`.
        weight: of smoothing, see :func:`smooth`.
        by: one band instead for the runs with the same value of this field of their settings.
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
    """How many points a line may have in a figure of so many lines."""
    return max(MIN_POINTS, min(MAX_POINTS, MAX_POINTS_PER_FIGURE // max(1, lines)))


def plot_points(
    found: MetricStore, name: str, x: str = "step", low: float | None = None, high: float | None = None,
    weight: float = 0.0, max_points: int = MAX_POINTS,
) -> tuple[Floats, Floats]:  # fmt: skip
    """One metric as it is drawn: the part between ``low`` and ``high``, smoothed, and thinned to ``max_points`` points.

    Of a long curve that has segments (:mod:`workbench.runs.pyramid`) these are read instead of all points: every
    extreme
    stays, and what is smoothed are the means of the segments.
    """
    trace = found.trace(name, x)
    part = trace.between(low, high)
    if not weight:
        return thin(*trace.outline(*part), max_points)
    xs, means, sizes = trace.means(*part)
    return thin(xs, smooth(means, weight, sizes), max_points)
