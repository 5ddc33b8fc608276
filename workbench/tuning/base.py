"""What a tuning is: which weights move, and how what moved is saved.

A tuning is one file with one class. ``apply`` marks weights as trained or wraps the model (peft); the training loop
only ever looks at ``requires_grad``.

Nothing here imports torch at module level: listing tunings and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from workbench.registry import Registry
from workbench.spec import Part


class Tuning(ABC):
    """Base of every tuning."""

    name: ClassVar[str]
    learning_rate: ClassVar[float] = 5e-5  # what suits the method when the spec leaves it open
    saves_adapter: ClassVar[bool] = False  # the result is a small adapter beside its base, not a whole model

    class Config(Part):
        """The method's own options."""

    def __init__(self, config: Any = None) -> None:
        self.config = config if config is not None else self.Config()

    @abstractmethod
    def apply(self, model: Any, peft_type: str, new: Collection[str] = ()) -> Any:
        """Mark or wrap ``model`` so that only the right weights have ``requires_grad``; returns the model to train.

        Args:
            model: as it was loaded.
            peft_type: what peft calls the task.
            new: names of weights that were not in the folder and were made anew: they must move, and be saved.

        Raises:
            SpecError: the method does not fit this model; the message says why.
        """

    def save(self, model: Any, folder: Path) -> None:
        """Write the result in transformers' (or peft's) format, safetensors only."""
        model.save_pretrained(folder)


tunings: Registry[Tuning] = Registry("tuning", package="workbench.tuning")
