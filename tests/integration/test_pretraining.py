"""Language models from the corpus to predictions: pretrained, evaluated, compared, and fine-tuned further."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny import reviews, write_csv
from workbench.check import resolve
from workbench.compare.differences import compare
from workbench.errors import RequestError, UnknownNameError
from workbench.files import read_json, read_lines
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

SOURCES = {
    "masked-lm": "transformer-encoder",
    "masked-lm-nsp": "transformer-encoder",
    "causal-lm": "transformer-decoder",
    "seq2seq-denoising": "transformer-encoder-decoder",
}
SMALL = {"hidden_size": 32, "layers": 2, "heads": 2, "max_positions": 64, "dropout": 0.0}


def write_corpus(workspace: Workspace, count: int = 240) -> Path:
    """Write documents of three reviews each."""
    path = workspace.uploads / "corpus.csv"
    rows = [text for text, _ in reviews(count * 3)]
    path.write_text("text\n" + "".join(f'"{". ".join(rows[i : i + 3])}"\n' for i in range(0, len(rows), 3)))
    return path


def train(workspace: Workspace, task: Any, model: Any = None, **changes: Any) -> Run:
    name = task if isinstance(task, str) else task["name"]
    spec = RunSpec.parse(
        {
            "task": task,
            "data": {"train": str(write_corpus(workspace)), "max_length": 32},
            "model": model or {"source": SOURCES[name], "tokenizer": {"vocab_size": 120}, **SMALL},
            "training": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3, "device": "cpu", "precision": "fp32"},
        }
    )
    run = Run.create(resolve(spec.changed(changes), workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    return run


@pytest.mark.parametrize("name", SOURCES)
def test_a_language_model_is_pretrained_evaluated_and_queried(workspace: Workspace, name: str) -> None:
    run = train(workspace, name)
    report = run.report()
    assert report is not None and report.primary_metric == "loss" and report.smaller_is_better is True
    rows, _ = run.read_metrics()
    evaluated = [row for row in rows if "eval/loss" in row]
    assert evaluated[-1]["eval/loss"] < evaluated[0]["eval/loss"]
    assert {f"eval/{metric}" for metric in report.metrics} <= evaluated[0].keys()
    assert report.metrics.keys() == report.baseline.keys()
    cost = report.cost
    assert cost.flops_per_token > 6 * 1000 and {"mfu", "peak_flops", "peak_flops_source"} <= cost.as_dict().keys()
    samples, _ = read_lines(run.samples_file)
    assert {row["step"] for row in samples} == {row["step"] for row in evaluated}
    assert all(row["prompt"] and isinstance(row["text"], str) for row in samples)
    saved = read_predictions(run)
    ids = (read_json(run.splits_file) or {})["ids"]["test"]
    assert saved["id"] == ids and set(saved["correct"]) == {None}
    prompt = "a [MASK] film" if name != "causal-lm" else "the film is"
    (generation,) = Predictor.load(run).predict([{"text": prompt}])
    assert generation.prompt == prompt and isinstance(generation.text, str)
    assert any("packed into" in note for note in report.notes)


@pytest.mark.parametrize("seed", [0, 1])
def test_each_evaluation_masks_the_same_tokens(workspace: Workspace, seed: int) -> None:
    """With a learning rate too small to change the weights, all evaluations are equal, whatever the run's seed."""
    settings = {"training.learning_rate": 1e-12, "training.eval_every": 3, "training.seed": seed}
    run = train(workspace, "masked-lm", **settings)
    losses = [row["eval/loss"] for row in run.read_metrics()[0] if "eval/loss" in row]
    assert len(losses) > 2 and np.ptp(losses) < 1e-6
    train_losses = [row["train/loss"] for row in run.read_metrics()[0] if "train/loss" in row]
    assert np.ptp(train_losses) > 1e-4, "training must sample new masks each time"


def test_the_best_weights_have_the_lowest_loss(workspace: Workspace) -> None:
    """With a learning rate that ruins the model, the weights with the lowest loss are saved."""
    run = train(
        workspace,
        "causal-lm",
        **{
            "training.learning_rate": 0.3,
            "training.eval_every": 1,
            "training.max_steps": 8,
            "training.warmup_ratio": 0.9,
            "training.max_grad_norm": 0,
        },
    )
    report = run.report()
    losses = {row["step"]: row["eval/loss"] for row in run.read_metrics()[0] if "eval/loss" in row}
    assert report.best_step == min(losses, key=losses.__getitem__) != max(losses, key=losses.__getitem__)
    assert report.weights_of_step == report.best_step and losses[8] > min(losses.values())


