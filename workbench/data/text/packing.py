"""From documents to rows of at most T tokens: split what is long, pack what is short.

    documents --split--> chunks --join--> chunks with special tokens --pack--> rows of several documents

A row of one short document is mostly padding, and padding costs as much as text. So several documents share a row,
which knows the document of each token (``document_ids``): positions restart and attention does not cross documents, as
if each were alone. Krell et al. (2021), "Efficient sequence packing without cross-contamination", arXiv 2107.02027.

Everything is a gather in flat arrays; nothing is random, so a resumed run has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.data.text.tokens import ENCODE_BATCH, Ints32, TokenTable, fast_backend
from workbench.types import Bools, Ints, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


@dataclass(frozen=True)
class Documents:
    """Whole texts as tokens, without special tokens and truncation, one after another.

    Attributes:
        ids: int32 [total tokens].
        words: int32 [total tokens], number of the word in its text; all 0 if words are not needed.
        offsets: int64 [D + 1]; text i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: Ints32
    words: Ints32
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, int64 [D]."""
        return np.diff(self.offsets)


def tokenize_documents(tokenizer: Tokenizer, texts: Sequence[str], words: bool = False) -> Documents:
    """Tokenize whole texts.

    Args:
        tokenizer: a fast tokenizer.
        texts: D texts.
        words: also number the words, so that the subwords of a word are known (half as fast).

    Raises:
        RequestError: the tokenizer is not a fast one.
    """
    backend = fast_backend(tokenizer)
    arrays = cached_arrays(
        "documents", backend, {"words": words}, [texts], lambda: _read_documents(backend, texts, words)
    )
    ids = arrays["ids"]
    return Documents(ids, arrays.get("words", np.zeros_like(ids)), arrays["offsets"])


def _read_documents(backend: Backend, texts: Sequence[str], words: bool) -> Arrays:
    backend.no_padding()
    backend.no_truncation()
    ids: list[Ints32] = [np.zeros(0, np.int32)]
    numbers: list[Ints32] = [np.zeros(0, np.int32)]
    encode = backend.encode_batch if words else backend.encode_batch_fast  # the fast one does not number words
    for start in range(0, len(texts), ENCODE_BATCH):
        for encoding in encode(texts[start : start + ENCODE_BATCH], add_special_tokens=False):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            if words:
                numbers.append(_word_numbers(encoding.word_ids))
    arrays: Arrays = {"ids": np.concatenate(ids), "offsets": np.cumsum([len(i) for i in ids], dtype=np.int64)}
    return {**arrays, "words": np.concatenate(numbers)} if words else arrays


def _word_numbers(words: Sequence[int | None]) -> Ints32:
    """Return a number for each token's word; a token without a word is its own word, with a number below -1."""
    return np.array([-2 - i if word is None else word for i, word in enumerate(words)], dtype=np.int32)


