"""Sentences with two marked expressions: parsing the marks, replacing them by punctuation, cropping around them.

    The <e1>burst</e1> was caused by water hammer <e2>pressure</e2>.
    The @ burst @ was caused by water hammer # pressure #.

(Zhou and Chen 2021, arXiv 2102.01373, "entity marker (punct)".)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.data.shapes.relations import mark_expressions
from workbench.data.text.tokens import TokenTable, tokenize_words
from workbench.errors import DataError
from workbench.tasks.contexts import TaskInput
from workbench.types import Ints, Tokenizer

NO_LIMIT = 2**31 - 1
SIGNS = (
    ("@", "#"),
    ("$", "^"),
    ("*", "~"),
    ("+", "="),
)  # replacements of the marks, by preference
HINT = "Write <e1> and </e1> around the first expression, and <e2> and </e2> around the second."

_MARK = re.compile(r"(</?e[12]>)")
_MARKS = ("<e1>", "</e1>", "<e2>", "</e2>")


@dataclass(frozen=True)
class MarkedSentence:
    """A sentence with two marked expressions.

    Attributes:
        chunks: the sentence, split at its marks; the marks are chunks themselves.
        marks: the indices of the chunks ``<e1>``, ``</e1>``, ``<e2>`` and ``</e2>``.
    """

    chunks: list[str]
    marks: tuple[int, ...]

    @classmethod
    def read(cls, text: str, where: str) -> MarkedSentence:
        """Split a sentence at its marks.

        Args:
            text: the sentence.
            where: location of the sentence, for messages.

        Raises:
            DataError: a mark is missing or repeated, or an expression is empty.
        """
        chunks = [chunk.strip() for chunk in _MARK.split(text)]
        chunks = [chunk for chunk in chunks if chunk]
        for mark in _MARKS:
            if chunks.count(mark) != 1:
                many = "no" if mark not in chunks else str(chunks.count(mark))
                raise DataError(f"{where}: there is {many} {mark} in {text[:60]!r}.", f"{HINT} Write each mark once.")
        marks = tuple(chunks.index(mark) for mark in _MARKS)
        for first, last in (marks[:2], marks[2:]):
            if not any(chunk not in _MARKS for chunk in chunks[first + 1 : last]):
                raise DataError(
                    f"{where}: there is nothing between {chunks[first]} and its end in {text[:60]!r}.", HINT
                )
        return cls(chunks, marks)

    def written(self, signs: tuple[str, str]) -> list[str]:
        """Return the chunks with signs instead of marks.

        Args:
            signs: the sign for each expression.
        """
        sign = dict(zip(_MARKS, (signs[0], signs[0], signs[1], signs[1]), strict=True))
        return [sign.get(chunk, chunk) for chunk in self.chunks]

    def expression(self, number: int) -> str:
        """Return the expression marked as e1 or e2.

        Args:
            number: 1 or 2.
        """
        first, last = self.marks[2 * number - 2 : 2 * number]
        return " ".join(chunk for chunk in self.chunks[first + 1 : last] if chunk not in _MARKS)


def choose_signs(tokenizer: Tokenizer) -> tuple[tuple[str, str], str]:
    """Return two signs that are single tokens of the tokenizer, and a message if there is no such pair.

    Args:
        tokenizer: the model's tokenizer.
    """
    for signs in SIGNS:
        tokens = tokenize_words(tokenizer, [["a", signs[0], "a", signs[1], "a"]], NO_LIMIT)
        assert tokens.words is not None
        first, second = (tokens.ids[tokens.words == word].tolist() for word in (1, 3))
        if len(first) == len(second) == 1 and first != second and tokenizer.unk_token_id not in (*first, *second):
            return signs, ""
    return SIGNS[
        0
    ], "The tokenizer knows none of the sign pairs that mark e1 and e2, so the model cannot see the marks."


def crop(tokens: TokenTable, marks: Ints, max_length: int, where: Sequence[str]) -> tuple[TokenTable, int]:
    """Cut rows to at most ``max_length`` tokens, around their marks.

    Where the marked expressions are further apart than that, the text between them is cut, too: what remains are the
    beginnings of both expressions with what follows them.

    Args:
        tokens: N rows with their words.
        marks: int64 [N, 4], positions of the marks in their row.
        max_length: maximum number of tokens in a row.
        where: location of each row, for messages.

    Returns:
        The rows, and the number of rows that were cropped.

    Raises:
        DataError: the tokenizer drops the marks.
    """
    assert tokens.words is not None
    if (marks < 0).any():
        raise DataError(f"{where[int((marks < 0).any(axis=1).argmax())]}: the tokenizer drops the marks.", HINT)
    long = np.flatnonzero(tokens.lengths > max_length)
    selected = np.ones(len(tokens.ids), dtype=bool)
    for row in long.tolist():
        begin, end = tokens.offsets[row], tokens.offsets[row + 1]
        own = np.flatnonzero(tokens.words[begin:end] >= 0)  # between the special tokens
        room = max_length - int(end - begin) + len(own)
        first, last = np.searchsorted(own, [marks[row].min(), marks[row].max()])
        if last - first + 1 > room:
            starts = np.sort(np.searchsorted(own, marks[row][[0, 2]]))
            remaining = _around(starts, len(own), room)
            selected[begin + np.setdiff1d(own, own[remaining])] = False
            continue
        start = min(max(0, first - (room - (last - first + 1)) // 2), max(0, len(own) - room))
        selected[begin + own[:start]] = False
        selected[begin + own[start + room :]] = False
    if not len(long):
        return tokens, 0
    lengths = np.add.reduceat(selected, tokens.offsets[:-1])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    types = None if tokens.types is None else tokens.types[selected]
    cropped = TokenTable(tokens.ids[selected], types, offsets, tokens.full_lengths, words=tokens.words[selected])
    return cropped, len(long)


def _around(starts: Ints, length: int, room: int) -> Ints:
    """Return which ``room`` of ``length`` tokens to keep: as many from each of two starts on."""
    half = min(room // 2, int(starts[1] - starts[0]))
    second = np.arange(starts[1], min(length, starts[1] + room - half))
    first = np.arange(starts[0], min(starts[1], starts[0] + room - len(second)))
    return np.concatenate([first, second])


def marked_text(inputs: TaskInput, where: str) -> str:
    """Return the marked text of an input: its own marks, or marks around its ``head`` and ``tail``.

    Args:
        inputs: one input.
        where: name of the input, for messages.

    Raises:
        DataError: there is no text, or head and tail do not each occur once in it.
    """
    text = inputs.get("text")
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{where} has no text.", HINT)
    expressions = [inputs.get(role) for role in ("head", "tail")]
    if not any(expressions):
        return text
    spans: list[tuple[int, int]] = []
    for role, expression in zip(("head", "tail"), expressions, strict=True):
        if not isinstance(expression, str) or not expression.strip():
            raise DataError(
                f"{where} has no {role}.", "Write text, head and tail, or mark both expressions in the text."
            )
        starts = [match.start() for match in re.finditer(re.escape(expression), text)]
        if len(starts) != 1:
            many = "does not occur" if not starts else f"occurs {len(starts)} times"
            raise DataError(f"{where}: the {role} {expression[:60]!r} {many} in the text.", HINT)
        spans.append((starts[0], starts[0] + len(expression)))
    marked = mark_expressions(text, *spans)
    if marked is None:
        raise DataError(f"{where}: head and tail overlap in the text.", HINT)
    return marked
