"""Texts with the positions of their entities: exports of doccano, Label Studio, Prodigy and spaCy.

    {"text": "Ada lives in Oslo", "label": [[0, 3, "PER"], [13, 17, "LOC"]]}
    {"text": "Ada lives in Oslo", "entities": [{"start": 0, "end": 3, "label": "PER"}]}
    {"text": "Ada lives in Oslo", "spans": [{"start": 0, "end": 3, "label": "PER"}], "answer": "accept"}
    {"data": {"text": "..."}, "annotations": [{"result": [{"value": {"start": 0, "end": 3, "labels": ["PER"]}}]}]}

Positions count characters, and the end is exclusive. They are checked against the text: positions that count UTF-16
units (as JavaScript does), bytes, or words are refused with the first of them. The texts are split into words with BIO
tags. An entity inside a longer one is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.data.cells.words import split_words
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, refused, shapes, unprinted, without
from workbench.errors import DataError
from workbench.types import Json, JsonObject

TEXTS = ("text", "sentence", "content", "raw", "body", "document")
SPANS = ("entities", "spans", "label", "labels", "annotations", "ner", "tags", "completions")
STARTS = ("start", "start_offset", "begin", "start_char", "offset")
ENDS = ("end", "end_offset", "end_char", "stop")
LABELS = ("label", "labels", "type", "entity", "entity_type", "tag", "entity_group", "category", "name")
SURFACES = ("text", "surface", "word", "mention", "value")
MAX_INSIDE = 0.3  # share of entities that may begin or end inside a word

_HINT = (
    "Write the positions in characters, from 0 on, with the end exclusive: text[start:end] is the entity. In "
    "JavaScript, count [...text].length instead of text.length."
)


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


@shapes.register("spans")
class Spans(Shape):
    """Texts with the positions of their entities."""

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
        table, rejected = _without_rejected(table)
        reader = _Reader(table, texts, spans)
        words, tags = reader.read()
        result = without(table, texts, spans, "tokens").with_columns(
            {
                **without(table, texts, spans, "tokens").columns,
                needs.name("words"): words,
                needs.name("tags"): tags,
            }
        )
        notes = [f"{table.name}: {reader.count:,} entities of column {spans!r} were read as tags of words."]
        if rejected:
            notes.append(f"{table.name}: skipped {rejected:,} rows whose answer is not accept.")
        if reader.nested:
            notes.append(f"{table.name}: left out {reader.nested:,} entities that overlap a longer one.")
        if reader.inside:
            notes.append(f"{table.name}: {reader.inside:,} entities begin or end inside a word, which was split there.")
        result.notes = [*table.notes, *notes]
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
    shown = first_values(table, texts)
    if not shown or not all(isinstance(_text_in(value), str) for value in shown):
        return None
    values = first_values(table, spans)
    return columns if values and all(_are_spans(value) for value in values) else None


def _text_in(cell: Json) -> Json:
    """Return the text of a cell, which Label Studio writes as an object."""
    if isinstance(cell, dict):
        return next((cell[name] for name in TEXTS if isinstance(cell.get(name), str)), None)
    return cell


def _are_spans(cell: Json) -> bool:
    if isinstance(cell, dict):
        cell = cell.get("entities")
    if not isinstance(cell, list):
        return False
    return all(
        (isinstance(item, list) and len(item) >= 3 and _is_int(item[0]) and _is_int(item[1]))
        or (isinstance(item, dict) and ("result" in item or _first(item, STARTS) is not None))
        for item in cell
    )


def _is_int(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _first(record: JsonObject, names: Sequence[str]) -> Json:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _without_rejected(table: Table) -> tuple[Table, int]:
    """Return the table without the rows that an annotator rejected or ignored in Prodigy, and their number."""
    answer = find_column(table, ("answer",))
    if answer is None or not set(map(str, table.columns[answer])) <= {"accept", "reject", "ignore"}:
        return table, 0
    accepted = [i for i, value in enumerate(table.columns[answer]) if value == "accept"]
    return table.take(accepted), len(table) - len(accepted)


# -- entities ---------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads the entities of all rows as tags of words, and counts what is unusual."""

    def __init__(self, table: Table, texts: str, spans: str) -> None:
        self.table, self.texts, self.spans = table, texts, spans
        self.count = self.nested = self.inside = self.inclusive = 0
        self.first_inside = ""

    def read(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return the words and the tags of each row."""
        rows: tuple[list[list[str]], list[list[str]]] = ([], [])
        for index, cell in enumerate(self.table.columns[self.texts]):
            where = f"{self.table.where(index)}: column {self.spans!r}"
            text = _text_in(unprinted(cell) if not isinstance(cell, str) or cell[:1] == "{" else cell)
            if not isinstance(text, str):
                raise refused(f"{self.table.where(index)}: column {self.texts!r}", "holds no text", _HINT)
            spans = [
                self._checked(*item, text, where)
                for item in _spans_of(unprinted(self.table.columns[self.spans][index]), where)
            ]
            for values, own in zip(rows, _tagged(text, self._without_nested(spans)), strict=True):
                values.append(own)
        if self.inside > MAX_INSIDE * self.count:
            kind = "inclusive ends" if self.inclusive > self.inside / 2 else "other units than characters"
            raise DataError(
                f"{self.first_inside}: {self.inside:,} of {self.count:,} entities begin or end inside a word. Their "
                f"positions seem to have {kind}.",
                _HINT,
            )
        return rows

    def _checked(self, start: Json, end: Json, label: str, surface: Json, text: str, where: str) -> Span:
        """Return a span that lies in the text, at the borders of something."""
        if not isinstance(start, int) or not isinstance(end, int) or isinstance(start, bool) or isinstance(end, bool):
            raise refused(where, f"has the position {str(start)[:20]} to {str(end)[:20]}, which are not numbers", _HINT)
        in_utf16 = _from_utf16(text, start, end)
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
        if not _is_clean(text, start, end):
            self.inside += 1
            self.inclusive += end < len(text) and _is_clean(text, start, end + 1)
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


def _spans_of(cell: Json, where: str) -> Iterator[tuple[Json, Json, str, Json]]:
    """Yield the start, end, label and surface of each entity of a row."""
    if isinstance(cell, dict):
        cell = cell.get("entities")
    if cell is None or cell == "":
        return
    if not isinstance(cell, list):
        raise refused(where, "is not a list of entities", _HINT)
    for item in cell:
        if isinstance(item, dict) and "result" in item:  # an annotation of Label Studio
            if not item.get("was_cancelled"):
                results = item["result"]
                values = (
                    [each.get("value") for each in results if isinstance(each, dict)]
                    if isinstance(results, list)
                    else []
                )
                yield from _spans_of([value for value in values if isinstance(value, dict) and "start" in value], where)
                return  # further annotations are other people's opinions of the same text
        elif isinstance(item, list) and len(item) >= 3:
            yield item[0], item[1], _label(item[2], where), None
        elif isinstance(item, dict):
            start, end = _first(item, STARTS), _first(item, ENDS)
            length = item.get("length")
            if end is None and isinstance(start, int) and isinstance(length, int):
                end = start + length
            yield start, end, _label(_first(item, LABELS), where), _first(item, SURFACES)
        else:
            raise refused(where, f"holds {str(item)[:60]!r}, but an entity is [start, end, label]", _HINT)


def _label(value: Json, where: str) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value.strip():
        raise refused(where, f"holds an entity with the label {str(value)[:40]!r}, but a text is needed", _HINT)
    return "_".join(value.split())


# -- positions --------------------------------------------------------------------------------------------------------


def _from_utf16(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return the positions in characters of positions in UTF-16 units; None if they are not in the text."""
    if text.isascii() or not any(character > "\uffff" for character in text):
        return start, end
    units = [0]
    for character in text:
        units.append(units[-1] + 1 + (character > "\uffff"))
    index = {unit: position for position, unit in enumerate(units)}
    first, last = index.get(start), index.get(end)
    return (first, last) if first is not None and last is not None and first < last else None


def _fits_better(text: str, one: tuple[int, int], other: tuple[int, int], surface: Json) -> bool:
    """Return whether one range is plainly an entity, and the other is not."""
    if isinstance(surface, str) and surface.strip():
        return text[slice(*one)] == surface != text[slice(*other)]
    outside = not 0 <= other[0] < other[1] <= len(text)
    return _is_clean(text, *one) and (outside or not _is_clean(text, *other))


def _is_clean(text: str, start: int, end: int) -> bool:
    """Return whether a range begins and ends at the border of a word."""
    if not 0 <= start < end <= len(text) or text[start].isspace() or text[end - 1].isspace():
        return False
    return not any(
        0 < border < len(text) and _is_letter(text[border - 1]) and _is_letter(text[border]) for border in (start, end)
    )


def _is_letter(character: str) -> bool:
    """Return whether a character is part of a word that is written without spaces around its parts."""
    return character.isalnum() and character < "\u0e00"  # beyond it are scripts without spaces: Thai, Chinese ...


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
