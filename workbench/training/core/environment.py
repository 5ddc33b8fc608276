"""What must be known to repeat a run: versions, device, data and seed."""

from __future__ import annotations

import contextlib
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import cast

import torch

from workbench.runs.documents import Environment, ModelBase
from workbench.system.machine import describe
from workbench.training.core.device import Device
from workbench.types import JsonObject
from workbench.version import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "safetensors", "numpy")


def describe_environment(
    device: Device, data_fingerprint: str, seed: int, base: ModelBase, processes: int = 1
) -> Environment:
    """Return the document ``environment.json``.

    Args:
        device: where the run trains.
        data_fingerprint: fingerprint of the data set.
        seed: the run's seed.
        base: the model that the run starts from: source and fingerprint.
        processes: how many processes train the run.
    """
    return Environment(
        workbench=__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        packages={name: metadata.version(name) for name in PACKAGES},
        device={"kind": device.kind, "name": device.name, "precision": device.precision},
        threads=torch.get_num_threads(),
        processes=processes,
        machine=cast(JsonObject, describe()),
        git_commit=_git_commit(),
        data_fingerprint=data_fingerprint,
        seed=seed,
        base=base,
    )


def _git_commit() -> str | None:
    """Return the commit of the workbench's own checkout; None if it does not run from one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(root), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return None
