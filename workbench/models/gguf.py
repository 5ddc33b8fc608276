"""Conversion of models in the GGUF format (llama.cpp's) to transformers' format.

A GGUF file holds quantized weights, the tokenizer and the chat template. transformers reads it, but slowly: so it is
converted once, and the result is stored next to the file as safetensors.

    models/smollm2/model.gguf --> models/smollm2/transformers/: config.json, model.safetensors, tokenizer.json, ...
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.data.progress import Progress, silent
from workbench.errors import MissingPackageError, RequestError
from workbench.files import TEMPORARY_PREFIX, fsync_file, fsync_folder, read_json, storage_errors, write_json
from workbench.locks import Lock
from workbench.types import Model, Tokenizer

CONVERTED = "transformers"  # the folder next to the file
NOTE = "converted.json"  # in that folder: the sizes of its files and of the GGUF file
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
    folder, report = file.parent / CONVERTED, progress or silent
    if _is_complete(folder, file):
        return folder
    _require_gguf(name)
    with storage_errors(lock.path):
        if not lock.acquire():
            report(f"{name}: waiting for another process to convert it", 0, None)
            lock.acquire(wait=True)
    try:
        if not _is_complete(folder, file):
            with storage_errors(folder):
                _replace(folder, lambda draft: _convert(file, draft, lambda step: report(f"{name}: {step}", 0, None)))
    finally:
        lock.release()
    return folder


def _require_gguf(name: str) -> None:
    try:
        import gguf  # noqa: F401 - transformers needs it
    except ImportError as error:
        raise MissingPackageError("gguf", f"to read {name}, whose weights are in that format") from error


def _is_complete(folder: Path, file: Path) -> bool:
    """Whether the folder was converted from this file by this version, and nothing in it is missing or truncated."""
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("version") != _VERSION or note.get("source_bytes") != file.stat().st_size:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in note["files"].items())
    except OSError:
        return False


def _replace(folder: Path, write: Callable[[Path], None]) -> None:
    """Write to a draft folder, and replace ``folder`` by it once it is complete and on the disk."""
    for leftover in folder.parent.glob(f"{TEMPORARY_PREFIX}{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a process that died
    draft = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{folder.name}-", dir=folder.parent))
    try:
        write(draft)
        for path in draft.iterdir():
            fsync_file(path)
        fsync_folder(draft)
        shutil.rmtree(folder, ignore_errors=True)  # of another version
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(folder.parent)


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
    sizes = {path.name: path.stat().st_size for path in draft.iterdir()}
    write_json(draft / NOTE, {"version": _VERSION, "source_bytes": file.stat().st_size, "files": sizes})


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
