"""One word and its tag per row; a column says which words form a sentence.

    sentence_id,word,tag            Sentence #,Word,POS,Tag
    1,Ada,B-PER                     Sentence: 1,Ada,NNP,B-per
    1,sings,O                       ,sings,VBZ,O
    2,Oslo,B-LOC                    Sentence: 2,Oslo,NNP,B-geo

The column of the sentence is recognized by its name (``sentence_id``, ``Sentence #``, ``sent_id``), or because its
values repeat along rows that follow each other, or are given only in the first row of a sentence. Without such a
column, empty lines between the rows of a CSV file separate sentences. Rows are then joined into sentences; other
columns stay if their value is the same in all words of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from workbench.data.cells.literals import parse_list
from workbench.data.cells.values import as_text
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, is_missing, shapes
from workbench.errors import DataError
from workbench.types import Json

WORDS = ("word", "token", "text", "form", "term")
TAGS = ("tag", "ner_tag", "ner", "ner_tags", "label", "labels", "iob", "bio", "ne", "entity", "ner_label")
MIN_ROWS = 10
MIN_SINGLE = 0.95  # share of rows with one word
MIN_RUN = 2.0  # rows of a sentence, on average

_SENTENCE = re.compile(r"(?:sent(?:ence)?s?)(?:[ _#.:-]*(?:id|ids|idx|no|nr|num|number|index|#))*|sid")
_DOCUMENT = re.compile(r".*(?:doc|file|article|page|book|text)(?:ument)?(?:[ _#.-]*(?:id|idx|no|name|#))*")
_HINT = (
    "Add a column sentence_id with the same value for all words of a sentence, or write a .conll file with an empty "
    "line after each sentence."
)


@shapes.register("word-rows")
class WordRows(Shape):
    """One word and its tag per row."""

    roles = ("words", "tags")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("words").kind != "words" or needs.column("tags").kind != "tags":
            return False
        words, tags = _columns(table, needs)
        if words is None or tags is None or len(table) < MIN_ROWS:
            return False
        single = [
            _is_single(word) and _is_single(tag)
            for word, tag in zip(table.columns[words], table.columns[tags], strict=True)
        ]
        if sum(single) < MIN_SINGLE * len(single):
            return False
        if _boundaries(table, words, tags)[0] is None:
            raise DataError(
                f"{table.name}: nearly every row has one word, but no column says which words form a sentence.", _HINT
            )
        return True

    def convert(self, table: Table, needs: Needs) -> Table:
        words, tags = _columns(table, needs)
        if words is None or tags is None:
            raise DataError(f"{table.name} lacks the words or the tags of the training data.", "Use the same columns.")
        begins, source = _boundaries(table, words, tags)
        if begins is None:
            raise DataError(f"{table.name}: no column says which words form a sentence.", _HINT)
        return _join_rows(table, words, tags, needs, begins, source)


def _columns(table: Table, needs: Needs) -> tuple[str | None, str | None]:
    words = needs.find(table, "words", (*needs.column("words").guesses, *WORDS))
    others = Table(table.name, {name: [] for name in table.columns if name != words}, [])
    return words, needs.find(others, "tags", (*TAGS, *needs.column("tags").guesses))


def _is_single(value: Json) -> bool:
    """Return whether a cell is one word, or empty."""
    if isinstance(value, str):
        return len(value.split()) <= 1 and not (value[:1] in "[(" and parse_list_or_none(value))
    return isinstance(value, int | float) or value is None


def parse_list_or_none(value: str) -> list[Json] | None:
    """Return the items of a printed list; None for any other text.

    Args:
        value: a cell.
    """
    try:
        return parse_list(value)
    except ValueError:
        return None


def _boundaries(table: Table, words: str, tags: str) -> tuple[list[int] | None, str]:
    """Return the rows that begin a sentence, and what shows it; None if nothing does."""
    columns = [name for name in table.columns if name not in (words, tags)]
    named = [name for name in columns if _SENTENCE.fullmatch(name.strip().casefold())]
    documents = [name for name in columns if _DOCUMENT.fullmatch(name.strip().casefold())]
    others = [name for name in columns if name not in (*named, *documents)]
    runs = {name: begins for name in named or others if (begins := _runs(table.columns[name], bool(named)))}
    if runs:
        column = max(runs, key=lambda name: len(runs[name]))
        starts = set(runs[column])
        for document in documents:
            starts.update(_runs(table.columns[document], True) or [])
        return sorted(starts), f"rows with the same {column!r} were joined"
    gaps = [0, *(i for i, (a, b) in enumerate(pairwise(table.rows), start=1) if b > a + 1)]
    if table.unit == "line" and 1 < len(gaps) <= len(table) / MIN_RUN:
        return gaps, "empty lines separate sentences"
    return None, ""


def _runs(values: Sequence[Json], named: bool) -> list[int] | None:
    """Return where runs of equal values begin; None if the values do not repeat along rows.

    A column that is not named like a sentence needs more evidence: a value does not occur in two runs.
    """
    filled: list[Json] = []
    for value in values:
        empty = is_missing(value)
        if empty and not filled:
            return None
        filled.append(filled[-1] if empty else value)
    begins = [0, *(i for i, (a, b) in enumerate(pairwise(filled), start=1) if a != b)]
    enough = 1 < len(begins) <= len(filled) / MIN_RUN
    distinct = len({str(filled[i]) for i in begins}) == len(begins)
    return begins if (named and len(begins) < len(filled)) or (enough and distinct) else None


def _join_rows(table: Table, words: str, tags: str, needs: Needs, begins: Sequence[int], source: str) -> Table:
    ends = [*begins[1:], len(table)]
    columns: dict[str, list[object]] = {needs.name("words"): [], needs.name("tags"): []}
    blank = 0
    rows = []
    for begin, end in zip(begins, ends, strict=True):
        texts = [_cell(table, words, i) for i in range(begin, end)]
        used = [begin + i for i, text in enumerate(texts) if text]
        blank += end - begin - len(used)
        if used:
            columns[needs.name("words")].append([text for text in texts if text])
            columns[needs.name("tags")].append([_cell(table, tags, i) for i in used])
            rows.append(begin)
    result = table.take(rows)
    constant = {
        name: [values[i] for i in rows]
        for name, values in table.columns.items()
        if name not in (words, tags) and _is_constant(values, begins, ends)
    }
    result = result.with_columns({**constant, **columns})
    result.notes = [
        *table.notes,
        f"{table.name}: each row has one word; {source}: {len(table):,} words, {len(rows):,} sentences.",
    ]
    if blank:
        result.notes.append(f"{table.name}: skipped {blank:,} rows without a word.")
    return result


def _cell(table: Table, column: str, index: int) -> str:
    try:
        return as_text(table.columns[column][index]).strip()
    except ValueError as error:
        raise DataError(
            f"{table.where(index)}: column {column!r} {error}.", "Write one word and its tag per row."
        ) from error


def _is_constant(values: Sequence[Json], begins: Sequence[int], ends: Sequence[int]) -> bool:
    """Return whether a column has one value in each sentence; later cells may be empty."""
    return all(
        value in (values[begin], None, "")
        for begin, end in zip(begins, ends, strict=True)
        for value in values[begin:end]
    )
