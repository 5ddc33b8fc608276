"""What carries the difference between two texts: against what must be so, and against a patch by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from tests.unit.explain.test_explain_targets import writer
from workbench.errors import RequestError
from workbench.explain import patch
from workbench.explain.render.figure import page
from workbench.explain.render.positions import patching_maps

FIRST, SECOND = "the film was good", "the film was bad"


def test_what_must_be_so() -> None:
    found = patch(predictor(bert(), tokenizer()), FIRST, SECOND)
    positions = np.array(found.positions)
    changed = found.tokens.index("good → bad")
    assert positions.shape == (4, 6)
    # All else of the embeddings is the same in both texts; and of the last layer only the first token is read.
    np.testing.assert_allclose(positions[0], [float(i == changed) for i in range(6)], atol=1e-4)
    np.testing.assert_allclose(positions[-1], [1, 0, 0, 0, 0, 0], atol=1e-4)
    assert found.first != found.second and positions[1:3].max() > 0
    assert "'good → bad'" in found.sentences[1] or "restores" in found.sentences[1]


def test_heads_against_a_patch_by_hand() -> None:
    reader = predictor(bert(), tokenizer())
    found = patch(reader, FIRST, SECOND)
    index = reader.labels.index(found.target)
    layer, head, width = 1, 2, 4
    module = reader.model.bert.encoder.layer[layer].attention.output.dense
    kept: list[Any] = []
    handle = module.register_forward_pre_hook(lambda _, args: kept.append(args[0].clone()))
    reader.model.eval()
    with torch.no_grad():
        reader.model(**reader.tokenizer(FIRST, return_tensors="pt"))
    handle.remove()

    def put(_: Any, args: Any) -> Any:
        changed = args[0].clone()
        changed[..., head * width : (head + 1) * width] = kept[0][..., head * width : (head + 1) * width]
        return (changed,)

    handle = module.register_forward_pre_hook(put)
    with torch.no_grad():
        probability = float(reader.model(**reader.tokenizer(SECOND, return_tensors="pt")).logits.softmax(-1)[0, index])
    handle.remove()
    expected = (probability - found.second) / (found.first - found.second)
    assert found.heads[layer][head] == pytest.approx(expected, abs=1e-4)


def test_texts_of_different_length_and_a_model_that_writes() -> None:
    found = patch(writer(), "the good film", "the bad story film", target="music")
    assert found.tokens[-1] == "film" and len(found.positions) == 3
    np.testing.assert_allclose(found.positions[-1][-1], 1, atol=1e-4)  # the last token's last state is all


def test_what_cannot_be_patched_is_told() -> None:
    with pytest.raises(RequestError, match="about the same probability"):
        patch(predictor(bert(), tokenizer()), FIRST, FIRST)
    with pytest.raises(RequestError, match=r"no list of layers"):
        patch(bag_of_words(), FIRST, SECOND)


def test_it_is_drawn() -> None:
    found = patch(predictor(bert(), tokenizer()), "the <b>film was good", "the <b>film was bad")
    drawn = page(patching_maps(found))
    assert "State of a layer at a token" in drawn and "Output of a head" in drawn
    assert "svg" in found._repr_html_() and "<b>film" not in found._repr_html_()
