"""How large a notebook's work is: real on a GPU, small on a laptop, and tiny where it only has to be shown to run."""

from __future__ import annotations

import os
from typing import TypeVar

from workbench.errors import RequestError

SCALE = "WORKBENCH_COURSE_SCALE"
SCALES = ("test", "cpu", "gpu")

T = TypeVar("T")


def scale() -> str:
    """``test``, ``cpu`` or ``gpu``: what the variable WORKBENCH_COURSE_SCALE says, or else what this machine has.

    Raises:
        RequestError: the variable says something else.
    """
    told = os.environ.get(SCALE, "")
    if told and told not in SCALES:
        raise RequestError(f"{SCALE} is {told!r}.", f"Allowed: {', '.join(SCALES)}; or leave it out.")
    if told:
        return told
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def is_test() -> bool:
    """Whether the variable asks for the tests' scale. Unlike :func:`scale` it never imports torch."""
    return os.environ.get(SCALE) == "test"


def size(*, test: T, cpu: T, gpu: T) -> T:
    """The one of three sizes that fits this machine; see :func:`scale`."""
    return {"test": test, "cpu": cpu, "gpu": gpu}[scale()]
