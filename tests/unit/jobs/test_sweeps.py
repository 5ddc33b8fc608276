"""Sweeps: axes, proposals, and the steps of the driver with runs that the tests finish."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from workbench import jobs
from workbench.errors import RequestError, SpecError
from workbench.files import read_json, write_json
from workbench.jobs.sweep_driver import advance
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweep_space import grid, parse_axis, parse_over
from workbench.jobs.sweep_study import Study, importance
from workbench.jobs.sweeps import Sweep
from workbench.runs.run import Run
from workbench.workspace import Workspace

SPEC = {
    "name": "reviews",
    "task": "text-classification",
    "data": "rotten-tomatoes",
    "model": "minilm",
    "tuning": {"method": "lora", "rank": 4},
}


def plan(**changes: Any) -> SweepPlan:
    document = {"spec": SPEC, "over": {"training.learning_rate": "1e-5..1e-3:log", "tuning.rank": "4,8,16"}}
    return SweepPlan.parse({**document, "method": "random", "trials": 4, **changes})


def finish_run(run_id: str, workspace: Workspace, values: list[float], state: str = "succeeded") -> Run:
    """Write evaluations of a run and finish it, as its process would."""
    run = Run.open(run_id, workspace)
    for step, value in enumerate(values, start=1):
        run.append_metrics({"step": step, "eval/accuracy": value})
    run.update_status(state=state)
    return run


def finish_sweep(sweep: Sweep, value_of: Any = lambda trial: trial["number"] / 10, steps: int = 100) -> dict[str, Any]:
    """Finish every run of a sweep successfully, step by step."""
    for _ in range(steps):
        advance(sweep)
        state = sweep.read()
        if state["state"] != "running":
            return state
        for trial in state["trials"]:
            for run_id in trial["runs"].values():
                if any(run.id == run_id for run in jobs.queue(sweep.workspace)):
                    finish_run(run_id, sweep.workspace, [value_of(trial)])
    raise AssertionError("the sweep does not end")


# -- axes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4,8,16", [4, 8, 16]),
        ("1e-5, 3e-5", [1e-5, 3e-5]),
        ("full,lora", ["full", "lora"]),
        ("true,false", [True, False]),
        ("null,0.5", [None, 0.5]),
        ("full,{method: lora, rank: 8}", ["full", {"method": "lora", "rank": 8}]),
        ("2..5", [2, 3, 4, 5]),
        ("0..0.2:3", [0.0, 0.1, 0.2]),
        ("1e-5..1e-3:log:3", [1e-5, 1e-4, 1e-3]),
        ("1..100:log:3", [1, 10, 100]),
        ("-2..2:3", [-2, 0, 2]),
    ],
)
def test_axes_are_parsed(text: str, values: list[Any]) -> None:
    axis = parse_axis(text, "field")
    assert axis.grid() == pytest.approx(values) if isinstance(values[0], float) else axis.grid() == values
    assert parse_axis(axis.to_text(), "field") == axis


@pytest.mark.parametrize("text", ["", "5..1", "0..1:log", "1..2:cubic", "4,4", "1..2:1", "a..b", "[", "1..nan"])
def test_invalid_axes_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="field"):
        parse_over([f"field={text}"])


def test_a_grid_is_the_product() -> None:
    axes = parse_over(["a=1,2,3", "b=x,y", "c=0..1.0:3"])
    expected = [{"a": a, "b": b, "c": c} for a, b, c in itertools.product([1, 2, 3], ["x", "y"], [0, 0.5, 1])]
    assert grid(axes) == expected
    with pytest.raises(RequestError, match="the number of values"):
        grid(parse_over(["a=0..0.5"]))
    with pytest.raises(RequestError, match="combinations"):
        grid(parse_over(["a=1..1000", "b=1..1000"]))


# -- proposals -----------------------------------------------------------------------------------------------------


def proposals(file: Any, method: str, seed: int, count: int, reopen: bool = False) -> list[dict[str, Any]]:
    axes = parse_over(["lr=1e-5..1e-3:log", "k=2..9", "m=a,b"])
    study, trials = Study(file, axes, method, [], True, seed), []
    for number in range(count):
        if reopen:  # as if the worker had been restarted
            study.close()
            study = Study(file, axes, method, [], True, seed)
        values = study.propose(number)
        assert study.propose(number) == values
        study.tell(number, "succeeded", -abs(math.log10(values["lr"]) + 4) + values["k"])
        trials.append(values)
    study.close()
    return trials


def test_tpe_repeats_with_the_same_seed_and_after_restarts(tmp_path: Any) -> None:
    first = proposals(tmp_path / "a.db", "tpe", 3, 13)
    assert first == proposals(tmp_path / "b.db", "tpe", 3, 13, reopen=True)
    assert first[:3] != proposals(tmp_path / "c.db", "tpe", 4, 3)
    assert len({each["lr"] for each in first}) == 13


def test_random_values_fill_the_range_evenly(tmp_path: Any) -> None:
    trials = proposals(tmp_path / "a.db", "random", 0, 40)
    below = sum(each["lr"] < 1e-4 for each in trials)  # half, in the logarithm
    assert 10 <= below <= 30 and all(1e-5 <= each["lr"] <= 1e-3 for each in trials)
    assert {each["k"] for each in trials} <= set(range(2, 10)) and len({each["k"] for each in trials}) > 5


def test_the_deciding_field_has_the_highest_importance() -> None:
    axes = parse_over(["a=0..1.0", "b=0..1.0"])
    trials = [({"a": i / 20, "b": (i * 7 % 20) / 20}, i / 20 + 0.01 * (i * 7 % 20) / 20) for i in range(20)]
    shares = importance(axes, trials)
    assert shares["a"] > 0.8 and sum(shares.values()) == pytest.approx(1)
    assert importance(axes, trials[:4]) == {}


# -- plans ---------------------------------------------------------------------------------------------------------


def test_a_plan_is_read_back(workspace: Workspace) -> None:
    original = plan(seeds=3, prune=True)
    assert original.seeds == [0, 1, 2]
    sweep = Sweep.create(original, workspace, start=False)
    assert sweep.plan().over == original.over and sweep.plan().seeds == [0, 1, 2]
    assert Sweep.create(original, workspace, start=False).name == f"{sweep.name}-2"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"over": {}}, "but has neither"),
        ({"over": {}, "seeds": [3]}, "--seeds 5"),
        ({"over": {"training.seed": "1,2"}}, "seeds"),
        ({"method": "grid"}, "the number of values"),
        ({"seeds": [1, 1]}, "twice"),
        ({"trials": 0}, "trials"),
        ({"spec": "no-such-preset"}, "preset"),
    ],
)
def test_wrong_plans_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        plan(**changes)


@pytest.mark.parametrize(
    "over", [{"training.epoch": "1,2"}, {"tuning.rank": "0,4"}, {"training.learning_rate": "1..99.0"}]
)
def test_invalid_values_are_refused_before_anything_starts(over: dict[str, str], workspace: Workspace) -> None:
    with pytest.raises(SpecError):
        Sweep.create(plan(over=over), workspace, start=False)
    assert not Sweep.all(workspace) and not Run.all(workspace)


# -- the driver ----------------------------------------------------------------------------------------------------


def test_a_sweep_over_seeds_only_repeats_the_run_with_each_seed(workspace: Workspace) -> None:
    seeds_only = SweepPlan.parse({"spec": SPEC, "seeds": 5})
    assert (seeds_only.size(), seeds_only.combinations(), seeds_only.method) == (1, [{}], "grid")
    sweep = Sweep.create(seeds_only, workspace, start=False)
    advance(sweep)
    runs = [Run.open(run_id, workspace) for run_id in sweep.read()["trials"][0]["runs"].values()]
    specs = [run.spec().changed({"name": None, "training.seed": 0}) for run in runs]
    assert [run.spec().training.seed for run in runs] == [0, 1, 2, 3, 4] and all(spec == specs[0] for spec in specs)
    for index, run in enumerate(runs):
        finish_run(run.id, workspace, [0.1 * index])
    advance(sweep)
    summary = sweep.summary()
    assert (
        summary["state"] == "succeeded" and summary["best"]["value"] == pytest.approx(0.2) and sweep.importance() == {}
    )


def test_a_sweep_over_seeds_only_needs_no_validation_split(workspace: Workspace) -> None:
    sweep = Sweep.create(SweepPlan.parse({"spec": SPEC, "seeds": [3, 7]}), workspace, start=False)
    advance(sweep)
    for run_id in sweep.read()["trials"][0]["runs"].values():
        finish_run(run_id, workspace, [])
    advance(sweep)
    state = sweep.read()
    assert (state["state"], state["trials"][0]["state"], state["trials"][0]["value"]) == (
        "succeeded",
        "succeeded",
        None,
    )


def test_a_seed_that_fails_does_not_stop_the_others(workspace: Workspace) -> None:
    sweep = Sweep.create(SweepPlan.parse({"spec": SPEC, "seeds": 3}), workspace, start=False)
    advance(sweep)
    first, second, third = sweep.read()["trials"][0]["runs"].values()
    finish_run(first, workspace, [], "failed")
    advance(sweep)
    assert [run.id for run in jobs.queue(workspace)] == [second, third]
    for run_id in (second, third):
        finish_run(run_id, workspace, [0.5])
    advance(sweep)
    state = sweep.read()
    (trial,) = state["trials"]
    assert (state["state"], trial["state"], trial["failed"], trial["value"]) == ("succeeded", "failed", ["0"], None)
    assert trial["figures"] == {"0": None, "1": 0.5, "2": 0.5}


def test_seeds_of_a_spec_that_cannot_run_are_refused(workspace: Workspace) -> None:
    wrong = {**SPEC, "tuning": {"method": "lora", "rank": 0}}
    with pytest.raises(SpecError):
        Sweep.create(SweepPlan.parse({"spec": wrong, "seeds": 2}), workspace, start=False)
    assert not Sweep.all(workspace)


def test_a_grid_runs_every_combination_once_and_the_best_is_the_maximum(workspace: Workspace) -> None:
    over = {"training.learning_rate": "1e-4,1e-3", "tuning.rank": "4,8,16"}
    sweep = Sweep.create(plan(method="grid", trials=None, over=over), workspace, start=False)
    state = finish_sweep(
        sweep, lambda trial: trial["values"]["tuning.rank"] * trial["values"]["training.learning_rate"]
    )
    specs = [run.spec() for run in Run.all(workspace)]
    assert state["state"] == "succeeded"
    assert sorted((s.training.learning_rate, s.tuning.options["rank"]) for s in specs) == sorted(
        itertools.product([1e-4, 1e-3], [4, 8, 16])
    )
    assert {s.group for s in specs} == {sweep.name} and sorted(s.trial or 0 for s in specs) == list(range(6))
    best = sweep.best()
    assert best and best["values"] == {"training.learning_rate": 1e-3, "tuning.rank": 16}


def test_only_a_few_runs_are_queued_ahead(workspace: Workspace) -> None:
    sweep = Sweep.create(plan(trials=9), workspace, start=False)
    for _ in range(3):
        advance(sweep, slots=2)
    assert len(jobs.queue(workspace)) == 3


def test_a_trial_is_the_mean_of_its_seeds(workspace: Workspace) -> None:
    sweep = Sweep.create(plan(trials=1, seeds=[5, 7]), workspace, start=False)
    advance(sweep)
    runs = sweep.read()["trials"][0]["runs"]
    assert [Run.open(runs[s], workspace).spec().training.seed for s in ("5", "7")] == [5, 7]
    finish_run(runs["5"], workspace, [0.2, 0.9, 0.5])  # its best evaluation counts
    advance(sweep)
    assert sweep.read()["trials"][0]["state"] == "running"
    finish_run(runs["7"], workspace, [0.7])
    advance(sweep)
    trial = sweep.read()["trials"][0]
    assert trial["state"] == "succeeded" and trial["value"] == pytest.approx(0.8)


def test_a_sweep_continues_after_failed_deleted_and_interrupted_runs(workspace: Workspace) -> None:
    sweep = Sweep.create(plan(trials=4), workspace, start=False)
    advance(sweep)
    first, second = (trial["runs"]["0"] for trial in sweep.read()["trials"])
    finish_run(first, workspace, [], "failed")
    Run.open(second, workspace).delete()
    advance(sweep)
    assert [trial["state"] for trial in sweep.read()["trials"]] == ["failed", "failed", "running", "running"]
    third = Run.open(sweep.read()["trials"][2]["runs"]["0"], workspace)
    third.update_status(state="running", process={"pid": 1})  # and nobody holds its lock
    advance(sweep)
    assert third.state == "queued"
    assert finish_sweep(sweep)["state"] == "succeeded" and len(Run.all(workspace)) == 3


def test_an_interrupted_step_creates_no_run_twice(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the driver is killed at each write after creating runs, it reuses these runs and creates none twice."""
    from workbench.jobs import sweeps

    sweep = Sweep.create(plan(trials=3, seeds=2), workspace, start=False)

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(sweeps, "write_json", kill)
            with pytest.raises(KeyboardInterrupt):
                advance(sweep)
    run_ids = {run.id for run in Run.all(workspace)}
    assert len(run_ids) == 2 and sweep.read()["trials"] == []
    advance(sweep)
    assert {run.id for run in Run.all(workspace)} == run_ids
    assert finish_sweep(sweep)["state"] == "succeeded" and len(Run.all(workspace)) == 6


