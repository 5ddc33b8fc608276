"""The public API, on fake run folders."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

import workbench as wb
from tests.dashboard.fake_runs import fake_run
from workbench import jobs
from workbench.errors import RequestError, RunError, SpecError, UnknownNameError
from workbench.runs.tags import tag
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def resolve_to_itself(spec: RunSpec, workspace: Workspace) -> SimpleNamespace:
    """Resolve a spec to itself."""
    return SimpleNamespace(spec=spec)


def test_importing_the_package_imports_nothing_heavy() -> None:
    """Neither the package nor its names and specs import heavy packages."""
    code = (
        "import sys, workbench as wb; heavy = {'torch', 'transformers', 'pandas', 'numpy', 'pydantic', 'rich'}; "
        "loaded = heavy & set(sys.modules); assert not loaded, loaded; dir(wb); wb.load_spec('demo-lora'); wb.Run; "
        "wb.compare; loaded = {'torch', 'transformers', 'pandas'} & set(sys.modules); assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_submodules_do_not_hide_functions_of_the_same_name() -> None:
    for name in ("workbench.check", "workbench.compare.seeds", "workbench.runs.query"):
        importlib.import_module(name)
    assert all(inspect.isfunction(function) for function in (wb.check, wb.compare, wb.runs))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        wb.train  # noqa: B018


def test_fields_change_by_keyword_and_by_path() -> None:
    spec = wb.load_spec("demo-lora", {"training.epochs": 3}, training__batch_size=4, name="mine")
    assert (spec.training.epochs, spec.training.batch_size, spec.name) == (3, 4, "mine")
    assert wb.load_spec(spec) is spec
    assert wb.load_spec(spec.model_dump(mode="json")) == spec
    with pytest.raises(SpecError, match=r"training\.epoch"):
        wb.load_spec("demo-lora", training__epoch=2)
    with pytest.raises(UnknownNameError):
        wb.load_spec("no-such-preset")


def test_check_lists_problems_of_values_and_of_fields(workspace: Workspace) -> None:
    assert not [p for p in wb.check("demo-lora", workspace=workspace) if p.severity == "error"]
    [problem] = wb.check("demo-lora", data__train="no-such.csv")
    assert problem.severity == "error" and problem.field == "data.train"
    assert "epochs" in wb.check("demo-lora", training__epochs="many")[0].field


def test_a_finished_run_returns_its_metrics_and_draws_itself(workspace: Workspace) -> None:
    stored = fake_run(workspace, name="<b>reviews</b>")
    run = wb.Run.open(stored.id)
    curves = run.metrics()
    assert {"step", "train/loss", "eval/accuracy"} <= set(curves.columns)
    assert len(curves) == len(stored.read_metrics()[0])
    assert 0 < run.results()["accuracy"] < 1
    assert re.fullmatch(r"<Run \S+: accuracy 0\.\d{3}.*>", repr(run))
    page = run._repr_html_()
    assert f"{run.results()['accuracy']:.4f}" in page and "95% interval" in page


def test_an_unfinished_run_has_no_results_and_no_model(workspace: Workspace) -> None:
    run = wb.Run.open(fake_run(workspace, "failed").id)
    assert run.results() == {} and "failed" in run._repr_html_() and repr(run).endswith("failed>")
    with pytest.raises(RequestError, match="no model"):
        run.predict("A great film.")
    with pytest.raises(RunError, match=re.escape(" failed: The run needed 9.1 GB")):
        run.wait(quiet=True)


def test_waiting_for_a_stopped_run_says_that_it_was_stopped(workspace: Workspace) -> None:
    run = wb.Run.open(fake_run(workspace, "stopped").id)
    with pytest.raises(RunError) as raised:
        run.wait(quiet=True)
    message = run.status().error.message if run.status().error else ""
    assert raised.value.message == f"The run {run.id} was stopped" + (f": {message}" if message else ".")


def test_runs_are_filtered_by_condition_tag_and_archive(workspace: Workspace) -> None:
    full, lora = fake_run(workspace, tuning="full"), fake_run(workspace, tuning="lora", seed=1)
    tag(lora, ["good"])
    assert [run.id for run in wb.runs()] == [full.id, lora.id]
    assert [run.id for run in wb.runs("tuning = 'lora'")] == [lora.id]
    assert [run.id for run in wb.runs(tags=["good"])] == [lora.id]
    assert [run.id for run in wb.runs(sort="-training.seed")] == [lora.id, full.id]
    assert list(wb.runs().to_frame()["tuning"]) == ["full", "lora"]
    assert lora.id in wb.runs()._repr_html_() and lora.id in repr(wb.runs())
    with pytest.raises(RequestError):
        wb.runs("no such condition")


def test_a_comparison_prints_its_verdict_and_draws_itself(workspace: Workspace) -> None:
    first, second = wb.Run.open(fake_run(workspace).id), fake_run(workspace, tuning="lora", seed=1)
    comparison = wb.compare(first, second.id)
    assert str(comparison) == repr(comparison) == comparison.pairs[0].verdict
    page = comparison._repr_html_()
    assert f"{comparison.difference:+.4f}" in page and "p-value" in page
    assert comparison.seeds is None
    with pytest.raises(RequestError, match="at least two runs"):
        wb.compare(first)


def test_runs_over_seeds_are_compared_over_seeds(workspace: Workspace) -> None:
    runs = [fake_run(workspace, tuning=tuning, seed=seed) for tuning in ("full", "lora") for seed in range(3)]
    comparison = wb.compare(*runs)
    assert comparison.seeds is not None
    (note,) = comparison.seeds.notes
    assert "so few seeds" in note
    assert str(comparison) == "\n".join([*(pair.verdict for pair in comparison.seeds.pairs), note])


def test_run_reuses_a_successful_run_and_raises_the_error_of_a_failed_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = fake_run(workspace, seed=1), fake_run(workspace, "failed", seed=2)
    submitted: list[object] = []

    def submit(spec: object, workspace: Workspace, start: bool) -> object:
        submitted.append(spec)
        return fake_run(workspace, "failed", seed=3)

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(
        importlib.import_module("workbench.check"), "resolve", lambda spec, _: type("Resolved", (), {"spec": spec})
    )
    assert wb.run(done.spec(), reuse=True, quiet=True).id == done.id and not submitted
    with pytest.raises(RunError, match=re.escape(" failed: The run needed 9.1 GB")):
        wb.run(done.spec(), reuse=True, quiet=True, training__seed=2)
    with pytest.raises(RunError):  # without reuse it runs again
        wb.run(done.spec(), quiet=True)
    assert len(submitted) == 2


def test_run_without_waiting_returns_a_queued_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "submit", lambda spec, workspace, start: fake_run(workspace, "queued"))
    monkeypatch.setattr(
        importlib.import_module("workbench.check"), "resolve", lambda spec, _: type("Resolved", (), {"spec": spec})
    )
    run = wb.run("demo-lora", wait=False)
    assert run.state == "queued"
    run.stop()
    assert run.state == "stopped"
