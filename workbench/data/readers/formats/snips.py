"""Snips' benchmark of 2017: one file an intent; an utterance is a list of pieces, some of which fill a slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, load_json, malformed, member
from workbench.data.readers.table import Table


@formats.register("snips")
class Snips(Format):
    """Utterances as a text and its intent (``text``, ``label``), and as words with the slots' tags (BIO)."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        columns: dict[str, list[Any]] = {name: [] for name in ("text", "label", "words", "tags")}
        for file in files:
            document = load_json(lines_of_two_encodings(file), file.name)
            if not isinstance(document, dict) or len(document) != 1:
                raise malformed(file.name, "an object with one intent is needed")
            intent = next(iter(document))
            for number, utterance in enumerate(member(document, intent, list, file.name), start=1):
                pieces = member(utterance, "data", list, f"{file.name}, row {number}")
                text, words, tags = _read(pieces, f"{file.name}, row {number}")
                for name, value in zip(columns, (text, intent, words, tags), strict=True):
                    columns[name].append(value)
        return self.table(columns, range(1, len(columns["text"]) + 1))


def lines_of_two_encodings(file: RawFile) -> str:
    """The text of a file most of whose lines are UTF-8, and a few Windows-1252: each line is read as what it is."""
    lines = []
    other = 0
    for number, line in enumerate(file.content.split(b"\n"), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            other += 1
            try:
                lines.append(line.decode("cp1252"))
            except UnicodeDecodeError as error:
                raise malformed(
                    f"{file.name}, line {number}", f"it is neither UTF-8 nor Windows-1252 ({error})"
                ) from error
    if other:
        file.notes.append(f"{file.name}: {other:,} lines are not UTF-8, and were read as Windows-1252.")
    return "\n".join(lines)


def _read(pieces: Sequence[Any], where: str) -> tuple[str, list[str], list[str]]:
    """The text, its words and their tags. A piece's border is a word's border too."""
    texts: list[str] = []
    words: list[str] = []
    tags: list[str] = []
    for piece in pieces:
        text = member(piece, "text", str, where)
        slot = member(piece, "entity", str, where) if "entity" in piece else None
        found = text.split()
        texts.append(text)
        words += found
        tags += [f"{'I' if i else 'B'}-{slot}" if slot else "O" for i in range(len(found))]
    return " ".join("".join(texts).split()), words, tags
