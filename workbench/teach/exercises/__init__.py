"""Exercises of the tutorials: one file per lesson, one class per exercise, with the hidden cases that judge an answer.

    @exercises.register("02-names.3")
    class LabelsOnPieces(Exercise):
        "Put a word's label on its first piece only."
        hints = ("Two pieces of one word have the same number in word_ids.", "...")

        def check(self, answer: Any) -> None:
            expect(answer, ([None, 0, 0, 1, None], [3, 7]), [-100, 3, -100, 7, -100], "forgot the pieces?")

The part before the dot names the lesson, whose text is ``tutorials/src/02_names.py``.
"""

from __future__ import annotations

import copy
import dis
import math
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.registry import Registry

SHOWN = 160  # characters of a value in a message
_OFF_BY_ONE = " Off by one: where does counting begin, and does the end belong to it?"


class Wrong(Exception):
    """An answer is wrong; the message says what is wrong in a way that helps."""


class NotAttempted(Wrong):
    """The stub stands there as it was delivered."""

    def __init__(self) -> None:
        super().__init__("This is not filled in yet: put your code in place of the three dots (...).")


class Exercise:
    """One exercise. The first line of the class's docstring is its title.

    Attributes:
        name: ``"02-names.3"``, set by the registry.
        hints: given one by one, from a nudge to nearly the answer.
    """

    name: str = ""
    hints: tuple[str, ...] = ()

    def check(self, answer: Any) -> None:
        """Try hidden cases. Raises :class:`Wrong` for an answer that is not right."""
        raise NotImplementedError


exercises: Registry[Exercise] = Registry("exercise", package="workbench.teach.exercises")


def called(function: Any, *given: Any) -> Any:
    """What the reader's function gives for these arguments, which it must leave as they are.

    Raises:
        Wrong: it is no function, is not filled in, raises an exception, gives None, or changes what it was given.
    """
    if function is None or function is ...:
        raise NotAttempted()
    if not callable(function):
        raise Wrong(f"A function is asked for here, and this is {_kind(function)}: give its name, without brackets.")
    if _is_stub(function):
        raise NotAttempted()
    arguments = copy.deepcopy(given)
    try:
        got = function(*arguments)
    except Exception as error:
        raise Wrong(f"{_call(function, given)} raises {type(error).__name__}: {cut(error)}") from error
    if got is None or got is ...:
        raise Wrong(f"{_call(function, given)} gives {cut(got)}. Is there a `return`, and is each ... filled in?")
    for before, after in zip(given, arguments, strict=True):
        if _difference(after, before) is not None:
            raise Wrong(f"{_call(function, given)} changes what it was given. Work on a copy: others use it too.")
    return got


def expect(function: Any, given: tuple[Any, ...], expected: Any, why: str = "", tolerance: float = 1e-5) -> None:
    """Hold what the reader's function gives for one case against what it must give.

    Args:
        function: the reader's.
        given: its arguments in this case.
        expected: what it must give: a number, text, list, tuple, dictionary, array or tensor of these.
        why: what a wrong answer in this case usually comes from, as a sentence; shown behind the difference.
        tolerance: how far numbers may be from the expected ones, relative and absolute.
    """
    try:
        got = called(function, *given)
    except Wrong as wrong:
        # To divide by 0, or to find nothing at a place, is what some cases are there for.
        if why and isinstance(wrong.__cause__, (ArithmeticError, LookupError)):
            raise Wrong(f"{wrong}. {why}") from wrong.__cause__
        raise
    difference = _difference(got, expected, tolerance)
    if difference is not None and why:  # a reason of the case's own is better than a guess
        difference = f"{difference.removesuffix(_OFF_BY_ONE)} {why}"
    if difference is not None:
        raise Wrong(f"{_call(function, given)}: {difference}")


def expect_value(got: Any, expected: Any, why: str = "", tolerance: float = 1e-5) -> None:
    """The same for a value that the reader worked out, not a function."""
    if got is None or got is ...:
        raise NotAttempted()
    difference = _difference(got, expected, tolerance)
    if difference is not None:
        # What is asked for is not told: a value has one case only, and that would be the solution.
        raise Wrong(why or "That is not it yet.")


def cut(value: Any) -> str:
    """A value as Python writes it, not longer than a line or two."""
    written = str(value) if isinstance(value, Exception) else repr(value)
    written = " ".join(written.split())
    return written if len(written) <= SHOWN else written[: SHOWN - 1] + "…"


