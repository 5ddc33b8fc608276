"""Excel: one sheet of a workbook as a table. What the file would unpack to is checked before any of it is read."""

from __future__ import annotations

import datetime
import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from workbench.data.readers.archives import DAMAGED
from workbench.data.readers.limits import MAX_RATIO, SMALL, Budget
from workbench.data.readers.table import MAX_COLUMNS, Table, check_names
from workbench.errors import DataError, MissingPackageError
from workbench.types import Json

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet._read_only import ReadOnlyWorksheet

MAX_UNPACKED = 1024**3  # bytes of all parts of a workbook
MAX_CELLS = 20_000_000
MAX_SHEET_ROWS = 1_048_576  # what Excel can hold
_MAX_PARTS = 10_000
MAX_TITLES = 10  # rows of titles before the names of the columns
_HINT = "Save the sheet as CSV (UTF-8) and use that file."

NumberedCells: TypeAlias = tuple[int, list[object]]  # the number of a row in the sheet, and its cells


def read_excel(
    path: Path, sheet: str | None = None, max_rows: int | None = None, header: Sequence[str] | None = None
) -> Table:
    """Read a sheet of an Excel workbook: the values that its formulas had when it was saved, dates as ISO text.

    Args:
        path: a file ``.xlsx`` or ``.xlsm``; macros are never run.
        sheet: the name of the sheet; the first one if None.
        max_rows: rows to read at most, from the first that is not empty; None for all.
        header: names of the columns, if the first row is data.

    Raises:
        DataError: it cannot be read, is too large, has no such sheet, or the sheet is not a table.
        MissingPackageError: openpyxl is not installed.
    """
    workbook = _open(path)
    try:
        names = [worksheet.title for worksheet in workbook.worksheets]
        name = _choose_sheet(names, sheet, path.name)
        try:
            table = _read_sheet(islice(_rows(workbook[name], path.name), max_rows), path.name, header)
        except DataError as error:
            if sheet is None and len(names) > 1:
                error.hint += f" Or set data.sheet to another sheet: {_list_sheets(names[1:])}."
            raise
        except Exception as error:
            raise _unreadable(path, error) from error
    finally:
        workbook.close()
    if sheet is None and len(names) > 1:
        others = _list_sheets(names[1:])
        table.notes.insert(0, f"{path.name}: read the first sheet, {name!r}; data.sheet chooses another ({others}).")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(name.encode())
    table.sha256 = digest.hexdigest()
    return table


def copy_rows(path: Path, copy: Path, rows: int) -> None:
    """Write the first rows of each sheet of a workbook to another one.

    Args:
        path: a file ``.xlsx`` or ``.xlsm``.
        copy: is written, without formulas and formats.
        rows: of each sheet, at most.

    Raises:
        DataError: the workbook cannot be read.
        MissingPackageError: openpyxl is not installed.
    """
    source = _open(path)
    try:
        from openpyxl import Workbook

        target = Workbook(write_only=True)
        for worksheet in source.worksheets:
            worksheet.reset_dimensions()
            sheet = target.create_sheet(worksheet.title)
            for values in islice(worksheet.iter_rows(values_only=True), rows):
                sheet.append(values)
        target.save(copy)
    except DataError:
        raise
    except Exception as error:  # openpyxl raises errors of every kind for a damaged workbook
        raise _unreadable(path, error) from error
    finally:
        source.close()


def sheet_names(path: Path) -> list[str]:
    """Return the names of the sheets of an Excel workbook.

    Args:
        path: a file ``.xlsx`` or ``.xlsm``.

    Raises:
        DataError: it cannot be read.
        MissingPackageError: openpyxl is not installed.
    """
    workbook = _open(path)
    try:
        return [worksheet.title for worksheet in workbook.worksheets]
    finally:
        workbook.close()


def _open(path: Path) -> Workbook:
    """Open a workbook for reading."""
    try:
        import openpyxl
    except ImportError as error:
        raise MissingPackageError("openpyxl", "to read Excel files") from error
    _check_parts(path)
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    except Exception as error:  # openpyxl raises errors of every kind for a damaged workbook
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return DataError(f"{path.name} cannot be read as an Excel workbook: {reason}.", _HINT)


