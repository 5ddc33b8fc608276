"""Base of the model sources that begin with random weights, and with a tokenizer of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from workbench.data.progress import Progress
from workbench.data.text.tokenizers import TokenizerSpec, save_tokenizer, train_tokenizer
from workbench.errors import RequestError, SpecError, WorkbenchError
from workbench.models.base import Loaded, ModelSource
from workbench.models.loading import fingerprint, load_tokenizer, make_source, register_models
from workbench.spec import SpecModel


class ScratchConfig(SpecModel):
    """Options of every model that begins at random."""

    tokenizer: TokenizerSpec = Field(
        default_factory=TokenizerSpec,
        description="Train one on the training texts ({train: bpe, vocab_size: 8000}), or take a model's "
        "({source: minilm}).",
    )


class Scratch(ModelSource):
    """A new model: its tokenizer is learned from the training texts, its weights are drawn from the run's seed."""

    from_scratch = True
    learning_rate = 5e-4  # ten times what suits weights that know something already
    Config = ScratchConfig
    config: ScratchConfig
    tokenizer: Any = None

    @abstractmethod
    def architecture(self, tokenizer: Any, options: dict[str, Any]) -> Any:
        """The transformers configuration of the model. Raises SpecError when its numbers do not fit together.

        Args:
            tokenizer: whose tokens it reads.
            options: keyword arguments of the configuration that the head needs.
        """

    def problem(self, confined: bool) -> str | None:
        source = self.config.tokenizer.source
        if source is None:
            return None
        try:
            return make_source(source, self.workspace).problem(confined)
        except WorkbenchError as error:
            return str(error)

    def prepare(self, texts: Callable[[], Iterator[str]], folder: Path, progress: Progress | None = None) -> list[str]:
        spec, notes = self.config.tokenizer, list[str]()
        if not (folder / "tokenizer.json").exists():
            tokenizer = self._borrowed(progress) if spec.source else train_tokenizer(texts(), spec, progress, notes)
            save_tokenizer(tokenizer, folder)
        self.tokenizer = load_tokenizer(folder)  # from the file, so that a resumed run has the very same
        return notes

    def load(self, head: str, options: dict[str, Any], progress: Progress | None = None) -> Loaded:
        import transformers

        register_models()
        if self.tokenizer is None:
            raise RequestError(f"{self.name} has no tokenizer yet.", "Call prepare with the training texts first.")
        config = self.architecture(self.tokenizer, options)
        try:
            model = getattr(transformers, head).from_config(config, attn_implementation="sdpa")
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
            raise SpecError(
                f"The model {self.name} has no head of the kind {head}.",
                "Choose another model for this task: `workbench models` lists them.",
            ) from error
        return Loaded(model, self.tokenizer, {"source": self.name, "fingerprint": fingerprint(model)})

    def _borrowed(self, progress: Progress | None) -> Any:
        """The tokenizer of another model."""
        source = make_source(str(self.config.tokenizer.source), self.workspace)
        if not hasattr(source, "folder"):
            raise SpecError(
                f"{source.name} has no tokenizer to take.",
                "Name a pretrained model as tokenizer.source (minilm, hf:..., path:..., run:...), or train one.",
            )
        return load_tokenizer(source.folder(progress))


def special_token_ids(tokenizer: Any) -> dict[str, int | None]:
    """The numbers of the tokens that begin, end and fill up a text."""
    begin = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    return {
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": begin,
        "eos_token_id": end,
        "decoder_start_token_id": begin,
    }
