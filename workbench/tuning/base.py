"""Fine-tuning methods: which weights are trained, how fast, and how the result is saved.

A fine-tuning method ("tuning") is one file with one class. ``apply`` sets ``requires_grad`` or wraps the model (peft).
The training loop trains what has ``requires_grad``, and calls the method's hooks at each step.

Nothing here imports torch at module level: listing tunings and checking a spec must be fast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ClassVar

from workbench.problem import Problem
from workbench.registry import Registry
from workbench.spec import RunSpec, SpecModel
from workbench.types import JsonObject, Model


class Tuning(ABC):
    """Base of every fine-tuning method.

    Args:
        config: the method's own options; defaults if None.
    """

    name: ClassVar[str]
    learning_rate: ClassVar[float] = 5e-5  # default peak learning rate, for a large model
    saves_adapter: ClassVar[bool] = False  # the result is a small adapter, which needs its base, not a complete model
    merges: ClassVar[bool] = True  # the result can be converted to a model of the base's own architecture
    needs_layers: ClassVar[bool] = False  # it freezes layers, so the model must have a list of them
    no_decay: ClassVar[tuple[str, ...]] = ()  # weights whose name contains one of these get no weight decay

    class Config(SpecModel):
        """The method's own options."""

    def __init__(self, config: SpecModel | None = None) -> None:
        self.config = config if config is not None else self.Config()

    @abstractmethod
    def apply(self, model: Model, peft_type: str, newly_initialized: Collection[str] = ()) -> Model:
        """Mark or wrap a model so that exactly the weights to be trained have ``requires_grad``.

        Args:
            model: as loaded.
            peft_type: peft's name for the task, such as ``"SEQ_CLS"``.
            newly_initialized: names of weights that were not loaded: they must be trained and saved.

        Returns:
            The model to train.

        Raises:
            SpecError: the method does not fit this model; the message says why.
        """

    def problems(self, spec: RunSpec) -> list[Problem]:
        """Return the problems of a spec that only this method knows about. Must be fast and download nothing.

        Args:
            spec: the whole spec, as a user wrote it.
        """
        return []

    def problem_with(self, head: str) -> str | None:
        """Explain why the method cannot train models with a head, or return None.

        A spec is checked with it before anything is fetched.

        Args:
            head: name of the transformers Auto class; ``"AutoModel"`` for no head.
        """
        return None

    def num_virtual_tokens(self) -> int:
        """Return the number of virtual tokens before each text: positions that the text cannot use."""
        return 0

    def num_frozen_layers(self) -> int:
        """Return the number of layers that must exist because the method freezes them."""
        return 0

    def lr_multipliers(self, model: Model) -> dict[str, float]:
        """Return factors of the learning rate.

        Args:
            model: as ``apply`` returned it.

        Returns:
            The factor of each trained weight, by its name; 1 for weights that are missing.
        """
        return {}

    def before_step(self, model: Model, step: int, steps: int, scale: Callable[[], float] = lambda: 1.0) -> None:
        """Change or drop (set to None) the gradients of a step, before they are clipped.

        The result must depend on the step and the model's own weights and buffers only: a checkpoint has nothing else.

        Args:
            model: as ``apply`` returned it.
            step: number of this step, from 1.
            steps: number of steps in the run.
            scale: returns the factor by which the gradients are scaled at this point (1 except in fp16).
        """
        return None

    def after_step(self, model: Model, step: int, steps: int) -> None:
        """Act on a step after the weights were updated. The gradients, no longer scaled, are still there.

        Args:
            model: as ``apply`` returned it.
            step: number of this step, from 1.
            steps: number of steps in the run.
        """
        return None

    def report(self, model: Model) -> JsonObject:
        """Describe the method's result in ``report.json``, such as the final ranks.

        Args:
            model: as ``apply`` returned it.
        """
        return {}

    def save(self, model: Model, folder: Path) -> None:
        """Write the result in transformers' or peft's format, as safetensors.

        Args:
            model: as ``apply`` returned it.
            folder: to write to.
        """
        model.save_pretrained(folder)


tunings: Registry[Tuning] = Registry("tuning", package="workbench.tuning")
