"""Cost estimates: counts that match the loop, extrapolation checked by hand, and complete profiling runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import make_run
from workbench.check import resolve
from workbench.data.text.batching import Batches
from workbench.errors import RunError, SpecError
from workbench.jobs import estimate
from workbench.runs import estimates
from workbench.runs.documents import Cost, Estimate, Interval
from workbench.runs.run import Run
from workbench.spec import RunSpec, TrainingSpec
from workbench.training.core.steps import StepSchedule
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

ESTIMATE = Estimate(
    total_seconds=Interval(value=100, low=80, high=120),
    seconds=Interval(value=90, low=70, high=110),
    peak_memory_bytes=Interval(value=2e9, low=1.8e9, high=2.2e9),
    trained_parameters=10,
    total_parameters=20,
    steps=5,
    seconds_per_step=1.0,
    evaluations=1,
    seconds_per_evaluation=2.0,
    measured_steps=5,
    took_seconds=9.0,
    device="cpu",
    machine="a machine",
)


def spec_of(workspace: Workspace, **changes: Any) -> RunSpec:
    run = make_run(workspace, changes)
    spec = run.spec()
    run.delete()
    return spec


# -- extrapolation ------------------------------------------------------------------------------------------------


def test_a_line_is_fitted_through_noise_and_never_falls() -> None:
    from workbench.training.extrapolation import Line

    sizes = np.array([100.0, 400.0, 900.0, 1600.0])
    line = Line.through(sizes, 0.05 + 0.001 * sizes)
    assert (line.start, line.slope) == (pytest.approx(0.05), pytest.approx(0.001)) and line.error() < 1e-9
    through_zero = Line.through(sizes, 0.001 * sizes - 0.01)
    assert through_zero.start == 0 and through_zero.slope > 0
    level = Line.through(sizes, np.array([4.0, 3.0, 2.0, 1.0]))
    assert (level.start, level.slope) == (2.5, 0.0)
    same = Line.through(np.full(4, 128.0), np.array([1.0, 2.0, 1.0, 2.0]))
    assert same.at(np.array([128]))[0] == 1.5


def test_slowing_memory_growth_is_extrapolated() -> None:
    from workbench.training.extrapolation import memory_growth

    resident = [int(1e9 + 1e8 * np.log(step)) for step in range(1, 21)]
    assert memory_growth(resident, 2000) == pytest.approx(1e8 * np.log(100), rel=1e-3)
    assert memory_growth(resident, 20) == 0 == memory_growth(resident, 5)  # all steps were measured
    assert memory_growth([10**9] * 20, 2000) == pytest.approx(0, abs=1)
    assert memory_growth(resident[::-1], 2000) == 0  # shrinking memory is not extrapolated
    assert memory_growth([1, 2 * 10**9], 10**6) == 0  # too few measurements


def test_sampled_steps_begin_with_the_largest_and_cover_all_sizes() -> None:
    from workbench.training.extrapolation import first_epoch, sample_steps

    lengths = np.random.default_rng(0).integers(3, 200, size=1000)
    plan = Batches(lengths, 8)
    steps = first_epoch(StepSchedule.from_spec(plan, TrainingSpec(epochs=3, gradient_accumulation=2)))
    sampled = sample_steps(steps, plan, count=12)
    sizes = [plan.padded_tokens(list(step.batches)) for step in sampled]
    all_sizes = [plan.padded_tokens(list(step.batches)) for step in steps]
    assert len(steps) == 63 and len(sampled) == 12
    assert sizes[0] == max(all_sizes) and min(all_sizes) in sizes
    assert abs(np.mean(sizes) / np.mean(all_sizes) - 1) < 0.15
    assert sizes[1:] != sorted(sizes[1:], reverse=True)  # time may be up before the last


@pytest.mark.parametrize("every", [None, 1, 7, 1000])
@pytest.mark.parametrize(
    "settings", [{"epochs": 3}, {"epochs": 2.5, "gradient_accumulation": 3}, {"epochs": 9, "max_steps": 75}]
)
def test_periodic_actions_are_counted_as_the_loop_counts_them(settings: dict[str, Any], every: int | None) -> None:
    from workbench.training.core.state import TrainState
    from workbench.training.extrapolation import times_due
    from workbench.training.loop import is_due

    lengths = np.random.default_rng(1).integers(3, 60, size=61)
    plan = Batches(
        lengths, max_tokens_per_batch=128, group_by_length=False
    )  # its epochs have different numbers of batches
    assert len({plan.count(epoch) for epoch in range(4)}) > 1
    steps = StepSchedule.from_spec(plan, TrainingSpec(**settings))
    expected = 0
    for number, step in enumerate(steps.optimizer_steps(TrainState()), start=1):
        expected += is_due(number, every, step.ends_epoch) or number == steps.total
    assert times_due(steps, every) == expected


def test_an_estimate_is_stored_for_its_settings(workspace: Workspace) -> None:
    spec = spec_of(workspace)
    estimates.save(ESTIMATE, spec, workspace)
    same = spec.changed({"name": "other", "notes": "x", "training.seed": 9})
    assert estimates.find(same, workspace) == ESTIMATE
    for change in ({"training.batch_size": 9}, {"data.max_length": 64}, {"tuning": "head"}, {"data.limit.train": 50}):
        assert estimates.find(resolve(spec.changed(change), workspace).spec, workspace) is None, change
    with open(spec.data.train, "a", encoding="utf-8") as file:
        file.write("a quite lovely plot,good\n")
    assert estimates.find(spec, workspace) is None  # the file has changed


def test_a_damaged_estimate_is_none() -> None:
    whole = ESTIMATE.as_dict()
    assert Estimate.read(whole) == ESTIMATE
    for damaged in (None, [], {}, {**whole, "seconds": 3}, {k: v for k, v in whole.items() if k != "steps"}):
        assert Estimate.read(damaged) is None


def test_errors_are_relative_to_the_truth() -> None:
    cost = Cost(total_seconds=80.0, seconds=100.0, peak_memory_bytes=2_000_000_000)
    estimate_with_errors = estimates.with_errors(ESTIMATE, cost)
    assert estimate_with_errors is not None
    assert estimate_with_errors.errors == {"total_seconds": 0.25, "seconds": -0.1, "peak_memory_bytes": 0.0}
    assert estimates.with_errors(None, cost) is None


# -- a profiling run in this process ------------------------------------------------------------------------------


def profiling_run(spec: RunSpec, workspace: Workspace) -> Any:
    from workbench.training.estimate import ProfilingReporter, ProfilingRun

    run = Run.create(spec, workspace)
    run.transition(("queued",), "running")
    return ProfilingRun(run, ProfilingReporter(run))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training.epochs": 1, "training.eval_every": 5, "training.gradient_accumulation": 2},
        {"tuning": {"method": "head"}, "training.epochs": 4},
        {"tuning": {"method": "lora"}, "training.max_tokens_per_batch": 128},
        {"kind": "learning-rate-range-test", "range_test.steps": 20},
        {"data.holdout.valid": 0},
    ],
    ids=["full", "gradient_accumulation", "frozen", "lora", "range-test", "no-valid"],
)
def test_a_profiling_run_counts_like_the_run(changes: dict[str, Any], workspace: Workspace) -> None:
    run = make_run(workspace, changes)
    result = profiling_run(run.spec(), workspace).measure()
    assert run_folder(run.folder) == 0
    report = run.report()
    rows, _ = run.read_metrics()
    assert result.trained_parameters == report.cost.trained_parameters
    assert result.total_parameters == report.cost.total_parameters
    if run.kind() == "training":
        assert result.steps == report.steps
        assert result.evaluations == sum("eval/loss" in row for row in rows)
    for interval in (result.total_seconds, result.seconds, result.peak_memory_bytes):
        assert 0 < interval.low <= interval.value <= interval.high


def test_slow_steps_make_a_long_estimate(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.training import estimate as measuring

    accumulate_gradients = measuring.accumulate_gradients

    def slow(*arguments: Any) -> None:
        time.sleep(0.05)
        accumulate_gradients(*arguments)

    monkeypatch.setattr(measuring, "accumulate_gradients", slow)
    result = profiling_run(spec_of(workspace, **{"training.epochs": 100}), workspace).measure()
    assert result.steps > 900 and 0.05 * result.steps < result.seconds.value < 0.15 * result.steps


def test_max_minutes_and_patience_bound_the_estimate(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"training.epochs": 10_000, "training.max_minutes": 0.01, "training.early_stopping_patience": 2}
    result = profiling_run(spec_of(workspace, **changes), workspace).measure()
    assert result.seconds.value == pytest.approx(0.6)
    assert result.seconds.low < 0.1 and len(result.notes) == 2


# -- a process of its own -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_report_contains_the_estimate_with_its_errors(workspace: Workspace) -> None:
    spec = spec_of(workspace)
    progress: list[dict[str, Any]] = []
    result = estimate.estimate(spec, workspace, on_progress=progress.append)
    assert any(entry.get("phase") for entry in progress)
    assert estimate.status(spec, workspace).estimate == result
    assert not list((workspace.root / "estimates").glob("*/checkpoints")) and not Run.all(workspace)
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 0
    report = run.report()
    assert report.estimate.model_copy(update={"errors": None}) == result
    assert set(report.estimate.errors) == {"total_seconds", "seconds", "peak_memory_bytes"}


@pytest.mark.slow
def test_failed_and_canceled_profiling_runs_are_reported(workspace: Workspace) -> None:
    spec = spec_of(workspace)
    tokenizer_file = Path(spec.model.source.removeprefix("path:")) / "tokenizer.json"
    content = tokenizer_file.read_bytes()
    document = json.loads(content)
    document["model"]["vocab"]["film"] = 9999  # the model has no embedding of it
    tokenizer_file.write_text(json.dumps(document))
    with pytest.raises(RunError, match="profiling run of this spec failed"):
        estimate.estimate(spec, workspace)
    assert estimate.status(spec, workspace).state == "failed"
    tokenizer_file.write_bytes(content)
    estimate.start(spec, workspace)
    assert estimate.status(spec, workspace).state == "measuring"
    estimate.start(spec, workspace)  # two pages share it
    estimate.cancel(spec, workspace)
    deadline = time.monotonic() + 60
    while estimate.status(spec, workspace).state == "measuring" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert estimate.status(spec, workspace).state in ("stopped", "done")


@pytest.mark.slow
def test_a_terminated_command_stops_its_profiling_run(workspace: Workspace, tmp_path: Path) -> None:
    spec = spec_of(workspace).changed({"training.epochs": 1000})
    (tmp_path / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "workbench", "estimate", str(tmp_path / "spec.yaml")]
    process = subprocess.Popen(command, env={**os.environ, "WORKBENCH_HOME": str(workspace.root)})
    deadline = time.monotonic() + 60
    while not estimate.status(spec, workspace).progress and time.monotonic() < deadline:
        time.sleep(0.05)  # until the profiling run itself reports progress
    process.terminate()
    assert process.wait(60) == 130
    while estimate.status(spec, workspace).state == "measuring" and time.monotonic() < deadline:
        time.sleep(0.1)
    status = estimate.status(spec, workspace)
    assert status.state == "stopped", status


def test_an_invalid_spec_is_not_estimated(workspace: Workspace) -> None:
    spec = spec_of(workspace).changed({"data.train": "/no/such.csv"})
    with pytest.raises(SpecError, match="neither a file"):
        estimate.start(spec, workspace)
    confined = spec_of(workspace).changed({"data.train": "/etc/passwd"})
    with pytest.raises(SpecError):
        estimate.start(confined, workspace, confined=True)
    assert not (workspace.root / "estimates").exists()
