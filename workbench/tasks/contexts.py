"""Arguments of a task's methods: encoded examples, and models for inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.packing import offsets_within
from workbench.data.text.tokens import TokenTable
from workbench.types import Ints, Json, Model, Tokenizer

if TYPE_CHECKING:
    import torch

Array: TypeAlias = NDArray[Any]  # a task's outputs: the type and the shape are the task's own
Batch: TypeAlias = "Mapping[str, torch.Tensor]"
Targets: TypeAlias = Any  # the value of ``Encoded.targets``: each task has its own class
TaskInput: TypeAlias = "Mapping[str, Json]"  # a user's input: a text, or a list of texts, for each role

INFERENCE_BATCH_SIZE = 64
INFERENCE_BATCH_TOKENS = 4096  # with padding: short texts form larger batches


@dataclass(frozen=True)
class Encoded:
    """Encoded examples.

    Attributes:
        tokens: the token ids of the examples' texts.
        targets: the values to predict, and whatever else the metrics need.
        note: a message about the encoding; empty for none.
        truncation: a message about truncated texts, for a task that truncates in its own way; empty if nothing was
            truncated, or if the lengths of ``tokens`` show what was.
        rows: int64 [N + 1], if an example has several texts: example i has the texts ``rows[i]:rows[i + 1]``, and the
            model reads each as a separate row, in this order; None if each example is one text.
    """

    tokens: TokenTable
    targets: Targets
    note: str = ""
    rows: Ints | None = None
    truncation: str = ""

    def __len__(self) -> int:
        return len(self.tokens) if self.rows is None else len(self.rows) - 1

    @property
    def lengths(self) -> Ints:
        """Number of tokens in each example, int64 [N]."""
        return self.tokens.lengths if self.rows is None else np.diff(self.tokens.offsets[self.rows])

    def texts_of(self, indices: Array) -> Ints:
        """Return the indices of the texts that belong to the given examples, example by example.

        Args:
            indices: indices of the examples.
        """
        if self.rows is None:
            return np.asarray(indices, dtype=np.int64)
        return concatenated_ranges(self.rows[indices], self.rows[np.asarray(indices) + 1])


@dataclass(frozen=True)
class InferenceContext:
    """A model with its tokenizer, ready for inference.

    Attributes:
        model: the model, on its device and in evaluation mode.
        tokenizer: its tokenizer.
        max_length: maximum length of an input in tokens.
    """

    model: Model
    tokenizer: Tokenizer
    max_length: int

    @property
    def device(self) -> torch.device:
        """The device of the model's weights."""
        return next(self.model.parameters()).device

    @property
    def pad_id(self) -> int:
        """The padding token."""
        return self.tokenizer.pad_token_id or 0

    def to_device(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Move a batch to the model's device.

        Args:
            batch: tensors on any device.
        """
        device = self.device
        return {name: tensor.to(device) for name, tensor in batch.items()}


def ignore_progress(done: int, total: int) -> None:
    """Do nothing with progress.

    Args:
        done: number of finished items.
        total: number of items.
    """


@dataclass(frozen=True)
class FinishContext(InferenceContext):
    """The finished model and the split that the run reports on.

    Attributes:
        examples: the examples of the split.
        encoded: the same examples, encoded.
        outputs: the results of ``Task.outputs`` for all of them, [N, ...].
        progress: called with the number of finished examples and the total number.
    """

    examples: Examples
    encoded: Encoded
    outputs: Array
    progress: Callable[[int, int], None] = ignore_progress


def compute_in_batches(lengths: Ints, compute: Callable[[Ints], torch.Tensor], batch_size: int | None = None) -> Array:
    """Apply a function to every example, in batches of similar length and without gradients.

    Args:
        lengths: number of tokens in each example, [N].
        compute: maps the indices of a batch, [B], to a tensor [B, ...].
        batch_size: maximum number of examples in a batch; None for batches of ``INFERENCE_BATCH_TOKENS`` tokens.

    Returns:
        The results in the order of the examples, [N, ...].
    """
    import torch

    if batch_size is None:
        batches = Batches(lengths, max_tokens_per_batch=INFERENCE_BATCH_TOKENS).in_order()
    else:
        batches = Batches(lengths, batch_size).in_order()
    with torch.inference_mode():
        stacked = torch.cat([compute(indices) for indices in batches]).cpu().numpy()
    in_order = np.empty_like(stacked)
    in_order[np.concatenate(batches)] = stacked
    return in_order


def concatenated_ranges(begin: Ints, end: Ints) -> Ints:
    """Return ``begin[0], ..., end[0] - 1, begin[1], ...``.

    Args:
        begin: first number of each range.
        end: number after the last of each range.
    """
    lengths = end - begin
    return np.repeat(begin, lengths) + offsets_within(lengths)
