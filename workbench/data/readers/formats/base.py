"""The contract of a dataset format, files in and a table out; and what formats share: decoding, JSON, errors."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from workbench.data.examples import SplitName
from workbench.data.readers.encodings.encoding import decode
from workbench.data.readers.file_types import SUFFIXES, check_file, read_bytes
from workbench.data.readers.limits import check_structure
from workbench.data.readers.table import Table
from workbench.errors import DataError
from workbench.registry import Registry
from workbench.types import Json

T = TypeVar("T", str, int, list[Json], dict[str, Json])

_HINT = "Fetch the data set again, or correct the file."


@dataclass
class RawFile:
    """A file that is not decoded yet.

    Args:
        name: for messages.
        content: its bytes.
        encoding: detected if None.
        notes: what was detected while reading it.
    """

    name: str
    content: bytes
    encoding: str | None = None
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return the file's text, with lines that end in ``\\n``.

        Raises:
            DataError: it is not text; the message names the line.
        """
        text, notes = decode(self.content, self.name, self.encoding)
        self.notes += notes
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def json(self) -> Json:
        """Return the file as one JSON document.

        Raises:
            DataError: it is not JSON; the message names the line.
        """
        return load_json(self.text(), self.name)

    def json_lines(self) -> Iterator[tuple[int, Json]]:
        """Yield the number of each line that is not empty, and the JSON on it.

        Raises:
            DataError: a line is not JSON; the message names it.
        """
        for number, line in enumerate(self.text().split("\n"), start=1):
            if line.strip():
                yield number, load_json(line, f"{self.name}, line {number}")


class Format(ABC):
    """Base of every dataset format.

    Attributes:
        version: increment it when the same files result in other rows, so that runs on them are told apart.
        suffixes: suffixes of users' files in this format.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        """Return the table of one split.

        Args:
            files: in the order of the catalogue entry.
            split: for formats that make several splits from the same files.

        Raises:
            DataError: a file is malformed; the message names it and the row.
        """

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a user's file is in this format, by default by its suffix.

        Args:
            path: the file.
        """
        return path.suffix.lower() in cls.suffixes

    @classmethod
    def companions(cls, path: Path) -> list[Path]:
        """Return the other files that belong to a user's file.

        Args:
            path: the file that the user names.
        """
        return []

    def table(self, columns: Mapping[str, Sequence[object]], rows: Iterable[int], unit: str = "row") -> Table:
        """Return a table; :func:`read_format` sets its name.

        Args:
            columns: for each column its values.
            rows: the number of each row in the file.
            unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        """
        return Table("", {name: list(values) for name, values in columns.items()}, list(rows), unit)


formats: Registry[Format] = Registry("format", package="workbench.data.readers.formats")


def read_format(
    format_name: str, paths: Sequence[Path], name: str, split: SplitName = "train", encoding: str | None = None
) -> Table:
    """Read files in a dataset format.

    Args:
        format_name: an entry of the registry ``formats``.
        paths: the files of one split.
        name: the table's name, in messages and in the ids of its rows.
        split: see :meth:`Format.read`.
        encoding: encoding of the files; None detects it.

    Raises:
        UnknownNameError: there is no such format.
        DataError: a file is malformed; the message names it and the row.
    """
    reader = formats.get(format_name)()
    paths = [*paths, *reader.companions(paths[0])] if len(paths) == 1 else paths
    files = [RawFile(path.name, _read_bytes(path), encoding) for path in paths]
    table = reader.read(files, split)
    if not len(table):
        raise DataError(f"{' and '.join(file.name for file in files)}: there are no rows.", _HINT)
    table.name = name
    table.notes[:0] = [note for file in files for note in file.notes]
    table.sha256 = _digest(reader, files)
    return table


def format_for(path: Path) -> str | None:
    """Return the format of a user's file; None for a plain table or text.

    Args:
        path: the file.
    """
    return next((name for name, kind in formats.items() if kind.matches(path)), None)


def read_head(path: Path, size: int) -> bytes:
    """Return the beginning of a file; nothing of one that cannot be read.

    Args:
        path: the file.
        size: bytes to read at most.
    """
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def _read_bytes(path: Path) -> bytes:
    if format_for(path) is not None:  # a user's file; those of the catalogue are pinned
        suffix = path.suffix.lower()
        check_file(path, suffix if suffix in SUFFIXES else ".txt")  # a suffix of the format's own, such as .tmx
    return read_bytes(path, path.name)


def _digest(reader: Format, files: Sequence[RawFile]) -> str:
    digest = hashlib.sha256(f"{reader.name}\0{reader.version}\0".encode())
    for file in files:
        digest.update(hashlib.sha256(file.content).digest())
    return digest.hexdigest()


# -- JSON -------------------------------------------------------------------------------------------------------------


def load_json(text: str, where: str) -> Json:
    """Parse JSON.

    Args:
        text: the JSON.
        where: its location, for messages.

    Raises:
        DataError: it is not JSON.
    """
    check_structure(where, text)
    try:
        value: Json = json.loads(text)
        return value
    except json.JSONDecodeError as error:
        line = f", line {error.lineno}" if error.lineno > 1 or "line" not in where else ""
        raise DataError(f"{where}{line}: not JSON: {error.msg}, at character {error.colno}.", _HINT) from error
    except ValueError as error:
        raise DataError(f"{where}: a number has too many digits.", _HINT) from error
    except RecursionError as error:
        raise DataError(f"{where}: nested too deeply.", _HINT) from error


def member(value: Json, key: str, kind: type[T], where: str) -> T:
    """Return a member of a JSON object.

    Args:
        value: the object.
        key: the member's key.
        kind: the type that the member must have.
        where: the object's location, for messages.

    Raises:
        DataError: the value is not an object, or the member is missing or has another type.
    """
    result = value.get(key) if isinstance(value, dict) else None
    if not isinstance(result, kind) or isinstance(result, bool):
        problem = "is missing" if result is None else f"is {type(result).__name__}"
        raise DataError(f"{where}: {key!r} {problem}.", _HINT)
    return result


def malformed(where: str, problem: str) -> DataError:
    """Return the error for a malformed file.

    Args:
        where: the location of the problem.
        problem: what is wrong.
    """
    return DataError(f"{where}: {problem}.", _HINT)
