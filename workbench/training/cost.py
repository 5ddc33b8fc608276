"""What a run has cost: time, memory, arithmetic, and what share of the device's peak was used."""

from __future__ import annotations

from typing import Any

import torch

from workbench.machine import peak_rss_bytes
from workbench.runs.documents import Cost
from workbench.training.device import Device
from workbench.training.flops import flops_per_token, peak_flops

LONG_ENOUGH = 5.0  # seconds of training from which on its share of the peak says something


def parameters(model: Any) -> tuple[int, int]:
    """How many parameters are trained, and how many there are."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trained, sum(p.numel() for p in model.parameters())


def cost(
    model: Any,
    device: Device,
    tokens: int,
    seconds: float,
    total_seconds: float,
    length: int,
    predicted: float,
    replayed: bool,
) -> Cost:
    """``report.json``'s part ``cost``.

    Args:
        model: after training.
        device: where it was trained.
        tokens: of text that were trained on, padding left out.
        seconds: that training took, evaluation included.
        total_seconds: that the process took.
        length: tokens of a row, usually: how far attention goes.
        predicted: share of the tokens that scores of the whole vocabulary are computed for.
        replayed: what frozen layers put out was kept, so that not every token took its whole arithmetic.

    Returns:
        Beside what is said above, ``mfu``, the share of the peak: PaLM (Chowdhery et al. 2022), appendix B. None where
        training was too short to tell, or frozen layers were replayed.
    """
    trained, total = parameters(model)
    speed = tokens / max(seconds, 1e-9)
    each = flops_per_token(model, length, predicted)
    telling = seconds >= LONG_ENOUGH and not replayed
    peak, source = peak_flops(device, device.precision) if telling else (None, None)
    return Cost(
        seconds=round(seconds, 3),
        total_seconds=round(total_seconds, 3),
        tokens_per_second=speed,
        tokens=tokens,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if device.kind == "cuda" else peak_rss_bytes(),
        trained_parameters=trained,
        total_parameters=total,
        device=device.name,
        precision=device.precision,
        flops_per_token=each,
        peak_flops=peak,
        peak_flops_source=source,
        mfu=speed * each / peak if peak else None,
    )
