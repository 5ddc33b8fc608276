"""The arithmetic of training, and the peak of the device: what model FLOPs utilization (MFU) is computed from.

MFU (Chowdhery et al. 2022, PaLM, arXiv 2204.02311, appendix B) is the arithmetic that the model needs for the tokens it
sees in a second, divided by the peak of the device in a second. Padding and recomputation to save memory do not count.
"""

from __future__ import annotations

import re
import time
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from workbench.training.core.device import Device

MEASURED_FOR = 0.2  # seconds, roughly, to measure a peak

# Dense peak in 10^12 FLOPs per second, by name: matrix products in bf16 and fp16 (accumulated in fp32), in TF32, and in
# plain fp32. From the manufacturers' data sheets, without sparsity; the first matching name counts. A device without
# TF32 has no bf16 either (except AMD's).
_TERA: tuple[tuple[str, float, float | None, float], ...] = (
    # NVIDIA for data centres: data sheets of B200 and B100 (2024), H200 (2024), H100 (2023), A100 (2021), L40S, L40 and
    # L4 (2023), A40, A30 and A10 (2021), V100 (2020), T4 (2019)
    ("B200|GB200", 2250.0, 1125.0, 75.0),
    ("B100", 1750.0, 875.0, 60.0),
    ("H200 NVL", 835.5, 417.5, 60.0),
    ("H100 NVL", 835.5, 417.5, 60.0),
    ("H100 PCIe|H100 PCI-E", 756.0, 378.0, 51.0),
    ("GH200|H200|H100|H800", 989.4, 494.7, 66.9),
    ("A100|A800", 312.0, 156.0, 19.5),
    ("L40S", 362.05, 183.0, 91.6),
    ("L40", 181.05, 90.5, 90.5),
    ("L4", 121.0, 60.0, 30.3),
    ("A40", 149.7, 74.8, 37.4),
    ("A30", 165.0, 82.0, 10.3),
    ("A10G", 70.0, 35.0, 31.5),
    ("A10", 125.0, 62.5, 31.2),
    ("V100-PCIE|V100 PCIe", 112.0, None, 14.0),
    ("V100", 125.0, None, 15.7),
    ("T4", 65.0, None, 8.1),
    # NVIDIA for desks: architecture papers of Blackwell (2025), Ada (2022), Ampere GA102 (2020), Turing (2018)
    ("RTX 6000 Ada", 364.2, 182.1, 91.1),
    ("RTX A6000", 154.8, 77.4, 38.7),
    ("RTX 5090", 209.5, 104.8, 104.8),
    ("RTX 4090", 165.2, 82.6, 82.6),
    ("RTX 4080", 97.5, 48.7, 48.7),
    ("RTX 3090 Ti", 80.0, 40.0, 40.0),
    ("RTX 3090", 71.0, 35.6, 35.6),
    ("RTX 3080", 59.5, 29.8, 29.8),
    ("RTX 2080 Ti", 53.8, None, 13.4),
    # AMD: data sheets of Instinct MI300X (2023) and MI210 (2022)
    ("MI300X", 1307.4, 653.7, 163.4),
    ("MI210", 181.0, None, 45.3),
)

_OTHER_CHIP = r"\s+(Ti|SUPER|D|Laptop|with Max-Q)\b"  # suffixes that make the name that of another device


def flops_per_token(model: nn.Module, length: int, predicted: float = 1.0) -> float:
    """Return the FLOPs of training for one token: 6 N + 12 L d T.

    Kaplan et al. 2020 (arXiv 2001.08361, section 2.1) and PaLM, appendix B. Each weight of a matrix product takes a
    multiplication and an addition forward, and twice as much backward: 6. Attention takes for each layer two products
    with T keys of width d, 2 d T each, forward and twice backward: 12 d T (half of that is masked in a causal model,
    and counted nevertheless, as usual).

    The gradient of a frozen weight is not computed: 4 instead of 6. (Leading frozen layers have no backward pass at
    all; this is not subtracted.)

    Args:
        model: a transformers model, or a module with a similar ``config``.
        length: number T of tokens that attend to each other.
        predicted: share of the tokens that the vocabulary scores are computed for; below 1 where only masked tokens are
            predicted and the output matrix skips the others.

    Returns:
        FLOPs. N counts the parameters without embeddings that are only looked up; a matrix that is both embedding and
        output counts once. Every token is assumed to pass every matrix, which overestimates an encoder-decoder.
    """
    looked_up = _only_looked_up(model)
    used = [p for p in model.parameters() if id(p) not in looked_up]
    trainable = sum(p.numel() for p in used if p.requires_grad)
    total = sum(p.numel() for p in used)
    skipped = (1.0 - predicted) * _output_flops(model)
    return 4.0 * total + 2.0 * trainable - skipped + 12.0 * _attention_width(model) * length


