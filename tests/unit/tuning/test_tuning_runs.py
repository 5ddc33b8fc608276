"""Adapters in complete runs on GPT-2 and Workbench models: saving, loading, predictions, explanations, merging."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tests.integration.test_architectures import model_folder, train_model
from tests.tiny import make_run
from workbench.check import resolve
from workbench.errors import RequestError
from workbench.explain import explain
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.runs.predictions import read_predictions
from workbench.training.runner import run_folder
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

TEXTS = [{"text": "a great film"}, {"text": "the plot is boring and dull and the actors really awful"}]
ADAPTERS = [name for name in tunings.names() if tunings.get(name).saves_adapter]
MERGING = [name for name in ADAPTERS if tunings.get(name).merges]
VIRTUAL = ["prompt", "p-tuning", "prefix"]


def scores(predictor: Predictor) -> list[dict[str, float]]:
    return [result.scores for result in predictor.predict(TEXTS)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "our-encoder", "our-decoder", "our-rotary-encoder"])
@pytest.mark.parametrize("method", ADAPTERS)
def test_a_saved_model_predicts_like_the_trained_one(workspace: Workspace, method: str, name: str) -> None:
    run = train_model(workspace, name, method)
    rows = read_predictions(run)
    predictions = Predictor.load(run).predict([{"text": text} for text in rows["input:text"]])
    assert [result.label for result in predictions] == list(rows["prediction"])
    assert [result.score for result in predictions] == pytest.approx(list(rows["score"]), abs=1e-5)


@pytest.mark.parametrize("method", MERGING)
def test_a_merged_run_predicts_the_same_without_its_base(workspace: Workspace, method: str, tmp_path: Path) -> None:
    run = make_run(workspace, {"tuning": method, "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    expected = scores(Predictor.load(run))
    folder = merge(run, tmp_path / "whole")
    assert not (folder / "adapter_config.json").exists() and (folder / "model.safetensors").exists()
    assert str(workspace.root) not in (folder / "workbench.json").read_text()
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for row, run_scores in zip(TEXTS, expected, strict=True):
        with torch.no_grad():
            predictions = model(**tokenizer(row["text"], return_tensors="pt")).logits.softmax(-1)[0].tolist()
        assert [run_scores[model.config.id2label[i]] for i in range(2)] == pytest.approx(predictions, abs=1e-5)
    spec = run.spec().changed({"model": f"path:{folder}", "tuning": "head"})
    loaded = resolve(spec, workspace).model.load("AutoModelForSequenceClassification", {})
    assert loaded.newly_initialized == frozenset()


@pytest.mark.slow
def test_merging_does_not_overwrite_other_folders(workspace: Workspace, tmp_path: Path) -> None:
    """The command overwrites an earlier merged model, but nothing else."""
    run = make_run(workspace, {"tuning": "lora", "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    other_folder = tmp_path / "letters"
    other_folder.mkdir()
    (other_folder / "dear.txt").write_text("unchanged")
    command = [sys.executable, "-m", "workbench", "merge", run.id, "--out"]
    refused = subprocess.run([*command, str(other_folder)], capture_output=True, text=True)
    assert refused.returncode == 2 and "is not a merged model" in refused.stderr
    assert (other_folder / "dear.txt").read_text() == "unchanged"
    for _ in range(2):
        result = subprocess.run([*command, str(tmp_path / "whole"), "--json"], capture_output=True, text=True)
        assert json.loads(result.stdout) == {"folder": str(tmp_path / "whole")}, result.stderr
    assert (tmp_path / "whole" / "model.safetensors").exists()


def test_unmergeable_runs_are_refused(workspace: Workspace) -> None:
    run = make_run(workspace, {"tuning": "prompt", "training.epochs": 1, "data.max_length": 32})
    with pytest.raises(RequestError, match="has no model: its state"):
        merge(run)
    assert run_folder(run.folder) == 0, run.status()
    with pytest.raises(RequestError, match="no weight of the base can hold them"):
        merge(run)
    assert not run.merged_folder.exists()


def test_a_complete_model_is_written_as_it_is(workspace: Workspace) -> None:
    run = make_run(workspace, {"tuning": "head", "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    assert merge(run) == run.merged_folder
    whole, copy = (load_file(folder / "model.safetensors") for folder in (run.model_folder, run.merged_folder))
    assert whole.keys() == copy.keys() and all(torch.equal(whole[name], copy[name]) for name in whole)


@pytest.mark.parametrize("method", VIRTUAL)
def test_virtual_tokens_are_explained_by_methods_without_attention(workspace: Workspace, method: str) -> None:
    run = make_run(workspace, {"tuning": method, "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    predictor = Predictor.load(run)
    for explainer in ("occlusion", "gradient-x-input"):
        explanation = explain(predictor, "a great film", method=explainer)
        assert len(explanation.scores) == len(explanation.tokens) == 5
        assert any(score != 0 for score in explanation.scores)
    with pytest.raises(RequestError, match="Prompt and prefix tuning add tokens of their own"):
        explain(predictor, "a great film", method="attention")


@pytest.mark.parametrize("method", ["adapter", "bitfit", "ia3"])
def test_other_adapters_are_explained_by_attention_too(workspace: Workspace, method: str) -> None:
    run = make_run(workspace, {"tuning": method, "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    assert len(explain(Predictor.load(run), "a great film", method="attention").scores) == 5


@pytest.mark.parametrize("method", ["adapter", "prompt", "lora"])
def test_a_file_that_lacks_weights_is_refused(workspace: Workspace, method: str) -> None:
    run = make_run(workspace, {"tuning": method, "training.epochs": 1, "data.max_length": 32})
    assert run_folder(run.folder) == 0, run.status()
    file = run.model_folder / "adapter_model.safetensors"
    weights = load_file(file)
    note = run.model_folder / "workbench.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "files": {}}))  # hashes would notice the change first
    for pattern in ("classifier", "encoder" if method != "prompt" else "prompt_embeddings"):
        missing = next(name for name in weights if pattern in name)
        save_file({n: w for n, w in weights.items() if n != missing}, file, metadata={"format": "pt"})
        with pytest.raises(RequestError, match="cannot be loaded"):
            Predictor.load(run)


@pytest.mark.parametrize("method", ADAPTERS)
def test_a_language_model_generates_with_an_adapter(workspace: Workspace, method: str) -> None:
    """Train a causal language model: samples during training, and generated text once loaded."""
    changes: dict[str, Any] = {
        "task": {"name": "causal-lm", "packing": False, "max_new_tokens": 4},
        "model": f"path:{model_folder(workspace, 'our-decoder')}",
        "data.columns": {"text": "text"},
        "data.max_length": 32,
        "training.max_steps": 4,
        "tuning": method,
    }
    run = make_run(workspace, changes)
    assert run_folder(run.folder) == 0, run.status()
    assert run.samples_file.exists()
    (answer,) = Predictor.load(run).predict([{"text": "a great film"}])
    assert answer.prompt == "a great film" and isinstance(answer.text, str)


def test_a_changed_output_layer_of_a_base_is_refused(workspace: Workspace) -> None:
    """LoRA does not save an untied output layer, which belongs to the base model but not to its body."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from tests.tiny import make_model
    from workbench.errors import RefusedError
    from workbench.files import read_json, write_json
    from workbench.models.loading import load_adapter, load_tokenizer, make_source

    folder, adapter = make_model(workspace.uploads / "writer"), workspace.uploads / "adapter"
    words = len(load_tokenizer(folder))
    config = LlamaConfig(
        vocab_size=words, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=32
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    entry = tunings.get("lora")
    source = make_source(f"path:{folder}", workspace, None)
    source.config = source.Config()
    loaded = source.load("AutoModelForCausalLM", {})
    tuned = entry(entry.Config()).apply(loaded.model, "CAUSAL_LM", loaded.newly_initialized)
    entry(entry.Config()).save(tuned, adapter)
    loaded.tokenizer.save_pretrained(adapter)
    note = {"base": loaded.base, "head": "AutoModelForCausalLM", "head_options": {}, "adapter": True}
    write_json(adapter / "workbench.json", note)
    assert load_adapter(adapter, workspace, config=source.config).base == loaded.base

    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"] + 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RefusedError, match="another version"):
        load_adapter(adapter, workspace, config=source.config)
    del note["base"]["head_fingerprint"]  # as in older notes
    write_json(adapter / "workbench.json", note)
    assert (read_json(adapter / "workbench.json") or {})["base"].keys() == {"source", "fingerprint"}
    load_adapter(adapter, workspace, config=source.config)
