"""The importance of each layer, checked against a model without that layer."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError
from workbench.explain.internals.layers import layer_importance

TEXTS = [{"text": "the film was good"}, {"text": "bad story"}]


def _probability(model: nn.Module, text: str, label: int) -> float:
    with torch.no_grad():
        return float(model(**tokenizer()(text, return_tensors="pt")).logits.softmax(-1)[0, label])


def test_skipping_a_layer_equals_a_model_without_it() -> None:
    model = bert().eval()
    result = layer_importance(predictor(model, tokenizer()), TEXTS)
    for number in range(3):
        smaller = copy.deepcopy(model)
        del smaller.bert.encoder.layer[number]
        drops = []
        for example in TEXTS:
            label = max(range(2), key=lambda index: _probability(model, example["text"], index))
            drops.append(_probability(model, example["text"], label) - _probability(smaller, example["text"], label))
        assert result.importance[number] == pytest.approx(np.mean(drops), abs=1e-6)
        assert result.low[number] <= result.importance[number] <= result.high[number]
    assert result.texts == 2 and len(result.lines()) == 3 and "layer 2" in result._repr_html_()


def test_models_without_layers_are_refused() -> None:
    with pytest.raises(RequestError, match="no list of layers"):
        layer_importance(bag_of_words(), TEXTS)
    with pytest.raises(RequestError, match="no texts"):
        layer_importance(bag_of_words(), [])
