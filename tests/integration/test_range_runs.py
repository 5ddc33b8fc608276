"""Learning-rate range tests as runs: the suggested rate works, and neither a kill nor a stop changes the result."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli_process import call, call_json, write_spec
from tests.integration.faulty_runs import leftovers, requeue
from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.runs.documents import RangeTestResult
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.training.core import checkpoint
from workbench.workspace import Workspace

ADJECTIVES = ["red", "old", "big", "shy", "fat", "odd", "sad", "wet"]
SETTINGS = {"kind": RANGE_TEST, "range_test.steps": 120, "training.batch_size": 16}


def run_range_test(server: Any, workspace: Workspace, changes: dict[str, Any] | None = None) -> Run:
    run = make_run(workspace, {**SETTINGS, **(changes or {})})
    assert server.execute(run).code == 0, run.log()
    return run


def result_of(run: Run) -> RangeTestResult:
    return run.report().range_test


@pytest.mark.slow
def test_the_suggested_learning_rate_works(server: Any, workspace: Workspace) -> None:
    run = run_range_test(server, workspace)
    rate = result_of(run).suggestion
    assert 1e-4 < rate < 1e-2, result_of(run).how
    losses = {}
    for factor in (1, 1e-3):
        changes = {"training.learning_rate": rate * factor, "training.epochs": 30, "training.batch_size": 16}
        training = make_run(workspace, changes)
        assert server.execute(training).code == 0, training.log()
        losses[factor] = [row["train/loss"] for row in training.read_metrics()[0] if "train/loss" in row][-1]
    assert losses[1] < 0.2 and losses[1e-3] > 0.6, losses  # 0.69 = ln 2 is the loss of a model that has learned nothing


def test_a_range_test_writes_a_report_and_a_plot_but_no_model(server: Any, workspace: Workspace) -> None:
    run = run_range_test(server, workspace)
    report = run.report()
    assert report.metrics == {} and report.primary_metric is None
    assert report.cost.tokens_per_second > 0
    assert report.steps == len(result_of(run).rates) == len(run.read_metrics()[0])
    assert result_of(run).rates[0] == pytest.approx(1e-7)
    ElementTree.parse(run.range_test_file)
    assert not run.model_folder.exists() and not list(run.checkpoints_folder.glob("*"))
    assert leftovers(run) == []


def test_a_range_test_succeeds_when_the_loss_explodes(server: Any, workspace: Workspace) -> None:
    run = run_range_test(
        server, workspace, {"range_test.highest": 100.0, "range_test.lowest": 1e-5, "training.max_grad_norm": 0.0}
    )
    assert run.state == "succeeded"
    assert result_of(run).diverged_at is not None
    assert result_of(run).diverged_at <= 120 and len(result_of(run).rates) <= 120
    assert "diverged" in run.log()


@pytest.mark.parametrize("kind", ["kill", "stop"])
def test_a_resumed_range_test_has_the_same_result(kind: str, server: Any, workspace: Workspace) -> None:
    uninterrupted = run_range_test(server, workspace)
    run = make_run(workspace, SETTINGS)
    server.execute(run, Fault(kind, 50, "write", "metrics.jsonl"))
    assert run.state == ("interrupted" if kind == "kill" else "stopped")
    assert (checkpoint.latest(run.checkpoints_folder) is not None) == (
        kind == "stop"
    )  # a stopped one resumes from a checkpoint
    requeue(run)
    assert server.execute(run).code == 0, run.log()
    assert result_of(run) == result_of(uninterrupted)


# -- through the installed command ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_range_test_through_the_command_line(live_workspace: Workspace, tmp_path: Path) -> None:
    spec = write_spec(live_workspace, batch_size=16)
    document = call_json(live_workspace, "range-test", spec, "--set", "range_test.steps=60")
    assert (document["state"], document["kind"]) == ("succeeded", RANGE_TEST)
    assert document["report"]["range_test"]["how"]
    run_id = document["id"]
    listed = call(live_workspace, "runs").stdout
    assert run_id in listed and "learning rate" in listed
    page = tmp_path / "page.html"
    shown = call(live_workspace, "show", run_id, "--html", str(page))
    assert document["report"]["range_test"]["how"] in shown.stdout
    assert "<svg" in page.read_text() and "<script" not in page.read_text()
    for command in (
        ["predict", run_id, "--text", "x"],
        ["explain", run_id, "--text", "x"],
        ["compare", run_id, run_id],
    ):
        refused = call(live_workspace, *command)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert RANGE_TEST in call(live_workspace, "predict", run_id, "--text", "x").stderr
    assert "learning-rate-range-test" in call(live_workspace, "check", spec, "--set", f"model=run:{run_id}").stdout
    assert call_json(live_workspace, "delete", run_id) == [run_id]


def test_check_lists_the_fields_that_a_range_test_ignores(live_workspace: Workspace) -> None:
    spec = write_spec(live_workspace)
    problems = call_json(live_workspace, "check", spec, "--set", f"kind={RANGE_TEST}")
    assert [(p["severity"], p["field"]) for p in problems] == [("info", "kind")]
    assert "training.epochs" in problems[0]["message"]
    problems = call_json(live_workspace, "check", spec, "--set", "training.max_minutes=5")
    assert [(p["severity"], p["field"]) for p in problems] == [("info", "training.max_minutes")]
    constant = ["--set", "training.lr_schedule=constant"]
    assert call_json(live_workspace, "check", spec, "--set", "training.max_minutes=5", *constant) == []


@pytest.mark.slow
def test_a_language_model_through_the_command_line(live_workspace: Workspace, tmp_path: Path) -> None:
    text = "\n\n".join(
        f"The {a} cat saw the {b} dog, and the {b} dog ran away from the {a} cat."
        for a in ADJECTIVES
        for b in ADJECTIVES
    )
    (live_workspace.uploads / "cats.txt").write_text(text, encoding="utf-8")
    tokenizer = call_json(
        live_workspace,
        "tokenizer",
        "train",
        "uploads/cats.txt",
        "--kind",
        "bpe",
        "--vocab-size",
        "300",
        "--out",
        str(tmp_path / "t"),
    )
    assert tokenizer["vocab_size"] <= 300 and (tmp_path / "t" / "tokenizer.json").exists()
    again = call(live_workspace, "tokenizer", "train", "uploads/cats.txt", "--out", str(tmp_path / "t"))
    assert again.returncode == 2 and "not an empty folder" in again.stderr
    spec = {
        "task": "causal-lm",
        "data": {"train": "uploads/cats.txt", "max_length": 32},
        "model": {"source": "transformer-decoder", "size": "tiny", "tokenizer": {"train": "bpe", "vocab_size": 300}},
        "training": {"epochs": 50, "max_steps": 30, "eval_every": 10, "learning_rate": 3e-3, "device": "cpu"},
    }
    (live_workspace.root / "cats.yaml").write_text(json.dumps(spec), encoding="utf-8")
    document = call_json(live_workspace, "run", "cats.yaml")
    assert document["state"] == "succeeded", document["error"]
    assert {sample["step"] for sample in document["samples"]} == {30}
    shown = call(live_workspace, "show", document["id"]).stdout
    assert "Generated after step 30" in shown and "perplexity" in shown
    command = ["predict", document["id"], "--text", "The red cat", "--set", "max_new_tokens=5"]
    (answer,) = call_json(live_workspace, *command)
    assert answer["tokens"] <= 5 and answer["text"]
    assert "The red cat" in call(live_workspace, *command).stdout
    assert call(live_workspace, *command[:-1], "max_new_tokns=5").returncode == 2
