"""CLUENER: JSON objects one after another, each a text and the places of its names. Words are characters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table


@formats.register("cluener")
class Cluener(Format):
    """Characters of Chinese texts, with tags B-name, I-name and so on, and O; spaces are no words."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        words: list[list[str]] = []
        tags: list[list[str]] = []
        inner = 0
        for number, record in objects(file):
            where = f"{file.name}, row {number}"
            text = member(record, "text", str, where)
            marked, left_out = _tags(text, spans(record, text, where))
            inner += left_out
            shown = [i for i, character in enumerate(text) if not character.isspace()]
            words.append([text[i] for i in shown])
            tags.append([marked[i] for i in shown])
        table = self.table({"words": words, "tags": tags}, range(1, len(words) + 1))
        if inner:
            table.notes.append(f"{file.name}: {inner:,} names inside others were left out.")
        return table


def objects(file: RawFile) -> Iterator[tuple[int, Any]]:
    """The JSON values that follow each other, each with its number from 1."""
    text = file.text()
    decoder = json.JSONDecoder()
    place, number = len(text) - len(text.lstrip()), 1
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise malformed(f"{file.name}, row {number}, line {error.lineno}", f"not JSON: {error.msg}") from error
        except RecursionError as error:
            raise malformed(f"{file.name}, row {number}", "nested too deeply") from error
        yield number, value
        number += 1
        while place < len(text) and text[place].isspace():
            place += 1


def spans(record: Any, text: str, where: str) -> list[tuple[int, int, str]]:
    """Beginning, end (exclusive) and kind of each name, checked against the text."""
    found = []
    for kind, names in member(record, "label", dict, where).items():
        if not isinstance(names, dict):
            raise malformed(where, f"the names of kind {kind[:40]!r} are no object")
        for name, places in names.items():
            for place in places if isinstance(places, list) else [None]:
                if not (isinstance(place, list) and len(place) == 2 and all(isinstance(i, int) for i in place)):
                    raise malformed(where, f"{str(place)[:40]} is no place of {name[:40]!r}")
                if text[max(0, place[0]) : place[1] + 1] != name or not name:
                    raise malformed(where, f"{name[:40]!r} does not stand at characters {place[0]} to {place[1]}")
                found.append((place[0], place[1] + 1, kind))
    return found


def _tags(text: str, found: Sequence[tuple[int, int, str]]) -> tuple[list[str], int]:
    """A tag for each character, and how many names lie in longer ones and are left out."""
    tags = ["O"] * len(text)
    inner = 0
    for begin, end, kind in sorted(found, key=lambda span: (span[0] - span[1], span)):
        if tags[begin:end] != ["O"] * (end - begin):
            inner += 1
            continue
        tags[begin:end] = [f"B-{kind}"] + [f"I-{kind}"] * (end - begin - 1)
    return tags, inner
