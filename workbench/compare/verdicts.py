"""Verdicts of a comparison in words, for people who do not know p-values, and how much more data would be needed.

A difference is claimed where its 95% interval excludes zero and the p-value, corrected where several things are
compared, is below 0.05. Otherwise the sentence says that none can be claimed, and what would be enough to show a
difference of the observed size: 80% power at the 5% level. The observed size is itself uncertain, so the number is a
guide and not a promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from workbench.i18n import _
from workbench.metrics import measures

ALPHA = 0.05
POWER = 0.8
NEVER = 10**12  # examples, when no number of them would be enough
_MAX_SHOWN = 1_000_000  # a larger number of examples is not written out


@dataclass(frozen=True)
class MetricFormat:
    """The format of one metric's values: shares in points (hundredths), others as they are."""

    metric: str

    @property
    def larger_is_better(self) -> bool:
        return self.metric not in measures.SMALLER_IS_BETTER

    @property
    def unit(self) -> str:
        text = _("points of {metric}") if self.larger_is_better else _("in {metric}")
        return text.format(metric=_(self.metric.replace("_", " ")))

    def format(self, value: float, sign: str = "") -> str:
        """Return a value as text.

        Args:
            value: the metric, or a difference of it.
            sign: ``+`` to show the sign of positive values.
        """
        return format(100 * value, f"{sign}.1f") if self.larger_is_better else format(value, f"{sign}.4g")


def verdict(
    metric: str,
    names: tuple[str, str],
    values: tuple[float, float],
    interval: tuple[float, float],
    p_value: float,
    test: str,
    advice: str,
    over_seeds: bool = False,
) -> str:
    """Return one sentence about two runs, or about two groups of them.

    Args:
        metric: what was compared.
        names: names of the two.
        values: the metric of each.
        interval: 95%, of the first value minus the second.
        p_value: p-value of the test, corrected.
        test: its name.
        advice: what would be needed to show a difference of this size.
        over_seeds: whether the interval is over seeds, not over the test examples.
    """
    style, (low, high) = MetricFormat(metric), interval
    excludes_zero = low > 0 or high < 0
    if excludes_zero and p_value < ALPHA:
        return _claim(style, names, values, interval, over_seeds)
    if excludes_zero and over_seeds:
        sentence = _(
            "No difference can be claimed: {first} minus {second} is {difference} {unit} on average, the 95% interval "
            "over seeds {low} to {high} excludes zero, but p = {p_value:.2f} ({test}); {advice}."
        )
    elif excludes_zero:
        sentence = _(
            "No difference can be claimed: {first} minus {second} is {difference} {unit}, the 95% interval {low} to "
            "{high} excludes zero, but p = {p_value:.2f} ({test}); {advice}."
        )
    elif over_seeds:
        sentence = _(
            "No difference can be claimed: {first} minus {second} is {difference} {unit} on average, and the 95% "
            "interval over seeds {low} to {high} includes zero; {advice}."
        )
    else:
        sentence = _(
            "No difference can be claimed: {first} minus {second} is {difference} {unit}, and the 95% interval {low} "
            "to {high} includes zero; {advice}."
        )
    return sentence.format(
        first=names[0],
        second=names[1],
        difference=style.format(values[0] - values[1], "+"),
        unit=style.unit,
        low=style.format(low),
        high=style.format(high),
        p_value=p_value,
        test=test,
        advice=advice,
    )


def _claim(
    style: MetricFormat,
    names: tuple[str, str],
    values: tuple[float, float],
    interval: tuple[float, float],
    over_seeds: bool,
) -> str:
    """Return the sentence that one of two is better."""
    ranked = sorted(zip(names, values, strict=True), key=lambda one: -one[1] if style.larger_is_better else one[1])
    (better, best), (worse, other) = ranked
    smallest, largest = sorted(map(abs, interval))
    if over_seeds:
        sentence = _(
            "{better} is better than {worse} by {difference} {unit} on average ({best} against {other}); the 95% "
            "interval over seeds {low} to {high} excludes zero."
        )
    else:
        sentence = _(
            "{better} is better than {worse} by {difference} {unit} ({best} against {other}); the 95% interval {low} "
            "to {high} excludes zero."
        )
    return sentence.format(
        better=better,
        worse=worse,
        difference=style.format(abs(best - other)),
        unit=style.unit,
        best=style.format(best),
        other=style.format(other),
        low=style.format(smallest),
        high=style.format(largest),
    )


def corrected(test: str, comparisons: int) -> str:
    """Return the name of a test with Holm's correction, if there is any.

    Args:
        test: the name.
        comparisons: made at once.
    """
    if comparisons == 1:
        return test
    return _("{test}, Holm-corrected for {n} comparisons").format(test=test, n=comparisons)


def more_examples_advice(difference: float, interval: tuple[float, float], examples: int, comparisons: int = 1) -> str:
    """Return how many more test examples would be needed, in words.

    Args:
        difference: that was observed.
        interval: its 95% interval.
        examples: on which it was observed.
        comparisons: made at once.
    """
    if difference == 0:
        return _("on these examples they are equal")
    more = examples_needed(difference, *interval, examples, comparisons) - examples
    if more > _MAX_SHOWN:
        return _("more than a million further test examples would be needed to show a difference this small")
    text = _("about {n:,} more test examples would be needed to show a difference of this size")
    return text.format(n=round_up(max(more, 10)))


def examples_needed(difference: float, low: float, high: float, examples: int, comparisons: int = 1) -> int:
    """Estimate the number of test examples that show a difference of this size with 80% power at the 5% level.

    The width of the interval is inversely proportional to the square root of the number of examples.

    Args:
        difference: that was observed.
        low: lower end of its 95% interval.
        high: upper end.
        examples: on which it was observed.
        comparisons: made at once; the level is divided by their number, the hardest step of Holm's method.
    """
    if difference == 0:
        return NEVER
    error = (high - low) / (2 * z_two_sided(ALPHA))
    required = z_two_sided(ALPHA / max(1, comparisons)) + NormalDist().inv_cdf(POWER)
    return min(NEVER, math.ceil(examples * (required * error / abs(difference)) ** 2))


def z_two_sided(alpha: float) -> float:
    """Return the number of standard errors that a normal variable exceeds with probability ``alpha``: 1.96 for 0.05."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def round_up(number: int) -> int:
    """Round a number up to two significant digits."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / unit) * unit
