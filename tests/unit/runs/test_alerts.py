"""Alerts: each is raised for its problem, and none for healthy runs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workbench.runs.run import Run
from workbench.runs.series.alerts import find_alerts
from workbench.spec import RunSpec
from workbench.workspace import Workspace

RANDOM = np.random.default_rng(0)


@pytest.fixture
def make_run(workspace: Workspace) -> Callable[..., Run]:
    def build(train: Any = (), evaluated: Any = (), state: str = "succeeded", every: int = 10) -> Run:
        run = Run.create(RunSpec.parse({"task": "t", "data": "d.csv", "model": "m"}), workspace)
        rows: list[dict[str, Any]] = [
            {"step": s, "time": float(s), "train/loss": None if np.isnan(y) else float(y)} for s, y in enumerate(train)
        ]
        rows += [{"step": every * (i + 1), "time": 1.0 * i, "eval/loss": float(y)} for i, y in enumerate(evaluated)]
        (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        run.update_status(state=state, progress={"phase": "training"})
        return run

    return build


def kinds(run: Run, **fields: Any) -> list[str]:
    return [alert.kind for alert in find_alerts(run, **fields)]


FALLING = 2 * 0.99 ** np.arange(300) + 0.1 * RANDOM.normal(size=300)


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_has_no_alerts(make_run: Callable[..., Run], seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=1000)
    assert kinds(make_run(2 * 0.995 ** np.arange(1000) + 0.3 + 0.05 * noise, [1.0, 0.8, 0.7, 0.71, 0.69])) == []
    assert kinds(make_run(0.5 + 0.3 * noise)) == []  # flat and noisy
    assert kinds(make_run([])) == [] and kinds(make_run([1.0], [1.0])) == []


def test_alert_on_a_rising_loss_has_its_step(make_run: Callable[..., Run]) -> None:
    (alert,) = find_alerts(make_run(np.append(FALLING, np.linspace(0.1, 1.5, 60))))
    assert alert.kind == "rising" and 230 <= (alert.step or 0) <= 310 and "learning_rate" in alert.hint


def test_a_non_finite_loss_is_an_error_and_comes_first(make_run: Callable[..., Run]) -> None:
    losses = np.append(FALLING, np.linspace(0.1, 1.5, 60))
    losses[-1] = np.nan
    first, second = find_alerts(make_run(losses))
    assert (first.kind, first.severity, first.step) == ("non-finite", "error", 359) and second.kind == "rising"


def test_over_fitting_requires_a_falling_training_loss(make_run: Callable[..., Run]) -> None:
    evaluated = [1.0, 0.7, 0.6, 0.65, 0.7, 0.8]
    (alert,) = find_alerts(make_run(FALLING[:60], evaluated))
    assert alert.kind == "over-fitting" and alert.step == 30 and "0.6" in alert.message
    assert kinds(make_run(FALLING[:60], [*evaluated, 0.55])) == []  # it has recovered
    assert kinds(make_run(FALLING[:60], evaluated[:5])) == []  # only two rises
    assert "over-fitting" not in kinds(make_run(np.linspace(1, 2, 60), evaluated))  # training rises as well: no gap


def test_plateau_and_silence_are_reported_only_while_running(make_run: Callable[..., Run]) -> None:
    flat = [1.0, 0.9, 0.8, 0.7, 0.6, *[0.6001] * 7]
    run = make_run(FALLING, flat, "running")
    lock = run.process_lock()
    lock.acquire()
    try:
        assert kinds(run, now=time.time() + 10) == ["plateau"]
        assert kinds(run, now=time.time() + 600) == ["plateau", "silent"]
        run.update_status(progress={"phase": "answering for the report"})
        assert kinds(run, now=time.time() + 600) == ["plateau"]
    finally:
        lock.release()
    run.update_status(state="succeeded")
    assert kinds(run, now=time.time() + 600) == []
