"""The type of a file, by its name and its first bytes. Files that cannot hold a table are refused unopened."""

from __future__ import annotations

import re
from pathlib import Path

from workbench.data.readers.limits import MAX_BYTES
from workbench.errors import DataError, RefusedError

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
MARKDOWN = (".md",)
TEXTS = (".txt", *MARKDOWN)  # can be read as documents; .txt is a table for a task that needs more than a text
CONLL = (".conll", ".conllu", ".iob", ".iob2", ".bio")  # words with tags; see workbench.data.readers.formats.conll
EXCEL = (".xlsx", ".xlsm")
SPREADSHEETS = (".xls", ".xlsb", ".ods")  # which are refused
SUFFIXES = DELIMITED + JSON + PARQUET + MARKDOWN + CONLL + EXCEL
ARCHIVES = (".gz", ".zip")  # of one file with one of SUFFIXES; see workbench.data.readers.archives
ALLOWED = f"Use one of: {', '.join(SUFFIXES)}, or one such file in a {' or '.join(ARCHIVES)} file."

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive (a spreadsheet, or weights saved by torch)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office file (.xls, .doc)"),
    (b"%PDF-", "a PDF file"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"GGUF", "a GGUF model"),
)
_MARKUP = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<table", "an HTML table"),
    (b"<?xml", "an XML document"),
    (b"{\\rtf", "an RTF document"),
    (b"@relation", "an ARFF file of Weka"),
)
# Protocol 2 and later begin with a mark; 0 and 1 are text: a dictionary or list, or a function and its arguments.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]|\([dl]p\d+\n|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n(?:p\d+\n\(|q.\(|\([A-Zptl])", re.DOTALL
)


def check_file(path: Path, suffix: str) -> None:
    """Refuse a file that cannot hold a table by its suffix, size or first bytes, before it is read.

    Args:
        path: the file.
        suffix: its suffix in lower case.

    Raises:
        DataError: it does not exist, is empty, too large or of another type.
        RefusedError: it is a pickle.
    """
    if not path.is_file():
        problem = "is not a regular file" if path.exists() else "does not exist"
        raise DataError(f"{path} {problem}.", f"Check the path. {ALLOWED}")
    if suffix in SPREADSHEETS:
        raise DataError(
            f"{path.name} is a spreadsheet in a format that is not read.",
            "Save it as an Excel workbook (.xlsx), or the sheet as CSV (UTF-8), and use that file.",
        )
    if suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
        raise _refused_pickle(path.name)
    if suffix not in SUFFIXES:
        raise DataError(f"{path.name}: files of type {suffix or 'no suffix'!r} are not supported.", ALLOWED)
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path.name} is empty.", "Provide a file with column names and rows.")
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name} has {size / 1024**3:.1f} GiB; the maximum is {MAX_BYTES // 1024**3} GiB.",
            "Use a smaller file.",
        )
    with open(path, "rb") as file:
        head = file.read(512)
    _check_head(head, path.name, suffix)


def read_bytes(path: Path, name: str) -> bytes:
    """Return the content of a file.

    Args:
        path: the file.
        name: its name, for messages.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.", "Check the file's permissions.") from error


def _check_head(head: bytes, name: str, suffix: str) -> None:
    if _PICKLE.match(head):
        raise _refused_pickle(name)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if head[257:262] == b"ustar":
        kind = "a tar archive"
    if suffix in EXCEL:
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            kind = "protected by a password, or an old .xls file"
        if not head.startswith(b"PK\x03\x04"):
            raise DataError(
                f"{name} is not an Excel workbook{f' but {kind}' if kind else ''}.",
                "Save it without a password as .xlsx, or the sheet as CSV (UTF-8).",
            )
    elif suffix in PARQUET:
        if not head.startswith(b"PAR1"):
            raise DataError(f"{name} is not a Parquet file{f' but {kind}' if kind else ''}.", ALLOWED)
    elif kind is None and suffix in (*DELIMITED, *JSON) and suffix != ".txt" and (markup := _markup(head)):
        raise DataError(f"{name} is {markup}, whatever its name says.", f"Save the table as CSV or JSON. {ALLOWED}")
    elif kind is not None:
        raise DataError(f"{name} is not text: it is {kind}.", f"Unpack it or save it as text first. {ALLOWED}")


def _markup(head: bytes) -> str:
    """Return what a text file is if it is written in a markup that is not read; empty otherwise."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((kind for begin, kind in _MARKUP if start.startswith(begin)), "")


def _refused_pickle(name: str) -> RefusedError:
    return RefusedError(
        f"{name} is a pickle. Opening a pickle can run arbitrary code, so it is never opened here.",
        "Save the table as CSV, JSONL or Parquet.",
    )
