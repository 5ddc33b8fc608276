"""Whether one setting is better than another, over seeds: groups of runs that differ in their seed only.

Two runs that differ in their seed alone differ, too. Whether a *setting* is better is therefore asked of several runs
of each: Welch's t test (Welch 1947, Biometrika 34) for the difference of the means, with its interval, and beside it
the exact permutation test (Fisher 1935; every way to deal the values to the two groups is counted), which needs no
normal distribution. The runs, and not the test examples, are what is drawn: other examples might shift all of them.

A seed counts once. Runs that repeat one are the same run again, not new evidence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, takewhile
from typing import Any

import numpy as np

from workbench.compare import verdicts
from workbench.compare.differences import display_names, holm, metric_value, read_comparable
from workbench.compare.results import SeedComparison, SeedGroup, SeedGroupPair
from workbench.errors import MissingPackageError, RequestError
from workbench.metrics.statistics import t_quantile
from workbench.runs.curves import IGNORED_FIELDS, group_by_config
from workbench.runs.run import Run
from workbench.runs.settings import read_settings

MIN_SEEDS = 2  # seeds of a group
MAX_PERMUTATIONS = 200_000  # ways to deal the values that are counted one by one; more are drawn
SEED = 0
MAX_SEEDS = 1000  # a group; that more are needed is told without a number
MAX_NAME_FIELDS = 2  # that are told of a setting to set it apart
_SEED_ENDING = re.compile(r"[\W_]*\b_?(?:seeds?|s)?[\W_]*\d*$", re.IGNORECASE)
_TIME_AND_MARK = re.compile(r"^\d{8}-\d{6}-|-[0-9a-f]{4}$")
_SEEDS = tuple(name for name in IGNORED_FIELDS if name.endswith("seed"))


def has_seed_groups(runs: Sequence[Run]) -> bool:
    """Whether two settings among the runs have several seeds each, so that they can be compared over these."""
    return sum(len(_different_seeds(group)[0]) >= MIN_SEEDS for _, group in group_by_config(runs)) >= 2


def compare_seeds(runs: Sequence[Run], metric: str | None = None) -> SeedComparison:
    """Compare the setting of the first run with each other setting, over the seeds of each.

    Args:
        runs: of two settings or more, each with two seeds or more; in any order. A setting with one seed only is left
            out with a note.
        metric: as for :func:`workbench.compare.differences.compare`.

    Raises:
        RequestError: fewer than two settings have several seeds, or the runs were tested on different examples.
        UnknownNameError: no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    settings = [(group, *_different_seeds(group)) for _, group in group_by_config(runs)]
    kept = [(used, again) for _, used, again in settings if len(used) >= MIN_SEEDS]
    alone = [group[0] for group, used, _ in settings if len(used) < MIN_SEEDS]
    if len(kept) < 2:
        raise RequestError(
            f"For a comparison over seeds two settings with {MIN_SEEDS} seeds each are needed, and {len(kept)} of the "
            f"{len(settings)} settings has so many.",
            "Run each setting again with other values of training.seed; everything else must stay the same.",
        )
    chosen = [run for used, _ in kept for run in used]
    tables, metric, multi_label = read_comparable(chosen, metric)
    values = {table.run.id: metric_value(table, metric, multi_label) for table in tables}
    _refuse_infinite(values, metric)
    names = _group_names([used for used, _ in kept])
    groups = [_group(name, used, again, values) for name, (used, again) in zip(names, kept, strict=True)]
    pairs = _pairs(groups, metric)
    return SeedComparison(
        metric=metric,
        examples=len(tables[0].ids),
        groups=groups,
        pairs=pairs,
        verdict=" ".join(pair.verdict for pair in pairs),
        notes=_notes(groups, alone, pairs),
    )


# -- groups ----------------------------------------------------------------------------------------------------------


def _different_seeds(group: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs with a seed that no one before has, and those that repeat one."""
    seen: set[tuple[Any, ...]] = set()
    used: list[Run] = []
    again: list[Run] = []
    for run in group:
        fields = read_settings(run)
        seeds = tuple(fields.get(name) for name in _SEEDS)
        (again if seeds in seen else used).append(run)
        seen.add(seeds)
    return used, again


def _group_names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """What to call each setting: what its runs' names begin with; and what sets it apart where that is not enough."""
    stems = [_stem([run.status().title or _without_time(run) for run in group]) for group in groups]
    fields = [{k: v for k, v in read_settings(group[0]).items() if k not in IGNORED_FIELDS} for group in groups]
    names = []
    for stem, own in zip(stems, fields, strict=True):
        rivals = [other for name, other in zip(stems, fields, strict=True) if name == stem]
        apart = [name for name in own if any(other.get(name) != own[name] for other in rivals)]
        told = ", ".join(f"{name} = {own[name]}" for name in apart[:MAX_NAME_FIELDS])
        names.append(f"{stem} ({told})" if told else stem)
    unique = len(set(names)) == len(names) and all(names)
    return names if unique else [group[0].id for group in groups]


def _without_time(run: Run) -> str:
    """``minilm-rotten-tomatoes-lora`` of a run without a name: its id without when it was made and its last mark."""
    return _TIME_AND_MARK.sub("", run.id) or run.id


def _stem(titles: Sequence[str]) -> str:
    """What all titles begin with, without the seed's number: ``lora-s1`` and ``lora-s2`` are ``lora``."""
    if len(set(titles)) == 1:
        return titles[0]
    shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*titles, strict=False))
    return _SEED_ENDING.sub("", "".join(letters[0] for letters in shared))


