"""How much of a text a tokenizer does not know: characters that no token of its vocabulary contains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_UNKNOWN_TOKENS = ("[UNK]", "<unk>", "<|unk|>")
MAX_BYTES = 5_000_000  # of a tokenizer's file that is read for a check; larger ones know most characters


def unknown_share(backend: Backend, texts: Sequence[str]) -> float | None:
    """Return the share of the tokens of texts that are unknown, without special tokens around a text.

    Args:
        backend: a tokenizer of the tokenizers library.
        texts: the texts.

    Returns:
        The share; None if there are no tokens, or the tokenizer has no token for what it does not know.
    """
    unknown = next((index for token in _UNKNOWN_TOKENS if (index := backend.token_to_id(token)) is not None), None)
    if unknown is None:
        return None
    ids = [index for encoding in backend.encode_batch(list(texts), add_special_tokens=False) for index in encoding.ids]
    return ids.count(unknown) / len(ids) if ids else None


def load_backend(file: Path, max_bytes: int = MAX_BYTES) -> Backend | None:
    """Return the tokenizer in a small file; None if the file is large, missing or damaged.

    Args:
        file: a ``tokenizer.json``.
        max_bytes: of a file that is read.
    """
    from tokenizers import Tokenizer

    try:
        if file.stat().st_size > max_bytes:
            return None
        backend = Tokenizer.from_file(str(file))
    except Exception:  # the library raises plain Exception for a damaged file
        return None
    backend.no_padding()
    backend.no_truncation()
    return backend
