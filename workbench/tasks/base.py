"""What a task is: its columns, its head, its numbers.

A task is one file with one class. It says which columns it needs, how an example becomes numbers, which head of
transformers it trains, and how outputs become predictions and metrics. It knows no model: where transformers has an
``AutoModelFor...`` head, the task names it and the model source fills it.

Nothing here imports torch at module level: listing tasks and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.batching import Batches
from workbench.data.text.packing import offsets_within
from workbench.data.text.tokens import TokenTable
from workbench.data.values import as_texts
from workbench.errors import DataError, SpecError
from workbench.registry import Registry
from workbench.spec import SpecModel
from workbench.types import Tokenizer

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]
PredictWithRun = Callable[[str, Sequence[dict[str, Any]]], list[dict[str, Any]]]
"""Called with the id of a finished run of the workspace and the inputs that it is asked; gives its answers."""

INFERENCE_BATCH_SIZE = 64  # inputs in a batch


@dataclass(frozen=True)
class Encoded:
    """Examples as numbers.

    Attributes:
        tokens: their texts, N of them.
        targets: what is to be predicted, and what the figures need to know of it; its form is the task's own.
        note: what to tell of how the texts became numbers; empty for nothing.
        rows: int64 [N + 1], where an example is several texts: example i has the texts ``rows[i]:rows[i + 1]``, and the
            model reads each as a row of its own, in this order; None where an example is one text.
    """

    tokens: TokenTable
    targets: Any
    note: str = ""
    rows: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.tokens) if self.rows is None else len(self.rows) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each example, int64 [N]."""
        return self.tokens.lengths if self.rows is None else np.diff(self.tokens.offsets[self.rows])

    def texts_of(self, indices: Array) -> NDArray[np.int64]:
        """The texts of the examples ``indices``, one after another."""
        if self.rows is None:
            return np.asarray(indices, dtype=np.int64)
        return concatenated_ranges(self.rows[indices], self.rows[np.asarray(indices) + 1])


# What an explanation of an answer is about.
TargetKind = Literal["label", "label of a word", "span", "next token", "masked token"]


@dataclass(frozen=True)
class Target:
    """The one thing in a model's answer that an explanation is about.

    Attributes:
        index: number of the label, or of the token in the vocabulary; of an answer span nothing.
        position: index in the input of the token that the answer is about (of an answer span its first token); None
            where the answer is about the whole text, or comes after it.
        end: position of the last token of an answer span.
    """

    index: int = 0
    position: int | None = None
    end: int | None = None


def concatenated_ranges(begin: Array, end: Array) -> NDArray[np.int64]:
    """``begin[0], ..., end[0] - 1, begin[1], ...``"""
    lengths = end - begin
    return np.repeat(begin, lengths) + offsets_within(lengths)


class TargetScore(NamedTuple):
    """How much a model is for a target, for each row of a batch.

    Attributes:
        logit: [B], before the softmax: what gradients are taken of.
        probability: [B], 0 to 1: what is measured while words are hidden.
    """

    logit: torch.Tensor
    probability: torch.Tensor

    @classmethod
    def choice(cls, logits: torch.Tensor, index: int) -> TargetScore:
        """Of ``logits`` [B, choices] of which one is chosen, that with number ``index``."""
        logits = logits.float()
        return cls(logits[:, index], logits.softmax(dim=-1)[:, index])


