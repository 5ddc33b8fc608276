"""Texts with their entities by position or by name: exports of doccano, Label Studio, Prodigy and spaCy, and others.

    {"text": "Ada lives in Oslo", "label": [[0, 3, "PER"], [13, 17, "LOC"]]}
    {"text": "Ada lives in Oslo", "entities": [{"start": 0, "end": 3, "label": "PER"}]}
    {"text": "Ada lives in Oslo", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"}
    {"data": {"text": "..."}, "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]}]}
    {"text": "Ada lives in Oslo", "entities": {"PER": ["Ada"], "LOC": ["Oslo"]}}

Further forms are in :mod:`workbench.data.cells.entities`. Positions count characters, and the end is exclusive; if the
names beside them show that they count otherwise (an inclusive end, UTF-16 units, bytes), they are read so. Positions
are checked against the text: those that count UTF-16 units (as JavaScript does), bytes, or words are refused with the
first of them. A name without a position is tagged wherever it occurs as a word of its own. The texts are split into
words with BIO tags. An entity inside a longer one is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.data.cells.entities import Mention, is_annotations, parse_mentions
from workbench.data.cells.positions import UNITS, find_unit, from_units, is_clean, occurrences, utf16_size
from workbench.data.cells.words import split_words
from workbench.data.labels.lists import name_of
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    LOOKED_AT,
    Needs,
    Shape,
    find_column,
    first_values,
    refused,
    shapes,
    unprinted,
    without,
)
from workbench.errors import DataError
from workbench.types import Json

TEXTS = ("text", "sentence", "content", "raw", "body", "document", "originalText", "original_text", "tweet", "query")
SPANS = (
    *("entities", "spans", "label", "labels", "annotations", "annotation", "ner", "tags", "completions", "ents"),
    *("entity_list", "entity", "entityMentions", "entity_mentions", "mentions", "named_entities", "ner_labels"),
    *("slots", "result"),
)
MIN_READABLE = 0.8  # share of the first cells that are entities
MIN_NAMED = 0.9  # share of entities that need a name beside their position to show what it counts
MAX_INSIDE = 0.3  # share of entities that may begin or end inside a word
MIN_LONGER = 2.0  # how much longer than any other the texts of a key are that is taken for the text

_EXAMPLES = 3  # entities in the note
_REASON = "the entities are not valid"
_HINT = (
    "Write the positions in characters, from 0 on, with the end exclusive: text[start:end] is the entity. In "
    "JavaScript, count [...text].length instead of text.length."
)
_NUMBERS = "Write the name of each label, or name the numbers in data.label_names, from 0 on."


@dataclass(frozen=True, order=True)
class Span:
    """An entity of a text.

    Attributes:
        start: index of its first character.
        end: index after its last character.
        label: its type.
    """

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Annotated:
    """A text and its entities as they are written; ``mentions`` is None if nobody has annotated it."""

    text: str
    mentions: list[Mention] | None


@shapes.register("spans")
class Spans(Shape):
    """Texts with their entities by position or by name."""

    roles = ("words", "tags")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("words").kind != "words" or needs.column("tags").kind != "tags":
            return False
        return _find_columns(table, needs) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _find_columns(table, needs) or _named_columns(table, needs)
        if columns is None:
            raise DataError(f"{table.name} lacks the texts or entities of the training data.", "Use the same columns.")
        texts, spans = columns
        table, rejected = without_rejected(table)
        reader = _Reader(table, texts, spans, needs)
        table, rows = reader.read()
        result = without(table, texts, spans, "tokens").with_columns(
            {
                **without(table, texts, spans, "tokens").columns,
                needs.name("words"): [words for words, _ in rows],
                needs.name("tags"): [tags for _, tags in rows],
            }
        )
        examples = f", such as {', '.join(reader.examples)}" if reader.examples else ""
        notes = [f"{table.name}: {reader.count:,} entities of column {spans!r} were read as tags of words{examples}."]
        if rejected:
            notes.append(f"{table.name}: skipped {rejected:,} rows whose answer is not accept.")
        result.notes = [*table.notes, *notes, *reader.notes()]
        return result


# -- columns ----------------------------------------------------------------------------------------------------------


def _named_columns(table: Table, needs: Needs) -> tuple[str, str] | None:
    texts = needs.find(table, "words", (*TEXTS, "data"))
    others = [name for name in SPANS if name != texts]
    spans = needs.find(table, "tags", others)
    return (texts, spans) if texts is not None and spans is not None and texts != spans else None


def _find_columns(table: Table, needs: Needs) -> tuple[str, str] | None:
    """Return the columns of texts and of entities; None if the table has no such columns."""
    columns = _named_columns(table, needs)
    if columns is None:
        return None
    texts, spans = columns
    key = text_key(table, texts)
    total = readable = mentions = 0
    for index, cell in enumerate(table.columns[spans]):
        text = text_in(unprinted_object(table.columns[texts][index]), key)
        if cell is None or cell in ("", [], {}) or not isinstance(text, str):
            continue
        total += 1
        try:
            mentions += len(parse_mentions(unprinted(cell), text) or ())
            readable += 1
        except ValueError:
            pass
        if total == LOOKED_AT:
            break
    return columns if mentions and readable >= MIN_READABLE * total else None


def unprinted_object(cell: Json) -> Json:
    """Return the object that a cell holds, perhaps in its printed form; a text as it is.

    Args:
        cell: the cell.
    """
    return unprinted(cell) if not isinstance(cell, str) or cell[:1] == "{" else cell


def text_key(table: Table, column: str) -> str | None:
    """Return the key of the texts in the objects of a column, which Label Studio names as the user likes.

    Args:
        table: the rows.
        column: the column; None is returned if it holds texts, or objects with a usual key.
    """
    records = [value for value in first_values(table, column) if isinstance(value, dict)]
    if not records or any(isinstance(records[0].get(name), str) for name in TEXTS):
        return None
    sizes: dict[str, int] = {}
    for key in records[0]:
        texts = [text for record in records if isinstance(text := record.get(key), str)]
        if len(texts) == len(records):
            sizes[key] = sum(map(len, texts))
    longest = sorted(sizes, key=lambda key: -sizes[key])
    if not longest or (len(longest) > 1 and sizes[longest[0]] < MIN_LONGER * sizes[longest[1]]):
        return None
    return longest[0]


def text_in(cell: Json, key: str | None) -> Json:
    """Return the text of a cell, which Label Studio writes as an object.

    Args:
        cell: the cell.
        key: as :func:`text_key` returns it.
    """
    if isinstance(cell, dict):
        names = TEXTS if key is None else (key,)
        return next((cell[name] for name in names if isinstance(cell.get(name), str)), None)
    return cell


def without_rejected(table: Table) -> tuple[Table, int]:
    """Return the table without the rows that an annotator rejected or ignored in Prodigy, and their number.

    Args:
        table: the rows.
    """
    answer = find_column(table, ("answer",))
    if answer is None or not set(map(str, table.columns[answer])) <= {"accept", "reject", "ignore"}:
        return table, 0
    accepted = [i for i, value in enumerate(table.columns[answer]) if value == "accept"]
    return table.take(accepted), len(table) - len(accepted)


# -- entities ---------------------------------------------------------------------------------------------------------


def _find_unit(rows: Sequence[Annotated]) -> str:
    """Return what positions count, if most entities have their name beside their position."""
    placed = [(row.text, each) for row in rows for each in row.mentions or () if each.start is not None]
    named = [
        (text, each.start, each.end, each.surface)
        for text, each in placed
        if each.start is not None and each.end is not None and each.surface is not None
    ]
    return find_unit(named) if len(named) >= MIN_NAMED * len(placed) else ""


class _Reader:
    """Reads the entities of all rows as tags of words, and counts what is unusual."""

    def __init__(self, table: Table, texts: str, spans: str, needs: Needs) -> None:
        self.table, self.texts, self.spans = table, texts, spans
        self.names = needs.spec.label_names
        self.key = text_key(table, texts)
        self.of_tool = any(is_annotations(value) for value in first_values(table, spans))
        self.count = self.nested = self.inside = self.inclusive = self.repeated = self.skipped = 0
        self.first_inside = self.unit = ""
        self.examples: list[str] = []

    def read(self) -> tuple[Table, list[tuple[list[str], list[str]]]]:
        """Return the rows that can be used, and the words and the tags of each."""
        self.table, rows = convert_rows(self.table, self._row, _REASON)
        annotated = [i for i, row in enumerate(rows) if row.mentions is not None]
        self.skipped = len(rows) - len(annotated)
        if not annotated:
            raise DataError(f"{self.table.name}: no text is annotated.", "Annotate the texts, and export them again.")
        self.table, rows = self.table.take(annotated), [rows[i] for i in annotated]
        self.unit = _find_unit(rows)
        self.table, tagged = convert_rows(self.table, lambda index: self._tagged(index, rows[index]), _REASON)
        if self.inside > MAX_INSIDE * self.count:
            kind = "inclusive ends" if self.inclusive > self.inside / 2 else "other units than characters"
            raise DataError(
                f"{self.first_inside}: {self.inside:,} of {self.count:,} entities begin or end inside a word. Their "
                f"positions seem to have {kind}.",
                _HINT,
            )
        return self.table, tagged

    def notes(self) -> list[str]:
        """Return what was unusual, in sentences."""
        texts = (
            (self.unit, f"the names beside the positions show that {self.unit}; they were read so."),
            (self.skipped, f"skipped {self.skipped:,} texts that nobody has annotated."),
            (
                self.repeated,
                f"{self.repeated:,} names without a position occur several times in their text; each occurrence was "
                "tagged.",
            ),
            (self.nested, f"left out {self.nested:,} entities that overlap a longer one."),
            (self.inside, f"{self.inside:,} entities begin or end inside a word, which was split there."),
        )
        key = f" The texts are those of the key {self.key!r}." if self.key else ""
        notes = [f"{self.table.name}: {text}" for count, text in texts if count]
        return [*notes, f"{self.table.name}:{key}"] if key else notes

    def _where(self, index: int) -> str:
        return f"{self.table.where(index)}: column {self.spans!r}"

    def _row(self, index: int) -> Annotated:
        text = text_in(unprinted_object(self.table.columns[self.texts][index]), self.key)
        if not isinstance(text, str):
            raise refused(f"{self.table.where(index)}: column {self.texts!r}", "holds no text", _HINT)
        cell = unprinted(self.table.columns[self.spans][index])
        if self.of_tool and cell == []:
            return Annotated(text, None)
        try:
            return Annotated(text, parse_mentions(cell, text))
        except ValueError as error:
            raise refused(self._where(index), str(error), _HINT) from error

    def _tagged(self, index: int, row: Annotated) -> tuple[list[str], list[str]]:
        where = self._where(index)
        spans: list[Span] = []
        by_name: dict[str, list[str]] = {}
        for mention in row.mentions or ():
            label = self._label(mention, index)
            if mention.start is None or mention.end is None:
                by_name.setdefault((mention.surface or "").strip(), []).append(label)
            else:
                spans.append(self._checked(mention.start, mention.end, label, mention.surface, row.text, where))
        for name, labels in by_name.items():
            spans += self._located(name, labels, row.text, where)
        chosen = self._without_nested(spans)
        if chosen and len(self.examples) < _EXAMPLES:
            self.examples.append(f"{row.text[chosen[0].start : chosen[0].end][:30]!r} ({chosen[0].label})")
        return _tagged(row.text, chosen)

    def _label(self, mention: Mention, index: int) -> str:
        if isinstance(mention.label, str):
            return mention.label
        name = None
        if self.names is not None:
            name = name_of(self.table, index, self.spans, mention.label, self.names)
        if not isinstance(name, str):
            raise refused(self._where(index), f"holds an entity with the number {mention.label} as its label", _NUMBERS)
        return "_".join(name.split())

    def _located(self, name: str, labels: Sequence[str], text: str, where: str) -> list[Span]:
        """Return the spans of a name without a position: all its occurrences, or one for each of several types."""
        positions = occurrences(text, name)
        if not positions:
            raise refused(
                where,
                f"holds the name {name[:60]!r}, which does not occur in its text",
                "Write the name as it is in the text, or its position in characters.",
            )
        if len(set(labels)) > 1 and len(labels) != len(positions):
            raise refused(
                where,
                f"holds the name {name[:60]!r} as {' and as '.join(sorted(set(labels)))}, but it occurs "
                f"{len(positions)} times",
                "Write the positions of such names.",
            )
        self.count += len(set(labels)) if len(set(labels)) > 1 else 1
        self.repeated += len(positions) > len(labels)
        own = labels if len(set(labels)) > 1 else [labels[0]] * len(positions)
        return [Span(*position, label) for position, label in zip(positions, own, strict=True)]

    def _checked(self, start: int, end: int, label: str, surface: str | None, text: str, where: str) -> Span:
        """Return a span that lies in the text, at the borders of something."""
        start, end = UNITS[self.unit](text, start, end) or (start, end)
        in_utf16 = None if self.unit else from_units(text, start, end, utf16_size)
        if in_utf16 is not None and in_utf16 != (start, end) and _fits_better(text, in_utf16, (start, end), surface):
            raise refused(
                where,
                f"has an entity at {start} to {end}, which counts UTF-16 units: {text[slice(*in_utf16)][:40]!r} is at "
                f"{in_utf16[0]} to {in_utf16[1]}",
                _HINT,
            )
        if not 0 <= start < end <= len(text):
            raise refused(
                where,
                f"has an entity at {str(start)[:20]} to {str(end)[:20]}, but its text has {len(text)} characters",
                _HINT,
            )
        if isinstance(surface, str) and surface.strip() and text[start:end] != surface:
            if text[start : end + 1] == surface:
                raise refused(where, f"says that {surface[:40]!r} ends at {end}: the end is inclusive", _HINT)
            if text[start:end].strip() != surface.strip():
                raise refused(
                    where,
                    f"says that {surface[:40]!r} is at {start} to {end}, which is {text[start:end][:40]!r}",
                    _HINT,
                )
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start == end:
            raise refused(where, f"has an entity at {start} that is only space", _HINT)
        self.count += 1
        if not is_clean(text, start, end):
            self.inside += 1
            self.inclusive += end < len(text) and is_clean(text, start, end + 1)
            self.first_inside = self.first_inside or f"{where}: {text[start:end][:40]!r} at {start} to {end}"
        return Span(start, end, label)

    def _without_nested(self, spans: Sequence[Span]) -> list[Span]:
        """Return the spans in order, without those that overlap a longer one."""
        chosen: list[Span] = []
        for span in sorted(set(spans), key=lambda span: (span.start - span.end, span)):
            if any(span.start < other.end and other.start < span.end for other in chosen):
                self.nested += 1
            else:
                chosen.append(span)
        return sorted(chosen)


# -- positions --------------------------------------------------------------------------------------------------------


def _fits_better(text: str, one: tuple[int, int], other: tuple[int, int], surface: str | None) -> bool:
    """Return whether one range is plainly an entity, and the other is not."""
    if isinstance(surface, str) and surface.strip():
        return text[slice(*one)] == surface != text[slice(*other)]
    outside = not 0 <= other[0] < other[1] <= len(text)
    return is_clean(text, *one) and (outside or not is_clean(text, *other))


def _tagged(text: str, spans: Sequence[Span]) -> tuple[list[str], list[str]]:
    """Return the words of a text and their BIO tags; a word is split where an entity begins or ends in it."""
    words: list[str] = []
    tags: list[str] = []
    position = 0
    pieces: list[tuple[int, int, str]] = []
    for span in spans:
        pieces += [(position, span.start, ""), (span.start, span.end, span.label)]
        position = span.end
    for start, end, label in [*pieces, (position, len(text), "")]:
        own = [(start + first, start + last) for first, last in split_words(text[start:end])]
        words += [text[first:last] for first, last in own]
        tags += [f"{'I' if i else 'B'}-{label}" if label else "O" for i in range(len(own))]
    return words, tags
