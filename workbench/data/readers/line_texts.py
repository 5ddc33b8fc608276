"""Text files whose lines have no fields: conversations in a chat model's template, and lines of ``word/TAG``."""

from __future__ import annotations

from workbench.data.cells.slash_tags import find_sign
from workbench.data.cells.transcripts import split_transcripts
from workbench.data.readers.table import Table

MIN_WORDS = 2.0  # words per line, on average, of a file with a sentence per line
_LOOKED_AT = 50  # lines


def read_line_texts(text: str, name: str) -> Table | None:
    """Return the conversations or the tagged lines of a file as the column ``text``; None if it holds neither.

    Args:
        text: the content of a ``.txt`` file.
        name: the file's name.
    """
    conversations = split_transcripts(text.replace("\r\n", "\n"))
    if conversations is not None:
        note = (
            f"{name}: read as {len(conversations):,} conversations: each begins behind an empty line, with a system "
            "message or with a sign of its template."
        )
        rows = [number for number, _ in conversations]
        return Table(name, {"text": [content.strip() for _, content in conversations]}, rows, "line", [note])
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if find_sign([line for _, line in lines[:_LOOKED_AT]]) is None:
        return None
    if sum(len(line.split()) for _, line in lines) < MIN_WORDS * len(lines):
        return None  # a word per line
    note = f"{name}: each line is read as a sentence."
    return Table(name, {"text": [line for _, line in lines]}, [number for number, _ in lines], "line", [note])
