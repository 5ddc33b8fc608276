"""The base of model sources with newly initialized weights and, by default, a tokenizer trained on the run's texts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pydantic import Field

from workbench.data.progress import Progress
from workbench.data.text.tokenizers import TokenizerSpec, check_vocabulary_size, save_tokenizer, train_tokenizer
from workbench.errors import RequestError, SpecError, WorkbenchError
from workbench.models.base import HeadOptions, LoadedModel, ModelSource
from workbench.models.bounds import refuse_costly_tokenizer
from workbench.models.identity import BaseIdentity, fingerprint
from workbench.models.loading import load_tokenizer, make_source, register_models
from workbench.spec import SpecModel
from workbench.types import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class ScratchConfig(SpecModel):
    """Options of every newly initialized model."""

    tokenizer: TokenizerSpec = Field(
        default_factory=TokenizerSpec,
        description="Tokenizer to train on the training texts ({train: bpe, vocab_size: 8000}), or the model whose "
        "tokenizer to use ({source: minilm}).",
    )


@runtime_checkable
class HasFolder(Protocol):
    """A source whose weights and tokenizer are in a folder."""

    is_foreign: bool

    def folder(self, progress: Progress | None = None) -> Path:
        """Return the folder, after fetching it if it is missing.

        Args:
            progress: receives the progress of downloads.
        """


class Scratch(ModelSource):
    """A new model: its tokenizer is trained on the training texts, its weights are initialized from the run's seed."""

    from_scratch = True
    learning_rate = 5e-4  # ten times the default for pretrained weights
    Config = ScratchConfig
    config: ScratchConfig
    tokenizer: Tokenizer | None = None

    @abstractmethod
    def build_config(self, tokenizer: Tokenizer, options: HeadOptions) -> PreTrainedConfig:
        """Return the transformers configuration of the model.

        Args:
            tokenizer: whose tokens it reads.
            options: keyword arguments of the configuration that the head needs.

        Raises:
            SpecError: its numbers do not fit together.
        """

    def problem(self, confined: bool) -> str | None:
        source = self.config.tokenizer.source
        if source is None:
            return None
        try:
            other = make_source(source, self.workspace)
            if not isinstance(other, HasFolder):
                return _no_tokenizer(other).message
            return other.problem(confined)
        except WorkbenchError as error:
            return str(error)

    def require_fetchable(self) -> None:
        if self.config.tokenizer.source is not None:
            make_source(self.config.tokenizer.source, self.workspace).require_fetchable()

    def check_texts(self, texts: Callable[[], Iterator[str]]) -> None:
        if self.config.tokenizer.train is not None:
            check_vocabulary_size(texts, self.config.tokenizer)

    def prepare(self, texts: Callable[[], Iterator[str]], folder: Path, progress: Progress | None = None) -> list[str]:
        spec, notes = self.config.tokenizer, list[str]()
        if not (folder / "tokenizer.json").exists():
            if spec.source:
                tokenizer = self._load_other_tokenizer(spec.source, progress)
            else:
                tokenizer = train_tokenizer(texts(), spec, progress, notes)
            save_tokenizer(tokenizer, folder)
        self.tokenizer = load_tokenizer(folder)  # from the file, so that a resumed run has exactly the same
        return notes

    def load(self, head: str, options: HeadOptions, progress: Progress | None = None) -> LoadedModel:
        import transformers

        register_models()
        if self.tokenizer is None:
            raise RequestError(f"{self.name} has no tokenizer yet.", "Call prepare with the training texts first.")
        config = self.build_config(self.tokenizer, options)
        try:
            model = getattr(transformers, head).from_config(config, attn_implementation="sdpa")
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
            raise SpecError(
                f"The model {self.name} has no head of the kind {head}.",
                "Choose another model for this task: `workbench models` lists them.",
            ) from error
        return LoadedModel(model, self.tokenizer, BaseIdentity(source=self.name, fingerprint=fingerprint(model)))

    def _load_other_tokenizer(self, name: str, progress: Progress | None) -> Tokenizer:
        """Return the tokenizer of another model."""
        source = make_source(name, self.workspace)
        if not isinstance(source, HasFolder):
            raise _no_tokenizer(source)
        folder = source.folder(progress)
        if source.is_foreign:
            refuse_costly_tokenizer(folder)
        return load_tokenizer(folder)


def _no_tokenizer(source: ModelSource) -> SpecError:
    return SpecError(
        f"{source.name} has no pretrained tokenizer.",
        "Name a pretrained model as tokenizer.source (minilm, hf:..., path:..., run:...), or train one.",
    )


def special_token_ids(tokenizer: Tokenizer) -> dict[str, int | None]:
    """Return the ids of the tokens that start, end and pad a text, as configurations name them.

    Args:
        tokenizer: tokenizer of a new model.
    """
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": begin,
        "eos_token_id": end,
        "decoder_start_token_id": begin,
    }
