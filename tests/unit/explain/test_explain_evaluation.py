"""Every check of faithfulness tells a right explanation from a wrong one; numbers equal those computed by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError
from workbench.explain import attention_divergence, head_importance, head_patterns
from workbench.explain.base import explainers
from workbench.explain.checks import CHANGES, _same_tokens, agreement, curves, sanity, shuffled, stability
from workbench.explain.dataset_faithfulness import evaluate_dataset_faithfulness
from workbench.explain.evaluation import FaithfulnessEvaluation, _curves_sentence, evaluate_faithfulness
from workbench.explain.instance import Instance
from workbench.metrics.correlation import rank_correlation
from workbench.tasks.base import Target

TEXT = "the story was bad and the film with actors and music was good"

FRESH = Target(0)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def scores_for(instance: Instance, **values: float) -> np.ndarray[Any, Any]:
    return np.array([values.get(token, 0.0) for token in instance.encoded.tokens])


def test_curves_by_hand() -> None:
    instance = Instance(bag_of_words(), "good film bad")
    found = curves(instance, scores_for(instance, good=2, film=1), FRESH)
    # "fresh" has the logit 4 + .05 - 1 - 1; hidden are good, then film, then bad; shown in the same order.
    np.testing.assert_allclose(found.shares, [0, 1 / 3, 2 / 3, 1])
    deletion = [sigmoid(2.05), sigmoid(-1.95), sigmoid(-2), sigmoid(-1)]
    insertion = [sigmoid(-1), sigmoid(3), sigmoid(3.05), sigmoid(2.05)]
    np.testing.assert_allclose(found.lines["deletion"], deletion, atol=1e-6)
    np.testing.assert_allclose(found.lines["insertion"], insertion, atol=1e-6)
    middle = (deletion[0] + 2 * deletion[1] + 2 * deletion[2] + deletion[3]) / 6
    assert found.areas["deletion"] == pytest.approx(middle, abs=1e-6)
    assert "attention_deletion" not in found.lines and len(found.lines["random_insertion"]) == 4


def test_curves_rank_a_true_explanation_above_a_random_above_a_wrong_one() -> None:
    instance = Instance(bag_of_words(), TEXT)
    true = scores_for(instance, good=1, bad=-1)
    found = curves(instance, true, FRESH, rival=-true, draws=20).areas
    assert found["deletion"] < found["random_deletion"] < found["attention_deletion"]
    assert found["insertion"] > found["random_insertion"] > found["attention_insertion"]
    assert _curves_sentence(found, "fresh").endswith("the explanation finds what the model relies on.")
    wrong = curves(instance, -true, FRESH, rival=true)
    assert _curves_sentence(wrong.areas, "fresh").endswith("the explanation does not find what the model relies on.")


def test_many_tokens_are_hidden_in_few_steps() -> None:
    instance = Instance(bag_of_words(), TEXT)
    assert len(curves(instance, scores_for(instance, good=1), FRESH, steps=4).shares) == 5


def test_rank_correlation_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(0)
    for _ in range(5):
        first, second = draw.integers(0, 6, 20), draw.normal(size=20)
        assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert rank_correlation(np.ones(4), np.arange(4.0)) is None and rank_correlation(np.ones(1), np.ones(1)) is None


def test_methods_that_say_the_same_agree() -> None:
    found = evaluate_faithfulness(bag_of_words(), TEXT, "occlusion", checks=["agreement"])
    # "the", "film" and so on count all alike up to the last bit, so ranks of ties may differ; marked are the same.
    assert found.agreement["gradient-x-input"]["shared"] == 1
    assert "rollout" not in found.agreement  # does not fit
    assert "lime" not in found.agreement  # slow
    assert evaluate_faithfulness(predictor(bert(), tokenizer()), TEXT, "rollout", checks=["agreement"]).agreement[
        "attention"
    ]


def test_with_a_method_without_sign_magnitudes_are_compared() -> None:
    asked = predictor(bert(), tokenizer())
    instance, occlusion = Instance(asked, TEXT), explainers.get("occlusion")()
    scores, own = occlusion.run(instance, FRESH).values, instance.maskable
    found = agreement(asked, instance, occlusion, scores, FRESH)
    attention = explainers.get("attention")().run(instance, FRESH).values
    assert scores.min() < 0
    assert found["attention"]["rank_correlation"] == rank_correlation(np.abs(scores[own]), attention[own])
    gradient = explainers.get("gradient-x-input")().run(instance, FRESH).values
    assert found["gradient-x-input"]["rank_correlation"] == rank_correlation(scores[own], gradient[own])


def test_tokens_of_two_texts_are_matched() -> None:
    assert _same_tokens(["[CLS]", "a", "B", "[SEP]"], ["[CLS]", "x", "A", "b", "[SEP]"], {1, 2}) == [(1, 2), (2, 3)]


def test_a_stable_and_an_unstable_explanation() -> None:
    asked = bag_of_words()
    instance = Instance(asked, "the film with good actors")
    occlusion = explainers.get("occlusion")()
    true = occlusion.run(instance, FRESH).values
    found = stability(asked, instance, ("the film with good actors", None), occlusion, true, FRESH)
    assert [one["change"] for one in found] == ["a full stop at the end"]  # the tokenizer sees no other
    assert found[0]["harmless"] and found[0]["text"].endswith("actors.")
    assert found[0]["rank_correlation"] == pytest.approx(1, abs=0.5)
    (other,) = stability(asked, instance, ("the film with good actors", None), occlusion, -true, FRESH)
    assert other["rank_correlation"] < 0 < found[0]["rank_correlation"]


def test_changes_are_small() -> None:
    assert CHANGES["a full stop at the end"]("good. ") == "good"
    assert CHANGES["case of the first letter"]("Good") == "good" and CHANGES["an extra space"]("a b c") == "a  b c"


def test_what_does_not_look_at_the_model_fails_the_sanity_check() -> None:
    asked = predictor(bert(), tokenizer())
    occlusion = explainers.get("occlusion")()

    class Position(explainers.get("occlusion")):  # type: ignore[misc]
        def run(self, instance: Instance, target: int) -> Any:
            from workbench.explain.base import Scores

            return Scores(np.arange(len(instance.encoded.tokens), dtype=float))

    instance = Instance(asked, TEXT)
    true = sanity(asked, (TEXT, None), occlusion, occlusion.run(instance, FRESH).values, FRESH, draws=4)
    blind = sanity(asked, (TEXT, None), Position(), Position().run(instance, FRESH).values, FRESH)
    assert blind["rank_correlation"] == pytest.approx(1) and not blind["depends"]
    assert abs(true["rank_correlation"]) < 0.5 and true["depends"]
    flat = np.zeros(len(instance.encoded.tokens))
    assert not sanity(asked, (TEXT, None), Position(), flat, FRESH)["depends"]


def test_weights_are_shuffled_in_a_copy() -> None:
    model = bert()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ruined = shuffled(model, 0).state_dict()
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not ruined[name].equal(before[name])
    assert ruined[name].flatten().sort().values.equal(before[name].flatten().sort().values)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert shuffled(model, 0).state_dict()[name].equal(ruined[name])


def test_all_checks_in_words_and_json() -> None:
    found = evaluate_faithfulness(predictor(bert(), tokenizer()), TEXT, "integrated-gradients")
    assert len(found.sentences) == 4 and all(sentence.endswith(".") for sentence in found.sentences)
    assert "raw attention" in found.sentences[0]
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert set(told) == set(FaithfulnessEvaluation("", "").as_dict())
    with pytest.raises(RequestError, match=r"no check curve\."):
        evaluate_faithfulness(bag_of_words(), TEXT, "occlusion", checks=["curve"])


TEXTS = [
    "the story was bad and the film was good",
    "good actors with music and a story",
    "a film with good music was a film",
    "the music and the actors was good the film",
]


def test_over_texts_a_true_explanation_is_better_than_random(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    examples = [{"text": text} for text in TEXTS]
    found = evaluate_dataset_faithfulness(
        bag_of_words(), examples, "occlusion", progress=lambda n, of: done.append((n, of))
    )
    assert found.examples == 4 and done[-1] == (4, 4)
    assert found.against_random["low"] > 0.3 and found.against_attention is None
    assert found.comprehensiveness["low"] <= found.comprehensiveness["value"] <= found.comprehensiveness["high"]
    assert found.sentence.startswith(
        "Over 4 texts, masking the top tokens of occlusion lowers the prediction more than masking"
    )
    path = found.save(tmp_path)
    assert path == tmp_path / "explanations" / "occlusion.json" and json.loads(path.read_text())["examples"] == 4
    with pytest.raises(RequestError, match="no texts"):
        evaluate_dataset_faithfulness(bag_of_words(), [], "occlusion")


def test_over_texts_against_raw_attention() -> None:
    found = evaluate_dataset_faithfulness(
        predictor(bert(), tokenizer()), [{"text": text} for text in TEXTS], "occlusion"
    )
    assert found.against_attention is not None and "the top tokens of raw attention" in found.sentence
    assert found.against_attention["value"] >= 0 - 0.05  # greedy hiding is hardly worse than attention's


def test_what_is_found_draws_itself_in_a_notebook() -> None:
    asked = predictor(bert(), tokenizer())
    texts = ["good film", "the bad story"]
    found = [
        evaluate_faithfulness(asked, "good film <b>", "occlusion", checks=("curves",)),
        head_importance(asked, [{"text": text} for text in texts], "gradient"),
        head_patterns(asked.model, asked.tokenizer, texts),
        attention_divergence(asked.model, shuffled(asked.model, 0), asked.tokenizer, texts),
    ]
    for one in found:
        drawn = one._repr_html_()
        assert "<svg" in drawn and "<script" not in drawn and "<b>" not in drawn
