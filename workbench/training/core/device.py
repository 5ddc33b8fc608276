"""The device of a run, and its number format."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import torch

from workbench.check.devices import choose_device

MIN_STEPS_TO_COMPILE = 2_000  # a compiled step must save 30 ms to win back a minute


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
        kind, precision = choose_device(device, precision)
        return cls(kind, precision, torch.cuda.get_device_name() if kind == "cuda" else kind)

    @property
    def mixed_precision(self) -> str:
        """The precision by accelerate's name."""
        return "no" if self.precision == "fp32" else self.precision


def compiles(setting: bool | Literal["auto"], device: Device, steps: Callable[[], int]) -> bool:
    """Return whether a run compiles its model.

    Args:
        setting: ``training.compile``; ``auto`` compiles where Triton generates code for the GPU, and where the run is
            long enough to win back the minute that compilation takes.
        device: the device of the run.
        steps: returns the number of steps of the run.
    """
    if setting != "auto":
        return setting
    return device.kind == "cuda" and _triton_supports_gpu() and steps() >= MIN_STEPS_TO_COMPILE


def _triton_supports_gpu() -> bool:
    """Return whether Triton is installed with the C compiler that it needs, and supports the GPU."""
    if find_spec("triton") is None or not any(map(shutil.which, ("cc", "gcc", "clang"))):
        return False
    return torch.version.hip is not None or torch.cuda.get_device_capability() >= (7, 0)
