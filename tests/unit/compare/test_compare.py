"""Comparisons: statistics checked by hand and by brute force, refused comparisons, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from workbench.compare import differences as module
from workbench.compare.differences import accuracy_interval, compare, compare_settings, examples_needed, holm, mcnemar
from workbench.errors import RequestError, UnknownNameError
from workbench.files import write_json
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def make_run(
    workspace: Workspace,
    gold: Sequence[str],
    predicted: Sequence[str] | None = None,
    *,
    name: str = "",
    ids: Sequence[str] | None = None,
    **changes: Any,
) -> Run:
    spec = RunSpec.parse({"name": name or None, "task": "text-classification", "data": "d", "model": "m", **changes})
    run = Run.create(spec, workspace)
    if predicted is not None:
        rows = {
            "id": list(ids or [f"{i:05d}" for i in range(len(gold))]),
            "gold": list(gold),
            "prediction": list(predicted),
        }
        write_predictions(run, rows)
    return run


def two_runs(workspace: Workspace, both: int, only_a: int, only_b: int, neither: int) -> tuple[Run, Run]:
    """Return runs A and B that are both, alone, or neither correct on these numbers of examples."""
    total = both + only_a + only_b + neither
    a = ["x"] * (both + only_a) + ["y"] * (only_b + neither)
    b = ["x"] * both + ["y"] * only_a + ["x"] * only_b + ["y"] * neither
    return make_run(workspace, ["x"] * total, a, name="A"), make_run(workspace, ["x"] * total, b, name="B")


def test_mcnemar_equals_the_binomial_test_by_hand() -> None:
    expected = 2 * sum(math.comb(10, k) for k in (0, 1, 2)) / 2**10
    assert mcnemar(8, 2) == pytest.approx(expected) == pytest.approx(mcnemar(2, 8))
    assert mcnemar(5, 5) == pytest.approx(1)
    assert mcnemar(0, 0) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])


def test_a_clear_difference_names_the_better_run(workspace: Workspace) -> None:
    a, b = two_runs(workspace, both=700, only_a=100, only_b=40, neither=160)
    result = compare([a, b])
    assert (result.metric, result.examples, result.test) == ("accuracy", 1000, "McNemar's exact test")
    assert result.difference == pytest.approx(0.06)
    assert 0 < result.low < 0.06 < result.high
    standard_error = math.sqrt((0.1 + 0.04 - 0.06**2) / 1000)  # of a paired difference, in closed form
    assert [result.low, result.high] == pytest.approx(
        [0.06 - 1.96 * standard_error, 0.06 + 1.96 * standard_error], abs=0.002
    )
    assert result.p_value == pytest.approx(mcnemar(100, 40))
    assert result.verdict.startswith(
        "A is better than B by 6.0 points of accuracy (80.0 against 74.0); the 95% interval "
    )
    assert result.verdict.endswith("excludes zero.")
    swapped = compare([b, a])
    assert swapped.difference == pytest.approx(-0.06) and swapped.high < 0
    assert swapped.verdict.startswith("A is better than B by 6.0 points")
    assert not any(word in swapped.verdict for word in ("-", "−"))


def test_no_difference_is_claimed_when_the_interval_includes_zero(workspace: Workspace) -> None:
    result = compare([*two_runs(workspace, both=350, only_a=28, only_b=22, neither=100)])
    assert result.low < 0 < result.high and result.p_value > 0.05
    assert result.verdict.startswith("No difference can be claimed: A minus B is +1.2 points of accuracy, and the 95%")
    assert "more test examples would be needed" in result.verdict
    equal = compare([*two_runs(workspace, both=50, only_a=5, only_b=5, neither=10)])
    assert equal.difference == 0 and equal.p_value == 1 and "they are equal" in equal.verdict


def test_an_interval_without_zero_is_not_enough_if_the_test_disagrees(workspace: Workspace) -> None:
    result = compare([*two_runs(workspace, both=30, only_a=5, only_b=0, neither=5)])
    assert result.low > 0 and result.p_value == pytest.approx(2 / 32)
    assert "No difference can be claimed" in result.verdict and "p = 0.06" in result.verdict


def test_examples_needed_have_a_power_of_80_percent() -> None:
    both, only_a, only_b, total = 0.7, 0.06, 0.04, 500
    low, high = accuracy_interval(int(only_a * total), int(only_b * total), total)
    needed = examples_needed(only_a - only_b, low, high, total)
    generator = np.random.default_rng(0)
    draws = generator.multinomial(needed, [only_a, only_b, both, 1 - both - only_a - only_b], size=2000)
    difference = (draws[:, 0] - draws[:, 1]) / needed
    error = np.sqrt(((draws[:, 0] + draws[:, 1]) / needed - difference**2) / needed)
    assert 0.74 < np.mean(difference - 1.96 * error > 0) < 0.86


def test_interval_covers_the_true_difference_about_95_times_in_100() -> None:
    generator = np.random.default_rng(2)
    covered = 0
    for _ in range(120):
        only_a, only_b, _ = generator.multinomial(300, [0.12, 0.07, 0.81])
        low, high = accuracy_interval(int(only_a), int(only_b), 300)
        covered += low <= 0.05 <= high
    assert 0.89 <= covered / 120 <= 0.99


@pytest.mark.parametrize("metric", ["macro_f1", "matthews"])
def test_bootstrap_of_a_metric_equals_resampling_examples(workspace: Workspace, metric: str) -> None:
    generator = np.random.default_rng(7)
    labels = np.array(["a", "b", "c"])
    gold = labels[generator.integers(0, 3, 150)]
    noise = [labels[generator.integers(0, 3, 150)] for _ in range(2)]
    first, second = (np.where(generator.random(150) < p, gold, n) for p, n in zip((0.7, 0.5), noise, strict=True))
    score = {
        "macro_f1": lambda g, p: reference.f1_score(g, p, average="macro"),
        "matthews": reference.matthews_corrcoef,
    }[metric]
    result = compare([make_run(workspace, gold, first, name="A"), make_run(workspace, gold, second, name="B")], metric)
    assert result.values == pytest.approx([score(gold, first), score(gold, second)])
    resamples = [generator.integers(0, 150, 150) for _ in range(250)]
    expected = np.quantile([score(gold[i], first[i]) - score(gold[i], second[i]) for i in resamples], [0.025, 0.975])
    assert [result.low, result.high] == pytest.approx(expected, abs=0.035)
    assert result.test == "paired bootstrap, 10,000 resamples"
    same = make_run(workspace, gold, first, name="A again")
    assert compare([make_run(workspace, gold, first), same], metric).p_value == 1


def test_bootstrap_p_values_are_uniform_where_there_is_no_difference(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RESAMPLES", 400)
    generator = np.random.default_rng(1)
    labels = np.array(["a", "b"])
    n_significant = 0
    for _ in range(40):
        gold = labels[generator.integers(0, 2, 120)]
        first, second = (
            make_run(workspace, gold, np.where(generator.random(120) < 0.7, gold, "a").tolist()) for _ in range(2)
        )
        n_significant += compare([first, second], "macro_f1").p_value < 0.05
    assert n_significant <= 7  # 2 expected


def test_several_labels_are_compared_by_label(workspace: Workspace) -> None:
    gold = ["a|b", "a", "", "b"] * 30
    first, second = ["a|b", "a", "", "b"] * 30, ["a", "a", "b", "b"] * 30
    task = {"name": "text-classification", "multi_label": True}
    runs = [make_run(workspace, gold, predicted, task=task) for predicted in (first, second)]
    indicators = [[[label in v.split("|") for label in "ab"] for v in column] for column in (gold, second)]
    for metric, average in (("micro_f1", "micro"), ("macro_f1", "macro")):
        result = compare(runs, metric)
        assert result.values == pytest.approx([1, reference.f1_score(*indicators, average=average)])
        assert result.low > 0
    assert compare(runs, "accuracy").values == pytest.approx([1, 0.5])
    flat = [np.ravel(each) for each in indicators]
    assert compare(runs, "matthews").values == pytest.approx([1, reference.matthews_corrcoef(*flat)])
    with pytest.raises(UnknownNameError, match="recall"):
        compare(runs, "recall")


def test_several_runs_are_compared_with_the_first_and_corrected(workspace: Workspace) -> None:
    a, b = two_runs(workspace, both=700, only_a=100, only_b=72, neither=128)
    _, c = two_runs(workspace, both=700, only_a=100, only_b=98, neither=102)
    result = compare([a, b, c])
    raw = [mcnemar(100, 72), mcnemar(100, 98)]
    assert [pair.p_value for pair in result.pairs] == pytest.approx(holm(raw))
    assert [pair.runs for pair in result.pairs] == [(a.id, b.id), (a.id, c.id)]
    assert raw[0] < 0.05 < 2 * raw[0]  # significant in one comparison, but not in two
    assert "is better" in compare([a, b]).verdict and "is better" not in result.verdict
    assert "Holm-corrected for 2 comparisons" in result.verdict
    document = result.as_dict()
    assert {"runs", "metric", "difference", "low", "high", "p_value", "test", "verdict"} <= set(document)
    assert len(document["pairs"]) == 2


def test_order_of_the_rows_does_not_matter(workspace: Workspace) -> None:
    gold, predicted = ["x", "y", "x", "y"], ["x", "x", "x", "y"]
    first = make_run(workspace, gold, predicted, ids=["1", "2", "3", "4"])
    second = make_run(workspace, gold[::-1], predicted[::-1], ids=["4", "3", "2", "1"])
    assert compare([first, second]).difference == 0
    assert compare([first, second]).p_value == 1


def test_incomparable_runs_are_refused_with_the_reason(workspace: Workspace) -> None:
    run = make_run(workspace, ["x", "y"], ["x", "y"])
    with pytest.raises(RequestError, match="got 1"):
        compare([run])
    with pytest.raises(RequestError, match="with itself"):
        compare([run, run])
    with pytest.raises(RequestError, match=r"has no predictions: it is queued"):
        compare([run, make_run(workspace, [])])
    with pytest.raises(RequestError, match=r"on 2 \(1 of them not shared\).* on 3 \(2 of them not shared\)"):
        compare([run, make_run(workspace, "xyz", "xyz", ids=["00000", "8", "9"])])
    with pytest.raises(RequestError, match="1 test examples have a different gold label"):
        compare([run, make_run(workspace, ["x", "x"], ["x", "y"])])
    with pytest.raises(UnknownNameError, match=r"macro_f1.*There are: accuracy, macro_f1, matthews"):
        compare([run, make_run(workspace, ["x", "y"], ["x", "x"])], "macro-f1")


def test_the_primary_metric_of_the_run_is_the_default(workspace: Workspace) -> None:
    runs = [make_run(workspace, ["x", "y"], ["x", "y"]), make_run(workspace, ["x", "y"], ["x", "x"])]
    write_json(runs[0].folder / "report.json", {"primary_metric": "matthews"})
    assert compare(runs).metric == "matthews"
    write_json(runs[0].folder / "report.json", {"primary_metric": "perplexity"})
    assert compare(runs).metric == "accuracy"


def test_settings_show_differences_and_damaged_specs(workspace: Workspace) -> None:
    first = make_run(workspace, [], name="one", training={"epochs": 2}, tuning={"method": "lora", "rank": 4})
    second = make_run(workspace, [], name="two", training={"epochs": 3})
    differing = {row["field"]: row for row in compare_settings([first, second], only_different=True)}
    assert differing["training.epochs"] == {"field": "training.epochs", "values": [2, 3], "differs": True}
    assert differing["tuning.rank"]["values"] == [4, None]
    assert set(differing) == {"name", "training.epochs", "tuning.method", "tuning.rank"}
    all_settings = compare_settings([first, second])
    assert len(all_settings) > 30 and not {row["field"]: row for row in all_settings}["training.seed"]["differs"]
    (second.folder / "spec.yaml").write_text("version: 99\n")
    rows = compare_settings([first, second], only_different=True)
    assert [row["field"] for row in rows] == ["spec"]
    assert rows[0]["values"][0] is None and "spec.yaml" in rows[0]["values"][1]


def holm_by_definition(p_values: Sequence[float]) -> list[float]:
    """Holm (1979) by definition: the adjusted p of rank i is the maximum of (m - j + 1) p_(j) over j <= i."""
    ranked = sorted(p_values)
    adjusted = [min(1, max((len(ranked) - j) * ranked[j] for j in range(i + 1))) for i in range(len(ranked))]
    return [adjusted[ranked.index(p)] for p in p_values]


def test_holm_keeps_order_and_ties_and_never_lowers_a_p_value() -> None:
    p_values = [0.0001, 0.04, 0.013, 0.04, 0.006, 0.3]  # x 6, 5, 4, 3, 2, 1 in order of size, never falling
    assert holm(p_values) == pytest.approx([0.0006, 0.12, 0.052, 0.12, 0.03, 0.3])
    generator = np.random.default_rng(3)
    for _ in range(50):
        p_values = generator.random(generator.integers(1, 9)).round(2).tolist()
        assert holm(p_values) == pytest.approx(holm_by_definition(p_values))
    assert holm([]) == []


def test_holm_bounds_the_familywise_error_rate() -> None:
    """Simulate ten equal models 2,000 times and count how often any of them is reported as different."""
    generator = np.random.default_rng(4)
    p_values = generator.random((2000, 10))
    corrected = np.mean([min(holm(row)) < 0.05 for row in p_values.tolist()])
    assert np.mean(p_values.min(axis=1) < 0.05) > 0.35 and corrected < 0.065


@pytest.mark.parametrize("comparisons", [1, 4])
def test_the_suggested_number_of_examples_has_a_power_of_80_percent(comparisons: int) -> None:
    """Simulate the whole decision including McNemar's exact test, not the formula behind the number."""
    probabilities, n_examples = [0.13, 0.09, 0.78], 400
    low, high = accuracy_interval(
        round(probabilities[0] * n_examples), round(probabilities[1] * n_examples), n_examples
    )
    needed = examples_needed(probabilities[0] - probabilities[1], low, high, n_examples, comparisons)
    generator, claimed = np.random.default_rng(5), []
    for only_a, only_b, _ in generator.multinomial(needed, probabilities, size=400):
        difference = (only_a - only_b) / needed
        error = math.sqrt(((only_a + only_b) / needed - difference**2) / needed)
        p_value = comparisons * mcnemar(int(only_a), int(only_b))
        claimed.append(difference - 1.96 * error > 0 and p_value < 0.05)
    assert 0.73 < np.mean(claimed) < 0.87
    assert examples_needed(0.02, -0.02, 0.06, 400, 5) > examples_needed(0.02, -0.02, 0.06, 400)


def test_a_claim_lost_by_correction_reports_the_needed_examples(workspace: Workspace) -> None:
    a, b = two_runs(workspace, both=700, only_a=100, only_b=72, neither=128)
    _, c = two_runs(workspace, both=700, only_a=100, only_b=98, neither=102)
    first, second = compare([a, b, c]).pairs
    assert "p = 0.0" in first.verdict and first.verdict.endswith("to show a difference of this size.")
    assert "includes zero" in second.verdict and "a million" not in first.verdict
