"""Queries and keys of every kind of model rebuild its attention; the neuron view requests nothing."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AttentionInterface,
    AutoModelForSequenceClassification,
    BartConfig,
    BartForConditionalGeneration,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    MPNetConfig,
    RobertaConfig,
)

from tests.unit.explain.explain_models import bag_of_words, bert, tokenizer
from tests.unit.explain.test_explain_render import HOSTILE, Parsed
from workbench.errors import RequestError, WorkbenchError
from workbench.explain.internals.queries import QueriesKeys, capture_queries_keys, rebuild
from workbench.explain.render import assets, neuron
from workbench.models.loading import register_models
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig

register_models()
TEXT = "the film was unbelievable"
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32, "vocab_size": 40}
BART = {"layers": 2, "attention_heads": 4, "ffn_dim": 32}
LARGE_WEIGHTS = {"initializer_range": 0.5}
CONFIGS = {
    "distilbert": DistilBertConfig(vocab_size=40, dim=16, n_layers=2, n_heads=4, hidden_dim=32, **LARGE_WEIGHTS),
    "roberta": RobertaConfig(**SMALL, **LARGE_WEIGHTS, pad_token_id=1),
    "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=4, pad_token_id=0, **LARGE_WEIGHTS),
    "gpt2-unscaled": GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=4, pad_token_id=0, scale_attn_weights=False, **LARGE_WEIGHTS
    ),
    "llama": LlamaConfig(**SMALL, **LARGE_WEIGHTS, num_key_value_heads=2, pad_token_id=0),
    "our-encoder": EncoderConfig(**SMALL, **LARGE_WEIGHTS),
    "our-rotary-encoder": EncoderConfig(**SMALL, **LARGE_WEIGHTS, positions="rotary", norm="pre"),
    "our-decoder": DecoderConfig(**SMALL, **LARGE_WEIGHTS),
}


def model_of(config: Any) -> Any:
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_config(config).eval()


@pytest.fixture(autouse=True)
def _no_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "script", lambda name, workspace=None: f"/* {name} */")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_softmax_of_the_products_is_the_attention(name: str) -> None:
    vectors = capture_queries_keys(model_of(CONFIGS[name]), tokenizer(), TEXT)
    assert vectors.queries.shape == vectors.keys.shape == (2, 4, 8, 4)
    rebuilt = rebuild(vectors.queries, vectors.keys, vectors.attention.is_causal)
    np.testing.assert_allclose(rebuilt, vectors.attention.weights, atol=1e-5)
    assert vectors.rebuilt < 1e-5 and vectors.notes == []
    assert vectors.attention.weights.std() > 0.02  # attention is not uniform, so the test can fail


def test_an_encoder_decoder_shows_its_encoder() -> None:
    torch.manual_seed(0)
    sizes = {f"{stack}_{field}": size for stack in ("encoder", "decoder") for field, size in BART.items()}
    model = BartForConditionalGeneration(BartConfig(vocab_size=40, d_model=16, init_std=0.5, pad_token_id=0, **sizes))
    vectors = capture_queries_keys(model.eval(), tokenizer(), TEXT)
    ids = tokenizer()(TEXT, return_tensors="pt")["input_ids"]
    layer = model.get_encoder().layers[0]
    with torch.no_grad():
        model.set_attn_implementation("eager")
        encoded = model.get_encoder()(ids, output_attentions=True, output_hidden_states=True)
        query = layer.self_attn.q_proj(encoded.hidden_states[0])[0]  # [T, D]
    np.testing.assert_allclose(vectors.attention.weights[0], encoded.attentions[0][0], atol=1e-5)
    np.testing.assert_allclose(np.swapaxes(vectors.queries[0], 0, 1).reshape(len(query), -1), query, atol=1e-5)
    assert vectors.rebuilt < 1e-5


def test_queries_by_hand_and_of_a_peft_model() -> None:
    model = bert()
    vectors = capture_queries_keys(model, tokenizer(), TEXT)
    with torch.no_grad():
        hidden = model.eval().bert.embeddings(tokenizer()(TEXT, return_tensors="pt")["input_ids"])
        query = model.bert.encoder.layer[0].attention.self.query(hidden)[0]
    np.testing.assert_allclose(vectors.queries[0, 1], query[:, 4:8].numpy(), atol=1e-5)
    wrapped = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query"]))
    np.testing.assert_allclose(capture_queries_keys(wrapped, tokenizer(), TEXT).keys, vectors.keys, atol=1e-5)


def test_transformers_is_restored() -> None:
    before = AttentionInterface.get_interface
    capture_queries_keys(bert(), tokenizer(), TEXT)
    assert AttentionInterface.get_interface is before
    model = model_of(CONFIGS["our-encoder"])
    capture_queries_keys(model, tokenizer(), TEXT)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_another_thread_is_not_recorded() -> None:
    model, other = bert(), bert().eval()
    inputs = dict(tokenizer()("good", return_tensors="pt"))

    def run_other_model(*_: Any) -> None:
        worker = threading.Thread(target=lambda: other(**inputs))
        worker.start()
        worker.join()

    model.bert.encoder.layer[1].register_forward_hook(run_other_model)
    assert capture_queries_keys(model, tokenizer(), TEXT).rebuilt < 1e-5


def test_attention_beyond_queries_and_keys_is_refused() -> None:
    mpnet = model_of(MPNetConfig(**SMALL, **LARGE_WEIGHTS))
    deberta = model_of(DebertaV2Config(**SMALL, relative_attention=True, pos_att_type=["p2c", "c2p"]))
    for model in (mpnet, deberta):
        with pytest.raises(RequestError, match="cannot be read"):
            capture_queries_keys(model, tokenizer(), TEXT)
    with pytest.raises(RequestError, match="no attention"):
        capture_queries_keys(bag_of_words().model, tokenizer(), TEXT)


def data_of(document: str) -> Any:
    return json.loads(re.search(r"window.bertviz_params = (.*);\n", document)[1])  # type: ignore[index]


def test_the_view_contains_the_numbers() -> None:
    vectors = capture_queries_keys(bert(), tokenizer(), TEXT)
    data = data_of(neuron.neuron_view(vectors, layers=[2, 1], head=3))
    assert data["layer_names"] == [1, 2] and data["layer"] == 1 and data["head"] == 3 and data["bidirectional"]
    view = data["attention"]["all"]
    np.testing.assert_allclose(view["queries"], vectors.queries[1:], atol=6e-4)
    np.testing.assert_allclose(view["keys"], vectors.keys[1:], atol=6e-4)
    np.testing.assert_allclose(view["attn"], vectors.attention.weights[1:], atol=6e-5)
    assert view["left_text"] == vectors.attention.shown


def test_a_pair_has_four_views() -> None:
    vectors = capture_queries_keys(bert(), tokenizer(), "good film", "bad story")
    views = data_of(neuron.neuron_view(vectors))["attention"]
    assert views["ab"]["left_text"] == ["[CLS]", "good", "film", "[SEP]"]
    assert views["ab"]["right_text"] == ["bad", "story", "[SEP]"]
    np.testing.assert_allclose(views["ab"]["keys"], vectors.keys[:, :, 4:], atol=6e-4)
    np.testing.assert_allclose(views["ba"]["attn"], vectors.attention.weights[:, :, 4:, :4], atol=6e-5)


def hostile() -> QueriesKeys:
    vectors = capture_queries_keys(bert(), tokenizer(), "the film was good and bad and good")
    shown = HOSTILE[: len(vectors.attention.tokens)]
    return replace(vectors, attention=replace(vectors.attention, shown=shown))


def test_nothing_is_requested_and_hostile_tokens_stay_data() -> None:
    document = neuron.neuron_view(hostile())
    plain = neuron.neuron_view(capture_queries_keys(bert(), tokenizer(), "the film was good and bad and good"))
    assert Parsed(document).tags == Parsed(plain).tags and "<!--" not in document
    assert not re.search(r"https?:|cdnjs|url\(|@import", document) and "default-src 'none'" in document


def test_views_too_large_or_of_missing_layers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = capture_queries_keys(bert(), tokenizer(), TEXT)
    for wrong in ({"layers": [3]}, {"layers": []}, {"head": 4}, {"layers": [0], "layer": 1}):
        with pytest.raises(RequestError):
            neuron.neuron_view(vectors, **wrong)  # type: ignore[arg-type]
    long = replace(vectors, queries=np.zeros((1, 1, 400, 4), np.float32))
    assert "1,124,800 elements" in str(neuron.why_not_drawn(long))
    monkeypatch.setattr(neuron, "_OPTION", "another script")
    with pytest.raises(WorkbenchError, match="cannot be made to draw offline"):
        neuron.neuron_view(vectors)
