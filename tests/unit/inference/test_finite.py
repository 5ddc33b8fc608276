"""NaN and infinity in the outputs of a model are errors; finite outputs pass, also those that carry a gradient."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import pytest
import torch

from workbench.errors import NonFiniteOutputError
from workbench.inference.finite import check_outputs


class Echo(torch.nn.Module):
    """Returns its input as logits."""

    def forward(self, logits: torch.Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_and_infinity_are_errors(value: float) -> None:
    model = Echo()
    check_outputs(model)
    with pytest.raises(NonFiniteOutputError, match="logits"):
        model(torch.tensor([[0.0, value], [1.0, -math.inf]]))


def test_masked_and_differentiable_outputs_pass_without_a_warning() -> None:
    model = Echo()
    check_outputs(model)
    check_outputs(model)
    assert len(model._forward_hooks) == 1, "checked once"
    logits = torch.tensor([[0.0, -math.inf]], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model(logits).logits is logits
        model(torch.empty(0, 2))
