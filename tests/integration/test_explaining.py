"""``workbench explain`` on a real run: all its options, one offline page, and clear errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_run
from workbench.cli import main
from workbench.explain import evaluate_dataset_faithfulness, read_dataset_faithfulness
from workbench.explain.internals.cache import load_importance, load_layers, load_patterns
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

TEXT = "the film is quite lovely </script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = make_run(Workspace(tmp_path_factory.mktemp("explaining")), {"training.epochs": 12})
    assert run_folder(run.folder) == 0
    return run


@pytest.fixture
def finished(trained: Run, monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> Run:
    monkeypatch.setenv("WORKBENCH_HOME", str(trained.workspace.root))
    return trained


def test_every_result_is_in_the_json_and_on_the_page(finished: Run, tmp_path: Path, capsys: Any) -> None:
    page = tmp_path / "page.html"
    command = [
        "explain",
        finished.id,
        "--text",
        TEXT,
        "--method",
        "lime",
        "--set",
        "samples=50",
        "--faithfulness",
        "--lens",
    ]
    views = ["--view", "tokens", "--view", "canvas", "--layers", "1-2", "--compare", "base", "--html", str(page)]
    assert main([*command, *views, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["details"]["samples"] == 50 and len(result["scores"]) == len(result["tokens"])
    assert len(result["faithfulness_evaluation"]["sentences"]) == 4 and len(result["lens"]["rows"]) == 4
    assert result["comparison"]["attention_divergence"]["texts"] == 1 and "base" in result["comparison"]["with"]
    assert any(
        map(any, result["comparison"]["attention_divergence"]["divergence"])
    )  # training must have changed some head
    written = page.read_text(encoding="utf-8")
    assert written.count("<iframe") == 2 and "Faithfulness" in written and "after each layer" in written
    assert "<script" not in written and "&lt;script&gt;" in written  # the views' scripts are in their frames
    # the only links are the ones through which views save pictures
    assert not re.search(r"<[^>]*\s(?:src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org)", written)


def test_activation_patching_between_two_texts(finished: Run, capsys: Any) -> None:
    command = ["explain", finished.id, "--text", "the film is lovely", "--method", "occlusion"]
    assert main([*command, "--other-text", "the film is dreadful", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    patching = result["patching"]
    assert patching["tokens"][4] == "lovely → dreadful" and patching["first"] > patching["second"]
    assert patching["positions"][0][4] == pytest.approx(1, abs=1e-3)
    assert main([*command, "--other-text", "the film is dreadful"]) == 0
    assert "restores" in capsys.readouterr().out
    assert (
        main([*command, "--other-text", "the film is lovely", "--json"]) == 0
    )  # no difference yields a note instead of an error
    same = json.loads(capsys.readouterr().out)
    assert "patching" not in same and "about the same probability" in same["comparison"]["note"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "steps=3", "--method", "lime"], "Its options are: samples"),
        (["--view", "head"], "Name the file to write: --html"),
        (["--view", "heads"], "Choose from: tokens, head"),
        (["--layers", "a"], "is not a list of numbers"),
        (["--layers", "7", "--view", "canvas", "--html", "PAGE"], "Choose one from 0 to 2"),
        (["--compare", "base", "--other-text", "x"], "--compare or --other-text"),
        (["--target", "excellent"], "There are: bad, good"),
        (["--word", "film"], "Leave the word out"),
        (["--method", "occlussion"], "occlusion"),
        (["--text-pair", "another"], "Leave out the second text"),
    ],
)
def test_errors_say_what_to_do_instead(
    finished: Run, tmp_path: Path, capsys: Any, options: list[str], message: str
) -> None:
    arguments = [str(tmp_path / "page.html") if option == "PAGE" else option for option in options]
    assert main(["explain", finished.id, "--text", "the film is lovely", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("*.html"))


def test_only_explainers_that_fit_the_run_are_listed(finished: Run, capsys: Any) -> None:
    assert main(["explainers", "--run", finished.id, "--json"]) == 0
    assert "occlusion" in [entry["name"] for entry in json.loads(capsys.readouterr().out)]


def test_dataset_faithfulness_is_stored_with_the_run(finished: Run) -> None:
    predictor = Predictor.load(finished)
    result = evaluate_dataset_faithfulness(
        predictor, [{"text": "the lovely film is long"}, {"text": "an awful plot and music"}], "occlusion"
    )
    result.save(finished.folder)
    (finished.explanations_folder / "broken.json").write_text("{}", encoding="utf-8")
    assert read_dataset_faithfulness(finished.folder) == {"occlusion": result}


def test_measurements_over_texts_are_stored_with_the_run(finished: Run, capsys: Any) -> None:
    assert main(["faithfulness", finished.id, "--texts", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["examples"] == 3
    assert read_dataset_faithfulness(finished.folder)["occlusion"].examples == 3
    for measure in ("layers", "gradient", "patterns"):
        assert main(["heads", finished.id, "--measure", measure, "--texts", "3", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["texts"] == 3
    layers, importance, patterns = load_layers(finished), load_importance(finished, "gradient"), load_patterns(finished)
    assert layers and importance and patterns
    assert len(layers.importance) == len(importance.importance) == len(patterns.entropy)
    assert main(["heads", finished.id, "--measure", "size"]) == 2
    assert "ablation, gradient, patterns, layers" in " ".join(capsys.readouterr().err.split())
