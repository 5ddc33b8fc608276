"""Conversion of models in the GGUF format (llama.cpp's) to transformers' format.

A GGUF file holds quantized weights, the tokenizer and the chat template. transformers reads it, but slowly: so it is
converted once, and the result is stored next to the file as safetensors.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.data.progress import Progress
from workbench.errors import MissingPackageError, RequestError
from workbench.locks import Lock
from workbench.models.conversion import convert_once
from workbench.types import Model, Tokenizer

_VERSION = 1  # of the conversion; results of another version are not used

# Pre-tokenizers, by their name in the metadata, that split off every digit. transformers ignores this, and "x  = 10"
# would become other tokens than the model was trained on.
_SPLITS_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r"})


def convert_gguf(file: Path, lock: Lock, name: str, progress: Progress | None = None) -> Path:
    """Convert a GGUF file to a folder in transformers' format, unless that was done before.

    Args:
        file: in a writable folder.
        lock: held during the conversion; other processes that need the same model wait.
        name: name of the model, for messages.
        progress: receives the progress.

    Returns:
        The folder. It is complete: a conversion that fails leaves nothing.

    Raises:
        MissingPackageError: the package gguf is not installed.
        RequestError: transformers cannot read the file.
        StorageError: the disk is full.
    """

    def convert(source: Path, draft: Path, report: Callable[[str], None]) -> None:
        _require_gguf(name)
        _convert(source, draft, report)

    return convert_once(file, _VERSION, convert, lock, name, progress)


def _require_gguf(name: str) -> None:
    try:
        import gguf  # noqa: F401 - transformers needs it
    except ImportError as error:
        raise MissingPackageError("gguf", f"to read {name}, whose weights are in that format") from error


def _convert(file: Path, draft: Path, report: Callable[[str], None]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    arguments: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        report("reading the tokenizer of the GGUF file (once, half a minute)")
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, **arguments)
        report("writing its weights as safetensors (once, half a minute)")
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar that no setting turns off
            model: Any = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **arguments)
        splits_digits = _metadata(file, "tokenizer.ggml.pre") in _SPLITS_DIGITS
    except Exception as error:  # damaged and foreign files make the library raise all kinds of exceptions
        if isinstance(error, (MemoryError, OSError)):
            raise
        raise RequestError(
            f"{file.name} cannot be read as a model: {' '.join(str(error).split())[:300]}",
            "transformers reads GGUF files of some architectures only. Use the model in safetensors format.",
        ) from error
    if splits_digits:
        _split_digits(tokenizer)
    _plain(model).save_pretrained(draft, safe_serialization=True)
    tokenizer.save_pretrained(draft)


def _plain(model: Model) -> Model:
    """Return the same weights in a model whose configuration does not mention GGUF."""
    config = model.config.to_dict()
    for field in ("quantization_config", "_name_or_path"):
        config.pop(field, None)
    plain = type(model)(type(model.config).from_dict(config))
    plain.load_state_dict(model.state_dict())
    return plain


def _metadata(file: Path, key: str) -> object:
    """Return a value of the file's metadata; None if it is missing."""
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get(key)
    return None if field is None else field.contents()


def _split_digits(tokenizer: Tokenizer) -> None:
    """Make every digit a token of its own."""
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
