"""Prompts and their continuations as rows of tokens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from workbench.data.text.packing import special_prefix_suffix, tokenize_documents
from workbench.data.text.tokens import TokenTable, fast_backend
from workbench.tasks.contexts import Encoded
from workbench.types import Floats, Ints, TokenIds, Tokenizer

TextColumns: TypeAlias = dict[str, Floats]  # columns that measures sum


MIN_PROMPT = 4  # tokens of a prompt that must fit before a target


@dataclass(frozen=True)
class Prompt:
    """A prompt that can be shortened.

    Attributes:
        length: number of tokens of the full prompt.
        within: takes a number of tokens, and returns the prompt shortened to at most that number.
    """

    length: int
    within: Callable[[int], TokenIds]

    @classmethod
    def of(cls, prefix: Sequence[int], ids: TokenIds) -> Prompt:
        """Return a prompt that is shortened at its beginning, after the prefix.

        Args:
            prefix: the tokens that begin every prompt.
            ids: the tokens after them.
        """
        opening = np.asarray(prefix, dtype=np.int32)

        def within(room: int) -> TokenIds:
            length = max(1, room - len(opening))
            return np.concatenate([opening, ids[-length:]])

        return cls(len(opening) + len(ids), within)


@dataclass(frozen=True)
class Row:
    """One training text: a prompt and its continuation.

    Attributes:
        prompt: see :class:`Prompt`.
        target: tokens of the continuation, including the end token.
        example: index of its example.
        bytes: length of the target's text in UTF-8.
    """

    prompt: Prompt
    target: TokenIds
    example: int
    bytes: int


@contextlib.contextmanager
def verbatim(tokenizer: Tokenizer) -> Iterator[None]:
    """Treat special tokens in a text as ordinary text, so that users cannot end a turn by writing its end token.

    Args:
        tokenizer: the model's tokenizer.
    """
    backend = fast_backend(tokenizer)
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        yield
    finally:
        backend.encode_special_tokens = before


def token_lists(tokenizer: Tokenizer, texts: Sequence[str]) -> list[TokenIds]:
    """Return the tokens of each text, without special tokens.

    Args:
        tokenizer: the model's tokenizer.
        texts: any texts.
    """
    documents = tokenize_documents(tokenizer, texts)
    return np.split(documents.ids, documents.offsets[1:-1]) if len(documents) else []


def text_ends(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the special tokens that the tokenizer adds before a text, and the token that ends a generated text.

    Args:
        tokenizer: the model's tokenizer.
    """
    prefix, suffix = special_prefix_suffix(tokenizer)
    if tokenizer.eos_token_id is not None:
        suffix = [tokenizer.eos_token_id]
    return prefix, suffix[:1]


def last_rows(encoded: Encoded, count: int) -> Ints:
    """Return the last row of each example, int64 [D].

    Args:
        encoded: the rows of a split.
        count: number of examples, D.
    """
    last = np.zeros(count, dtype=np.int64)
    last[encoded.targets.document] = np.arange(len(encoded))
    return last


def spread_columns(columns: TextColumns, chosen: Sequence[int], count: int) -> TextColumns:
    """Expand the columns of the chosen examples, [W], to all examples, [D], with 0 for the others.

    Args:
        columns: columns of the chosen examples, [W].
        chosen: W examples.
        count: number of examples, D.
    """
    result = {}
    for name, column in columns.items():
        result[name] = np.zeros(count)
        result[name][list(chosen)] = column
    return result


def join_rows(rows: Sequence[Row], max_length: int) -> tuple[TokenTable, Ints, tuple[int, int]]:
    """Join prompts and targets into rows of at most ``max_length`` tokens.

    Args:
        rows: N prompts with their targets.
        max_length: maximum number of tokens in a row.

    Returns:
        The rows, the length of each prompt, [N], and how many targets and how many prompts were cut.
    """
    parts: list[TokenIds] = []
    prompts = np.zeros(len(rows), dtype=np.int64)
    full = np.zeros(len(rows), dtype=np.int32)
    cut_targets = cut_prompts = 0
    for number, row in enumerate(rows):
        target = row.target[: max(max_length - row.prompt.length, max_length // 2)]
        prompt = row.prompt.within(max_length - len(target))
        cut_targets += len(target) < len(row.target)
        cut_prompts += len(prompt) < row.prompt.length
        parts += [prompt, target]
        prompts[number] = len(prompt)
        full[number] = row.prompt.length + len(row.target)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(a) + len(b) for a, b in zip(parts[::2], parts[1::2], strict=True)], out=offsets[1:])
    return TokenTable(np.concatenate(parts), None, offsets, full), prompts, (cut_targets, cut_prompts)
