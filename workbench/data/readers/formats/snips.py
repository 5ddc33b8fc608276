"""Snips' benchmark of 2017: one file per intent; an utterance is a list of segments, some of which fill a slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, load_json, malformed, member
from workbench.data.readers.table import Table
from workbench.types import Json


@formats.register("snips")
class Snips(Format):
    """Utterances as a text and its intent (``text``, ``label``), and as words with the slots' tags (BIO)."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        columns: dict[str, list[Any]] = {name: [] for name in ("text", "label", "words", "tags")}
        for file in files:
            document = load_json(decode_mixed_lines(file), file.name)
            if not isinstance(document, dict) or len(document) != 1:
                raise malformed(file.name, "an object with one intent is needed")
            intent = next(iter(document))
            for number, utterance in enumerate(member(document, intent, list, file.name), start=1):
                segments = member(utterance, "data", list, f"{file.name}, row {number}")
                text, words, tags = _read_segments(segments, f"{file.name}, row {number}")
                for name, value in zip(columns, (text, intent, words, tags), strict=True):
                    columns[name].append(value)
        return self.table(columns, range(1, len(columns["text"]) + 1))


def decode_mixed_lines(file: RawFile) -> str:
    """Return the text of a file whose lines are UTF-8, except for a few in Windows-1252.

    Args:
        file: the file; a note counts the lines in Windows-1252.

    Raises:
        DataError: a line is neither.
    """
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
                problem = f"it is neither UTF-8 nor Windows-1252 ({error})"
                raise malformed(f"{file.name}, line {number}", problem) from error
    if other:
        file.notes.append(f"{file.name}: {other:,} lines are not UTF-8 and were read as Windows-1252.")
    return "\n".join(lines)


def _read_segments(segments: Sequence[Json], where: str) -> tuple[str, list[str], list[str]]:
    """Return the text, its words and their tags. A word never crosses segments."""
    texts: list[str] = []
    words: list[str] = []
    tags: list[str] = []
    for segment in segments:
        text = member(segment, "text", str, where)
        slot = member(segment, "entity", str, where) if isinstance(segment, dict) and "entity" in segment else None
        segment_words = text.split()
        texts.append(text)
        words += segment_words
        tags += [f"{'I' if i else 'B'}-{slot}" if slot else "O" for i in range(len(segment_words))]
    return " ".join("".join(texts).split()), words, tags