def test_a_bad_trial_is_abandoned_and_its_other_seeds_are_never_run(workspace: Workspace) -> None:
    sweep = Sweep.create(plan(trials=6, seeds=2, prune=True), workspace, start=False)
    for number in range(4):
        while len(sweep.read()["trials"]) <= number:
            advance(sweep)
        for _ in range(2):
            for run_id in sweep.read()["trials"][number]["runs"].values():
                if Run.open(run_id, workspace).state == "queued":
                    finish_run(run_id, workspace, [0.5, 0.8])
            advance(sweep)
    assert [trial["state"] for trial in sweep.read()["trials"][:4]] == ["succeeded"] * 4
    bad = sweep.read()["trials"][4]
    run = Run.open(bad["runs"]["0"], workspace)
    lock = run.process_lock()
    assert list(bad["runs"]) == ["0"] and lock.acquire()
    run.update_status(state="running", process={"pid": 1})
    run.append_metrics({"step": 1, "eval/accuracy": 0.6})
    advance(sweep)
    assert sweep.read()["trials"][4]["state"] == "running"  # better than the median of 0.5
    run.append_metrics({"step": 2, "eval/accuracy": 0.3})
    advance(sweep)
    lock.release()
    # A trial is judged by its best value so far (0.6), which is below the others' 0.8.
    assert sweep.read()["trials"][4]["state"] == "pruned" and run.stop_requested()
    assert list(sweep.read()["trials"][4]["runs"]) == ["0"]


