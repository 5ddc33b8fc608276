"""Checking answers: the message for each kind of mistake, and the progress that is recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.errors import RequestError, UnknownNameError
from workbench.teach import check, hint, lessons, progress_store, solution
from workbench.teach.exercises import Exercise, Wrong, exercises, expect, expect_value


class Double(Exercise):
    """Twice each number."""

    hints = ("Think of a product.", "Multiply by two.")

    def check(self, answer: Any) -> None:
        expect(answer, ([1, 2, 3],), [2, 4, 6])


@pytest.fixture(autouse=True)
def one_exercise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    exercises.register("99-double.1")(Double)
    yield
    del exercises._entries["99-double.1"]


def message(function: Any, arguments: tuple[Any, ...], expected: Any) -> str:
    with pytest.raises(Wrong) as wrong:
        expect(function, arguments, expected)
    return str(wrong.value)


def test_a_right_answer_may_be_a_list_an_array_or_a_tensor() -> None:
    for kind in (list, np.array, torch.tensor):
        expect(lambda numbers, kind=kind: kind([2.0 * number for number in numbers]), ([1, 2],), [2, 4])
        expect(lambda kind=kind: (kind([1, 2, 3]), 0.5), (), ([1, 2, 3], 0.5))  # together with a number, in a pair
    assert "returns (0.5, [1, 2, 3]), but should return" in message(lambda: (0.5, [1, 2, 3]), (), ([1, 2, 3], 0.5))


def test_an_unfilled_stub_is_recognized() -> None:
    def dots(numbers: Any) -> None:
        """A docstring alone is no answer."""
        ...

    for stub in (dots, ..., None):
        assert "not filled in yet" in message(stub, ([1],), [2])
    assert "Is there a `return`" in message(lambda numbers: print(end=""), ([1],), [2])


def test_each_mistake_gets_its_message() -> None:
    assert "raises ZeroDivisionError: division by zero" in message(lambda x: x / 0, (1,), 1)
    assert "should return 6. Off by one" in message(lambda x: 5, (1,), 6)
    assert "not a percentage" in message(lambda x: 25.0, (1,), 0.25)
    assert "sign is reversed" in message(lambda x: -0.25, (1,), 0.25)
    assert "should return a number" in message(lambda x: "six", (1,), 6)
    assert "should return 3: [1, 2, 3]. Off by one" in message(lambda x: [1, 2], (1,), [1, 2, 3])
    assert "Off by one" not in message(lambda x: [1, 2, 3], (1,), [1, 2])
    assert "first difference is at position 1" in message(lambda x: [1, 9, 3], (1,), [1, 2, 3])
    assert "shifted by one position" in message(lambda x: [0, 1, 2], (1,), [1, 2, 3])
    assert "order is reversed" in message(lambda x: [3, 2, 1], (1,), [1, 2, 3])
    assert "shape (2, 3), but should have (3, 2). Rows and columns are swapped" in message(
        lambda x: np.zeros((2, 3)), (1,), np.zeros((3, 2))
    )
    assert "the key 'b' is missing" in message(lambda x: {"a": 1}, (1,), {"a": 1, "b": 2})
    assert "for the key 'a' it returns 2" in message(lambda x: {"a": 2}, (1,), {"a": 7})
    assert "This must be a function" in message(7, (1,), 7)


def test_true_is_not_one() -> None:
    assert "returns 1, but should return True" in message(lambda x: 1, (1,), True)
    assert "returns True" in message(lambda x: True, (1,), 1)


def test_arguments_must_not_be_changed() -> None:
    def sort_numbers(numbers: list[int]) -> list[int]:
        numbers.sort()
        return numbers

    assert "changes its arguments" in message(sort_numbers, ([3, 1],), [1, 3])


def test_the_expected_value_is_not_revealed() -> None:
    with pytest.raises(Wrong) as wrong:
        expect_value(7, 8)
    assert "8" not in str(wrong.value)


def test_hints_come_one_by_one_before_the_solution() -> None:
    verdict = check("99-double.1", lambda numbers: numbers)
    assert not verdict.right and "hint('99-double.1') shows a hint (2 left)" in str(verdict)
    assert "Think of a product" in repr(hint("99-double.1"))
    assert "Multiply by two" in repr(hint("99-double.1")) and "solution(" in repr(hint("99-double.1"))
    assert "solution('99-double.1') shows" in str(check("99-double.1", lambda numbers: numbers))
    assert progress_store.exercise_progress("99-double.1")["tries"] == 2


def test_progress_survives_a_later_mistake() -> None:
    assert check("99-double.1", lambda numbers: [2 * number for number in numbers]).right
    check("99-double.1", lambda numbers: numbers)
    assert progress_store.passed_exercises() == {"99-double.1"}
    progress_store.reset_lesson("99-double")
    assert progress_store.passed_exercises() == set()


def test_a_message_is_escaped_in_the_notebook() -> None:
    shown = check("99-double.1", lambda numbers: ["<script>alert(1)</script>"])._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_unknown_names_are_errors() -> None:
    with pytest.raises(UnknownNameError, match=r"99-double\.2"):
        check("99-double.2", 1)
    with pytest.raises(RequestError, match="is not installed"):
        solution("99-double.1")


CELL = '''# exercise: 99-double.1
def double(numbers):
    """Twice each."""
    # solution
    return [2 * number for number in numbers]
    # end solution

check("99-double.1", double)
'''


def test_stub_and_solution_come_from_one_source() -> None:
    assert '    """Twice each."""\n    ...\n' in lessons.stubbed(CELL) and "return" not in lessons.stubbed(CELL)
    assert "    return [2 * number" in lessons.solved(CELL) and "# solution" not in lessons.solved(CELL)
    assert "    return numbers\n" in lessons.answered(CELL, "return numbers")
    value = "# exercise: 99-double.1\n# solution: twice = ...\ntwice = 6\n# end solution"
    assert lessons.stubbed(value).endswith("twice = ...") and lessons.solved(value).endswith("twice = 6")
