"""Runs a model over a split: its outputs, its loss and its metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from workbench.tasks.base import Outcome, Task
from workbench.tasks.contexts import Array, FinishContext, InferenceContext
from workbench.training.core.forward import Batch
from workbench.training.loop import seed_batch
from workbench.training.processes import ONE_PROCESS, Processes
from workbench.training.splits import EncodedSplit
from workbench.types import IGNORE_INDEX, Ints, Model, Tokenizer

if TYPE_CHECKING:
    from accelerate import Accelerator

    from workbench.training.activation_cache import ActivationCache

# For what tasks sample during an evaluation (which tokens are masked): the same at each evaluation and in every run.
EVALUATION_SEED = 2**31
COMPILED_MULTIPLE = 64  # batches are padded to multiples of this: a compiled model should see few shapes


@dataclass(frozen=True)
class EvaluatedBatch:
    """The result of one batch.

    Attributes:
        index: number of the batch, from 0.
        outputs: the task's outputs, [B, ...].
        loss: its loss times the number of its targets, a scalar.
    """

    index: int
    outputs: torch.Tensor
    loss: torch.Tensor

    def on_cpu(self) -> EvaluatedBatch:
        """Return the same on the CPU."""
        return EvaluatedBatch(self.index, self.outputs.cpu(), self.loss.cpu())


class Evaluation:
    """Runs a model over splits.

    Args:
        task: interprets the outputs.
        model: on the accelerator's device.
        tokenizer: the model's tokenizer.
        max_length: longest input in tokens.
        accelerator: holds the device and the precision.
        compiled: whether the model is compiled.
        activations: replays the cached activations of frozen layers; None without a cache.
        processes: the processes of the run, which share the batches.
    """

    def __init__(
        self,
        task: Task,
        model: Model,
        tokenizer: Tokenizer,
        max_length: int,
        accelerator: Accelerator,
        compiled: bool = False,
        activations: ActivationCache | None = None,
        processes: Processes = ONE_PROCESS,
    ) -> None:
        self.task = task
        self.model = model
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.accelerator = accelerator
        self.activations = activations
        self.processes = processes
        self._multiple = COMPILED_MULTIPLE if compiled else 1

    def batch(self, split: EncodedSplit, indices: Ints) -> Batch:
        """Return a batch on the device, and set its cached activations for the next forward pass.

        Args:
            split: the split to take from.
            indices: rows of the split, int64 [B].
        """
        batch = self.task.collate(split.encoded, indices, self.tokenizer.pad_token_id, self._multiple)
        if self.activations is not None:
            self.activations.show(split, indices, batch["input_ids"].shape[-1])
        return {name: tensor.to(self.accelerator.device, non_blocking=True) for name, tensor in batch.items()}

    def outputs(self, split: EncodedSplit) -> tuple[Array, float]:
        """Return the task's outputs for all rows of a split, in their order, and the mean loss.

        Args:
            split: the split to evaluate.
        """
        self.model.eval()
        batches = list(enumerate(split.batches.in_order()))
        parts: list[EvaluatedBatch] = []
        with torch.inference_mode(), self.accelerator.autocast():
            for index, indices in self.processes.share(batches):
                seed_batch(EVALUATION_SEED, 0, index)
                batch = self.batch(split, indices)
                result = self.task.forward(self.model, batch)
                weight = self.task.loss_weight(split.encoded, indices)
                parts.append(EvaluatedBatch(index, self.task.outputs(result, batch), result.loss.float() * weight))
        if self.processes.count > 1:
            parts = sorted(self.processes.gather([part.on_cpu() for part in parts]), key=lambda part: part.index)
        stacked = stack_rows([part.outputs for part in parts])
        in_order = np.empty_like(stacked)
        in_order[np.concatenate([indices for _, indices in batches])] = stacked
        weights = sum(self.task.loss_weight(split.encoded, indices) for _, indices in batches)
        return in_order, float(torch.stack([part.loss for part in parts]).sum()) / weights

    def metrics(self, split: EncodedSplit, outputs: Array, loss: float) -> dict[str, float]:
        """Return the metrics of a split under their names in ``metrics.jsonl``.

        Args:
            split: the split that was evaluated.
            outputs: outputs of the split, see :meth:`outputs`.
            loss: its mean loss.
        """
        metrics = self.task.metrics(outputs, split.encoded.targets)
        return {"eval/loss": loss, **{f"eval/{name}": value for name, value in metrics.items()}}

    def evaluate(self, split: EncodedSplit) -> dict[str, float]:
        """Return the metrics of a split under their names in ``metrics.jsonl``.

        Args:
            split: the split to evaluate.
        """
        return self.metrics(split, *self.outputs(split))

    def final_outputs(self, split: EncodedSplit, outputs: Array, progress: Callable[[int, int], None]) -> Outcome:
        """Return what the task reports on: the outputs, or what it generates with the finished model.

        Args:
            split: the split that was evaluated.
            outputs: outputs of the split, see :meth:`outputs`.
            progress: called with the number of examples done and of all examples.
        """
        self.model.eval()
        context = FinishContext(
            self.model, self.tokenizer, self.max_length, split.examples, split.encoded, outputs, progress
        )
        seed_batch(EVALUATION_SEED, 2, 0)
        # Texts grow token by token, and a compiled model would be compiled for each length.
        with torch.inference_mode(), self.accelerator.autocast(), torch.compiler.set_stance("force_eager"):
            return self.task.finish(context)

    def samples(self) -> list[dict[str, str]]:
        """Return texts that the model generates now; empty for a task that generates none."""
        seed_batch(EVALUATION_SEED, 1, 0)
        with self.accelerator.autocast(), torch.compiler.set_stance("force_eager"):
            return self.task.samples(InferenceContext(self.model, self.tokenizer, self.max_length))


def stack_rows(batches: list[torch.Tensor]) -> Array:
    """Concatenate the outputs of batches, padded to the longest T with NaN, or with -100 for integers.

    Args:
        batches: [B, T, ...] each.

    Returns:
        [N, T, ...].
    """
    if batches[0].dim() > 1 and len({batch.shape[1] for batch in batches}) > 1:
        longest = max(batch.shape[1] for batch in batches)
        fill = float("nan") if batches[0].is_floating_point() else IGNORE_INDEX
        padding = [0, 0] * (batches[0].dim() - 2)
        batches = [functional.pad(batch, [*padding, 0, longest - batch.shape[1]], value=fill) for batch in batches]
    stacked: Array = torch.cat(batches).cpu().numpy()
    return stacked
