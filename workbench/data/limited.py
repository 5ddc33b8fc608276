"""Reading a stranger's file, as functions for :mod:`workbench.system.limited_process`: JSON in, JSON out, no torch."""

from __future__ import annotations

from pathlib import Path

from workbench.data.progress import Progress
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.data.readers.excel_reader import sheet_names
from workbench.data.readers.file_types import EXCEL
from workbench.data.readers.sample import sample_texts
from workbench.data.tables import read_user_file
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.types import JsonObject


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


def read_columns(data: JsonObject, progress: Progress | None = None) -> list[str]:
    """Read a whole file, and return the names of its columns.

    Args:
        data: the ``data`` section of a spec: the file, and how it is written.
        progress: called while a large file is read.

    Raises:
        DataError, RefusedError: it cannot be read, or must not be.
    """
    spec = DataSpec.model_validate(data)
    return list(read_user_file(Path(spec.train), spec, (), progress).columns)


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
