"""The sources transformer-encoder, -decoder and -encoder-decoder: every option can be set, bad ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_model, reviews
from workbench.errors import RequestError, SpecError
from workbench.models.base import models
from workbench.models.loading import load_tokenizer, make_source
from workbench.workspace import Workspace

HEADS = {
    "transformer-encoder": "AutoModelForMaskedLM",
    "transformer-decoder": "AutoModelForCausalLM",
    "transformer-encoder-decoder": "AutoModelForSeq2SeqLM",
}


def load(name: str, workspace: Workspace, folder: Path, **options: Any) -> Any:
    entry = models.get(name)
    tokenizer = {"train": "wordpiece", "vocab_size": 120}
    source = entry(entry.Config.model_validate({"tokenizer": tokenizer, "hidden_size": 32, **options}), "", workspace)
    source.prepare(lambda: (text for text, _ in reviews(80)), folder)
    return source.load(HEADS[name], {})


@pytest.mark.parametrize("name", HEADS)
def test_every_option_can_be_set(name: str, workspace: Workspace, tmp_path: Path) -> None:
    own = {
        "transformer-encoder": {"type_vocab_size": 3},
        "transformer-decoder": {},
        "transformer-encoder-decoder": {"decoder_layers": 3},
    }[name]
    options = {"layer_norm_eps": 1e-3, "initializer_range": 0.3, "rotary_base": 500.0, "positions": "rotary", **own}
    model = load(name, workspace, tmp_path / "tokenizer", **options).model
    for field, value in options.items():
        assert getattr(model.config, field) == value
    norms = [module.eps for module in model.modules() if type(module).__name__ == "LayerNorm"]
    assert set(norms) == {1e-3}
    table = model.get_input_embeddings().weight
    assert table.std().item() == pytest.approx(0.3, rel=0.1)
    if own.get("type_vocab_size"):
        assert model.model.embeddings.types.num_embeddings == 3
    if own.get("decoder_layers"):
        assert len(model.model.decoder.layers) == 3 and len(model.model.encoder.layers) == 2


@pytest.mark.parametrize("kinds", [0, 1])
def test_pairs_are_read_without_segment_types(kinds: int, workspace: Workspace, tmp_path: Path) -> None:
    """Read a pair with a tokenizer that returns segment types and a model without them."""
    loaded = load("transformer-encoder", workspace, tmp_path / "tokenizer", type_vocab_size=kinds)
    pair = loaded.tokenizer("the film", "a story", return_tensors="pt")
    assert pair["token_type_ids"].max() == 1
    assert loaded.model(**pair).logits.isfinite().all()


def test_an_embedding_smaller_than_the_trained_tokenizer(workspace: Workspace, tmp_path: Path) -> None:
    size = len(load("transformer-encoder", workspace, tmp_path / "tokenizer").tokenizer)
    with pytest.raises(SpecError, match=rf"tokenizer has {size:,} tokens, .*{size - 1:,} rows.*{size} or more"):
        load("transformer-encoder", workspace, tmp_path / "tokenizer", vocab_size=size - 1)
    loaded = load("transformer-encoder", workspace, tmp_path / "tokenizer", vocab_size=size + 9)
    assert loaded.model.get_input_embeddings().num_embeddings == size + 9


def test_a_tokenizer_larger_than_the_pretrained_embedding(workspace: Workspace, tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    tokenizer = load_tokenizer(folder)
    rows = len(tokenizer)
    tokenizer.add_tokens(["brandnew", "another"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(RequestError, match=rf"tokenizer has {rows + 2} tokens.*embedding has {rows} rows"):
        make_source(f"path:{folder}", workspace).load("AutoModelForMaskedLM", {})