def test_a_pretrained_model_is_fine_tuned(workspace: Workspace) -> None:
    pretrained = train(workspace, "masked-lm")
    spec = RunSpec.parse(
        {
            "task": "text-classification",
            "data": str(write_csv(workspace.uploads / "reviews.csv", 200)),
            "model": f"run:{pretrained.id}",
            "training": {"epochs": 6, "batch_size": 16, "learning_rate": 3e-3, "device": "cpu", "precision": "fp32"},
        }
    ).changed({"data.max_length": 32})
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 0, run.status().error
    assert run.report().metrics["accuracy"].value > 0.8
    first, second = (Predictor.load(each).tokenizer.get_vocab() for each in (pretrained, run))
    assert first == second, "the second run must use the first one's tokenizer"


# -- comparisons ------------------------------------------------------------------------------------------------------


def test_language_models_are_compared_by_document(workspace: Workspace) -> None:
    short = train(workspace, "causal-lm", **{"training.max_steps": 2})
    long = train(workspace, "causal-lm", **{"training.epochs": 4})
    comparison = compare([long, short])
    assert comparison.metric == "loss" and comparison.difference < 0
    assert comparison.high < 0 and comparison.p_value < 0.01
    assert long.id in comparison.verdict.split(" is better than ")[0] and "points" not in comparison.verdict
    values = [run.report().metrics["loss"].value for run in (long, short)]
    assert comparison.values == pytest.approx(values)
    assert compare([long, short], "token_accuracy").difference > 0
    with pytest.raises(UnknownNameError, match="accuracy"):
        compare([long, short], "macro_f1")


def test_models_with_different_tokenizers_are_compared_by_bits_per_byte(workspace: Workspace) -> None:
    words = train(workspace, "causal-lm")
    model = {"source": "transformer-decoder", "tokenizer": {"train": "character", "lowercase": True}, **SMALL}
    letters = train(workspace, "causal-lm", model)
    comparison = compare([words, letters])
    assert comparison.metric == "bits_per_byte"
    assert f"that of {letters.id} loses part of it (it converts text to lower case)" in comparison.verdict
    with pytest.raises(UnknownNameError, match="tokenize the texts differently"):
        compare([words, letters], "loss")
    masked = train(workspace, "masked-lm")
    with pytest.raises(RequestError, match="their metrics are different"):
        compare([words, masked])


# -- errors -----------------------------------------------------------------------------------------------------------


def test_a_corpus_shorter_than_one_sequence_fails_before_training(workspace: Workspace) -> None:
    path = workspace.uploads / "short.csv"
    path.write_text("text\n" + "".join(f"a film and a plot {i}\n" for i in range(24)))
    model = {"source": "transformer-encoder", "tokenizer": {"vocab_size": 60}, **SMALL, "max_positions": 512}
    spec = RunSpec.parse(
        {"task": "masked-lm", "data": {"train": str(path), "max_length": 256}, "model": model}
    ).changed({"training.device": "cpu"})
    run = Run.create(resolve(spec, workspace).spec, workspace)
    assert run_folder(run.folder) == 2
    error = run.status().error
    assert error.kind == "Data" and "less than one sequence of 256 tokens" in error.message
    assert run.read_metrics()[0] == []


def test_generation_options_require_a_generating_model(workspace: Workspace) -> None:
    from tests.tiny import make_run

    run = make_run(workspace, {"training.max_steps": 2})
    assert run_folder(run.folder) == 0
    with pytest.raises(RequestError, match="does not generate text"):
        Predictor.load(run).predict([{"text": "a film"}], {"temperature": 0})


# -- adapters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("pretraining_task", "tuning_task"), [("causal-lm", "causal-lm"), ("seq2seq-denoising",) * 2])
def test_an_adapted_language_model_generates(workspace: Workspace, pretraining_task: str, tuning_task: str) -> None:
    base = train(workspace, pretraining_task, **{"training.max_steps": 4})
    run = train(workspace, tuning_task, f"run:{base.id}", **{"tuning": "lora", "training.max_steps": 4})
    (generation,) = Predictor.load(run).predict([{"text": "the film [MASK]"}], {"max_new_tokens": 4})
    assert generation.tokens <= 4


def test_an_adapter_with_a_new_head_that_shares_the_embeddings_is_refused(workspace: Workspace) -> None:
    from tests.tiny import make_run

    run = make_run(workspace, {"task": "masked-lm", "tuning": "lora", "data.max_length": 32})
    assert run_folder(run.folder) == 2
    assert "an adapter cannot hold a new one" in run.status().error.message
