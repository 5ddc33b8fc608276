"""The logit lens reads each layer as the model's own head would."""

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
from workbench.explain.lens import _settled, layer_logits, logit_lens
from workbench.tasks.base import tasks

TEXT = "the film was unbelievable"


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=40, n_positions=32, n_embd=16, n_layer=3, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


def test_a_classifier_read_by_hand() -> None:
    model, words = bert().eval(), tokenizer()
    inputs = dict(words(TEXT, return_tensors="pt"))
    found = layer_logits(model, inputs)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
        expected = torch.cat([model.classifier(model.bert.pooler(state)) for state in states])
    torch.testing.assert_close(found, expected)
    assert found.shape == (4, 2)


def test_a_language_model_read_by_hand_through_its_final_norm() -> None:
    model, words = gpt2(), tokenizer()
    inputs = {"input_ids": words(TEXT, return_tensors="pt")["input_ids"]}
    found = layer_logits(model, inputs)
    with torch.no_grad():
        states = model(**inputs, output_hidden_states=True).hidden_states
        # transformers' last state has passed the final norm already
        expected = [model.lm_head(model.transformer.ln_f(state)) for state in states[:-1]]
        expected.append(model.lm_head(states[-1]))
    torch.testing.assert_close(found, torch.cat(expected))


def test_the_last_row_is_the_models_answer() -> None:
    lens = logit_lens(predictor(bert(), tokenizer()), TEXT)
    assert lens.whole_text and len(lens.rows) == 4
    with torch.no_grad():
        scores = bert().eval()(**tokenizer()(TEXT, return_tensors="pt")).logits.softmax(-1)[0]
    assert lens.rows[-1][0][0].probability == pytest.approx(float(scores.max()))
    assert json.loads(json.dumps(lens.as_dict()))["rows"][0][0][0]["name"] in ("fresh", "rotten")
    assert 0 <= lens.settled[0] <= 3


def test_every_place_of_a_language_model_has_candidates() -> None:
    task = tasks.get("causal-lm")()
    asked = SimpleNamespace(model=gpt2(), tokenizer=tokenizer(), task=task, labels=[], max_length=32)
    lens = logit_lens(asked, "good <b> film", top=2)
    assert not lens.whole_text and len(lens.rows[0]) == len(lens.tokens) == len(lens.settled)
    assert all(len(place) == 2 and place[0].probability >= place[1].probability for row in lens.rows for place in row)
    assert "<b>" not in lens._repr_html_().replace("<bdi>", "")


def test_when_it_settled() -> None:
    first = torch.tensor([[1, 0], [0, 0], [1, 0], [1, 0]])
    assert _settled(first) == [2, 0]


def test_a_model_that_peft_has_wrapped_and_hooks_are_gone() -> None:
    wrapped: Any = get_peft_model(bert(), LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["query", "value"]))
    inputs = dict(tokenizer()(TEXT, return_tensors="pt"))
    with torch.no_grad():
        expected = wrapped.eval()(**inputs).logits
    torch.testing.assert_close(layer_logits(wrapped, inputs)[-1:], expected)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in wrapped.modules())


def test_what_has_no_layers_is_told() -> None:
    with pytest.raises(RequestError, match="no list of layers"):
        logit_lens(bag_of_words(), TEXT)
