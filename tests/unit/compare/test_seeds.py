"""Comparisons over seeds: tests checked against SciPy, by hand and by brute force, and the groups of runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.unit.compare.test_compare import make_run
from workbench.compare import seeds as module
from workbench.compare.seeds import (
    compare_seeds,
    has_seed_groups,
    min_permutation_p,
    permutation_test,
    seeds_needed,
    welch,
)
from workbench.errors import RequestError
from workbench.files import write_json
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.workspace import Workspace

# Student's sleep data (1908), as in R's help of t.test: hours gained with two drugs; Welch: t = -1.8608, df = 17.776,
# p = 0.07939, interval -3.3654832 to 0.2054832.
SLEEP = ([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])
TEXTS = 100


def seeded(workspace: Workspace, n_correct: Sequence[int], name: str = "", **changes: Any) -> list[Run]:
    """Return runs of one configuration with seeds 0, 1, ... that are correct on these numbers of 100 texts."""
    gold = ["x"] * TEXTS
    return [
        make_run(
            workspace, gold, ["x"] * n + ["y"] * (TEXTS - n), name=name and f"{name}-s{seed}",
            **changes | {"training": {"seed": seed, **changes.get("training", {})}},
        )
        for seed, n in enumerate(n_correct)
    ]  # fmt: skip


def test_welch_reproduces_the_published_example() -> None:
    result = welch(*SLEEP)
    assert result.difference == pytest.approx(-1.58)
    assert [result.low, result.high] == pytest.approx([-3.3654832, 0.2054832], abs=1e-6)
    assert result.p_value == pytest.approx(0.07939, abs=1e-5)


def test_welch_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    for sizes in ((2, 2), (3, 5), (10, 4)):
        first, second = (generator.normal(i, 1 + i, n).tolist() for i, n in enumerate(sizes))
        reference = stats.ttest_ind(first, second, equal_var=False)
        interval = reference.confidence_interval(0.95)
        result = welch(first, second)
        assert result.p_value == pytest.approx(reference.pvalue)
        assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
        assert (result.p_value < 0.05) == (result.low > 0 or result.high < 0)  # interval and p-value agree


def test_welch_without_variance_claims_nothing() -> None:
    assert welch([0.1, 0.1, 0.1], [0.3, 0.3]).p_value == 1
    assert welch([0.5, 0.5], [0.5, 0.5]).difference == 0
    assert welch([0.5, 0.5], [0.1, 0.2]).p_value == pytest.approx(
        stats.ttest_ind([0.5, 0.5], [0.1, 0.2], equal_var=False).pvalue
    )
    with pytest.raises(ValueError, match="they have 1 and 2"):
        welch([0.5], [0.1, 0.2])


def test_permutation_by_hand_and_by_scipy() -> None:
    assert permutation_test([5, 6, 7], [1, 2, 3]) == pytest.approx(2 / 20)  # only this split and its mirror
    assert permutation_test([1, 2, 4], [3, 5, 6]) == pytest.approx(4 / 20)  # sums 7, 6 and their mirrors 14, 15
    assert permutation_test([2, 2], [2, 2]) == 1
    generator = np.random.default_rng(1)
    for sizes in ((4, 4), (3, 6), (5, 2)):
        first, second = (generator.normal(i, 1, n).round(1).tolist() for i, n in enumerate(sizes))
        reference = stats.permutation_test(
            (first, second), lambda a, b, axis: np.abs(a.mean(axis) - b.mean(axis)), alternative="greater",
            n_resamples=np.inf,
        )  # fmt: skip
        assert permutation_test(first, second) == pytest.approx(reference.pvalue)
        pooled = np.array(first + second)
        observed = abs(np.mean(first) - np.mean(second)) - 1e-9
        splits = list(itertools.combinations(range(len(pooled)), sizes[0]))
        hits = sum(abs(pooled[list(s)].mean() - np.delete(pooled, list(s)).mean()) >= observed for s in splits)
        assert permutation_test(first, second) == pytest.approx(hits / len(splits))


def test_the_smallest_p_value_of_a_permutation_test() -> None:
    for sizes in ((3, 3), (4, 4), (2, 5)):
        smallest = permutation_test(list(range(sizes[0])), list(range(100, 100 + sizes[1])))
        assert min_permutation_p(*sizes) == pytest.approx(smallest)


def test_sampled_permutations_approximate_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = permutation_test(*SLEEP)
    monkeypatch.setattr(module, "MAX_PERMUTATIONS", 10)
    assert permutation_test(*SLEEP) == pytest.approx(exact, abs=0.01)


def test_welch_has_a_false_positive_rate_of_about_5_percent() -> None:
    generator = np.random.default_rng(2)
    pairs = zip(generator.normal(0, 1, (1500, 3)).tolist(), generator.normal(0, 2, (1500, 4)).tolist(), strict=True)
    assert 0.025 < np.mean([welch(a, b).p_value < 0.05 for a, b in pairs]) < 0.065


@pytest.mark.parametrize("comparisons", [1, 3])
def test_seeds_needed_have_a_power_of_80_percent(comparisons: int) -> None:
    """Simulate with SciPy's test: this number of seeds is enough, one fewer is not."""
    first, second = [0.80, 0.82, 0.81], [0.79, 0.80, 0.795]
    needed = seeds_needed(first, second, comparisons)
    generator = np.random.default_rng(3)

    def power(n: int) -> float:
        draws = [generator.normal(np.mean(v), np.std(v, ddof=1), (8000, n)) for v in (first, second)]
        return float(np.mean(stats.ttest_ind(*draws, axis=1, equal_var=False).pvalue < 0.05 / comparisons))

    assert power(needed) == pytest.approx(0.8, abs=0.06) and power(needed) > 0.78
    assert power(needed - 1) < power(needed) + 0.01 and power(needed - 1) < 0.81


