"""Published weights in our own code: all-MiniLM-L6-v2 from its files, and a run whose model ours computes."""

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


def test_minilm(shared_cache, workspace):
    """Every hidden state of the published model on real text, padding included, to 1e-4."""
    folder = fetch_model("minilm", workspace)
    tokenizer, theirs = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    ours = from_transformers(theirs)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    mask = batch["attention_mask"].bool()
    with torch.inference_mode():
        wanted, matches = theirs(**batch, output_hidden_states=True), ours(**batch, output_hidden_states=True)
    assert len(matches.hidden_states) == 7
    for a, b in zip(matches.hidden_states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(a[mask], b[mask], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(matches.pooler_output, wanted.pooler_output, atol=1e-4, rtol=1e-4)
    back = to_transformers(ours).state_dict()
    assert all(torch.equal(back[name], weight) for name, weight in theirs.state_dict().items())


def test_a_run_in_our_code_predicts_what_its_folder_says(workspace, tmp_path):
    """model.code: workbench trains our classes, saves them, and the same numbers come back; then as transformers'."""
    run = tiny.make_run(workspace, {"model.code": "workbench", "training.epochs": 1})
    assert run_folder(run.folder) == 0
    predictor = Predictor.load(Run.open(run.id, workspace))
    assert isinstance(predictor.model, EncoderForSequenceClassification)
    results = predictor.predict([{"text": text} for text in TEXTS])
    theirs = to_transformers(predictor.model)
    theirs.save_pretrained(tmp_path / "exported")
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "exported").eval()
    batch = predictor.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        scores = again(**batch).logits.softmax(-1)
    for result, row in zip(results, scores, strict=True):
        assert result.scores == pytest.approx(dict(zip(predictor.labels, row.tolist(), strict=True)), abs=1e-5)


def test_its_attention_is_explained_like_any_other(workspace):
    run = tiny.make_run(workspace, {"model.code": "workbench", "training.epochs": 1})
    assert run_folder(run.folder) == 0
    predictor = Predictor.load(Run.open(run.id, workspace))
    theirs = to_transformers(predictor.model)
    wanted = capture_attention(theirs, predictor.tokenizer, "a wonderful film")
    matches = capture_attention(predictor.model, predictor.tokenizer, "a wonderful film")
    assert matches.tokens == wanted.tokens
    assert matches.weights == pytest.approx(wanted.weights, abs=1e-5)
    assert predictor.model.config._attn_implementation == "sdpa"  # as it was before


def test_the_head_made_again_keeps_its_name(workspace, tmp_path):
    folder = tiny.make_model(tmp_path / "base")
    loaded = make_source(f"path:{folder}", workspace, PretrainedConfig(code="workbench")).load(
        "AutoModelForSequenceClassification", {"num_labels": 3}
    )
    assert {"classifier.weight", "classifier.bias"} <= loaded.newly_initialized
    assert all(name in loaded.model.state_dict() for name in loaded.newly_initialized)
