"""Text regression: metrics that equal scikit-learn's, and a saved model that answers on the scale of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

from tests.tiny import OTHER, assert_gains_agree, make_model, make_run
from workbench.errors import DataError, SpecError
from workbench.explain.base_model import load_base_model
from workbench.inference.predictor import Predictor
from workbench.metrics.measures import metric_values
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.tasks.answers import Number
from workbench.tasks.text_regression import MEASURES, TextRegression, _sums
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

WORDS = {"awful": 10_000.0, "dull": 30_000.0, "quite": 50_000.0, "great": 70_000.0, "superb": 90_000.0}


@pytest.fixture
def prices(workspace: Workspace) -> Path:
    return write_prices(workspace.uploads / "prices.csv")


def write_prices(path: Path, factor: float = 1.0, offset: float = 0.0) -> Path:
    generator = np.random.default_rng(0)
    rows = []
    for word, price in list(WORDS.items()) * 24:
        text = " ".join([*generator.choice(OTHER, 4), word])
        rows.append(f"{text},{(price + generator.normal(0, 500)) * factor + offset:.2f}")
    path.write_text("text,price\n" + "\n".join(generator.permutation(rows)) + "\n")
    return path


def trained(workspace: Workspace, data: Path, **changes: Any) -> Run:
    changes = {"training.epochs": 8, "training.learning_rate": 3e-3, **changes}
    run = make_run(workspace, {"task": "text-regression", "data.train": str(data), **changes})
    run_folder(run.folder)
    return Run.open(run.id, workspace)


def test_metrics_equal_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.normal(50, 9, (2, 200))
    assert metric_values(_sums(predicted, true), MEASURES) == pytest.approx(
        {
            "r2": reference.r2_score(true, predicted),
            "mae": reference.mean_absolute_error(true, predicted),
            "rmse": reference.root_mean_squared_error(true, predicted),
        }
    )
    assert metric_values(_sums(np.full(200, true.mean()), true), MEASURES)["r2"] == pytest.approx(0, abs=1e-9)


def test_equal_numbers_are_refused() -> None:
    from workbench.data.examples import Examples

    with pytest.raises(DataError, match="Every training example has the number 3"):
        TextRegression().fit(Examples({"text": ["a", "b"], "value": [3.0, 3.0]}, ["f:1", "f:2"]))


def test_a_run_predicts_numbers_on_the_scale_of_the_data(workspace: Workspace, prices: Path) -> None:
    run = trained(workspace, prices)
    report = run.report()
    assert report is not None and (report.metrics["r2"].value or 0) > 0.5
    assert (report.metrics["mae"].value or 1e9) < 20_000 and (report.baseline["r2"] or 0) < 0.05
    assert_gains_agree(json.loads(run.report_file.read_text()))
    answers = Predictor.load(run).predict([{"text": "the awful film"}, {"text": "the superb film"}])
    low, high = (answer.value for answer in answers if isinstance(answer, Number))
    assert low < 40_000 < 60_000 < high


def test_the_saved_folder_answers_the_same_in_plain_transformers(workspace: Workspace, prices: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    run = trained(workspace, prices, **{"training.epochs": 2})
    model = AutoModelForSequenceClassification.from_pretrained(run.model_folder)
    tokenizer = AutoTokenizer.from_pretrained(run.model_folder)
    with torch.no_grad():
        plain = model(**tokenizer(["the awful film", "the superb film"], return_tensors="pt")).logits[:, 0].tolist()
    answers = Predictor.load(run).predict([{"text": "the awful film"}, {"text": "the superb film"}])
    assert [answer.value for answer in answers if isinstance(answer, Number)] == pytest.approx(plain, rel=1e-4)


def test_training_continues_from_a_finished_run(workspace: Workspace, prices: Path) -> None:
    """The head of the finished run is rescaled to what the loss expects."""
    first = trained(workspace, prices)
    second = trained(
        workspace, prices, **{"model": f"run:{first.id}", "training.max_steps": 1, "training.learning_rate": 1e-6}
    )
    before, after = first.report(), second.report()
    assert before is not None and after is not None
    assert after.metrics["r2"].value == pytest.approx(before.metrics["r2"].value, abs=0.01)
    assert after.metrics["loss"].value == pytest.approx(before.metrics["loss"].value, rel=0.02)


def opt_model(workspace: Workspace) -> str:
    """A tiny decoder whose head has no bias, and whose attention has layers that are named like a head: out_proj."""
    from transformers import OPTConfig, OPTModel

    folder = make_model(workspace.uploads / "opt")
    config = OPTConfig(
        vocab_size=64,
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    OPTModel(config).save_pretrained(folder)
    return f"path:{folder}"


def test_adapters_with_one_output_are_not_rescaled(workspace: Workspace, prices: Path) -> None:
    tuning = {"method": "lora", "rank": 1, "targets": "all-linear"}
    run = trained(workspace, prices, model=opt_model(workspace), tuning=tuning, **{"training.epochs": 1})
    table = read_predictions(run)
    answers = Predictor.load(run).predict([{"text": text} for text in table["input:text"]])
    assert [answer.value for answer in answers if isinstance(answer, Number)] == pytest.approx(
        list(table["prediction"]), rel=1e-4
    )


def test_a_head_without_a_bias_learns_numbers_far_from_zero(workspace: Workspace, tmp_path: Path) -> None:
    path = write_prices(tmp_path / "lengths.csv", factor=1 / 30_000, offset=20)
    report = trained(workspace, path, model=opt_model(workspace)).report()
    assert report is not None and (report.metrics["rmse"].value or 99) < 3, "20 times as much without a common scale"


def test_the_base_model_answers_on_the_scale_of_the_data(workspace: Workspace, prices: Path) -> None:
    run = trained(workspace, prices, **{"training.epochs": 1})
    base = load_base_model(run, Predictor.load(run))
    (answer,) = base.predict([{"text": "the awful film"}])
    assert isinstance(answer, Number) and 10_000 < answer.value < 90_000


def test_a_model_without_a_known_last_layer_is_refused() -> None:
    with pytest.raises(SpecError, match="does not know the last layer of Linear"):
        TextRegression().configure(torch.nn.Linear(4, 1))  # type: ignore[arg-type]
