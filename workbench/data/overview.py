"""An overview of a data set before training: rows, labels, lengths, sample rows, duplicates and near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import numpy as np

from workbench.data.columns import Column
from workbench.data.examples import SPLITS, Examples, SplitName
from workbench.data.load import Dataset
from workbench.data.near_duplicates import DEFAULT_THRESHOLD, OverlapRecord, near_duplicates
from workbench.data.report import ExcludedReport, OverlapReport, SplitReport
from workbench.data.text.language import LanguageReport, detect_languages, spread_sample
from workbench.runs.report_notes import NoteRecord

SAMPLE_ROWS = 20  # of each split
MAX_CHARACTERS = 500  # of a value in a sample row
BINS = 24
MAX_COMPARED = 200_000  # texts in total; more would take minutes


class Histogram(TypedDict):
    """Lengths in characters; bin i counts from ``edges[i]`` to below ``edges[i + 1]``."""

    edges: list[int]
    counts: list[int]
    p50: int
    p95: int
    max: int


class SplitOverview(SplitReport):
    """The report on a split, with the lengths of its inputs and its first rows (by role, and ``"place"``)."""

    characters: Histogram
    sample: list[dict[str, str]]


class Overview(TypedDict):
    """What a data set contains; ``near_duplicates`` is None if there are too many texts to compare.

    ``languages`` are those of the training inputs.
    """

    overlaps: list[OverlapReport]
    left_out: list[ExcludedReport]
    notes: list[NoteRecord]
    mapping: dict[str, str]
    parts: dict[SplitName, SplitOverview]
    languages: LanguageReport
    near_duplicates: NotRequired[list[OverlapRecord] | None]


def overview(dataset: Dataset, columns: Sequence[Column], sample: int = SAMPLE_ROWS) -> Overview:
    """Describe each split that is not empty: rows, labels, lengths and first rows.

    Args:
        dataset: the data.
        columns: the roles of the task.
        sample: rows to include from each split.
    """
    report = dataset.report
    splits: dict[SplitName, SplitOverview] = {}
    for name in SPLITS:
        examples = dataset.split(name)
        if len(examples):
            lengths = [len(text) for text in input_texts(examples, columns)]
            splits[name] = {
                **report["parts"][name],
                "characters": histogram(lengths),
                "sample": sample_rows(examples, sample),
            }
    return {
        "overlaps": report["overlaps"],
        "left_out": report["left_out"],
        "notes": report["notes"],
        "mapping": report["mapping"],
        "parts": splits,
        "languages": detect_languages(spread_sample(input_texts(dataset.train, columns))).as_dict(),
    }


def find_near_duplicates(
    dataset: Dataset, columns: Sequence[Column], threshold: float = DEFAULT_THRESHOLD
) -> list[OverlapRecord] | None:
    """Find texts of one split that are almost the same as a text of another.

    Args:
        dataset: the data.
        columns: the roles of the task.
        threshold: similarity from which two texts are near-duplicates, 0.6 to 1.

    Returns:
        See :func:`workbench.data.near_duplicates.near_duplicates`; None if there are too many texts to compare.

    Raises:
        RequestError: ``threshold`` is out of range.
    """
    splits = {
        name: (input_texts(examples, columns), examples.locations())
        for name in SPLITS
        if len(examples := dataset.split(name))
    }
    if sum(len(texts) for texts, _ in splits.values()) > MAX_COMPARED:
        return None
    return [overlap.as_dict() for overlap in near_duplicates(splits, threshold)]


def input_texts(examples: Examples, columns: Sequence[Column]) -> list[str]:
    """Return for each example everything that the model reads, one line per role.

    Args:
        examples: N examples.
        columns: the roles of the task.

    Returns:
        N texts.
    """
    roles = [column.role for column in columns if not column.is_target and column.role in examples.columns]
    rows = zip(*(examples.columns[role] for role in roles), strict=True)
    return ["\n".join(_to_text(value) for value in row) for row in rows]


def sample_rows(examples: Examples, count: int) -> list[dict[str, str]]:
    """Return the first rows as text by role, and their location as ``"place"``.

    Args:
        examples: the examples of a split.
        count: rows to return at most.
    """
    locations = examples.take(range(min(count, len(examples)))).locations()
    return [
        {"place": location, **{role: _to_text(values[i])[:MAX_CHARACTERS] for role, values in examples.columns.items()}}
        for i, location in enumerate(locations)
    ]


def histogram(lengths: Sequence[int]) -> Histogram:
    """Count lengths in bins of equal width; the last bin counts everything beyond four times the 95th percentile.

    Args:
        lengths: at least one length.
    """
    values = np.asarray(lengths, dtype=np.int64)
    p50, p95 = (int(np.percentile(values, q, method="higher")) for q in (50, 95))
    longest = int(values.max())
    width = max(1, -(-(min(longest, 4 * p95) + 1) // BINS))
    edges = np.arange(0, BINS * width + 1, width)
    counts, _ = np.histogram(np.minimum(values, edges[-1] - 1), bins=edges)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "p50": p50, "p95": p95, "max": longest}


def _to_text(value: object) -> str:
    """Return any value of an example as text; of an answer only its text."""
    if isinstance(value, list | tuple):
        return " ".join(_to_text(item) for item in value)
    if isinstance(value, dict):
        return str(value.get("text", value))
    return "" if value is None else str(value)
