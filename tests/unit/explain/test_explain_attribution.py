"""Integrated gradients, LIME and Shapley values, checked against sums, brute force and other implementations."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import MissingPackageError
from workbench.explain import explain
from workbench.explain.embeddings import embed, logits_of_embeddings
from workbench.explain.instance import Instance
from workbench.explain.methods.integrated_gradients import masked_inputs
from workbench.explain.methods.lime import Lime, weighted_ridge
from workbench.explain.methods.shapley import exact_shapley, sampled_shapley
from workbench.tasks.base import Target

TEXT = "the film was unbelievable with good actors"


def small() -> Any:
    return predictor(bert(), tokenizer())


def test_integrated_gradients_of_a_linear_model_are_its_weights() -> None:
    explanation = explain(bag_of_words(), "good film bad", "integrated-gradients")
    np.testing.assert_allclose(explanation.scores, [0, 4, 0.05, -1, 0], atol=1e-5)
    assert explanation.details["complete"] and explanation.notes == []


@pytest.mark.parametrize("tolerance", [0.01, 1e-4])
def test_integrated_gradients_are_complete_to_the_tolerance(tolerance: float) -> None:
    explanation = explain(small(), TEXT, "integrated-gradients", tolerance=tolerance)
    details, instance = explanation.details, Instance(small(), TEXT)
    target = instance.labels.index(explanation.target)
    with torch.no_grad():
        end, start = (
            float(instance.model.eval()(**inputs).logits[0, target])
            for inputs in (instance.encoded.inputs, masked_inputs(instance))
        )
    assert details["complete"]
    assert sum(explanation.scores) == pytest.approx(end - start, abs=tolerance * abs(end - start) + 2e-3)
    assert details["completeness_error"] == pytest.approx(abs(sum(explanation.scores) - (end - start)), abs=1e-4)
    assert explanation.scores[0] == explanation.scores[-1] == 0  # special tokens are never masked


def test_integrated_gradients_equal_a_sum_by_hand() -> None:
    explanation = explain(small(), TEXT, "integrated-gradients", tolerance=1e-4, max_steps=384)
    instance = Instance(small(), TEXT)
    target = instance.labels.index(explanation.target)
    end, start = embed(instance, instance.encoded.inputs), embed(instance, masked_inputs(instance))
    instance.model.eval()
    fraction = (torch.arange(2000) + 0.5) / 2000
    path = (start + fraction[:, None, None] * (end - start)).requires_grad_()
    (gradient,) = torch.autograd.grad(logits_of_embeddings(instance, path, Target(target)).sum(), path)
    expected = (gradient.mean(0) * (end - start)[0]).sum(-1)
    np.testing.assert_allclose(explanation.scores, expected.numpy(), atol=2e-3 * float(expected.abs().max()))


def test_too_few_steps_add_a_note() -> None:
    explanation = explain(small(), TEXT, "integrated-gradients", tolerance=1e-9, max_steps=24)
    details = explanation.details
    assert details["steps"] == 24 and details["complete"] == (details["completeness_error"] <= 1e-3)
    if not details["complete"]:
        assert "still off by" in explanation.notes[-1]


def test_the_model_has_no_gradients_or_hooks_afterwards() -> None:
    model = small()
    explain(model, TEXT, "integrated-gradients")
    assert all(parameter.grad is None for parameter in model.model.parameters())
    assert not model.model.get_input_embeddings()._forward_hooks


def test_without_captum_the_error_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingPackageError, match="pip install captum"):
        explain(small(), TEXT, "integrated-gradients")


def by_all_orders(value: Any, count: int) -> np.ndarray[Any, Any]:
    """Return Shapley values by their definition: the mean contribution over all orders."""
    shares = np.zeros(count)
    for order in itertools.permutations(range(count)):
        visible = np.zeros(count, dtype=bool)
        before = float(value(visible[None])[0])
        for feature in order:
            visible[feature] = True
            after = float(value(visible[None])[0])
            shares[feature] += after - before
            before = after
    return shares / math.factorial(count)


def game(count: int, seed: int = 0) -> Any:
    """Return a game with a random value for each set of features."""
    values = np.random.default_rng(seed).normal(size=2**count)
    return lambda sets: values[sets @ (1 << np.arange(count))]


def test_exact_shapley_values_by_all_orders() -> None:
    for count in (1, 2, 5):
        np.testing.assert_allclose(exact_shapley(game(count), count), by_all_orders(game(count), count), atol=1e-12)


def test_shapley_by_hand() -> None:
    # Left gloves 0 and 1, right glove 2; a pair is worth 1 (the glove game).
    gloves = lambda sets: ((sets[:, 0] | sets[:, 1]) & sets[:, 2]).astype(float)  # noqa: E731
    np.testing.assert_allclose(exact_shapley(gloves, 3), [1 / 6, 1 / 6, 2 / 3])


def test_sampled_shapley_values_converge_to_the_exact_ones() -> None:
    exact = exact_shapley(game(7), 7)
    errors = []
    for pairs in (10, 100, 4000):
        shares, error = sampled_shapley(game(7), 7, pairs, seed=1)
        assert shares.sum() == pytest.approx(exact.sum())  # they always sum to the whole difference
        assert np.all(np.abs(shares - exact) < 5 * error)
        errors.append(np.abs(shares - exact).max())
    assert errors[2] < 0.05 and errors[2] < errors[0] / 3
    sampled = sampled_shapley(game(7), 7, 10, seed=1)[0]
    np.testing.assert_array_equal(sampled, sampled_shapley(game(7), 7, 10, seed=1)[0])


def test_orders_come_in_reversed_pairs() -> None:
    for seed in range(4):  # two features have only one such pair
        shares, error = sampled_shapley(game(2), 2, 2, seed)
        np.testing.assert_allclose(shares, exact_shapley(game(2), 2))
        np.testing.assert_allclose(error, 0, atol=1e-12)


def test_sampled_values_of_a_text_approach_the_exact_ones() -> None:
    words = "good film was bad story and"
    exact = explain(small(), words, "shapley")
    sampled = explain(small(), words, "shapley", exact_up_to=1, texts=4000)
    assert exact.details["exact"] and not sampled.details["exact"]
    np.testing.assert_allclose(sampled.scores, exact.scores, atol=5 * sampled.details["standard_error"])
    assert sampled.details["standard_error"] < 0.02


def test_shapley_values_agree_with_captum() -> None:
    from captum.attr import ShapleyValueSampling

    words = "good film was bad"
    explanation = explain(small(), words, "shapley")
    instance = Instance(small(), words)
    target = instance.labels.index(explanation.target)
    mask = instance.tokenizer.mask_token_id

    def probability(ids: torch.Tensor) -> torch.Tensor:
        rest = {k: v.expand(len(ids), -1) for k, v in instance.encoded.inputs.items() if k != "input_ids"}
        return instance.model.eval()(input_ids=ids, **rest).logits.softmax(-1)[:, target]

    ids = instance.encoded.inputs["input_ids"]
    baseline = ids.clone()
    baseline[:, 1:-1] = mask
    torch.manual_seed(0)
    reference = ShapleyValueSampling(probability).attribute(ids, baselines=baseline, n_samples=600)
    np.testing.assert_allclose(explanation.scores, reference[0].detach().numpy(), atol=0.03)


def test_two_equal_words_share_the_credit() -> None:
    scores = explain(bag_of_words(), "good the good", "shapley").scores
    assert scores[1] == pytest.approx(scores[3]) and scores[1] > scores[2] > 0
    occlusion_scores = explain(bag_of_words(), "good the good", "occlusion").scores
    assert scores[1] > 3 * occlusion_scores[1]  # occlusion finds almost no effect


def test_ridge_regression_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    features, values, weights = rng.integers(0, 2, (60, 5)).astype(float), rng.normal(size=60), rng.random(60)
    reference = linear.Ridge(alpha=1.0).fit(features, values, sample_weight=weights)
    coefficients, explained_variance = weighted_ridge(features, values, weights)
    np.testing.assert_allclose(coefficients, reference.coef_, atol=1e-9)
    assert explained_variance == pytest.approx(reference.score(features, values, sample_weight=weights))


def test_lime_fits_a_linear_model_fully() -> None:
    instance = Instance(bag_of_words(), "good film was a bad story")
    values = np.array([0.3, 0.01, 0.02, -0.05, -0.2, 0.04])

    class Linear(Instance):
        def masked_probabilities(self, visible: Any, target: Any) -> Any:
            return 0.5 + visible[:, self.maskable] @ values

    linear = Linear(bag_of_words(), "good film was a bad story")
    scores = Lime(Lime.Config(samples=4000)).run(linear, Target(0))
    np.testing.assert_allclose(scores.values[instance.maskable], values, atol=0.003)
    assert scores.details["explained_variance"] > 0.99 and scores.values[0] == 0


@pytest.mark.parametrize("method", ["lime", "shapley", "integrated-gradients"])
def test_the_planted_word_has_the_highest_score(method: str) -> None:
    text = "the story was bad and the film with actors and music was good"
    explanation = explain(bag_of_words(), text, method)
    best = int(np.argmax(explanation.scores))
    assert explanation.tokens[best] == "good" and explanation.tokens[int(np.argmin(explanation.scores))] == "bad"
    assert explanation.faithfulness["comprehensiveness"] > explanation.faithfulness["random_comprehensiveness"]
    assert explanation.scores == explain(bag_of_words(), text, method).scores
