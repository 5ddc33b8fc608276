"""The analysis of learning rate range tests, on curves with a known answer."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np
import pytest

from workbench.errors import RequestError, SpecError
from workbench.runs.lr_range_plot import LEFT, RIGHT, WIDTH, loss_limits, range_svg
from workbench.runs.lr_range_test import DivergenceDetector, RangeTestResult, analyze, loss_curve, lr_multiplier, smooth
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST, RunSpec
from workbench.workspace import Workspace

RATES = np.logspace(-7, 0, 141)  # 20 per power of ten


def curve(noise: float = 0.0, fastest: float = 1e-3, lowest: float = 3e-2) -> list[float]:
    """Return a loss that falls as a logistic function of the log rate, fastest at one rate, and rises from another."""
    log_rates = np.log10(RATES)
    fall = 2.0 / (1 + np.exp(-6 * (log_rates - math.log10(fastest))))
    climb = np.maximum(0, log_rates - math.log10(lowest)) * 3
    return (7.0 - fall + climb + noise * np.random.default_rng(0).standard_normal(len(RATES))).tolist()


def test_the_rate_rises_by_the_same_factor_from_the_lowest_to_the_highest() -> None:
    rates = [0.5 * lr_multiplier(step, 11, 5e-6, 0.5) for step in range(11)]
    assert rates[0] == pytest.approx(5e-6) and rates[-1] == pytest.approx(0.5)
    np.testing.assert_allclose(np.divide(rates[1:], rates[:-1]), 10**0.5)
    assert lr_multiplier(11, 11, 5e-6, 0.5) == 1.0  # the schedule looks one step ahead


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_smaller_of_both_candidates_is_suggested(noise: float) -> None:
    result = analyze(RATES.tolist(), curve(noise))
    assert result.steepest is not None and result.minimum is not None and result.suggestion is not None
    assert abs(math.log10(result.steepest / 1e-3)) < 0.25
    assert abs(math.log10(result.minimum / 3e-2)) < 0.45  # smoothing shifts the minimum towards the flatter side
    assert result.suggestion == pytest.approx(min(result.steepest, result.minimum / 10), rel=0.05)
    assert f"{result.suggestion:.2g}" in result.how
    assert result.fall == pytest.approx(2.0, abs=0.15)


def test_the_minimum_decides_when_it_is_close_to_the_steepest_rate() -> None:
    result = analyze(RATES.tolist(), curve(fastest=1e-3, lowest=3e-3))
    assert result.minimum is not None and result.suggestion == pytest.approx(result.minimum / 10, rel=0.05)
    assert "a tenth" in result.how


def test_the_smoothing_does_not_lag() -> None:
    dip = [1.0] * 141
    dip[70] = 0.0
    assert int(np.argmin(smooth(dip))) == 70
    np.testing.assert_allclose(smooth([3.0] * 20), 3.0)  # also at the ends


@pytest.mark.parametrize(
    "losses",
    [
        [0.69] * 141,
        (0.69 + 0.05 * np.random.default_rng(1).standard_normal(141)).tolist(),
        np.linspace(1, 2, 141).tolist(),
        [0.7, 0.6, 0.5],
        [],
    ],
    ids=["flat", "noise", "rising", "three steps", "nothing"],
)
def test_no_rate_is_suggested_without_a_fall(losses: Sequence[float]) -> None:
    result = analyze(RATES[: len(losses)].tolist(), losses)
    assert result.suggestion is None and result.how
    ElementTree.fromstring(range_svg(result))


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([7.0] * 20 + [7 * 1.2**n for n in range(20)], range(22, 28)),  # an explosion
        ([7.0] * 5 + [math.nan], [5]),
        ([7.0] * 5 + [math.inf], [5]),
        ([7.0] * 20 + [12.0] + [7.0] * 20, None),  # one bad batch
        ([0.7 * 0.9**n for n in range(40)], None),
        ((0.7 + 0.2 * np.random.default_rng(0).standard_normal(200)).tolist(), None),
    ],
    ids=["explosion", "nan", "infinite", "one bad batch", "falling", "noise"],
)
def test_divergence_is_detected_without_false_alarms(losses: Sequence[float], step: Sequence[int] | None) -> None:
    detector = DivergenceDetector()
    detected = next((index for index, loss in enumerate(losses) if detector.add(loss)), None)
    assert detected is None if step is None else detected in step


def test_the_plot_marks_the_suggestion_at_its_rate() -> None:
    result = analyze(RATES.tolist(), curve())
    svg = ElementTree.fromstring(range_svg(result, "A <b> & co"))
    namespace = "{http://www.w3.org/2000/svg}"
    assert svg.findtext(f"{namespace}title") == "A <b> & co"
    dashed = [path for path in svg.iter(f"{namespace}path") if path.get("stroke-dasharray")]
    x = float(dashed[0].attrib["d"][1:].split()[0])
    ticks = {text.text: float(text.attrib["x"]) for text in svg.iter(f"{namespace}text")}
    assert (ticks["1e-07"], ticks["1"]) == (LEFT, WIDTH - RIGHT)  # from edge to edge
    fraction = (math.log10(result.suggestion or 1) + 4) / 1  # between 1e-4 and 1e-3
    assert x == pytest.approx(ticks["0.0001"] + fraction * (ticks["0.001"] - ticks["0.0001"]), abs=0.2)
    low, high = loss_limits(result)
    assert low < 5 and 7 < high < 9  # the fall in full; not the top of the explosion


def test_the_curve_is_read_from_lines_of_metrics() -> None:
    rows = [
        {"step": 1, "train/loss": 2.0, "train/learning_rate": 1e-6, "train/gradient_norm": 1.0},
        {"step": 1, "eval/loss": 3.0},
        {"step": 2, "train/loss": 1.0, "train/learning_rate": 1e-5},
    ]
    assert loss_curve(rows) == ([1e-6, 1e-5], [2.0, 1.0])


# -- range test runs ------------------------------------------------------------------------------------------------


def spec(**changes: object) -> RunSpec:
    return RunSpec.parse({"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", **changes})


@pytest.mark.parametrize("bounds", [{"lowest": 1, "highest": 1e-3}, {"lowest": 0}, {"steps": 3}, {"highest": "inf"}])
def test_wrong_bounds_are_refused(bounds: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="range_test"):
        spec(range_test=bounds)


def test_the_kind_is_in_the_run_id_and_in_summaries(workspace: Workspace) -> None:
    from workbench.runs.query import list_runs

    run = Run.create(spec(kind=RANGE_TEST), workspace)
    assert "-range-test-minilm-rotten-tomatoes-full-" in run.id
    assert run.summary().kind == list_runs(workspace)[0].kind == RANGE_TEST
    assert Run.create(spec(), workspace).summary().kind == "training"


def test_a_run_without_a_kind_is_a_training_run(workspace: Workspace) -> None:
    from workbench.files import read_json, write_json

    run = Run.create(spec(), workspace)
    status = read_json(run.status_file)
    del status["kind"]
    write_json(run.status_file, status)
    assert run.kind() == run.summary().kind == "training"


def test_a_range_test_has_no_model_and_no_predictions(workspace: Workspace) -> None:
    from workbench.check import check
    from workbench.inference.predictor import Predictor

    run = Run.create(spec(kind=RANGE_TEST), workspace)
    with pytest.raises(RequestError, match=f"is a {RANGE_TEST}: it keeps no model"):
        Predictor.load(run)
    with pytest.raises(RequestError, match="predicts nothing"):
        read_predictions(run)
    problems = check(spec(model=f"run:{run.id}"), workspace)
    assert any(RANGE_TEST in problem.message and problem.severity == "error" for problem in problems)


def test_a_range_test_result_round_trips() -> None:
    result = analyze(RATES.tolist(), curve(), diverged_at=130)
    assert RangeTestResult(**result.as_dict()) == result
