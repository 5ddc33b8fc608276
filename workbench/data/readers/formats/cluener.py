"""CLUENER: JSON objects one after another, each a text and the positions of its names. Words are characters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table
from workbench.types import Json


@formats.register("cluener")
class Cluener(Format):
    """Characters of Chinese texts, with tags B-name, I-name and so on, and O; spaces are not words."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        words: list[list[str]] = []
        tags: list[list[str]] = []
        nested = 0
        for number, record in json_objects(file):
            where = f"{file.name}, row {number}"
            text = member(record, "text", str, where)
            all_tags, excluded = _tag_characters(text, name_spans(record, text, where))
            nested += excluded
            visible = [i for i, character in enumerate(text) if not character.isspace()]
            words.append([text[i] for i in visible])
            tags.append([all_tags[i] for i in visible])
        table = self.table({"words": words, "tags": tags}, range(1, len(words) + 1))
        if nested:
            table.notes.append(f"{file.name}: excluded {nested:,} names inside longer ones.")
        return table


def json_objects(file: RawFile) -> Iterator[tuple[int, Json]]:
    """Yield the JSON values of a file that holds one after another, each with its number from 1.

    Args:
        file: the file.

    Raises:
        DataError: a value is not JSON; the message names its number and line.
    """
    text = file.text()
    decoder = json.JSONDecoder()
    position, number = len(text) - len(text.lstrip()), 1
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise malformed(f"{file.name}, row {number}, line {error.lineno}", f"not JSON: {error.msg}") from error
        except RecursionError as error:
            raise malformed(f"{file.name}, row {number}", "nested too deeply") from error
        yield number, value
        number += 1
        while position < len(text) and text[position].isspace():
            position += 1


def name_spans(record: Json, text: str, where: str) -> list[tuple[int, int, str]]:
    """Return the start, end (exclusive) and kind of each name, checked against the text.

    Args:
        record: the object that lists the names.
        text: its text.
        where: its location, for messages.

    Raises:
        DataError: a name is not where the record says.
    """
    spans: list[tuple[int, int, str]] = []
    for kind, names in member(record, "label", dict, where).items():
        if not isinstance(names, dict):
            raise malformed(where, f"the names of kind {kind[:40]!r} are not an object")
        for name, ranges in names.items():
            for each in ranges if isinstance(ranges, list) else [None]:
                start, end = _range(each, name, where)
                if text[max(0, start) : end] != name or not name:
                    raise malformed(where, f"{name[:40]!r} is not at characters {start} to {end - 1}")
                spans.append((start, end, kind))
    return spans


def _range(value: Json, name: str, where: str) -> tuple[int, int]:
    """Return start and end (exclusive) of a range whose end is inclusive in the file."""
    if isinstance(value, list) and len(value) == 2:
        start, last = value
        if isinstance(start, int) and isinstance(last, int):
            return start, last + 1
    raise malformed(where, f"{str(value)[:40]} is not a position of {name[:40]!r}")


def _tag_characters(text: str, spans: Sequence[tuple[int, int, str]]) -> tuple[list[str], int]:
    """Return a tag for each character, and how many names are inside longer ones and excluded."""
    tags = ["O"] * len(text)
    nested = 0
    for start, end, kind in sorted(spans, key=lambda span: (span[0] - span[1], span)):
        if tags[start:end] != ["O"] * (end - start):
            nested += 1
            continue
        tags[start:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - start - 1)
    return tags, nested
