"""The contract of a task: its columns, its head, its outputs and its metrics.

A task is one class in one file, registered under its name. It does not depend on any model: it names one of
transformers' ``AutoModelFor...`` heads, and the model source loads a model with that head.

To add a task, implement the abstract methods. The methods are called in this order:

    ======================  ===========================================================================================
    training                ``columns`` (read the data), ``fit`` (learn the labels), ``model_options`` (load the model),
                            ``configure`` (inspect the model), ``encode`` (text to numbers), ``init_head``
    each batch              ``collate``, ``forward``
    each evaluation         ``collate``, ``forward``, ``outputs`` for each batch; then ``metrics``, ``confusion`` and
                            ``samples``
    the end of training     ``outputs`` for each batch; then ``finish``, ``report``, ``prediction_rows``
    a finished run          ``predict``
    ======================  ===========================================================================================

``columns``, ``encode``, ``collate``, ``outputs``, ``metrics``, ``report``, ``prediction_rows`` and ``predict`` are
abstract; every other method has a default. A task whose answer follows from one row of outputs (a label, say) derives
from :class:`ScoringTask` and implements ``encode_inputs`` and ``decode`` instead of ``predict``. ``predict`` returns
one of the classes in :mod:`workbench.tasks.answers`, which the command line and the dashboard can already show.

No module of this package imports torch at module level: listing tasks and checking a spec must be fast.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeAlias

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.text.tokens import TokenTable
from workbench.errors import SpecError
from workbench.problem import Problem
from workbench.registry import Registry
from workbench.spec import RunSpec, SpecModel
from workbench.tasks.answers import Answer
from workbench.tasks.contexts import (
    Array,
    Batch,
    Encoded,
    FinishContext,
    InferenceContext,
    Targets,
    TaskInput,
    compute_in_batches,
)
from workbench.tuning.linear_models import HeadTargets
from workbench.types import Ints, Json, Model, Tokenizer

if TYPE_CHECKING:
    import torch

ModelOutput: TypeAlias = Any  # of the task's head: transformers' ModelOutput, with ``loss`` and mostly ``logits``
Outcome: TypeAlias = Any  # the result of ``finish``: the array of outputs, or a class of the task's own
TaskReport: TypeAlias = dict[str, Any]  # fields of workbench.runs.documents.Report, and fields of the task's own
PredictionRows: TypeAlias = "dict[str, list[Json]]"
HeadOptions: TypeAlias = "dict[str, Json | Mapping[int, str] | Mapping[str, int]]"

PredictWithRun: TypeAlias = "Callable[[str, Sequence[TaskInput]], list[Answer]]"
"""Predicts with another run: takes the id of a finished run in the workspace and inputs; returns the run's answers."""

TargetKind: TypeAlias = Literal["label", "label of a word", "span", "next token", "masked token"]


class Split(NamedTuple):
    """A split as a baseline reads it.

    Attributes:
        examples: the examples.
        targets: their targets, as ``encode`` returned them.
    """

    examples: Examples
    targets: Targets


@dataclass(frozen=True)
class Target:
    """The single output that an explanation is about.

    Attributes:
        index: index of the label, or of the token in the vocabulary; not used for an answer span.
        position: input position of the token that the answer is about (for a span, its first token); None if the
            answer is about the whole text or follows it.
        end: position of the last token of an answer span.
    """

    index: int = 0
    position: int | None = None
    end: int | None = None


class TargetScore(NamedTuple):
    """The model's score for a target, one for each row of a batch.

    Attributes:
        logit: [B], before the softmax; gradient methods differentiate it.
        probability: [B], 0 to 1; measured when words are masked.
    """

    logit: torch.Tensor
    probability: torch.Tensor

    @classmethod
    def choice(cls, logits: torch.Tensor, index: int) -> TargetScore:
        """Return the score of one of several mutually exclusive choices.

        Args:
            logits: [B, choices].
            index: index of the choice.
        """
        logits = logits.float()
        return cls(logits[:, index], logits.softmax(dim=-1)[:, index])


