"""Compare settings over seeds: groups of runs that differ only in their seed.

Two runs that differ only in their seed have different results, too. Whether a *setting* is better is therefore tested
on several runs of each: Welch's t test (Welch 1947, Biometrika 34) for the difference of the means, with its interval,
and the exact permutation test (Fisher 1935; over every assignment of the values to the two groups), which does not
assume a normal distribution. The sampling unit is the run, not the test example: other examples might shift all of the
runs.

A seed counts once. Runs that repeat one are the same run again, not new evidence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, takewhile

import numpy as np

from workbench.compare import verdicts
from workbench.compare.differences import display_names, holm, metric_value, read_comparable
from workbench.compare.results import SeedComparison, SeedGroup, SeedGroupPair
from workbench.compare.training_data import group_data_notes
from workbench.errors import MissingPackageError, RequestError
from workbench.i18n import _, ngettext
from workbench.metrics.statistics import t_quantile
from workbench.runs.run import Run
from workbench.runs.series.curves import IGNORED_FIELDS, group_by_config
from workbench.runs.settings import read_settings
from workbench.types import Floats

MIN_SEEDS = 2  # of a group
MAX_PERMUTATIONS = 200_000  # that are enumerated; more are sampled
_SAMPLED_PERMUTATIONS = 20_000
SEED = 0
MAX_SEEDS = 1000  # in a group, that are recommended as a number
MAX_NAME_FIELDS = 2  # of a setting in its name
_SEED_ENDING = re.compile(r"[\W_]*\b_?(?:seeds?|s)?[\W_]*\d*$", re.IGNORECASE)
_TIME_AND_MARK = re.compile(r"^\d{8}-\d{6}-|-[0-9a-f]{4}$")
_SEEDS = tuple(name for name in IGNORED_FIELDS if name.endswith("seed"))


def has_seed_groups(runs: Sequence[Run]) -> bool:
    """Return whether two settings among the runs have several seeds each, so that they can be compared over seeds."""
    return sum(len(_split_by_seed(group)[0]) >= MIN_SEEDS for _key, group in group_by_config(runs)) >= 2


def compare_seeds(runs: Sequence[Run], metric: str | None = None) -> SeedComparison:
    """Compare the setting of the first run with each other setting, over the seeds of each.

    Args:
        runs: runs of two settings or more, with two seeds or more each, in any order. A setting with only one seed is
            left out with a note.
        metric: as for :func:`workbench.compare.differences.compare`.

    Raises:
        RequestError: fewer than two settings have several seeds, or the runs were tested on different examples.
        UnknownNameError: there is no such metric.
        MissingPackageError: scipy or pyarrow is not installed.
    """
    settings = [(group, *_split_by_seed(group)) for _key, group in group_by_config(runs)]
    groups_of_runs = [(used, repeated) for _all, used, repeated in settings if len(used) >= MIN_SEEDS]
    single = [group[0] for group, used, _repeated in settings if len(used) < MIN_SEEDS]
    if len(groups_of_runs) < 2:
        raise RequestError(
            f"A comparison over seeds needs two settings with {MIN_SEEDS} seeds each. Settings with that many: "
            f"{len(groups_of_runs)} of {len(settings)}.",
            "Run each setting again with other values of training.seed; everything else must stay the same.",
        )
    all_used = [run for used, _repeated in groups_of_runs for run in used]
    evaluated, metric, multi_label = read_comparable(all_used, metric)
    values = {each.run.id: metric_value(each, metric, multi_label) for each in evaluated}
    _check_finite(values, metric)
    names = _group_names([used for used, _repeated in groups_of_runs])
    groups = [
        _group(name, used, repeated, values) for name, (used, repeated) in zip(names, groups_of_runs, strict=True)
    ]
    pairs = _pairs(groups, metric)
    used_runs = {name: used for name, (used, _repeated) in zip(names, groups_of_runs, strict=True)}
    return SeedComparison(
        metric=metric,
        examples=len(evaluated[0]),
        groups=groups,
        pairs=pairs,
        verdict=" ".join(pair.verdict for pair in pairs),
        notes=_notes(groups, single, pairs) + group_data_notes(used_runs),
    )


# -- groups ----------------------------------------------------------------------------------------------------------


def _split_by_seed(group: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Return the first run of each seed, and the runs that repeat one."""
    seen: set[tuple[object, ...]] = set()
    used: list[Run] = []
    repeated: list[Run] = []
    for run in group:
        fields = read_settings(run)
        seeds = tuple(fields.get(name) for name in _SEEDS)
        (repeated if seeds in seen else used).append(run)
        seen.add(seeds)
    return used, repeated


