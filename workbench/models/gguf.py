"""Models in the GGUF format (llama.cpp's), made into folders in transformers' format once.

GGUF holds weights of few bits in one file, with the tokenizer and the chat template as metadata. transformers reads it,
slowly: so it is read once, and what comes out is kept beside the file as safetensors.

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
from workbench.files import TEMPORARY_PREFIX, Lock, fsync_file, fsync_folder, read_json, storage_errors, write_json

CONVERTED = "transformers"  # the folder beside the file
NOTE = "converted.json"  # in it: sizes of what was written, and of what
_VERSION = 1  # of the conversion: another one does not use what an earlier one has made

# By the name in the metadata: whether every digit is a word of its own before pieces are looked for. transformers reads
# the pieces and passes over this, and "x  = 10" would become other tokens than the model was trained on.
_DIGITS_APART = frozenset({"smollm", "starcoder", "refact", "command-r"})


def converted(file: Path, lock: Lock, name: str, progress: Progress | None = None) -> Path:
    """The folder in transformers' format that the GGUF file makes; written when it is missing, all of it or nothing.

    Args:
        file: in a folder that may be written to.
        lock: held while it is converted; whoever needs the same waits.
        name: of the model, for messages.
        progress: told of the parts that are done.

    Raises:
        MissingPackageError: the package gguf is not installed.
        RequestError: the file holds no model that transformers knows.
        StorageError: there is no room for it.
    """
    folder, tell = file.parent / CONVERTED, progress or silent
    if _is_whole(folder, file):
        return folder
    _need_gguf(name)
    with storage_errors(lock.path):
        if not lock.acquire():
            tell(f"{name}: waiting for another process that converts it", 0, None)
            lock.acquire(wait=True)
    try:
        if not _is_whole(folder, file):
            with storage_errors(folder):
                _replace(folder, lambda draft: _convert(file, draft, lambda part: tell(f"{name}: {part}", 0, None)))
    finally:
        lock.release()
    return folder


def _need_gguf(name: str) -> None:
    try:
        import gguf  # noqa: F401 - transformers needs it
    except ImportError as error:
        raise MissingPackageError("gguf", f"to read {name}, whose weights are in that format") from error


def _is_whole(folder: Path, file: Path) -> bool:
    """Whether ``folder`` was made from ``file`` by this conversion, and nothing in it is missing or cut short."""
    note = read_json(folder / NOTE)
    if not isinstance(note, dict) or note.get("version") != _VERSION or note.get("source_bytes") != file.stat().st_size:
        return False
    try:
        return all((folder / name).stat().st_size == size for name, size in note["files"].items())
    except OSError:
        return False


def _replace(folder: Path, write: Callable[[Path], None]) -> None:
    """Put what ``write`` makes in a draft where ``folder`` is, when it is whole and on the disk."""
    for left in folder.parent.glob(f"{TEMPORARY_PREFIX}{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)  # of a process that died
    draft = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}{folder.name}-", dir=folder.parent))
    try:
        write(draft)
        for written in draft.iterdir():
            fsync_file(written)
        fsync_folder(draft)
        shutil.rmtree(folder, ignore_errors=True)  # of another version
        os.replace(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(folder.parent)


def _convert(file: Path, draft: Path, tell: Callable[[str], None]) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        tell("reading the tokenizer of the GGUF file (once, half a minute)")
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
        tell("writing its weights as safetensors (once, half a minute)")
        with contextlib.redirect_stderr(io.StringIO()):  # a bar of the library's that no setting turns off
            model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **where)
        digits = _metadata(file, "tokenizer.ggml.pre") in _DIGITS_APART
    except Exception as error:  # a foreign file makes the library raise whatever comes to hand
        if isinstance(error, (MemoryError, OSError)):
            raise
        raise RequestError(
            f"{file.name} cannot be read as a model: {' '.join(str(error).split())[:300]}",
            "transformers reads GGUF files of some architectures only; give the model as safetensors.",
        ) from error
    if digits:
        _keep_digits_apart(tokenizer)
    _plain(model).save_pretrained(draft, safe_serialization=True)
    tokenizer.save_pretrained(draft)
    sizes = {written.name: written.stat().st_size for written in draft.iterdir()}
    write_json(draft / NOTE, {"version": _VERSION, "source_bytes": file.stat().st_size, "files": sizes})


def _plain(model: Any) -> Any:
    """The same weights in a model that does not know that it came from a GGUF file."""
    config = model.config.to_dict()
    for left_over in ("quantization_config", "_name_or_path"):
        config.pop(left_over, None)
    plain = type(model)(type(model.config).from_dict(config))
    plain.load_state_dict(model.state_dict())
    return plain


def _metadata(file: Path, key: str) -> Any:
    from gguf import GGUFReader

    field = GGUFReader(file).fields.get(key)
    return None if field is None else field.contents()


def _keep_digits_apart(tokenizer: Any) -> None:
    from tokenizers import pre_tokenizers

    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
