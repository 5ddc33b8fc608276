"""Refuse splits that are too small, with the reason: what keeps the rows of the training data together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from workbench.data.equal_texts import fold_inputs
from workbench.data.examples import Examples, SplitName
from workbench.data.extract import Extracted
from workbench.data.roles import Roles
from workbench.errors import DataError
from workbench.spec import DataSpec

MIN_EXAMPLES = 2  # in each split
MOSTLY = 0.8  # of the rows: from here on, nearly every row has a label of its own


class Cause(NamedTuple):
    """Why a split is too small, and what to do."""

    reason: str
    remedy: str


def check_sizes(
    splits: Mapping[SplitName, Examples],
    extracted: Mapping[SplitName, Extracted],
    spec: DataSpec,
    roles: Roles,
    group: str | None,
) -> None:
    """Refuse splits with fewer than 2 examples.

    Args:
        splits: the splits that are used.
        extracted: the splits that have a file, before anything was held out of train.
        spec: the data section of the spec.
        roles: which values are inputs and labels.
        group: the column that groups examples.

    Raises:
        DataError: a split is too small; the message says why.
    """
    for name, examples in splits.items():
        if len(examples) < MIN_EXAMPLES:
            size = "1 example" if len(examples) else "no examples"
            cause = _find_cause(name, splits, extracted, spec, roles, group)
            raise DataError(
                f"The {name} split has {size}; at least {MIN_EXAMPLES} are needed: {cause.reason}.", cause.remedy
            )


def _find_cause(
    name: SplitName,
    splits: Mapping[SplitName, Examples],
    extracted: Mapping[SplitName, Extracted],
    spec: DataSpec,
    roles: Roles,
    group: str | None,
) -> Cause:
    limit = getattr(spec.limit, name)
    if limit is not None and limit < MIN_EXAMPLES:
        return Cause(f"data.limit.{name} is {limit}", f"Raise data.limit.{name}.")
    train = extracted["train"]
    rows = len(train.examples)
    held_out = len(splits) > len(extracted)
    if name in extracted and not (held_out and name == "train"):
        count = len(extracted[name].examples)
        return Cause(f"its file has {count:,} usable {_rows(count)}", "Provide a file with more rows.")
    if rows < MIN_EXAMPLES * len(splits):
        return Cause(
            f"the training data has {rows:,} usable {_rows(rows)} for {len(splits)} splits", "Provide more rows."
        )
    return (
        _too_many_labels(train, roles)
        or _too_few_groups(train, roles, group, len(splits))
        or _too_few_texts(train, roles, len(splits))
        or _too_small_share(name, rows, spec)
    )


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _too_many_labels(train: Extracted, roles: Roles) -> Cause | None:
    """Return the cause if nearly every row is the first of its label, which always stays in train."""
    labels = roles.labels_of(train.examples)
    if labels is None or roles.label is None:
        return None
    different = {label for each in labels for label in each}
    if len(different) < MOSTLY * len(labels):
        return None
    column = roles.mapping[roles.label.role]
    return Cause(
        f"column {column!r} has {len(different):,} different labels in {len(labels):,} rows, and the first row of each "
        "label stays in train",
        f"Is {column!r} the right column? Name the one with the labels: columns: {{{roles.label.role}: NAME}}.",
    )


def _too_few_groups(train: Extracted, roles: Roles, group: str | None, splits: int) -> Cause | None:
    """Return the cause if the values of the group column are too few for all splits."""
    if train.groups is None or any(value in (None, "") for value in train.groups):
        return None
    different = {str(value) for value in train.groups}
    texts = len(set(fold_inputs(roles.inputs_of(train.examples))))
    if len(different) >= min(splits * MIN_EXAMPLES, texts):
        return None
    values = "only one value" if len(different) == 1 else f"only {len(different):,} different values"
    return Cause(
        f"column {group!r} has {values}, and rows with the same value stay in one split",
        'Choose a column with more values as data.group, or set data.group: "" to split the rows without groups.',
    )


def _too_few_texts(train: Extracted, roles: Roles, splits: int) -> Cause | None:
    """Return the cause if most rows repeat the texts of others."""
    keys = fold_inputs(roles.inputs_of(train.examples))
    different = len(set(keys))
    if different > 0.5 * len(keys):
        return None
    columns = " and ".join(repr(roles.mapping[column.role]) for column in roles.columns if not column.is_target)
    return Cause(
        f"column {columns} has only {different:,} different {'text' if different == 1 else 'texts'} in {len(keys):,} "
        "rows, and equal texts stay in one split",
        f"Check that {columns} is the column with the texts, or provide more different ones.",
    )


def _too_small_share(name: SplitName, rows: int, spec: DataSpec) -> Cause:
    if name == "train":
        total = spec.holdout.valid + spec.holdout.test
        return Cause(
            f"{total:.0%} of {rows:,} rows are held out",
            "Provide more rows, or hold out a smaller share (data.holdout).",
        )
    share = getattr(spec.holdout, name)
    return Cause(
        f"{share:.0%} of {rows:,} rows are held out for it",
        f"Provide more rows, or hold out a larger share (data.holdout.{name}).",
    )