def _group_names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """Return a name for each setting: the common start of its runs' names, with differing fields where needed."""
    stems = [_stem([run.status().title or _without_time(run) for run in group]) for group in groups]
    fields = [{k: v for k, v in read_settings(group[0]).items() if k not in IGNORED_FIELDS} for group in groups]
    names = []
    for stem, own in zip(stems, fields, strict=True):
        rivals = [other for name, other in zip(stems, fields, strict=True) if name == stem]
        differing = [name for name in own if any(other.get(name) != own[name] for other in rivals)]
        details = ", ".join(f"{name} = {own[name]}" for name in differing[:MAX_NAME_FIELDS])
        names.append(f"{stem} ({details})" if details else stem)
    unique = len(set(names)) == len(names) and all(names)
    return names if unique else [group[0].id for group in groups]


def _without_time(run: Run) -> str:
    """Return the id of a run without its time and its random ending: ``minilm-rotten-tomatoes-lora``."""
    return _TIME_AND_MARK.sub("", run.id) or run.id


def _stem(titles: Sequence[str]) -> str:
    """Return the common start of titles, without the seed's number: ``lora-s1`` and ``lora-s2`` are ``lora``."""
    if len(set(titles)) == 1:
        return titles[0]
    shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*titles, strict=False))
    return _SEED_ENDING.sub("", "".join(letters[0] for letters in shared))


def _group(name: str, used: Sequence[Run], repeated: Sequence[Run], values: dict[str, float]) -> SeedGroup:
    results = np.array([values[run.id] for run in used])
    mean, deviation = float(results.mean()), float(results.std(ddof=1))
    half = t_quantile(len(results) - 1) * deviation / math.sqrt(len(results))
    return SeedGroup(
        name=name,
        runs=[run.id for run in used],
        values=results.tolist(),
        mean=mean,
        low=mean - half,
        high=mean + half,
        deviation=deviation,
        repeated=[run.id for run in repeated],
    )


def _check_finite(values: dict[str, float], metric: str) -> None:
    bad = [run_id for run_id, value in values.items() if not math.isfinite(value)]
    if bad:
        raise RequestError(
            f"The {metric.replace('_', ' ')} of {', '.join(bad)} is not a finite number: there is no mean over seeds.",
            "Look at the run's curves. Leave it out only for a reason that does not depend on its result.",
        )


def _notes(groups: Sequence[SeedGroup], single: Sequence[Run], pairs: Sequence[SeedGroupPair]) -> list[str]:
    notes = []
    if single:
        text = _("Left out, because they have only one seed: {names}. Their variation over seeds is unknown.")
        notes.append(text.format(names=", ".join(display_names(single))))
    repeated = [run for group in groups for run in group.repeated]
    if repeated:
        text = _("Left out, because another run has the same settings and seed: {runs}.")
        notes.append(text.format(runs=", ".join(repeated)))
    if any(pair.least_permutation >= verdicts.ALPHA for pair in pairs):
        enough = next(n for n in range(2, 50) if len(pairs) * min_permutation_p(n, n) < verdicts.ALPHA)
        text = _(
            "With so few seeds the permutation test cannot fall below 0.05 whatever the values are: the verdict is "
            "based on Welch's test, which assumes that the values over seeds are normally distributed. "
            "With {n} seeds each, both tests could decide."
        )
        notes.append(text.format(n=enough))
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
    """Test whether two samples have the same mean; their variances may differ.

    Where neither sample varies at all there is nothing to measure the difference by: p is then 1.

    Args:
        first: two values or more.
        second: two values or more.

    Raises:
        ValueError: a sample has fewer than two values.
        MissingPackageError: scipy is not installed.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"Each sample needs at least two values, but they have {len(first)} and {len(second)}.")
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
    """Return the standard error of the difference of means, and Welch and Satterthwaite's degrees of freedom."""
    variances = [float(np.var(each, ddof=1)) / len(each) for each in (first, second)]
    total = sum(variances)
    scale = max(abs(float(np.mean(first))), abs(float(np.mean(second))), 1e-300)
    if math.sqrt(total) <= 1e-12 * scale:  # rounding errors of equal values
        return 0.0, math.inf
    samples = zip(variances, (first, second), strict=True)
    freedom = total**2 / sum(variance**2 / (len(each) - 1) for variance, each in samples)
    return math.sqrt(total), freedom


