"""Each method finds the deciding tokens, and faithfulness distinguishes right explanations from random ones."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError, UnknownNameError
from workbench.explain import compatibility, explain, explainers
from workbench.explain.faithfulness import faithfulness
from workbench.explain.instance import Instance
from workbench.explain.methods.rollout import rollout
from workbench.inference.predictor import Predictor
from workbench.tasks.base import Target

TEXT = "the story was bad and the film with actors and music was good"
METHODS = ["attention", "gradient-x-input", "integrated-gradients", "lime", "occlusion", "rollout", "shapley"]


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_rollout_by_hand() -> None:
    # Two layers of one head over three tokens. With the residual: first layer [[1, 0, 0], [.5, .5, 0], [0, .5, .5]],
    # second layer [[.75, .25, 0], [0, 1, 0], [.5, 0, .5]]; second times first, row by row:
    first = [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    second = [[0.5, 0.5, 0], [0, 1, 0], [1, 0, 0]]
    expected = [[0.875, 0.125, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25]]
    np.testing.assert_allclose(rollout(np.array([[first], [second]])), expected)


def test_rollout_averages_heads_and_sums_to_one() -> None:
    explanation = explain(predictor(bert(), tokenizer()), TEXT, "rollout")
    assert sum(explanation.scores) == pytest.approx(1)


def test_attention_is_the_last_layers_first_row() -> None:
    explanation = explain(predictor(bert(), tokenizer()), TEXT)
    assert explanation.method == "attention" and explanation.attention is not None
    np.testing.assert_allclose(explanation.scores, explanation.attention.weights[-1, :, 0].mean(0), atol=1e-6)
    other = explain(predictor(bert(), tokenizer()), TEXT, layer=0)
    np.testing.assert_allclose(other.scores, explanation.attention.weights[0, :, 0].mean(0), atol=1e-6)
    with pytest.raises(RequestError, match="no layer 3: the model has 3"):
        explain(predictor(bert(), tokenizer()), TEXT, layer=3)


def test_occlusion_is_the_drop_of_the_probability() -> None:
    explanation = explain(bag_of_words(), "good film bad", "occlusion")
    whole = sigmoid(4 + 0.05 - 1 - 1)
    expected = [0, whole - sigmoid(-1.95), whole - sigmoid(2), whole - sigmoid(3.05), 0]
    np.testing.assert_allclose(explanation.scores, expected, atol=1e-6)
    assert explanation.prediction["label"] == explanation.target == "fresh"
    assert explanation.scores[3] < 0  # "bad" lowers the probability


def test_gradient_times_input_is_exact_for_a_linear_model() -> None:
    explanation = explain(bag_of_words(), "good film bad", "gradient-x-input")
    np.testing.assert_allclose(explanation.scores, [0, 4, 0.05, -1, 0], atol=1e-6)


@pytest.mark.parametrize("method", ["occlusion", "gradient-x-input"])
def test_the_deciding_word_has_the_highest_score_and_is_faithful(method: str) -> None:
    explanation = explain(bag_of_words(), TEXT, method)
    best = int(np.argmax(explanation.scores))
    start, end = explanation.offsets[best]
    assert TEXT[start:end] == "good"
    measured = explanation.faithfulness
    assert best in measured["top_k"] and len(measured["top_k"]) == 2  # a fifth of 13 tokens
    assert measured["comprehensiveness"] > 0.5 > measured["random_comprehensiveness"]
    assert measured["sufficiency"] < 0.05 < measured["random_sufficiency"]
    assert measured["random_at_least_as_good"] < 0.5


def test_faithfulness_ranks_a_right_explanation_above_a_wrong_one() -> None:
    instance = Instance(bag_of_words(), TEXT)
    true = np.zeros(len(instance.encoded.tokens))
    true[instance.encoded.tokens.index("good")] = 1
    good, wrong = faithfulness(instance, true, Target(0), "fresh"), faithfulness(instance, -true, Target(0), "fresh")
    assert good["comprehensiveness"] > good["random_comprehensiveness"] > wrong["comprehensiveness"]
    assert good["sufficiency"] < wrong["sufficiency"]
    assert good == faithfulness(instance, true, Target(0), "fresh")  # reproducible
    assert faithfulness(instance, true, Target(0), "fresh", seed=1)["without_random"] != good["without_random"]


def test_masking_by_hand() -> None:
    # Five words with the same weight: whichever is masked, four are left, and "only" leaves one.
    measured = explain(bag_of_words(), "the film was a story", "occlusion", target="fresh").faithfulness
    assert measured["original"] == pytest.approx(sigmoid(0.25 - 1))
    assert measured["without_top_k"] == pytest.approx(sigmoid(0.2 - 1)) == pytest.approx(measured["without_random"])
    assert measured["only_top_k"] == pytest.approx(sigmoid(0.05 - 1)) == pytest.approx(measured["only_random"])
    assert measured["random_sufficiency"] == pytest.approx(sigmoid(0.25 - 1) - sigmoid(0.05 - 1))
    assert measured["random_at_least_as_good"] == 1.0


def test_the_sentence_has_the_measured_values() -> None:
    measured = explain(bag_of_words(), TEXT, "occlusion").faithfulness
    assert measured["sentence"] == (
        f"Masking the top 2 words lowers 'fresh' from {measured['original']:.2f} to {measured['without_top_k']:.2f}; "
        f"masking 2 random words: to {measured['without_random']:.2f}."
    )
    assert "1 " not in explain(bag_of_words(), "good film", "occlusion").faithfulness["sentence"].split("from")[0]
    assert "too short to tell" in explain(bag_of_words(), "good", "occlusion").faithfulness["sentence"]
    assert "subword" in explain(bag_of_words(), "unbelievable good", "occlusion").faithfulness["sentence"]


def test_special_tokens_are_never_among_the_top() -> None:
    explanation = explain(predictor(bert(), tokenizer()), "good film", "attention")
    assert set(explanation.faithfulness["top_k"]) <= {1, 2}


@pytest.mark.parametrize("mask", [True, False])
def test_without_a_mask_token_padding_replaces_tokens_and_is_not_attended_to(mask: bool) -> None:
    instance = Instance(bag_of_words(mask=mask), "good film bad")
    assert instance.mask_token == ("[MASK]" if mask else "[PAD]")
    batches: list[dict[str, torch.Tensor]] = []
    instance.model.register_forward_pre_hook(lambda _, __, inputs: batches.append(inputs), with_kwargs=True)
    instance.masked_probabilities(np.array([[False, False, True, True, False]]), Target(0))
    instance.masked_probabilities(np.array([[True] * 5]), Target(0))
    hidden, whole = batches
    assert instance.tokenizer.convert_ids_to_tokens(hidden["input_ids"][0])[1] == instance.mask_token
    assert hidden["input_ids"][0, [0, 2, 3, 4]].tolist() == whole["input_ids"][0, [0, 2, 3, 4]].tolist()
    assert hidden["attention_mask"][0].tolist() == [1, int(mask), 1, 1, 1]


def test_equal_masks_are_computed_once_and_returned_in_order() -> None:
    instance = Instance(bag_of_words(), "good film bad")
    sizes: list[int] = []
    instance.model.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True
    )
    whole, without = [True] * 5, [True, False, True, True, True]
    probabilities = instance.masked_probabilities(np.array([whole, without, whole, without, without]), Target(0))
    assert sizes == [2]
    alone = [instance.masked_probabilities(np.array([visible]), Target(0))[0] for visible in (whole, without)]
    assert alone[0] != pytest.approx(alone[1])
    np.testing.assert_allclose(probabilities, [alone[index] for index in (0, 1, 0, 1, 1)])


def test_a_label_can_be_chosen_and_an_unknown_one_is_an_error() -> None:
    fresh, rotten = (explain(bag_of_words(), TEXT, "occlusion", target=label) for label in ("fresh", "rotten"))
    np.testing.assert_allclose(fresh.scores, -np.array(rotten.scores), atol=1e-6)
    with pytest.raises(UnknownNameError, match="There are: fresh, rotten"):
        explain(bag_of_words(), TEXT, "occlusion", target="Fresh!!")


@pytest.mark.parametrize("pair", [None, "bad story"])
def test_the_prediction_is_the_predictors_own(pair: str | None) -> None:
    small = predictor(bert(), tokenizer(), pairs=pair is not None)
    real = Predictor(small.model, small.tokenizer, small.task, max_length=8)
    text = "the film was unbelievable with good actors"  # longer than max_length: both truncate it the same way
    (expected,) = real.predict([{"text": text} | ({"text_pair": pair} if pair else {})])
    explanation = explain(real, text, "gradient-x-input", text_pair=pair)
    assert explanation.prediction["scores"] == pytest.approx(expected.scores, abs=1e-6)
    assert explanation.prediction["label"] == expected.label
    assert explanation.notes and len(explanation.tokens) == 8


def test_several_labels_at_once_are_explained_by_their_own_probability() -> None:
    explanation = explain(bag_of_words(multi_label=True), "good film", "occlusion", target="rotten")
    assert explanation.prediction["scores"]["rotten"] == pytest.approx(0.5)
    assert explanation.prediction["labels"] == ["fresh", "rotten"]
    np.testing.assert_allclose(explanation.scores, 0, atol=1e-9)  # its logit is always 0


def test_pairs_only_for_a_model_of_pairs() -> None:
    explanation = explain(bag_of_words(pairs=True), "good film", "occlusion", text_pair="bad story")
    assert explanation.segments == [None, 0, 0, None, 1, 1, None]
    with pytest.raises(RequestError, match="reads pairs"):
        explain(bag_of_words(pairs=True), "good film", "occlusion")
    with pytest.raises(RequestError, match="reads one text"):
        explain(bag_of_words(), "good film", "occlusion", text_pair="bad story")


def test_incompatible_methods_are_refused_with_a_list_of_compatible_ones() -> None:
    assert set(METHODS) <= set(explainers.names())
    with pytest.raises(UnknownNameError, match="Did you mean 'occlusion'"):
        explain(bag_of_words(), TEXT, "oclusion")
    with pytest.raises(RequestError, match=r"no attention heads.* gradient-x-input, .*occlusion"):
        explain(bag_of_words(), TEXT, "attention")
    with pytest.raises(RequestError, match="layers: Extra inputs"):
        explain(predictor(bert(), tokenizer()), TEXT, layers=2)
    other = bag_of_words()
    other.task = type("Other", (), {"name": "weather", "target_kind": None})()
    assert all("weather" in str(reason) for reason in compatibility(other).values())


def test_the_model_is_restored() -> None:
    bag = bag_of_words()
    bag.model.train()
    for method in ("occlusion", "gradient-x-input"):
        first, second = (explain(bag, TEXT, method).scores for _ in range(2))
        assert first == second  # no dropout
    assert bag.model.training and bag.model.dropout.training
    assert bag.model.values.weight.grad is None
    assert not bag.model.values._forward_hooks


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_json(method: str) -> None:
    explanation = explain(predictor(bert(), tokenizer()), TEXT, method)
    document: dict[str, Any] = json.loads(json.dumps(explanation.as_dict(), allow_nan=False))
    count = len(document["tokens"])
    assert {"tokens", "offsets", "scores", "faithfulness", "prediction", "target", "method"} <= set(document)
    assert count == len(document["offsets"]) == len(document["scores"]) == len(document["segments"]) == 15
    assert document["faithfulness"]["sentence"].startswith("Masking")
    assert explainers.label(method).endswith(".") and len(explainers.get(method).reading) > 50