def _output_flops(model: nn.Module) -> float:
    """Return the FLOPs of the output matrix over the vocabulary for one token; 0 for a model without one."""
    get_output = getattr(model, "get_output_embeddings", None)
    output: nn.Linear | None = get_output() if get_output is not None else None
    return 0.0 if output is None else output.weight.numel() * (6.0 if output.weight.requires_grad else 4.0)


def _only_looked_up(model: nn.Module) -> set[int]:
    """Return the ids of parameters that are only used as embeddings."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    multiplied = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    return tables - multiplied


def _attention_width(model: nn.Module) -> float:
    """Return L d: the width of attention, summed over all layers; 0 for a model without attention."""
    config: PretrainedConfig | None = getattr(model, "config", None)
    heads = _first(config, "num_attention_heads", "n_head", "encoder_attention_heads")
    if not heads:
        return 0.0
    width = _first(config, "hidden_size", "n_embd", "d_model") or 0
    head = _first(config, "head_dim", "d_kv") or width / heads
    decoder = _first(config, "num_decoder_layers", "decoder_layers") or 0
    if getattr(config, "is_encoder_decoder", False):  # the decoder attends to itself and to the encoder
        encoder = _first(config, "num_hidden_layers", "num_layers", "encoder_layers") or 0
        return float((encoder + 2 * (decoder or encoder)) * heads * head)
    return float((_first(config, "num_hidden_layers", "n_layer") or 0) * heads * head)


def _first(config: PretrainedConfig | None, *names: str) -> int | None:
    return next((int(value) for name in names if (value := getattr(config, name, None))), None)


def peak_flops(device: Device | torch.device | str, precision: str) -> tuple[float, str]:
    """Return the most FLOPs per second of a device in matrix products, and the source of that number.

    Args:
        device: a :class:`workbench.training.core.device.Device`, a ``torch.device`` or its name.
        precision: ``fp32``, ``bf16`` or ``fp16``. With fp32 on a GPU, TF32 counts where torch is allowed to use it.

    Returns:
        The dense peak from the data sheet for known GPUs. For others, and for a CPU, the speed of a product of two
        large matrices, measured in about a quarter of a second; it is below the real peak, so the MFU is too high.
    """
    kind = str(getattr(device, "kind", None) or getattr(device, "type", None) or device).partition(":")[0]
    name = torch.cuda.get_device_name() if kind == "cuda" else kind
    column = _column(precision)
    listed = None if kind != "cuda" else listed_peak(name, column)
    if listed is not None:
        return listed, f"data sheet of {name}, dense {column}"
    return _measured(kind, precision)


def _column(precision: str) -> str:
    """Return the number format that the matrix products really use."""
    if precision != "fp32":
        return precision
    return "tf32" if torch.backends.cuda.matmul.allow_tf32 else "fp32"


def listed_peak(name: str, format: str) -> float | None:
    """Return the dense peak of a GPU in FLOPs per second; None if it is not listed, or is a slice of a GPU (MIG).

    Args:
        name: as the driver reports it, ``"NVIDIA H100 80GB HBM3"``.
        format: bf16, fp16, tf32 or fp32.
    """
    if re.search(r"\bMIG\b", name):
        return None
    for pattern, half, tf32, single in _TERA:
        if re.search(rf"\b({pattern})\b(?!{_OTHER_CHIP})", name, re.IGNORECASE):
            lacks_bf16 = format == "bf16" and tf32 is None and not pattern.startswith("MI")
            peaks = {"bf16": None if lacks_bf16 else half, "fp16": half, "tf32": tf32, "fp32": single}
            peak = peaks.get(format)
            return None if peak is None else peak * 1e12
    return None


@cache
def _measured(kind: str, precision: str) -> tuple[float, str]:
    """Measure the speed of a product of two square matrices; the size grows until it can be timed."""
    number = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    size, best, began = 256, 0.0, time.perf_counter()
    while True:
        seconds = _seconds_of_product(size, kind, number)
        best = max(best, 2.0 * size**3 / seconds)
        if time.perf_counter() - began > MEASURED_FOR:
            return best, f"measured: products of matrices up to {size} x {size} in {precision} on this {kind}"
        if seconds < MEASURED_FOR / 20 and size < 8192:
            size *= 2


def _seconds_of_product(size: int, kind: str, number: torch.dtype) -> float:
    left = torch.ones(size, size, dtype=number, device=kind)
    _wait(kind)
    began = time.perf_counter()
    left @ left
    _wait(kind)
    return max(1e-9, time.perf_counter() - began)


def _wait(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()
    elif kind == "mps":
        torch.mps.synchronize()