class Task(ABC):
    """Base class of every task; the module docstring lists the methods in calling order.

    ``collate`` may draw random numbers (to choose masked tokens, say), but only from torch's global generator. That
    generator is seeded with the index of the batch before each call, so resumed runs and repeated evaluations draw the
    same numbers.
    """

    name: ClassVar[str]
    head: ClassVar[str]  # name of the transformers Auto class that loads the model
    example: ClassVar[str] = ""  # what somebody might ask of it, for people who do not know its name
    peft_type: ClassVar[str]  # peft's name for this kind of task
    primary_metric: ClassVar[str]
    smaller_is_better: ClassVar[bool] = False  # whether a smaller primary metric is better, as for a loss
    stochastic_inputs: ClassVar[bool] = False  # whether ``collate`` draws random inputs
    compares_rows: ClassVar[bool] = False  # whether the loss of a row depends on the other rows of its batch
    evaluates_zero_shot: ClassVar[bool] = False  # whether ``on_untrained_outputs`` is called before training
    target_kind: ClassVar[TargetKind | None] = None  # what an explanation is about; None if nothing can be explained
    weighs_classes: ClassVar[bool] = False  # whether ``balance_classes`` is implemented
    generates: ClassVar[bool] = False  # whether its answers are generated text
    generates_code: ClassVar[bool] = False  # whether that text is Python code
    input_aliases: ClassVar[tuple[str, ...]] = ()  # names that an input may use besides the roles of ``inputs``

    class Config(SpecModel):
        """The task's own options."""

    def __init__(self, config: SpecModel | None = None) -> None:
        self.config = config if config is not None else self.Config()
        self.labels: list[str] = []
        self.predict_with_run: PredictWithRun | None = None  # set while a run trains

    @property
    def evaluation_metric(self) -> str:
        """The metric that selects the best checkpoint; it must not need generated text, unlike some primary metrics."""
        return self.primary_metric

    # -- data ----------------------------------------------------------------------------------------------------------

    @abstractmethod
    def columns(self) -> Sequence[Column]:
        """Return the columns that an example needs."""

    def judge_run(self) -> str | None:
        """Return the name of another run that judges texts for this task; None without one."""
        return None

    def problems(self, spec: RunSpec) -> list[Problem]:
        """Return problems in a spec that only the task can detect. Must be fast and must not download anything.

        The default implementation reports columns for roles that the task does not have.

        Args:
            spec: the complete spec, as the user wrote it.
        """
        roles = [column.role for column in self.columns()]
        hint = f"Its roles: {', '.join(roles)}."
        return [
            Problem("error", f"data.columns.{role}", f"{self.name} has no role {role!r}.", hint)
            for role in spec.data.columns
            if role not in roles
        ]

    def fit(self, train: Examples) -> None:
        """Collect what must be known before the first batch, such as the labels.

        Args:
            train: the training split.

        Raises:
            DataError: nothing can be learned from these examples.
        """
        return None

    def check_examples(self, examples: Examples) -> None:
        """Refuse examples that ``encode`` would refuse with any tokenizer; called before a run is queued.

        ``fit`` was called before; it may have failed if only the first rows of the data were read.

        Args:
            examples: examples of one split.

        Raises:
            DataError: an example cannot be used; the message says which.
        """
        return None

    def texts(self, examples: Examples) -> Iterator[str]:
        """Yield every text of the examples, for a tokenizer to learn from.

        Args:
            examples: the training split.
        """
        for column in self.columns():
            values = examples.columns.get(column.role, ())
            if column.kind == "text":
                yield from values
            elif column.kind == "words":
                yield from map(" ".join, values)
            elif column.kind == "texts":
                yield from chain.from_iterable(values)

    @abstractmethod
    def encode(self, tokenizer: Tokenizer, examples: Examples, max_length: int, training: bool = False) -> Encoded:
        """Encode the examples of one split.

        Args:
            tokenizer: the model's tokenizer.
            examples: examples of the split.
            max_length: maximum length in tokens; longer texts are truncated.
            training: whether this is the training split; several texts may then be packed into one row.
        """

    @abstractmethod
    def collate(self, encoded: Encoded, indices: Ints, pad_id: int, multiple: int = 1) -> dict[str, torch.Tensor]:
        """Return a batch on the CPU: the model's keyword arguments, ``labels`` included.

        Args:
            encoded: an encoded split.
            indices: indices of the batch's examples, [B].
            pad_id: the padding token.
            multiple: rows are padded to a multiple of this length.
        """

    def loss_weight(self, encoded: Encoded, indices: Ints) -> int:
        """Return the number of targets in a batch: the weight of its mean loss when gradients are accumulated.

        Args:
            encoded: an encoded split.
            indices: indices of the batch's examples.
        """
        return len(indices)

    # -- model ---------------------------------------------------------------------------------------------------------

    def configure(self, model: Model) -> None:
        """Inspect the model before anything is encoded.

        Args:
            model: the loaded model.

        Raises:
            SpecError: the model does not support the task.
        """
        return None

    def model_options(self) -> HeadOptions:
        """Return the keyword arguments of ``from_pretrained`` that the head needs (number of labels, their names)."""
        return {}

    def init_head(self, model: Model, train: Encoded, new: Collection[str]) -> None:
        """Initialize a new head from the training data; called before the fine-tuning method is applied.

        Args:
            model: the loaded model.
            train: the encoded training split.
            new: names of the newly initialized weights.
        """
        return None

    def head_targets(self, split: Encoded) -> HeadTargets | None:
        """Return what a linear head has to predict, for tasks whose loss is that of a linear model.

        The head is then solved instead of trained, see :mod:`workbench.tuning.linear_models`. Called after
        ``init_head`` and ``balance_classes``.

        Args:
            split: an encoded split.

        Returns:
            None if the task has another loss.
        """
        return None

    def balance_classes(self, train: Encoded) -> None:
        """Weigh the training loss so that each class counts as much as any other (``training.class_weights``).

        Args:
            train: the encoded training split.

        Raises:
            SpecError: the task has no classes.
        """
        raise SpecError(f"{self.name} has no classes to weigh.", "Remove training.class_weights.")

    def min_steps(self) -> int:
        """Return how many steps to train if the spec sets no epochs: 100 for two labels, 100 more for each doubling."""
        return round(100 * max(1.0, math.log2(max(1, len(self.labels)))))

    def forward(self, model: torch.nn.Module, batch: Batch) -> ModelOutput:
        """Return the model's output for a batch, with its ``loss``.

        A task computes its loss here if no transformers head computes it.

        Args:
            model: may be wrapped (compiled, say): only call it, do not use its attributes.
            batch: a batch from ``collate``, on the model's device.
        """
        return model(**batch)

    def on_untrained_outputs(self, outputs: Array, loss: float, from_scratch: bool) -> None:
        """Receive the outputs of the model before training; called only if ``evaluates_zero_shot`` is true.

        Args:
            outputs: the outputs for all rows of the split that the run will report on.
            loss: the mean loss over these rows.
            from_scratch: whether the model's weights are random.
        """
        return None

    @abstractmethod
    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        """Reduce the model's output to what the metrics and the report need of each row, [B, ...]: probabilities, say.

        The second dimension may differ between batches (tokens of a row). Shorter ones are padded on the right with
        NaN, or with -100 if they are integers.

        Args:
            model_output: the result of ``forward``.
            batch: a batch from ``collate``.
        """

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        """Return the model's score for a target in each row. Every explanation of this task attributes this score.

        A task with a ``target_kind`` must implement this method, and gradients must flow through it.

        Args:
            model_output: the model's output in evaluation mode.
            batch: the model's inputs; its rows are variants of one text.
            target: the output to explain.
        """
        raise NotImplementedError(f"{self.name} does not define the score to explain")

    def label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of labels or tokens.

        Args:
            logits: [..., labels].
        """
        return logits.softmax(dim=-1)

    def prompt_tokens(self, tokenizer: Tokenizer, text: str, max_length: int) -> list[int] | None:
        """Return the tokens of the prompt that the task builds from a text; None for a task without prompts.

        Args:
            tokenizer: the model's tokenizer.
            text: the user's text.
            max_length: maximum length of the prompt in tokens.
        """
        return None

    def continuation_prefix(self, tokenizer: Tokenizer) -> list[int] | None:
        """Return the tokens that precede a text to continue; None for a task that does not continue texts.

        Args:
            tokenizer: the model's tokenizer.
        """
        return None

    # -- results -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def metrics(self, outputs: Array, targets: Targets) -> dict[str, float]:
        """Return the metrics of a split; called at each evaluation, so it must be fast.

        Args:
            outputs: the outputs for all rows.
            targets: targets of the split.
        """

    def confusion(self, outputs: Array, targets: Targets) -> Ints | None:
        """Return the confusion matrix of a split, [labels, labels], with a row for each true label.

        Args:
            outputs: the outputs for all rows.
            targets: targets of the split.

        Returns:
            None if an answer is not one of ``labels``.
        """
        return None

    def samples(self, context: InferenceContext) -> list[dict[str, str]]:
        """Generate a few texts to inspect during training.

        torch's generator is seeded before each call.

        Args:
            context: the model in its current state.

        Returns:
            ``[{"prompt", "text"}]``; empty for a task that generates no text.
        """
        return []

    def finalize(self, model: Model) -> None:
        """Change the model so that it answers without the task.

        Called after the evaluation, before the model is saved.

        Args:
            model: the finished model, or the base model that it is compared with.
        """
        return None

    def finish(self, context: FinishContext) -> Outcome:
        """Return the input of ``report`` and ``prediction_rows``; called once, after training.

        A task with metrics of generated text generates it here.

        Args:
            context: the finished model and the split that is reported on.
        """
        return context.outputs

    @abstractmethod
    def report(self, outcome: Outcome, targets: Targets, train_targets: Targets) -> TaskReport:
        """Return the task's part of ``report.json``.

        Args:
            outcome: the result of ``finish``.
            targets: targets of the split that is reported on.
            train_targets: targets of the training split.

        Returns:
            ``metrics`` with 95% intervals, ``baseline``, ``baseline_name`` and details; ``measures`` if the metrics
            derive from sums over examples (see :mod:`workbench.metrics.measures`).
        """

    def baseline_report(self, train: Split, reported: Split, outcome: Outcome) -> TaskReport | None:
        """Train a simple model on the same examples, and return ``baseline``, ``baseline_name`` and ``gain`` over it.

        They replace those of ``report``, unless that baseline is better. It must take a few seconds at most.

        Args:
            train: the training split.
            reported: the split that is reported on.
            outcome: the result of ``finish``.

        Returns:
            None for a task without such a model, or where it cannot be trained; :func:`missing_package` if a package
            is missing.
        """
        return None

    def simple_report(self, train: Examples, reported: Examples) -> TaskReport | None:
        """Train a simple model that reads words, without a tokenizer, and return its report: a first score in seconds.

        Args:
            train: examples of the training split; :meth:`fit` has seen them.
            reported: examples of the split that is reported on.

        Returns:
            None for a task without such a model, or where it cannot be trained.
        """
        return None

    @abstractmethod
    def prediction_rows(self, examples: Examples, outcome: Outcome, targets: Targets) -> PredictionRows:
        """Return the columns of ``predictions.parquet``; see :func:`prediction_table`.

        Args:
            examples: examples of the split that is reported on.
            outcome: the result of ``finish``.
            targets: targets of the split.
        """

    # -- inference -----------------------------------------------------------------------------------------------------

    def inputs(self) -> Sequence[Column]:
        """Return the roles of a user's input; by default, the columns that contain texts."""
        return [column for column in self.columns() if column.kind == "text"]

    @abstractmethod
    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        """Return an answer for each input.

        Args:
            context: a finished model.
            inputs: the inputs; each maps roles to texts.
            options: overrides of the task's own options, such as ``max_new_tokens``.

        Raises:
            DataError: an input cannot be used; the message says which.
            SpecError: there is no such option.
        """

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        """Return how many inputs are longer than the model reads.

        The default, 0, is for tasks that read long texts in windows, or whose answers say what was not read.

        Args:
            context: a finished model.
            inputs: valid inputs, as for :meth:`predict`.
        """
        return 0

    def refuse_options(self, options: Mapping[str, Json] | None) -> None:
        """Raise SpecError if any option is set. For tasks whose predictions have no options.

        Args:
            options: the options that the user set.
        """
        if options:
            raise SpecError(
                f"{', '.join(options)} cannot be set: a model for {self.name} does not generate text.",
                "Remove these options.",
            )


