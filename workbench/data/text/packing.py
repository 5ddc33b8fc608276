"""From documents to rows of at most T tokens: cut what is long, pack what is short.

    documents --cut--> pieces --join--> pieces with special tokens --pack--> rows of several documents

A row of one short document is mostly padding, and padding costs as much as text. So several go into one row, which
knows which token is whose (``document_ids``): positions restart and attention does not cross from one to another, as if
each were alone. Krell et al. (2021), "Efficient sequence packing without cross-contamination", arXiv 2107.02027.

Everything is a gather in flat arrays; nothing depends on a random number, so a resumed run has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.data.text.tokens import ENCODE_BATCH, TokenTable, fast_backend

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Documents:
    """Whole texts as tokens, without special tokens and not cut, one after another.

    Attributes:
        ids: int32 [total tokens].
        words: int32 [total tokens], number of the word in its text; all 0 where words were not asked for.
        offsets: int64 [D + 1]; text i is ``ids[offsets[i]:offsets[i + 1]]``.
    """

    ids: NDArray[np.int32]
    words: NDArray[np.int32]
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, int64 [D]."""
        return np.diff(self.offsets)


def tokenize_documents(tokenizer: Any, texts: Sequence[str], words: bool = False) -> Documents:
    """The tokens of whole texts.

    Args:
        tokenizer: a transformers tokenizer with a ``backend_tokenizer``.
        texts: D texts.
        words: also tell which tokens are pieces of one word (half as fast).

    Raises:
        RequestError: the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    arrays = cached_arrays(
        "documents", backend, {"words": words}, [texts], lambda: _read_documents(backend, texts, words)
    )
    ids = arrays["ids"]
    return Documents(ids, arrays.get("words", np.zeros_like(ids)), arrays["offsets"])


def _read_documents(backend: Any, texts: Sequence[str], words: bool) -> Arrays:
    backend.no_padding()
    backend.no_truncation()
    ids: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
    numbers: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
    encode = backend.encode_batch if words else backend.encode_batch_fast  # the fast one does not count words
    for start in range(0, len(texts), ENCODE_BATCH):
        for encoding in encode(texts[start : start + ENCODE_BATCH], add_special_tokens=False):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            if words:
                numbers.append(_word_numbers(encoding.word_ids))
    found: Arrays = {"ids": np.concatenate(ids), "offsets": np.cumsum([len(i) for i in ids], dtype=np.int64)}
    return {**found, "words": np.concatenate(numbers)} if words else found


def _word_numbers(words: Sequence[int | None]) -> NDArray[np.int32]:
    """A number for each token's word; a token of no word is a word of its own, with a number below -1."""
    return np.array([-2 - i if word is None else word for i, word in enumerate(words)], dtype=np.int32)


