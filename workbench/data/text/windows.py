"""Questions with long contexts, as overlapping windows: each window is the question and a part of the context.

    [CLS] question [SEP] context[0:room] [SEP]
    [CLS] question [SEP] context[room - stride : 2 * room - stride] [SEP]     ... up to the context's end

Every context is tokenized once, however many questions are asked of it; windows are gathers in flat arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.packing import Documents, SpecialTokens, TokenSpan, join_chunks, offsets_within
from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.data.text.tokens import ENCODE_BATCH, TokenTable, fast_backend
from workbench.errors import RequestError

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Windows of N examples; those of one example follow each other, from its context's beginning to its end.

    Attributes:
        tokens: the windows, W >= N of them. ``full_lengths`` is above a window's length by the tokens that were cut
            off its question; nothing of a context is lost.
        example: int64 [W], the example that a window is of, ascending.
        spans: int32 [total tokens, 2], where a token begins and ends in the context, in characters; -1 for tokens of
            the question and special tokens. Token t of window w is row ``tokens.offsets[w] + t``.
    """

    tokens: TokenTable
    example: Ints
    spans: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.example)


def tokenize_windows(
    tokenizer: Any, questions: Sequence[str], contexts: Sequence[str], max_length: int = 384, stride: int = 128
) -> Windows:
    """Each question with its whole context, in windows of at most ``max_length`` tokens.

    Args:
        tokenizer: a transformers tokenizer with a ``backend_tokenizer`` of the tokenizers library.
        questions: N questions. One of more than half of the room is cut to that: there must be some for the context.
        contexts: N contexts.
        max_length: longest window, in tokens.
        stride: tokens of the context that a window shares with the one before; at most half of those it has room for.

    Raises:
        RequestError: ``max_length`` leaves no room, or the tokenizer is not one of the tokenizers library.
    """
    backend = fast_backend(tokenizer)
    wants_types = "token_type_ids" in tokenizer.model_input_names
    settings = {"max_length": max_length, "stride": stride, "types": wants_types}
    columns = [questions, contexts]
    found = cached_arrays(
        "windows", backend, settings, columns, lambda: _make(backend, columns, max_length, stride, wants_types)
    )
    example, spans = found.pop("example"), found.pop("spans")
    return Windows(TokenTable(types=found.pop("types", None), **found), example, spans)


def _make(backend: Any, texts: Sequence[Sequence[str]], max_length: int, stride: int, wants_types: bool) -> Arrays:
    questions, contexts = texts
    before, between, behind = _pair_layout(backend)
    free = max_length - len(before) - len(between) - len(behind)
    if free < 2:
        raise RequestError(
            f"{max_length} tokens leave no room for a question and its context.", "Raise data.max_length."
        )
    asked, _ = _read(backend, questions)
    rows = {context: row for row, context in enumerate(dict.fromkeys(contexts))}
    read, spans = _read(backend, list(rows))
    of = np.array([rows[context] for context in contexts], dtype=np.int64)

    question_lengths = np.minimum(asked.lengths, free // 2)
    example, begin, lengths = _cut(read.lengths[of], free - question_lengths, stride)
    both = Documents(  # a token's place in ``spans`` travels as the number of its word
        np.concatenate([asked.ids, read.ids]),
        np.concatenate([np.full(len(asked.ids), -1, np.int32), np.arange(len(read.ids), dtype=np.int32)]),
        np.concatenate([asked.offsets, len(asked.ids) + read.offsets[1:]]),
    )
    layout: list[TokenSpan | SpecialTokens] = [
        *before,
        TokenSpan(asked.offsets[example], question_lengths[example]),
        *between,
        TokenSpan(len(asked.ids) + read.offsets[of[example]] + begin, lengths, type=_context_type(backend)),
        *behind,
    ]
    table = join_chunks(both, len(example), layout, types=wants_types)
    assert table.words is not None
    full_lengths = table.lengths + (asked.lengths - question_lengths)[example]
    found: Arrays = {
        "ids": table.ids,
        "offsets": table.offsets,
        "full_lengths": full_lengths.astype(np.int32),
        "example": example,
        "spans": np.where(table.words[:, None] >= 0, spans[table.words], np.int32(-1)).astype(np.int32),
    }
    return found if table.types is None else {**found, "types": table.types}


def _cut(lengths: Ints, room: Ints, stride: int) -> tuple[Ints, Ints, Ints]:
    """For each window its example, where in the context it begins, and its length, in tokens; one at least."""
    step = room - np.minimum(stride, room // 2)
    count = 1 + np.maximum(0, -(-(lengths - room) // step))
    example = np.repeat(np.arange(len(lengths)), count)
    begin = offsets_within(count) * step[example]
    return example, begin, np.minimum(lengths[example] - begin, room[example])


def _read(backend: Any, texts: Sequence[str]) -> tuple[Documents, NDArray[np.int32]]:
    """Tokens of whole texts without special tokens, and int32 [total tokens, 2] where each stands in its text."""
    backend.no_padding()
    backend.no_truncation()
    ids: list[NDArray[np.int32]] = [np.zeros(0, np.int32)]
    spans: list[NDArray[np.int32]] = [np.full((1, 2), -1, np.int32)]  # so that there is a row to point at
    for start in range(0, len(texts), ENCODE_BATCH):
        for encoding in backend.encode_batch(texts[start : start + ENCODE_BATCH], add_special_tokens=False):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            spans.append(np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2))
    offsets = np.zeros(len(ids), dtype=np.int64)
    np.cumsum([len(i) for i in ids[1:]], out=offsets[1:])
    flat = np.concatenate(ids)
    return Documents(flat, np.zeros_like(flat), offsets), np.concatenate([*spans[1:], spans[0]])


def _pair_layout(backend: Any) -> tuple[list[SpecialTokens], list[SpecialTokens], list[SpecialTokens]]:
    """The special tokens before, between and behind the two texts of a pair, each with its type."""
    backend.no_truncation()
    encoding = backend.encode("a", "a")
    sequences = encoding.sequence_ids
    if 0 not in sequences or 1 not in sequences:
        raise RequestError("The tokenizer knows no letter a, so the place of its special tokens is not known.")
    specials = [SpecialTokens([i], type=t) for i, t in zip(encoding.ids, encoding.type_ids, strict=True)]
    first, last = sequences.index(0), len(sequences) - sequences[::-1].index(1)
    middle = len(sequences) - sequences[::-1].index(0), sequences.index(1)
    return specials[:first], specials[slice(*middle)], specials[last:]


def _context_type(backend: Any) -> int:
    encoding = backend.encode("a", "a")
    return int(encoding.type_ids[encoding.sequence_ids.index(1)])
