"""A run's predictions, example by example: ``predictions.parquet``, or ``predictions.jsonl`` without pyarrow.

Columns: ``id`` (the file and the row in it), ``example`` (a fingerprint of the complete inputs: runs are compared
example by example where these are the same), ``input:ROLE`` for each role of the task's inputs (a list of texts for
some roles), ``gold``, ``prediction``, ``score``, ``correct``, ``score:LABEL`` for each label where there are few, and
``column:NAME`` for each column of the data that has no role in the task (the first 20; values are
cut at 200 characters). These come unchanged from the user's file: sharing predictions shares them, too.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from workbench.errors import DataError, MissingPackageError, RequestError
from workbench.files import finite, read_lines, write_atomically
from workbench.runs.run import Run

PARQUET, JSON_LINES = "predictions.parquet", "predictions.jsonl"
EXAMPLE = "example"  # a fingerprint of an example's inputs
INPUT_PREFIX = "input:"  # before a role of the task's inputs
INPUT = "input"  # the only column of inputs in older files, with the roles joined by SEPARATOR
SEPARATOR, LIST_SEPARATOR = " ⟂ ", " | "  # between the inputs of an example, and between the texts of one input
COLUMN_PREFIX = "column:"  # before the name of a column of the data; no column of ours starts like this

Predictions: TypeAlias = dict[str, list[Any]]  # columns [N] by name; tasks store values of their own


def with_columns(
    rows: Mapping[str, Sequence[Any]], ids: Sequence[str], extra: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]]:
    """Add the other columns of the data to predictions.

    Args:
        rows: columns of the predictions; ``id`` says which example a row is for. There may be fewer than examples.
        ids: ids of the examples, [N].
        extra: the other columns, by name, [N] each.
    """
    index = {name: i for i, name in enumerate(ids)} if extra else {}
    indices = [index.get(name) for name in rows.get("id", ())]
    return dict(rows) | {
        COLUMN_PREFIX + name: [None if i is None else column[i] for i in indices] for name, column in extra.items()
    }


def fingerprint_inputs(inputs: Sequence[Sequence[object]]) -> list[str]:
    """Return a fingerprint of the inputs of each example.

    Args:
        inputs: the values of the input roles of each example, [N].
    """
    texts = (json.dumps(values, ensure_ascii=False, default=str) for values in inputs)
    return [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest() for text in texts]


def write_predictions(run: Run, rows: Mapping[str, Sequence[Any]]) -> Path:
    """Write all predictions of a run, or nothing; earlier ones are replaced.

    Args:
        run: the run.
        rows: the columns, all of one length.

    Returns:
        The file: Parquet where pyarrow is installed, otherwise the same rows as lines of JSON.

    Raises:
        ValueError: the columns differ in length.
        StorageError: the disk is full or read-only.
    """
    lengths = {name: len(column) for name, column in rows.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"The columns of predictions differ in length: {lengths}.")
    parquet_file, lines_file = run.predictions_files
    if importlib.util.find_spec("pyarrow") is None:
        names = list(rows)
        lines = (dict(zip(names, values, strict=True)) for values in zip(*rows.values(), strict=True))
        text = "".join(json.dumps(finite(line), ensure_ascii=False) + "\n" for line in lines)
        path, other = lines_file, parquet_file
        write_atomically(path, lambda file: file.write(text.encode("utf-8")))
    else:
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.table({name: pyarrow.array(list(column)) for name, column in rows.items()})
        path, other = parquet_file, lines_file
        write_atomically(path, lambda file: parquet.write_table(table, file, compression="zstd"))
    other.unlink(missing_ok=True)
    return path


def has_predictions(run: Run) -> bool:
    """Return whether the run has written predictions."""
    return any(file.is_file() for file in run.predictions_files)


def read_predictions(run: Run, columns: Sequence[str] | None = None) -> Predictions:
    """Read the predictions of a run, as columns of one length.

    Args:
        run: the run.
        columns: names of the columns to read; all by default. A missing column is left out. ``input`` selects the
            columns of all inputs.

    Raises:
        RequestError: the run has no predictions.
        DataError: the file is damaged.
        MissingPackageError: they are Parquet, and pyarrow is not installed.
    """
    parquet_file, lines_file = run.predictions_files
    if parquet_file.is_file():
        return _read_parquet(run, parquet_file, columns)
    if lines_file.is_file():
        rows, _ = read_lines(lines_file)
        names = list(rows[0]) if rows else []
        return {name: [row.get(name) for row in rows] for name in names if _is_selected(name, columns)}
    if run.kind() != "training":
        raise RequestError(f"The run {run.id} is a {run.kind()}: it predicts nothing.", "Choose training runs.")
    raise RequestError(
        f"The run {run.id} has no predictions: it is {run.state}.",
        "Predictions are written when a run succeeds: wait for it, or resume it.",
    )


def example_inputs(predictions: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return the inputs of each example, by role.

    Args:
        predictions: columns of predictions.

    Returns:
        A dictionary for each row. In older files, which have one column of inputs, its only key is ``input``, and the
        texts of several roles are joined by :data:`SEPARATOR`.
    """
    columns = {
        name.removeprefix(INPUT_PREFIX): values for name, values in predictions.items() if _is_selected(name, [INPUT])
    }
    rows = zip(*columns.values(), strict=True)
    return [{role: value for role, value in zip(columns, row, strict=True) if value is not None} for row in rows]


def input_text(inputs: Mapping[str, Any]) -> str:
    """Return an example's inputs as one text, for people.

    Args:
        inputs: text, or texts, for each role.
    """
    return SEPARATOR.join(
        LIST_SEPARATOR.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        for value in inputs.values()
    )


def _is_selected(name: str, columns: Sequence[str] | None) -> bool:
    return columns is None or name in columns or (INPUT in columns and name.startswith(INPUT_PREFIX))


def _read_parquet(run: Run, path: Path, columns: Sequence[str] | None) -> Predictions:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise MissingPackageError("pyarrow", "to read predictions") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if _is_selected(name, columns)]
            table: Predictions = file.read(columns=names).to_pydict()
    except (ArrowException, OSError) as error:
        raise DataError(
            f"The predictions of run {run.id} cannot be read: {error}.", "Evaluate the run again."
        ) from error
    return table
