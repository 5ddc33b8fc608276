"""Texts as token ids: many texts of different lengths in two flat arrays, with their lengths before truncation.

A list of Python lists would take some 50 bytes per token and a loop to pad; here it is 4 bytes per token, and padding a
batch is one indexed copy. Long contexts in overlapping windows: :mod:`workbench.data.text.windows`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.characters import takes_no_space
from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.errors import RequestError
from workbench.types import Ints, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as Backend

ENCODE_BATCH = 4096  # texts tokenized at a time: the library's own objects are large, and freed after each batch

Ints32: TypeAlias = NDArray[np.int32]
_EncodeBatch: TypeAlias = "Callable[[Sequence[Any]], list[Encoding]]"


@dataclass(frozen=True)
class TokenTable:
    """Token ids of N texts, one after another.

    Attributes:
        ids: int32 [total tokens].
        types: int8 [total tokens], 0 for the first text of a pair and 1 for the second; None if the model has no token
            types.
        offsets: int64 [N + 1]; text i is ``ids[offsets[i]:offsets[i + 1]]``.
        full_lengths: int32 [N], tokens before truncation.
        documents: int32 [total tokens], the document of its row that a token belongs to, from 1; None if every row is
            one document.
        words: int32 [total tokens], the word of a token, -1 for a special token; None if words are not needed.
    """

    ids: Ints32
    types: NDArray[np.int8] | None
    offsets: Ints
    full_lengths: Ints32
    documents: Ints32 | None = None
    words: Ints32 | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each text after truncation, int64 [N]."""
        return np.diff(self.offsets)

    def pad(self, indices: Sequence[int] | Ints, pad_id: int, multiple: int = 1) -> dict[str, Ints]:
        """Return texts as a batch, padded on the right.

        Args:
            indices: which texts, [B].
            pad_id: the id of the padding token.
            multiple: the width T is rounded up to a multiple of this (a compiled model gets fewer shapes).

        Returns:
            ``input_ids`` int64 [B, T], ``attention_mask`` int64 [B, T] and, if the table has them, ``token_type_ids``
            and ``document_ids`` (0 for padding), like them.
        """
        ids = self.pad_values(self.ids, indices, pad_id, multiple)
        real = np.arange(ids.shape[1]) < self.lengths[np.asarray(indices, dtype=np.int64)][:, None]
        batch = {"input_ids": ids, "attention_mask": real.astype(np.int64)}
        if self.types is not None:
            batch["token_type_ids"] = self.pad_values(self.types, indices, 0, multiple)
        if self.documents is not None:
            batch["document_ids"] = self.pad_values(self.documents, indices, 0, multiple)
        return batch

    def pad_values(self, values: NDArray[Any], indices: Sequence[int] | Ints, fill: int, multiple: int = 1) -> Ints:
        """Return one value per token of some texts, padded on the right.

        Args:
            values: one value per token of the table, [total tokens].
            indices: which texts, [B].
            fill: the value of padding.
            multiple: the width T is rounded up to a multiple of this.

        Returns:
            int64 [B, T].
        """
        selected = np.asarray(indices, dtype=np.int64)
        starts, lengths = self.offsets[selected], self.lengths[selected]
        columns = np.arange(-(-int(lengths.max()) // multiple) * multiple)
        real = columns[None, :] < lengths[:, None]
        padded = np.full(real.shape, fill, dtype=np.int64)
        padded[real] = values[(starts[:, None] + columns[None, :])[real]]
        return padded


def tokenize(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None = None, max_length: int = 128
) -> TokenTable:
    """Tokenize texts or pairs of texts, with special tokens, truncated to ``max_length`` tokens.

    The ids of many texts are cached in the workspace; see :mod:`workbench.data.text.token_cache`.

    Args:
        tokenizer: a fast tokenizer.
        texts: N texts.
        pairs: the second text of each, N, for tasks on pairs.
        max_length: longest input in tokens; of a pair the longer text is truncated first.

    Raises:
        RequestError: the tokenizer is not a fast one.
    """
    backend = fast_backend(tokenizer)
    wants_types = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    inputs = [texts] if pairs is None else [texts, pairs]
    arrays = cached_arrays(
        "texts",
        backend,
        {"max_length": max_length, "types": wants_types},
        inputs,
        lambda: _tokenize(backend, inputs, max_length, wants_types),
    )
    return TokenTable(types=arrays.pop("types", None), **arrays)


def _tokenize(backend: Backend, columns: Sequence[Sequence[str]], max_length: int, wants_types: bool) -> Arrays:
    ids: list[Ints32] = []
    types: list[NDArray[np.int8]] = []
    full_lengths: list[int] = []
    inputs = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    for encodings, lengths in _encode_in_batches(backend, backend.encode_batch_fast, inputs, max_length):
        full_lengths += lengths
        ids += [np.asarray(e.ids, dtype=np.int32) for e in encodings]
        if wants_types:
            types += [np.asarray(e.type_ids, dtype=np.int8) for e in encodings]
    arrays: Arrays = {
        "ids": _concatenate(ids),
        "offsets": _offsets(ids),
        "full_lengths": np.asarray(full_lengths, np.int32),
    }
    return {**arrays, "types": np.concatenate(types)} if types else arrays


def tokenize_words(tokenizer: Tokenizer, rows: Sequence[Sequence[str]], max_length: int = 128) -> TokenTable:
    """Tokenize rows of words, with special tokens, truncated to ``max_length`` tokens.

    A tokenizer that recognizes the beginning of a word by the space before it (GPT-2's, RoBERTa's) gets that space, but
    not before a Chinese or Japanese character, where none is written.

    Args:
        tokenizer: a fast tokenizer.
        rows: the words of N rows.
        max_length: longest row in tokens.

    Returns:
        A table whose ``words`` is the index of each token's word in its row, and -1 for special tokens. A word may have
        no token: it was truncated, or the tokenizer finds nothing in it (an invisible character).

    Raises:
        RequestError: the tokenizer is not a fast one.
    """
    backend = fast_backend(tokenizer)
    arrays = cached_arrays(
        "words", backend, {"max_length": max_length}, [rows], lambda: _tokenize_words(backend, rows, max_length)
    )
    return TokenTable(types=None, **arrays)


def _tokenize_words(backend: Backend, rows: Sequence[Sequence[str]], max_length: int) -> Arrays:
    encode = functools.partial(backend.encode_batch, is_pretokenized=True)  # the fast one does not number words
    inputs: Sequence[Sequence[str]] = rows
    if _needs_spaces(backend):
        inputs = [[w if i == 0 or takes_no_space(w) else f" {w}" for i, w in enumerate(row)] for row in rows]
    ids: list[Ints32] = []
    words: list[Ints32] = []
    full_lengths: list[int] = []
    for encodings, lengths in _encode_in_batches(backend, encode, inputs, max_length):
        full_lengths += lengths
        ids += [np.asarray(e.ids, dtype=np.int32) for e in encodings]
        words += [_word_indices(e.word_ids) for e in encodings]
    return {
        "ids": _concatenate(ids),
        "offsets": _offsets(ids),
        "full_lengths": np.asarray(full_lengths, np.int32),
        "words": _concatenate(words),
    }


def _encode_in_batches(
    backend: Backend, encode: _EncodeBatch, inputs: Sequence[object], max_length: int
) -> Iterator[tuple[list[Encoding], list[int]]]:
    """Yield the encodings of a batch of inputs, truncated to ``max_length``, and their lengths before truncation."""
    backend.no_padding()
    try:
        for start in range(0, len(inputs), ENCODE_BATCH):
            batch = inputs[start : start + ENCODE_BATCH]
            backend.no_truncation()
            encodings = encode(batch)
            lengths = [len(e) for e in encodings]
            too_long = [i for i, length in enumerate(lengths) if length > max_length]
            if too_long:  # only these are tokenized a second time
                backend.enable_truncation(max_length, strategy="longest_first")
                for i, shorter in zip(too_long, encode([batch[i] for i in too_long]), strict=True):
                    encodings[i] = shorter
            yield encodings, lengths
    finally:
        backend.no_truncation()


def _needs_spaces(backend: Backend) -> bool:
    """Return whether a word needs the space before it to get the same ids as in a text."""
    backend.no_truncation()
    in_text = backend.encode("a b").ids
    without_space, with_space = (backend.encode(["a", b], is_pretokenized=True).ids for b in ("b", " b"))
    return bool(without_space != in_text and with_space == in_text)


def _word_indices(words: Sequence[int | None]) -> Ints32:
    """Return the same with -1 for None, which becomes NaN on its way."""
    return np.nan_to_num(np.array(words, dtype=np.float64), nan=-1).astype(np.int32)


def _concatenate(arrays: Sequence[Ints32]) -> Ints32:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int32)


def _offsets(arrays: Sequence[Ints32]) -> Ints:
    """Return the start of each array in their concatenation, and the end of the last one."""
    offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum([len(array) for array in arrays], out=offsets[1:])
    return offsets


def fast_backend(tokenizer: Tokenizer) -> Backend:
    """Return the tokenizer of the tokenizers library inside a fast tokenizer, without padding and truncation.

    A tokenizer's file may ask for both (MiniLM's pads every text to 128); here they are done separately.

    Args:
        tokenizer: a transformers tokenizer.

    Raises:
        RequestError: the tokenizer is not a fast one.
    """
    backend: Backend | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise RequestError(
            f"The tokenizer {type(tokenizer).__name__} is not a fast tokenizer.",
            "Use a model with a tokenizer.json.",
        )
    backend.no_padding()
    backend.no_truncation()
    return backend
