"""Range tests as runs: what they suggest is learned with, and neither a kill nor a stop changes what they find."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.integration.faulty_runs import leftovers, requeue
from tests.integration.test_cli import call, ending, read, write_spec
from tests.integration.write_faults import Fault
from tests.tiny import make_run
from workbench.runs.documents import RangeTestResult
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.training.core import checkpoint
from workbench.workspace import Workspace

__all__ = ["ending"]  # a fixture

TEST = {"kind": RANGE_TEST, "range_test.steps": 120, "training.batch_size": 16}


def done(server: Any, workspace: Workspace, changes: dict[str, Any] | None = None) -> Run:
    run = make_run(workspace, {**TEST, **(changes or {})})
    assert server.do(run).code == 0, run.log()
    return run


def result(run: Run) -> RangeTestResult:
    return run.report().range_test


@pytest.mark.slow
def test_what_it_suggests_is_learned_with(server: Any, workspace: Workspace) -> None:
    run = done(server, workspace)
    rate = result(run).suggestion
    assert 1e-4 < rate < 1e-2, result(run).how
    losses = {}
    for factor in (1, 1e-3):
        changes = {"training.learning_rate": rate * factor, "training.epochs": 30, "training.batch_size": 16}
        training = make_run(workspace, changes)
        assert server.do(training).code == 0, training.log()
        losses[factor] = [row["train/loss"] for row in training.read_metrics()[0] if "train/loss" in row][-1]
    assert losses[1] < 0.2 and losses[1e-3] > 0.6, losses  # 0.69 is what knowing nothing costs


def test_it_leaves_a_report_and_a_picture_and_no_model(server: Any, workspace: Workspace) -> None:
    run = done(server, workspace)
    report = run.report()
    assert report.metrics == {} and report.primary_metric is None
    assert report.cost.tokens_per_second > 0
    assert report.steps == len(result(run).rates) == len(run.read_metrics()[0])
    assert result(run).rates[0] == pytest.approx(1e-7)
    ElementTree.parse(run.range_test_file)
    assert not run.model_folder.exists() and not list(run.checkpoints_folder.glob("*"))
    assert leftovers(run) == []


def test_a_loss_that_explodes_ends_the_test_well(server: Any, workspace: Workspace) -> None:
    run = done(
        server, workspace, {"range_test.highest": 100.0, "range_test.lowest": 1e-5, "training.max_grad_norm": 0.0}
    )
    assert run.state == "succeeded"
    assert result(run).diverged_at is not None
    assert result(run).diverged_at <= 120 and len(result(run).rates) <= 120
    assert "diverged" in run.log()


@pytest.mark.parametrize("kind", ["kill", "stop"])
def test_interrupted_and_resumed_finds_the_same(kind: str, server: Any, workspace: Workspace) -> None:
    whole = done(server, workspace)
    run = make_run(workspace, TEST)
    server.do(run, Fault(kind, 50, "write", "metrics.jsonl"))
    assert run.state == ("interrupted" if kind == "kill" else "stopped")
    assert (checkpoint.latest(run.checkpoints_folder) is not None) == (kind == "stop")  # a stopped one goes on
    requeue(run)
    assert server.do(run).code == 0, run.log()
    assert result(run) == result(whole)


# -- through the installed command --------------------------------------------------------------------------------


def test_range_test_through_the_command_line(ending: Workspace, tmp_path: Path) -> None:
    spec = write_spec(ending, batch_size=16)
    messages = read(ending, "range-test", spec, "--set", "range_test.steps=60")
    assert (messages["state"], messages["kind"]) == ("succeeded", RANGE_TEST)
    assert messages["report"]["range_test"]["how"]
    run_id = messages["id"]
    listed = call(ending, "runs").stdout
    assert run_id in listed and "learning rate" in listed
    page = tmp_path / "page.html"
    shown = call(ending, "show", run_id, "--html", str(page))
    assert messages["report"]["range_test"]["how"] in shown.stdout
    assert "<svg" in page.read_text() and "<script" not in page.read_text()
    for command in (
        ["predict", run_id, "--text", "x"],
        ["explain", run_id, "--text", "x"],
        ["compare", run_id, run_id],
    ):
        refused = call(ending, *command)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert RANGE_TEST in call(ending, "predict", run_id, "--text", "x").stderr
    assert "learning-rate-range-test" in call(ending, "check", spec, "--set", f"model=run:{run_id}").stdout
    assert read(ending, "delete", run_id) == [run_id]


def test_the_kind_can_be_set_and_a_check_tells_what_is_not_read(ending: Workspace) -> None:
    spec = write_spec(ending)
    problems = read(ending, "check", spec, "--set", f"kind={RANGE_TEST}")
    assert [(p["severity"], p["field"]) for p in problems] == [("info", "kind")]
    assert "training.epochs" in problems[0]["message"]
    problems = read(ending, "check", spec, "--set", "training.max_minutes=5")
    assert [(p["severity"], p["field"]) for p in problems] == [("info", "training.max_minutes")]
    constant = ["--set", "training.lr_schedule=constant"]
    assert read(ending, "check", spec, "--set", "training.max_minutes=5", *constant) == []


@pytest.mark.slow
def test_a_model_that_writes_through_the_command_line(ending: Workspace, tmp_path: Path) -> None:
    text = "\n\n".join(
        f"The {a} cat saw the {b} dog, and the {b} dog ran away from the {a} cat." for a in WORDS for b in WORDS
    )
    (ending.uploads / "cats.txt").write_text(text, encoding="utf-8")
    trained = read(
        ending,
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
    assert trained["vocab_size"] <= 300 and (tmp_path / "t" / "tokenizer.json").exists()
    again = call(ending, "tokenizer", "train", "uploads/cats.txt", "--out", str(tmp_path / "t"))
    assert again.returncode == 2 and "not an empty folder" in again.stderr
    document = {
        "task": "causal-lm",
        "data": {"train": "uploads/cats.txt", "max_length": 32},
        "model": {"source": "transformer-decoder", "size": "tiny", "tokenizer": {"train": "bpe", "vocab_size": 300}},
        "training": {"epochs": 50, "max_steps": 30, "eval_every": 10, "learning_rate": 3e-3, "device": "cpu"},
    }
    (ending.root / "cats.yaml").write_text(json.dumps(document), encoding="utf-8")
    messages = read(ending, "run", "cats.yaml")
    assert messages["state"] == "succeeded", messages["error"]
    assert {sample["step"] for sample in messages["samples"]} == {30}
    shown = call(ending, "show", messages["id"]).stdout
    assert "Generated after step 30" in shown and "perplexity" in shown
    question = ["predict", messages["id"], "--text", "The red cat", "--set", "max_new_tokens=5"]
    (answer,) = read(ending, *question)
    assert answer["tokens"] <= 5 and answer["text"]
    assert "The red cat" in call(ending, *question).stdout
    assert call(ending, *question[:-1], "max_new_tokns=5").returncode == 2


WORDS = ["red", "old", "big", "shy", "fat", "odd", "sad", "wet"]
