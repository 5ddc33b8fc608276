"""What should worry somebody who watches a run: told with the step, the figures and what to do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

import numpy as np

from workbench.runs.metric_store import MetricStore, open_metrics
from workbench.runs.pyramid import Floats, Trace
from workbench.runs.run import Run

Kind = Literal["non-finite", "rising", "over-fitting", "plateau", "silent"]
MAX_POINTS = 200_000  # points that a rule looks at, however long the run is: what was long before worries nobody
MIN_WORSE_EVALUATIONS = 3  # after the best one, until over-fitting is spoken of
MIN_RISE = 0.1  # of the loss's own fall or size, below which nothing is said
MIN_STANDARD_ERRORS = 4.0  # standard errors that a rise must have
SILENT_SECONDS, SILENT_TIMES = 60.0, 10.0  # no line for so long, and for so many usual intervals


@dataclass(frozen=True)
class Alert:
    """Something about a run that somebody should know.

    Args:
        kind: which of the rules.
        severity: ``error`` spoils the result, ``warning`` may.
        message: what was seen, with figures.
        hint: what to do.
        step: where; None when it has no place.
    """

    kind: Kind
    severity: Literal["error", "warning"]
    message: str
    hint: str
    step: int | None = None


def find_alerts(run: Run, now: float | None = None) -> list[Alert]:
    """Everything that is worrying about a run at this moment, the worst first.

    Args:
        run: which.
        now: seconds since the epoch; the clock's if left out.
    """
    found = open_metrics(run)
    seen = [_not_finite(found), _rising(found), _over_fitting(found)]
    if run.state == "running":
        seen += [_plateau(found), _silent(run, found, time.time() if now is None else now)]
    return sorted((alert for alert in seen if alert), key=lambda alert: alert.severity != "error")


def _not_finite(found: MetricStore) -> Alert | None:
    for name in ("train/loss", "eval/loss", "train/gradient_norm"):
        if name not in found.broken:
            continue
        count, last = found.broken[name]
        step = None if last is None else int(last)
        where = "" if step is None else f", last at step {step:,}"
        what = "value was" if count == 1 else "values were"
        if name == "train/gradient_norm":  # half precision skips such a step and goes on
            return Alert(
                "non-finite",
                "warning",
                f"{count:,} {what} not finite in {name}{where}.",
                "Now and then is normal in half precision; if it goes on: training.precision: fp32.",
                step,
            )
        return Alert(
            "non-finite",
            "error",
            f"{count:,} {what} not finite (NaN or infinite) in {name}{where}.",
            "Lower training.learning_rate, lengthen training.warmup_ratio, or set training.max_grad_norm: 1.0.",
            step,
        )
    return None


def _rising(found: MetricStore) -> Alert | None:
    """The training loss: the mean of its last tenth against the best tenth before, with the noise of both."""
    xs, ys = _last(found, "train/loss")
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
    return Alert(
        "rising",
        "warning",
        f"The training loss rises: {means[-1]:.3g} on average over the last {size:,} figures, "
        f"after {means[best]:.3g} around step {step:,}.",
        "Stop, and begin again with a smaller training.learning_rate or a longer training.warmup_ratio.",
        step,
    )


def _over_fitting(found: MetricStore) -> Alert | None:
    """The validation loss has risen for several evaluations while the training loss went on falling."""
    xs, ys = _last(found, "eval/loss")
    if len(ys) <= MIN_WORSE_EVALUATIONS:
        return None
    best = int(np.argmin(ys))
    after = ys[best + 1 :]
    if len(after) < MIN_WORSE_EVALUATIONS or ys[-1] - ys[best] < 0.05 * abs(ys[best]) or not (after > ys[best]).all():
        return None
    before, since = _around(found.trace("train/loss"), float(xs[best]))
    if not len(since) or not len(before) or float(np.mean(since)) >= float(np.mean(before)):
        return None
    step = int(xs[best])
    return Alert(
        "over-fitting",
        "warning",
        f"The validation loss was best at step {step:,} ({ys[best]:.3g}) and is {ys[-1]:.3g} now, while the training "
        "loss falls: the model learns the training examples by heart.",
        "Stop: the best checkpoint is kept (training.load_best). Then fewer epochs, training.early_stopping_patience, "
        "or more data.",
        step,
    )


def _last(found: MetricStore, name: str) -> tuple[Floats, Floats]:
    """The last ``MANY`` points of a metric."""
    trace = found.trace(name)
    xs, ys = trace.points(max(0, len(trace) - MAX_POINTS))
    return xs, np.asarray(ys)


def _around(trained: Trace, place: float) -> tuple[Floats, Floats]:
    """The last tenth of the figures before ``place``, and as many of the last ones of all after it."""
    end = trained.count_until(place)
    length = min(MAX_POINTS, max(1, end // 10))
    _, before = trained.points(max(0, end - length), end)
    _, since = trained.points(max(end, len(trained) - len(before)))
    return before, since


def _plateau(found: MetricStore) -> Alert | None:
    """The last half of many evaluations brought nothing better."""
    xs, ys = _last(found, "eval/loss")
    half = len(ys) // 2
    if len(ys) < 10 or ys[half:].min() < ys[:half].min() - 1e-3 * abs(ys[:half].min()):
        return None
    best = int(xs[int(np.argmin(ys))])
    return Alert(
        "plateau",
        "warning",
        f"No progress for long: the validation loss has not improved in the last {len(ys) - half} of {len(ys)} "
        f"evaluations; the best was at step {best:,}.",
        "Stop it, and set training.early_stopping_patience for the next run.",
        best,
    )


def _silent(run: Run, found: MetricStore, now: float) -> Alert | None:
    """No line of metrics for much longer than usual, though the process lives and trains."""
    if (progress := run.status().progress) is None or progress.phase != "training":
        return None
    try:
        since = now - run.metrics_file.stat().st_mtime
    except OSError:
        return None
    times = found.axes["time"][-200:]
    usual = float(np.nanmedian(np.diff(times))) if len(times) > 2 else 0.0
    if since < max(SILENT_SECONDS, SILENT_TIMES * usual):
        return None
    return Alert(
        "silent",
        "warning",
        f"No progress for long: nothing was written for {since / 60:.0f} min, where a line comes each {usual:.2g} s.",
        "Look at the log and at the machine's memory. If it hangs, stop the run and resume it from its checkpoint.",
    )
