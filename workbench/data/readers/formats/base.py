"""What a format is: files in, a table out; and what all of them share: decoding, JSON, errors with the row."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from workbench.data.readers.encoding import decode
from workbench.data.readers.file_types import check_file
from workbench.data.readers.table import Table
from workbench.errors import DataError
from workbench.registry import Registry

_HINT = "Fetch the data set again, or mend the file."


@dataclass
class RawFile:
    """A file as it lies there.

    Args:
        name: for messages.
        content: its bytes.
        encoding: taken as it is when given; else found out.
        notes: what was found out while reading it.
    """

    name: str
    content: bytes
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """The file's text, lines ended by ``\\n``. Raises DataError, with the line of what is no text."""
        text, notes = decode(self.content, self.name, self.encoding)
        self.notes += notes
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def json(self) -> Any:
        """The file as one JSON document. Raises DataError, with the line."""
        return load_json(self.text(), self.name)

    def json_lines(self) -> Iterator[tuple[int, Any]]:
        """The number of each line that is not empty, and the JSON on it. Raises DataError, with the line."""
        for number, line in enumerate(self.text().split("\n"), start=1):
            if line.strip():
                yield number, load_json(line, f"{self.name}, line {number}")


class Format(ABC):
    """Base of every format.

    Attributes:
        version: to be raised when the same files become other rows: runs on them are then told apart.
        suffixes: endings of users' files that are read so.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, files: Sequence[RawFile], part: str) -> Table:
        """The table of one part.

        Args:
            files: in the order in which the catalogue's entry names them.
            part: ``train``, ``valid`` or ``test``, for formats that make several from the same files.

        Raises:
            DataError: a file is not what it should be; the message says which, and the row.
        """

    @classmethod
    def knows(cls, path: Path) -> bool:
        """Whether a user's file is in this format: by its ending, where a format has one of its own."""
        return path.suffix.lower() in cls.suffixes

    def table(self, columns: Mapping[str, list[Any]], rows: Iterable[int], unit: str = "row") -> Table:
        """A table without a name yet; :func:`read_format` gives it one."""
        return Table("", dict(columns), list(rows), unit)


formats: Registry[Format] = Registry("format", package="workbench.data.readers.formats")


def read_format(
    format_name: str, paths: Sequence[Path], name: str, part: str = "train", encoding: str | None = None
) -> Table:
    """Read files of a format.

    Args:
        format_name: one of the registry ``formats``.
        paths: the files of one part.
        name: what the table is called, in messages and in the ids of its rows.
        part: see :meth:`Format.read`.
        encoding: of the files; found out if left out.

    Raises:
        UnknownNameError: there is no such format.
        DataError: a file is not what it should be; the message says which, and the row.
    """
    reader = formats.get(format_name)()
    files = [RawFile(path.name, _read_bytes(path), encoding) for path in paths]
    table = reader.read(files, part)
    if not len(table):
        raise DataError(f"{' and '.join(file.name for file in files)}: there are no rows.", _HINT)
    table.name = name
    table.notes[:0] = [note for file in files for note in file.notes]
    table.sha256 = _digest(reader, files)
    return table


def format_for(path: Path) -> str | None:
    """The format that a user's file is in; None for a plain table or text."""
    return next((name for name, kind in formats.items() if kind.knows(path)), None)


def _read_bytes(path: Path) -> bytes:
    if format_for(path) is not None:  # a user's: the catalogue's are pinned
        check_file(path, path.suffix.lower())
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", "Check the file's permissions.") from error


def _digest(reader: Format, files: Sequence[RawFile]) -> str:
    digest = hashlib.sha256(f"{reader.name}\0{reader.version}\0".encode())
    for file in files:
        digest.update(hashlib.sha256(file.content).digest())
    return digest.hexdigest()


# -- JSON -------------------------------------------------------------------------------------------------------------


def load_json(text: str, where: str) -> Any:
    """The JSON in ``text``. Raises DataError that begins with ``where``."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if error.lineno > 1 or "line" not in where else ""
        raise DataError(f"{where}{line}: not JSON: {error.msg}, at character {error.colno}.", _HINT) from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply.", _HINT) from error


def member(value: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """``value[key]`` when it is there and of this type. Raises DataError that begins with ``where``."""
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        what = "is missing" if found is None else f"is {type(found).__name__}"
        raise DataError(f"{where}: {key!r} {what}.", _HINT)
    return found


def malformed(where: str, what: str) -> DataError:
    """The error that says where something is not what it should be."""
    return DataError(f"{where}: {what}.", _HINT)
