"""Pruned heads: the same outputs as with these heads switched off, fewer parameters, and loading."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny import make_run
from tests.unit.explain.explain_models import predictor, tokenizer
from workbench.cli import main
from workbench.compress.pruning import heads_to_keep, parse_head_count, remove_heads
from workbench.errors import RequestError, SpecError
from workbench.explain import capture_attention, explain
from workbench.explain.internals.heads import HeadImportance, switched_heads
from workbench.inference.predictor import Predictor
from workbench.models.convert import to_transformers
from workbench.models.networks.attention import MultiHeadAttention
from workbench.models.networks.heads import DecoderForCausalLM, EncoderForSequenceClassification
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.runs.run import Run
from workbench.training.runner import run_folder
from workbench.workspace import Workspace

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "initializer_range": 0.5,
}
KEEP = [[0, 2], [1], [0, 1, 2, 3]]


def encoder(**more: Any) -> EncoderForSequenceClassification:
    torch.manual_seed(0)
    return EncoderForSequenceClassification(EncoderConfig(**SIZES, num_labels=2, **more)).eval()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_a_pruned_model_equals_one_with_these_heads_switched_off(positions: str) -> None:
    model = encoder(positions=positions)
    ids = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 6, 3, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
    switches = torch.tensor([[float(head in heads) for head in range(4)] for heads in KEEP])
    modules = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    with torch.no_grad(), switched_heads(model, modules, switches):
        expected = model(ids, attention_mask=mask).logits
    whole = sum(p.numel() for p in model.parameters())
    remove_heads(model, KEEP)
    with torch.no_grad():
        torch.testing.assert_close(model(ids, attention_mask=mask).logits, expected, atol=1e-6, rtol=1e-5)
    removed_width = 5 * 4  # heads of 4 numbers: rows of three maps with their biases, columns of one
    assert whole - sum(p.numel() for p in model.parameters()) == removed_width * (3 * 17 + 16)


def test_a_pruned_decoder_loads_and_generates_with_its_cache(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = DecoderForCausalLM(DecoderConfig(**SIZES)).eval()
    remove_heads(model, KEEP)
    model.save_pretrained(tmp_path)
    loaded = DecoderForCausalLM.from_pretrained(tmp_path).eval()
    assert loaded.config.kept_heads == [2, 1, 4]
    ids = torch.tensor([[2, 7, 9]])
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, model(ids).logits)
    generated = loaded.generate(ids, max_new_tokens=5, do_sample=False)
    without_cache = loaded.generate(ids, max_new_tokens=5, do_sample=False, use_cache=False)
    assert generated.tolist() == without_cache.tolist()


def test_the_least_important_heads_go_first_and_every_layer_keeps_one() -> None:
    values = [[0.1, 0.2, 0.05], [0.9, 0.8, 0.7]]
    indices = sorted(((a, b) for a in range(2) for b in range(3)), key=lambda index: values[index[0]][index[1]])
    order = [{"layer": a, "head": b, "importance": values[a][b]} for a, b in indices]
    importance = HeadImportance("gradient", 1, values, order)
    assert heads_to_keep(importance, 2) == [[1], [0, 1, 2]]
    assert heads_to_keep(importance, 3) == [[1], [0, 1]]  # not the first layer's last head
    assert parse_head_count("30%", 6, 72) == 22 and parse_head_count(" 5 ", 6, 72) == 5
    for wrong in ("0", "67", "100%", "many", "-3"):
        with pytest.raises(RequestError):
            parse_head_count(wrong, 6, 72)


def test_a_pruned_model_can_be_explained() -> None:
    loaded = predictor(encoder(), tokenizer())
    remove_heads(loaded.model, KEEP)
    attention = capture_attention(loaded.model, loaded.tokenizer, "good film")
    assert attention.weights.shape[:2] == (3, 4)
    assert [int(row.any((-1, -2)).sum()) for row in attention.weights] == [2, 1, 4]
    for method in ("attention", "rollout", "occlusion", "integrated-gradients"):
        assert np.isfinite(explain(loaded, "good film", method).scores).all()
    layer = explain(loaded, "good film", "attention", layer=1)
    # Layer 1 has only this head.
    np.testing.assert_allclose(layer.scores, attention.weights[1, 0, 0], atol=1e-6)
    with pytest.raises(SpecError, match="no form"):
        to_transformers(loaded.model)


@pytest.fixture(scope="module")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a finished run of a Workbench encoder."""
    workspace = Workspace(tmp_path_factory.mktemp("pruning"))
    changes = {
        "model": {
            "source": "transformer-encoder",
            "size": "tiny",
            "tokenizer": {"train": "wordpiece", "vocab_size": 200},
        },
        "training.epochs": 1,
    }
    assert run_folder(make_run(workspace, changes).folder) == 0
    return workspace.root


def test_pruning_a_run_creates_a_new_run(_trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(_trained))
    workspace = Workspace.current()
    (source,) = [run for run in Run.all(workspace) if "pruned" not in run.id]
    assert main(["prune", source.id, "--heads", "2", "--texts", "10", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    pruned = Run.open(printed["id"], workspace)
    pruning = pruned.report().pruning
    assert pruned.state == "succeeded" and pruning.heads_cut == 2
    assert pruning.after.parameters < pruning.before.parameters
    assert set(pruning.before.metrics) == set(pruning.after.metrics) and pruning.after.texts_per_second > 0
    model = Predictor.load(pruned).model
    assert sum(model.config.kept_heads) == model.config.num_hidden_layers * model.config.num_attention_heads - 2
    assert explain(Predictor.load(pruned), "a lovely film", "occlusion").scores
    assert main(["prune", pruned.id, "--heads", "1"]) == 2 and "already pruned" in capsys.readouterr().err
    continued = make_run(workspace, {"model": f"run:{pruned.id}", "training.epochs": 1})
    assert run_folder(continued.folder) == 0


def test_a_model_that_cannot_be_pruned_is_refused(workspace: Workspace, capsys: Any) -> None:
    run = make_run(workspace, {"training.epochs": 1})
    assert run_folder(run.folder) == 0
    assert main(["prune", run.id, "--heads", "2"]) == 2
    assert "transformers 5 has no format" in capsys.readouterr().err
    assert [each.id for each in Run.all(workspace)] == [run.id]  # nothing is left behind
