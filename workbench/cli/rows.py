"""The rows of a file for ``workbench predict``, and its answers written to a file: ``--file`` and ``--out``."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, overload

from workbench.errors import DataError, RequestError
from workbench.files import SHARED, finite, write_atomically
from workbench.types import Json, JsonObject

if TYPE_CHECKING:
    from workbench.data.columns import Column
    from workbench.data.readers.table import Table
    from workbench.tasks.answers import Answer
    from workbench.tasks.base import Task

OUTPUTS = (".csv", ".jsonl")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins with one of these
_INPUT = re.compile(r"^Input (\d+)")


@dataclass
class Row:
    """A row, or another input.

    Attributes:
        inputs: role and value; None if the row has no text to answer.
        columns: the columns of the file; role and text of an input that is not from a file.
        others: the columns of the file that are not read by the model.
        location: where it is, such as ``reviews.csv, line 3``; empty for an input that is not from a file.
        answer: the model's answer; None if there is none.
    """

    inputs: JsonObject | None
    columns: JsonObject
    others: JsonObject
    location: str = ""
    answer: Answer | None = None

    def to_json(self) -> JsonObject:
        """Return the answer and the columns that the model did not read."""
        answer: JsonObject = {"place": self.location, "answer": None} if self.answer is None else self.answer.to_json()
        return {**answer, "columns": self.others} if self.others else answer


class FileRows(Sequence[Row]):
    """The rows of a file. Each is made when it is read, so that a large file does not fill the memory with them.

    Args:
        table: the file's content.
        roles: role -> column of the table.
        columns: the task's roles.
    """

    def __init__(self, table: Table, roles: Mapping[str, str], columns: Mapping[str, Column]) -> None:
        self._table = table
        self._roles = roles
        self._columns = columns

    @property
    def names(self) -> list[str]:
        """Names of the file's columns."""
        return list(self._table.columns)

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return _row(self._table, range(len(self))[index], self._roles, self._columns)


def read_rows(path: Path, task: Task, trained: Mapping[str, Json] | None = None) -> FileRows:
    """Read the rows of a file in any format that training reads.

    The column of a role has the name that it had in the training data, or the role's name, or a usual name of it.

    Args:
        path: the file.
        task: whose roles are read.
        trained: role -> column of the training data.

    Raises:
        DataError: there is no such file, it is no table, none of its columns is a role, or every row is empty.
    """
    from workbench.data.tables import read_file

    table = read_file(path, task.columns())
    columns = {column.role: column for column in task.inputs()}
    roles = _input_columns(table, task, columns, trained or {})
    if not roles:
        raise DataError(
            f"{path.name} has the columns {', '.join(table.columns)}; a model for {task.name} reads "
            f"{', '.join(columns)}.",
            "Rename the columns.",
        )
    rows = FileRows(table, roles, columns)
    if all(row.inputs is None for row in rows):
        raise DataError(f"{path.name}: every row is empty in {', '.join(roles.values())}.", "Name another file.")
    return rows


def plain_row(inputs: JsonObject) -> Row:
    """Return an input of the command line as a row.

    Args:
        inputs: role and text.
    """
    return Row(inputs, inputs, {})


def name_rows(error: DataError, rows: Sequence[Row]) -> DataError:
    """Return an error about ``Input N`` as one about the line of a file.

    Args:
        error: raised by a model.
        rows: those that were given to the model, in their order.
    """
    match = _INPUT.match(error.message)
    if match is not None and 0 < int(match[1]) <= len(rows) and rows[int(match[1]) - 1].location:
        location = rows[int(match[1]) - 1].location
        return DataError(location + error.message[match.end() :], error.hint)
    return error


