"""Losses: the mean of -log p(what is right)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

IGNORED = -100  # a label of this number is nothing to be predicted

# Rows of scores computed at a time by fused_cross_entropy, in widths D: each time all V x D weights are read as well,
# and that should take less than the scores.
CHUNK = 4


def upcast_to_fp32(logits: Tensor) -> Tensor:
    """Logits in no less than 32 bits: a sum of exponentials in 16 is off by percents."""
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy over the tokens whose label is not -100.

    Args:
        logits: [..., V].
        labels: [...].
    """
    return F.cross_entropy(upcast_to_fp32(logits.flatten(0, -2)), labels.flatten(), ignore_index=IGNORED)


def classification_loss(logits: Tensor, labels: Tensor, problem: str | None) -> Tensor:
    """Cross-entropy for one class an example, binary cross-entropy for several, squared error for a number.

    Args:
        logits: [B, classes].
        labels: [B], or [B, classes] for several classes.
        problem: transformers' ``problem_type``; told from the labels when None.
    """
    if problem == "regression" or (problem is None and logits.shape[-1] == 1):
        return F.mse_loss(upcast_to_fp32(logits.squeeze(-1)), labels.to(upcast_to_fp32(logits).dtype))
    if problem == "multi_label_classification" or (problem is None and labels.is_floating_point()):
        return F.binary_cross_entropy_with_logits(upcast_to_fp32(logits), labels.to(upcast_to_fp32(logits).dtype))
    return F.cross_entropy(upcast_to_fp32(logits), labels)


def span_loss(start: Tensor, end: Tensor, first: Tensor, last: Tensor) -> Tensor:
    """Mean cross-entropy of where a span begins and where it ends.

    Args:
        start, end: [B, T], the logits of each token.
        first, last: [B], the right places; one beyond the text counts for nothing.
    """
    length = start.shape[1]
    losses = [
        F.cross_entropy(upcast_to_fp32(logits), places.clamp(0, length), ignore_index=length)
        for logits, places in ((start, first), (end, last))
    ]
    return (losses[0] + losses[1]) / 2


def can_fuse(vocabulary: nn.Module) -> bool:
    """Return whether :func:`fused_cross_entropy` supports this layer: a plain one, outside torch.compile."""
    return type(vocabulary) is nn.Linear and not torch.compiler.is_compiling()


def fused_cross_entropy(hidden: Tensor, vocabulary: nn.Linear, labels: Tensor) -> Tensor:
    """The map to the vocabulary and the loss of its scores in one, without ever holding all scores.

    A text of N tokens has N x V scores, usually far more numbers than all else together: writing and reading them again
    for the softmax and for its gradient is what takes the time. Here a few rows are taken at a time, their loss and
    their gradient (softmax minus the right word) computed while they are at hand, and the scores forgotten.

    Args:
        hidden: [..., D].
        vocabulary: the map [V, D], with or without a bias.
        labels: [...], -100 where nothing is predicted.

    Returns:
        the mean loss, as :func:`token_loss` of all scores would give it.
    """
    if _number_format(hidden) == torch.float16 and labels.numel():
        # Gradients in fp16 live by the scale that the loss is multiplied with before they are computed
        # (Micikevicius et al. 2018, section 3.2). Here they are computed before; without it most of them are 0.
        return token_loss(vocabulary(hidden), labels)
    weight, bias = vocabulary.weight, vocabulary.bias
    loss: Tensor = _VocabularyLoss.apply(hidden.flatten(0, -2), weight, bias, labels.flatten())  # type: ignore[no-untyped-call]
    return loss


def _number_format(hidden: Tensor) -> torch.dtype:
    """In which numbers products with ``hidden`` are computed."""
    kind = hidden.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype


class _VocabularyLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
        fast = _number_format(hidden)
        with torch.autocast(hidden.device.type, enabled=False):
            loss, grads = _loss_and_gradients(hidden.to(fast), weight.to(fast), bias, labels, any(ctx.needs_input_grad))
        if grads is not None:
            wanted = zip(grads, (hidden, weight, bias), ctx.needs_input_grad[:3], strict=True)
            kept = [g.to(x.dtype) if g is not None and x is not None and needed else None for g, x, needed in wanted]
            ctx.save_for_backward(*kept)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        kept = ctx.saved_tensors or (None, None, None)  # of no tokens at all there is none
        return (*(None if g is None else g * grad for g in kept), None)


def _loss_and_gradients(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, with_gradients: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None] | None]:
    """Mean loss, and its gradients by ``hidden`` [N, D], ``weight`` [V, D] and ``bias`` [V]."""
    known = labels != IGNORED
    share = known.float() / known.sum()  # of each token in the mean
    right = labels.masked_fill(~known, 0)
    loss = torch.zeros((), device=hidden.device)
    by_hidden = torch.empty_like(hidden)
    by_weight: Tensor | None = None
    by_bias: Tensor | None = None
    size = CHUNK * hidden.shape[1]
    for start in range(0, len(hidden), size):
        part = slice(start, start + size)
        rows, each = hidden[part], share[part, None]
        logs = upcast_to_fp32(F.linear(rows, weight, None if bias is None else bias.to(weight.dtype))).log_softmax(
            dim=1
        )
        loss = loss - (logs.gather(1, right[part, None]) * each).sum()
        if not with_gradients:
            continue
        change = logs.exp_()  # the probabilities; minus 1 at the right word is the gradient
        change.scatter_add_(1, right[part, None], change.new_full((len(change), 1), -1.0))
        if bias is not None:
            found = (each.to(change.dtype).T @ change).squeeze(0)
            by_bias = found if by_bias is None else by_bias + found
        change = change.to(hidden.dtype)
        # A token's share scales its row of D numbers here, and not its V scores.
        by_hidden[part] = (change @ weight) * each
        by_weight = _add_product(by_weight, change.T, (rows * each).to(rows.dtype))
    if not with_gradients or by_weight is None:
        return loss, None
    return loss, (by_hidden, by_weight, by_bias)


def _add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """``total + left @ right``, in 32 bits or more; the product alone where there is no total yet."""
    if total is None:
        return upcast_to_fp32(left @ right)
    return total.addmm_(left, right) if left.dtype == total.dtype else total + left @ right
