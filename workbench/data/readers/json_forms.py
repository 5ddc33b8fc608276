"""One JSON document that holds a table: wrapped in a key, by columns, by index. Which form it is, or why none."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TypeAlias

from workbench.data.readers.limits import check_objects
from workbench.data.readers.table import BadRow
from workbench.errors import DataError
from workbench.types import Json, JsonObject

Rows: TypeAlias = tuple[list[JsonObject], str]  # the rows, and a note on the form

_FORMS = "Provide an array of objects, or one object per line (pandas: to_json(..., orient='records', lines=True))."
_USUAL_NAMES = frozenset(
    (
        *("text", "label", "labels", "sentence", "words", "tokens", "tags", "question", "context", "answer", "answers"),
        *("source", "target", "summary", "prompt", "completion", "title", "category", "class", "input", "output", "id"),
        *("instruction", "response", "sentence1", "sentence2", "query", "positive", "negative", "anchor", "review"),
        *("sentiment", "content", "score", "value", "relation", "head", "tail", "premise", "hypothesis", "document"),
    )
)
_MIN_TEXTS = 8  # keys that are texts
_LABEL_LENGTH = 20  # characters, from which on a word without spaces is a text, as in Chinese
_NUMBER = re.compile(r"\d+")
_NAME = re.compile(r"(?!\d+$)[\w#][\w #.:/()-]{0,39}")


def rows_of_document(document: JsonObject, name: str) -> Rows | None:
    """Return the rows that an object holds; None if it is itself a row.

    Args:
        document: the only object of a file.
        name: the file's name, for messages.

    Raises:
        DataError: it holds several tables, or is in no known form.
    """
    if not document:
        return None
    tables = {key: rows for key, value in document.items() if (rows := _objects(value))}
    if len(tables) > 1:
        raise _several_tables(name, tables)
    for key, value in tables.items():
        return value, f"{name}: the rows are those of {key!r}."
    inner = {
        f"{key}.{member}": rows
        for key, value in document.items()
        if isinstance(value, dict)
        for member, each in value.items()
        if (rows := _objects(each))
    }
    if len(inner) == 1:
        ((path, value),) = inner.items()
        return value, f"{name}: the rows are those of {path!r}."
    by_split = _by_split(document, name)
    if by_split is not None:
        return by_split
    labelled = labelled_texts(document, name)
    if labelled is not None:
        return labelled
    values = list(document.values())
    if all(isinstance(value, list) and not _is_nested(value) for value in values):
        return _by_column(document, name)
    if all(isinstance(value, dict) and value for value in values):
        return _by_key(document, name)
    nested = next((key for key, value in document.items() if _is_nested(value)), None)
    if nested is not None:
        keys = ", ".join(map(repr, list(document)[:8]))
        raise DataError(f"{name} holds one object, whose keys are {keys}: it is not known where its rows are.", _FORMS)
    return None


def labelled_texts(document: JsonObject, name: str) -> Rows | None:
    """Return the rows of ``{text: label}``, ``{text: [labels]}`` or ``{label: [texts]}``; None for another form.

    Lists of equal length under each label are columns here; the shape ``label-keys`` decides.

    Args:
        document: the only object of a file.
        name: the file's name, for messages.
    """
    if len(document) < 2 or _USUAL_NAMES & {key.strip().casefold() for key in document}:
        return None
    lists = [
        [item for item in value if isinstance(item, str)] for value in document.values() if isinstance(value, list)
    ]
    if len(lists) == len(document):
        if sum(map(len, lists)) < sum(len(value) for value in document.values() if isinstance(value, list)):
            return None  # of other values than texts
        items = [text for texts in lists for text in texts]
        if not items:
            return None
        if len(document) >= _MIN_TEXTS and _are_texts(document, items):
            rows: list[JsonObject] = [{"text": text, "label": labels} for text, labels in document.items()]
            return rows, f"{name}: the keys are read as texts, and the lists as their labels."
        if len({len(texts) for texts in lists}) == 1 or not _are_texts(items, list(document)):
            return None
        rows = [{"text": text, "label": label} for label, texts in zip(document, lists, strict=True) for text in texts]
        check_objects(name, len(rows), 2)
        listed = ", ".join(list(document)[:8])[:120]
        return rows, f"{name}: the keys are read as labels ({listed}), and the lists as texts."
    labels = [str(value) for value in document.values() if isinstance(value, str | int | float)]
    if len(labels) < len(document) or len(labels) < _MIN_TEXTS or not _are_texts(document, labels):
        return None
    rows = [{"text": text, "label": label} for text, label in document.items()]
    return rows, f"{name}: the keys are read as texts, and the values as their labels."


def _are_texts(texts: Collection[str], labels: Sequence[str]) -> bool:
    """Return whether texts are longer than labels, and the labels repeat."""
    lengths = sum(map(len, texts)) / len(texts), sum(map(len, labels)) / len(labels)
    repeat = len(set(labels)) <= max(len(labels), len(texts)) / 2
    return lengths[0] > lengths[1] and repeat and any(" " in text or len(text) > _LABEL_LENGTH for text in texts)


def objects_of_arrays(
    arrays: Sequence[Json], rows: Sequence[int], unit: str, name: str, certain: bool = False
) -> tuple[list[JsonObject], list[int], list[BadRow], str]:
    """Return the objects that arrays hold: rows below an array of names, or conversations.

    Args:
        arrays: the items of an array, or the lines of a file; all are arrays.
        rows: the number of each.
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
        name: the file's name, for messages.
        certain: whether the first array is known to have the names.

    Returns:
        The objects, their numbers, the rows that do not fit, and a note on the form.

    Raises:
        DataError: the columns have no names.
    """
    lists = [array for array in arrays if isinstance(array, list)]
    if lists and all(_is_messages(array) for array in lists):
        note = f"{name}: each array is read as the messages of a conversation."
        return [{"messages": array} for array in lists], list(rows), [], note
    names = lists[0] if lists else []
    header = [each for each in names if isinstance(each, str)]
    if not certain and (len(header) != len(names) or not _is_header(header, lists[1:])):
        which = "each line is an array" if unit == "line" else "it is an array of arrays (pandas: orient='values')"
        raise DataError(
            f"{name}: {which}, so its columns have no names.",
            'Name them in their order: data.header: [text, label]; or put such an array first: ["text", "label"].',
        )
    check_objects(name, len(lists), len(header))
    objects: list[JsonObject] = []
    used: list[int] = []
    bad: list[BadRow] = []
    for row, array in zip(rows[1:], lists[1:], strict=True):
        if len(array) == len(header):
            objects.append(dict(zip(header, array, strict=True)))
            used.append(row)
        else:
            message = f"{name}, {unit} {row}: {len(array)} values, but there are {len(header)} columns."
            bad.append(
                BadRow(row, "the row does not fit the names", message, "Write as many values as there are names.")
            )
    if len(bad) > len(objects):
        raise DataError(bad[0].message, bad[0].hint)
    source = "data.header" if certain else "the first array"
    return objects, used, bad, f"{name}: {source} has the names of the columns: {', '.join(header)[:120]}."


def _is_messages(array: Sequence[Json]) -> bool:
    return bool(array) and all(
        isinstance(item, dict) and any(key in item for key in ("role", "from", "speaker")) for item in array
    )


def _is_header(names: Sequence[str], rows: Sequence[Sequence[Json]]) -> bool:
    """Return whether texts are names of columns: short, each once, not among the values below them, and either usual
    ones or above values that are no texts."""
    if not names or len(set(names)) < len(names) or not rows:
        return False
    if not all(_NAME.fullmatch(name.strip()) for name in names):
        return False
    columns = [[row[i] for row in rows if i < len(row)] for i in range(len(names))]
    if any(name in values for name, values in zip(names, columns, strict=True)):
        return False
    of_another_type = any(values and not any(isinstance(value, str) for value in values) for values in columns)
    return of_another_type or any(name.strip().casefold() in _USUAL_NAMES for name in names)


def _objects(value: Json) -> list[JsonObject]:
    """Return a list of objects; empty for any other value."""
    items = value if isinstance(value, list) else []
    objects = [item for item in items if isinstance(item, dict)]
    return objects if len(objects) == len(items) else []


def _is_nested(value: Json) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _several_tables(name: str, tables: Collection[str]) -> DataError:
    keys = ", ".join(map(repr, list(tables)[:8]))
    stem = name.rsplit(".", 1)[0]
    files = ", ".join(
        f"data.{split}: {stem}-{key}.jsonl"
        for key in tables
        if (split := {"validation": "valid", "dev": "valid", "val": "valid"}.get(key, key))
        in ("train", "valid", "test")
    )
    return DataError(
        f"{name} holds {len(tables)} tables, under the keys {keys}.",
        "Write each to a file of its own, one object per line, and name the files in the spec"
        + (f" ({files})." if files else " (data.train, data.valid, data.test)."),
    )


def _by_split(document: JsonObject, name: str) -> Rows | None:
    """Return the rows of pandas' orient="split": names of columns, and lists of values."""
    columns, data = document.get("columns"), document.get("data")
    if not isinstance(columns, list) or not isinstance(data, list) or not data:
        return None
    names = [column for column in columns if isinstance(column, str)]
    if len(names) != len(columns) or len(set(names)) != len(names):
        raise DataError(f"{name}: 'columns' must hold the names of the columns, each once.", _FORMS)
    check_objects(name, len(data), len(names))
    rows: list[JsonObject] = []
    for number, values in enumerate(data, start=1):
        if not isinstance(values, list) or len(values) != len(names):
            size = f"{len(values)} values" if isinstance(values, list) else type(values).__name__
            raise DataError(f"{name}, row {number}: {size}, but there are {len(names)} columns.", _FORMS)
        rows.append(dict(zip(names, values, strict=True)))
    return rows, f"{name}: read as a list of columns and a list of rows (pandas: orient='split')."


