"""What ``data.train``, ``data.valid`` and ``data.test`` name: a data set of the catalogue, rows of the hub, or a path.

Everything that reads, checks or rewrites these fields asks :func:`source_kind`, so that a name means the same to all.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.data.catalogue.hub_rows import is_reference
from workbench.data.examples import SplitName

SourceKind: TypeAlias = Literal["catalogue", "hub", "path"]


def source_kind(name: str, split: SplitName = "train") -> SourceKind:
    """Return what a name in the data section of a spec refers to.

    Args:
        name: what the spec says of a split.
        split: the split; only ``train`` can name a data set of the catalogue, which has its own splits.
    """
    if is_reference(name):
        return "hub"
    return "catalogue" if split == "train" and name in catalogue().datasets else "path"


def find_entry(name: str) -> DatasetEntry | None:
    """Return the data set of the catalogue that ``data.train`` names; None for a file or a reference.

    Args:
        name: what the spec says of the train split.
    """
    return catalogue().datasets[name] if source_kind(name) == "catalogue" else None
