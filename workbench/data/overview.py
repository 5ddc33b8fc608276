"""What a data set holds, to be looked at before training: rows, labels, lengths, doubles, near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.data.columns import Column
from workbench.data.examples import Examples
from workbench.data.load import SPLITS, Dataset, load_data
from workbench.data.near_duplicates import DEFAULT_THRESHOLD, near_duplicates
from workbench.data.progress import Progress
from workbench.spec import DataSpec
from workbench.workspace import Workspace

SAMPLE_ROWS = 20  # rows shown of a part
MAX_CHARACTERS = 500  # characters of one value in a sample
BINS = 24
MAX_COMPARED = 200_000  # texts in all; more would take minutes


def overview(dataset: Dataset, columns: Sequence[Column], sample: int = SAMPLE_ROWS) -> dict[str, Any]:
    """Rows, labels, lengths and first rows of each part that is not empty.

    Returns:
        ``{"parts": {part: {"rows", "labels", "duplicates", "conflicts", "characters", "sample"}}, "overlaps",
        "left_out", "notes", "mapping"}``; ``characters`` is a histogram of the lengths of what the model reads, and
        ``sample`` a list of rows by role, with ``"place"``.
    """
    found: dict[str, Any] = {name: dataset.report[name] for name in ("overlaps", "left_out", "notes", "mapping")}
    found["parts"] = {}
    for part in SPLITS:
        examples: Examples = getattr(dataset, part)
        if len(examples):
            lengths = [len(text) for text in input_texts(examples, columns)]
            found["parts"][part] = {
                **dataset.report["parts"][part],
                "characters": histogram(lengths),
                "sample": sample_rows(examples, sample),
            }
    return found


def check_data(
    spec: DataSpec,
    columns: Sequence[Column],
    workspace: Workspace,
    threshold: float = DEFAULT_THRESHOLD,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The overview of the data that a spec names, with the near-duplicates between its parts.

    Args:
        spec: the data part of a spec.
        columns: the roles of the task.
        workspace: whose cache is used.
        threshold: similarity from which on two texts are near-duplicates, 0.6 to 1.
        progress: called while something is downloaded.

    Raises:
        DataError: the data cannot be used; the message says which row, and why.
        FetchError: a data set of the catalogue could not be fetched.
        RequestError: ``threshold`` is out of range.
    """
    dataset = load_data(spec, columns, workspace, progress)
    return overview(dataset, columns) | {"near_duplicates": find_near_duplicates(dataset, columns, threshold)}


def find_near_duplicates(
    dataset: Dataset, columns: Sequence[Column], threshold: float = DEFAULT_THRESHOLD
) -> list[dict[str, Any]] | None:
    """Near-duplicates between the parts, see :func:`near_duplicates`; None where there are more texts than are
    compared."""
    parts = {
        part: (input_texts(examples, columns), examples.locations())
        for part in SPLITS
        if len(examples := getattr(dataset, part))
    }
    if sum(len(texts) for texts, _ in parts.values()) > MAX_COMPARED:
        return None
    return [overlap.as_dict() for overlap in near_duplicates(parts, threshold)]


def input_texts(examples: Examples, columns: Sequence[Column]) -> list[str]:
    """For each example all that the model reads of it, a line a role."""
    roles = [column.role for column in columns if not column.is_target and column.role in examples.columns]
    rows = zip(*(examples.columns[role] for role in roles), strict=True)
    return ["\n".join(_as_text(value) for value in row) for row in rows]


def sample_rows(examples: Examples, count: int) -> list[dict[str, str]]:
    """The first rows as text, with the place where each stands."""
    places = examples.take(range(min(count, len(examples)))).locations()
    return [
        {"place": place, **{role: _as_text(values[i])[:MAX_CHARACTERS] for role, values in examples.columns.items()}}
        for i, place in enumerate(places)
    ]


def histogram(lengths: Sequence[int]) -> dict[str, Any]:
    """``{"edges", "counts", "p50", "p95", "max"}``; bin i counts from ``edges[i]`` to below ``edges[i + 1]``.

    A few very long texts do not flatten the rest: the last bin holds all beyond four times the 95th percentile.
    """
    values = np.asarray(lengths, dtype=np.int64)
    p50, p95 = (int(np.percentile(values, q, method="higher")) for q in (50, 95))
    longest = int(values.max())
    width = max(1, -(-(min(longest, 4 * p95) + 1) // BINS))
    edges = np.arange(0, BINS * width + 1, width)
    counts, _ = np.histogram(np.minimum(values, edges[-1] - 1), bins=edges)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "p50": p50, "p95": p95, "max": longest}


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_as_text(item) for item in value)
    if isinstance(value, dict):
        return str(value.get("text", value))
    return "" if value is None else str(value)
