"""Alerts about a run: what is wrong, at which step, with the numbers, and what to do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.i18n import _, ngettext
from workbench.runs.run import Run
from workbench.runs.series.metric_store import MetricStore, open_metrics
from workbench.runs.series.pyramid import Trace
from workbench.types import Floats

Kind = Literal["non-finite", "rising", "over-fitting", "plateau", "silent"]
MAX_POINTS = 200_000  # that a rule looks at, however long the run is: the distant past is no cause for alarm
MIN_WORSE_EVALUATIONS = 3  # after the best one, before an alert about over-fitting
MIN_RISE = 0.1  # of the loss's own fall or size, below which there is no alert
MIN_STANDARD_ERRORS = 4.0  # of a rise
SILENT_SECONDS, SILENT_TIMES = 60.0, 10.0  # without a line, and in multiples of the usual interval


@dataclass(frozen=True)
class Alert:
    """Something about a run that needs attention.

    Attributes:
        kind: which of the rules.
        severity: an ``error`` spoils the result, a ``warning`` may.
        message: what was observed, with numbers.
        hint: what to do.
        step: where; None when it is not at one step.
    """

    kind: Kind
    severity: Literal["error", "warning"]
    message: str
    hint: str
    step: int | None = None


def find_alerts(run: Run, now: float | None = None) -> list[Alert]:
    """Return the alerts about a run at this moment, errors first.

    Args:
        run: which.
        now: seconds since the epoch; the clock's by default.
    """
    metrics = open_metrics(run)
    alerts = [_non_finite(metrics), _rising(metrics), _over_fitting(metrics)]
    if run.state == "running":
        alerts += [_plateau(metrics), _silent(run, metrics, time.time() if now is None else now)]
    return sorted((alert for alert in alerts if alert), key=lambda alert: alert.severity != "error")


def _non_finite(metrics: MetricStore) -> Alert | None:
    for name in ("train/loss", "eval/loss", "train/gradient_norm"):
        if name not in metrics.broken:
            continue
        count, last = metrics.broken[name]
        step = None if last is None else int(last)
        where = name if step is None else _("{metric}, last at step {step:,}").format(metric=name, step=step)
        if name == "train/gradient_norm":  # half precision skips such a step and continues
            text = ngettext("{n:,} value was not finite in {where}.", "{n:,} values were not finite in {where}.", count)
            return Alert(
                "non-finite",
                "warning",
                text.format(n=count, where=where),
                _("This is normal now and then in half precision. If it continues, set training.precision: fp32."),
                step,
            )
        text = ngettext(
            "{n:,} value was not finite (NaN or infinite) in {where}.",
            "{n:,} values were not finite (NaN or infinite) in {where}.",
            count,
        )
        return Alert(
            "non-finite",
            "error",
            text.format(n=count, where=where),
            _("Lower training.learning_rate, raise training.warmup_ratio, or set training.max_grad_norm: 1.0."),
            step,
        )
    return None


def _rising(metrics: MetricStore) -> Alert | None:
    """Compare the mean training loss of the last tenth with the best tenth before, given the noise of both."""
    xs, ys = _last(metrics, "train/loss")
    size = max(10, len(ys) // 10)
    count = len(ys) // size
    if count < 3:
        return None
    blocks = np.asarray(ys[len(ys) - count * size :]).reshape(count, size)
    means, errors = blocks.mean(axis=1), blocks.std(axis=1, ddof=1) / np.sqrt(size)
    best = int(means[:-1].argmin())
    rise, noise = means[-1] - means[best], float(np.hypot(errors[-1], errors[best]))
    fall = means[0] - means[best]
    if rise <= MIN_STANDARD_ERRORS * noise or rise <= MIN_RISE * max(fall, abs(means[best])):
        return None
    step = int(xs[len(ys) - (count - best) * size + size - 1])
    text = _(
        "The training loss is rising: {now:.3g} on average over the last {n:,} values, after {best:.3g} around step "
        "{step:,}."
    )
    return Alert(
        "rising",
        "warning",
        text.format(now=means[-1], n=size, best=means[best], step=step),
        _("Stop the run, and start again with a smaller training.learning_rate or a larger training.warmup_ratio."),
        step,
    )


def _over_fitting(metrics: MetricStore) -> Alert | None:
    """Check whether the validation loss has risen for several evaluations while the training loss kept falling."""
    xs, ys = _last(metrics, "eval/loss")
    if len(ys) <= MIN_WORSE_EVALUATIONS:
        return None
    best = int(np.argmin(ys))
    after = ys[best + 1 :]
    rise = ys[-1] - ys[best]
    if len(after) < MIN_WORSE_EVALUATIONS or rise < 0.05 * abs(ys[best]) or not (after > ys[best]).all():
        return None
    before, since = _around(metrics.trace("train/loss"), float(xs[best]))
    if not len(since) or not len(before) or float(np.mean(since)) >= float(np.mean(before)):
        return None
    step = int(xs[best])
    text = _(
        "The validation loss was best at step {step:,} ({best:.3g}) and is {now:.3g} now, while the training loss "
        "falls: the model memorizes the training examples."
    )
    return Alert(
        "over-fitting",
        "warning",
        text.format(step=step, best=ys[best], now=ys[-1]),
        _(
            "Stop the run: the best checkpoint is kept (training.load_best). Then use fewer epochs, "
            "training.early_stopping_patience, or more data."
        ),
        step,
    )


def _last(metrics: MetricStore, name: str) -> tuple[Floats, Floats]:
    """Return the last ``MAX_POINTS`` points of a metric."""
    trace = metrics.trace(name)
    xs, ys = trace.points(max(0, len(trace) - MAX_POINTS))
    return xs, np.asarray(ys)


def _around(trace: Trace, step: float) -> tuple[Floats, Floats]:
    """Return the last tenth of the values before a step, and as many of the very last values after it."""
    end = trace.count_until(step)
    length = min(MAX_POINTS, max(1, end // 10))
    before = trace.points(max(0, end - length), end)[1]
    since = trace.points(max(end, len(trace) - len(before)))[1]
    return before, since


def _plateau(metrics: MetricStore) -> Alert | None:
    """Check whether the second half of many evaluations has brought no improvement."""
    xs, ys = _last(metrics, "eval/loss")
    half = len(ys) // 2
    if len(ys) < 10 or ys[half:].min() < ys[:half].min() - 1e-3 * abs(ys[:half].min()):
        return None
    best = int(xs[int(np.argmin(ys))])
    text = _(
        "No recent progress: the validation loss has not improved in the last {n} of {total} evaluations; the best "
        "was at step {step:,}."
    )
    return Alert(
        "plateau",
        "warning",
        text.format(n=len(ys) - half, total=len(ys), step=best),
        _("Stop the run, and set training.early_stopping_patience for the next one."),
        best,
    )


def _silent(run: Run, metrics: MetricStore, now: float) -> Alert | None:
    """Check whether a running training has written no line for much longer than usual."""
    progress = run.status().progress
    if progress is None or progress.phase != "training":
        return None
    try:
        since = now - run.metrics_file.stat().st_mtime
    except OSError:
        return None
    times = metrics.axes["time"][-200:]
    usual = float(np.nanmedian(np.diff(times))) if len(times) > 2 else 0.0
    if since < max(SILENT_SECONDS, SILENT_TIMES * usual):
        return None
    text = _(
        "No recent progress: nothing was written for {minutes:.0f} min, though a line is usually written every "
        "{seconds:.2g} s."
    )
    return Alert(
        "silent",
        "warning",
        text.format(minutes=since / 60, seconds=usual),
        _("Check the log and the machine's memory. If the run hangs, stop it and resume it from its checkpoint."),
    )