def permutation_test(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the share of all assignments of the values to two groups whose means differ at least as much.

    Exact up to ``MAX_PERMUTATIONS`` assignments. Of more, some are sampled, and the observed one is counted with them
    (Phipson and Smyth 2010).

    Args:
        first: values of the first group.
        second: values of the second group.
    """
    pooled = np.array([*first, *second], dtype=np.float64)
    n, total = len(first), len(pooled)
    observed = abs(float(np.mean(first) - np.mean(second)))
    tolerance = 1e-9 * max(1e-300, float(np.abs(pooled).max()))  # sums in another order are still equal

    def differences(sums: Floats) -> Floats:
        distances: Floats = np.abs(sums / n - (pooled.sum() - sums) / (total - n))
        return distances

    if math.comb(total, n) <= MAX_PERMUTATIONS:
        sums = np.array([pooled[list(indices)].sum() for indices in combinations(range(total), n)])
        return float((differences(sums) >= observed - tolerance).mean())
    generator = np.random.default_rng(SEED)
    samples = generator.permuted(np.tile(np.arange(total), (_SAMPLED_PERMUTATIONS, 1)), axis=1)[:, :n]
    hits = int((differences(pooled[samples].sum(axis=1)) >= observed - tolerance).sum())
    return (hits + 1) / (_SAMPLED_PERMUTATIONS + 1)


def min_permutation_p(first: int, second: int) -> float:
    """Return the smallest p-value that the two-sided permutation test can have.

    Args:
        first: size of the first group.
        second: size of the second group.
    """
    return min(1.0, (2 if first == second else 1) / math.comb(first + second, first))


def seeds_needed(first: Sequence[float], second: Sequence[float], comparisons: int = 1) -> int:
    """Estimate the number of seeds in each group that shows a difference of this size with 80% power.

    From the noncentral t distribution with Welch's degrees of freedom at the observed variances, 5% two-sided.

    Args:
        first: values of the first group.
        second: values of the second group.
        comparisons: made at once; the level is divided by their number.

    Returns:
        The number; ``MAX_SEEDS`` + 1 where more than ``MAX_SEEDS`` are needed.
    """
    from scipy.special import nctdtr

    difference = abs(float(np.mean(first) - np.mean(second)))
    variances = [float(np.var(each, ddof=1)) for each in (first, second)]
    if difference == 0:
        return MAX_SEEDS + 1

    def power(n: int) -> float:
        freedom = (n - 1) * sum(variances) ** 2 / sum(variance**2 for variance in variances)
        critical = t_quantile(freedom, 1 - verdicts.ALPHA / max(1, comparisons) / 2)
        value = 1 - float(nctdtr(freedom, difference / math.sqrt(sum(variances) / n), critical))
        return value if math.isfinite(value) else 1.0  # so far out that it cannot be computed

    low, high = 2, MAX_SEEDS
    if power(high) < verdicts.POWER:
        return MAX_SEEDS + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= verdicts.POWER else (middle + 1, high)
    return low


# -- pairs -----------------------------------------------------------------------------------------------------------


def _pairs(groups: Sequence[SeedGroup], metric: str) -> list[SeedGroupPair]:
    """Compare the first group with each other one, with Holm's correction."""
    first, others = groups[0], groups[1:]
    results = [welch(first.values, other.values) for other in others]
    p_values = holm([result.p_value for result in results])
    permutations = holm([permutation_test(first.values, other.values) for other in others])
    return [
        _pair((first, other), result, metric, p_value, permutation, len(others))
        for other, result, p_value, permutation in zip(others, results, p_values, permutations, strict=True)
    ]


def _pair(
    groups: tuple[SeedGroup, SeedGroup],
    result: WelchResult,
    metric: str,
    p_value: float,
    permutation: float,
    comparisons: int,
) -> SeedGroupPair:
    first, second = groups
    test = verdicts.corrected(_("Welch's t test over seeds"), comparisons)
    names = (_with_seeds(first), _with_seeds(second))
    interval, advice = (result.low, result.high), _advice(first, second, result, comparisons)
    sentence = verdicts.verdict(
        metric, names, (first.mean, second.mean), interval, p_value, test, advice, over_seeds=True
    )
    return SeedGroupPair(
        groups=(first.name, second.name),
        difference=result.difference,
        low=result.low,
        high=result.high,
        p_value=p_value,
        permutation=permutation,
        least_permutation=min(1.0, comparisons * min_permutation_p(len(first.runs), len(second.runs))),
        test=test,
        verdict=sentence,
    )


def _with_seeds(group: SeedGroup) -> str:
    return _("{name} ({n} seeds)").format(name=group.name, n=len(group.runs))


def _advice(first: SeedGroup, second: SeedGroup, result: WelchResult, comparisons: int) -> str:
    """Return what would be needed to show a difference of this size."""
    if result.low == result.high:
        return _(
            "the seed changes nothing in either, so there is no variation to test against: "
            "compare one run of each over the test examples instead"
        )
    if result.difference == 0:
        return _("on average they are equal")
    needed = seeds_needed(first.values, second.values, comparisons)
    if needed > MAX_SEEDS:
        text = _("more than {n:,} seeds each would be needed to show a difference this small")
        return text.format(n=MAX_SEEDS)
    more = verdicts.round_up(max(1, needed - min(len(first.runs), len(second.runs))))
    text = ngettext(
        "about one more seed each would be needed to show a difference of this size",
        "about {n:,} more seeds each would be needed to show a difference of this size",
        more,
    )
    return text.format(n=more)
