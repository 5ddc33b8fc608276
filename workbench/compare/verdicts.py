"""What a comparison says in words, for somebody who has never heard of a p-value, and how much more data it would need.

A difference is claimed where its 95% interval leaves out zero and the p-value, corrected where several things are
compared, is below 0.05. Otherwise the sentence says that none can be claimed, and what would be enough to show one of
the size that was seen: 80% power at 5%. What was seen is itself uncertain, so that is a guide and no promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from workbench.metrics import measures

ALPHA = 0.05
POWER = 0.8
NEVER = 10**12  # what stands for "never"
_TOLD = 1_000_000  # more than this many are not told as a number


@dataclass(frozen=True)
class MetricFormat:
    """How the values of one metric are told: shares in points (hundredths), the others as they are."""

    metric: str

    @property
    def larger_is_better(self) -> bool:
        return self.metric not in measures.SMALLER_IS_BETTER

    @property
    def unit(self) -> str:
        return ("points of " if self.larger_is_better else "in ") + self.metric.replace("_", " ")

    def told(self, value: float, sign: str = "") -> str:
        return format(100 * value, f"{sign}.1f") if self.larger_is_better else format(value, f"{sign}.4g")


def verdict(
    metric: str,
    names: tuple[str, str],
    values: tuple[float, float],
    interval: tuple[float, float],
    p_value: float,
    test: str,
    advice: str,
    over: str = "",
) -> str:
    """One sentence on two runs, or on two groups of them.

    Args:
        metric: what was compared.
        names: what to call the two.
        values: the metric of each.
        interval: 95%, of the first's value minus the second's.
        p_value: of the test, corrected.
        test: its name.
        advice: what would be needed to show a difference of this size.
        over: what the interval is over, where that is not the test examples: `` over seeds``.
    """
    scale = MetricFormat(metric)
    told, unit, (low, high) = scale.told, scale.unit, interval
    outside = low > 0 or high < 0
    mean = " on average" if over else ""
    if outside and p_value < ALPHA:
        ranked = sorted(zip(names, values, strict=True), key=lambda one: -one[1] if scale.larger_is_better else one[1])
        (better, best), (worse, other) = ranked
        low_end, high_end = sorted((abs(low), abs(high)))
        return (
            f"{better} is better than {worse} by {told(abs(best - other))} {unit}{mean} ({told(best)} against "
            f"{told(other)}); the 95% interval{over} {told(low_end)} to {told(high_end)} leaves out zero."
        )
    which = f"{names[0]} minus {names[1]} is {told(values[0] - values[1], '+')} {unit}{mean}"
    between = f"the 95% interval{over} {told(low)} to {told(high)}"
    if outside:
        said = f"{which}, {between} leaves out zero, but {test} gives p = {p_value:.2f}"
    else:
        said = f"{which}, and {between} holds zero"
    return f"No difference can be claimed: {said}; {advice}."


def more_examples_advice(difference: float, interval: tuple[float, float], examples: int, comparisons: int = 1) -> str:
    """What is said of the test examples that would be needed."""
    if difference == 0:
        return "on these examples they are equal"
    more = examples_needed(difference, *interval, examples, comparisons) - examples
    if more > _TOLD:
        return "more than a million further test examples would be needed to show a difference this small"
    return f"about {round_up(max(more, 10)):,} more test examples would be needed to show a difference of this size"


def examples_needed(difference: float, low: float, high: float, examples: int, comparisons: int = 1) -> int:
    """Test examples with which a difference of this size would be shown in four cases of five.

    The interval's width goes with one over the square root of the number of examples; 5% two-sided, power 80%.

    Args:
        difference: that was seen.
        low, high: of its 95% interval.
        examples: on which it was seen.
        comparisons: made at once; each is then held to 5% divided by their number, the hardest step of Holm's method.
    """
    if difference == 0:
        return NEVER
    error = (high - low) / (2 * z_two_sided(ALPHA))
    wanted = z_two_sided(ALPHA / max(1, comparisons)) + NormalDist().inv_cdf(POWER)
    return min(NEVER, math.ceil(examples * (wanted * error / abs(difference)) ** 2))


def z_two_sided(alpha: float) -> float:
    """How many standard errors a normal variable leaves on either side with probability ``alpha``; 1.96 for 0.05."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def round_up(number: int) -> int:
    """``number`` to two significant digits, upwards."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return math.ceil(number / unit) * unit
