"""The device of a run, and its number format."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from workbench.check.devices import available_devices, device_problem
from workbench.errors import RequestError


@dataclass(frozen=True)
class Device:
    """A device and the number format of its matrix products.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``: the format of autocast; weights and optimizer stay in fp32.
        name: name of the hardware.
    """

    kind: str
    precision: str
    name: str

    @classmethod
    def choose(cls, device: str = "auto", precision: str = "auto") -> Device:
        """Return the device and precision of a spec.

        Args:
            device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for a GPU if there is one.
            precision: ``fp32``, ``bf16``, ``fp16``, or ``auto`` for what the device does well.

        Raises:
            RequestError: the device is not available, or cannot compute in the precision.
        """
        problem = device_problem(device, precision)
        if problem is not None:
            raise RequestError(problem.message, problem.hint)
        kind = available_devices()[0] if device == "auto" else device
        if precision == "auto":
            precision = _best_precision(kind)
        return cls(kind, precision, torch.cuda.get_device_name() if kind == "cuda" else kind)

    @property
    def mixed_precision(self) -> str:
        """The precision by accelerate's name."""
        return "no" if self.precision == "fp32" else self.precision


def _best_precision(kind: str) -> str:
    """Return bf16 where the hardware supports it; emulated, it is 5 to 8 times slower than fp32."""
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"
    return "fp32"