def check_output(path: Path) -> None:
    """Refuse a file that answers cannot be written to, before they are computed.

    Args:
        path: where the answers will be written.

    Raises:
        RequestError: its name ends otherwise than ``OUTPUTS``, or its folder does not exist.
    """
    if path.suffix.lower() not in OUTPUTS:
        raise RequestError(f"--out {path}: the name must end with {' or '.join(OUTPUTS)}.", "Choose another name.")
    if not path.absolute().parent.is_dir():
        raise RequestError(f"--out {path}: there is no folder {path.parent}.", "Create it first.")


def write_rows(path: Path, rows: Iterable[Row], names: Collection[str]) -> None:
    """Write every row with its answer, completely or not at all; rows are read one after another.

    Fields of an answer are named like in ``--json``; one that the file has too is called ``predicted_NAME``.

    Args:
        path: a CSV or JSONL file. In CSV, texts that a spreadsheet would run as a formula begin with ``'``.
        rows: with their answers.
        names: names of all columns of the rows.

    Raises:
        StorageError: the file cannot be written.
    """

    def documents() -> Iterator[JsonObject]:
        for row in rows:
            answer = row.answer.to_json() if row.answer is not None else {}
            renamed = {f"predicted_{name}" if name in names else name: value for name, value in answer.items()}
            yield {**row.columns, **renamed}

    write = _write_csv if path.suffix.lower() == ".csv" else _write_jsonl
    write_atomically(path, lambda file: write(file, documents()), SHARED)


def _write_jsonl(file: IO[bytes], documents: Iterable[JsonObject]) -> list[str]:
    """Write a document a line; return the names of their fields."""
    names: dict[str, None] = {}
    for document in documents:
        names.update(dict.fromkeys(document))
        file.write((json.dumps(finite(document), ensure_ascii=False) + "\n").encode("utf-8"))
    return list(names)


def _write_csv(file: IO[bytes], documents: Iterable[JsonObject]) -> None:
    """Write a table. Its columns are known after the last document, so the documents wait in a temporary file."""
    with tempfile.TemporaryFile() as waiting:
        names = _write_jsonl(waiting, documents)
        waiting.seek(0)
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([_cell(name) for name in names])
        for line in waiting:
            document = json.loads(line)
            writer.writerow([_cell(document.get(name)) for name in names])
        text.flush()
        text.detach()


def _cell(value: Json) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text if text.startswith(_FORMULA) else text


def _input_columns(
    table: Table, task: Task, columns: Mapping[str, Column], trained: Mapping[str, Json]
) -> dict[str, str]:
    """Return role -> column for the roles that the table has."""
    matched: dict[str, str] = {}
    for role in dict.fromkeys((*columns, *task.input_aliases)):
        name = next((name for name in (trained.get(role), role) if name in table.columns), None)
        if isinstance(name, str) and name not in matched.values():
            matched[role] = name
    if any(column.required and role not in matched for role, column in columns.items()):
        for column in (*columns.values(), *task.columns()):
            if column.role in matched or column.role not in columns or not column.required:
                continue
            guesses = {guess.casefold() for guess in column.guesses}
            names = [name for name in table.columns if name.casefold() in guesses and name not in matched.values()]
            if len(names) == 1 and not _has_alias(task, matched):
                matched[column.role] = names[0]
    return matched


def _has_alias(task: Task, matched: Mapping[str, str]) -> bool:
    return any(role in matched for role in task.input_aliases)


def _row(table: Table, index: int, roles: Mapping[str, str], columns: Mapping[str, Column]) -> Row:
    optional = {role for role, column in columns.items() if not column.required}
    values = {role: table.columns[name][index] for role, name in roles.items()}
    inputs = {role: value for role, value in values.items() if not (role in optional and _is_empty(value))}
    missing = any(
        _is_empty(value) and not (role in columns and columns[role].may_be_empty) for role, value in inputs.items()
    )
    every = {name: cells[index] for name, cells in table.columns.items()}
    others = {name: value for name, value in every.items() if name not in roles.values()}
    return Row(None if missing or not inputs else inputs, every, others, table.where(index))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list) and not (value.strip() if isinstance(value, str) else value))