def test_seeds_needed_for_no_and_for_large_differences() -> None:
    assert seeds_needed([0.5, 0.6], [0.55, 0.55]) > module.MAX_SEEDS
    assert seeds_needed([0.9, 0.9001], [0.1, 0.1001]) == 2
    assert seeds_needed([1.0, 1.1], [1.01, 1.09], 2) > 100


def test_groups_over_seeds_have_means_and_intervals(workspace: Workspace) -> None:
    good, bad = seeded(workspace, [84, 85, 86], "good"), seeded(workspace, [80, 79, 81], "bad", tuning="lora")
    mixed = [bad[1], good[0], bad[0], good[2], bad[2], good[1]]
    assert has_seed_groups(mixed) and not has_seed_groups(good)
    result = compare_seeds(mixed)
    bad_group, good_group = result.groups
    assert (bad_group.name, good_group.name, result.metric, result.examples) == ("bad", "good", "accuracy", TEXTS)
    assert sorted(good_group.values) == pytest.approx([0.84, 0.85, 0.86])
    half_width = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    assert (good_group.low, good_group.high) == pytest.approx((0.85 - half_width, 0.85 + half_width))
    (pair,) = result.pairs
    reference = stats.ttest_ind([0.80, 0.79, 0.81], [0.84, 0.85, 0.86], equal_var=False)
    assert pair.p_value == pytest.approx(reference.pvalue) and pair.difference == pytest.approx(-0.05)
    assert pair.permutation == pytest.approx(0.1) == pytest.approx(pair.least_permutation)
    assert result.verdict.startswith(
        "good (3 seeds) is better than bad (3 seeds) by 5.0 points of accuracy on average (85.0 against 80.0); "
        "the 95% interval over seeds 2.7 to 7.3 excludes zero."
    )
    assert any("permutation test cannot fall below 0.05" in note and "4 seeds each" in note for note in result.notes)


def test_without_a_difference_the_needed_number_of_seeds_is_reported(workspace: Workspace) -> None:
    runs = seeded(workspace, [80, 84, 82], "one") + seeded(workspace, [79, 83, 81], "two", tuning="lora")
    result = compare_seeds(runs)
    needed = seeds_needed([0.80, 0.84, 0.82], [0.79, 0.83, 0.81])
    assert result.verdict.startswith("No difference can be claimed: one (3 seeds) minus two (3 seeds) is +1.0 points")
    assert f"about {module.verdicts.round_up(needed - 3):,} more seeds each would be needed" in result.verdict


