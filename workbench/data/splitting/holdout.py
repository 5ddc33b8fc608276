"""From extracted tables to splits: hold out what has no file of its own, and apply the limits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from workbench.data.equal_texts import fold_inputs
from workbench.data.examples import Examples, SplitName
from workbench.data.extract import Extracted
from workbench.data.report import ExcludedRows, format_list
from workbench.data.roles import Roles
from workbench.data.splitting.stratify import sample_indices, split_indices
from workbench.errors import DataError
from workbench.runs.report_notes import WarningNote
from workbench.spec import DataSpec

MAX_HELD_OUT = 0.95  # share of the training data
_HELD_OUT: tuple[SplitName, ...] = ("test", "valid")


def hold_out(extracted: Mapping[SplitName, Extracted], spec: DataSpec, roles: Roles) -> dict[SplitName, Examples]:
    """Return all splits: those that have a file, and those held out of train.

    Examples with equal inputs (:mod:`workbench.data.equal_texts`), and examples of one group, stay in one split.

    Args:
        extracted: the splits that have a file.
        spec: says which shares to hold out, and the seed.
        roles: which values are inputs and labels.

    Raises:
        DataError: nearly all of the training data would be held out.
    """
    splits = {name: each.examples for name, each in extracted.items()}
    shares: dict[SplitName, float] = {}
    for name in _HELD_OUT:
        if name not in splits and getattr(spec.holdout, name) > 0:
            shares[name] = getattr(spec.holdout, name)
    if not shares:
        return splits
    total = sum(shares.values())
    if total >= MAX_HELD_OUT:
        raise DataError(
            f"data.holdout takes {total:.0%} of the training data.", f"Hold out less than {MAX_HELD_OUT:.0%} in total."
        )
    train = extracted["train"]
    together: list[Sequence[Hashable]] = [fold_inputs(roles.inputs_of(train.examples))]
    if train.groups is not None:
        together.append([None if value in (None, "") else str(value) for value in train.groups])
    labels = roles.labels_of(train.examples)
    indices = split_indices(len(train.examples), shares, spec.split_seed, labels, together)
    return splits | {name: train.examples.take(members) for name, members in indices.items()}


def apply_limits(
    splits: Mapping[SplitName, Examples], spec: DataSpec, roles: Roles
) -> tuple[dict[SplitName, Examples], list[ExcludedRows]]:
    """Sample each split that is larger than ``data.limit``, stratified by label.

    Args:
        splits: all splits.
        spec: says how many examples to use of each split, and the seed.
        roles: which values are labels.

    Returns:
        The splits, and the rows that are excluded.
    """
    limited = dict(splits)
    excluded = []
    for name, examples in splits.items():
        limit = getattr(spec.limit, name)
        if limit is not None and limit < len(examples):
            indices = sample_indices(range(len(examples)), roles.labels_of(examples), limit, spec.split_seed)
            limited[name] = examples.take(indices)
            reason = f"data.limit.{name} is {limit:,} of {len(examples):,}"
            excluded.append(ExcludedRows(name, reason, count=len(examples) - limit, by_choice=True))
    return limited, excluded


def note_shared_groups(extracted: Mapping[SplitName, Extracted], group: str | None) -> list[str]:
    """Return notes on groups that the files put into train and another split.

    Args:
        extracted: the splits that have a file.
        group: the column that groups examples.
    """
    groups = {name: {str(value) for value in each.groups} for name, each in extracted.items() if each.groups}
    notes: list[str] = []
    for name, values in groups.items():
        shared = groups["train"] & values if name != "train" and "train" in groups else set()
        if shared:
            examples = format_list([value[:60] for value in sorted(shared)])
            note = f"{len(shared):,} values of {group!r} occur in both train and {name}: {examples}."
            notes.append(WarningNote(note))
    return notes