def special_prefix_suffix(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the special tokens that a tokenizer puts before and after a text: ``[CLS]`` and ``[SEP]`` for BERT.

    Args:
        tokenizer: a fast tokenizer.

    Returns:
        The ids before, and the ids after.

    Raises:
        RequestError: the tokenizer is not a fast one.
    """
    encoding = fast_backend(tokenizer).encode("a")
    special = encoding.special_tokens_mask
    if all(special):  # a tokenizer without the letter "a"
        return list(encoding.ids[:1]), list(encoding.ids[1:])
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return list(encoding.ids[:first]), list(encoding.ids[last:])


class Chunks(NamedTuple):
    """P chunks: the document of each, its start in the document, and its length, in tokens; int64 [P] each."""

    document: Ints
    start: Ints
    length: Ints


def split_chunks(lengths: Ints, room: int) -> Chunks:
    """Split documents into chunks of at most ``room`` tokens.

    Args:
        lengths: tokens of the documents, [D].
        room: most tokens in a chunk, at least 1.

    Returns:
        The chunks, in order; an empty document has none.
    """
    counts = -(-lengths // room)
    document = np.repeat(np.arange(len(lengths)), counts)
    start = offsets_within(counts) * room
    return Chunks(document, start, np.minimum(lengths[document] - start, room))


def offsets_within(lengths: Ints) -> Ints:
    """Count the elements of each segment from 0: lengths [2, 3] return [0, 1, 0, 1, 2].

    Args:
        lengths: lengths of the segments, [S].

    Returns:
        int64 [sum of lengths].
    """
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)


@dataclass(frozen=True)
class TokenSpan:
    """A span of some document's text for each of P chunks.

    Attributes:
        starts: index in ``Documents.ids``, int64 [P].
        lengths: tokens, int64 [P].
        type: token type, 0 or 1.
    """

    starts: Ints
    lengths: Ints
    type: int = 0


@dataclass(frozen=True)
class SpecialTokens:
    """The same special tokens in each chunk, or in those where ``where`` [P] is true."""

    ids: Sequence[int]
    type: int = 0
    where: Bools | None = None


class _Source(NamedTuple):
    """The tokens of one template element: for each chunk a span of arrays of ids and word numbers."""

    starts: Ints
    lengths: Ints
    ids: Ints32
    words: Ints32


def join_chunks(
    documents: Documents, count: int, template: Sequence[TokenSpan | SpecialTokens], types: bool = False
) -> TokenTable:
    """Join spans of text and special tokens to chunks, all after the same template.

    Args:
        documents: the texts.
        count: number of chunks, P.
        template: the elements of a chunk, in order: ``[CLS] A [SEP] B [SEP]`` has five.
        types: also return token types.

    Returns:
        A table of P chunks with ``words`` (-1 at special tokens).
    """
    sources = [_source(documents, element, count) for element in template]
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(sum((source.lengths for source in sources), np.zeros(count, np.int64)), out=offsets[1:])
    ids = np.empty(int(offsets[-1]), dtype=np.int32)
    words = np.empty_like(ids)
    token_types = np.zeros(len(ids), dtype=np.int8) if types else None
    cursor = offsets[:-1].copy()
    for element, source in zip(template, sources, strict=True):
        offset = offsets_within(source.lengths)
        targets = np.repeat(cursor, source.lengths) + offset
        origins = np.repeat(source.starts, source.lengths) + offset
        ids[targets], words[targets] = source.ids[origins], source.words[origins]
        if token_types is not None:
            token_types[targets] = element.type
        cursor += source.lengths
    return TokenTable(ids, token_types, offsets, np.diff(offsets).astype(np.int32), words=words)


def _source(documents: Documents, element: TokenSpan | SpecialTokens, count: int) -> _Source:
    if isinstance(element, TokenSpan):
        return _Source(element.starts, element.lengths, documents.ids, documents.words)
    ids = np.asarray(element.ids, dtype=np.int32)
    lengths = np.full(count, len(ids), dtype=np.int64)
    if element.where is not None:
        lengths = lengths * element.where
    return _Source(np.zeros(count, dtype=np.int64), lengths, ids, np.full(len(ids), -1, dtype=np.int32))


def best_fit(lengths: Ints, capacity: int) -> tuple[Ints, Ints]:
    """Pack chunks into rows by best-fit decreasing (at most 11/9 of the minimal number of rows, Johnson 1974).

    The longest chunk first, each into the row where the least room remains. Rows are listed by their room, and the
    rooms that occur are bits of one number, so that the search for a row is one shift: O(n log n) in total.

    Args:
        lengths: tokens of each chunk, [P], none above ``capacity``.
        capacity: tokens in a row.

    Returns:
        The chunks in the order of their rows, int64 [P], and the index in that order where each row begins, int64
        [rows + 1].

    Raises:
        ValueError: a chunk is longer than a row.
    """
    if len(lengths) and int(lengths.max()) > capacity:
        raise ValueError(f"A chunk of {int(lengths.max())} tokens does not fit into a row of {capacity}.")
    row_of = np.empty(len(lengths), dtype=np.int64)
    with_room: dict[int, list[int]] = {}  # room -> rows that have so much left
    rooms = 0  # bit r is set if some row has room r
    rows = 0
    for chunk, length in _longest_first(lengths):
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms &= ~(1 << room)
        else:
            room, row, rows = capacity, rows, rows + 1
        row_of[chunk] = row
        with_room.setdefault(room - length, []).append(row)
        rooms |= 1 << (room - length)
    order = np.argsort(row_of, kind="stable")
    offsets = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row_of, minlength=rows), out=offsets[1:])
    return order, offsets


def _longest_first(lengths: Ints) -> Iterator[tuple[int, int]]:
    order = np.argsort(-lengths, kind="stable")
    return zip(order.tolist(), lengths[order].tolist(), strict=True)


def pack_chunks(chunks: TokenTable, capacity: int) -> tuple[TokenTable, Ints, Ints]:
    """Pack chunks into rows of at most ``capacity`` tokens.

    Args:
        chunks: P chunks.
        capacity: tokens in a row.

    Returns:
        The rows, with ``documents`` numbered from 1 in each; and as :func:`best_fit` the chunks of each row.

    Raises:
        ValueError: a chunk is longer than a row.
    """
    order, first = best_fit(chunks.lengths, capacity)
    lengths = chunks.lengths[order]
    source = np.repeat(chunks.offsets[order], lengths) + offsets_within(lengths)
    numbers = offsets_within(np.diff(first)).astype(np.int32) + 1
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = ends[first]
    table = TokenTable(
        chunks.ids[source],
        None if chunks.types is None else chunks.types[source],
        offsets,
        np.diff(offsets).astype(np.int32),
        documents=np.repeat(numbers, lengths),
        words=None if chunks.words is None else chunks.words[source],
    )
    return table, order, first
