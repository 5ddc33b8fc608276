"""The fused loss equals the loss of the logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from workbench.models.networks import losses
from workbench.models.networks.heads import next_tokens
from workbench.models.networks.losses import classification_loss, fused_cross_entropy, token_loss


def plain_and_chunked(bias: bool, dtype: torch.dtype = torch.float64, rows: int = 23):
    """Return loss and gradients of both implementations."""
    results = []
    for implementation in ("plain", "chunked"):
        torch.manual_seed(0)
        vocabulary = nn.Linear(5, 11, bias=bias, dtype=dtype)
        hidden = torch.randn(1, rows, 5, dtype=dtype, requires_grad=True)
        labels = torch.randint(0, 11, (1, rows)).masked_fill(torch.arange(rows) % 3 == 0, -100)
        loss = (
            token_loss(vocabulary(hidden), labels)
            if implementation == "plain"
            else fused_cross_entropy(hidden, vocabulary, labels)
        )
        (3 * loss).backward()
        results.append([loss.detach(), hidden.grad, *(p.grad for p in vocabulary.parameters())])
    return results


@pytest.mark.parametrize("chunk", [1, 2, 10])
@pytest.mark.parametrize("bias", [True, False])
def test_loss_and_gradients_equal_those_of_all_logits(monkeypatch: pytest.MonkeyPatch, bias: bool, chunk: int) -> None:
    monkeypatch.setattr(losses, "CHUNK", chunk)
    for plain, chunked in zip(*plain_and_chunked(bias), strict=True):
        torch.testing.assert_close(chunked, plain, atol=1e-6, rtol=1e-5)


def test_half_precision_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plain, chunked = plain_and_chunked(bias=True, dtype=torch.float32)
    for a, b in zip(plain, chunked, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(b, a, atol=2e-2, rtol=2e-2)


def test_a_frozen_output_layer_gets_no_gradient() -> None:
    vocabulary = nn.Linear(5, 11)
    vocabulary.weight.requires_grad_(False)
    hidden = torch.randn(4, 5, requires_grad=True)
    fused_cross_entropy(hidden, vocabulary, torch.tensor([1, 2, 3, 4])).backward()
    assert vocabulary.weight.grad is None
    assert vocabulary.bias.grad is not None
    assert hidden.grad is not None


def test_targets_are_the_next_tokens_of_the_same_document() -> None:
    labels = torch.tensor([[1, 2, 3, 4, -100]])
    assert next_tokens(labels, None).tolist() == [[2, 3, 4, -100, -100]]
    documents = torch.tensor([[1, 1, 2, 2, 0]])
    assert next_tokens(labels, documents).tolist() == [[2, -100, 4, -100, -100]]
    assert labels.tolist() == [[1, 2, 3, 4, -100]]  # unchanged


def test_the_labels_decide_the_loss() -> None:
    logits = torch.tensor([[0.0, 0.0]])
    assert classification_loss(logits, torch.tensor([1]), None).item() == pytest.approx(0.6931, abs=1e-4)
    assert classification_loss(logits, torch.tensor([[1.0, 0.0]]), None).item() == pytest.approx(0.6931, abs=1e-4)
    assert classification_loss(torch.tensor([[3.0]]), torch.tensor([1.0]), None).item() == pytest.approx(4.0)


def test_a_batch_without_targets() -> None:
    vocabulary = nn.Linear(5, 11)
    hidden = torch.randn(0, 5, requires_grad=True)
    loss = fused_cross_entropy(hidden, vocabulary, torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert vocabulary.weight.grad is None


def test_small_gradients_survive_in_fp16() -> None:
    """Gradients are scaled before rounding, as with GradScaler: each of 4,000 tokens contributes very little."""
    torch.manual_seed(0)
    start = torch.randn(4000, 5)
    labels = torch.randint(0, 50, (4000,))
    results = []
    for dtype in (torch.float32, torch.float16):
        torch.manual_seed(1)
        vocabulary = nn.Linear(5, 50)
        hidden = (0.001 * start).to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is torch.float16):
            loss = fused_cross_entropy(hidden, vocabulary.to(dtype), labels)
        (loss * 2.0**16).backward()
        results.append((hidden.grad.float(), vocabulary.weight.grad.float()))
    for exact, half_precision in zip(*results, strict=True):
        torch.testing.assert_close(half_precision, exact, rtol=0.02, atol=0.01 * float(exact.abs().mean()))
