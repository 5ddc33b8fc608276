"""Where a run computes, and in which number format."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.errors import RequestError


@dataclass(frozen=True)
class Device:
    """A device and the number format of its matrix products.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``: what autocast uses; weights and optimizer stay in fp32.
        name: the hardware, as a person calls it.
    """

    kind: str
    precision: str
    name: str

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> Device:
        """The device and precision that a spec asks for; ``auto`` takes what the machine does well.

        Raises:
            RequestError: a device that is not here, or a precision that it cannot do.
        """
        available = [kind for kind, there in (("cuda", torch.cuda.is_available()), ("mps", _has_mps())) if there]
        kind = (available or ["cpu"])[0] if device == "auto" else device
        if kind not in [*available, "cpu"]:
            raise RequestError(f"training.device is {device}; this machine has {', '.join([*available, 'cpu'])}.")
        if precision == "auto":
            precision = _best_precision(kind)
        if precision == "fp16" and kind == "cpu":
            raise RequestError("training.precision is fp16, which a CPU does not do well.", "Use auto, bf16 or fp32.")
        return cls(kind, precision, torch.cuda.get_device_name() if kind == "cuda" else kind)

    @property
    def mixed_precision(self) -> str:
        """What accelerate calls the precision."""
        return "no" if self.precision == "fp32" else self.precision


def _best_precision(kind: str) -> str:
    """bf16 where the hardware multiplies it natively; where it is emulated it is 5 to 8 times slower than fp32."""
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"
    return "fp32"


def _has_mps() -> bool:
    return hasattr(torch.backends, "mps") and torch.backends.mps.is_available()
