"""The logit lens applies the model's own head to each layer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError
from workbench.explain.internals.lens import _settled, layer_logits, logit_lens
from workbench.tasks.base import tasks

TEXT = "the film was unbelievable"


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=3, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


def test_a_classifier_by_hand() -> None:
    model, words = bert().eval(), tokenizer()
    inputs = dict(words(TEXT, return_tensors="pt"))
    logits = layer_logits(model, inputs)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
        expected = torch.cat([model.classifier(model.bert.pooler(state)) for state in states])
    torch.testing.assert_close(logits, expected)
    assert logits.shape == (4, 2)


def test_a_language_model_by_hand_with_its_final_norm() -> None:
    model, words = gpt2(), tokenizer()
    inputs = {"input_ids": words(TEXT, return_tensors="pt")["input_ids"]}
    logits = layer_logits(model, inputs)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
        # transformers' last state has passed the final norm already
        expected = [model.lm_head(model.transformer.ln_f(state)) for state in states[:-1]]
        expected.append(model.lm_head(states[-1]))
    torch.testing.assert_close(logits, torch.cat(expected))


def test_the_last_row_is_the_models_prediction() -> None:
    lens = logit_lens(predictor(bert(), tokenizer()), TEXT)
    assert lens.whole_text and len(lens.rows) == 4
    with torch.no_grad():
        scores = bert().eval()(**tokenizer()(TEXT, return_tensors="pt")).logits.softmax(-1)[0]
    assert lens.rows[-1][0][0].probability == pytest.approx(float(scores.max()))
    assert json.loads(json.dumps(lens.as_dict()))["rows"][0][0][0]["name"] in ("fresh", "rotten")
    assert 0 <= lens.settled[0] <= 3


def test_every_token_of_a_language_model_has_candidates() -> None:
    task = tasks.get("causal-lm")()
    loaded = SimpleNamespace(model=gpt2(), tokenizer=tokenizer(), task=task, labels=[], max_length=32)
    lens = logit_lens(loaded, "good <b> film", top=2)
    assert not lens.whole_text and len(lens.rows[0]) == len(lens.tokens) == len(lens.settled)
    assert all(len(best) == 2 and best[0].probability >= best[1].probability for row in lens.rows for best in row)
    assert "<b>" not in lens._repr_html_().replace("<bdi>", "")


def test_the_layer_from_which_the_answer_is_final() -> None:
    first = torch.tensor([[1, 0], [0, 0], [1, 0], [1, 0]])
    assert _settled(first) == [2, 0]


def test_a_peft_model_has_no_hooks_afterwards() -> None:
    wrapped: Any = get_peft_model(bert(), LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    inputs = dict(tokenizer()(TEXT, return_tensors="pt"))
    with torch.no_grad():
        expected = wrapped.eval()(**inputs).logits
    torch.testing.assert_close(layer_logits(wrapped, inputs)[-1:], expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in wrapped.modules())


def test_models_without_layers_are_refused() -> None:
    with pytest.raises(RequestError, match="no list of layers"):
        logit_lens(bag_of_words(), TEXT)