def test_a_stopped_sweep_can_be_resumed(workspace: Workspace) -> None:
    sweep = Sweep.create(plan(trials=3), workspace, start=False)
    advance(sweep)
    sweep.stop()
    assert sweep.read()["state"] == "stopped" and not jobs.queue(workspace)
    advance(sweep)
    assert len(Run.all(workspace)) == 2 and not jobs.queue(workspace)
    sweep.resume(start=False)
    advance(sweep)
    assert len(jobs.queue(workspace)) == 2 and len(Run.all(workspace)) == 2
    assert finish_sweep(sweep)["state"] == "succeeded"
    with pytest.raises(RequestError, match="nothing to resume"):
        sweep.resume(start=False)


def test_a_damaged_study_ends_the_sweep_and_not_the_worker(workspace: Workspace) -> None:
    from workbench.jobs.sweep_driver import advance_all

    sweep = Sweep.create(plan(), workspace, start=False)
    (sweep.folder / "study.db").write_bytes(b"no database" * 1000)
    lines: list[str] = []
    advance_all(workspace, 1, lines.append)
    assert sweep.read()["state"] == "failed" and "failed" in lines[0]
    state = read_json(sweep.folder / "state.json")
    write_json(sweep.folder / "state.json", state)
    assert sweep.summary()["error"]


# -- the queue -----------------------------------------------------------------------------------------------------


def test_a_paused_queue_starts_nothing_and_reports_it(workspace: Workspace) -> None:
    from workbench.jobs.worker import Worker
    from workbench.spec import RunSpec

    run = Run.create(RunSpec.parse(SPEC), workspace)
    jobs.pause(workspace)
    lines: list[str] = []
    worker = Worker(workspace, 1, lambda run: ["true"], lines.append)
    assert not worker.step() and run.state == "queued"
    jobs.run_worker(workspace, until_empty=True, say=lines.append)  # ends instead of polling
    assert run.state == "queued" and "paused" in jobs.queue_status(workspace)["why"]
    jobs.unpause(workspace, start=False)
    assert not jobs.queue_status(workspace)["paused"] and jobs.queue_status(workspace)["queued"] == [run.id]
