"""Published weights in our own model classes: all-MiniLM-L6-v2 from its files, and a run that trains our classes."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from tests import tiny
from workbench.data.catalogue.sources import fetch_model
from workbench.explain.capture import capture_attention
from workbench.inference.predictor import Predictor
from workbench.models import from_transformers, to_transformers
from workbench.models.loading import make_source
from workbench.models.networks.heads import EncoderForSequenceClassification
from workbench.models.sources.pretrained import PretrainedConfig
from workbench.runs.run import Run
from workbench.training.runner import run_folder

TEXTS = ["A film to remember.", "The plot is thin, the actors are not, and nobody knows why it is two hours long."]


def test_minilm_computes_the_same_hidden_states(shared_cache, workspace):
    """Every hidden state of the published model agrees to 1e-4 on real texts in a padded batch."""
    folder = fetch_model("minilm", workspace)
    tokenizer, theirs = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ours = from_transformers(theirs)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].bool()
    with torch.inference_mode():
        expected, actual = theirs(**batch, output_hidden_states=True), ours(**batch, output_hidden_states=True)
    assert len(actual.hidden_states) == 7
    for a, b in zip(actual.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a[mask], b[mask], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(actual.pooler_output, expected.pooler_output, atol=1e-4, rtol=1e-4)
    converted = to_transformers(ours).state_dict()
    assert all(torch.equal(converted[name], weight) for name, weight in theirs.state_dict().items())


def test_our_classes_and_their_transformers_export_predict_the_same(workspace, tmp_path):
    """``model.code: workbench`` trains and saves our classes; exported to transformers they predict the same scores."""
    run = tiny.make_run(workspace, {"model.code": "workbench", "training.epochs": 1})
    assert run_folder(run.folder) == 0
    predictor = Predictor.load(Run.open(run.id, workspace))
    assert isinstance(predictor.model, EncoderForSequenceClassification)
    predictions = predictor.predict([{"text": text} for text in TEXTS])
    theirs = to_transformers(predictor.model)
    theirs.save_pretrained(tmp_path / "exported")
    exported = AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported").eval()
    batch = predictor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores = exported(**batch).logits.softmax(-1)
    for prediction, row in zip(predictions, scores, strict=True):
        assert prediction.scores == pytest.approx(dict(zip(predictor.labels, row.tolist(), strict=True)), abs=1e-5)


def test_the_attention_of_our_classes_can_be_captured(workspace):
    run = tiny.make_run(workspace, {"model.code": "workbench", "training.epochs": 1})
    assert run_folder(run.folder) == 0
    predictor = Predictor.load(Run.open(run.id, workspace))
    theirs = to_transformers(predictor.model)
    expected = capture_attention(theirs, predictor.tokenizer, "a wonderful film")
    actual = capture_attention(predictor.model, predictor.tokenizer, "a wonderful film")
    assert actual.tokens == expected.tokens
    assert actual.weights == pytest.approx(expected.weights, abs=1e-5)
    assert predictor.model.config._attn_implementation == "sdpa"  # unchanged


def test_a_newly_initialized_head_keeps_its_names(workspace, tmp_path):
    folder = tiny.make_model(tmp_path / "base")
    loaded = make_source(f"path:{folder}", workspace, PretrainedConfig(code="workbench")).load(
        "AutoModelForSequenceClassification", {"num_labels": 3}
    )
    assert {"classifier.weight", "classifier.bias"} <= loaded.newly_initialized
    assert all(name in loaded.model.state_dict() for name in loaded.newly_initialized)