def test_several_groups_are_corrected(workspace: Workspace) -> None:
    runs = [
        run
        for name, n_correct, rank in (("a", [84, 85, 86], 1), ("b", [82, 84, 83], 2), ("c", [80, 83, 84], 3))
        for run in seeded(workspace, n_correct, name, tuning={"method": "lora", "rank": rank})
    ]
    result = compare_seeds(runs)
    values = [group.values for group in result.groups]
    raw = [stats.ttest_ind(values[0], other, equal_var=False).pvalue for other in values[1:]]
    assert [pair.p_value for pair in result.pairs] == pytest.approx(module.holm(raw))
    assert all("Holm-corrected for 2 comparisons" in pair.test for pair in result.pairs)


def test_a_seed_counts_once_and_one_seed_is_no_group(workspace: Workspace) -> None:
    runs = seeded(workspace, [84, 85], "good") + seeded(workspace, [80, 79], "bad", tuning="lora")
    again = seeded(workspace, [84], "good")
    single = seeded(workspace, [70], "alone", tuning="head")
    result = compare_seeds([*runs, *again, *single])
    assert [len(group.runs) for group in result.groups] == [2, 2] and result.groups[0].repeated == [again[0].id]
    assert any(again[0].id in note for note in result.notes) and any("alone" in note for note in result.notes)
    assert not has_seed_groups([*runs[:2], *single]) and not has_seed_groups([runs[0], *again, *runs[2:]])
    with pytest.raises(RequestError, match=r"needs two settings with 2 seeds each\. Settings with that many: 1 of 2"):
        compare_seeds([*runs[:2], *single])


def test_groups_with_one_name_are_named_by_their_settings(workspace: Workspace) -> None:
    runs = [
        run
        for rank in (4, 8)
        for run in seeded(workspace, [80 + rank, 81 + rank], tuning={"method": "lora", "rank": rank})
    ]
    names = [group.name for group in compare_seeds(runs).groups]
    assert names == ["m-d-lora (tuning.rank = 4)", "m-d-lora (tuning.rank = 8)"]
    assert [module._stem(["lora-s10", "lora-s11"]), module._stem(["a seed 1", "a seed 2"])] == ["lora", "a"]
    assert module._stem(["glass-1", "glass-2"]) == "glass" and module._stem(["runs", "rule"]) == "ru"


def test_runs_tested_on_different_examples_are_refused(workspace: Workspace) -> None:
    runs = seeded(workspace, [84, 85], "good") + seeded(workspace, [80, 79], "bad", tuning="lora")
    rows = {"id": [f"other-{i}" for i in range(TEXTS)], "gold": ["x"] * TEXTS, "prediction": ["x"] * TEXTS}
    write_predictions(runs[3], rows)
    with pytest.raises(RequestError, match="tested on different examples"):
        compare_seeds(runs)


def test_a_run_without_a_finite_value_is_refused_by_name(workspace: Workspace) -> None:
    runs = seeded(workspace, [84, 85], "good") + seeded(workspace, [80, 79], "bad", tuning="lora")
    for run in runs:
        write_json(run.report_file, {"measures": {"loss": ["ratio", "nats", "examples"]}})
        nll = [math.nan if run is runs[1] else 1.0] * TEXTS
        rows = {"id": list(range(TEXTS)), "gold": ["x"] * TEXTS, "prediction": ["x"] * TEXTS, "nats": nll}
        write_predictions(run, rows | {"examples": [1.0] * TEXTS, "tokens": [1.0] * TEXTS})
    with pytest.raises(RequestError, match=rf"{runs[1].id} is not a finite number"):
        compare_seeds(runs)


def test_identical_results_of_all_seeds_lead_to_no_claim(workspace: Workspace) -> None:
    runs = seeded(workspace, [84, 84], "good") + seeded(workspace, [80, 80], "bad", tuning="lora")
    result = compare_seeds(runs)
    assert "No difference can be claimed" in result.verdict and "the seed changes nothing" in result.verdict
