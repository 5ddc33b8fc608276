"""Which vector of a text a classifier reads: the mean of its tokens, the first one, or transformers' own choice."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForTokenClassification, AutoTokenizer

from tests.tiny import make_model, make_run
from workbench.errors import SpecError
from workbench.files import read_json
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.models.loading import load_folder, make_source
from workbench.models.pooling import pooling_of
from workbench.runs.run import Run
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

HEAD = "AutoModelForSequenceClassification"
TEXTS = ["a great film", "the plot is boring and dull", "a story with wonderful actors and very charming music"]


def without_pooler(folder: Path) -> Path:
    """A tiny BERT whose file has no pooler, like that of an embedding model."""
    make_model(folder)
    weights = load_file(folder / "model.safetensors")
    remaining = {name: weight for name, weight in weights.items() if "pooler" not in name}
    assert len(remaining) < len(weights)
    save_file(remaining, folder / "model.safetensors", {"format": "pt"})
    return folder


def prepared(workspace: Workspace, changes: dict[str, Any]) -> Any:
    run = make_run(workspace, changes)
    return TrainingJob(run, RunReporter(run)).prepare()


def finished(workspace: Workspace, changes: dict[str, Any]) -> Run:
    run = make_run(workspace, {"training.max_steps": 4, **changes})
    assert run_folder(run.folder) == 0, run.status()
    return Run.open(run.id, workspace)


def in_plain_transformers(folder: Path, base: Path | None = None) -> list[list[float]]:
    """Return the probabilities as a model card computes them: one text at a time, without padding."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForTokenClassification.from_pretrained(base or folder, num_labels=2)
    if base is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(folder))
    with torch.no_grad():
        logits = [model.eval()(**tokenizer(text, return_tensors="pt")).logits[0].mean(0) for text in TEXTS]
    return [row.softmax(-1).tolist() for row in logits]


def answers(run: Run) -> list[list[float]]:
    """Return the probabilities of all texts in one padded batch."""
    return [list(answer.scores.values()) for answer in Predictor.load(run).predict([{"text": text} for text in TEXTS])]


