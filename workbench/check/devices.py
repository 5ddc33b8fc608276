"""The devices of this machine, and whether one of them can compute as a spec says."""

from __future__ import annotations

from workbench.errors import RequestError
from workbench.problem import Problem
from workbench.spec import TrainingSpec


def available_devices() -> list[str]:
    """Return the kinds of devices that torch finds on this machine, the best first: ``cuda``, ``mps``, ``cpu``."""
    import torch

    has_mps = hasattr(torch.backends, "mps") and torch.backends.mps.is_available()
    return [kind for kind, present in (("cuda", torch.cuda.is_available()), ("mps", has_mps)) if present] + ["cpu"]


def device_problem(device: str, precision: str) -> Problem | None:
    """Return why this machine cannot train as a spec says; None if it can.

    Torch is only asked about settings that not every machine can fulfil: importing it takes seconds.

    Args:
        device: ``cpu``, ``cuda``, ``mps``, or ``auto`` for a GPU if there is one.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto`` for what the device does well.
    """
    if device in ("auto", "cpu") and precision != "fp16":
        return None
    devices = available_devices()
    kind = devices[0] if device == "auto" else device
    if kind not in devices:
        message = f"training.device is {device}; this machine has {', '.join(devices)}."
        return Problem("error", "training.device", message, "Use auto for the best device of the machine.")
    if precision == "fp16" and kind == "cpu":
        message = "training.precision is fp16, which is slow on a CPU."
        return Problem("error", "training.precision", message, "Use auto, bf16 or fp32.")
    return None


def choose_device(device: str, precision: str) -> tuple[str, str]:
    """Return the kind of device and the precision that a spec means on this machine.

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
    return kind, _best_precision(kind) if precision == "auto" else precision


def _best_precision(kind: str) -> str:
    """Return bf16 where the hardware supports it; emulated, it is 5 to 8 times slower than fp32."""
    import torch

    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "fp32"
    return "fp32"


def device_problems(training: TrainingSpec) -> list[Problem]:
    """Return the problems of a spec with the devices of this machine.

    Args:
        training: the ``training`` section.
    """
    problem = device_problem(training.device, training.precision)
    return [problem] if problem is not None else []
