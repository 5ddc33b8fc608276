"""Solved heads have the weights of scikit-learn's models with the same objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from workbench.tuning.linear_models import HeadTargets, LinearProblem

N, D, L = 300, 12, 4
GENERATOR = np.random.default_rng(0)
# Directions of very different variance, and a mean far from zero, as vectors of a Transformer have.
FEATURES = GENERATOR.normal(size=(N, D)) * np.geomspace(0.02, 3, D) + 5 * GENERATOR.normal(size=D)
CLASSES = ((FEATURES - FEATURES.mean(0)) @ GENERATOR.normal(size=(D, L)) + GENERATOR.normal(size=(N, L))).argmax(1)
WEIGHTS = GENERATOR.uniform(0.2, 3, N).astype(np.float32)


def solved(targets: HeadTargets, strength: float, outputs: int, has_bias: bool = True) -> tuple[Any, Any, float]:
    """Return weight, bias, and the C of scikit-learn for features that are not scaled."""
    problem = LinearProblem(torch.from_numpy(FEATURES), targets, outputs, has_bias)
    problem.solve(strength / 10)  # a warm start must not change the solution
    head = problem.solve(strength, tolerance=1e-9)
    return head.weight.numpy(), head.bias, strength / problem.scale**2


@pytest.mark.parametrize("strength", [0.1, 100.0])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("has_bias", [True, False])
def test_classes(strength: float, weights: Any, has_bias: bool) -> None:
    weight, bias, c = solved(HeadTargets("classes", CLASSES, weights), strength, L, has_bias)
    model = LogisticRegression(C=c, tol=1e-10, max_iter=100_000, fit_intercept=has_bias, solver="newton-cg")
    model.fit(FEATURES, CLASSES, weights)
    np.testing.assert_allclose(weight, model.coef_, atol=1e-3 * np.abs(model.coef_).max())
    ours = FEATURES @ weight.T + (bias.numpy() if has_bias else 0)
    centred = [scores - scores.mean(1, keepdims=True) for scores in (ours, model.decision_function(FEATURES))]
    np.testing.assert_allclose(centred[0], centred[1], atol=1e-3 * np.abs(centred[1]).max())


def test_label_sets() -> None:
    labels = (CLASSES[:, None] == np.arange(L)).astype(np.float32)
    labels[:, 0] = FEATURES[:, -1] > np.median(FEATURES[:, -1])
    weights = np.stack([WEIGHTS, *[np.ones(N, np.float32)] * (L - 1)], 1)
    weight, bias, c = solved(HeadTargets("label sets", labels, weights), 5.0, L)
    for label in range(L):
        model = LogisticRegression(C=c, tol=1e-10, max_iter=100_000, solver="newton-cg")
        model.fit(FEATURES, labels[:, label], weights[:, label])
        scale = np.abs(model.coef_).max()
        np.testing.assert_allclose(weight[label], model.coef_[0], atol=1e-3 * scale)
        np.testing.assert_allclose(
            FEATURES @ weight[label] + float(bias[label]), model.decision_function(FEATURES), atol=1e-2 * scale
        )


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_numbers(weights: Any) -> None:
    values = (FEATURES @ GENERATOR.normal(size=D) + 40).astype(np.float32)
    weight, bias, c = solved(HeadTargets("numbers", values, weights), 3.0, 1)
    model = Ridge(alpha=1 / c).fit(FEATURES, values, weights)
    np.testing.assert_allclose(weight[0], model.coef_, rtol=1e-5)
    assert float(bias[0]) == pytest.approx(model.intercept_, rel=1e-5)


def test_few_steps_suffice_and_repeat_exactly() -> None:
    targets = HeadTargets("classes", CLASSES)
    features = torch.from_numpy(FEATURES.astype(np.float32))
    heads = [LinearProblem(features, targets, L).solve(100.0) for _ in range(2)]
    assert torch.equal(heads[0].weight, heads[1].weight) and heads[0].steps == heads[1].steps < 150
