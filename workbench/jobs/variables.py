"""Environment variables of the command that asked for a run, given to its process although a worker starts it.

A worker that already runs has the environment of the command that started it. A run therefore takes the variables on
the list below with it, in a file that only its owner can read, because some of them hold tokens. The file is removed
when the process starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from workbench.files import read_json
from workbench.jobs.start_worker import WORKER_DEVICES
from workbench.runs.run import LOCK_VARIABLE

DEVICES = "CUDA_VISIBLE_DEVICES"
_NAMES = frozenset(
    {
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TOKENIZERS_PARALLELISM"),
        *(DEVICES, "CUDA_DEVICE_ORDER", "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG"),
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    }
)
_PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy", "no_proxy"})  # in small or capital letters
_PREFIXES = ("HF_", "WORKBENCH_", "PYTORCH_", "TORCH_", "TRANSFORMERS_", "NCCL_")
_WORKERS_OWN = frozenset({"WORKBENCH_HOME", LOCK_VARIABLE, WORKER_DEVICES})


def is_passed(name: str) -> bool:
    """Return whether a run gets this variable from the command that asked for it.

    Args:
        name: the variable.
    """
    listed = name in _NAMES or name.lower() in _PROXIES or name.startswith(_PREFIXES)
    return listed and name not in _WORKERS_OWN


def own_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables of this process that a run takes with it.

    Args:
        environment: of this process.
    """
    return {name: value for name, value in environment.items() if is_passed(name)}


def read_variables(file: Path) -> dict[str, str] | None:
    """Return the variables that a run or a sweep took with it.

    Args:
        file: where they were written.

    Returns:
        None if there are none: it was not submitted by a command, or the run's process was started before.
    """
    content = read_json(file)
    if not isinstance(content, dict):
        return None
    return {str(name): str(value) for name, value in content.items() if is_passed(str(name))}


def merge(environment: Mapping[str, str], own: Mapping[str, str] | None) -> dict[str, str]:
    """Return the environment of a run's process.

    A variable on the list that the command did not have is not passed on from the worker either.

    Args:
        environment: of the worker.
        own: the variables that the run took with it; None to keep those of the worker.
    """
    if own is None:
        return dict(environment)
    return {**{name: value for name, value in environment.items() if not is_passed(name)}, **own}


def visible_devices(assigned: str | None, own: Mapping[str, str] | None) -> str | None:
    """Return the GPUs that a run's process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    Args:
        assigned: the GPU of the worker's slot; None for no restriction.
        own: the variables that the run took with it.

    Returns:
        Those that the command asked for; of several, the one of the slot if it is among them. None for no restriction.
    """
    requested = None if own is None else own.get(DEVICES)
    if requested is None or (assigned is not None and assigned in [name.strip() for name in requested.split(",")]):
        return assigned
    return requested
