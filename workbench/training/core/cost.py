"""The cost of a run: time, memory, arithmetic, and the share of the device's peak that was used."""

from __future__ import annotations

import torch

from workbench.runs.documents import Cost
from workbench.system.machine import peak_rss_bytes
from workbench.training.core.device import Device
from workbench.training.core.flops import flops_per_token, peak_flops
from workbench.types import Model

MIN_SECONDS_FOR_MFU = 5.0  # shorter training says nothing about the share of the peak


def count_parameters(model: Model) -> tuple[int, int]:
    """Return the number of trainable parameters, and of all parameters.

    Args:
        model: parameters with ``requires_grad`` are trainable.
    """
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return trainable, sum(p.numel() for p in model.parameters())


def measure_cost(
    model: Model,
    device: Device,
    *,
    tokens: int,
    seconds: float,
    total_seconds: float,
    length: int,
    predicted: float,
    replayed: bool,
    processes: int = 1,
) -> Cost:
    """Return the ``cost`` section of ``report.json``.

    Args:
        model: after training.
        device: where it was trained.
        tokens: tokens of text in training, without padding.
        seconds: training time, including evaluation.
        total_seconds: time of the whole process.
        length: mean number of tokens in a row: the span of attention.
        predicted: share of the tokens that the vocabulary scores are computed for.
        replayed: whether activations of frozen layers were cached, so that not every token cost its full arithmetic.
        processes: how many processes trained it, each on a device of its own.

    Returns:
        The values above, and ``mfu``, the share of the peak (PaLM, Chowdhery et al. 2022, appendix B). It is None where
        training was too short to measure it, or activations were cached.
    """
    trainable, total = count_parameters(model)
    speed = tokens / max(seconds, 1e-9)
    per_token = flops_per_token(model, length, predicted)
    measurable = seconds >= MIN_SECONDS_FOR_MFU and not replayed
    peak, source = peak_flops(device, device.precision) if measurable else (None, None)
    return Cost(
        seconds=round(seconds, 3),
        total_seconds=round(total_seconds, 3),
        tokens_per_second=speed,
        tokens=tokens,
        peak_memory_bytes=torch.cuda.max_memory_allocated() if device.kind == "cuda" else peak_rss_bytes(),
        trained_parameters=trainable,
        total_parameters=total,
        device=device.name,
        precision=device.precision,
        flops_per_token=per_token,
        peak_flops=peak,
        peak_flops_source=source,
        mfu=speed * per_token / (peak * processes) if peak else None,
    )
