"""Whether the result of a run is good enough to use, by a rule that is the same for every task.

A run is ``ready`` if all of this holds:

1. It was tested on at least ``MIN_EXAMPLES`` examples.
2. It is better than its baseline, and the whole 95% interval of the improvement says so. Where the report has no such
   interval, the interval of the metric must exclude the baseline.
3. It was tested on a test split, and not on the validation split that chose its weights.
4. Training did not run out of time.
5. There are no warnings: a warning names what makes results wrong or misleading.

If 1 fails, or the improvement is above zero but not its whole interval, there is ``too little data`` to tell, unless
``MANY_EXAMPLES`` or more were tested: then the improvement is small. Anything else is ``not yet``. The first rule that
fails decides, and all that fail are listed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from workbench.i18n import N_, _
from workbench.metrics.measures import SMALLER_IS_BETTER
from workbench.notes import OUT_OF_TIME, matches
from workbench.runs.documents import Interval, Report

MIN_EXAMPLES = 100  # of which a proportion's 95% interval is up to 20 points wide
MANY_EXAMPLES = 1000  # of which it is up to 6 points wide
PROPORTIONS = ("accuracy", "exact_match")  # metrics that count examples

Level = Literal["ready", "not yet", "too little data"]
LEVELS: dict[Level, str] = {
    "ready": N_("Ready to use"),
    "not yet": N_("Not ready yet"),
    "too little data": N_("Too little data to tell"),
}


@dataclass(frozen=True)
class Finding:
    """A rule that a run does not meet.

    Attributes:
        level: what follows from it.
        reason: why, as a sentence.
        advice: what to do, as a sentence.
    """

    level: Level
    reason: str
    advice: str


@dataclass(frozen=True)
class Assessment:
    """Whether a result is good enough to use.

    Attributes:
        level: the level of the first finding; ``ready`` without any.
        findings: the rules that the run does not meet, in their order.
        remark: what may improve the result; empty if nothing is known.
    """

    level: Level
    findings: tuple[Finding, ...]
    remark: str = ""

    @property
    def title(self) -> str:
        """The level in words, translated."""
        return _(LEVELS[self.level])


def assess(report: Report) -> Assessment | None:
    """Judge the result of a run; None if it has no metric or no baseline.

    Args:
        report: report of the run.
    """
    metric, name = report.primary, report.primary_metric
    if metric is None or metric.value is None or name is None or report.baseline.get(name) is None:
        return None
    findings = [_few_examples(report), _baseline(report, name, metric), *_split(report), *_ending(report)]
    failed = tuple(finding for finding in [*findings, _warnings(report)] if finding is not None)
    level = failed[0].level if failed else "ready"
    return Assessment(level, failed, _remark(report))


def tested_examples(report: Report) -> int | None:
    """Return the number of examples that the metrics are computed on; None if it is not known.

    Args:
        report: report of the run.
    """
    return report.examples.get(report.evaluated_on or "test")


def improvement(report: Report, name: str) -> Interval:
    """Return how much better than the baseline a run is; positive is better. Without an interval if it has none.

    Args:
        report: report of the run.
        name: name of the metric.
    """
    if name in report.gain and report.gain[name].value is not None:
        return report.gain[name]
    metric, baseline = report.metrics[name], report.baseline[name]
    assert baseline is not None
    ends = [None if end is None else float(end) - float(baseline) for end in (metric.value, metric.low, metric.high)]
    if smaller_is_better(report, name):
        ends = [None if end is None else -end for end in (ends[0], ends[2], ends[1])]
    return Interval(value=ends[0], low=ends[1], high=ends[2])


def smaller_is_better(report: Report, name: str) -> bool:
    """Return whether smaller values of a metric are better.

    Args:
        report: report of the run.
        name: name of the metric.
    """
    if name == report.primary_metric and report.smaller_is_better is not None:
        return report.smaller_is_better
    return name in SMALLER_IS_BETTER


def _few_examples(report: Report) -> Finding | None:
    count = tested_examples(report)
    if count is None or count >= MIN_EXAMPLES:
        return None
    return Finding(
        "too little data",
        _("It was tested on {n} examples only, so its score may be far from the truth.").format(n=f"{count:,}"),
        _("Test it on at least {n} labelled examples.").format(n=MIN_EXAMPLES),
    )


def _baseline(report: Report, name: str, metric: Interval) -> Finding | None:
    gain, count = improvement(report, name), tested_examples(report) or 0
    value = float(gain.value or 0.0)
    if value <= 0:
        return Finding(
            "not yet",
            _("It is no better than the simple baseline."),
            _("Train longer, choose another model, or collect more examples."),
        )
    if gain.low is None or gain.low > 0:
        return None
    if count >= MANY_EXAMPLES:
        return Finding(
            "not yet",
            _("It is hardly better than the simple baseline: chance alone could explain the difference."),
            _("Train longer, choose another model, or collect more training examples."),
        )
    advice = _("Test it on more labelled examples.")
    if count and gain.high is not None:
        needed = _two_digits(count * ((float(gain.high) - float(gain.low)) / 2 / value) ** 2)
        advice = _("Test it on more labelled examples: about {n} would show a difference of this size.")
        advice = advice.format(n=f"{needed:,}")
    return Finding(
        "too little data",
        _("It is better than the simple baseline on these examples, but chance alone could explain that."),
        advice,
    )


def _two_digits(value: float) -> int:
    """Round up to two significant digits: an estimate is not more precise."""
    unit = int(10 ** max(0, math.floor(math.log10(max(value, 1))) - 1))
    return math.ceil(value / unit) * unit


def _split(report: Report) -> list[Finding]:
    if report.evaluated_on != "valid":
        return []
    return [
        Finding(
            "not yet",
            _("There are no test examples. The score is too optimistic: the same examples chose the weights."),
            _("Add test examples that the training does not see."),
        )
    ]


def _ending(report: Report) -> list[Finding]:
    if not any(matches(OUT_OF_TIME, note) for note in report.notes):
        return []
    return [
        Finding("not yet", _("Training stopped before its last step: its time was over."), _("Allow more minutes."))
    ]


def _warnings(report: Report) -> Finding | None:
    if not report.warnings:
        return None
    return Finding(
        "not yet",
        _("There is a warning that may make the score misleading. Read it below."),
        _("Fix the data, and train again."),
    )


def _remark(report: Report) -> str:
    if report.steps and report.best_step == report.steps:
        return _("The last evaluation was the best: more epochs may help.")
    return ""
