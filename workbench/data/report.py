"""What a practitioner should know of the data before training, and what makes it unusable.

:func:`describe_splits` counts; :func:`check_splits` refuses; :func:`length_report` says what ``max_length`` cuts off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.errors import DataError

MAX_LISTED = 20  # rows named in a list; the others are counted


@dataclass
class SplitView:
    """What the report looks at of one part.

    Args:
        texts: for each example what the model reads of it, a value for each role that is no target.
        labels: for each example its labels; None where the task has none.
        places: for each example where it stands: ``"reviews.csv, line 17"``.
    """

    texts: list[tuple[Hashable, ...]]
    places: list[str]
    labels: list[tuple[str, ...]] | None = None


@dataclass
class ExcludedRows:
    """Rows that are not used, for one reason."""

    part: str
    reason: str
    rows: list[int] = field(default_factory=list)
    count: int = 0

    def as_dict(self) -> dict[str, Any]:
        count = self.count or len(self.rows)
        listed = self.rows[:MAX_LISTED]
        return {
            "part": self.part,
            "reason": self.reason,
            "count": count,
            "rows": listed,
            "more": count - len(listed) if self.rows else 0,
        }

    def __str__(self) -> str:
        found = self.as_dict()
        text = f"{self.part}: {found['count']:,} left out: {self.reason}"
        if found["rows"]:
            text += f" (rows {format_list(self.rows)})"
        return text + "."


def format_list(items: Sequence[Any]) -> str:
    """The first items, and how many more there are: ``"3, 9 and 12 more"``."""
    shown = ", ".join(str(item) for item in items[:MAX_LISTED])
    return shown + (f" and {len(items) - MAX_LISTED:,} more" if len(items) > MAX_LISTED else "")


def describe_splits(parts: Mapping[str, SplitView]) -> dict[str, Any]:
    """Count rows, labels, duplicates, contradictions and texts on both sides.

    Returns:
        ``{"parts": {part: {"rows", "labels", "duplicates", "conflicts"}}, "overlaps": [{"between", "count",
        "examples"}]}``. A duplicate is an example whose texts stand earlier in the same part; a conflict is a text that
        stands there with different labels; examples are capped.
    """
    return {
        "parts": {name: _describe(part) for name, part in parts.items()},
        "overlaps": _overlaps(parts),
    }


def _describe(part: SplitView) -> dict[str, Any]:
    first: dict[tuple[Hashable, ...], int] = {}
    duplicates: list[int] = []
    conflicts: dict[tuple[Hashable, ...], list[int]] = {}
    for i, text in enumerate(part.texts):
        j = first.setdefault(text, i)
        if j != i:
            duplicates.append(i)
            if part.labels is not None and part.labels[i] != part.labels[j]:
                conflicts.setdefault(text, [j]).append(i)
    return {
        "rows": len(part.texts),
        "labels": None if part.labels is None else dict(sorted(Counter(x for xs in part.labels for x in xs).items())),
        "duplicates": {
            "count": len(duplicates),
            "examples": [part.places[i] for i in duplicates[:MAX_LISTED]],
        },
        "conflicts": {
            "count": len(conflicts),
            "examples": [
                {"text": _short(text), "places": [part.places[i] for i in where[:MAX_LISTED]]}
                for text, where in list(conflicts.items())[:MAX_LISTED]
            ],
        },
    }


def _overlaps(parts: Mapping[str, SplitView]) -> list[dict[str, Any]]:
    """For each pair of parts, the texts that stand in both."""
    found = []
    names = list(parts)
    for a, first in enumerate(names):
        places = {text: place for text, place in zip(parts[first].texts, parts[first].places, strict=True)}
        for second in names[a + 1 :]:
            both = [
                (text, places[text], place)
                for text, place in zip(parts[second].texts, parts[second].places, strict=True)
                if text in places
            ]
            if both:
                examples = [{"text": _short(text), "places": [one, other]} for text, one, other in both[:MAX_LISTED]]
                found.append({"between": [first, second], "count": len(both), "examples": examples})
    return found


def _short(text: tuple[Hashable, ...]) -> str:
    """The beginning of an example, for people; words are written as a text."""
    return " / ".join(" ".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in text)[:120]


def check_splits(parts: Mapping[str, SplitView], several: bool, held_out: bool) -> None:
    """Refuse data that cannot be learned from or measured on.

    Args:
        parts: train and whatever else is used.
        several: whether an example can have several labels.
        held_out: whether the other parts were held out of train by us; only the hint depends on it.

    Raises:
        DataError: a part with fewer than 2 examples, one class only, a label that train lacks.
    """
    for name, part in parts.items():
        if len(part.texts) < 2:
            found = "1 example" if part.texts else "no examples"
            share = f", hold out a larger share (data.holdout.{name}), or smaller groups" if held_out else ""
            raise DataError(
                f"The {name} part has {found}; at least 2 are needed.", f"Give more data, raise data.limit{share}."
            )
    train = parts["train"]
    if train.labels is None:
        return
    known = {label for labels in train.labels for label in labels}
    if len(known) < (1 if several else 2):
        only = f"only the label {next(iter(known))!r}" if known else "no label at all"
        raise DataError(
            f"The train part has {only}; at least {1 if several else 2} different ones are needed.",
            "Is the right column given as label (data.columns)? Is data.limit too small, or the file sorted and cut?",
        )
    for name, part in parts.items():
        _check_known(name, part, known)


def _check_known(name: str, part: SplitView, known: set[str]) -> None:
    unknown: dict[str, str] = {}
    for labels, place in zip(part.labels or [], part.places, strict=bool(part.labels)):
        for label in labels:
            if label not in known:
                unknown.setdefault(label, place)
    if unknown:
        shown = format_list([f"{label[:60]!r} ({place})" for label, place in unknown.items()])
        there = format_list([repr(label[:60]) for label in sorted(known)])
        raise DataError(
            f"The {name} part has labels that train lacks: {shown}.",
            f"A model cannot learn them. Train has: {there}. "
            "Correct the labels, add examples to train, or raise data.limit.train.",
        )


def length_report(lengths: Sequence[int], max_length: int) -> dict[str, Any]:
    """How long the inputs are, in tokens, and how many of them ``max_length`` cuts.

    Args:
        lengths: for each example its tokens, special tokens included, before cutting.
        max_length: longest input in tokens.

    Returns:
        ``{"count", "max_length", "p50", "p95", "max", "truncated", "truncated_share", "histogram": {"edges",
        "counts"}}``; bin i of the histogram counts lengths from ``edges[i]`` to below ``edges[i + 1]``.
    """
    values = np.asarray(lengths, dtype=np.int64)
    if values.size == 0:
        return {"count": 0, "max_length": max_length, "truncated": 0, "truncated_share": 0.0}
    longest = int(values.max())
    width = max(1, -(-(longest + 1) // 24))
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