def _group(name: str, used: Sequence[Run], again: Sequence[Run], values: dict[str, float]) -> SeedGroup:
    found = np.array([values[run.id] for run in used])
    mean, deviation = float(found.mean()), float(found.std(ddof=1))
    half = t_quantile(len(found) - 1) * deviation / math.sqrt(len(found))
    ids, repeated = [run.id for run in used], [run.id for run in again]
    return SeedGroup(
        name=name,
        runs=ids,
        values=found.tolist(),
        mean=mean,
        low=mean - half,
        high=mean + half,
        deviation=deviation,
        repeated=repeated,
    )


def _refuse_infinite(values: dict[str, float], metric: str) -> None:
    bad = [run_id for run_id, value in values.items() if not math.isfinite(value)]
    if bad:
        raise RequestError(
            f"The {metric.replace('_', ' ')} of {', '.join(bad)} is not a finite number: there is no mean over seeds.",
            "Look at the run's curves; leave it out only with a reason that has nothing to do with its result.",
        )


def _notes(groups: Sequence[SeedGroup], alone: Sequence[Run], pairs: Sequence[SeedGroupPair]) -> list[str]:
    notes = []
    if alone:
        notes.append(
            f"Left out, for they have one seed only: {', '.join(display_names(alone))}. "
            "How much a seed changes there is not known."
        )
    repeated = [run for group in groups for run in group.repeated]
    if repeated:
        notes.append(f"Left out, for another run has the same settings and seed: {', '.join(repeated)}.")
    if any(pair.least_permutation >= verdicts.ALPHA for pair in pairs):
        enough = next(n for n in range(2, 50) if len(pairs) * min_permutation_p(n, n) < verdicts.ALPHA)
        notes.append(
            "With so few seeds the permutation test cannot fall below 0.05 whatever the values are: the verdict rests "
            "on Welch's test, which takes the values over seeds as normally distributed. "
            f"With {enough} seeds each both would speak."
        )
    return notes


# -- tests -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WelchResult:
    """Welch's t test: the difference of two means, its 95% interval, and the two-sided p-value."""

    difference: float
    low: float
    high: float
    p_value: float


def welch(first: Sequence[float], second: Sequence[float]) -> WelchResult:
    """Whether two samples of two values and more have the same mean; their variances may differ.

    Where neither sample varies at all there is no scale to measure the difference by: p is then 1.

    Raises:
        ValueError: a sample has fewer than two values.
        MissingPackageError: scipy is not installed.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"Two values in each sample are needed, given {len(first)} and {len(second)}.")
    difference = float(np.mean(first) - np.mean(second))
    error, freedom = _error_and_freedom(first, second)
    if error == 0:
        return WelchResult(difference, difference, difference, 1.0)
    try:
        from scipy.special import stdtr
    except ImportError as problem:
        raise MissingPackageError("scipy", "to compare runs over seeds") from problem
    half = t_quantile(freedom) * error
    p_value = float(2 * stdtr(freedom, -abs(difference) / error))
    return WelchResult(difference, difference - half, difference + half, p_value)


def _error_and_freedom(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference of means, and the degrees of freedom of Welch and Satterthwaite."""
    parts = [float(np.var(each, ddof=1)) / len(each) for each in (first, second)]
    scale = max(abs(float(np.mean(first))), abs(float(np.mean(second))), 1e-300)
    if math.sqrt(sum(parts)) <= 1e-12 * scale:  # what rounding leaves of equal values
        return 0.0, math.inf
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(each) - 1) for part, each in zip(parts, (first, second), strict=True)
    )
    return math.sqrt(sum(parts)), freedom


