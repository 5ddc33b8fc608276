"""Reading a stranger's file, as functions for :mod:`workbench.system.limited_process`: JSON in, JSON out, no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

from workbench.data.cells.column_facts import ColumnFacts, column_facts
from workbench.data.progress import Progress
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.data.readers.excel_reader import sheet_names
from workbench.data.readers.file_types import EXCEL
from workbench.data.readers.sample import sample_texts
from workbench.data.tables import read_user_file
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.types import Json, JsonObject

PREVIEW_ROWS, PREVIEW_CHARACTERS = 8, 160  # characters of each value


class Preview(TypedDict):
    """A file as a person sees it: ``rows`` are the first ones as text by column, ``count`` is the number of all."""

    columns: list[str]
    rows: list[dict[str, str]]
    count: int
    facts: dict[str, ColumnFacts]


def check_readable(path: str, progress: Progress | None = None) -> None:
    """Raise an error for a file that no choice on a page can make readable.

    Args:
        path: the file.
        progress: called while a large file is read.

    Raises:
        DataError, RefusedError: it cannot be read, or must not be.
    """
    file = Path(path)
    try:
        read_user_file(file, DataSpec(train=path), (), progress)
    except UncertainEncodingError:
        return  # the pages ask which encoding it is
    except DataError:
        sheets = sheet_names(file) if file.suffix.lower() in EXCEL else []
        if not any(_is_readable(file, sheet) for sheet in sheets[1:]):
            raise


def _is_readable(path: Path, sheet: str) -> bool:
    try:
        read_user_file(path, DataSpec(train=str(path), sheet=sheet), ())
        return True
    except DataError:
        return False


def read_preview(data: JsonObject, progress: Progress | None = None) -> Preview:
    """Read a whole file, and return its columns, its first rows, and what each column holds.

    Args:
        data: the ``data`` section of a spec: the file, and how it is written.
        progress: called while a large file is read.

    Raises:
        DataError, RefusedError: it cannot be read, or must not be.
    """
    spec = DataSpec.model_validate(data)
    table = read_user_file(Path(spec.train), spec, (), progress)
    rows = [
        {name: _as_text(values[i])[:PREVIEW_CHARACTERS] for name, values in table.columns.items()}
        for i in range(min(PREVIEW_ROWS, len(table)))
    ]
    facts = {name: column_facts(values) for name, values in table.columns.items()}
    return {"columns": list(table.columns), "rows": rows, "count": len(table), "facts": facts}


def _as_text(value: Json) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def read_sheets(path: str) -> list[str]:
    """Return the names of the sheets of a workbook.

    Args:
        path: the file.

    Raises:
        DataError: it cannot be read.
    """
    return sheet_names(Path(path))


def read_sample(path: str, columns: list[list[str]], encoding: str | None, sheet: str | None) -> list[str]:
    """Return :func:`workbench.data.readers.sample.sample_texts` of a file.

    Args:
        path: the file.
        columns: for each column to read, the names that it may have.
        encoding: the text's encoding; detected if None.
        sheet: of an Excel file; the first one if None.
    """
    return sample_texts(Path(path), columns, encoding, sheet)
