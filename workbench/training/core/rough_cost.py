"""The rough duration of a training run, from arithmetic alone: for a first look, before anything is measured.

A weight of a matrix product takes two operations for a token forward, and four backward (Kaplan et al. 2020, arXiv
2001.08361, section 2.1); the gradient of a frozen weight takes none, and a frozen body is computed once for all epochs.
What this machine does in a second is measured with one matrix product. A run reaches a part of it, which is why the
result is a wide range; :mod:`workbench.training.estimate` measures real steps.
"""

from __future__ import annotations

import math
import time
from functools import cache

import numpy as np

from workbench.runs.documents import Interval
from workbench.training.core.steps import default_epochs

MATRIX = 768  # rows and columns of the product that is timed
ROUNDS = 5
START_SECONDS = 15.0  # to start a process, load the model, and write the result
# Time of a run in units of (operations / rate of the machine), low and high: tests/benchmarks/RESULTS.md.
FASTEST, SLOWEST = 0.3, 2.5
_OPERATIONS = {"head": 2.0, "lora": 4.0}  # for a weight and a token; 6 where every weight is trained


def rough_seconds(
    method: str,
    layers: int,
    width: int,
    tokens: float,
    examples: int,
    held_out: int,
    min_steps: int,
    batch_size: int = 32,
) -> Interval:
    """Return how long a run with default settings takes, roughly.

    Args:
        method: name of the fine-tuning method.
        layers: number of the model's layers.
        width: their width.
        tokens: mean length of an example in tokens.
        examples: examples of the training split.
        held_out: examples of the validation split; the test split is about twice as large.
        min_steps: see :meth:`workbench.tasks.base.Task.min_steps`.
        batch_size: examples per step.

    Returns:
        Seconds: the value is the geometric mean of the range's ends.
    """
    epochs = default_epochs(math.ceil(examples / batch_size), min_steps)
    weights = 12 * layers * width**2
    trained = 1 if method == "head" else epochs
    answered = (1 if method == "head" else epochs) * held_out + 2 * held_out
    operations = weights * tokens * (_OPERATIONS.get(method, 6.0) * trained * examples + 2.0 * answered)
    seconds = operations / machine_rate()
    low, high = START_SECONDS / 2 + FASTEST * seconds, START_SECONDS * 2 + SLOWEST * seconds
    return Interval(value=math.sqrt(low * high), low=low, high=high)


@cache
def machine_rate() -> float:
    """Return how many operations of a matrix product the processor does in a second; measured once, in 0.1 s."""
    matrix = np.ones((MATRIX, MATRIX), dtype=np.float32)
    times = []
    for _round in range(ROUNDS):
        began = time.perf_counter()
        matrix @ matrix
        times.append(time.perf_counter() - began)
    return 2.0 * MATRIX**3 / min(times)
