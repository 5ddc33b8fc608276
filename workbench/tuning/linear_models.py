"""Linear heads in closed form: ridge regression, and logistic regression by L-BFGS.

The objective is that of scikit-learn's ``LogisticRegression`` and ``Ridge``, with C = 1 / alpha:

    C * sum of weight_i * loss(W x_i + b, y_i)  +  1/2 ||W||^2

The bias b is not penalized. Features are centred and divided by one number, so that a value of C means the same for
every model: the mean squared length of a centred feature vector is 1.

L-BFGS (Liu and Nocedal 1989) minimizes it over U, with W = U A and A = (X' X * c + I)^(-1/2): around the start, the
curvature is then about the same in all directions, and tens of steps suffice instead of hundreds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from workbench.types import Floats32, Ints

if TYPE_CHECKING:
    from torch import Tensor

Kind: TypeAlias = Literal["classes", "label sets", "numbers"]

MAX_STEPS = 500  # of L-BFGS; it converges in far fewer


@dataclass(frozen=True)
class HeadTargets:
    """What a linear head has to predict.

    Attributes:
        kind: one of several classes, any number of labels, or a number.
        values: int64 [N] classes; float32 [N, L] of 0 and 1; or float32 [N] numbers, as the head puts them out.
        weights: of the loss of each example, [N], or of each label of it, [N, L]; None if all count as much.
    """

    kind: Kind
    values: Ints | Floats32
    weights: Floats32 | None = None

    def subset(self, rows: Ints) -> HeadTargets:
        """Return the targets of some examples.

        Args:
            rows: their indices.
        """
        return HeadTargets(self.kind, self.values[rows], None if self.weights is None else self.weights[rows])


@dataclass(frozen=True)
class LinearHead:
    """A solved head.

    Attributes:
        weight: [L, D].
        bias: [L]; None for a head without one.
        steps: steps of L-BFGS; 0 for ridge regression.
    """

    weight: Tensor
    bias: Tensor | None
    steps: int

    def logits(self, features: Tensor) -> Tensor:
        """Return the outputs of the head, [N, L].

        Args:
            features: [N, D].
        """
        outputs = features @ self.weight.T
        return outputs if self.bias is None else outputs + self.bias


class LinearProblem:
    """Fits linear heads with several strengths of regularization to the same features.

    Args:
        features: [N, D], in the precision to compute in.
        targets: what to predict.
        outputs: number of outputs L.
        has_bias: whether the head has a bias.
    """

    def __init__(self, features: Tensor, targets: HeadTargets, outputs: int, has_bias: bool = True) -> None:
        import torch

        self.targets, self.outputs, self.has_bias = targets, outputs, has_bias
        # Without a bias, centring would change the objective.
        self.mean = features.mean(dim=0) if has_bias else torch.zeros_like(features[0])
        centred = features - self.mean
        self.scale = float(centred.square().sum(dim=1).mean().sqrt().clamp(min=1e-12))
        self.features = centred / self.scale
        self.values = torch.from_numpy(np.asarray(targets.values)).to(features.device)
        self.values = self.values if targets.kind == "classes" else self.values.to(features.dtype)
        weights = np.ones(len(features), np.float32) if targets.weights is None else targets.weights
        self.weights = torch.from_numpy(weights).to(features)
        self.covariance = self.features.T @ self.features  # [D, D]
        self._start: Tensor | None = None  # the last solution, of the centred and divided features

    def solve(self, strength: float, tolerance: float = 1e-5) -> LinearHead:
        """Return the head that minimizes the objective.

        Args:
            strength: C; the larger, the less regularization.
            tolerance: largest derivative of the objective, divided by the sum of the weights, at which L-BFGS ends.
        """
        if self.targets.kind == "numbers":
            return self._ridge(strength)
        return self._logistic(strength, tolerance)

    def _ridge(self, strength: float) -> LinearHead:
        import torch

        weights = self.weights.unsqueeze(1)
        values = self.values.unsqueeze(1)
        total = weights.sum()
        x_mean = (self.features * weights).sum(0) / total if self.has_bias else torch.zeros_like(self.mean)
        y_mean = (values * weights).sum() / total if self.has_bias else torch.zeros_like(total)
        x, y = self.features - x_mean, values - y_mean
        normal = (x * weights).T @ x + torch.eye(x.shape[1]).to(x) / strength
        weight = torch.linalg.solve(normal, (x * weights).T @ y).T  # [1, D]
        return self._original(weight, y_mean.reshape(1) - weight @ x_mean, 0)

    def _logistic(self, strength: float, tolerance: float) -> LinearHead:
        import torch

        count, total = len(self.features), float(self.weights.sum())
        total = total / (self.outputs if self.weights.dim() == 2 else 1)
        share = 1 / self.outputs if self.targets.kind == "classes" else 0.5
        values, vectors = torch.linalg.eigh(self.covariance * (strength * share * (1 - share)))
        scaling = (vectors / (values.clamp(min=0) + 1).sqrt()) @ vectors.T  # A, [D, D]
        inputs = self.features @ scaling
        start = torch.zeros(self.outputs, inputs.shape[1] + 1).to(inputs) if self._start is None else self._start
        inverse = (vectors * (values.clamp(min=0) + 1).sqrt()) @ vectors.T
        spread = (count * strength * share * (1 - share)) ** 0.5  # the curvature of the bias, without its scale
        parameters = torch.cat([start[:, :-1] @ inverse, start[:, -1:] * spread], dim=1).requires_grad_()
        optimizer = torch.optim.LBFGS(
            [parameters],
            max_iter=MAX_STEPS,
            max_eval=2 * MAX_STEPS,
            history_size=20,
            tolerance_grad=tolerance * strength * total / max(spread, 1.0),
            tolerance_change=0,
            line_search_fn="strong_wolfe",
        )

        def objective() -> Tensor:
            optimizer.zero_grad()
            weight = parameters[:, :-1]
            bias = parameters[:, -1] / spread if self.has_bias else 0.0
            loss = strength * self._loss(inputs @ weight.T + bias) + 0.5 * (weight @ scaling).square().sum()
            loss.backward()
            return loss  # type: ignore[no-any-return]

        optimizer.step(objective)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            weight, bias = parameters[:, :-1] @ scaling, parameters[:, -1] / spread
        self._start = torch.cat([weight, bias.unsqueeze(1)], dim=1)
        return self._original(weight, bias, int(optimizer.state[parameters]["n_iter"]))

    def _loss(self, logits: Tensor) -> Tensor:
        """Return the weighted sum of the examples' losses."""
        from torch.nn import functional

        if self.targets.kind == "classes":
            losses = functional.cross_entropy(logits, self.values, reduction="none")
            return (losses * self.weights).sum()
        losses = functional.binary_cross_entropy_with_logits(logits, self.values, reduction="none")
        return (losses * (self.weights if self.weights.dim() == 2 else self.weights.unsqueeze(1))).sum()

    def _original(self, weight: Tensor, bias: Tensor, steps: int) -> LinearHead:
        """Return the head for the features as they were."""
        weight = weight / self.scale
        return LinearHead(weight, bias - weight @ self.mean if self.has_bias else None, steps)
