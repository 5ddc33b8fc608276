"""CrossWOZ: a zip archive with one JSON file of dialogues."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table

MOST_BYTES = 256 * 1024**2  # unpacked: several times what the largest file of the data set takes


@formats.register("crosswoz")
class CrossWoz(Format):
    """Dialogues of a user (first, and at every other turn) and a system that looks things up."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        inner = RawFile(file.name, unpacked(file), file.encoding or "utf-8")
        document = inner.json()
        if not isinstance(document, dict):
            raise malformed(file.name, "an object of dialogues is needed")
        columns: dict[str, list[Any]] = {"turns": [], "dialogue": []}
        for number, (name, dialogue) in enumerate(document.items(), start=1):
            columns["turns"].append(_turns(dialogue, f"{file.name}, row {number}"))
            columns["dialogue"].append(name)
        return self.table(columns, range(1, len(document) + 1))


def unpacked(file: RawFile) -> bytes:
    """The one file in the archive. Raises DataError when there are others, or it is larger than ``MOST_BYTES``."""
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise malformed(file.name, f"it holds {len(names):,} files, and should hold one")
            with archive.open(names[0]) as stream:
                content = stream.read(MOST_BYTES + 1)  # what it says of its size is not believed
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise malformed(file.name, f"it is not a sound zip archive ({error})") from error
    if len(content) > MOST_BYTES:
        raise malformed(file.name, f"it unpacks to more than {MOST_BYTES:,} bytes, and was not read")
    return content


def _turns(dialogue: Any, where: str) -> list[str]:
    turns: list[str] = []
    for place, message in enumerate(member(dialogue, "messages", list, where)):
        role, text = member(message, "role", str, where), member(message, "content", str, where)
        expected = "sys" if place % 2 else "usr"
        if role != expected or not text.strip():
            raise malformed(where, f"message {place + 1} is by {role!r}, or empty, where {expected!r} should speak")
        turns.append(text.strip())
    if len(turns) < 2:
        raise malformed(where, "a dialogue needs two turns at least")
    return turns
