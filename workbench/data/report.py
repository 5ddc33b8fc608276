"""The report on a data set before training (``data.json``), and the checks that refuse unusable data.

:func:`describe_splits` counts; :func:`check_splits` refuses; :func:`build_report` puts the report together;
:func:`length_report` says how much ``max_length`` truncates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NotRequired, TypedDict

import numpy as np

from workbench.data.equal_texts import fold_inputs
from workbench.data.examples import SplitName
from workbench.errors import DataError
from workbench.runs.report_notes import NoteRecord, WarningNote, by_severity, to_json

MAX_LISTED = 20  # rows named in a list; the others are counted
_LENGTH_BINS = 24


# -- the document -----------------------------------------------------------------------------------------------------


class Duplicates(TypedDict):
    """Examples whose inputs occur earlier in the same split; ``examples`` are the locations of the first ones."""

    count: int
    examples: list[str]


# ``places``: the locations of the text, such as "reviews.csv, line 17".
SharedText = TypedDict("SharedText", {"text": str, "places": list[str]})  # noqa: UP013


class Conflicts(TypedDict):
    """Texts that occur in a split with different labels."""

    count: int
    examples: list[SharedText]


class SplitReport(TypedDict):
    """The report on one split; ``labels`` counts each label, and is None if the task has none."""

    rows: int
    labels: dict[str, int] | None
    duplicates: Duplicates
    conflicts: Conflicts


class OverlapReport(TypedDict):
    """Texts that occur in two splits; ``count`` counts texts of the second."""

    between: list[SplitName]
    count: int
    examples: list[SharedText]


class SplitsReport(TypedDict):
    """The reports on all splits, and the texts they share."""

    parts: dict[SplitName, SplitReport]
    overlaps: list[OverlapReport]


class ExcludedReport(TypedDict):
    """Rows that are not used, for one reason; ``more`` counts those beyond the ``rows`` listed."""

    part: SplitName
    reason: str
    count: int
    rows: list[int]
    more: int


class DataReport(SplitsReport):
    """The report on a data set.

    ``mapping`` is role -> column, ``notes`` are :class:`workbench.runs.report_notes.Note`, warnings first, and
    ``origin`` says where each file comes from, if that is known.
    """

    left_out: list[ExcludedReport]
    mapping: dict[str, str]
    notes: list[NoteRecord]
    origin: dict[SplitName, Mapping[str, object]]


class LengthHistogram(TypedDict):
    """Bin i counts lengths from ``edges[i]`` to below ``edges[i + 1]``."""

    edges: list[int]
    counts: list[int]


class LengthReport(TypedDict):
    """Lengths of the inputs in tokens, special tokens included, before truncation; the optional keys need inputs."""

    count: int
    max_length: int
    p50: NotRequired[int]
    p95: NotRequired[int]
    max: NotRequired[int]
    truncated: int
    truncated_share: float
    histogram: NotRequired[LengthHistogram]


# -- the pieces it is made of -----------------------------------------------------------------------------------------


@dataclass
class SplitView:
    """What the report needs to know of one split.

    Inputs count as equal as in :mod:`workbench.data.equal_texts`.

    Args:
        inputs: for each example what the model reads of it, one value per input role.
        locations: for each example where it is in its file: ``"reviews.csv, line 17"``.
        labels: for each example its labels; None if the task has none.
    """

    inputs: list[tuple[Hashable, ...]]
    locations: list[str]
    labels: list[tuple[str, ...]] | None = None

    @cached_property
    def keys(self) -> list[tuple[Hashable, ...]]:
        """For each example a key; equal keys are duplicates."""
        return fold_inputs(self.inputs)


@dataclass
class ExcludedRows:
    """Rows that are not used, for one reason.

    Args:
        split: the split they would belong to.
        reason: why they are not used; ends a sentence.
        rows: their numbers in the file; empty if only their number is known.
        count: how many they are, if ``rows`` is empty.
        by_choice: whether the spec or the catalogue says to exclude them.
    """

    split: SplitName
    reason: str
    rows: list[int] = field(default_factory=list)
    count: int = 0
    by_choice: bool = False

    def as_dict(self) -> ExcludedReport:
        """Return the entry of the report."""
        count = self.count or len(self.rows)
        rows = self.rows[:MAX_LISTED]
        more = count - len(rows) if self.rows else 0
        return {"part": self.split, "reason": self.reason, "count": count, "rows": rows, "more": more}

    def note(self) -> str:
        """Return the exclusion as a note, a warning unless it was chosen."""
        rows = f" (row{'s' if len(self.rows) > 1 else ''} {format_list(self.rows)})" if self.rows else ""
        note = f"{self.split}: {self.count or len(self.rows):,} excluded: {self.reason}{rows}."
        return note if self.by_choice else WarningNote(note)


def format_list(items: Sequence[object]) -> str:
    """Return the first items, and how many more there are: ``"3, 9 and 12 more"``.

    Args:
        items: the items, in order.
    """
    text = ", ".join(str(item) for item in items[:MAX_LISTED])
    return text + (f" and {len(items) - MAX_LISTED:,} more" if len(items) > MAX_LISTED else "")


# -- counting ---------------------------------------------------------------------------------------------------------


def build_report(
    views: Mapping[SplitName, SplitView],
    excluded: Sequence[ExcludedRows],
    mapping: dict[str, str],
    notes: Sequence[str],
    origin: dict[SplitName, Mapping[str, object]],
) -> DataReport:
    """Put the report on a data set together.

    Args:
        views: the splits that are used.
        excluded: the rows that are not used.
        mapping: role -> column.
        notes: sentences collected so far; the report adds its own and sorts them, warnings first.
        origin: where each file comes from, if that is known.
    """
    described = describe_splits(views)
    return {
        **described,
        "left_out": [rows.as_dict() for rows in excluded],
        "mapping": mapping,
        "notes": to_json(by_severity([*notes, *(rows.note() for rows in excluded), *_problems(described)])),
        "origin": origin,
    }


def describe_splits(views: Mapping[SplitName, SplitView]) -> SplitsReport:
    """Count the rows, labels, duplicates and conflicts of each split, and the texts that two splits share.

    Args:
        views: the splits that are used.
    """
    return {"parts": {name: _describe_split(view) for name, view in views.items()}, "overlaps": _find_overlaps(views)}


def _describe_split(view: SplitView) -> SplitReport:
    first: dict[tuple[Hashable, ...], int] = {}
    duplicates: list[int] = []
    conflicts: dict[int, list[int]] = {}
    for i, key in enumerate(view.keys):
        j = first.setdefault(key, i)
        if j != i:
            duplicates.append(i)
            if view.labels is not None and view.labels[i] != view.labels[j]:
                conflicts.setdefault(j, [j]).append(i)
    examples: list[SharedText] = [
        {"text": _shorten(view.inputs[j]), "places": [view.locations[i] for i in indices[:MAX_LISTED]]}
        for j, indices in list(conflicts.items())[:MAX_LISTED]
    ]
    return {
        "rows": len(view.inputs),
        "labels": None if view.labels is None else _count_labels(view.labels),
        "duplicates": {"count": len(duplicates), "examples": [view.locations[i] for i in duplicates[:MAX_LISTED]]},
        "conflicts": {"count": len(conflicts), "examples": examples},
    }


def _count_labels(labels: Iterable[tuple[str, ...]]) -> dict[str, int]:
    return dict(sorted(Counter(label for names in labels for label in names).items()))


def _find_overlaps(views: Mapping[SplitName, SplitView]) -> list[OverlapReport]:
    """Return the texts that two splits share, for each two splits that share any."""
    overlaps: list[OverlapReport] = []
    names = list(views)
    for a, first in enumerate(names):
        locations = dict(zip(views[first].keys, views[first].locations, strict=True))
        for second in names[a + 1 :]:
            view = views[second]
            shared = [
                (inputs, [locations[key], location])
                for inputs, key, location in zip(view.inputs, view.keys, view.locations, strict=True)
                if key in locations
            ]
            if shared:
                examples: list[SharedText] = [
                    {"text": _shorten(inputs), "places": both} for inputs, both in shared[:MAX_LISTED]
                ]
                overlaps.append({"between": [first, second], "count": len(shared), "examples": examples})
    return overlaps


def _shorten(inputs: tuple[Hashable, ...]) -> str:
    """Return the beginning of an example, for people; words are joined to a text."""
    return " / ".join(" ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in inputs)[:120]


def _problems(report: SplitsReport) -> list[str]:
    """Return the problems of the report as notes."""
    notes = []
    for name, split in report["parts"].items():
        if split["duplicates"]["count"]:
            notes.append(f"{name}: {_occurrences(split['duplicates']['count'])} more than once.")
        if split["conflicts"]["count"]:
            conflicts = _occurrences(split["conflicts"]["count"])
            notes.append(WarningNote(f"{name}: {conflicts} with different labels."))
    for overlap in report["overlaps"]:
        first, second = overlap["between"]
        shared = _occurrences(overlap["count"], f" of {second}")
        notes.append(WarningNote(f"{shared} in {first} too: metrics on {second} are too optimistic."))
    return notes


def _occurrences(count: int, of: str = "") -> str:
    return f"{count:,} text{of} occurs" if count == 1 else f"{count:,} texts{of} occur"


# -- refusing ---------------------------------------------------------------------------------------------------------


def check_splits(views: Mapping[SplitName, SplitView], multi_label: bool) -> None:
    """Refuse data that a model cannot learn from or be evaluated on.

    Args:
        views: train and the other splits that are used.
        multi_label: whether an example can have several labels.

    Raises:
        DataError: train has only one class, or a split has a label that train lacks.
    """
    train = views["train"]
    if train.labels is None:
        return
    known = {label for labels in train.labels for label in labels}
    minimum = 1 if multi_label else 2
    if len(known) < minimum:
        only = f"only the label {next(iter(known))!r}" if known else "no label at all"
        raise DataError(
            f"The train split has {only}; at least {minimum} different labels are needed.",
            "Check that data.columns names the label column, that data.limit is not too small, and that the file was "
            "not sorted and truncated.",
        )
    for name, view in views.items():
        _check_labels(name, view, known)


def _check_labels(name: SplitName, view: SplitView, known: set[str]) -> None:
    """Refuse labels that train does not have."""
    unknown: dict[str, str] = {}
    for labels, location in zip(view.labels or [], view.locations, strict=bool(view.labels)):
        for label in labels:
            if label not in known:
                unknown.setdefault(label, location)
    if unknown:
        shown = format_list([f"{label[:60]!r} ({location})" for label, location in unknown.items()])
        available = format_list([repr(label[:60]) for label in sorted(known)])
        raise DataError(
            f"The {name} split has labels that train lacks: {shown}.",
            f"A model cannot learn them. The labels of train are: {available}. "
            "Correct the labels, add examples to train, or raise data.limit.train.",
        )


# -- lengths ----------------------------------------------------------------------------------------------------------


def length_report(lengths: Sequence[int], max_length: int) -> LengthReport:
    """Summarize the lengths of the inputs in tokens, and count those that ``max_length`` truncates.

    Args:
        lengths: for each example its tokens, special tokens included, before truncation.
        max_length: longest input in tokens.
    """
    values = np.asarray(lengths, dtype=np.int64)
    if values.size == 0:
        return {"count": 0, "max_length": max_length, "truncated": 0, "truncated_share": 0.0}
    longest = int(values.max())
    width = max(1, -(-(longest + 1) // _LENGTH_BINS))
    edges = np.arange(0, longest + width + 1, width)
    counts, _ = np.histogram(values, bins=edges)
    truncated = int((values > max_length).sum())
    return {
        "count": int(values.size),
        "max_length": max_length,
        "p50": int(np.percentile(values, 50, method="higher")),
        "p95": int(np.percentile(values, 95, method="higher")),
        "max": longest,
        "truncated": truncated,
        "truncated_share": truncated / int(values.size),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
