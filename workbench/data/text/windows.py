"""Questions with long contexts as overlapping windows: each window is the question and a span of the context.

    [CLS] question [SEP] context[0:room] [SEP]
    [CLS] question [SEP] context[room - stride : 2 * room - stride] [SEP]     ... up to the context's end

Every context is tokenized once, however many questions refer to it; windows are gathers in flat arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from workbench.data.text.packing import Chunks, Documents, SpecialTokens, TokenSpan, join_chunks, offsets_within
from workbench.data.text.token_cache import Arrays, cached_arrays
from workbench.data.text.tokens import ENCODE_BATCH, Ints32, TokenTable, fast_backend
from workbench.errors import RequestError
from workbench.types import Ints, Tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend


@dataclass(frozen=True)
class Windows:
    """Windows of N examples; those of one example follow each other, from its context's beginning to its end.

    Attributes:
        tokens: the windows, W >= N of them. ``full_lengths`` exceeds a window's length by the tokens truncated from its
            question; nothing of a context is lost.
        example: int64 [W], the example of a window, ascending.
        spans: int32 [total tokens, 2], the start and end of a token in the context, in characters; -1 for tokens of the
            question and special tokens. Token t of window w is row ``tokens.offsets[w] + t``.
    """

    tokens: TokenTable
    example: Ints
    spans: Ints32

    def __len__(self) -> int:
        return len(self.example)


def tokenize_windows(
    tokenizer: Tokenizer, questions: Sequence[str], contexts: Sequence[str], max_length: int = 384, stride: int = 128
) -> Windows:
    """Tokenize each question with its whole context, in windows of at most ``max_length`` tokens.

    Args:
        tokenizer: a fast tokenizer.
        questions: N questions. A question of more than half of the room is truncated to that, to leave room for the
            context.
        contexts: N contexts.
        max_length: longest window in tokens.
        stride: tokens of the context that a window shares with the one before; at most half of its room for the
            context.

    Raises:
        RequestError: ``max_length`` leaves no room, or the tokenizer is not a fast one.
    """
    backend = fast_backend(tokenizer)
    wants_types = "token_type_ids" in tokenizer.model_input_names
    columns = [questions, contexts]
    arrays = cached_arrays(
        "windows",
        backend,
        {"max_length": max_length, "stride": stride, "types": wants_types},
        columns,
        lambda: _make(backend, columns, max_length, stride, wants_types),
    )
    example, spans = arrays.pop("example"), arrays.pop("spans")
    return Windows(TokenTable(types=arrays.pop("types", None), **arrays), example, spans)


class _PairTemplate(NamedTuple):
    """The special tokens before, between and after the two texts of a pair, and the token type of the second."""

    before: list[SpecialTokens]
    between: list[SpecialTokens]
    after: list[SpecialTokens]
    second_type: int


def _make(backend: Backend, texts: Sequence[Sequence[str]], max_length: int, stride: int, wants_types: bool) -> Arrays:
    questions, contexts = texts
    template = _pair_template(backend)
    free = max_length - len(template.before) - len(template.between) - len(template.after)
    if free < 2:
        raise RequestError(
            f"{max_length} tokens leave no room for a question and its context.", "Raise data.max_length."
        )
    question, _ = _read(backend, questions)
    unique = {context: row for row, context in enumerate(dict.fromkeys(contexts))}
    context, spans = _read(backend, list(unique))
    context_of = np.array([unique[text] for text in contexts], dtype=np.int64)

    question_lengths = np.minimum(question.lengths, free // 2)
    example, start, lengths = _split_windows(context.lengths[context_of], free - question_lengths, stride)
    both = Documents(  # word numbers carry the index of a token in ``spans``
        np.concatenate([question.ids, context.ids]),
        np.concatenate([np.full(len(question.ids), -1, np.int32), np.arange(len(context.ids), dtype=np.int32)]),
        np.concatenate([question.offsets, len(question.ids) + context.offsets[1:]]),
    )
    context_starts = len(question.ids) + context.offsets[context_of[example]] + start
    elements: list[TokenSpan | SpecialTokens] = [
        *template.before,
        TokenSpan(question.offsets[example], question_lengths[example]),
        *template.between,
        TokenSpan(context_starts, lengths, type=template.second_type),
        *template.after,
    ]
    table = join_chunks(both, len(example), elements, types=wants_types)
    assert table.words is not None
    full_lengths = table.lengths + (question.lengths - question_lengths)[example]
    arrays: Arrays = {
        "ids": table.ids,
        "offsets": table.offsets,
        "full_lengths": full_lengths.astype(np.int32),
        "example": example,
        "spans": np.where(table.words[:, None] >= 0, spans[table.words], np.int32(-1)).astype(np.int32),
    }
    return arrays if table.types is None else {**arrays, "types": table.types}


def _split_windows(lengths: Ints, room: Ints, stride: int) -> Chunks:
    """Split contexts into windows, at least one each; ``document`` is the example of a window."""
    step = room - np.minimum(stride, room // 2)
    count = 1 + np.maximum(0, -(-(lengths - room) // step))
    example = np.repeat(np.arange(len(lengths)), count)
    start = offsets_within(count) * step[example]
    return Chunks(example, start, np.minimum(lengths[example] - start, room[example]))


def _read(backend: Backend, texts: Sequence[str]) -> tuple[Documents, Ints32]:
    """Return the tokens of whole texts without special tokens, and the start and end of each token in its text,
    int32 [total tokens, 2]."""
    backend.no_padding()
    backend.no_truncation()
    ids: list[Ints32] = [np.zeros(0, np.int32)]
    spans: list[Ints32] = [np.full((1, 2), -1, np.int32)]  # so that there is a row to point at
    for start in range(0, len(texts), ENCODE_BATCH):
        for encoding in backend.encode_batch(texts[start : start + ENCODE_BATCH], add_special_tokens=False):
            ids.append(np.asarray(encoding.ids, dtype=np.int32))
            spans.append(np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2))
    offsets = np.zeros(len(ids), dtype=np.int64)
    np.cumsum([len(i) for i in ids[1:]], out=offsets[1:])
    flat = np.concatenate(ids)
    return Documents(flat, np.zeros_like(flat), offsets), np.concatenate([*spans[1:], spans[0]])


def _pair_template(backend: Backend) -> _PairTemplate:
    """Return the special tokens of a pair of texts."""
    backend.no_truncation()
    encoding = backend.encode("a", "a")
    sequences = encoding.sequence_ids
    if 0 not in sequences or 1 not in sequences:
        raise RequestError("The tokenizer lacks the letter a, so the positions of its special tokens are not known.")
    specials = [SpecialTokens([i], type=t) for i, t in zip(encoding.ids, encoding.type_ids, strict=True)]
    first, last = sequences.index(0), len(sequences) - sequences[::-1].index(1)
    middle = slice(len(sequences) - sequences[::-1].index(0), sequences.index(1))
    second_type = int(encoding.type_ids[sequences.index(1)])
    return _PairTemplate(specials[:first], specials[middle], specials[last:], second_type)
