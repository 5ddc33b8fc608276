"""Reading a table: CSV and its relatives, JSON lines, Parquet. What cannot be used is refused, with the row and reason.

A file that is not what its name says (a pickle, an archive, a spreadsheet under ``.csv``) is recognised by its first
bytes and refused without being opened. Nothing is repaired or dropped on the way: a row that has too many fields, a
byte that is not text, a key that is missing are errors that say where they stand. What was found out by itself, the
encoding and the delimiter, is told in the table's notes.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.data.catalogue import Layout
from workbench.data.table import Table
from workbench.errors import DataError, MissingPackageError, RefusedError

MAX_BYTES = 4 * 1024**3  # of a file, and of what a Parquet file says it unpacks to
MAX_ROWS = 20_000_000
MAX_FIELD = 1_000_000  # characters in one field: longer than most books' chapters, and a sign of an unclosed quote
MAX_COLUMNS = 10_000
DELIMITERS = (",", ";", "\t", "|")
DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
SUFFIXES = DELIMITED + JSON + PARQUET

_SAMPLE_ROWS = 1000  # rows that the delimiter is judged by


def read_table(
    path: Path, delimiter: str | None = None, encoding: str | None = None, layout: Layout | None = None
) -> Table:
    """Read a table from a file.

    Args:
        path: a file whose name ends in one of ``SUFFIXES``.
        delimiter: what separates the fields of a CSV file; found by itself if left out.
        encoding: the text's encoding; found by itself if left out.
        layout: how the file is written, where that is not plain CSV with a header line.

    Raises:
        DataError: the file is missing, empty, too large, or not a whole table; the message names the row.
        RefusedError: the file is a pickle.
        MissingPackageError: pyarrow (Parquet) or charset-normalizer (encodings) is needed and not installed.
    """
    layout = layout or Layout()
    suffix = path.suffix.lower()
    _check_file(path, suffix)
    if suffix in PARQUET:
        return _read_parquet(path)
    content = _read_bytes(path)
    text, notes = decode(content, path.name, encoding or layout.encoding)
    if suffix in JSON:
        table = _read_json(text, path.name)
    else:
        table = _read_delimited(text, path.name, layout.model_copy(update={"delimiter": delimiter or layout.delimiter}))
    if not len(table):
        raise DataError(f"{path.name} has column names but no rows.", "Give a file with at least one row.")
    table.notes[:0] = notes
    table.sha256 = hashlib.sha256(content).hexdigest()
    return table


# -- what kind of file it is ----------------------------------------------------------------------------------------

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
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"GGUF", "a GGUF model"),
)
# Protocol 2 and later begin with a mark; 0 and 1 are text: a dictionary or list, or a function and its arguments.
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]|\([dl]p\d+\n|c[A-Za-z_][\w.]*\n[A-Za-z_]\w*\n(?:p\d+\n\(|q.\(|\([A-Zptl])", re.DOTALL
)


def _check_file(path: Path, suffix: str) -> None:
    """Refuse what is no table by its kind, name, size or first bytes, before it is read."""
    if not path.is_file():
        what = "is not a regular file" if path.exists() else "does not exist"
        raise DataError(f"{path} {what}.", "Give the path of a CSV, JSONL or Parquet file.")
    if suffix in SPREADSHEETS:
        raise DataError(f"{path.name} is a spreadsheet.", "Save the sheet as CSV (UTF-8), and use that file.")
    if suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
        raise _refused_pickle(path.name)
    if suffix not in SUFFIXES:
        raise DataError(f"{path.name}: {suffix or 'no ending'!r} is not a kind of file known here.", _ALLOWED)
    size = path.stat().st_size
    if size == 0:
        raise DataError(f"{path.name} is empty.", "Give a file with column names and rows.")
    if size > MAX_BYTES:
        raise DataError(
            f"{path.name} has {size / 1024**3:.1f} GiB; at most {MAX_BYTES // 1024**3} GiB are read.",
            "Use a part of it.",
        )
    with open(path, "rb") as file:
        head = file.read(512)
    _check_head(head, path.name, suffix)


_ALLOWED = f"Give one of: {', '.join(SUFFIXES)}."


def _check_head(head: bytes, name: str, suffix: str) -> None:
    if _PICKLE.match(head):
        raise _refused_pickle(name)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if head[257:262] == b"ustar":
        kind = "a tar archive"
    if suffix in PARQUET:
        if not head.startswith(b"PAR1"):
            raise DataError(f"{name} is not a Parquet file{f', but {kind}' if kind else ''}.", _ALLOWED)
    elif kind is not None:
        raise DataError(f"{name} is not text: it is {kind}.", f"Unpack it or save it as text first. {_ALLOWED}")


def _refused_pickle(name: str) -> RefusedError:
    return RefusedError(
        f"{name} is a pickle. Opening one can run any program, so it is never opened here.",
        "Save the table as CSV, JSONL or Parquet.",
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path.name} cannot be read: {error.strerror}.", "Check the file's permissions.") from error


# -- bytes to text --------------------------------------------------------------------------------------------------

_MARKS: tuple[tuple[bytes, str], ...] = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = [
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r", "cp1250", "cp1252", "cp1253", "cp1254",
    "cp1255", "cp1256", "iso8859_2", "iso8859_15", "latin_1",
]  # fmt: skip


def decode(content: bytes, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """The text in ``content``, without its byte order mark, and a note where the encoding had to be found out.

    Args:
        content: a whole file.
        name: the file's name, for messages.
        encoding: taken as it is, when given.

    Raises:
        DataError: the encoding is unknown, or does not fit; the message names the byte and the line.
    """
    notes: list[str] = []
    if encoding is None:
        encoding, notes = _find_encoding(content, name)
    else:
        encoding = _known_encoding(encoding)
        if encoding == "utf-8":
            encoding = "utf-8-sig"  # the mark, if there is one, is no text
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(content, name, encoding, error) from error
    except UnicodeError as error:
        raise DataError(f"{name} is not {encoding}: {error}.", "Give the right one as data.encoding.") from error
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise DataError(f"{name} is empty: it holds nothing but spaces.", "Give a file with column names and rows.")
    _check_is_text(text, name, encoding)
    return text, notes


def _known_encoding(encoding: str) -> str:
    try:
        found = codecs.lookup(encoding)
    except (LookupError, ValueError):
        found = None
    # Python also calls things like base64 and bz2 codecs; only those that give text are encodings.
    odd = ("idna", "punycode", "undefined")
    if found is None or not getattr(found, "_is_text_encoding", True) or found.name in odd:
        raise DataError(
            f"There is no text encoding {encoding[:40]!r}.",
            "Common ones: utf-8, utf-16, gb18030, big5, shift_jis, cp1251, cp1252, latin-1.",
        )
    return found.name


def _find_encoding(content: bytes, name: str) -> tuple[str, list[str]]:
    """A byte order mark, or UTF-8, or UTF-16 by its zero bytes, or the best guess."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, []
    try:
        content.decode("utf-8")
        return "utf-8", []
    except UnicodeDecodeError as error:
        problem = error
    sample = content[: 1 << 16]
    half = max(1, len(sample) // 2)
    if len(content) % 2 == 0 and sample[1::2].count(0) > 0.3 * half:
        return "utf-16-le", [f"{name}: read as utf-16-le, because every other byte is zero."]
    if len(content) % 2 == 0 and sample[0::2].count(0) > 0.3 * half:
        return "utf-16-be", [f"{name}: read as utf-16-be, because every other byte is zero."]
    if b"\0" in content or _is_damaged_utf8(content):
        raise _undecodable(content, name, "utf-8", problem)
    guesses = _guess_encoding(content)
    if not guesses:
        raise _undecodable(content, name, "utf-8", problem)
    others = f" ({' and '.join(guesses[1:])} would fit as well)" if guesses[1:] else ""
    return guesses[0], [
        f"{name}: the encoding is not UTF-8; {guesses[0]} was used{others}. "
        "If letters look wrong, give the right one as data.encoding."
    ]


def _is_damaged_utf8(content: bytes) -> bool:
    """Whether nearly all that is not ASCII is UTF-8: a few bytes are damaged, and a guess would garble the rest."""
    good = len(re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", content))
    bad = content.decode("utf-8", errors="replace").count("\ufffd")
    return good >= 10 * bad


def _guess_encoding(content: bytes) -> list[str]:
    """The encodings that fit best, equally well; Western European first, which is by far the most frequent."""
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        purpose = "to find out a file's encoding (or give it as data.encoding)"
        raise MissingPackageError("charset-normalizer", purpose) from error
    # The lines with other than ASCII say most; a sample of them is enough, and much faster.
    telling = b"\n".join(line for line in content.splitlines() if not line.isascii())[: 1 << 17]
    for sample in (telling, content[: 1 << 20]):
        found = [match for match in from_bytes(sample, cp_isolation=list(_COMMON)) if _decodes(content, match.encoding)]
        if found:
            best = (found[0].chaos, found[0].coherence)
            ties = [match for match in found if (match.chaos, match.coherence) == best]
            names = ["cp1252" if "cp1252" in match.could_be_from_charset else match.encoding for match in ties]
            names = [name for name in names if _decodes(content, name)]
            return sorted(names, key=lambda name: name != "cp1252")
    return []


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
        return True
    except UnicodeError:
        return False


def _undecodable(content: bytes, name: str, encoding: str, error: UnicodeDecodeError) -> DataError:
    line = content.count(b"\n", 0, error.start) + 1
    byte = content[error.start] if error.start < len(content) else 0
    return DataError(
        f"{name}, line {line}: byte 0x{byte:02x} at offset {error.start} is not {encoding} text ({error.reason}).",
        "Give the file's encoding as data.encoding (for example gb18030 or cp1252), or save it as UTF-8.",
    )


def _check_is_text(text: str, name: str, encoding: str) -> None:
    at = text.find("\0")
    if at >= 0:
        raise DataError(
            f"{name}, line {text.count(chr(10), 0, at) + 1}: there is a NUL character; the file is binary or damaged.",
            "Save it as text again.",
        )
    sample = text[: 1 << 20]
    controls = len(re.findall(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]", sample))
    if controls > max(20, 0.05 * len(sample)):  # about 10% of random bytes
        raise DataError(f"{name} read as {encoding} is full of control characters: it is binary.", _ALLOWED)


# -- CSV ------------------------------------------------------------------------------------------------------------


def _read_delimited(text: str, name: str, layout: Layout) -> Table:
    previous = csv.field_size_limit(MAX_FIELD)
    try:
        return _parse_delimited(text, name, layout)
    finally:
        csv.field_size_limit(previous)


def _parse_delimited(text: str, name: str, layout: Layout) -> Table:
    notes: list[str] = []
    delimiter = layout.delimiter
    if delimiter is None:
        delimiter = _sniff(text)
        if delimiter != ",":
            notes.append(f"{name}: fields are separated by {_spell(delimiter)}.")
    try:
        table = _parse(text, name, delimiter, layout.quoting is not False, layout)
    except DataError:
        if delimiter != "\t" or layout.quoting is not None:
            raise
        # Many tab-separated files have no quoting: the character stands for itself, and need not be in pairs.
        table = _parse(text, name, delimiter, False, layout)
        notes.append(f'{name}: the character " is read as text, because it does not enclose fields here.')
    table.notes[:0] = notes
    return table


class _UnreadableError(Exception):
    """What the csv module could not read: the line where the record begins, and its reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def _records(text: str, delimiter: str, quoting: bool) -> Iterator[tuple[int, list[str]]]:
    """The line where each record begins, and its fields. Raises _UnreadableError."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(
        lines, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoting else csv.QUOTE_NONE, strict=True
    )
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _UnreadableError(line, str(error)) from error
        yield line, fields


def _sniff(text: str) -> str:
    """The delimiter under which the first rows have the most even number of fields, at least two."""
    best, best_score = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        for quoting in (True, False) if delimiter == "\t" else (True,):
            widths = _widths(text, delimiter, quoting)
            if widths and widths[0] > 1:
                even = sum(width == widths[0] for width in widths) / len(widths)
                score = (round(even - (0.0 if quoting else 0.001), 4), widths[0])
                if score > best_score:
                    best, best_score = delimiter, score
    return best


def _widths(text: str, delimiter: str, quoting: bool) -> list[int]:
    """Number of fields of each of the first records, up to the first that cannot be read."""
    widths: list[int] = []
    try:
        for _, fields in _records(text, delimiter, quoting):
            if fields:
                widths.append(len(fields))
            if len(widths) >= _SAMPLE_ROWS:
                break
    except _UnreadableError:
        widths += [0] * max(1, len(widths) // 10)
    return widths


def _spell(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else repr(delimiter)


def _parse(text: str, name: str, delimiter: str, quoting: bool, layout: Layout) -> Table:
    header: list[str] | None = list(layout.header) if layout.header else None
    columns: list[list[str]] = [[] for _ in header or ()]
    rows: list[int] = []
    blank = 0
    try:
        for position, (line, fields) in enumerate(_records(text, delimiter, quoting), start=1):
            if 1 < position <= layout.header_lines:
                _check_orange(name, line, position, fields, columns)
            elif not fields:
                blank += 1
            elif header is None:
                header = _check_header(fields, name, line)
                columns = [[] for _ in header]
            else:
                _check_width(name, line, fields, header, delimiter)
                for values, value in zip(columns, fields, strict=True):
                    values.append(value)
                rows.append(line)
    except _UnreadableError as error:
        raise _csv_problem(name, error) from error
    notes = [f"{name}: {blank} blank lines were passed over."] if blank else []
    return Table(name, dict(zip(header or [], columns, strict=True)), rows, "line", notes)


def _csv_problem(name: str, error: _UnreadableError) -> DataError:
    if "end of data" in error.reason:
        what = 'a quote (") is opened and never closed'
    elif "field limit" in error.reason:
        what = f"a field is longer than {MAX_FIELD:,} characters; a quote may have been opened and never closed"
    elif "expected after" in error.reason:
        what = 'text stands after a closing quote ("); a quote inside a field is written twice ("")'
    else:
        what = error.reason
    return DataError(f"{name}, line {error.line}: {what}.", "Mend that line; the file was not used.")


def _check_header(fields: list[str], name: str, line: int) -> list[str]:
    header = [field.strip() for field in fields]
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{name}: {len(header):,} columns; at most {MAX_COLUMNS:,} are read.", "Use fewer.")
    for position, column in enumerate(header, start=1):
        if not column:
            raise DataError(
                f"{name}, line {line}: column {position} of {len(header)} has no name.",
                "Give every column a name in the first line (pandas: to_csv(..., index=False)).",
            )
        first = header.index(column) + 1
        if first != position:
            raise DataError(
                f"{name}, line {line}: columns {first} and {position} are both named {column[:60]!r}.",
                "Give every column a name of its own.",
            )
    return header


def _check_width(name: str, line: int, fields: list[str], header: list[str], delimiter: str) -> None:
    if len(fields) != len(header):
        raise DataError(
            f"{name}, line {line}: {len(fields)} {'field' if len(fields) == 1 else 'fields'}, where the header has "
            f"{len(header)} ({', '.join(header)[:120]}), separated by {_spell(delimiter)}.",
            f'A field that holds {_spell(delimiter)} must be enclosed in quotes ("). Is the delimiter right '
            "(data.delimiter)?",
        )


def _check_orange(name: str, line: int, position: int, fields: list[str], columns: list[list[str]]) -> None:
    """Lines 2 to 4 of Orange's format: types, flags, and an empty line."""
    expected = 0 if position == 4 else len(columns)
    if len(fields) != expected:
        raise DataError(
            f"{name}, line {line}: this is not a table of Orange with 4 header lines "
            f"({len(fields)} fields where {expected} are expected).",
            "Fetch the data set again.",
        )


# -- JSON -----------------------------------------------------------------------------------------------------------


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return found


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique_keys)


def _read_json(text: str, name: str) -> Table:
    """A JSON object on each line, or one array of objects."""
    if text.lstrip().startswith("["):
        return _read_json_array(text, name)
    records: list[Any] = []
    rows: list[int] = []
    blank = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            blank += 1
            continue
        try:
            records.append(_loads(content))
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{name}, line {line}: {_json_reason(error)}.", "Each line must be one whole JSON object."
            ) from error
        rows.append(line)
    blank -= text.endswith("\n")
    notes = [f"{name}: {blank} blank lines were passed over."] if blank > 0 else []
    return _from_objects(records, rows, "line", name, notes)


def _read_json_array(text: str, name: str) -> Table:
    try:
        records = _loads(text)
    except (ValueError, RecursionError) as error:
        hint = "Give a JSON array of objects, or an object a line."
        raise DataError(f"{name}: {_json_reason(error)}.", hint) from error
    return _from_objects(records, list(range(1, len(records) + 1)), "row", name, [])


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}, at character {error.pos + 1}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _from_objects(records: list[Any], rows: list[int], unit: str, name: str, notes: list[str]) -> Table:
    """A table from objects that all have the same keys."""
    keys: list[str] = []
    for row, record in zip(rows, records, strict=True):
        where = f"{name}, {unit} {row}"
        if not isinstance(record, dict):
            kind = type(record).__name__
            raise DataError(f"{where}: an object is needed ({{...}}), not {kind}.", "Write each example as an object.")
        if not keys:
            keys = _check_header(list(record), name, row)
            if keys != list(record):
                raise DataError(f"{where}: a key begins or ends with a space.", "Name the keys without spaces around.")
        if record.keys() != set(keys):
            missing = [key for key in keys if key not in record]
            extra = [key for key in record if key not in keys]
            what = f"lacks {missing[0][:60]!r}" if missing else f"has {extra[0][:60]!r}, which the first does not have"
            raise DataError(f"{where}: {what}.", f"Every object needs the same keys: {', '.join(keys)[:200]}.")
    columns = {key: [record[key] for record in records] for key in keys}
    return Table(name, columns, rows, unit, notes)


# -- Parquet --------------------------------------------------------------------------------------------------------


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to read Parquet files") from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_parquet_size(file.metadata, path.name)
            unusable = {field.name: reason for field in file.schema_arrow if (reason := _parquet_problem(field.type))}
            usable = [name for name in file.schema_arrow.names if name not in unusable]
            _check_header(file.schema_arrow.names, path.name, 1)
            content = file.read(columns=usable).to_pydict()
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path.name} cannot be read as Parquet: {reason}.", "Write the file again.") from error
    if not content:
        raise DataError(f"{path.name} has no column of text, numbers or lists of text.", "Write the columns as text.")
    count = len(next(iter(content.values())))
    if not count:
        raise DataError(f"{path.name} has column names but no rows.", "Give a file with at least one row.")
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Table(path.name, content, list(range(1, count + 1)), "row", [], unusable, digest)


def _check_parquet_size(metadata: Any, name: str) -> None:
    """Refuse by what the file says of itself, before anything of it is unpacked."""
    groups = range(metadata.num_row_groups) if metadata.num_row_groups <= 1_000_000 else range(0)
    size = sum(metadata.row_group(i).total_byte_size for i in groups)
    rows = metadata.num_rows
    if not 0 <= rows <= MAX_ROWS or not 0 <= size <= MAX_BYTES or metadata.num_columns > MAX_COLUMNS or not groups:
        raise DataError(
            f"{name} says that it holds {rows:,} rows, {metadata.num_columns:,} columns and {size:,} bytes; at most "
            f"{MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and {MAX_BYTES:,} bytes, and at least one row, are read.",
            "Use a part of it.",
        )


def _parquet_problem(kind: Any) -> str | None:
    """Why a column of this Arrow type cannot be used; None when it can."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
        if types.is_nested(kind):
            return "it holds lists of lists or of objects"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_boolean(kind):
        return None
    if types.is_integer(kind) or types.is_floating(kind):
        return None
    return f"its type is {kind}, and text, numbers or lists of text are needed"
