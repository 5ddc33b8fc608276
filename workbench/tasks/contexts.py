"""What the methods of a task take: encoded examples, and models to predict with."""

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
Targets: TypeAlias = Any  # what ``Task.encode`` puts into ``Encoded.targets``: each task has its own form
TaskInput: TypeAlias = "Mapping[str, Json]"  # what a user asks: a text, or a list of texts, for each role

INFERENCE_BATCH_SIZE = 64


@dataclass(frozen=True)
class Encoded:
    """Examples as numbers.

    Attributes:
        tokens: the N texts of the examples.
        targets: what is to be predicted, and what the metrics need to know of it.
        note: a message about how the texts were encoded; empty for none.
        rows: int64 [N + 1], where an example has several texts: example i has the texts ``rows[i]:rows[i + 1]``, and
            the model reads each as a row of its own, in this order; None where an example is one text.
    """

    tokens: TokenTable
    targets: Targets
    note: str = ""
    rows: Ints | None = None

    def __len__(self) -> int:
        return len(self.tokens) if self.rows is None else len(self.rows) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each example, int64 [N]."""
        return self.tokens.lengths if self.rows is None else np.diff(self.tokens.offsets[self.rows])

    def texts_of(self, indices: Array) -> Ints:
        """Return the indices of the texts of some examples, one example after another.

        Args:
            indices: indices of the examples.
        """
        if self.rows is None:
            return np.asarray(indices, dtype=np.int64)
        return concatenated_ranges(self.rows[indices], self.rows[np.asarray(indices) + 1])


@dataclass(frozen=True)
class InferenceContext:
    """A model that a task uses to predict.

    Attributes:
        model: on its device, in evaluation mode.
        tokenizer: its tokenizer.
        max_length: longest input in tokens.
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
        """The token that fills up short rows."""
        return self.tokenizer.pad_token_id or 0

    def to_device(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Move a batch to the model's device.

        Args:
            batch: tensors on any device.
        """
        device = self.device
        return {name: tensor.to(device) for name, tensor in batch.items()}


def ignore_progress(done: int, total: int) -> None:
    """Report progress to nobody.

    Args:
        done: finished items.
        total: all items.
    """


@dataclass(frozen=True)
class FinishContext(InferenceContext):
    """The finished model and the split that the run reports on.

    Attributes:
        examples: the examples of the split.
        encoded: the same examples as numbers.
        outputs: what ``Task.outputs`` returned for all of them, [N, ...].
        progress: takes the number of finished examples and of all examples.
    """

    examples: Examples
    encoded: Encoded
    outputs: Array
    progress: Callable[[int, int], None] = ignore_progress


def compute_in_batches(
    lengths: Ints, compute: Callable[[Ints], torch.Tensor], batch_size: int = INFERENCE_BATCH_SIZE
) -> Array:
    """Compute something for every example, in batches of similar length and without gradients.

    Args:
        lengths: tokens of each example, [N].
        compute: takes the indices of a batch, [B], and returns a tensor [B, ...].
        batch_size: most examples in a batch.

    Returns:
        The results in the order of the examples, [N, ...].
    """
    import torch

    batches = Batches(lengths, batch_size).in_order()
    with torch.inference_mode():
        stacked = np.concatenate([compute(indices).cpu().numpy() for indices in batches])
    in_order = np.empty_like(stacked)
    in_order[np.concatenate(batches)] = stacked
    return in_order


def concatenated_ranges(begin: Ints, end: Ints) -> Ints:
    """Return ``begin[0], ..., end[0] - 1, begin[1], ...``.

    Args:
        begin: first number of each range.
        end: the number after its last.
    """
    lengths = end - begin
    return np.repeat(begin, lengths) + offsets_within(lengths)
