"""The roles of a task that a data set fills, and what they say about its examples."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.data.columns import CLASSES, Column
from workbench.data.examples import Examples


@dataclass(frozen=True)
class Roles:
    """The roles of a task that a data set fills.

    Args:
        mapping: role -> column of the file.
        columns: the roles, in the task's order.
    """

    mapping: dict[str, str]
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, columns: Sequence[Column], mapping: dict[str, str]) -> Roles:
        """Select the roles that are mapped to a column.

        Args:
            columns: all roles of the task.
            mapping: role -> column of the file.
        """
        return cls(mapping, tuple(column for column in columns if column.role in mapping))

    @property
    def label(self) -> Column | None:
        """The role that splits are stratified by; None if the task has none."""
        return next((column for column in self.columns if column.kind in CLASSES), None)

    @property
    def multi_label(self) -> bool:
        """Whether an example can have several labels."""
        return self.label is not None and self.label.kind == "labels"

    @property
    def group(self) -> str | None:
        """The column of the role that keeps its examples together; None if no role does."""
        return next((self.mapping[column.role] for column in self.columns if column.keeps_together), None)

    def inputs_of(self, examples: Examples) -> list[tuple[Hashable, ...]]:
        """Return what the model reads of each example; equal inputs are duplicates, whatever their targets.

        Args:
            examples: N examples.

        Returns:
            N tuples with one value per input role.
        """
        columns: list[list[Any]] = [examples.columns[column.role] for column in self.columns if not column.is_target]
        return [tuple(tuple(v) if isinstance(v, list) else v for v in values) for values in zip(*columns, strict=True)]

    def labels_of(self, examples: Examples) -> list[tuple[str, ...]] | None:
        """Return the labels of each example.

        Args:
            examples: N examples.

        Returns:
            N tuples of labels; None if the task has no label.
        """
        if self.label is None:
            return None
        values: list[Any] = examples.columns[self.label.role]
        return [tuple(value) if isinstance(value, list) else (value,) for value in values]
