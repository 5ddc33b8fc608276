"""What a model source is: where weights and architecture come from.

A source is named alone (``minilm``) or with an argument after a colon (``hf:REPOSITORY@REVISION``, ``path:FOLDER``,
``run:RUN``). It gives a model with the head that a task asks for, and the tokenizer that goes with it.

Nothing here imports torch at module level: listing models and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from workbench.data.progress import Progress
from workbench.registry import Registry
from workbench.spec import Part
from workbench.workspace import Workspace


@dataclass(frozen=True)
class Loaded:
    """A model ready to be tuned.

    Attributes:
        model: a transformers model with the task's head.
        tokenizer: the tokenizer that goes with it.
        base: where it came from, so that an adapter finds its base again: ``{"source", "fingerprint"}``.
        new: names of the model's weights that were not in the folder and were made anew.
    """

    model: Any
    tokenizer: Any
    base: dict[str, Any]
    new: frozenset[str] = frozenset()


class ModelSource(ABC):
    """Base of every model source.

    Args:
        config: the source's own options.
        argument: what stood after the colon; empty for a plain name.
        workspace: where weights are cached and runs are found.
    """

    name: ClassVar[str]
    argument_form: ClassVar[str] = ""  # what stands after the colon, for messages; empty when nothing may

    Config: ClassVar[type[Part]] = Part  # the source's own options

    def __init__(self, config: Any, argument: str, workspace: Workspace) -> None:
        self.config = config if config is not None else self.Config()
        self.argument = argument
        self.workspace = workspace

    def problem(self, confined: bool) -> str | None:
        """Why this source cannot be used, or None; must be quick, and must not fetch anything.

        Args:
            confined: only files inside the workspace may be read (a request that came over the network).
        """
        return None

    @abstractmethod
    def load(self, head: str, options: dict[str, Any], progress: Progress | None = None) -> Loaded:
        """The model with a head.

        Args:
            head: name of a transformers Auto class, ``"AutoModelForSequenceClassification"``.
            options: keyword arguments for the head (labels).
            progress: told of downloads.

        Raises:
            FetchError, RefusedError, RequestError.
        """


models: Registry[ModelSource] = Registry("model", package="workbench.models")


def split_source(source: str) -> tuple[str, str]:
    """``"hf:org/name@rev"`` as ``("hf", "org/name@rev")``; a plain name has an empty argument."""
    name, _, argument = source.partition(":")
    return name, argument
