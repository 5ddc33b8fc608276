"""Predicts with the model of a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.check.devices import choose_device
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, RefusedError, RequestError, UnknownNameError
from workbench.files import read_json
from workbench.inference.finite import check_outputs
from workbench.models.integrity import verify_files
from workbench.models.loading import (
    ADAPTER_FILE,
    BASE_FILE,
    load_adapter,
    load_folder,
    load_tokenizer,
)
from workbench.models.safety import refuse_unsafe
from workbench.runs.documents import BaseNote
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.spec import TaskChoice
from workbench.tasks.answers import Answer
from workbench.tasks.base import ScoringTask, Task, tasks
from workbench.tasks.contexts import Array, InferenceContext, TaskInput
from workbench.types import Json, JsonObject, Model, Tokenizer

if TYPE_CHECKING:
    import torch


class Predictor:
    """A model with its tokenizer and task, ready to predict.

    Args:
        model: a transformers model, or a peft model around one. It is put into evaluation mode.
        tokenizer: the model's tokenizer.
        task: knows the columns, the labels, and how to interpret outputs.
        max_length: longest input in tokens.
    """

    def __init__(self, model: Model, tokenizer: Tokenizer, task: Task, max_length: int) -> None:
        self.model = model.eval()
        check_outputs(self.model)
        self.tokenizer = tokenizer
        self.task = task
        self.max_length = max_length

    @classmethod
    def load(cls, run: Run, device: str = "cpu", precision: str = "fp32") -> Predictor:
        """Load the predictor of a finished run.

        Args:
            run: the run.
            device: where to predict, such as ``cpu`` or ``cuda``.
            precision: number format of the weights of a task that scores each text once, such as a classifier:
                ``fp32``, ``bf16``, ``fp16``, or ``auto`` for what the device does well. Other tasks compute in fp32.

        Raises:
            RequestError: the run has no model (it has not finished), or the note about its model is damaged; or the
                device cannot compute in the precision.
            RefusedError: the model's files were changed; the message names one.
            FetchError: the base of an adapter cannot be downloaded.
        """
        folder = run.model_folder
        note = read_json(run.base_note_file)
        if not isinstance(note, dict):
            raise RequestError(*run.why_no_model())
        refuse_unsafe(folder)
        task, max_length, adapter, files = _read_note(note, run)
        verify_files(folder, files, f"the model of run {run.id}")
        if adapter != (folder / ADAPTER_FILE).exists():
            # transformers would load whatever base the adapter's own config names
            raise RefusedError(
                f"The model of run {run.id} was changed: {BASE_FILE} and {ADAPTER_FILE} contradict each other.",
                "Start the run again.",
            )
        if adapter:
            model = load_adapter(folder, run.workspace).model
        else:
            model, _ = load_folder(folder, task.head, task.model_options(), complete=True)
        if isinstance(task, ScoringTask):
            model = model.to(weight_dtype(device, precision))
        return cls(model.to(device), load_tokenizer(folder), task, max_length)

    @property
    def context(self) -> InferenceContext:
        """The model, its tokenizer and the longest input, as tasks use them."""
        return InferenceContext(self.model, self.tokenizer, self.max_length)

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the head's outputs."""
        return self.task.labels

    def predict(self, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None) -> list[Answer]:
        """Return an answer for each input.

        Args:
            inputs: a text for each role of the task: ``{"text": "..."}``.
            options: for tasks that generate text, changes of the task's options: ``{"max_new_tokens": 100,
                "temperature": 0}``.

        Returns:
            One of the classes of :mod:`workbench.tasks.answers` each: a classifier returns ``ScoredLabels``, a model
            that generates ``GeneratedText``.

        Raises:
            DataError: an input has no text, lacks the [MASK] that the task fills in, or has a role that the task does
                not have.
            SpecError: there is no such option.
            NonFiniteOutputError: the model computed NaN or infinity.
        """
        if not inputs:
            return []
        self.check_inputs(inputs)
        return self.task.predict(self.context, inputs, options)

    def check_inputs(self, inputs: Sequence[TaskInput]) -> None:
        """Refuse inputs that no task can read.

        Args:
            inputs: as for :meth:`predict`.

        Raises:
            DataError: an input has a role that the task does not have, or half a character.
        """
        _refuse_unknown_roles(inputs, self.task)
        _refuse_half_characters(inputs)

    def truncated(self, inputs: Sequence[TaskInput]) -> int:
        """Return how many inputs are longer than the model reads.

        Args:
            inputs: as for :meth:`predict`, which they have passed.
        """
        return self.task.truncated(self.context, inputs) if inputs else 0

    def notes(self, inputs: Sequence[TaskInput]) -> list[str]:
        """Return what readers of the answers should know: how many inputs are longer than the model reads.

        Args:
            inputs: as for :meth:`predict`, which they have passed.
        """
        return self.truncation_notes(self.truncated(inputs), len(inputs))

    def truncation_notes(self, count: int, total: int) -> list[str]:
        """Return a warning if inputs were longer than the model reads.

        Args:
            count: how many.
            total: of how many.
        """
        if not count:
            return []
        texts = "1 text is" if total == 1 else f"{count:,} of {total:,} texts are"
        if count == 1 and total > 1:
            texts = f"1 of {total:,} texts is"
        them = "its tokens" if count == 1 else "the tokens of each"
        return [
            WarningNote(
                f"{texts} longer than {self.max_length:,} tokens (data.max_length of the run): only "
                f"{self.max_length:,} of {them} were read."
            )
        ]

    def outputs(self, tokens: TokenTable) -> Array:
        """Return the outputs of a scoring task for tokenized texts, [N, ...], in their order.

        Args:
            tokens: the encoded texts.
        """
        assert isinstance(self.task, ScoringTask)
        return self.task.scores(self.context, tokens)


