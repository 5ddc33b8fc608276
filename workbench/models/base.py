"""What a model source is: where weights and architecture come from. Each is a file in :mod:`workbench.models.sources`.

A source is named alone (``minilm``) or with an argument after a colon (``hf:REPOSITORY@REVISION``, ``path:FOLDER``,
``run:RUN``). It gives a model with the head that a task asks for, and the tokenizer that goes with it.

Nothing here imports torch at module level: listing models and checking a spec must be quick.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from workbench.data.progress import Progress
from workbench.registry import Registry
from workbench.spec import SpecModel
from workbench.workspace import Workspace

# Heads over the words, whose weights are the embeddings' own or as large: no adapter saves a new one.
VOCABULARY_HEADS = frozenset(
    {"AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM", "AutoModelForPreTraining"}
)


@dataclass(frozen=True)
class Loaded:
    """A model ready to be tuned.

    Attributes:
        model: a transformers model with the task's head.
        tokenizer: the tokenizer that goes with it.
        base: where it came from, so that an adapter finds its base again: ``{"source", "fingerprint"}``,
            and ``"head_fingerprint"`` where its head is part of the base.
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
    from_scratch: ClassVar[bool] = False  # the weights begin at random
    learning_rate: ClassVar[float | None] = None  # what suits it when the spec leaves it open; None for the tuning's
    lr_scale: ClassVar[float] = 1.0  # by which it bears more than a tuning's own rate: small models do
    heads: ClassVar[frozenset[str] | None] = None  # names of its Auto classes; None where only loading tells
    pretrained_heads: ClassVar[frozenset[str] | None] = (
        None  # which of VOCABULARY_HEADS it has weights for; None: loading tells
    )
    argument_form: ClassVar[str] = ""  # what stands after the colon, for messages; empty when nothing may

    Config: ClassVar[type[SpecModel]] = SpecModel  # the source's own options

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

    def max_length(self) -> int | None:
        """The longest text that the model has positions for, in tokens; None when that is not known before loading."""
        return None

    def prepare(self, texts: Callable[[], Iterator[str]], folder: Path, progress: Progress | None = None) -> list[str]:
        """Make ready what depends on the training data (a tokenizer); called before ``load``. Nothing by default.

        Args:
            texts: the training texts, read anew at each call.
            folder: where it is kept with the run; what lies there already is used, so that a resumed run goes on.
            progress: told of how far it is.

        Returns:
            sentences about what came out otherwise than asked.

        Raises:
            DataError: the texts do not do.
        """
        return []

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


_READS = {"AutoModel", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"}
DECODER_HEADS = frozenset({*_READS, "AutoModelForCausalLM", "AutoModelForQuestionAnswering"})
ENCODER_HEADS = frozenset(
    {*_READS, "AutoModelForMaskedLM", "AutoModelForPreTraining", "AutoModelForMultipleChoice"}
    | {"AutoModelForQuestionAnswering"}
)

models: Registry[ModelSource] = Registry("model", package="workbench.models.sources")


def split_source(source: str) -> tuple[str, str]:
    """``"hf:org/name@rev"`` as ``("hf", "org/name@rev")``; a plain name has an empty argument."""
    name, _, argument = source.partition(":")
    return name, argument


def divisors(number: int) -> list[int]:
    """Every number that divides ``number``."""
    return [n for n in range(1, number + 1) if number % n == 0]
