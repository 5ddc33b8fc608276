"""Activation patching: known properties, and a patch by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from tests.unit.explain.test_explain_targets import language_model
from workbench.errors import RequestError
from workbench.explain import patch
from workbench.explain.render.figure import page
from workbench.explain.render.positions import patching_maps

FIRST, SECOND = "the film was good", "the film was bad"


def test_patches_of_embeddings_and_last_layer_have_known_effects() -> None:
    result = patch(predictor(bert(), tokenizer()), FIRST, SECOND)
    positions = np.array(result.positions)
    changed = result.tokens.index("good → bad")
    assert positions.shape == (4, 6)
    # The embeddings differ at the changed token only, and the head reads only the first token of the last layer.
    np.testing.assert_allclose(positions[0], [float(i == changed) for i in range(6)], atol=1e-4)
    np.testing.assert_allclose(positions[-1], [1, 0, 0, 0, 0, 0], atol=1e-4)
    assert result.first != result.second and positions[1:3].max() > 0
    assert "'good → bad'" in result.sentences[1] or "restores" in result.sentences[1]


def test_a_head_equals_a_patch_by_hand() -> None:
    loaded = predictor(bert(), tokenizer())
    result = patch(loaded, FIRST, SECOND)
    index = loaded.labels.index(result.target)
    layer, head, width = 1, 2, 4
    module = loaded.model.bert.encoder.layer[layer].attention.output.dense
    recorded: list[Any] = []
    handle = module.register_forward_pre_hook(lambda _, args: recorded.append(args[0].clone()))
    loaded.model.eval()
    with torch.no_grad():
        loaded.model(**loaded.tokenizer(FIRST, return_tensors="pt"))
    handle.remove()

    def replace_head(_: Any, args: Any) -> Any:
        changed = args[0].clone()
        changed[..., head * width : (head + 1) * width] = recorded[0][..., head * width : (head + 1) * width]
        return (changed,)

    handle = module.register_forward_pre_hook(replace_head)
    with torch.no_grad():
        probability = float(loaded.model(**loaded.tokenizer(SECOND, return_tensors="pt")).logits.softmax(-1)[0, index])
    handle.remove()
    expected = (probability - result.second) / (result.first - result.second)
    assert result.heads[layer][head] == pytest.approx(expected, abs=1e-4)


def test_texts_of_different_length_in_a_language_model() -> None:
    result = patch(language_model(), "the good film", "the bad story film", target="music")
    assert result.tokens[-1] == "film" and len(result.positions) == 3
    np.testing.assert_allclose(result.positions[-1][-1], 1, atol=1e-4)  # only the last token's last state is read


def test_equal_answers_and_models_without_layers_are_refused() -> None:
    with pytest.raises(RequestError, match="about the same probability"):
        patch(predictor(bert(), tokenizer()), FIRST, FIRST)
    with pytest.raises(RequestError, match=r"no list of layers"):
        patch(bag_of_words(), FIRST, SECOND)


def test_maps_and_html() -> None:
    result = patch(predictor(bert(), tokenizer()), "the <b>film was good", "the <b>film was bad")
    html = page(patching_maps(result))
    assert "State of a layer at a token" in html and "Output of a head" in html
    assert "svg" in result._repr_html_() and "<b>film" not in result._repr_html_()