def weight_dtype(device: str, precision: str) -> torch.dtype:
    """Return the number format of a model's weights for prediction.

    The weights are converted once; autocast, as in training, would convert them at every call.

    Args:
        device: where to predict.
        precision: ``fp32``, ``bf16``, ``fp16``, or ``auto`` for what the device does well.

    Raises:
        RequestError: the device is not available, or cannot compute in the precision.
    """
    import torch

    if precision == "fp32":
        return torch.float32
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return formats[choose_device(device.partition(":")[0], precision)[1]]


def _refuse_unknown_roles(inputs: Sequence[TaskInput], task: Task) -> None:
    """Raise DataError for a role that the task does not have: a misspelt control would have no effect."""
    roles = [column.role for column in task.inputs()]
    for number, texts in enumerate(inputs, start=1):
        for role in texts:
            if role not in roles and role not in task.input_aliases:
                error = UnknownNameError("role", str(role), roles)
                raise DataError(f"Input {number}: {error.message}", f"The roles of this model: {', '.join(roles)}.")


def _refuse_half_characters(inputs: Sequence[TaskInput]) -> None:
    """Raise DataError for a lone surrogate: JSON can hold one, and no tokenizer can read it."""
    for number, texts in enumerate(inputs, start=1):
        for role, text in texts.items():
            try:
                str(text).encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"Input {number}: {role} has half a character (a lone surrogate) at position {error.start + 1:,}.",
                    "Remove it.",
                ) from error


def _read_note(content: JsonObject, run: Run) -> tuple[Task, int, bool, dict[str, str]]:
    """Return the task, the longest input, whether the model is an adapter, and the hashes of its files."""
    try:
        note = BaseNote.model_validate(content)
        choice = TaskChoice.model_validate(note.task)
        entry = tasks.get(choice.name)
        task = entry(entry.Config.model_validate(choice.options))
        task.labels = note.labels
        if note.max_length is None:
            raise ValueError("max_length is missing")
        return task, note.max_length, note.adapter, note.files
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"The model of run {run.id} cannot be used: {BASE_FILE} is damaged ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}).",
            "Start the run again.",
        ) from error