def special_prefix_suffix(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer puts before and behind a text: ``([CLS],), ([SEP],)`` for BERT."""
    encoding = fast_backend(tokenizer).encode("a")
    special = encoding.special_tokens_mask
    if all(special):  # a tokenizer that knows no "a" at all
        return list(encoding.ids[:1]), list(encoding.ids[1:])
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return list(encoding.ids[:first]), list(encoding.ids[last:])


def split_chunks(lengths: Ints, room: int) -> tuple[Ints, Ints, Ints]:
    """Documents cut into pieces of at most ``room`` tokens.

    Args:
        lengths: of the documents, [D].
        room: most tokens in a piece, at least 1.

    Returns:
        For each of P pieces its document, where in it it begins, and its length; a document of no tokens has none.
    """
    pieces = -(-lengths // room)
    document = np.repeat(np.arange(len(lengths)), pieces)
    begin = offsets_within(pieces) * room
    return document, begin, np.minimum(lengths[document] - begin, room)


def offsets_within(lengths: Ints) -> Ints:
    """0, 1, ... of each stretch: lengths [2, 3] give [0, 1, 0, 1, 2]."""
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum())) - np.repeat(ends - lengths, lengths)


@dataclass(frozen=True)
class TokenSpan:
    """A stretch of some document's text for each of P pieces.

    Attributes:
        starts: place in ``Documents.ids``, int64 [P].
        lengths: tokens, int64 [P].
        type: token type, 0 or 1.
    """

    starts: Ints
    lengths: Ints
    type: int = 0


@dataclass(frozen=True)
class SpecialTokens:
    """The same special tokens in each piece, or in those where ``where`` [P] is true."""

    ids: Sequence[int]
    type: int = 0
    where: NDArray[np.bool_] | None = None


def join_chunks(
    documents: Documents, pieces: int, layout: Sequence[TokenSpan | SpecialTokens], types: bool = False
) -> TokenTable:
    """Pieces of text and special tokens put together, each of P pieces after the same plan.

    Args:
        documents: what is cut from.
        pieces: P.
        layout: what follows what in a piece: ``[CLS] A [SEP] B [SEP]`` is five elements.
        types: also give token types.

    Returns:
        A table of P pieces with ``words`` (-1 at special tokens).
    """
    elements = [_source(documents, element, pieces) for element in layout]
    offsets = np.zeros(pieces + 1, dtype=np.int64)
    np.cumsum(sum((lengths for _, lengths, _, _ in elements), np.zeros(pieces, np.int64)), out=offsets[1:])
    ids = np.empty(int(offsets[-1]), dtype=np.int32)
    words = np.empty_like(ids)
    kinds = np.zeros(len(ids), dtype=np.int8) if types else None
    cursor = offsets[:-1].copy()
    for element, (starts, lengths, from_ids, from_words) in zip(layout, elements, strict=True):
        place = offsets_within(lengths)
        target, source = np.repeat(cursor, lengths) + place, np.repeat(starts, lengths) + place
        ids[target], words[target] = from_ids[source], from_words[source]
        if kinds is not None:
            kinds[target] = element.type
        cursor += lengths
    return TokenTable(ids, kinds, offsets, np.diff(offsets).astype(np.int32), words=words)


def _source(documents: Documents, element: TokenSpan | SpecialTokens, pieces: int) -> tuple[Ints, Ints, Any, Any]:
    """Starts, lengths, and the arrays of ids and word numbers that they point into."""
    if isinstance(element, TokenSpan):
        return element.starts, element.lengths, documents.ids, documents.words
    ids = np.asarray(element.ids, dtype=np.int32)
    lengths = np.full(pieces, len(ids), dtype=np.int64)
    if element.where is not None:
        lengths = lengths * element.where
    return np.zeros(pieces, dtype=np.int64), lengths, ids, np.full(len(ids), -1, dtype=np.int32)


def best_fit(lengths: Ints, capacity: int) -> tuple[Ints, Ints]:
    """Pieces put into as few rows as best-fit decreasing finds (at most 11/9 of the least, Johnson 1974).

    The longest piece first, each into the row where the least room is left over. Rows are kept by their room, and which
    rooms there are in the bits of one number, so that the search for a row is one shift: O(n log n) in all.

    Args:
        lengths: tokens of each piece, [P], none above ``capacity``.
        capacity: tokens in a row.

    Returns:
        The pieces in the order of their rows, int64 [P], and where in that order each row begins, int64 [rows + 1].
    """
    if len(lengths) and int(lengths.max()) > capacity:
        raise ValueError(f"A piece of {int(lengths.max())} tokens does not fit into a row of {capacity}.")
    row_of = np.empty(len(lengths), dtype=np.int64)
    with_room: dict[int, list[int]] = {}  # room -> rows that have so much left
    rooms = 0  # bit r is set when some row has room r
    rows = 0
    for piece, length in _longest_first(lengths):
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            row = with_room[room].pop()
            if not with_room[room]:
                rooms &= ~(1 << room)
        else:
            room, row, rows = capacity, rows, rows + 1
        row_of[piece] = row
        with_room.setdefault(room - length, []).append(row)
        rooms |= 1 << (room - length)
    order = np.argsort(row_of, kind="stable")
    offsets = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row_of, minlength=rows), out=offsets[1:])
    return order, offsets


def _longest_first(lengths: Ints) -> Iterator[tuple[int, int]]:
    order = np.argsort(-lengths, kind="stable")
    return zip(order.tolist(), lengths[order].tolist(), strict=True)


def pack_chunks(pieces: TokenTable, capacity: int) -> tuple[TokenTable, Ints, Ints]:
    """Pieces packed into rows of at most ``capacity`` tokens.

    Returns:
        The rows, with ``documents`` numbered from 1 in each; and as :func:`best_fit` which pieces went where.
    """
    order, first = best_fit(pieces.lengths, capacity)
    lengths = pieces.lengths[order]
    source = np.repeat(pieces.offsets[order], lengths) + offsets_within(lengths)
    numbers = offsets_within(np.diff(first)).astype(np.int32) + 1
    ends = np.concatenate([[0], np.cumsum(lengths)])
    offsets = ends[first]
    table = TokenTable(
        pieces.ids[source],
        None if pieces.types is None else pieces.types[source],
        offsets,
        np.diff(offsets).astype(np.int32),
        documents=np.repeat(numbers, lengths),
        words=None if pieces.words is None else pieces.words[source],
    )
    return table, order, first
