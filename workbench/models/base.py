"""Model sources: where a model's architecture, weights and tokenizer come from. Each is registered in ``models``.

    base.py, loading.py   what a source is; load_folder, load_tokenizer, load_adapter, make_source
    safety.py             refuses folders that would run code
    identity.py           fingerprints by which an adapter recognizes its base
    pooling.py            which vector of a text a classifier reads
    convert.py            conversion of published weights to our networks and back
    conversion.py         conversion of other file formats to transformers' (gguf.py, e5.py with charsmap.py)
    sources/              the entries: pretrained models, new Transformers, new baselines
    networks/             the networks themselves, and the heads on them

A spec names a source alone (``minilm``) or with an argument after a colon (``hf:REPOSITORY@REVISION``, ``path:FOLDER``,
``run:RUN``). The source loads a model with the head that the task needs, and the tokenizer that belongs to it.

Nothing here imports torch at module level: listing models and checking a spec must be fast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeAlias

from workbench.data.progress import Progress
from workbench.models.identity import BaseIdentity
from workbench.problem import Problem
from workbench.registry import Registry
from workbench.spec import RunSpec, SpecModel
from workbench.types import Model, Tokenizer
from workbench.workspace import Workspace

# Keyword arguments of a head's configuration: num_labels, id2label, label2id, problem_type.
HeadOptions: TypeAlias = Mapping[str, object]

# Heads with an output over the vocabulary. Its weights are the embeddings' or as large: no adapter saves a new one.
VOCABULARY_HEADS = frozenset(
    {"AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "AutoModelForMaskedLM", "AutoModelForPreTraining"}
)

_COMMON_HEADS = {"AutoModel", "AutoModelForSequenceClassification", "AutoModelForTokenClassification"}
DECODER_HEADS = frozenset({*_COMMON_HEADS, "AutoModelForCausalLM", "AutoModelForQuestionAnswering"})
ENCODER_HEADS = frozenset(
    {*_COMMON_HEADS, "AutoModelForMaskedLM", "AutoModelForPreTraining", "AutoModelForMultipleChoice"}
    | {"AutoModelForQuestionAnswering"}
)


@dataclass(frozen=True)
class LoadedModel:
    """A model ready for fine-tuning.

    Attributes:
        model: a transformers model with the task's head.
        tokenizer: the tokenizer that belongs to it.
        base: where it came from, by which an adapter recognizes its base.
        newly_initialized: names of the model's weights that were not loaded but initialized.
        pooling: which vector of a text its classifier reads; None without a choice.
    """

    model: Model
    tokenizer: Tokenizer
    base: BaseIdentity
    newly_initialized: frozenset[str] = frozenset()
    pooling: str | None = None


class ModelSource(ABC):
    """Base of every model source.

    Args:
        config: the source's own options; defaults if None.
        argument: the text after the colon; empty for a plain name.
        workspace: where weights are cached and runs are found.
    """

    name: ClassVar[str]
    from_scratch: ClassVar[bool] = False  # all weights are newly initialized
    learning_rate: ClassVar[float | None] = None  # default peak learning rate; None for the fine-tuning method's
    lr_scale: ClassVar[float] = 1.0  # multiplies the fine-tuning method's default: small models tolerate higher rates
    heads: ClassVar[frozenset[str] | None] = None  # names of its Auto classes; None if known only after loading
    # Those of VOCABULARY_HEADS that it has weights for; None if known only after loading.
    pretrained_heads: ClassVar[frozenset[str] | None] = None
    has_layers: ClassVar[bool] = True  # its body is a list of layers, of which some can be frozen
    languages: ClassVar[frozenset[str] | None] = None  # codes of those it was trained on; None if unknown or any
    argument_form: ClassVar[str] = ""  # what follows the colon, for messages; empty if nothing may

    Config: ClassVar[type[SpecModel]] = SpecModel  # the source's own options

    def __init__(self, config: SpecModel | None, argument: str, workspace: Workspace) -> None:
        self.config = config if config is not None else self.Config()
        self.argument = argument
        self.workspace = workspace

    def with_pooling(self, pooling: str | None) -> ModelSource:
        """Return the source with another pooling; itself if it has no such option.

        Args:
            pooling: which vector of a text a classifier reads; None for that of transformers' class.
        """
        return self

    def problem(self, confined: bool) -> str | None:
        """Explain why this source cannot be used, or return None. Must be fast and fetch nothing.

        Args:
            confined: whether only files inside the workspace may be read (for a request that came over the network).
        """
        return None

    def problems(self, spec: RunSpec) -> list[Problem]:
        """Return the problems of a spec that only this source knows about. Must be fast and download nothing.

        Args:
            spec: the whole spec, as a user wrote it.
        """
        return []

    def plain_name(self, exact: str) -> tuple[str, str] | None:
        """Return a name by which transformers loads the same weights, and their revision; None if it cannot.

        The name is a repository of the hub, or a folder on this machine with an empty revision. Must download nothing.

        Args:
            exact: the source by which a spec names exactly these weights, from the loaded model's ``base``.
        """
        return None

    def trained_labels(self, task: str) -> list[str]:
        """Return the labels that the model was trained on, in the order of its head's outputs; empty if it has none.

        Must download nothing.

        Args:
            task: name of the task; labels of other tasks do not count.
        """
        return []

    def max_length(self) -> int | None:
        """Return the longest text, in tokens, that the model has positions for; None if known only after loading."""
        return None

    def tokenizer_file(self) -> Path | None:
        """Return the ``tokenizer.json`` of the model if it is on this machine. Must be fast and download nothing."""
        return None

    def require_fetchable(self) -> None:
        """Look whether the weights are on this machine, or can probably be fetched. Must be fast, download nothing.

        Raises:
            FetchError: they cannot be had.
        """
        return

    def known_heads(self) -> frozenset[str] | None:
        """Return the names of the Auto classes that the model can have; None if they are known only after loading."""
        return self.heads

    def num_layers(self) -> int | None:
        """Return the number of layers; None if it is known only after loading. Must be fast and download nothing."""
        return None

    def check_texts(self, texts: Callable[[], Iterator[str]]) -> None:
        """Look whether ``prepare`` can use some training texts, before a run is queued. Does nothing by default.

        Args:
            texts: returns an iterator over the training texts, each time it is called.

        Raises:
            SpecError: the source's options do not fit the texts.
        """
        return

    def prepare(self, texts: Callable[[], Iterator[str]], folder: Path, progress: Progress | None = None) -> list[str]:
        """Prepare what depends on the training data (a tokenizer). Called before ``load``; does nothing by default.

        Args:
            texts: returns an iterator over the training texts, each time it is called.
            folder: where the result is stored with the run; an existing result is reused, so that a run can resume.
            progress: receives the progress.

        Returns:
            Notes about deviations from the options, as sentences.

        Raises:
            DataError: the texts are not sufficient.
        """
        return []

    @abstractmethod
    def load(self, head: str, options: HeadOptions, progress: Progress | None = None) -> LoadedModel:
        """Load the model with a head.

        Args:
            head: name of a transformers Auto class, such as ``"AutoModelForSequenceClassification"``.
            options: keyword arguments of the head (labels).
            progress: receives the progress of downloads.

        Raises:
            FetchError: the weights cannot be fetched.
            RefusedError: loading them would run code.
            RequestError: the source does not exist or is damaged.
            SpecError: the model has no such head.
        """


models: Registry[ModelSource] = Registry("model", package="workbench.models.sources")


def split_source(source: str) -> tuple[str, str]:
    """Split a source into its name and its argument.

    Args:
        source: as in a spec, such as ``"hf:org/name@rev"``.

    Returns:
        ``("hf", "org/name@rev")``; the argument of a plain name is empty.
    """
    name, _, argument = source.partition(":")
    return name, argument


def divisors(number: int) -> list[int]:
    """Return every divisor of a number.

    Args:
        number: at least 1.
    """
    return [n for n in range(1, number + 1) if number % n == 0]
