"""Captured attention is the model's own, and the model is restored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2ForSequenceClassification

from tests.unit.explain.explain_models import bag_of_words, bert, tokenizer
from workbench.errors import RequestError
from workbench.explain import capture_attention

TEXT = "the film was unbelievable"


def test_attention_equals_that_of_an_eager_model() -> None:
    sdpa_model, words = bert(attn_implementation="sdpa"), tokenizer()
    eager_model = bert(attn_implementation="eager").eval()
    eager_model.load_state_dict(sdpa_model.state_dict())
    with torch.no_grad():
        expected = eager_model(**words(TEXT, return_tensors="pt"), output_attentions=True).attentions
    attention = capture_attention(sdpa_model, words, TEXT)
    assert attention.tokens == ["[CLS]", "the", "film", "was", "un", "##believ", "##able", "[SEP]"]
    assert attention.weights.shape == (3, 4, 8, 8)
    np.testing.assert_allclose(attention.weights, torch.stack([layer[0] for layer in expected]).numpy(), atol=1e-6)
    np.testing.assert_allclose(attention.weights.sum(-1), 1, atol=1e-5)
    assert not attention.is_causal and attention.readout == 0


def test_offsets_point_into_the_original_text() -> None:
    text = "The  FILM was\nunbelievable"
    attention = capture_attention(bert(), tokenizer(), text)
    assert [text[start:end] for start, end in attention.offsets[1:-1]] == ["The", "FILM", "was", "un", "believ", "able"]
    assert attention.special == [True, *[False] * 6, True]


def test_a_pair_has_the_start_of_its_second_text() -> None:
    attention = capture_attention(bert(), tokenizer(), "good film", "bad story")
    assert attention.segments == [None, 0, 0, None, 1, 1, None]
    assert attention.second_text_start == 4
    assert attention.offsets[4] == (0, 3)  # in the second text's own characters
    texts_only = attention.without_special()
    assert texts_only.tokens == ["good", "film", "bad", "story"] and texts_only.second_text_start == 2
    np.testing.assert_array_equal(texts_only.weights[1, 2], attention.weights[1, 2][np.ix_([1, 2, 4, 5], [1, 2, 4, 5])])
    assert any("left out" in note for note in texts_only.notes)


def test_a_decoder_is_causal_and_read_at_its_last_token() -> None:
    config = GPT2Config(vocab_size=40, n_positions=32, n_embd=8, n_layer=2, n_head=2, pad_token_id=0)
    attention = capture_attention(GPT2ForSequenceClassification(config), tokenizer(), TEXT)
    assert not np.triu(attention.weights, 1).any()
    assert attention.is_causal and attention.readout == len(attention.tokens) - 1


def test_truncation_adds_a_note() -> None:
    attention = capture_attention(bert(), tokenizer(), "the film " * 50, max_length=10)
    assert len(attention.tokens) == 10
    assert "10 tokens" in attention.notes[0]
    assert capture_attention(bert(), tokenizer(), "the film").notes == []


def test_the_model_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert(attn_implementation="sdpa", hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5).train()
    model.bert.encoder.layer[0].eval()  # as after freezing: modules differ in mode
    before = [module.training for module in model.modules()]
    attention = capture_attention(model, tokenizer(), TEXT)  # sums to 1: no dropout

    def broken(*_: Any, **__: Any) -> None:
        assert model.config._attn_implementation == "eager"
        raise RuntimeError("broken")

    monkeypatch.setattr(model.bert, "forward", broken)
    with pytest.raises(RuntimeError, match="broken"):
        capture_attention(model, tokenizer(), TEXT)
    assert {m.config._attn_implementation for m in model.modules() if hasattr(m, "config")} == {"sdpa"}
    assert [module.training for module in model.modules()] == before
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert attention.weights.dtype == np.float32


def test_a_peft_model() -> None:
    model = bert(attn_implementation="sdpa")
    expected = capture_attention(model, tokenizer(), TEXT)
    wrapped = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    np.testing.assert_allclose(capture_attention(wrapped, tokenizer(), TEXT).weights, expected.weights, atol=1e-6)
    for name, parameter in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    assert not np.allclose(capture_attention(wrapped, tokenizer(), TEXT).weights, expected.weights, atol=1e-3)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_without_attention_is_refused() -> None:
    bag = bag_of_words()
    with pytest.raises(RequestError, match="returned no attention"):
        capture_attention(bag.model, bag.tokenizer, TEXT)


def test_attention_that_does_not_sum_to_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = bert(attn_implementation="eager")
    forward = model.forward

    def halved(**inputs: Any) -> Any:
        outputs = forward(**inputs)
        outputs.attentions = tuple(layer / 2 for layer in outputs.attentions)
        return outputs

    monkeypatch.setattr(model, "forward", halved)
    with pytest.raises(RequestError, match="do not sum to 1"):
        capture_attention(model, tokenizer(), TEXT)


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(RequestError, match="no token"):
        capture_attention(bert(), tokenizer(), "  ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("film \U0001f642", "[UNK] \U0001f642"),
        ("film \u05e9\u05dc\u05d5\u05dd", "[UNK] \u05e9\u05dc\u05d5\u05dd"),
        ("film caf\u00e9", "[UNK] caf\u00e9"),
        ("film \u2028good", "good"),
    ],
)
def test_unknown_tokens_are_shown_as_text(text: str, shown: str) -> None:
    assert capture_attention(bert(), tokenizer(), text).shown[-2] == shown
