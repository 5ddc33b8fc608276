"""Heads are really switched off, important heads are detected, and changed heads have a high divergence."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import LABELS, bag_of_words, bert, predictor, tokenizer
from tests.unit.explain.test_explain_queries import CONFIGS, model_of
from workbench.errors import RequestError
from workbench.explain import capture_attention
from workbench.explain.internals.alignment import align_tokens
from workbench.explain.internals.attention_difference import attention_divergence, difference, jensen_shannon
from workbench.explain.internals.heads import head_importance, switched_heads
from workbench.explain.internals.queries import attention_modules

TEXT = "the film was unbelievable"
EXAMPLES = [{"text": TEXT}, {"text": "a good story with bad music"}]


def without_head(model: Any, layer: int, head: int) -> None:
    """Set a head's slice of the output projection to zero, an independent way to switch the head off."""
    with torch.no_grad():
        if hasattr(model, "bert"):
            model.bert.encoder.layer[layer].attention.output.dense.weight[:, 4 * head : 4 * head + 4] = 0
        elif hasattr(model, "transformer"):
            model.transformer.h[layer].attn.c_proj.weight[4 * head : 4 * head + 4] = 0
        else:
            model.model.layers[layer].attention.output.weight[:, 4 * head : 4 * head + 4] = 0


def make(name: str) -> Any:
    return bert().eval() if name == "bert" else model_of(CONFIGS[name])


@pytest.mark.parametrize("name", ["bert", "gpt2", "our-encoder", "our-decoder"])
def test_a_head_switched_off_equals_one_without_its_projection(name: str) -> None:
    model, inputs = make(name), dict(tokenizer()(TEXT, return_tensors="pt"))
    if name in ("gpt2", "our-decoder"):
        inputs.pop("token_type_ids", None)
    modules = attention_modules(model, inputs)
    switches = torch.ones(len(modules), 4)
    with torch.no_grad():
        whole = model(**inputs).logits
        with switched_heads(model, modules, switches):
            torch.testing.assert_close(model(**inputs).logits, whole)
        switches[1, 2] = 0
        with switched_heads(model, modules, switches):
            without = model(**inputs).logits
        with switched_heads(model, modules, torch.stack([torch.ones_like(switches), switches], dim=1)):
            batch_logits = model(**{key: value.expand(2, -1) for key, value in inputs.items()}).logits
        torch.testing.assert_close(model(**inputs).logits, whole)  # the model is restored
        without_head(model, 1, 2)
        expected = model(**inputs).logits
    assert not torch.allclose(whole, without, atol=1e-3)
    torch.testing.assert_close(without, expected)
    torch.testing.assert_close(batch_logits, torch.cat([whole, without]))


def test_ablation_by_hand() -> None:
    loaded = predictor(bert().eval(), tokenizer())
    result = head_importance(loaded, EXAMPLES[:1])
    inputs = dict(tokenizer()(TEXT, return_tensors="pt"))
    with torch.no_grad():
        whole = loaded.model(**inputs).logits.softmax(-1)[0]
        label = int(whole.argmax())
        for layer, head in ((0, 0), (2, 3)):
            changed = bert().eval()
            without_head(changed, layer, head)
            drop = float(whole[label] - changed(**inputs).logits.softmax(-1)[0, label])
            assert result.importance[layer][head] == pytest.approx(drop, abs=1e-5)
    assert len(result.order) == 12 and result.order[0]["importance"] <= result.order[-1]["importance"]
    assert json.loads(json.dumps(result.as_dict()))["texts"] == 1


@pytest.mark.parametrize("name", ["bert", "our-encoder"])
def test_the_gradient_equals_a_finite_difference(name: str) -> None:
    model = make(name).double()
    model.config.id2label = dict(enumerate(LABELS))
    loaded = predictor(model, tokenizer())
    result = head_importance(loaded, EXAMPLES[:1], "gradient")
    inputs = dict(tokenizer()(TEXT, return_tensors="pt"))
    modules = attention_modules(model, inputs)

    def log_probability(change: float) -> float:
        switches = torch.ones(len(modules), 4, dtype=torch.float64)
        switches[1, 2] += change
        with torch.no_grad(), switched_heads(model, modules, switches):
            return float(model.eval()(**inputs).logits.log_softmax(-1).max())

    slope = abs(log_probability(1e-4) - log_probability(-1e-4)) / 2e-4
    assert result.importance[1][2] == pytest.approx(slope, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("measure", ["ablation", "gradient"])
def test_a_head_that_does_nothing_has_no_importance(measure: Any) -> None:
    model = bert().eval()
    for head in range(4):
        if head != 1:
            without_head(model, 0, head)
    reported: list[int] = []
    result = head_importance(predictor(model, tokenizer()), EXAMPLES, measure, lambda now, _: reported.append(now))
    np.testing.assert_allclose(np.array(result.importance[0])[[0, 2, 3]], 0, atol=1e-6)
    assert abs(result.importance[0][1]) > 1e-4 and reported == [1, 2]


def test_models_without_heads_are_refused() -> None:
    with pytest.raises(RequestError, match="cannot be switched off"):
        head_importance(bag_of_words(), EXAMPLES)
    with pytest.raises(RequestError, match="no texts"):
        head_importance(bag_of_words(), [])


def test_divergence_by_hand() -> None:
    certain, opposite, half = [[1, 0]] * 2, [[0, 1]] * 2, [[0.5, 0.5]] * 2
    divergence = jensen_shannon(np.array([[certain, certain, certain]]), np.array([[certain, opposite, half]]))
    # Of (1, 0) and (.5, .5): the middle is (.75, .25).
    expected = (math.log2(1 / 0.75) + 0.5 * math.log2(0.5 / 0.75) + 0.5 * math.log2(0.5 / 0.25)) / 2
    np.testing.assert_allclose(divergence, [[0, 1, expected]])


def test_the_changed_head_has_the_highest_divergence() -> None:
    first, second = bert().eval(), bert().eval()
    with torch.no_grad():
        second.bert.encoder.layer[1].attention.self.query.weight[8:12] *= -1  # head 2 of layer 1
    result = attention_divergence(first, second, tokenizer(), [example["text"] for example in EXAMPLES])
    assert (result.order[0]["layer"], result.order[0]["head"]) in {(1, 2)} | {(2, head) for head in range(4)}
    np.testing.assert_allclose(result.divergence[0], 0, atol=1e-9)  # layers before the changed head
    np.testing.assert_allclose(np.delete(result.divergence[1], 2), 0, atol=1e-9)
    assert result.divergence[1][2] > 0.01 and result.texts == 2
    first_attention, second_attention = (capture_attention(model, tokenizer(), TEXT) for model in (first, second))
    np.testing.assert_allclose(difference(first_attention, second_attention).sum(-1), 0, atol=1e-5)
    with pytest.raises(RequestError, match="same tokens"):
        difference(first_attention, capture_attention(second, tokenizer(), "good"))
    with pytest.raises(RequestError, match="3 layers with 4 heads, the other 2 with 4"):
        attention_divergence(first, bert(num_hidden_layers=2), tokenizer(), [TEXT])


def test_texts_are_aligned() -> None:
    first, second = (
        capture_attention(bert(), tokenizer(), text) for text in ("the film was good", "the story was bad")
    )
    assert align_tokens(first.tokens, second.tokens) == [(i, i) for i in range(6)]
    longer = capture_attention(bert(), tokenizer(), "the film was a good")
    assert align_tokens(first.tokens, longer.tokens) == [(0, 0), (1, 1), (2, 2), (3, 3), (None, 4), (4, 5), (5, 6)]
