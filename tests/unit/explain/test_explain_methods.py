"""Each method finds what is known to decide, and the faithfulness check tells a true explanation from a random one."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError, UnknownNameError
from workbench.explain import explain, explainers, fitting
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
    assert explanation.scores[3] < 0  # "bad" speaks against it


def test_gradient_times_input_is_exact_for_a_linear_model() -> None:
    explanation = explain(bag_of_words(), "good film bad", "gradient-x-input")
    np.testing.assert_allclose(explanation.scores, [0, 4, 0.05, -1, 0], atol=1e-6)


@pytest.mark.parametrize("method", ["occlusion", "gradient-x-input"])
def test_the_word_that_decides_is_found_and_the_check_agrees(method: str) -> None:
    explanation = explain(bag_of_words(), TEXT, method)
    best = int(np.argmax(explanation.scores))
    start, end = explanation.offsets[best]
    assert TEXT[start:end] == "good"
    found = explanation.faithfulness
    assert best in found["top_k"] and len(found["top_k"]) == 2  # a fifth of 13 tokens
    assert found["comprehensiveness"] > 0.5 > found["random_comprehensiveness"]
    assert found["sufficiency"] < 0.05 < found["random_sufficiency"]
    assert found["random_at_least_as_good"] < 0.5


def test_the_check_ranks_a_true_explanation_above_a_wrong_one() -> None:
    instance = Instance(bag_of_words(), TEXT)
    true = np.zeros(len(instance.encoded.tokens))
    true[instance.encoded.tokens.index("good")] = 1
    good, wrong = faithfulness(instance, true, Target(0), "fresh"), faithfulness(instance, -true, Target(0), "fresh")
    assert good["comprehensiveness"] > good["random_comprehensiveness"] > wrong["comprehensiveness"]
    assert good["sufficiency"] < wrong["sufficiency"]
    assert good == faithfulness(instance, true, Target(0), "fresh")  # random, and the same again
    assert faithfulness(instance, true, Target(0), "fresh", seed=1)["without_random"] != good["without_random"]


def test_masking_by_hand() -> None:
    # Five words that count the same: whichever is hidden, four are left, and "only" leaves one.
    found = explain(bag_of_words(), "the film was a story", "occlusion", target="fresh").faithfulness
    assert found["original"] == pytest.approx(sigmoid(0.25 - 1))
    assert found["without_top_k"] == pytest.approx(sigmoid(0.2 - 1)) == pytest.approx(found["without_random"])
    assert found["only_top_k"] == pytest.approx(sigmoid(0.05 - 1)) == pytest.approx(found["only_random"])
    assert found["random_sufficiency"] == pytest.approx(sigmoid(0.25 - 1) - sigmoid(0.05 - 1))
    assert found["random_at_least_as_good"] == 1.0


def test_the_sentence_says_what_was_measured() -> None:
    found = explain(bag_of_words(), TEXT, "occlusion").faithfulness
    assert found["sentence"] == (
        f"Masking the top 2 words lowers 'fresh' from {found['original']:.2f} to {found['without_top_k']:.2f}; "
        f"masking 2 random words: to {found['without_random']:.2f}."
    )
    assert "1 " not in explain(bag_of_words(), "good film", "occlusion").faithfulness["sentence"].split("from")[0]
    assert "too short to tell" in explain(bag_of_words(), "good", "occlusion").faithfulness["sentence"]
    assert "subword" in explain(bag_of_words(), "unbelievable good", "occlusion").faithfulness["sentence"]


def test_special_tokens_are_never_among_the_top() -> None:
    explanation = explain(predictor(bert(), tokenizer()), "good film", "attention")
    assert set(explanation.faithfulness["top_k"]) <= {1, 2}


@pytest.mark.parametrize("mask", [True, False])
def test_a_hidden_token_is_masked_or_else_padding_that_nobody_attends_to(mask: bool) -> None:
    instance = Instance(bag_of_words(mask=mask), "good film bad")
    assert instance.mask_token == ("[MASK]" if mask else "[PAD]")
    asked: list[dict[str, torch.Tensor]] = []
    instance.model.register_forward_pre_hook(lambda _, __, inputs: asked.append(inputs), with_kwargs=True)
    instance.masked_probabilities(np.array([[False, False, True, True, False]]), Target(0))
    instance.masked_probabilities(np.array([[True] * 5]), Target(0))
    hidden, whole = asked
    assert instance.tokenizer.convert_ids_to_tokens(hidden["input_ids"][0])[1] == instance.mask_token
    assert hidden["input_ids"][0, [0, 2, 3, 4]].tolist() == whole["input_ids"][0, [0, 2, 3, 4]].tolist()
    assert hidden["attention_mask"][0].tolist() == [1, int(mask), 1, 1, 1]


def test_what_is_hidden_again_is_asked_once_and_answered_in_its_place() -> None:
    instance = Instance(bag_of_words(), "good film bad")
    asked: list[int] = []
    instance.model.register_forward_pre_hook(
        lambda _, __, inputs: asked.append(len(inputs["input_ids"])), with_kwargs=True
    )
    whole, without = [True] * 5, [True, False, True, True, True]
    found = instance.masked_probabilities(np.array([whole, without, whole, without, without]), Target(0))
    assert asked == [2]
    alone = [instance.masked_probabilities(np.array([one]), Target(0))[0] for one in (whole, without)]
    assert alone[0] != pytest.approx(alone[1])
    np.testing.assert_allclose(found, [alone[place] for place in (0, 1, 0, 1, 1)])


def test_a_label_can_be_chosen_and_a_wrong_one_is_told() -> None:
    fresh, rotten = (explain(bag_of_words(), TEXT, "occlusion", target=label) for label in ("fresh", "rotten"))
    np.testing.assert_allclose(fresh.scores, -np.array(rotten.scores), atol=1e-6)
    with pytest.raises(UnknownNameError, match="There are: fresh, rotten"):
        explain(bag_of_words(), TEXT, "occlusion", target="Fresh!!")


@pytest.mark.parametrize("pair", [None, "bad story"])
def test_the_prediction_is_the_predictors_own(pair: str | None) -> None:
    small = predictor(bert(), tokenizer(), pairs=pair is not None)
    real = Predictor(small.model, small.tokenizer, small.task, max_length=8)
    text = "the film was unbelievable with good actors"  # longer than that: both cut it off alike
    (expected,) = real.predict([{"text": text} | ({"text_pair": pair} if pair else {})])
    explanation = explain(real, text, "gradient-x-input", text_pair=pair)
    assert explanation.prediction["scores"] == pytest.approx(expected["scores"], abs=1e-6)
    assert explanation.prediction["label"] == expected["label"]
    assert explanation.notes and len(explanation.tokens) == 8


def test_several_labels_at_once_are_explained_by_their_own_probability() -> None:
    explanation = explain(bag_of_words(multi_label=True), "good film", "occlusion", target="rotten")
    assert explanation.prediction["scores"]["rotten"] == pytest.approx(0.5)
    assert explanation.prediction["labels"] == ["fresh", "rotten"]
    np.testing.assert_allclose(explanation.scores, 0, atol=1e-9)  # its logit is 0 whatever is written


def test_pairs_only_for_a_model_of_pairs() -> None:
    explanation = explain(bag_of_words(pairs=True), "good film", "occlusion", text_pair="bad story")
    assert explanation.segments == [None, 0, 0, None, 1, 1, None]
    with pytest.raises(RequestError, match="reads pairs"):
        explain(bag_of_words(pairs=True), "good film", "occlusion")
    with pytest.raises(RequestError, match="reads one text"):
        explain(bag_of_words(), "good film", "occlusion", text_pair="bad story")


def test_what_does_not_fit_is_refused_with_what_does() -> None:
    assert set(METHODS) <= set(explainers.names())
    with pytest.raises(UnknownNameError, match="Did you mean 'occlusion'"):
        explain(bag_of_words(), TEXT, "oclusion")
    with pytest.raises(RequestError, match=r"no attention heads.* gradient-x-input, .*occlusion"):
        explain(bag_of_words(), TEXT, "attention")
    with pytest.raises(RequestError, match="layers: Extra inputs"):
        explain(predictor(bert(), tokenizer()), TEXT, layers=2)
    other = bag_of_words()
    other.task = type("Other", (), {"name": "weather", "target_kind": None})()
    assert all("weather" in str(reason) for reason in fitting(other).values())


def test_the_model_is_left_as_it_was() -> None:
    bag = bag_of_words()
    bag.model.train()
    for method in ("occlusion", "gradient-x-input"):
        first, second = (explain(bag, TEXT, method).scores for _ in range(2))
        assert first == second  # no dropout
    assert bag.model.training and bag.model.dropout.training
    assert bag.model.values.weight.grad is None
    assert not bag.model.values._forward_hooks


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_json(method: str) -> None:
    explanation = explain(predictor(bert(), tokenizer()), TEXT, method)
    found: dict[str, Any] = json.loads(json.dumps(explanation.as_dict(), allow_nan=False))
    count = len(found["tokens"])
    assert {"tokens", "offsets", "scores", "faithfulness", "prediction", "target", "method"} <= set(found)
    assert count == len(found["offsets"]) == len(found["scores"]) == len(found["segments"]) == 15
    assert found["faithfulness"]["sentence"].startswith("Masking")
    assert explainers.label(method).endswith(".") and len(explainers.get(method).reading) > 50
