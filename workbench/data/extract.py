"""From a table to examples: each row's values are checked, and what is left out is listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.data.columns import CLASSES, Column, require_column
from workbench.data.examples import Examples
from workbench.data.readers.table import Table
from workbench.data.report import ExcludedRows, format_list
from workbench.data.values import PARSERS, as_answers, describe_type, valid_text
from workbench.errors import DataError

_HINTS = {
    "text": "Choose another column (data.columns), or write it as text.",
    "words": "Write words parted by spaces in CSV, or as an array in JSON.",
    "tags": "Write a tag for each word, parted by spaces in CSV, or as an array in JSON.",
    "texts": "Write the texts as a JSON array.",
    "answers": 'Write answers as [{"text": "...", "start": 17}], start in characters of the context; [] for none.',
    "number": "Choose another column (data.columns), or write a number there in every row.",
}


class Extract:
    """The usable examples of one table, and what was left out of it."""

    def __init__(
        self,
        part: str,
        table: Table,
        columns: Sequence[Column],
        mapping: Mapping[str, str],
        group: str | None,
        left_out: list[ExcludedRows],
    ) -> None:
        self.table = table
        self.notes: list[str] = []
        for role, name in mapping.items():
            require_column(table, name, f"columns.{role}")
        roles = [column for column in columns if column.role in mapping]
        values = {c.role: self._values(c, mapping[c.role]) for c in roles if c.kind in PARSERS}
        for column in roles:
            if column.kind == "answers":
                values[column.role] = self._answers(mapping[column.role], values.get("context"))
        self._check_tags(roles, mapping, values)
        kept = self._with_text(part, [c for c in roles if c.kind not in CLASSES], values, left_out)
        for column in roles:
            if column.kind == "label":
                values[column.role] = self._labels(mapping[column.role], kept)
            elif column.kind == "labels":
                values[column.role] = self._label_lists(mapping[column.role], kept)
        ids = [f"{table.name}:{row}" for row in table.rows]
        everything = Examples({c.role: values[c.role] for c in roles}, ids, table.rows, table.unit)
        self.examples = everything.take(kept)
        self.groups = [table.columns[group][i] for i in kept] if group is not None else None
        self._note_labels(roles)

    def _values(self, column: Column, name: str) -> list[Any]:
        """The column as its kind says."""
        read = PARSERS[column.kind]
        values = []
        for i, value in enumerate(self.table.columns[name]):
            try:
                values.append(read(value))
            except ValueError as error:
                raise self._unusable(i, name, error, column.kind) from error
        return values

    def _answers(self, name: str, contexts: Sequence[str] | None) -> list[Any]:
        """The column as answers, each of which stands in its context."""
        values = []
        for i, value in enumerate(self.table.columns[name]):
            try:
                values.append(as_answers(value, contexts[i] if contexts is not None else None))
            except ValueError as error:
                raise self._unusable(i, name, error, "answers") from error
        return values

    def _unusable(self, i: int, name: str, reason: ValueError, kind: str) -> DataError:
        hint = "Write the file again as UTF-8." if "half a character" in str(reason) else _HINTS[kind]
        return DataError(f"{self.table.where(i)}: column {name!r} {reason}.", hint)

    def _check_tags(self, roles: Sequence[Column], mapping: Mapping[str, str], values: Mapping[str, list[Any]]) -> None:
        """As many tags as words in every row."""
        words = next((column.role for column in roles if column.kind == "words"), None)
        for column in roles:
            if column.kind != "tags" or words is None:
                continue
            for i, (tags, row) in enumerate(zip(values[column.role], values[words], strict=True)):
                if len(tags) != len(row):
                    reason = ValueError(f"has {len(tags)} tags, and column {mapping[words]!r} has {len(row)} words")
                    raise self._unusable(i, mapping[column.role], reason, "tags")

    def _with_text(
        self, part: str, roles: Sequence[Column], values: Mapping[str, list[Any]], left_out: list[ExcludedRows]
    ) -> list[int]:
        """The rows whose texts are all there; the others are left out, and listed."""
        kept = list(range(len(self.table)))
        for column in roles:
            if column.may_be_empty or column.kind in ("answers", "number", "tags"):
                continue
            empty = [i for i in kept if _is_empty(values[column.role][i])]
            if empty:
                what = f"the {column.role} is empty"
                left_out.append(ExcludedRows(part, what, [self.table.rows[i] for i in empty]))
                gone = set(empty)
                kept = [i for i in kept if i not in gone]
        if not kept:
            raise DataError(f"{self.table.name}: no row has any text.", "Is the right column given (data.columns)?")
        return kept

    def _labels(self, name: str, kept: Iterable[int]) -> list[Any]:
        """The column as labels: text without spaces around it. Rows that are not kept stay empty."""
        values: list[Any] = [""] * len(self.table)
        missing: list[int] = []
        stripped = 0
        for i in kept:
            value = self.table.columns[name][i]
            text = self._label(value, name, i)
            stripped += isinstance(value, str) and text != value
            if not text:
                missing.append(i)
            values[i] = text
        if missing:
            rows = format_list([self.table.rows[i] for i in missing])
            raise DataError(
                f"{self.table.where(missing[0])}: the label (column {name!r}) is missing; {len(missing):,} "
                f"{'row lacks' if len(missing) == 1 else 'rows lack'} it ({self.table.unit} {rows}).",
                "Give every row a label, or take those rows out.",
            )
        if stripped:
            self.notes.append(f"{self.table.name}: spaces around {stripped:,} labels were taken away.")
        return values

    def _label(self, value: Any, name: str, i: int) -> str:
        if value is None or value != value:  # NaN: a missing number
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # tables store a column of whole numbers with gaps as 1.0
        if isinstance(value, str | int | float):
            return self._whole_label(str(value).strip(), name, i)
        raise DataError(
            f"{self.table.where(i)}: column {name!r} holds {describe_type(value)}, where one label is needed.",
            "Choose another column (data.columns), or a task with several labels.",
        )

    def _whole_label(self, value: str, name: str, i: int) -> str:
        try:
            return valid_text(value)
        except ValueError as error:
            raise self._unusable(i, name, error, "text") from error

    def _label_lists(self, name: str, kept: Sequence[int]) -> list[Any]:
        """The column as lists of labels: lists as they are, strings taken apart at ``|`` or ``;``."""
        column = self.table.columns[name]
        strings = [column[i] for i in kept if isinstance(column[i], str)]
        separator = "|" if any("|" in value for value in strings) else ";"
        values: list[Any] = [[]] * len(self.table)
        for i in kept:
            value = column[i]
            pieces = value.split(separator) if isinstance(value, str) else value
            if not isinstance(pieces, list):
                pieces = [] if pieces is None else [pieces]
            labels = [self._label(piece, name, i) for piece in pieces]
            values[i] = sorted({label for label in labels if label})
        if strings:
            self.notes.append(f"{self.table.name}: several labels in column {name!r} are taken apart at {separator!r}.")
        return values

    def _note_labels(self, roles: Sequence[Column]) -> None:
        """Tell of labels that look like one, written in two ways."""
        for column in roles:
            if column.kind not in CLASSES:
                continue
            spellings: dict[str, set[str]] = {}
            for value in self.examples.columns[column.role]:
                for label in value if isinstance(value, list) else [value]:
                    spellings.setdefault(label.casefold(), set()).add(label)
            alike = [" and ".join(map(repr, sorted(names))) for names in spellings.values() if len(names) > 1]
            if alike:
                self.notes.append(f"{self.table.name}: labels that differ in capitals only: {format_list(alike)}.")


def _is_empty(value: Any) -> bool:
    return not value or (isinstance(value, str) and not value.strip())
