"""The baselines through whole runs: they learn, load unchanged, resume where they stopped, and are compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.tiny import make_run
from workbench.check import resolve
from workbench.compare.differences import compare
from workbench.explain import explain
from workbench.inference.predictor import Predictor
from workbench.jobs import resume
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

TOKENIZER = {"train": "wordpiece", "vocab_size": 120, "min_frequency": 1}
SMALL = {"embedding_size": 16, "hidden_size": 16}
BASELINES: dict[str, dict[str, Any]] = {
    "bag-of-embeddings": {
        **SMALL,
        "layers": 1,
        "word_dropout": 0.0,
    },  # a single word decides the label and must not be dropped
    "textcnn": {"embedding_size": 16, "filters": 8},
    "lstm": {**SMALL, "bidirectional": True, "attention": True},
    "gru": {**SMALL, "layers": 2},
}
SETTINGS = {"training.epochs": 20, "training.learning_rate": 1e-2, "training.max_steps": 120, "data.max_length": 32}


def make_baseline_run(workspace: Workspace, name: str, **changes: Any) -> Run:
    model = {"source": name, "tokenizer": TOKENIZER, **BASELINES[name]}
    return make_run(workspace, {"model": model, **SETTINGS, **changes})


def execute(run: Run) -> Run:
    assert run_folder(run.folder) == 0 and run.state == "succeeded", run.status()
    return run


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_and_loads_unchanged(workspace: Workspace, name: str) -> None:
    run = execute(make_baseline_run(workspace, name))
    report = run.report()
    assert report.metrics["accuracy"].value > 0.85 > report.baseline["accuracy"]
    rows = read_predictions(run)
    predictions = Predictor.load(run).predict([{"text": text} for text in rows["input:text"]])
    assert [p.label for p in predictions] == list(rows["prediction"])
    np.testing.assert_allclose([p.score for p in predictions], rows["score"], atol=1e-5)
    text = "the film is superb and the music"
    explanation = explain(Predictor.load(run), text, "occlusion")
    start, end = explanation.offsets[int(np.argmax(np.abs(explanation.scores)))]
    assert text[start:end] in "superb", "the top token must be a subword of the word that decides the label"


@pytest.mark.parametrize("name", ["textcnn", "lstm"])
def test_a_resumed_run_ends_with_the_same_weights(
    workspace: Workspace, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted, resumed = execute(make_baseline_run(workspace, name)), make_baseline_run(workspace, name)
    with monkeypatch.context() as patch:
        patch.setattr(RunReporter, "stop_requested", lambda reporter: reporter.step >= 11)
        assert run_folder(resumed.folder) == 0
    assert resumed.state == "stopped"
    resume(resumed, workspace, start=False)
    execute(resumed)
    expected, actual = (load_file(run.model_folder / "model.safetensors") for run in (uninterrupted, resumed))
    assert expected.keys() == actual.keys() and all(np.array_equal(expected[n], actual[n]) for n in expected)


def test_a_finished_baseline_is_a_model_to_start_from(workspace: Workspace) -> None:
    first = execute(make_baseline_run(workspace, "gru"))
    second = execute(make_run(workspace, {"model": f"run:{first.id}", "tuning": "head", **SETTINGS}))
    assert second.report().metrics["accuracy"].value > 0.85
    comparison = compare([first, second])
    assert comparison.metric == "accuracy" and "accuracy" in comparison.verdict


def test_frozen_activations_are_cached_where_the_widths_agree(workspace: Workspace) -> None:
    first = execute(make_baseline_run(workspace, "gru", **{"training.max_steps": 20}))
    losses = []
    for cached in (True, False):
        run = make_run(
            workspace,
            {
                "model": {"source": f"run:{first.id}", "dropout": 0.0},
                "tuning": {"method": "freeze", "layers": 1},
                "training.cache_activations": cached,
                **SETTINGS,
                "training.max_steps": 40,
            },
        )
        report = execute(run).report()
        assert (report.frozen_cache is not None) == cached
        losses.append([row["eval/loss"] for row in run.read_metrics()[0] if "eval/loss" in row])
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_recurrent_language_model_learns_and_generates(workspace: Workspace, cell: str) -> None:
    changes = {"task": "causal-lm", "model": {"source": cell, "tokenizer": TOKENIZER, **SMALL}}
    run = execute(make_run(workspace, {**SETTINGS, **changes}))
    losses = [row["train/loss"] for row in run.read_metrics()[0] if "train/loss" in row]
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    (result,) = Predictor.load(run).predict([{"text": "the film"}])
    assert result.tokens > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "masked-lm"}, "lstm cannot do masked-lm: it has no head of the kind AutoModelForMaskedLM"),
        ({"task": "causal-lm", "model.bidirectional": True, "model.attention": False}, "cannot read in two directions"),
        ({"task": "causal-lm", "model.bidirectional": False}, "reduces a text to one vector"),
        ({"tuning": "lora"}, "lora adapts trained weights, and lstm starts from random weights"),
    ],
)
def test_unsupported_combinations_are_reported(workspace: Workspace, changes: dict[str, Any], message: str) -> None:
    from workbench.errors import WorkbenchError

    try:
        run = make_baseline_run(workspace, "lstm", **changes)
        assert run_folder(run.folder) == 2
        reported = run.status().error.message
    except WorkbenchError as error:  # the check may already report it
        reported = str(error)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(reported)


def test_the_baseline_preset_is_valid(workspace: Workspace) -> None:
    from workbench.check import check, presets

    spec = presets()["baseline-lstm"]
    assert check(spec, workspace) == []
    assert spec.data == presets()["demo-full"].data, "the preset is compared with demo-full and must use the same data"
    assert resolve(spec, workspace).model.name == "lstm"
