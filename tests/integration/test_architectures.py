"""Architectures other than BERT through whole runs: the saved model predicts what the trained one did."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    MPNetConfig,
    RobertaConfig,
)

from tests.tiny import make_model, make_run, reviews, write_csv
from workbench.errors import SpecError
from workbench.inference.predictor import Predictor
from workbench.models.loading import register_models
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.models.sources.pretrained import Pretrained
from workbench.runs.predictions import read_predictions
from workbench.runs.run import Run
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

register_models()
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
CONFIGS = {
    "bert-without-pooler": BertConfig(**SMALL, max_position_embeddings=128),
    "distilbert": DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=128),
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=130, pad_token_id=1),
    "mpnet": MPNetConfig(**SMALL, max_position_embeddings=130),
    "deberta": DebertaV2Config(
        **SMALL, max_position_embeddings=128, relative_attention=True, pos_att_type=["p2c", "c2p"]
    ),
    "gpt2": GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=128),
    "our-encoder": EncoderConfig(**SMALL, max_position_embeddings=128),
    "our-rotary-encoder": EncoderConfig(**SMALL, positions="rotary", norm="pre"),
    "our-decoder": DecoderConfig(**SMALL, max_position_embeddings=128),
}


def model_folder(workspace: Workspace, name: str) -> Path:
    """Write a tiny base model of this architecture with the tiny tokenizer; return its folder."""
    import torch

    folder = make_model(workspace.uploads / name)
    config = CONFIGS[name]
    config.vocab_size = 64
    torch.manual_seed(0)
    model = BertModel(config, add_pooling_layer=False) if "pooler" in name else AutoModel.from_config(config)
    model.save_pretrained(folder)
    return folder


def train_model(workspace: Workspace, name: str, tuning: str, **changes: object) -> Run:
    source = {"source": f"path:{model_folder(workspace, name)}"}
    run = make_run(
        workspace, {"model": source, "tuning": tuning, "training.epochs": 2, "data.max_length": 32, **changes}
    )
    assert run_folder(run.folder) == 0, run.status()
    return run


@pytest.mark.parametrize("tuning", ["full", "head", "lora"])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_saved_model_predicts_what_the_trained_model_did(workspace, name, tuning):
    run = train_model(workspace, name, tuning)
    rows = read_predictions(run)
    predictions = Predictor.load(run).predict([{"text": text} for text in rows["input:text"]])
    for prediction, label, score in zip(predictions, rows["prediction"], rows["score"], strict=True):
        assert prediction.label == label
        assert prediction.score == pytest.approx(score, abs=1e-5)


@pytest.mark.parametrize("name", ["mpnet", "deberta", "gpt2", "our-encoder", "our-rotary-encoder", "our-decoder"])
def test_cached_activations_yield_the_losses_of_a_full_pass(workspace, name):
    """Without dropout, caching the frozen layers' activations changes nothing, whatever the layers share."""
    changes = {"model.dropout": 0.0, "training.learning_rate": 0.03, "training.epochs": 3}
    losses = []
    for cached in (True, False):
        freeze = {"method": "freeze", "layers": 1}
        run = make_run(workspace, {"model": {"source": f"path:{model_folder(workspace, name)}"}, "tuning": freeze,
                                   "training.cache_activations": cached, "data.max_length": 32, **changes})  # fmt: skip
        assert run_folder(run.folder) == 0, run.status()
        losses.append([row["eval/loss"] for row in run.read_metrics()[0] if "eval/loss" in row])
    assert losses[0] == pytest.approx(losses[1], abs=2e-4)


def test_max_length_is_checked_against_usable_positions_where_ids_start_later(workspace):
    source = {"source": f"path:{model_folder(workspace, 'roberta')}"}
    with pytest.raises(SpecError, match="128 positions"):
        make_run(workspace, {"model": source, "data.max_length": 129})
    make_run(workspace, {"model": source, "data.max_length": 128})


def test_max_length_is_checked_again_once_the_model_is_loaded(workspace, monkeypatch):
    """The positions of a model that is not on this machine are not known when the run is queued."""
    source = {"source": f"path:{model_folder(workspace, 'roberta')}"}
    monkeypatch.setattr(Pretrained, "max_length", lambda self: None)
    run = make_run(workspace, {"model": source, "data.max_length": 129})
    assert run_folder(run.folder) == 2
    assert "128 positions" in run.status().error.message


def test_a_run_on_a_run_with_other_labels_gets_a_new_head(workspace):
    first = train_model(workspace, "distilbert", "lora")
    other = workspace.uploads / "other.csv"
    lines = [f"{text},{'yes' if label == 'good' else 'no'}" for text, label in reviews(60)]
    lines += [f"{text} plot,maybe" for text, _ in reviews(30, seed=4)]
    other.write_text("text,label\n" + "\n".join(lines) + "\n")
    for tuning in ("full", "lora"):
        second = make_run(
            workspace, {"model": {"source": f"run:{first.id}"}, "tuning": tuning, "data": {"train": str(other)}}
        )
        assert run_folder(second.folder) == 0, second.status()
        assert sorted(Predictor.load(second).predict([{"text": "the film"}])[0].scores) == ["maybe", "no", "yes"]
    from workbench.errors import BusyError

    with pytest.raises(BusyError, match="is the base of 1 other"):
        first.delete()


def test_a_run_is_not_resumed_on_a_changed_base_model(workspace, monkeypatch):
    from workbench.jobs import resume
    from workbench.training.reporter import RunReporter

    run = make_run(workspace, {"tuning": "lora"})
    with monkeypatch.context() as patch:
        patch.setattr(RunReporter, "stop_requested", lambda reporter: reporter.step >= 5)
        assert run_folder(run.folder) == 0
    assert run.state == "stopped"
    make_model(workspace.uploads / "tiny", seed=9)
    resume(run, workspace, start=False)
    assert run_folder(run.folder) == 2
    assert "now has different weights" in run.status().error.message


def test_two_runs_of_different_precision_in_one_process(workspace):
    write_csv(workspace.uploads / "reviews.csv", 40)
    for precision in ("fp32", "bf16"):
        run = make_run(workspace, {"training.precision": precision, "training.epochs": 1})
        assert run_folder(run.folder) == 0, run.status()
        assert run.report().cost.precision == precision
