"""Sizes of a notebook's work: realistic on a GPU, small on a laptop, and tiny in tests."""

from __future__ import annotations

import os
from typing import Literal, TypeVar, get_args

from workbench.errors import RequestError

Scale = Literal["test", "cpu", "gpu"]

SCALE = "WORKBENCH_COURSE_SCALE"
SCALES: tuple[Scale, ...] = get_args(Scale)

T = TypeVar("T")


def scale() -> Scale:
    """Return the value of the variable WORKBENCH_COURSE_SCALE; by default, what this machine has.

    Raises:
        RequestError: the variable has another value.
    """
    value = os.environ.get(SCALE, "")
    if value and value not in SCALES:
        raise RequestError(f"{SCALE} is {value!r}.", f"Allowed: {', '.join(SCALES)}; or unset it.")
    if value:
        return value
    import torch

    return "gpu" if torch.cuda.is_available() else "cpu"


def is_test() -> bool:
    """Return whether the variable asks for the tests' scale. Unlike :func:`scale`, this never imports torch."""
    return os.environ.get(SCALE) == "test"


def size(*, test: T, cpu: T, gpu: T) -> T:
    """Return the size that fits this machine; see :func:`scale`.

    Args:
        test: size in tests.
        cpu: size without a GPU.
        gpu: size with a GPU.
    """
    sizes: dict[Scale, T] = {"test": test, "cpu": cpu, "gpu": gpu}
    return sizes[scale()]