def _by_column(document: JsonObject, name: str) -> Rows:
    """Return the rows of an object with a list of values for each column."""
    columns = {key: value for key, value in document.items() if isinstance(value, list)}
    sizes = {key: len(value) for key, value in columns.items()}
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{key!r} {size:,}" for key, size in list(sizes.items())[:8])
        raise DataError(f"{name} holds a list for each column, but of different lengths: {listed}.", _FORMS)
    check_objects(name, max(sizes.values(), default=0), len(columns))
    rows: list[JsonObject] = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return rows, f"{name}: read by columns: each key holds the values of one."


def _by_key(document: JsonObject, name: str) -> Rows:
    """Return the rows of an object of objects: by columns (pandas' default), or by the index of the rows."""
    outer = list(document)
    records = [record for record in document.values() if isinstance(record, dict)]
    inner = list(dict.fromkeys(key for record in records for key in record))
    outer_numbers, inner_numbers = (all(_NUMBER.fullmatch(key) for key in keys) for keys in (outer, inner))
    by_column = inner_numbers or (not outer_numbers and len(inner) > len(outer))
    if any(_is_nested(value) for record in records for value in record.values()) and not inner_numbers:
        keys = ", ".join(map(repr, outer[:8]))
        raise DataError(f"{name} holds one object, whose keys are {keys}: it is not known where its rows are.", _FORMS)
    if not inner_numbers and not outer_numbers and len(inner) == len(outer):
        raise DataError(
            f"{name} holds {len(outer)} objects of {len(inner)} keys each: it is unclear whether these are rows or "
            "columns.",
            _FORMS,
        )
    if not by_column:
        return records, f"{name}: read by rows: each key is the index of one (pandas: orient='index')."
    check_objects(name, len(inner), 0)
    rows: list[JsonObject] = [
        {column: record[key] for column, record in zip(outer, records, strict=True) if key in record} for key in inner
    ]
    return rows, f"{name}: read by columns: each key holds the values of one (pandas: to_json())."