def _is_stub(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP", "POP_TOP")]
    gives_nothing = all(step.opname in ("LOAD_CONST", "RETURN_VALUE", "RETURN_CONST") for step in steps)
    return gives_nothing and all(step.argval in (None, ...) for step in steps if "CONST" in step.opname)


def _call(function: Any, given: tuple[Any, ...]) -> str:
    return f"{getattr(function, '__name__', 'answer')}({', '.join(map(cut, given))})"


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _difference(got: Any, expected: Any, tolerance: float = 1e-5) -> str | None:
    """What is wrong with ``got``, in words that help; None when it is right."""
    got, expected = plain(got), plain(expected)
    if isinstance(expected, bool) or isinstance(got, bool):
        return None if got is expected else f"gives {cut(got)}, and should give {cut(expected)}."
    if isinstance(expected, (int, float)):
        return _number(got, expected, tolerance)
    if isinstance(expected, Mapping):
        return _mapping(got, expected, tolerance)
    if isinstance(expected, (list, tuple)):
        return _sequence(got, expected, tolerance)
    return None if got == expected else f"gives {cut(got)}, and should give {cut(expected)}."


def plain(value: Any) -> Any:
    """Arrays, tensors and their numbers as Python's own."""
    listed = getattr(value, "tolist", None)
    return listed() if callable(listed) else value


def _number(got: Any, expected: float, tolerance: float) -> str | None:
    if not isinstance(got, (int, float)):
        return f"gives {_kind(got)}, {cut(got)}, and should give a number, {cut(expected)}."
    if _near(got, expected, tolerance):
        return None
    told = f"gives {cut(got)}, and should give {cut(expected)}."
    if expected and _near(got, 100 * expected, tolerance):
        return f"{told} A share is asked for (0 to 1), not a percentage."
    if expected and _near(got, -expected, tolerance):
        return f"{told} The sign is turned round."
    if isinstance(expected, int) and isinstance(got, int) and abs(got - expected) == 1:
        return told + _OFF_BY_ONE
    return told


def _near(got: float, expected: float, tolerance: float) -> bool:
    both = math.isnan(got) and math.isnan(expected)
    return both or math.isclose(got, expected, rel_tol=tolerance, abs_tol=tolerance)


def _mapping(got: Any, expected: Mapping[Any, Any], tolerance: float) -> str | None:
    if not isinstance(got, Mapping):
        return f"gives {_kind(got)}, and should give a dictionary such as {cut(dict(expected))}."
    missing, more = [key for key in expected if key not in got], [key for key in got if key not in expected]
    if missing:
        return f"the key {cut(missing[0])} is missing; it gives {cut(dict(got))}."
    if more:
        return f"the key {cut(more[0])} should not be there; expected are {cut(list(expected))}."
    for key, value in expected.items():
        difference = _difference(got[key], value, tolerance)
        if difference is not None:
            return f"at {cut(key)} it {difference}"
    return None


def _sequence(got: Any, expected: Sequence[Any], tolerance: float) -> str | None:
    if isinstance(got, (str, bytes, Mapping)) or not isinstance(got, Sequence):
        return f"gives {_kind(got)}, {cut(got)}, and should give {_kind(expected)} such as {cut(expected)}."
    shapes = _shape(got), _shape(expected)
    if len(shapes[1]) > 1 and shapes[0] != shapes[1]:
        turned = " Rows and columns are exchanged." if shapes[0] == shapes[1][::-1] else ""
        return (
            f"gives {cut(got)}, and should give {cut(expected)}: it has the shape {shapes[0]}, and should have "
            f"{shapes[1]}.{turned}"
        )
    if len(got) != len(expected):
        off = " Off by one: is the first or the last one forgotten?" if len(got) == len(expected) - 1 else ""
        return f"gives {len(got)} items, {cut(got)}, and should give {len(expected)}: {cut(expected)}.{off}"
    wrong = [at for at in range(len(expected)) if _difference(got[at], expected[at], tolerance) is not None]
    if not wrong:
        return None
    told = f"gives {cut(got)}, and should give {cut(expected)}; the first difference is at position {wrong[0]}."
    return told + _shifted(got, expected)


def _shifted(got: Sequence[Any], expected: Sequence[Any]) -> str:
    if len(expected) < 3:
        return ""
    if list(got[1:]) == list(expected[:-1]) or list(got[:-1]) == list(expected[1:]):
        return " The values stand one place too far: off by one."
    if list(got) == list(reversed(expected)):
        return " The order is turned round."
    return ""


def _shape(value: Any) -> tuple[int, ...]:
    """The lengths of a table's axes, as far as all its rows agree; empty for what is no list."""
    value = plain(value)
    if not isinstance(value, (list, tuple)):
        return ()
    rows = {_shape(row) for row in value}
    return (len(value), *(rows.pop() if len(rows) == 1 else ()))
