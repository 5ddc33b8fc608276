"""Leave out examples whose texts occur more than once, as ``data.duplicates`` says."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from workbench.data.equal_texts import fold_inputs
from workbench.data.examples import SplitName
from workbench.data.extract import Extracted
from workbench.data.report import ExcludedRows
from workbench.data.roles import Roles
from workbench.spec import DataSpec

REPEATED, CONFLICTING = "the text occurs in an earlier row", "the text occurs with different labels"  # reasons


def drop_duplicates(extracted: Mapping[SplitName, Extracted], spec: DataSpec, roles: Roles) -> list[ExcludedRows]:
    """Keep the first example of each text, and no example of a text that has different labels.

    Args:
        extracted: the examples of each file; they are changed. Texts of different files are not compared.
        spec: says whether to leave duplicates out.
        roles: which values are inputs and labels. Texts count as equal as in :mod:`workbench.data.equal_texts`.

    Returns:
        The rows that are left out.
    """
    if spec.duplicates == "keep":
        return []
    excluded = []
    for split, each in extracted.items():
        repeated, conflicting = _find(each, roles)
        for reason, indices in ((REPEATED, repeated), (CONFLICTING, conflicting)):
            if indices:
                rows = [each.examples.rows[i] for i in indices]
                excluded.append(ExcludedRows(split, reason, rows, by_choice=True))
        dropped = {*repeated, *conflicting}
        rest = [i for i in range(len(each.examples)) if i not in dropped]
        each.examples = each.examples.take(rest)
        if each.groups is not None:
            each.groups = [each.groups[i] for i in rest]
    return excluded


def _find(extracted: Extracted, roles: Roles) -> tuple[list[int], list[int]]:
    """Return the positions of examples that repeat an earlier one, and of those whose text has different labels."""
    labels = roles.labels_of(extracted.examples)
    groups: dict[tuple[Hashable, ...], list[int]] = {}
    for i, key in enumerate(fold_inputs(roles.inputs_of(extracted.examples))):
        groups.setdefault(key, []).append(i)
    repeated, conflicting = [], []
    for indices in groups.values():
        if labels is not None and len({labels[i] for i in indices}) > 1:
            conflicting += indices
        else:
            repeated += indices[1:]
    return sorted(repeated), sorted(conflicting)
