"""A finished run as something to ask: text in, predictions out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, RefusedError, RequestError, UnknownNameError
from workbench.files import read_json
from workbench.models.loading import (
    ADAPTER_FILE,
    BASE_FILE,
    load_adapter,
    load_folder,
    load_tokenizer,
)
from workbench.models.safety import refuse_unsafe
from workbench.runs.documents import BaseNote
from workbench.runs.run import Run
from workbench.spec import TaskChoice
from workbench.tasks.answers import Answer
from workbench.tasks.base import InferenceContext, ScoringTask, Task, TaskInput, tasks
from workbench.types import Json, JsonObject


class Predictor:
    """A run's model, tokenizer and task.

    Attributes:
        model: transformers model, or peft model over one, in evaluation mode.
        tokenizer: its tokenizer.
        task: knows columns, labels and how to read outputs.
        max_length: longest input in tokens.
    """

    def __init__(self, model: Any, tokenizer: Any, task: Task, max_length: int) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.task = task
        self.max_length = max_length

    @classmethod
    def load(cls, run: Run, device: str = "cpu") -> Predictor:
        """The predictor of a finished run.

        Raises:
            RequestError: the run has no model (it has not finished).
            FetchError: an adapter's base cannot be fetched.
        """
        folder = run.model_folder
        note = read_json(run.base_note_file)
        if not isinstance(note, dict):
            raise RequestError(*run.why_no_model())
        refuse_unsafe(folder)
        task, max_length, adapter = _read_note(note, run)
        if adapter != (folder / ADAPTER_FILE).exists():
            # transformers would follow an adapter's own note to whatever base it names
            raise RefusedError(
                f"The model of run {run.id} was changed: {BASE_FILE} and {ADAPTER_FILE} contradict each other.",
                "Do the run again.",
            )
        if adapter:
            model = load_adapter(folder, run.workspace).model
        else:
            model, _ = load_folder(folder, task.head, task.model_options(), complete=True)
        return cls(model.to(device), load_tokenizer(folder), task, max_length)

    @property
    def context(self) -> InferenceContext:
        """The model as the task uses it."""
        return InferenceContext(self.model, self.tokenizer, self.max_length)

    @property
    def labels(self) -> list[str]:
        """The labels in the order of the head's outputs."""
        return self.task.labels

    def predict(self, inputs: Sequence[TaskInput], options: Mapping[str, Json] | None = None) -> list[Answer]:
        """Return an answer for each input.

        Args:
            inputs: a dictionary of role and text each: ``{"text": "..."}``.
            options: how a model generates text: ``{"max_new_tokens": 100, "temperature": 0}``, as the task's options.

        Returns:
            One of the classes of :mod:`workbench.tasks.answers` each: a classifier returns ``ScoredLabels``, a model
            that generates ``GeneratedText``.

        Raises:
            DataError: an input without text, or without a [MASK] where one is to be filled in; a role that the task
                does not read.
            SpecError: an option that there is not.
        """
        if not inputs:
            return []
        _refuse_unknown_roles(inputs, self.task)
        _refuse_half_characters(inputs)
        return self.task.predict(self.context, inputs, options)

    def outputs(self, tokens: TokenTable) -> np.ndarray[Any, Any]:
        """A scoring task's outputs for texts that are tokens already, [N, ...], in their order."""
        assert isinstance(self.task, ScoringTask)
        return self.task.scores(self.context, tokens)


def _refuse_unknown_roles(inputs: Sequence[TaskInput], task: Task) -> None:
    """Raise DataError for a role that the task does not read: a control that is misspelt would be no control."""
    roles = [column.role for column in task.inputs()]
    for place, given in enumerate(inputs, start=1):
        for role in given:
            if role not in roles and role not in task.input_aliases:
                error = UnknownNameError("role", str(role), roles)
                raise DataError(f"Input {place}: {error.message}", f"This model is asked with {', '.join(roles)}.")


def _refuse_half_characters(inputs: Sequence[TaskInput]) -> None:
    """Raise DataError for a lone surrogate (JSON can hold one): no tokenizer can read it."""
    for place, given in enumerate(inputs, start=1):
        for role, text in given.items():
            try:
                str(text).encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"Input {place}: {role} holds half a character (a lone surrogate) at position {error.start + 1:,}.",
                    "Remove it.",
                ) from error


def _read_note(content: JsonObject, run: Run) -> tuple[Task, int, bool]:
    """Task, longest input, and whether it is an adapter, as the run has noted them beside its model."""
    try:
        note = BaseNote.model_validate(content)
        choice = TaskChoice.model_validate(note.task)
        entry = tasks.get(choice.name)
        task = entry(entry.Config.model_validate(choice.options))
        task.labels = note.labels
        if note.max_length is None:
            raise ValueError("max_length is missing")
        return task, note.max_length, note.adapter
    except (KeyError, TypeError, ValueError) as error:
        raise RequestError(
            f"The model of run {run.id} cannot be used: {BASE_FILE} is damaged ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}).",
            "Do the run again.",
        ) from error
