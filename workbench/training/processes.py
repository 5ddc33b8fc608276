"""Several processes that train one run, one for each GPU, started by torchrun or ``accelerate launch``.

    torchrun --nproc-per-node 2 -m workbench run spec.yaml

Each process computes its share of the rows of every batch. DistributedDataParallel averages the gradients (Li et al.
2020, arXiv 2006.15704), so every process updates the same weights in the same way. Losses are weighted by their
targets: the result is that of one process, up to rounding and to the random numbers of dropout.

Process 0 writes the run's folder. The others compute, and write nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed, nn

from workbench.errors import RequestError
from workbench.training.core.forward import Batch, Forward, ModelOutput
from workbench.training.core.state import TrainState
from workbench.training.loop import MetricsRow, TrainerCallback, TrainingInputs
from workbench.types import Ints

Item = TypeVar("Item")

# Other processes wait this long for process 0, which may download and tokenize before training begins.
TIMEOUT = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Processes:
        """Return the processes that have been joined; one without a launcher."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @classmethod
    def join(cls) -> Processes:
        """Connect to the other processes of the launcher.

        Raises:
            RequestError: the launcher asks for something that is not supported.
        """
        for name in ("FSDP", "DEEPSPEED"):
            if os.environ.get(f"ACCELERATE_USE_{name}", "").lower() in ("true", "1"):
                raise RequestError(
                    f"{name} is not supported: each process holds the whole model (DDP).",
                    "Set distributed_type: MULTI_GPU in accelerate's config, or use torchrun.",
                )
        if not distributed.is_initialized():
            on_gpu = torch.cuda.is_available()
            if on_gpu:
                torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
            # Short messages between the processes go through the CPU, so that no GPU waits for them.
            distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=TIMEOUT)
        return cls.current()

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's folder."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return this process's share: every ``count``-th item.

        Args:
            items: the same in every process.
        """
        return items[self.rank :: self.count]

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Return the mean over all processes, on the device and without making the host wait for it.

        Args:
            value: a tensor on the device of the run.
        """
        if self.count == 1:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.count

    def agree(self, value: float) -> float:
        """Return the value of process 0.

        Args:
            value: what this process would use.
        """
        if self.count == 1:
            return value
        message = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(message, 0)
        return float(message)

    def agree_on_path(self, path: Path | None) -> Path | None:
        """Return the path of process 0.

        Args:
            path: only used in process 0; None if there is none.
        """
        message = [None if path is None else str(path)]
        distributed.broadcast_object_list(message, 0)
        return None if message[0] is None else Path(message[0])

    def gather(self, items: list[Item]) -> list[Item]:
        """Return the items of all processes, in every process.

        Args:
            items: those of this process.
        """
        if self.count == 1:
            return items
        parts: list[list[Item]] = [[] for _ in range(self.count)]
        distributed.all_gather_object(parts, items)
        return [item for part in parts for item in part]

    def start_others(self) -> None:
        """Let the other processes begin: they find what process 0 has downloaded and cached."""
        self.agree(0.0)

    def wait_for_main(self) -> None:
        """Wait until process 0 calls :meth:`start_others`."""
        self.agree(0.0)

    def leave(self) -> None:
        """Disconnect from the other processes, at the same time as they do."""
        if self.count > 1:
            distributed.barrier()
            distributed.destroy_process_group()


ONE_PROCESS = Processes()


def shared_inputs(inputs: TrainingInputs, processes: Processes) -> TrainingInputs:
    """Return the inputs of a loop that computes only this process's rows of each batch.

    Args:
        inputs: the inputs of a single process.
        processes: the processes of the run.
    """
    if processes.count == 1:
        return inputs
    rows = _SharedRows(inputs, processes)
    return replace(inputs, batch=rows.batch, forward=rows.forward, agree=processes.agree)


class _SharedRows:
    """Builds this process's part of a batch, and weights its loss.

    Args:
        inputs: the inputs of a single process.
        processes: the processes of the run.
    """

    def __init__(self, inputs: TrainingInputs, processes: Processes) -> None:
        self._batch: Callable[[Ints], Batch] = inputs.batch
        self._forward: Forward = inputs.forward
        self._loss_weight = inputs.loss_weight
        self._processes = processes
        self._factor = 1.0

    def batch(self, indices: Ints) -> Batch:
        """Return this process's rows of a batch.

        Args:
            indices: the rows of the whole batch, [B].
        """
        own = indices[self._processes.rank :: self._processes.count]
        weight = self._loss_weight(own) if len(own) else 0
        self._factor = self._processes.count * weight / self._loss_weight(indices)
        torch.manual_seed(torch.initial_seed() + self._processes.rank)  # other dropout than in the other processes
        return self._batch(own if weight else indices)  # without targets of its own, it takes part with weight 0

    def forward(self, model: nn.Module, batch: Batch) -> ModelOutput:
        """Return the loss of the whole batch, whose gradient is that of this process's part.

        Args:
            model: prepared by accelerate, which averages the gradients of all processes.
            batch: the result of :meth:`batch`.
        """
        loss = self._forward(model, batch).loss * self._factor
        everywhere = self._processes.mean(loss.detach())
        return _Loss(loss + (everywhere - loss.detach()))


@dataclass(frozen=True)
class _Loss:
    """The output of a model of which only the loss is needed."""

    loss: torch.Tensor

    def values(self) -> Iterable[object]:
        return (self.loss,)


class SharedCallback:
    """A callback that stops every process at the same step.

    Args:
        callback: receives the events.
        processes: the processes of the run.
    """

    def __init__(self, callback: TrainerCallback, processes: Processes) -> None:
        self._callback = callback
        self._processes = processes

    def log(self, row: MetricsRow) -> None:
        self._callback.log(row)

    def progress(self, state: TrainState, steps: int, epoch: float) -> None:
        self._callback.progress(state, steps, epoch)

    def save(self, state: TrainState, save: Callable[[], Path]) -> None:
        self._callback.save(state, save)

    def stop_requested(self) -> bool:
        return bool(self._processes.agree(float(self._callback.stop_requested())))