@pytest.mark.parametrize("code", ["transformers", "workbench"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_classifier_reads_the_requested_vector(workspace: Workspace, code: str, pooling: str) -> None:
    base = prepared(workspace, {"model.code": code, "model.pooling": pooling})
    model = base.model.eval()
    batch = base.task.collate(base.splits["train"].encoded, np.arange(6), 0)
    assert (batch["attention_mask"] == 0).any(), "no padding to leave out"
    with torch.no_grad():
        vectors = model.base_model(**{k: v for k, v in batch.items() if k != "labels"}).last_hidden_state
        rows = zip(vectors, batch["attention_mask"].sum(1), strict=True)
        expected = torch.stack([each[0] if pooling == "cls" else each[:length].mean(0) for each, length in rows])
        output = model(**batch)
        torch.testing.assert_close(output.logits, model.classifier(expected), atol=1e-5, rtol=1e-4)
    loss = torch.nn.functional.cross_entropy(output.logits, batch["labels"])
    torch.testing.assert_close(output.loss, loss)
    embedded = {**batch, "inputs_embeds": model.get_input_embeddings()(batch["input_ids"])}
    del embedded["input_ids"]
    torch.testing.assert_close(model(**embedded).logits, output.logits, atol=1e-5, rtol=1e-4)
    assert copy.deepcopy(model)(**batch).logits.shape == output.logits.shape


def test_auto_takes_what_a_model_was_trained_with(workspace: Workspace, tmp_path: Path) -> None:
    def pooling(folder: Path, **options: Any) -> str | None:
        source = make_source(f"path:{folder}", workspace)
        source = type(source)(source.Config(**options), source.argument, workspace)
        loaded = source.load(HEAD, {"num_labels": 2})
        assert pooling_of(loaded.model) == loaded.pooling
        return loaded.pooling

    trained, untrained = make_model(tmp_path / "pooler"), without_pooler(tmp_path / "none")
    assert pooling(trained) is None and pooling(untrained) == "mean"
    assert pooling(untrained, pooling="pooler") is None and pooling(trained, pooling="cls") == "cls"
    assert make_source(f"path:{untrained}", workspace).load("AutoModelForTokenClassification", {}).pooling is None


def test_a_run_answers_in_plain_transformers_as_here(workspace: Workspace) -> None:
    run = finished(workspace, {"model.pooling": "mean"})
    assert read_json(run.model_folder / "config.json")["architectures"] == ["BertForTokenClassification"]
    assert np.allclose(in_plain_transformers(run.model_folder), answers(run), atol=1e-5)
    card = (run.model_folder / "README.md").read_text()
    assert "AutoModelForTokenClassification" in card and "pipeline_tag" not in card
    further = finished(workspace, {"model": f"run:{run.id}"})
    assert read_json(further.model_folder / "config.json")["text_pooling"] == "mean", "auto is what the run had"


@pytest.mark.parametrize("method", ["lora", "prompt", "adapter"])
def test_an_adapter_finds_its_pooling(workspace: Workspace, method: str) -> None:
    changes = {"model.pooling": "mean", "tuning.method": method, "data.max_length": 64}
    run = finished(workspace, changes)
    note = run.base_note()
    assert note is not None and note.pooling == "mean"
    expected = answers(run)
    if method == "lora":
        assert np.allclose(in_plain_transformers(run.model_folder, workspace.uploads / "tiny"), expected, atol=1e-5)
        assert np.allclose(in_plain_transformers(merge(run)), expected, atol=1e-5)
        with pytest.raises(SpecError, match=r"model\.pooling is cls, .* with mean"):
            make_source(f"run:{run.id}", workspace).with_pooling("cls").load(HEAD, {"num_labels": 2})


def test_our_own_code_becomes_a_plain_folder(workspace: Workspace) -> None:
    run = finished(workspace, {"model.pooling": "mean", "model.code": "workbench"})
    folder = merge(run)
    assert read_json(folder / "config.json")["model_type"] == "bert"
    assert np.allclose(in_plain_transformers(folder), answers(run), atol=1e-5)


def test_earlier_runs_read_their_pooler(workspace: Workspace, tmp_path: Path) -> None:
    """Their adapters do not say what they read, and their specs say ``pooler`` or nothing."""
    folder = without_pooler(tmp_path / "body")
    run = finished(workspace, {"model.source": f"path:{folder}", "model.pooling": "pooler", "tuning.method": "lora"})
    note_file = run.model_folder / "workbench.json"
    expected = answers(run)
    note_file.write_text(note_file.read_text().replace('"pooling": null,', ""))
    assert "pooling" not in note_file.read_text() and answers(run) == expected
    spec = run.spec_file.read_text().replace("schema_version: 3", "schema_version: 2")
    for line in ("  pooler: loaded\n", "  pooler: first\n", ""):
        run.spec_file.write_text(spec.replace("  pooling: pooler\n", line))
        assert Run(run.folder).spec().model.options["pooling"] == "pooler"


def test_choices_are_scored_by_their_means(workspace: Workspace, tmp_path: Path) -> None:
    folder = without_pooler(tmp_path / "body")
    loaded = make_source(f"path:{folder}", workspace).load("AutoModelForMultipleChoice", {})
    model = loaded.model.eval()
    ids, mask = torch.randint(5, 20, (2, 3, 6)), torch.ones(2, 3, 6, dtype=torch.long)
    mask[:, 1, 4:] = 0
    labels = torch.tensor([0, 2])
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=mask, labels=labels)
        alone = torch.stack([model(input_ids=ids[i, 1:2, :4]).logits[0, 0] for i in range(2)])
    assert output.logits.shape == (2, 3)
    torch.testing.assert_close(output.logits[:, 1], alone)
    torch.testing.assert_close(output.loss, torch.nn.functional.cross_entropy(output.logits, labels))
    loaded.model.save_pretrained(tmp_path / "saved")
    again, new = load_folder(tmp_path / "saved", "AutoModelForMultipleChoice", {}, complete=True)
    assert not new and torch.equal(again.eval()(input_ids=ids, attention_mask=mask).logits, output.logits)


@pytest.mark.mirror
def test_minilm_and_e5_were_trained_with_the_mean(workspace: Workspace, shared_cache: Path) -> None:
    for name in ("minilm", "multilingual-e5-small"):
        assert make_source(name, workspace).trained_pooling == "mean"  # type: ignore[attr-defined]
    loaded = make_source("minilm", workspace).load(HEAD, {"num_labels": 2})
    assert loaded.pooling == "mean" and loaded.newly_initialized == {"classifier.weight", "classifier.bias"}


def test_attention_is_read_where_the_classifier_reads(workspace: Workspace) -> None:
    from workbench.explain.base import explain
    from workbench.explain.capture import capture_attention, head_mean

    predictor = Predictor.load(finished(workspace, {"model.pooling": "mean"}))
    weights = head_mean(capture_attention(predictor.model, predictor.tokenizer, TEXTS[0], max_length=64).weights)[-1]
    scores = explain(predictor, TEXTS[0], "attention").scores
    np.testing.assert_allclose(scores, weights.mean(axis=0), atol=1e-5)
    for method in ("rollout", "flow", "gradient-x-input", "occlusion"):
        assert len(explain(predictor, TEXTS[0], method).scores) == len(scores)
