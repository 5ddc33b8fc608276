"""Losses: the mean of -log p(target)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from workbench.types import IGNORE_INDEX

# Rows of logits that fused_cross_entropy computes at a time, in multiples of D: each time all V x D weights are read as
# well, and that should take less time than the logits.
CHUNK = 4


def upcast_to_fp32(logits: Tensor) -> Tensor:
    """Convert 16-bit logits to 32 bits: a sum of exponentials in 16 bits is off by percents.

    Args:
        logits: logits of any shape.
    """
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def token_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean cross-entropy over the tokens whose label is not -100.

    Args:
        logits: [..., V].
        labels: [...].
    """
    return F.cross_entropy(upcast_to_fp32(logits.flatten(0, -2)), labels.flatten(), ignore_index=IGNORE_INDEX)


def classification_loss(logits: Tensor, labels: Tensor, problem_type: str | None) -> Tensor:
    """Compute cross-entropy for one label, binary cross-entropy for several, squared error for a number.

    Args:
        logits: [B, L].
        labels: [B], or [B, L] for several labels.
        problem_type: as in transformers' configurations; inferred from the labels when None.
    """
    if problem_type == "regression" or (problem_type is None and logits.shape[-1] == 1):
        return F.mse_loss(upcast_to_fp32(logits.squeeze(-1)), labels.to(upcast_to_fp32(logits).dtype))
    if problem_type == "multi_label_classification" or (problem_type is None and labels.is_floating_point()):
        return F.binary_cross_entropy_with_logits(upcast_to_fp32(logits), labels.to(upcast_to_fp32(logits).dtype))
    return F.cross_entropy(upcast_to_fp32(logits), labels)


def span_loss(start_logits: Tensor, end_logits: Tensor, start_positions: Tensor, end_positions: Tensor) -> Tensor:
    """Compute the mean cross-entropy of where a span starts and where it ends.

    Args:
        start_logits: [B, T].
        end_logits: [B, T].
        start_positions: [B], the target; a position beyond the text has no loss.
        end_positions: [B], likewise.
    """
    length = start_logits.shape[1]
    losses = [
        F.cross_entropy(upcast_to_fp32(logits), positions.clamp(0, length), ignore_index=length)
        for logits, positions in ((start_logits, start_positions), (end_logits, end_positions))
    ]
    return (losses[0] + losses[1]) / 2


def can_fuse(lm_head: nn.Module) -> bool:
    """Return whether :func:`fused_cross_entropy` supports this layer.

    Args:
        lm_head: must be a plain linear layer (no adapter), outside torch.compile, which fuses automatically.
    """
    return type(lm_head) is nn.Linear and not torch.compiler.is_compiling()


def fused_cross_entropy(hidden: Tensor, lm_head: nn.Linear, labels: Tensor) -> Tensor:
    """Compute logits and their loss together, without ever holding all logits.

    A text of N tokens has N x V logits, usually far more numbers than everything else: writing them, and reading them
    for the softmax and for its gradient, takes most of the time. Here a few rows are processed at a time. Their loss
    and gradient (softmax minus the one-hot target) are computed while the logits are at hand; then the logits are
    discarded.     (Liger Kernel, Hsu et al. 2024, arXiv 2410.10989, does the same in Triton.)

    Args:
        hidden: [..., D].
        lm_head: the output layer [V, D], with or without a bias.
        labels: [...], -100 where there is no target.

    Returns:
        The mean loss, equal to :func:`token_loss` of all logits.
    """
    if _compute_dtype(hidden) == torch.float16 and labels.numel():
        # In fp16, the loss is scaled before gradients are computed so that they do not underflow
        # (Micikevicius et al. 2018, section 3.2). Here they would be computed before the scaling, and most would be 0.
        return token_loss(lm_head(hidden), labels)
    weight, bias = lm_head.weight, lm_head.bias
    loss: Tensor = _FusedCrossEntropy.apply(hidden.flatten(0, -2), weight, bias, labels.flatten())  # type: ignore[no-untyped-call]
    return loss


def _compute_dtype(hidden: Tensor) -> torch.dtype:
    """Return the dtype in which products with ``hidden`` are computed."""
    device = hidden.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype


class _FusedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor) -> Tensor:
        dtype = _compute_dtype(hidden)
        needed = ctx.needs_input_grad  # type: ignore[attr-defined]
        with torch.autocast(hidden.device.type, enabled=False):
            loss, grads = _loss_and_gradients(hidden.to(dtype), weight.to(dtype), bias, labels, any(needed))
        if grads is not None:
            inputs = zip(grads, (hidden, weight, bias), needed[:3], strict=True)
            saved = [g.to(x.dtype) if g is not None and x is not None and use else None for g, x, use in inputs]
            ctx.save_for_backward(*saved)  # type: ignore[arg-type]
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors or (None, None, None)  # type: ignore[attr-defined]  # empty for no tokens at all
        return (*(None if g is None else g * grad for g in saved), None)


def _loss_and_gradients(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: Tensor, with_gradients: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None] | None]:
    """Mean loss, and its gradients with respect to ``hidden`` [N, D], ``weight`` [V, D] and ``bias`` [V]."""
    has_target = labels != IGNORE_INDEX
    share = has_target.float() / has_target.sum()  # of each token in the mean
    targets = labels.masked_fill(~has_target, 0)
    loss = torch.zeros((), device=hidden.device)
    hidden_grad = torch.empty_like(hidden)
    weight_grad: Tensor | None = None
    bias_grad: Tensor | None = None
    size = CHUNK * hidden.shape[1]
    for start in range(0, len(hidden), size):
        chunk = slice(start, start + size)
        rows, row_share = hidden[chunk], share[chunk, None]
        logits = F.linear(rows, weight, None if bias is None else bias.to(weight.dtype))
        log_probabilities = upcast_to_fp32(logits).log_softmax(dim=1)
        loss = loss - (log_probabilities.gather(1, targets[chunk, None]) * row_share).sum()
        if not with_gradients:
            continue
        logits_grad = log_probabilities.exp_()  # softmax; minus 1 at the target is the gradient
        logits_grad.scatter_add_(1, targets[chunk, None], logits_grad.new_full((len(logits_grad), 1), -1.0))
        if bias is not None:
            chunk_grad = (row_share.to(logits_grad.dtype).T @ logits_grad).squeeze(0)
            bias_grad = chunk_grad if bias_grad is None else bias_grad + chunk_grad
        logits_grad = logits_grad.to(hidden.dtype)
        # A token's share scales its row of D numbers here instead of its V logits.
        hidden_grad[chunk] = (logits_grad @ weight) * row_share
        weight_grad = _add_product(weight_grad, logits_grad.T, (rows * row_share).to(rows.dtype))
    if not with_gradients or weight_grad is None:
        return loss, None
    return loss, (hidden_grad, weight_grad, bias_grad)


def _add_product(total: Tensor | None, left: Tensor, right: Tensor) -> Tensor:
    """``total + left @ right``, in at least 32 bits; the product alone when there is no total yet."""
    if total is None:
        return upcast_to_fp32(left @ right)
    return total.addmm_(left, right) if left.dtype == total.dtype else total + left @ right
