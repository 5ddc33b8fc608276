"""Texts as token numbers: many texts of different length in two flat arrays, and lengths told before truncation.

A list of Python lists would take some 50 bytes a token and a loop to pad; here it is 4 bytes a token, and padding a
batch is one indexed copy. Long contexts in overlapping windows: :mod:`workbench.data.text.windows`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.errors import RequestError

ENCODE_BATCH = 4096  # texts tokenized at a time: the library's own objects are large, and soon given up
_NO_SPACE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]|[\U00020000-\U0003ffff]")  # no space before these


@dataclass(frozen=True)
class TokenTable:
    """Token ids of N texts, one after another.

    Attributes:
        ids: int32 [total tokens].
        types: int8 [total tokens], 0 for the first text of a pair and 1 for the second; None where the model has none.
        offsets: int64 [N + 1]; text i is ``ids[offsets[i]:offsets[i + 1]]``.
        full_lengths: int32 [N], tokens before truncation.
        documents: int32 [total tokens], the document of its row that a token belongs to, from 1; None where a row is
            one document.
        words: int32 [total tokens], number of the word that a token is a piece of, -1 for a special token; None where
            nobody asks.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8] | None
    offsets: NDArray[np.int64]
    full_lengths: NDArray[np.int32]
    documents: NDArray[np.int32] | None = None
    words: NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text after truncation, int64 [N]."""
        return np.diff(self.offsets)

    def pad(
        self, indices: Sequence[int] | NDArray[np.int64], pad_id: int, multiple: int = 1
    ) -> dict[str, NDArray[Any]]:
        """The texts ``indices`` as one rectangle, padded on the right.

        Args:
            indices: which texts, [B].
            pad_id: the number that fills up.
            multiple: the width T is rounded up to a multiple of this (a compiled model meets fewer shapes).

        Returns:
            ``input_ids`` int64 [B, T], ``attention_mask`` int64 [B, T] and, where there are any, ``token_type_ids``
            and ``document_ids`` (0 where padding is), like them.
        """
        ids = self.pad_values(self.ids, indices, pad_id, multiple)
        real = np.arange(ids.shape[1]) < self.lengths[np.asarray(indices, dtype=np.int64)][:, None]
        batch = {"input_ids": ids, "attention_mask": real.astype(np.int64)}
        if self.types is not None:
            batch["token_type_ids"] = self.pad_values(self.types, indices, 0, multiple)
        if self.documents is not None:
            batch["document_ids"] = self.pad_values(self.documents, indices, 0, multiple)
        return batch

    def pad_values(
        self, values: NDArray[Any], indices: Sequence[int] | NDArray[np.int64], fill: int, multiple: int = 1
    ) -> NDArray[np.int64]:
        """What ``values`` [total tokens] say of the texts ``indices``, as int64 [B, T], filled up on the right.

        The arguments ``indices`` and ``multiple`` are those of :meth:`pad`, and so is the width T.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        starts, lengths = self.offsets[chosen], self.lengths[chosen]
        columns = np.arange(-(-int(lengths.max()) // multiple) * multiple)
        real = columns[None, :] < lengths[:, None]
        found = np.full(real.shape, fill, dtype=np.int64)
        found[real] = values[(starts[:, None] + columns[None, :])[real]]
        return found


def tokenize(
    tokenizer: Any, texts: Sequence[str], pairs: Sequence[str] | None = None, max_length: int = 128
) -> TokenTable:
    """Token numbers of every text (or pair of texts), special tokens included, cut to ``max_length`` tokens.

    Those of many texts are kept in the workspace's cache; see :mod:`workbench.data.text.token_cache`.

    Args:
        tokenizer: a transformers tokenizer with a ``backend_tokenizer`` of the tokenizers library.
        texts: N texts.
        pairs: the second text of each, N, for tasks on pairs.
        max_length: longest allowed, in tokens; of a pair the longer text is cut first.

    Raises:
        RequestError: the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    wants_types = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    inputs = [texts] if pairs is None else [texts, pairs]
    settings = {"max_length": max_length, "types": wants_types}
    arrays = cached_arrays(
        "texts", backend, settings, inputs, lambda: _tokenize(backend, inputs, max_length, wants_types)
    )
    return TokenTable(types=arrays.pop("types", None), **arrays)


def _tokenize(backend: Any, columns: Sequence[Sequence[str]], max_length: int, wants_types: bool) -> Arrays:
    ids: list[NDArray[np.int32]] = []
    types: list[NDArray[np.int8]] = []
    full_lengths: list[int] = []
    inputs: Sequence[Any] = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
    for encodings, lengths in _encode_in_chunks(backend, backend.encode_batch_fast, inputs, max_length):
        full_lengths += lengths
        ids += [np.asarray(e.ids, dtype=np.int32) for e in encodings]
        if wants_types:
            types += [np.asarray(e.type_ids, dtype=np.int8) for e in encodings]
    found: Arrays = {"ids": _joined(ids), "offsets": _offsets(ids), "full_lengths": np.asarray(full_lengths, np.int32)}
    return {**found, "types": np.concatenate(types)} if types else found


def tokenize_words(tokenizer: Any, rows: Sequence[Sequence[str]], max_length: int = 128) -> TokenTable:
    """Token numbers of rows that are words already, special tokens included, cut to ``max_length`` tokens.

    A tokenizer that tells the beginning of a word by the space before it (GPT-2's, RoBERTa's) is given that space, but
    not before a Chinese or Japanese character, where none is written.

    Args:
        tokenizer: a transformers tokenizer with a ``backend_tokenizer`` of the tokenizers library.
        rows: the words of N rows.
        max_length: longest row, in tokens.

    Returns:
        A table whose ``words`` is the place of each token's word in its row, from 0, and -1 for special tokens. A word
        may have no token: it was cut off, or the tokenizer knows nothing in it (an invisible character).

    Raises:
        RequestError: the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    settings = {"max_length": max_length}
    arrays = cached_arrays("words", backend, settings, [rows], lambda: _tokenize_words(backend, rows, max_length))
    return TokenTable(types=None, **arrays)


def _tokenize_words(backend: Any, rows: Sequence[Sequence[str]], max_length: int) -> Arrays:
    encode = functools.partial(backend.encode_batch, is_pretokenized=True)  # the fast one does not count words
    inputs: Sequence[Sequence[str]] = rows
    if _tells_words_by_space(backend):
        inputs = [[w if i == 0 or _NO_SPACE.match(w) else f" {w}" for i, w in enumerate(row)] for row in rows]
    ids: list[NDArray[np.int32]] = []
    words: list[NDArray[np.int32]] = []
    full_lengths: list[int] = []
    for encodings, lengths in _encode_in_chunks(backend, encode, inputs, max_length):
        full_lengths += lengths
        ids += [np.asarray(e.ids, dtype=np.int32) for e in encodings]
        words += [_word_places(e.word_ids) for e in encodings]
    lengths_before = np.asarray(full_lengths, np.int32)
    return {"ids": _joined(ids), "offsets": _offsets(ids), "full_lengths": lengths_before, "words": _joined(words)}


def _encode_in_chunks(
    backend: Any, encode: Callable[[Sequence[Any]], list[Any]], inputs: Sequence[Any], max_length: int
) -> Iterator[tuple[list[Any], list[int]]]:
    """Encodings of a chunk of inputs, cut to ``max_length``, and how long each was before."""
    backend.no_padding()
    try:
        for start in range(0, len(inputs), ENCODE_BATCH):
            chunk = inputs[start : start + ENCODE_BATCH]
            backend.no_truncation()
            encodings = encode(chunk)
            lengths = [len(e) for e in encodings]
            too_long = [i for i, length in enumerate(lengths) if length > max_length]
            if too_long:  # only these are tokenized a second time
                backend.enable_truncation(max_length, strategy="longest_first")
                for i, shorter in zip(too_long, encode([chunk[i] for i in too_long]), strict=True):
                    encodings[i] = shorter
            yield encodings, lengths
    finally:
        backend.no_truncation()


def _tells_words_by_space(backend: Any) -> bool:
    """Whether words given one by one must bring the space before them to become what they are in a text."""
    backend.no_truncation()
    in_text = backend.encode("a b").ids
    one_by_one, with_space = (backend.encode(["a", b], is_pretokenized=True).ids for b in ("b", " b"))
    return bool(one_by_one != in_text and with_space == in_text)


def _word_places(words: Sequence[int | None]) -> NDArray[np.int32]:
    """The same with -1 for None, which becomes NaN on its way."""
    return np.nan_to_num(np.array(words, dtype=np.float64), nan=-1).astype(np.int32)


def _joined(pieces: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int32)


def _offsets(pieces: Sequence[NDArray[np.int32]]) -> NDArray[np.int64]:
    """Where each piece begins when they stand one after another, and where the last one ends."""
    offsets = np.zeros(len(pieces) + 1, dtype=np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return offsets


def fast_backend(tokenizer: Any) -> Any:
    """The tokenizers library's own tokenizer, without the padding and cutting that its file may ask for (MiniLM's
    fills every text up to 128): we do both ourselves.

    Raises:
        RequestError: it is not one of that library.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise RequestError(
            f"The tokenizer {type(tokenizer).__name__} has no fast form.", "Use a model that ships a tokenizer.json."
        )
    backend.no_padding()
    backend.no_truncation()
    return backend
