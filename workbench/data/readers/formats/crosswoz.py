"""CrossWOZ: a zip archive with one JSON file of dialogues."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table
from workbench.types import Json

MAX_BYTES = 256 * 1024**2  # unpacked: several times the largest file of the data set


@formats.register("crosswoz")
class CrossWoz(Format):
    """Dialogues of a user (first, and at every other turn) and a system that looks things up."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        inner = RawFile(file.name, unpack(file), file.encoding or "utf-8")
        document = inner.json()
        if not isinstance(document, dict):
            raise malformed(file.name, "an object of dialogues is needed")
        columns: dict[str, list[Any]] = {"turns": [], "dialogue": []}
        for number, (name, dialogue) in enumerate(document.items(), start=1):
            columns["turns"].append(_turns(dialogue, f"{file.name}, row {number}"))
            columns["dialogue"].append(name)
        return self.table(columns, range(1, len(document) + 1))


def unpack(file: RawFile) -> bytes:
    """Return the only file in an archive.

    Args:
        file: the zip archive.

    Raises:
        DataError: the archive is damaged, holds several files, or unpacks to more than ``MAX_BYTES``.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise malformed(file.name, f"it holds {len(names):,} files, but must hold one")
            with archive.open(names[0]) as stream:
                content = stream.read(MAX_BYTES + 1)  # the declared size is not trusted
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise malformed(file.name, f"it is not a valid zip archive ({error})") from error
    if len(content) > MAX_BYTES:
        raise malformed(file.name, f"it unpacks to more than {MAX_BYTES:,} bytes, and was not read")
    return content


def _turns(dialogue: Json, where: str) -> list[str]:
    turns: list[str] = []
    for position, message in enumerate(member(dialogue, "messages", list, where)):
        role, text = member(message, "role", str, where), member(message, "content", str, where)
        expected = "sys" if position % 2 else "usr"
        if role != expected or not text.strip():
            raise malformed(where, f"message {position + 1} is empty or by {role!r}, but {expected!r} is expected")
        turns.append(text.strip())
    if len(turns) < 2:
        raise malformed(where, "a dialogue needs at least two turns")
    return turns
