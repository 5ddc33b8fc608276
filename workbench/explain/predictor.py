"""What an explanation needs of a loaded run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from workbench.tasks.base import Task
from workbench.types import Model, Tokenizer


class Predictor(Protocol):
    """A model with its tokenizer and its task, such as :class:`workbench.inference.predictor.Predictor`."""

    @property
    def model(self) -> Model:
        """The model, in evaluation mode."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's fast tokenizer."""
        ...

    @property
    def task(self) -> Task:
        """The task that reads the model's outputs."""
        ...

    @property
    def labels(self) -> list[str]:
        """The labels in the order of the head's outputs; empty where there are none."""
        ...

    @property
    def max_length(self) -> int:
        """The longest input, in tokens."""
        ...


@dataclass(frozen=True)
class LoadedModel:
    """A predictor made of its members."""

    model: Model
    tokenizer: Tokenizer
    task: Task
    labels: list[str]
    max_length: int