def _check_parts(path: Path) -> None:
    """Refuse a workbook by the sizes that its parts declare, and one that declares XML entities."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
            size = sum(part.file_size for part in parts)
            packed = max(1, path.stat().st_size)
            if len(parts) > _MAX_PARTS or size > MAX_UNPACKED or (size > SMALL and size > MAX_RATIO * packed):
                raise DataError(
                    f"{path.name} has {len(parts):,} parts that unpack to {size:,} bytes, {size // packed:,} times its "
                    f"size. The maximum is {MAX_UNPACKED:,} bytes, and {MAX_RATIO} times the size.",
                    _HINT,
                )
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with archive.open(part) as file:
                        if b"<!DOCTYPE" in file.read(4096).replace(b"\0", b""):
                            raise DataError(f"{path.name} declares XML entities, which no workbook does.", _HINT)
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def _choose_sheet(names: Sequence[str], sheet: str | None, file: str) -> str:
    if not names:
        raise DataError(f"{file} has no sheet with cells.", _HINT)
    if sheet is None:
        return names[0]
    if sheet not in names:
        listed = ", ".join(map(repr, names[:20]))
        raise DataError(f"{file} has no sheet {sheet[:60]!r}.", f"Set data.sheet to one of: {listed}.")
    return sheet


def _list_sheets(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (" ..." if len(names) > 5 else "")


def _rows(worksheet: ReadOnlyWorksheet, file: str) -> Iterator[NumberedCells]:
    """Yield the rows of a sheet that are not empty."""
    worksheet.reset_dimensions()  # what a file declares need not be true
    budget = Budget(file, 0)
    cells = characters = 0
    for number, row in enumerate(worksheet.iter_rows(values_only=True), start=1):
        values = list(row)
        while values and (values[-1] is None or values[-1] == ""):
            values.pop()
        cells += len(values)
        characters += sum(len(value) for value in values if isinstance(value, str))  # one text may be in many cells
        if number > MAX_SHEET_ROWS or not number % 256:  # rows that are left out in the file are made here
            budget.check()
        if number > MAX_SHEET_ROWS or characters > MAX_UNPACKED:
            raise DataError(
                f"{file} has at least {number:,} rows with {characters:,} characters. A sheet can have "
                f"{MAX_SHEET_ROWS:,} rows, and {MAX_UNPACKED:,} characters are allowed.",
                _HINT,
            )
        if cells > MAX_CELLS or len(values) > MAX_COLUMNS:
            raise DataError(f"{file} has more than {MAX_CELLS:,} cells, or a row of more than {MAX_COLUMNS:,}.", _HINT)
        if values:
            yield number, values


def _read_sheet(rows: Iterator[NumberedCells], file: str, header_names: Sequence[str] | None) -> Table:
    records = list(rows)
    if not records:
        raise DataError(f"{file}: the sheet is empty.", "Choose another sheet (data.sheet).")
    titles = 0 if header_names is not None else _count_titles(records)
    first, header = (records[0][0] - 1, list[object](header_names)) if header_names is not None else records[titles]
    records = records if header_names is not None else records[titles + 1 :]
    names = ["" if cell is None else str(cell).strip() for cell in header]
    width = max((len(cells) for _, cells in records), default=0)
    if header_names is not None and len(header_names) != width:
        raise DataError(
            f"{file}: the sheet has {width} columns, but data.header has {len(header_names)} names.",
            "Name each column once.",
        )
    names += [""] * (width - len(names))
    empty = {
        i
        for i, name in enumerate(names)
        if not name and all(i >= len(cells) or _blank(cells[i]) for _, cells in records)
    }
    used = [i for i in range(len(names)) if i not in empty]
    checked = check_names([names[i] for i in used], file, first)
    errors: list[int] = []
    columns: dict[str, list[Json]] = {}
    for name, i in zip(checked, used, strict=True):
        columns[name] = [_value(cells[i], number, errors) if i < len(cells) else None for number, cells in records]
    notes = []
    if titles:
        notes.append(f"{file}: skipped {titles:,} rows of titles; the names of the columns are in row {first}.")
    elif first > 1 and header_names is None:
        notes.append(f"{file}: the names of the columns are in row {first}, the first that is not empty.")
    numbers = [number for number, _ in records]
    blank = numbers[-1] - first - len(numbers) if numbers else 0
    if blank:
        notes.append(f"{file}: skipped {blank:,} empty rows.")
    if errors:
        notes.append(f"{file}: {len(errors):,} cells hold an error such as #N/A and are empty here (row {errors[0]}).")
    if not numbers:
        raise DataError(f"{file} has column names but no rows.", "Provide a sheet with at least one row.")
    return Table(file, dict(columns), numbers, "row", notes)


def _count_titles(records: Sequence[NumberedCells]) -> int:
    """Return how many rows of titles are before the names: rows with a single cell, where the next rows have more."""
    for titles, (_, cells) in enumerate(records[:MAX_TITLES]):
        if sum(not _blank(cell) for cell in cells) > 1:
            following = records[titles + 1 : titles + 1 + MAX_TITLES]
            wide = sum(sum(not _blank(cell) for cell in row) > 1 for _, row in following)
            return titles if following and wide == len(following) else 0
    return 0


def _blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _value(cell: object, row: int, errors: list[int]) -> Json:
    """Return a cell's value; dates as text, and None for an error."""
    if isinstance(cell, str) and cell.startswith("#") and cell in _ERRORS:
        errors.append(row)
        return None
    if isinstance(cell, str):
        return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell) if "_x" in cell else cell
    if cell is None or isinstance(cell, bool | int):
        return cell
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else cell
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)


_ESCAPED = re.compile(r"_x(000[0-9A-F]|001[0-9A-F]|005F)_")  # control characters, such as _x000D_, and the underscore
_ERRORS = ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA")
