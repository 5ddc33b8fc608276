"""JSON: one object per line, an array of objects, objects one after another, or a document that holds a table.

Keys that only some objects have are columns with gaps. NaN and Infinity, which are not JSON, make their column
unusable; the file is refused only if that column is used.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from workbench.data.progress import Progress
from workbench.data.readers.json_forms import labelled_texts, objects_of_arrays, rows_of_document
from workbench.data.readers.limits import MAX_VALUES, OBJECT, Budget, check_structure
from workbench.data.readers.table import MAX_COLUMNS, BadRow, Table, check_names
from workbench.data.readers.text_lines import text_lines
from workbench.errors import DataError
from workbench.types import Json, JsonObject

LINES = (".jsonl", ".ndjson")  # in such a file a single object is a row, whatever it holds
MAX_CELLS = MAX_VALUES  # with gaps; more only if a twentieth of them has a value

NumberedValues: TypeAlias = tuple[int, list[Json]]  # the line of a row, and its values

_LARGE = 1_000_000  # characters of a line whose values are counted before it is decoded
_SAMPLE_ROWS = 1000  # whose keys are the columns of a stream
_BETWEEN = re.compile(r"[\s,]*")  # what may lie between objects
_ONE_PER_LINE = "Each line must be one complete JSON object."
_OBJECTS = "Provide a JSON array of objects, or one object per line."


class _NotJson(float):
    """NaN or an infinity: numbers that Python writes into JSON and that are not allowed there."""


class _Decoder:
    """Decodes JSON and remembers whether it contained NaN or an infinity."""

    def __init__(self, budget: Budget | None = None) -> None:
        self.has_constants = False
        self._budget = budget
        hook = _unique_keys if budget is None else self._counted
        self._decoder = json.JSONDecoder(parse_constant=self._constant, object_pairs_hook=hook)

    def _counted(self, pairs: list[tuple[str, Json]]) -> JsonObject:
        assert self._budget is not None
        self._budget.add_row(len(pairs) + OBJECT)
        return _unique_keys(pairs)

    def _constant(self, text: str) -> _NotJson:
        self.has_constants = True
        return _NotJson(text)

    def decode(self, text: str) -> Json:
        """Return the only value in a text; raise ValueError or RecursionError."""
        value: Json = self._decoder.decode(text)
        return value

    def decode_at(self, text: str, position: int) -> tuple[Json, int]:
        """Return the value that begins at a position, and where it ends; raise ValueError or RecursionError."""
        value, end = self._decoder.raw_decode(text, position)
        return value, end


def read_json(
    text: str,
    name: str,
    collect_bad_rows: bool = False,
    progress: Progress | None = None,
    budget: Budget | None = None,
    header: Sequence[str] | None = None,
) -> Table:
    """Read a table from JSON.

    Args:
        text: the content of the file.
        name: the file's name.
        collect_bad_rows: whether lines that are not a JSON object are collected in the table instead of refused, unless
            they are most of the file.
        progress: called while a large file with one object per line is read.
        budget: counts the values; one of its own if None.
        header: names of the columns of arrays, if the first array is a row.

    Raises:
        DataError: it is not JSON, or holds no table in a known form; the message names the row.
    """
    budget = budget or Budget(name, len(text))
    try:
        return _read_json(text, name, progress, budget, header)
    except DataError as error:
        is_one_line = "\n" not in text.strip()  # nothing would be left without it
        if not collect_bad_rows or is_one_line or text.lstrip().startswith("[") or budget.is_exceeded():
            raise
        return _read_good_lines(text, name, error)


def _read_json(text: str, name: str, progress: Progress | None, budget: Budget, header: Sequence[str] | None) -> Table:
    decoder = _Decoder(budget)
    if text.lstrip().startswith("["):
        try:
            return _read_array(text, name, decoder, header)
        except DataError as error:
            if not _is_extra_data(error.__cause__):
                raise
            return _read_array_lines(text, name, decoder, error, header)
    try:
        records, rows, notes = _read_lines(text, name, decoder, progress, budget)
    except DataError as error:
        if not isinstance(error.__cause__, json.JSONDecodeError):
            raise
        budget.restart()
        records, rows, notes = _read_objects(text, name, decoder, error)
    pairs = [record for record in records if isinstance(record, dict) and len(record) == 1]
    if len(pairs) == len(records) > 1 and len({key for pair in pairs for key in pair}) == len(pairs):
        held = labelled_texts({key: value for pair in pairs for key, value in pair.items()}, name)
        if held is not None:  # {text: label} on each line
            return _table(list(held[0]), rows, "line", name, [*notes, held[1]], decoder)
    if len(records) == 1 and isinstance(records[0], dict) and not name.lower().endswith(LINES):
        held = rows_of_document(records[0], name)
        if held is not None:
            objects, note = held
            return _table(list(objects), list(range(1, len(objects) + 1)), "row", name, [note], decoder)
    return _table(records, rows, "line", name, notes, decoder)


def stream_json_lines(
    lines: Callable[[], Iterable[str]], name: str
) -> tuple[list[str], Callable[[Sequence[str]], Iterator[NumberedValues]]]:
    """Read a file with one object per line, row by row.

    Args:
        lines: opens the file: its lines from the first on.
        name: the file's name.

    Returns:
        The keys of the first 1,000 objects, and a function that yields the rows, each with its line and its values
        under the keys it is called with.

    Raises:
        DataError: a line is not such an object; the message names it. Later lines are checked when they are read.
    """
    decoder = _Decoder()

    def records() -> Iterator[tuple[int, JsonObject]]:
        for line, content in enumerate(lines(), start=1):
            if content.strip():
                yield line, _check_object(_load_line(content, name, line, decoder), f"{name}, line {line}")

    keys: dict[str, None] = {}
    for line, record in itertools.islice(records(), _SAMPLE_ROWS):
        _add_keys(keys, record, name, "line", line)
    if not keys:
        raise DataError(f"{name} has no rows.", "Provide a file with at least one row.")

    def rows(names: Sequence[str]) -> Iterator[NumberedValues]:
        for line, record in records():
            missing = next((key for key in names if key not in record), None)
            if missing is not None:  # a stream has no report of the rows that it leaves out
                hint = f"Write {missing!r} in every row; other keys may be missing."
                raise DataError(f"{name}, line {line}: lacks {missing[:60]!r}.", hint)
            values = [record[key] for key in names]
            if decoder.has_constants:
                decoder.has_constants = False
                for key, value in zip(names, values, strict=True):
                    if _holds_constant(value):
                        raise DataError(
                            f"{name}, line {line}: {key!r} holds {_spell(value)}, which is not JSON.", "Write null."
                        )
            yield line, values

    return list(keys), rows


def is_one_object_per_line(lines: Iterable[str]) -> bool:
    """Return whether a file begins with two lines that each hold an object.

    Args:
        lines: of the file.
    """
    first = list(itertools.islice((line for line in lines if line.strip()), 2))
    try:
        return len(first) == 2 and all(isinstance(_Decoder().decode(line), dict) for line in first)
    except (ValueError, RecursionError):
        return False


# -- reading ----------------------------------------------------------------------------------------------------------


def _read_lines(
    text: str, name: str, decoder: _Decoder, progress: Progress | None, budget: Budget
) -> tuple[list[Json], list[int], list[str]]:
    """Return the objects of a file with one per line, their lines, and notes."""
    records: list[Json] = []
    rows: list[int] = []
    blank = 0
    for line, content in enumerate(text_lines(text, name, progress, only_newlines=True), start=1):
        if not content.strip():
            blank += 1
            budget.add_row()
            continue
        records.append(_load_line(content, name, line, decoder))
        rows.append(line)
    return records, rows, [f"{name}: skipped {blank} blank lines."] if blank > 0 else []


def _read_good_lines(text: str, name: str, error: DataError) -> Table:
    """Return a table of the lines that hold an object, with a list of the others; raise ``error`` if they are more."""
    decoder = _Decoder()
    records: list[Json] = []
    rows: list[int] = []
    bad: list[BadRow] = []
    for line, content in enumerate(text_lines(text, name, only_newlines=True), start=1):
        if content.strip():
            try:
                records.append(_check_object(_load_line(content, name, line, decoder), f"{name}, line {line}"))
                rows.append(line)
            except DataError as problem:
                bad.append(BadRow(line, "the line is not a JSON object", problem.message, problem.hint))
    if len(bad) > len(records):
        raise error
    table = _table(records, rows, "line", name, [], decoder)
    table.bad_rows = bad
    return table


def _load_line(content: str, name: str, line: int, decoder: _Decoder) -> Json:
    if len(content) > _LARGE:
        check_structure(f"{name}, line {line}", content)
    try:
        return decoder.decode(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}, line {line}: {_json_reason(error)}.", _ONE_PER_LINE) from error


def _read_objects(text: str, name: str, decoder: _Decoder, error: DataError) -> tuple[list[Json], list[int], list[str]]:
    """Return objects that are written one after another over several lines, their first lines, and notes."""
    check_structure(name, text)
    records: list[Json] = []
    rows: list[int] = []
    line, counted, commas = 1, 0, False
    position = _skip_between(text, 0)
    while position < len(text):
        line += text.count("\n", counted, position)
        counted = position
        try:
            record, end = decoder.decode_at(text, position)
        except (ValueError, RecursionError) as problem:
            raise _broken_document(text, name, problem, error, len(records)) from problem
        records.append(record)
        rows.append(line)
        position = _skip_between(text, end)
        commas = commas or "," in text[end:position]
    if len(rows) == 1:
        return records, rows, []
    between = ", with commas between them" if commas else ""
    return records, rows, [f"{name}: {len(records):,} objects, one after another{between}."]


def _skip_between(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return match.end() if match else position


def _broken_document(text: str, name: str, problem: Exception, error: DataError, objects: int) -> DataError:
    """Return the error of a file that is neither one object per line nor objects over several lines."""
    if objects:
        return error
    where = f", line {problem.lineno}" if isinstance(problem, json.JSONDecodeError) else ""
    return DataError(f"{name}{where}: {_json_reason(problem)}.", _json_hint(text, problem))


def _read_array(text: str, name: str, decoder: _Decoder, header: Sequence[str] | None) -> Table:
    check_structure(name, text)
    try:
        records = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and _is_extra_data(error):
            raise DataError(
                f"{name}, line {error.lineno}: the array has ended, and something follows it.", _OBJECTS
            ) from error
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{name}{where}: {_json_reason(error)}.", _json_hint(text, error)) from error
    assert isinstance(records, list)
    rows = list(range(1, len(records) + 1))
    if records and all(isinstance(record, list) for record in records):
        return _table_of_arrays(records, rows, "row", name, decoder, header)
    return _table(records, rows, "row", name, [], decoder)


def _is_extra_data(error: BaseException | None) -> bool:
    return isinstance(error, json.JSONDecodeError) and error.msg == "Extra data"


def _read_array_lines(text: str, name: str, decoder: _Decoder, error: DataError, header: Sequence[str] | None) -> Table:
    """Read a file with an array on each line; raise ``error`` if a line is none."""
    arrays: list[Json] = []
    rows: list[int] = []
    for line, content in enumerate(text_lines(text, name, only_newlines=True), start=1):
        if content.strip():
            try:
                array = decoder.decode(content)
            except (ValueError, RecursionError):
                raise error from None
            if not isinstance(array, list) or not array:
                raise error
            arrays.append(array)
            rows.append(line)
    try:
        return _table_of_arrays(arrays, rows, "line", name, decoder, header)
    except DataError:
        if any(isinstance(item, dict) for array in arrays if isinstance(array, list) for item in array):
            raise error from None
        raise


def _table_of_arrays(
    arrays: list[Json], rows: list[int], unit: str, name: str, decoder: _Decoder, header: Sequence[str] | None
) -> Table:
    if header is not None:
        arrays, rows = [list(header), *arrays], [0, *rows]
    objects, used, bad, note = objects_of_arrays(arrays, rows, unit, name, header is not None)
    table = _table([*objects], used, unit, name, [note], decoder)
    table.bad_rows = bad
    return table


def _unique_keys(pairs: list[tuple[str, Json]]) -> JsonObject:
    record = {sys.intern(key): value for key, value in pairs}  # otherwise each row has keys of its own in memory
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} occurs twice in one object")
    return record


def _json_hint(text: str, error: Exception) -> str:
    """Return what to do about a text that is nearly JSON."""
    if isinstance(error, json.JSONDecodeError):
        before, after = text[max(0, error.pos - 200) : error.pos].rstrip(), text[error.pos : error.pos + 1]
        if before.endswith(",") and after in ("]", "}"):
            return f"Remove the comma before the closing {after}."
        if text[error.pos : error.pos + 2] in ("//", "/*") or after == "#":
            return "Remove the comments: JSON has none."
        if after == "'":
            return "These seem to be printed objects of Python: write them with json.dumps, or as CSV."
        if "property name" in error.msg:
            return "Put the names of keys in double quotes, and remove commas before a closing bracket."
    return _OBJECTS


def _json_reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}, at character {error.colno}"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "a number has too many digits" if "set_int_max_str_digits" in str(error) else str(error)


# -- tables -----------------------------------------------------------------------------------------------------------


def _table(records: list[Json], rows: list[int], unit: str, name: str, notes: list[str], decoder: _Decoder) -> Table:
    """Return a table of objects: a column for every key, with None where an object lacks it."""
    keys: dict[str, None] = {}
    objects: list[JsonObject] = []
    values = 0
    for row, record in zip(rows, records, strict=True):
        fields = _check_object(record, f"{name}, {unit} {row}")
        if not fields.keys() <= keys.keys():
            _add_keys(keys, fields, name, unit, row)
        objects.append(fields)
        values += len(fields)
    if len(keys) * len(objects) > min(max(MAX_CELLS, 20 * values), 4 * MAX_VALUES):
        raise DataError(
            f"{name} has {len(keys):,} different keys in {len(objects):,} rows, most of them in few rows.",
            "Write the values that you need under the same keys in every row.",
        )
    unusable = _constants(objects, rows, unit) if decoder.has_constants else {}
    columns = {key: [record.get(key) for record in objects] for key in keys if key not in unusable}
    return Table(name, columns, rows, unit, [*notes, *_note_gaps(objects, list(keys), values, name)], unusable)


def _add_keys(keys: dict[str, None], record: JsonObject, name: str, unit: str, row: int) -> None:
    """Add the keys of an object that are new."""
    if any(key != key.strip() for key in record):
        raise DataError(
            f"{name}, {unit} {row}: a key begins or ends with a space.", "Remove the spaces around the key."
        )
    keys.update(dict.fromkeys(record))
    if "" in record or len(keys) > MAX_COLUMNS:  # each row may add a key: checking all of them each time would not end
        check_names(list(keys), name, row)


def _note_gaps(objects: Sequence[JsonObject], keys: Sequence[str], values: int, name: str) -> list[str]:
    """Return a note on the keys that only some objects have."""
    if values == len(keys) * len(objects):
        return []
    counts = {key: sum(key not in record for record in objects) for key in keys}
    missing = [f"{key!r} ({count:,})" for key, count in counts.items() if count]
    listed = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
    return [f"{name}: keys that some of the {len(objects):,} rows lack (in how many): {listed}."]


def _constants(objects: Sequence[JsonObject], rows: Sequence[int], unit: str) -> dict[str, str]:
    """Return the keys that hold NaN or an infinity, with the reason and the first row."""
    unusable: dict[str, str] = {}
    for row, record in zip(rows, objects, strict=True):
        for key, value in record.items():
            if key not in unusable and _holds_constant(value):
                unusable[key] = f"{unit} {row} holds {_spell(value)}, which is not JSON"
    return unusable


def _holds_constant(value: Json) -> bool:
    return _constant_in(value) is not None


def _constant_in(value: Json) -> _NotJson | None:
    """Return the first NaN or infinity in a value, at any depth."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, _NotJson):
            return item
        if isinstance(item, list | dict):
            pending.extend(item if isinstance(item, list) else item.values())
    return None


def _spell(value: Json) -> str:
    constant = _constant_in(value)
    return "NaN" if constant is None or constant != constant else "Infinity" if constant > 0 else "-Infinity"


def _check_object(record: Json, where: str) -> JsonObject:
    if not isinstance(record, dict):
        kind = type(record).__name__
        raise DataError(f"{where}: an object is needed ({{...}}), not {kind}.", "Write each example as an object.")
    return record