def permutation_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Share of all ways to deal the values to two groups of these sizes whose means differ at least as much.

    Exact up to ``MOST_SPLITS`` ways; of more, so many are drawn and the one that was seen is counted with them
    (Phipson and Smyth 2010).
    """
    pooled = np.array([*first, *second], dtype=np.float64)
    n, total = len(first), len(pooled)
    seen = abs(float(np.mean(first) - np.mean(second)))
    close = 1e-9 * max(1e-300, float(np.abs(pooled).max()))  # what adds up in another order is still the same

    def differences(sums: Any) -> Any:
        return np.abs(sums / n - (pooled.sum() - sums) / (total - n))

    if math.comb(total, n) <= MAX_PERMUTATIONS:
        sums = np.array([pooled[list(chosen)].sum() for chosen in combinations(range(total), n)])
        return float((differences(sums) >= seen - close).mean())
    generator = np.random.default_rng(SEED)
    places = generator.permuted(np.tile(np.arange(total), (20_000, 1)), axis=1)[:, :n]
    hits = int((differences(pooled[places].sum(axis=1)) >= seen - close).sum())
    return (hits + 1) / (20_000 + 1)


def min_permutation_p(first: int, second: int) -> float:
    """The smallest p-value that the two-sided permutation test can give groups of these sizes."""
    return min(1.0, (2 if first == second else 1) / math.comb(first + second, first))


def seeds_needed(first: Sequence[float], second: Sequence[float], comparisons: int = 1) -> int:
    """Seeds in each group with which a difference of this size would be shown in four cases of five.

    From the noncentral t distribution with Welch's degrees of freedom, 5% two-sided divided by ``comparisons``, power
    80%, at the variances that were seen. ``MOST_SEEDS`` + 1 where more than ``MOST_SEEDS`` are needed.
    """
    from scipy.special import nctdtr

    difference = abs(float(np.mean(first) - np.mean(second)))
    variances = [float(np.var(each, ddof=1)) for each in (first, second)]
    if difference == 0:
        return MAX_SEEDS + 1

    def power(n: int) -> float:
        freedom = (n - 1) * sum(variances) ** 2 / sum(variance**2 for variance in variances)
        critical = t_quantile(freedom, 1 - verdicts.ALPHA / max(1, comparisons) / 2)
        found = 1 - float(nctdtr(freedom, difference / math.sqrt(sum(variances) / n), critical))
        return found if math.isfinite(found) else 1.0  # so far out that it cannot be computed

    low, high = 2, MAX_SEEDS
    if power(high) < verdicts.POWER:
        return MAX_SEEDS + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= verdicts.POWER else (middle + 1, high)
    return low


# -- words -----------------------------------------------------------------------------------------------------------


def _pairs(groups: Sequence[SeedGroup], metric: str) -> list[SeedGroupPair]:
    """The first group against each other one, with Holm's correction."""
    first, others = groups[0], groups[1:]
    found = [welch(first.values, other.values) for other in others]
    corrected = holm([each.p_value for each in found])
    dealt = holm([permutation_test(first.values, other.values) for other in others])
    least = [len(others) * min_permutation_p(len(first.runs), len(other.runs)) for other in others]
    return [
        _pair((first, other), each, metric, p_value, by_dealing, min(1.0, smallest), len(others))
        for other, each, p_value, by_dealing, smallest in zip(others, found, corrected, dealt, least, strict=True)
    ]


def _pair(
    groups: tuple[SeedGroup, SeedGroup],
    found: WelchResult,
    metric: str,
    p_value: float,
    dealt: float,
    least: float,
    comparisons: int,
) -> SeedGroupPair:
    first, second = groups
    test = "Welch's t test over seeds"
    test += f", Holm-corrected for {comparisons} comparisons" if comparisons > 1 else ""
    names = (f"{first.name} ({len(first.runs)} seeds)", f"{second.name} ({len(second.runs)} seeds)")
    said = verdicts.verdict(
        metric,
        names,
        (first.mean, second.mean),
        (found.low, found.high),
        p_value,
        test,
        _advice(first, second, found, comparisons),
        " over seeds",
    )
    return SeedGroupPair(
        groups=(first.name, second.name),
        difference=found.difference,
        low=found.low,
        high=found.high,
        p_value=p_value,
        permutation=dealt,
        least_permutation=least,
        test=test,
        verdict=said,
    )


def _advice(first: SeedGroup, second: SeedGroup, found: WelchResult, comparisons: int) -> str:
    """What would be needed to show a difference of this size."""
    if found.low == found.high:
        return (
            "the seed changes nothing in either, so there is nothing to measure chance by: "
            "compare one run of each over the test examples instead"
        )
    if found.difference == 0:
        return "on average they are equal"
    needed = seeds_needed(first.values, second.values, comparisons)
    if needed > MAX_SEEDS:
        return f"more than {MAX_SEEDS:,} seeds each would be needed to show a difference this small"
    more = max(1, needed - min(len(first.runs), len(second.runs)))
    return (
        f"about {verdicts.round_up(more):,} more seeds each would be needed to show a difference of this size"
        if more > 1
        else "about one more seed each would be needed to show a difference of this size"
    )
