"""The exercises of the tutorials: one file per lesson, one class per exercise, with the hidden cases of its check.

    @exercises.register("02-names.3")
    class LabelsOnSubwords(Exercise):
        "A word's label goes on its first subword only."
        hints = ("Two subwords of one word have the same number in word_ids.", "...")

        def check(self, answer: object) -> None:
            expect(answer, ([None, 0, 0, 1, None], [3, 7]), [-100, 3, -100, 7, -100], "Only the first subword ...")

The part of the name before the dot is the lesson, whose text is ``tutorials/src/02_names.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from workbench.registry import Registry
from workbench.teach.comparison import (
    NotAttempted,
    Wrong,
    call_answer,
    expect,
    expect_pair,
    expect_value,
    to_plain,
)

__all__ = [
    "Exercise",
    "NotAttempted",
    "Wrong",
    "call_answer",
    "exercises",
    "expect",
    "expect_pair",
    "expect_value",
    "to_plain",
]


class Exercise(ABC):
    """One exercise. The first line of the class's docstring is its title.

    Attributes:
        name: ``"02-names.3"``, set by the registry.
        hints: shown one by one, from a nudge to nearly the answer.
    """

    name: ClassVar[str] = ""
    hints: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def check(self, answer: object) -> None:
        """Try the hidden cases.

        Args:
            answer: the reader's function or value.

        Raises:
            NotAttempted: the answer is still the stub.
            Wrong: a case fails.
        """


exercises: Registry[Exercise] = Registry("exercise", package="workbench.teach.exercises")