class Task(ABC):
    """Base of every task.

    The order of calls is ``fit`` (learn the labels), ``adapt`` (look at the model), ``encode``, then for each batch
    ``collate``, ``forward`` and ``outputs``; at the end ``finish``, ``report`` and ``prediction_rows``. What a user
    asks of a finished run goes to ``answers``.

    ``collate`` may draw random numbers (which tokens are masked) from torch's global generator alone: it is seeded by
    the batch's place before each call, so that a resumed run draws the same, and so does each evaluation.
    """

    name: ClassVar[str]
    head: ClassVar[str]  # the transformers Auto class that makes the model, by name
    peft_type: ClassVar[str]  # what peft calls this task
    primary_metric: ClassVar[str]
    smaller_is_better: ClassVar[bool] = False  # of the primary metric: true for a loss
    stochastic_inputs: ClassVar[bool] = False  # a batch is drawn anew each time: nothing computed from it can be kept
    evaluates_zero_shot: ClassVar[bool] = (
        False  # it measures against the model as it was before training: see ``before``
    )
    target_kind: ClassVar[TargetKind | None] = None  # what an explanation of its answers is about; None: no explanation
    generates: ClassVar[bool] = False  # what a user gets for an input is text of the model's
    generates_code: ClassVar[bool] = False  # and that text is Python
    input_aliases: ClassVar[tuple[str, ...]] = ()  # names that an input may have beside those of ``inputs``

    class Config(SpecModel):
        """The task's own options."""

    def __init__(self, config: Any = None) -> None:
        self.config = config if config is not None else self.Config()
        self.labels: list[str] = []
        self.predict_with_run: PredictWithRun | None = (
            None  # while a run is at work: another finished run's answers to inputs
        )

    @property
    def evaluation_metric(self) -> str:
        """The metric that evaluations choose the weights by: one that needs no writing, where the primary one does."""
        return self.primary_metric

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
            values = examples.columns.get(column.role, ())
            if column.kind == "text":
                yield from values
            elif column.kind == "words":
                yield from map(" ".join, values)
            elif column.kind == "texts":
                yield from chain.from_iterable(values)

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
    def collate(self, encoded: Encoded, indices: Array, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """A batch as the model's keyword arguments, ``labels`` among them, on the CPU."""

    def loss_weight(self, encoded: Encoded, indices: Array) -> int:
        """How many targets a batch holds: what its mean loss is weighted by when gradients are added up."""
        return len(indices)

    # -- model ---------------------------------------------------------------------------------------------------

    def configure(self, model: Any) -> None:
        """Learn what the model can take, before anything is encoded. Raises SpecError when it does not suit."""
        return None

    @abstractmethod
    def model_options(self) -> dict[str, Any]:
        """Keyword arguments of ``from_pretrained`` that the head needs (number of labels, their names)."""

    def init_head(self, model: Any, train: Encoded, new: Collection[str]) -> None:
        """Set what is known of a new head before it learns; called before the tuning and before training.

        Args:
            model: as it was loaded.
            train: the training part.
            new: names of the model's weights that were made anew.
        """
        return None

    def forward(self, model: Any, batch: Mapping[str, torch.Tensor]) -> Any:
        """The model's output for a batch, with its ``loss``; a task whose loss no head of transformers has computes it.

        Args:
            model: may be wrapped (several processes, compiled): call it, do not reach into it.
            batch: what ``collate`` gave, on the model's device.
        """
        return model(**batch)

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        """See what the untouched model puts out; called before training where ``evaluates_zero_shot`` is true.

        Args:
            outputs: what ``outputs`` gave for all rows of the part that will be reported on.
            loss: their mean loss.
            from_scratch: the model's weights are random as yet.
        """
        return None

    @abstractmethod
    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What is kept of a model's output for each row of ``batch``, [B, ...]: probabilities, say.

        The second dimension may differ from batch to batch (tokens of a row): all are filled up on the right with NaN,
        or -100 where they are whole numbers.
        """

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """How much the model is for ``target`` in each row: what every explanation of this task is about.

        A task that can be explained has it, and says so with ``explains``; gradients flow through it. The rows of
        ``batch`` are variants of one text.

        Args:
            model_output: of the model, in evaluation mode.
            batch: what it was given.
            target: what is explained.
        """
        raise NotImplementedError(f"{self.name} does not say what is explained of an answer")

    def label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into the probabilities of labels or tokens.

        Args:
            logits: [..., labels].
        """
        return logits.softmax(dim=-1)

    def prompt_tokens(self, tokenizer: Tokenizer, text: str, max_length: int) -> list[int] | None:
        """Return the tokens of the prompt that the task makes of a text; None for a task without prompts.

        Args:
            tokenizer: the model's.
            text: what a user asks.
            max_length: the longest prompt, in tokens.
        """
        return None

    def continuation_prefix(self, tokenizer: Tokenizer) -> list[int] | None:
        """Return the tokens before a text that the model continues; None for a task that reads whole texts.

        Args:
            tokenizer: the model's.
        """
        return None

    # -- results -------------------------------------------------------------------------------------------------

    def finish(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        encoded: Encoded,
        outputs: Array,
        progress: Callable[[int, int], None],
    ) -> Any:
        """What ``report`` and ``prediction_rows`` get as outputs; a task measured by its texts writes them here.

        Called once, when training has ended, for the part that is reported on.

        Args:
            model: on its device, in evaluation mode.
            tokenizer: its tokenizer.
            examples: of the part.
            encoded: the same as numbers.
            outputs: what ``outputs`` gave for all its rows.
            progress: to be told how many examples of how many are done.
        """
        return outputs

    @abstractmethod
    def metrics(self, outputs: Array, targets: Any) -> dict[str, float]:
        """The metrics of a whole split, cheap enough to be computed at each evaluation."""

    def confusion(self, outputs: Array, targets: Any) -> Array | None:
        """Examples of a whole split by what they are and what the model says, [labels, labels], a row a right label;
        None where an answer is not one of ``labels``. Called at each evaluation."""
        return None

    @abstractmethod
    def report(self, outputs: Any, targets: Any, train_targets: Any) -> dict[str, Any]:
        """What ``report.json`` says of the test part: ``metrics`` with 95% intervals, ``baseline``, ``baseline_name``
        and details; ``measures``, where metrics are sums over examples: see :mod:`workbench.metrics.measures`."""

    @abstractmethod
    def prediction_rows(self, examples: Examples, outputs: Any, targets: Any) -> dict[str, list[Any]]:
        """``predictions.parquet`` as columns: ``id, input, gold, prediction, score, correct``, scores by label, and the
        columns of the ``measures``. A row is an example; where it has nothing to tell, ``correct`` is None."""

    def samples(self, model: Any, tokenizer: Any) -> list[dict[str, str]]:
        """What the model writes by now, to be looked at as training goes on: ``[{"prompt", "text"}]``.

        The model is in evaluation mode, and torch's generator is seeded: the same model writes the same.
        """
        return []

    # -- asked -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        """What a user gives to be answered: texts, by role."""
        return [column for column in self.columns() if column.kind == "text"]

    @abstractmethod
    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """What a user gets for each input: ``{"label", "score"}``, ``{"text"}``, spans with their characters.

        Args:
            model: on its device, in evaluation mode.
            tokenizer: its tokenizer.
            inputs: a dictionary of role and text each.
            max_length: longest input in tokens.
            options: changes of the task's own options (``max_new_tokens``); see ``changed``.

        Raises:
            DataError: an input that cannot be used; the message says which.
            SpecError: an option that there is not.
        """

    def changed(self, options: Mapping[str, Any]) -> Any:
        """The task's options with some of them changed. Raises SpecError."""
        from pydantic import ValidationError

        try:
            return type(self.config).model_validate({**self.config.model_dump(), **options})
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
            raise SpecError(
                f"{self.name} cannot answer with these options: {told}.",
                f"Its options: {', '.join(type(self.config).model_fields)}.",
            ) from error


class ScoringTask(Task):
    """Base of the tasks whose answer is read off one row of outputs for each input: a label, a choice."""

    @abstractmethod
    def encode_inputs(self, tokenizer: Any, inputs: Sequence[dict[str, Any]], max_length: int) -> TokenTable:
        """What a user types, as tokens: one dictionary of role and text for each input. Raises DataError."""

    @abstractmethod
    def decode(self, outputs: Array) -> list[dict[str, Any]]:
        """What a user gets for each input: ``{"label", "score", "scores"}``, say."""

    def predict(
        self,
        model: Any,
        tokenizer: Any,
        inputs: Sequence[dict[str, Any]],
        max_length: int,
        options: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        if options:
            raise SpecError(
                f"{', '.join(options)} cannot be set: a model for {self.name} does not write.", "Ask without options."
            )
        tokens = self.encode_inputs(tokenizer, inputs, max_length)
        return self.decode(self.scores(model, tokens, tokenizer.pad_token_id or 0))

    def scores(self, model: Any, tokens: TokenTable, pad_id: int) -> Array:
        """The outputs for texts that are tokens already, [N, ...], in their order; ``model`` in evaluation mode."""
        import torch

        batches = Batches(tokens.lengths, INFERENCE_BATCH_SIZE).in_order()
        device = next(model.parameters()).device
        found = []
        with torch.inference_mode():
            for indices in batches:
                batch = {k: torch.from_numpy(v).to(device) for k, v in tokens.pad(indices, pad_id).items()}
                found.append(self.outputs(model(**batch), batch).float().cpu().numpy())
        stacked = np.concatenate(found)
        in_order = np.empty_like(stacked)
        in_order[np.concatenate(batches)] = stacked
        return in_order


def read_list(given: Mapping[str, Any], role: str, place: int) -> Any:
    """What an input holds for a role of several texts; text is read as in a CSV file: a JSON array, or one text.

    Args:
        given: the input.
        role: of several texts.
        place: the input's number, from 1.

    Raises:
        DataError: text that begins like an array and is none.
    """
    value = given.get(role)
    if not isinstance(value, str):
        return value
    try:
        return as_texts(value)
    except ValueError as error:
        raise DataError(f"Input {place}: {role} {error}.", 'Write a list: ["...", "..."].') from error


tasks: Registry[Task] = Registry("task", package="workbench.tasks")
