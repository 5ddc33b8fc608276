"""`tuning: head` solves a linear head: its weights are scikit-learn's, repeated and resumed runs have the same ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression

from tests.tiny import make_run, reviews
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.training.heads.solved_head import FEATURES_FILE, SolvedHead
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.training.results import _joined
from workbench.training.runner import run_folder
from workbench.training.trainer import Trainer
from workbench.tuning.head import STRENGTHS, linear_head
from workbench.tuning.linear_models import LinearProblem
from workbench.workspace import Workspace

SOLVED = {"tuning.method": "head", "model.pooling": "mean"}


def trainer_of(run: Run) -> Trainer:
    job = TrainingJob(run, RunReporter(run))
    return job.make_trainer(job.prepare())


def finished(workspace: Workspace, changes: dict[str, Any]) -> Run:
    run = make_run(workspace, {**SOLVED, **changes})
    assert run_folder(run.folder) == 0, run.status()
    return Run.open(run.id, workspace)


def test_the_head_is_that_of_scikit_learn(workspace: Workspace) -> None:
    run = make_run(workspace, {**SOLVED, "tuning.C": 3.0, "tuning.refit": False, "training.class_weights": "balanced"})
    trainer = trainer_of(run)
    assert isinstance(trainer, SolvedHead)
    split = trainer.prepared.splits["train"]
    features = trainer.features(split, "test").numpy()
    with torch.no_grad():  # computed here once more, one text at a time
        model, rows = trainer.model.eval(), []
        for i in range(len(split)):
            batch = trainer.evaluation.batch(split, np.array([i]))
            rows.append(
                model.base_model(**{k: v for k, v in batch.items() if k != "labels"}).last_hidden_state[0].mean(0)
            )
    np.testing.assert_allclose(features, torch.stack(rows).numpy(), atol=1e-5)
    trainer.train()
    scale = float(np.square(features - features.mean(0)).sum(1).mean())
    weight, bias = (p.detach().numpy() for p in trainer.model.classifier.parameters())
    # The difference of both rows, which are each other's negative, is penalized half as much as a single row.
    assert np.allclose(weight[0], -weight[1], atol=1e-3 * np.abs(weight).max())
    reference = LogisticRegression(C=2 * 3.0 / scale, class_weight="balanced", tol=1e-8, max_iter=10_000)
    reference.fit(features, split.encoded.targets)
    np.testing.assert_allclose(weight[1] - weight[0], reference.coef_[0], atol=1e-2 * np.abs(reference.coef_).max())
    assert bias[1] - bias[0] == pytest.approx(reference.intercept_[0], abs=1e-2 * float(np.abs(reference.coef_).max()))


def test_a_run_reports_what_it_chose_and_repeats(workspace: Workspace) -> None:
    runs = [finished(workspace, {}) for _ in range(2)]
    reports = [run.report() for run in runs]
    assert all(reports)
    first = reports[0]
    assert first is not None and reports[1] is not None
    assert (
        float(first.metrics["accuracy"].value or 0) >= 0.7
        and first.steps == 7
        and first.weights_of_step == first.best_step
    )
    assert first.tuning["C"] in STRENGTHS and any("The head was solved" in note for note in first.notes)
    assert first.cost.trained_parameters == 32 * 2 + 2
    rows = [row for row in runs[0].read_metrics()[0] if "eval/accuracy" in row]
    assert [row["step"] for row in rows] == list(range(1, 8)) and "train/C" in rows[0]
    weights = [load_file(run.model_folder / "model.safetensors") for run in runs]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    base = load_file(workspace.uploads / "tiny" / "model.safetensors")
    assert all(torch.equal(weights[0][f"bert.{n}"], w) for n, w in base.items() if "pooler" not in n), "body changed"
    (answer,) = Predictor.load(runs[0]).predict([{"text": "a wonderful film"}])
    assert answer.label == "good"  # type: ignore[union-attr]


def test_a_resumed_run_keeps_its_features(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = finished(workspace, {}).report()
    run = make_run(workspace, SOLVED)
    trainer = trainer_of(run)
    monkeypatch.setattr(SolvedHead, "_set", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert (run.checkpoints_folder / FEATURES_FILE).exists()
    monkeypatch.undo()
    monkeypatch.setattr(SolvedHead, "features", lambda *_: pytest.fail("computed again"))
    assert run_folder(run.folder) == 0, run.status()
    report = Run.open(run.id, workspace).report()
    assert report is not None and expected is not None and report.metrics == expected.metrics
    assert not (run.checkpoints_folder / FEATURES_FILE).exists()
    assert [row["step"] for row in run.read_metrics()[0] if "eval/loss" in row] == list(range(1, 8))


def test_several_labels_numbers_and_no_validation_split(workspace: Workspace) -> None:
    path = workspace.uploads / "many.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{text},{label}{'|long' if len(text) > 60 else ''},{len(text)}" for text, label in reviews(120)]
    path.write_text("\n".join(["text,label,value", *lines]))
    many = finished(workspace, {"data.train": str(path), "task.multi_label": True}).report()
    assert many is not None and float(many.metrics["micro_f1"].value or 0) > 0.7
    numbers = finished(
        workspace, {"data.train": str(path), "task": "text-regression", "data.holdout.valid": 0.0}
    ).report()
    assert numbers is not None and float(numbers.metrics["r2"].value or 0) > 0.5
    assert any("5-fold cross-validation" in note for note in numbers.notes)


def test_what_is_trained_step_by_step(workspace: Workspace) -> None:
    assert not isinstance(trainer_of(make_run(workspace, {**SOLVED, "tuning.solver": "gradient"})), SolvedHead)
    pooled = trainer_of(make_run(workspace, {"tuning.method": "head", "model.pooling": "pooler"}))
    assert isinstance(pooled, SolvedHead), "the pooler was loaded, so its output is a feature"
    assert linear_head(pooled.model, {"bert.pooler.dense.weight", "classifier.weight"}) is None, "a random pooler"


def test_the_validation_examples_are_learned_as_well_if_there_is_a_test_split(workspace: Workspace) -> None:
    known: list[int] = []
    for changes in ({"tuning.refit": False}, {}):
        trainer = trainer_of(make_run(workspace, {**SOLVED, "tuning.C": 3.0, **changes}))
        assert isinstance(trainer, SolvedHead)
        problems: list[LinearProblem] = []
        solve = trainer._problem
        trainer._problem = lambda *parts, solve=solve, problems=problems: problems.append(solve(*parts)) or problems[-1]  # type: ignore[method-assign, assignment, func-returns-value]
        trainer.train()
        known.append(len(problems[-1].features))
        splits = trainer.prepared.splits
    assert known == [len(splits["train"]), len(splits["train"]) + len(splits["valid"])]
    both = _joined([splits["train"], splits["valid"]])
    assert len(both.examples) == len(both.targets) == known[1]
    assert both.examples.columns["label"] == [trainer.prepared.task.labels[i] for i in both.targets]
