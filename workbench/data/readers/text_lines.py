"""The lines of a text that is in memory, one after another: no copy of the text, and progress for large files."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workbench.data.progress import Progress

REPORTED = 1 << 24  # characters from which on reading a text reports its progress
_STEP = 1 << 21  # characters between two reports
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_JSON_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def text_lines(text: str, name: str, progress: Progress | None = None, only_newlines: bool = False) -> Iterator[str]:
    """Yield the lines of a text with their ends.

    Args:
        text: the content of a file.
        name: the file's name, which is the label of the progress.
        progress: called with the characters read so far, if there are at least ``REPORTED``.
        only_newlines: whether a line ends only with ``\\n``, as in JSON lines, and not also with ``\\r``.
    """
    lines = (_JSON_LINE if only_newlines else _LINE).finditer(text)
    if progress is None or len(text) < REPORTED:
        for match in lines:
            yield match.group()
        return
    reported = 0
    for match in lines:
        if match.start() >= reported:
            progress(f"Reading {name}", match.start(), len(text))
            reported = match.start() + _STEP
        yield match.group()
    progress(f"Reading {name}", len(text), len(text))
