"""What a tuning is: which weights move, how fast, and how what moved is saved.

A tuning is one file with one class. ``apply`` marks weights as trained or wraps the model (peft); the training loop
looks at ``requires_grad``, and tells the tuning of each step.

Nothing here imports torch at module level: listing tunings and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, ClassVar

from workbench.registry import Registry
from workbench.spec import SpecModel


class Tuning(ABC):
    """Base of every tuning."""

    name: ClassVar[str]
    learning_rate: ClassVar[float] = 5e-5  # what suits the method and a large model when the spec leaves it open
    saves_adapter: ClassVar[bool] = False  # the result is a small adapter beside its base, not a whole model
    merges: ClassVar[bool] = True  # the result can be written as a model of the base's own architecture
    no_decay: ClassVar[tuple[str, ...]] = ()  # parts of names of weights that weight decay must not pull to zero

    class Config(SpecModel):
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

    def problem_with(self, head: str) -> str | None:
        """Why the method cannot tune models with this head, so that a spec is refused before anything is fetched.

        Args:
            head: name of the transformers Auto class that makes them; ``"AutoModel"`` for none at all.
        """
        return None

    def num_virtual_tokens(self) -> int:
        """How many virtual tokens stand before each text: positions that the text cannot have."""
        return 0

    def lr_multipliers(self, model: Any) -> dict[str, float]:
        """What the learning rate is multiplied by, for trained weights by their names; 1 for those not named."""
        return {}

    def before_step(self, model: Any, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        """The gradients of a step are there, not yet clipped: they may be changed or dropped (set to None).

        All that happens must follow from the step and the model's own weights and buffers: nothing else is in a
        checkpoint.

        Args:
            model: as ``apply`` returned it.
            step: number of this step, from 1.
            steps: how many the run has.
            scale: tells what the gradients are multiplied by as yet (1 but for half precision, fp16).
        """
        return None

    def after_step(self, model: Any, step: int, steps: int) -> None:
        """The weights have moved, their gradients (no longer scaled) are still there; as :meth:`before_step`."""
        return None

    def report(self, model: Any) -> dict[str, Any]:
        """What ``report.json`` says of the method's result (the ranks that it ended with), as JSON."""
        return {}

    def save(self, model: Any, folder: Path) -> None:
        """Write the result in transformers' (or peft's) format, safetensors only."""
        model.save_pretrained(folder)


tunings: Registry[Tuning] = Registry("tuning", package="workbench.tuning")
