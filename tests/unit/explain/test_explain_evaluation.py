"""Each faithfulness check distinguishes right from wrong explanations; numbers equal those computed by hand."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import RequestError
from workbench.explain import attention_divergence, head_importance, head_patterns
from workbench.explain.base import explain, explainers
from workbench.explain.checks import CHANGES, _same_tokens, agreement, curves, sanity, shuffled, stability
from workbench.explain.dataset_faithfulness import evaluate_dataset_faithfulness
from workbench.explain.evaluation import FaithfulnessEvaluation, _curves_sentence, evaluate_faithfulness
from workbench.explain.instance import Instance
from workbench.explain.internals.layers import layer_importance
from workbench.explain.internals.patching import patch
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
    result = curves(instance, scores_for(instance, good=2, film=1), FRESH)
    # "fresh" has the logit 4 + .05 - 1 - 1; good, film and bad are masked in this order, and shown in this order.
    np.testing.assert_allclose(result.shares, [0, 1 / 3, 2 / 3, 1])
    deletion = [sigmoid(2.05), sigmoid(-1.95), sigmoid(-2), sigmoid(-1)]
    insertion = [sigmoid(-1), sigmoid(3), sigmoid(3.05), sigmoid(2.05)]
    np.testing.assert_allclose(result.lines["deletion"], deletion, atol=1e-6)
    np.testing.assert_allclose(result.lines["insertion"], insertion, atol=1e-6)
    area = (deletion[0] + 2 * deletion[1] + 2 * deletion[2] + deletion[3]) / 6
    assert result.areas["deletion"] == pytest.approx(area, abs=1e-6)
    assert "attention_deletion" not in result.lines and len(result.lines["random_insertion"]) == 4


def test_curves_rank_a_true_explanation_above_a_random_above_a_wrong_one() -> None:
    instance = Instance(bag_of_words(), TEXT)
    true = scores_for(instance, good=1, bad=-1)
    result = curves(instance, true, FRESH, rival=-true, draws=20).areas
    assert result["deletion"] < result["random_deletion"] < result["attention_deletion"]
    assert result["insertion"] > result["random_insertion"] > result["attention_insertion"]
    assert _curves_sentence(result, "fresh").endswith("the explanation finds what the model relies on.")
    wrong = curves(instance, -true, FRESH, rival=true)
    assert _curves_sentence(wrong.areas, "fresh").endswith("the explanation does not find what the model relies on.")


def test_many_tokens_are_masked_in_few_steps() -> None:
    instance = Instance(bag_of_words(), TEXT)
    assert len(curves(instance, scores_for(instance, good=1), FRESH, steps=4).shares) == 5


def test_rank_correlation_agrees_with_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(5):
        first, second = rng.integers(0, 6, 20), rng.normal(size=20)
        assert rank_correlation(first, second) == pytest.approx(stats.spearmanr(first, second).statistic)
    assert rank_correlation(np.ones(4), np.arange(4.0)) is None and rank_correlation(np.ones(1), np.ones(1)) is None


def test_equal_methods_agree() -> None:
    result = evaluate_faithfulness(bag_of_words(), TEXT, "occlusion", checks=["agreement"])
    # Scores of "the", "film" and so on are equal up to the last bit, so their ranks may differ; the top is the same.
    assert result.agreement["gradient-x-input"]["shared"] == 1
    assert "rollout" not in result.agreement  # incompatible with the model
    assert "lime" not in result.agreement  # slow
    assert evaluate_faithfulness(predictor(bert(), tokenizer()), TEXT, "rollout", checks=["agreement"]).agreement[
        "attention"
    ]


def test_methods_without_sign_are_compared_by_magnitude() -> None:
    loaded = predictor(bert(), tokenizer())
    instance, occlusion = Instance(loaded, TEXT), explainers.get("occlusion")()
    scores, maskable = occlusion.run(instance, FRESH).values, instance.maskable
    result = agreement(loaded, instance, occlusion, scores, FRESH)
    attention = explainers.get("attention")().run(instance, FRESH).values
    assert scores.min() < 0
    assert result["attention"]["rank_correlation"] == rank_correlation(np.abs(scores[maskable]), attention[maskable])
    gradient = explainers.get("gradient-x-input")().run(instance, FRESH).values
    assert result["gradient-x-input"]["rank_correlation"] == rank_correlation(scores[maskable], gradient[maskable])


def test_tokens_of_two_texts_are_matched() -> None:
    assert _same_tokens(["[CLS]", "a", "B", "[SEP]"], ["[CLS]", "x", "A", "b", "[SEP]"], {1, 2}) == [(1, 2), (2, 3)]


def test_a_stable_and_an_unstable_explanation() -> None:
    loaded = bag_of_words()
    instance = Instance(loaded, "the film with good actors")
    occlusion = explainers.get("occlusion")()
    true = occlusion.run(instance, FRESH).values
    result = stability(loaded, instance, ("the film with good actors", None), occlusion, true, FRESH)
    assert [entry["change"] for entry in result] == ["a full stop at the end"]  # the tokenizer ignores the others
    assert result[0]["harmless"] and result[0]["text"].endswith("actors.")
    assert result[0]["rank_correlation"] == pytest.approx(1, abs=0.5)
    (negated,) = stability(loaded, instance, ("the film with good actors", None), occlusion, -true, FRESH)
    assert negated["rank_correlation"] < 0 < result[0]["rank_correlation"]


def test_changes_are_small() -> None:
    assert CHANGES["a full stop at the end"]("good. ") == "good"
    assert CHANGES["case of the first letter"]("Good") == "good" and CHANGES["an extra space"]("a b c") == "a  b c"


def test_scores_that_ignore_the_model_fail_the_sanity_check() -> None:
    loaded = predictor(bert(), tokenizer())
    occlusion = explainers.get("occlusion")()

    class PositionScores(explainers.get("occlusion")):  # type: ignore[misc]
        def run(self, instance: Instance, target: int) -> Any:
            from workbench.explain.base import Scores

            return Scores(np.arange(len(instance.encoded.tokens), dtype=float))

    instance = Instance(loaded, TEXT)
    true = sanity(loaded, (TEXT, None), occlusion, occlusion.run(instance, FRESH).values, FRESH, draws=4)
    blind = sanity(loaded, (TEXT, None), PositionScores(), PositionScores().run(instance, FRESH).values, FRESH)
    assert blind["rank_correlation"] == pytest.approx(1) and not blind["depends"]
    assert abs(true["rank_correlation"]) < 0.5 and true["depends"]
    flat = np.zeros(len(instance.encoded.tokens))
    assert not sanity(loaded, (TEXT, None), PositionScores(), flat, FRESH)["depends"]


def test_weights_are_shuffled_in_a_copy() -> None:
    model = bert()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shuffled_weights = shuffled(model, 0).state_dict()
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not shuffled_weights[name].equal(before[name])
    assert shuffled_weights[name].flatten().sort().values.equal(before[name].flatten().sort().values)
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert shuffled(model, 0).state_dict()[name].equal(shuffled_weights[name])


def test_all_checks_have_sentences_and_json() -> None:
    result = evaluate_faithfulness(predictor(bert(), tokenizer()), TEXT, "integrated-gradients")
    assert len(result.sentences) == 4 and all(sentence.endswith(".") for sentence in result.sentences)
    assert "raw attention" in result.sentences[0]
    document = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert set(document) == set(FaithfulnessEvaluation("", "").as_dict())
    with pytest.raises(RequestError, match=r"no check curve\."):
        evaluate_faithfulness(bag_of_words(), TEXT, "occlusion", checks=["curve"])


TEXTS = [
    "the story was bad and the film was good",
    "good actors with music and a story",
    "a film with good music was a film",
    "the music and the actors was good the film",
]


def test_over_texts_a_right_explanation_beats_random_tokens(tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    examples = [{"text": text} for text in TEXTS]
    result = evaluate_dataset_faithfulness(
        bag_of_words(), examples, "occlusion", progress=lambda n, of: reported.append((n, of))
    )
    assert result.examples == 4 and reported[-1] == (4, 4)
    assert result.against_random["low"] > 0.3 and result.against_attention is None
    assert result.comprehensiveness["low"] <= result.comprehensiveness["value"] <= result.comprehensiveness["high"]
    assert result.sentence.startswith(
        "Over 4 texts, masking the top tokens of occlusion lowers the prediction more than masking"
    )
    path = result.save(tmp_path)
    assert path == tmp_path / "explanations" / "occlusion.json" and json.loads(path.read_text())["examples"] == 4
    with pytest.raises(RequestError, match="no texts"):
        evaluate_dataset_faithfulness(bag_of_words(), [], "occlusion")


def test_the_stored_sentence_is_english_and_the_shown_one_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    result = evaluate_dataset_faithfulness(
        predictor(bert(), tokenizer()), [{"text": text} for text in TEXTS], "occlusion"
    )
    assert result.sentence.startswith("Over 4 texts, masking")
    assert plain_words(result.describe()) == {"occlusion"}
    monkeypatch.delenv("WORKBENCH_LANGUAGE")
    assert result.describe() == result.sentence


def test_sentences_are_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    loaded, texts = predictor(bert(), tokenizer()), [{"text": text} for text in TEXTS]
    explanation = explain(loaded, TEXTS[0], "occlusion")
    evaluation = evaluate_faithfulness(loaded, TEXTS[0], "occlusion")
    patched = patch(loaded, "the good film", "the bad film")
    sentences = [
        str(explanation.faithfulness["sentence"]),
        *evaluation.sentences,
        *patched.sentences,
        *head_importance(loaded, texts, "gradient").lines(),
        *layer_importance(loaded, texts).lines(),
        *head_patterns(loaded.model, loaded.tokenizer, TEXTS).lines(),
    ]
    data = {*explainers.names(), *" ".join(TEXTS).split(), *loaded.task.labels, "gradient"}
    left = {sentence: words for sentence in sentences if (words := plain_words(sentence) - data)}
    assert not left


def plain_words(text: str) -> set[str]:
    """Return the words without an accent that have vowels: those that were not translated."""
    return {word for word in re.findall(r"[\w-]+", text) if word.isascii() and re.search("[aeiou]", word)}


def test_over_texts_raw_attention_is_compared() -> None:
    result = evaluate_dataset_faithfulness(
        predictor(bert(), tokenizer()), [{"text": text} for text in TEXTS], "occlusion"
    )
    assert result.against_attention is not None and "the top tokens of raw attention" in result.sentence
    assert result.against_attention["value"] >= 0 - 0.05  # occlusion is hardly worse than attention


def test_results_have_html_for_notebooks() -> None:
    loaded = predictor(bert(), tokenizer())
    texts = ["good film", "the bad story"]
    results = [
        evaluate_faithfulness(loaded, "good film <b>", "occlusion", checks=("curves",)),
        head_importance(loaded, [{"text": text} for text in texts], "gradient"),
        head_patterns(loaded.model, loaded.tokenizer, texts),
        attention_divergence(loaded.model, shuffled(loaded.model, 0), loaded.tokenizer, texts),
    ]
    for result in results:
        html = result._repr_html_()
        assert "<svg" in html and "<script" not in html and "<b>" not in html
