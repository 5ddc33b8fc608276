"""What a task is: its columns, its head, its numbers.

A task is one file with one class. It says which columns it needs, how an example becomes numbers, which head of
transformers it trains, and how outputs become predictions and metrics. It knows no model: where transformers has an
``AutoModelFor...`` head, the task names it and the model source fills it.

Nothing here imports torch at module level: listing tasks and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from numpy.typing import NDArray

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.tokens import TokenTable
from workbench.registry import Registry
from workbench.spec import Part

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]


@dataclass(frozen=True)
class Encoded:
    """Examples as numbers.

    Attributes:
        tokens: their texts, N of them.
        targets: what is to be predicted, and what the figures need to know of it; its form is the task's own.
        note: what to tell of how the texts became numbers; empty for nothing.
    """

    tokens: TokenTable
    targets: Any
    note: str = ""

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class Target:
    """The one thing in a model's answer that an explanation is about.

    Attributes:
        index: number of the label, or of the token in the vocabulary; of an answer span nothing.
        place: position in the input of the token that the answer is about (of an answer span its first token); None
            where the answer is about the whole text, or comes after it.
        end: position of the last token of an answer span.
    """

    index: int = 0
    place: int | None = None
    end: int | None = None


class Explained(NamedTuple):
    """How much a model is for a target, for each row of a batch.

    Attributes:
        logit: [B], before the softmax: what gradients are taken of.
        probability: [B], 0 to 1: what is measured while words are hidden.
    """

    logit: torch.Tensor
    probability: torch.Tensor

    @classmethod
    def choice(cls, logits: torch.Tensor, index: int) -> Explained:
        """Of ``logits`` [B, choices] of which one is chosen, that with number ``index``."""
        logits = logits.float()
        return cls(logits[:, index], logits.softmax(dim=-1)[:, index])


class Task(ABC):
    """Base of every task.

    The order of calls is ``fit`` (learn the labels), ``adapt`` (look at the model), ``encode``, then for each batch
    ``collate``, the model, and ``outputs``; at the end ``report`` and ``prediction_rows``.

    ``collate`` may draw random numbers (which tokens are masked) from torch's global generator alone: it is seeded by
    the batch's place before each call, so that a resumed run draws the same, and so does each evaluation.
    """

    name: ClassVar[str]
    head: ClassVar[str]  # the transformers Auto class that makes the model, by name
    peft_type: ClassVar[str]  # what peft calls this task
    primary_metric: ClassVar[str]
    smaller_is_better: ClassVar[bool] = False  # of the primary metric: true for a loss
    inputs_change: ClassVar[bool] = False  # a batch is drawn anew each time: nothing computed from it can be kept
    writes: ClassVar[bool] = False  # what a user gets for an input is text of the model's: see ``answers``

    class Config(Part):
        """The task's own options."""

    def __init__(self, config: Any = None) -> None:
        self.config = config if config is not None else self.Config()
        self.labels: list[str] = []

    # -- data ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """The columns that an example needs."""

    @abstractmethod
    def fit(self, train: Examples) -> None:
        """Learn what has to be known before the first batch (the labels). Raises DataError."""

    def texts(self, examples: Examples) -> Iterator[str]:
        """Every text of the examples, for a tokenizer to learn from."""
        for column in self.columns():
            if column.kind == "text":
                yield from examples.columns.get(column.role, ())

    @abstractmethod
    def encode(self, tokenizer: Any, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        """Examples as numbers, texts cut to ``max_length`` tokens.

        Args:
            tokenizer: the model's.
            examples: of one part.
            max_length: longest input in tokens.
            training: they are trained on: a row need not be an example then (texts may be packed together).
        """

    @abstractmethod
    def encode_inputs(self, tokenizer: Any, inputs: Sequence[dict[str, str]], max_length: int) -> TokenTable:
        """What a user types, as tokens: one dictionary of role and text for each input. Raises DataError."""

    @abstractmethod
    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """A batch as the model's keyword arguments, ``labels`` among them, on the CPU."""

    def weight(self, encoded: Encoded, indices: Array) -> int:
        """How many targets a batch holds: what its mean loss is weighted by when gradients are added up."""
        return len(indices)

    # -- model ---------------------------------------------------------------------------------------------------

    def adapt(self, model: Any) -> None:
        """Learn what the model can take, before anything is encoded. Raises SpecError when it does not suit."""
        return None

    @abstractmethod
    def model_options(self) -> dict[str, Any]:
        """Keyword arguments of ``from_pretrained`` that the head needs (number of labels, their names)."""

    @abstractmethod
    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What is kept of a model's output for each row of ``batch``, [B, ...]: probabilities, say."""

    def explained(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> Explained:
        """How much the model is for ``target`` in each row: what every explanation of this task is about.

        A task that can be explained has it; gradients flow through it. The rows of ``batch`` are variants of one text.

        Args:
            model_output: of the model, in evaluation mode.
            batch: what it was given.
            target: what is explained.
        """
        raise NotImplementedError(f"{self.name} does not say what is explained of an answer")

    # -- results -------------------------------------------------------------------------------------------------

    @abstractmethod
    def metrics(self, outputs: Array, targets: Any) -> dict[str, float]:
        """The metrics of a whole split, cheap enough to be computed at each evaluation."""

    @abstractmethod
    def report(self, outputs: Array, targets: Any, train_targets: Any) -> dict[str, Any]:
        """What ``report.json`` says of the test part: ``metrics`` with 95% intervals, ``baseline`` and details."""

    @abstractmethod
    def prediction_rows(self, examples: Examples, outputs: Array, targets: Any) -> dict[str, list[Any]]:
        """``predictions.parquet`` as columns: ``id, input, gold, prediction, score, correct`` and scores by label."""

    def samples(self, model: Any, tokenizer: Any) -> list[dict[str, str]]:
        """What the model writes by now, to be looked at as training goes on: ``[{"prompt", "text"}]``.

        The model is in evaluation mode, and torch's generator is seeded: the same model writes the same.
        """
        return []

    @abstractmethod
    def readable(self, outputs: Array) -> list[dict[str, Any]]:
        """What a user gets for each input: ``{"label", "score", "scores"}``, say."""

    def answers(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, str]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """What a user gets for each input where the task ``writes``: ``{"text": ...}`` and more.

        Args:
            model: on its device, in evaluation mode.
            tokenizer: its tokenizer.
            inputs: a dictionary of role and text each.
            max_length: longest input in tokens.
            options: changes of the task's own options that are about writing (``max_new_tokens``).

        Raises:
            DataError: an input that cannot be used.
            SpecError: an option that there is not.
        """
        raise NotImplementedError(f"{self.name} does not write")


tasks: Registry[Task] = Registry("task", package="workbench.tasks")