class ScoringTask(Task):
    """Base class of tasks that derive each answer from one row of outputs, such as a label or a choice."""

    @abstractmethod
    def encode_inputs(self, tokenizer: Tokenizer, inputs: Sequence[TaskInput], max_length: int) -> TokenTable:
        """Tokenize a user's inputs.

        Args:
            tokenizer: the model's tokenizer.
            inputs: the inputs; each maps roles to texts.
            max_length: maximum length in tokens.

        Raises:
            DataError: an input cannot be used; the message says which.
        """

    @abstractmethod
    def decode(self, outputs: Array) -> Sequence[Answer]:
        """Return the answer for each row of outputs.

        Args:
            outputs: [N, ...].
        """

    def predict(
        self, context: InferenceContext, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None
    ) -> list[Answer]:
        self.refuse_options(options)
        tokens = self.encode_inputs(context.tokenizer, inputs, context.max_length)
        return list(self.decode(self.scores(context, tokens)))

    def truncated(self, context: InferenceContext, inputs: Sequence[TaskInput]) -> int:
        return count_truncated(self.encode_inputs(context.tokenizer, inputs, context.max_length))

    def scores(self, context: InferenceContext, tokens: TokenTable) -> Array:
        """Return the outputs for tokenized texts, [N, ...], in the same order.

        Args:
            context: a finished model.
            tokens: N texts.
        """
        import torch

        def compute(indices: Ints) -> torch.Tensor:
            arrays = tokens.pad(indices, context.pad_id)
            batch = context.to_device({name: torch.from_numpy(array) for name, array in arrays.items()})
            return self.outputs(context.model(**batch), batch).float()

        return compute_in_batches(tokens.lengths, compute)


def count_truncated(tokens: TokenTable) -> int:
    """Return how many texts were longer than what was tokenized.

    Args:
        tokens: the tokenized texts.
    """
    return int((tokens.full_lengths > tokens.lengths).sum())


# -- helpers for tasks -------------------------------------------------------------------------------------------------


def missing_package(package: str, baseline: str) -> TaskReport:
    """Return the result of ``baseline_report`` if a package is not installed: a note that says so.

    Args:
        package: its name in the package index.
        baseline: the simple model that needs it.
    """
    return {"notes": [f"The baseline {baseline} was not trained, because {package} is not installed."]}


tasks: Registry[Task] = Registry("task", package="workbench.tasks")
