"""Replayed activations equal a full forward pass, for every architecture with layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    RobertaConfig,
)

from workbench.data.text.batching import Batches
from workbench.data.text.tokens import TokenTable
from workbench.errors import SpecError
from workbench.training.frozen import FrozenPrefix, disable_frozen_dropout
from workbench.tuning.freeze import Freeze
from workbench.tuning.head import Head
from workbench.tuning.structure import ModelStructure

SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
CONFIGS = {
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=40),
    "electra": ElectraConfig(**SMALL, embedding_size=8),
    "distilbert": DistilBertConfig(vocab_size=40, dim=16, n_layers=3, n_heads=2, hidden_dim=32),
    "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=3, n_head=2, n_positions=32, pad_token_id=0),
}
LENGTHS = np.array([5, 9, 3, 12, 7])
RANDOM = np.random.default_rng(0)
TABLE = TokenTable(
    RANDOM.integers(2, 40, LENGTHS.sum()).astype(np.int32),
    None,
    np.concatenate([[0], np.cumsum(LENGTHS)]),
    LENGTHS.astype(np.int32),
)


def make(name: str):
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(CONFIGS[name])


def collate(indices):
    batch = {k: torch.from_numpy(v) for k, v in TABLE.pad(indices, 0).items()}
    return {**batch, "labels": torch.zeros(len(indices), dtype=torch.long)}


def prefix_of(model, depth, file=None):
    prefix = FrozenPrefix(model, ModelStructure.of(model), depth)
    store = prefix.compute(TABLE.offsets, Batches(LENGTHS, 2).in_order(), collate, torch.device("cpu"), file)
    return prefix, store


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("on_disk", [False, True])
def test_replaying_equals_a_full_pass(tmp_path, name, depth, on_disk):
    model = make(name).eval()
    prefix, store = prefix_of(model, depth, tmp_path / "activations" if on_disk else None)
    indices = np.array([3, 0, 2])
    batch = collate(indices)
    full = model(**batch).logits
    with prefix.replaying():
        prefix.show(store.batch(indices, 12))
        replayed = model(**batch).logits
    torch.testing.assert_close(replayed, full, atol=1e-5, rtol=0)
    assert prefix.agrees(store, batch, indices)
    torch.testing.assert_close(model(**batch).logits, full)  # the original layers are back


def test_a_wrong_activation_is_detected():
    model = make("bert").eval()
    prefix, store = prefix_of(model, 2)
    store.values[0] = torch.randn(16, generator=torch.Generator().manual_seed(1)) * 3
    assert not prefix.agrees(store, collate(np.array([0])), np.array([0]))


def test_gradients_of_the_rest_are_those_of_a_full_pass():
    model = make("bert").eval()
    model = Freeze(Freeze.Config(layers=2)).apply(model, "SEQ_CLS")
    indices = np.array([1, 4])
    prefix, store = prefix_of(model, 2)
    model.eval()
    model(**collate(indices)).loss.backward()
    full = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    with prefix.replaying():
        prefix.show(store.batch(indices, 9))
        model(**collate(indices)).loss.backward()
        replayed = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        assert replayed.keys() == full.keys()
        for name in full:
            torch.testing.assert_close(replayed[name], full[name], atol=1e-6, rtol=1e-4)


def test_dropout_is_off_in_frozen_layers_and_on_in_the_rest():
    model = make("gpt2")
    Freeze(Freeze.Config(layers=2)).apply(model, "SEQ_CLS")
    model.train()
    disable_frozen_dropout(ModelStructure.of(model), 2)
    layers = model.transformer.h
    assert not model.transformer.drop.training
    assert [layer.training for layer in layers] == [False, False, True]
    assert not any(m.training for m in layers[0].modules()) and model.training


@pytest.mark.parametrize(
    ("options", "depth"),
    [({"layers": 2}, 2), ({"layers": 0}, 0), ({"layers": 3}, 3), ({"layers": 2, "embeddings": False}, 0)],
)
def test_the_frozen_prefix_needs_frozen_embeddings(options, depth):
    model = Freeze(Freeze.Config(**options)).apply(make("bert"), "SEQ_CLS")
    assert ModelStructure.of(model).frozen_prefix() == depth


def test_head_trains_pooler_and_classifier_only():
    def trainable_modules(pooler):
        model = Head(Head.Config(pooler=pooler)).apply(make("bert"), "SEQ_CLS")
        return {
            name.split(".")[0 if name.startswith("classifier") else 1]
            for name, p in model.named_parameters()
            if p.requires_grad
        }

    assert trainable_modules(True) == {"pooler", "classifier"}
    assert trainable_modules(False) == {"classifier"}


def test_more_layers_than_there_are_is_refused():
    with pytest.raises(SpecError, match=r"tuning\.layers is 4, but the model has 3"):
        Freeze(Freeze.Config(layers=4)).apply(make("bert"), "SEQ_CLS")
