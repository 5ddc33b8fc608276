"""Comparison of a reader's answer with the expected one, and messages that help with what differs."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import textwrap
from collections.abc import Mapping, Sequence

MAX_SHOWN = 160  # characters of a value in a message
_OFF_BY_ONE = " Off by one: where does counting start, and is the end included?"


class Wrong(Exception):
    """An answer is wrong; the message says what is wrong in a way that helps."""


class NotAttempted(Wrong):
    """The answer is still the stub as it was delivered."""

    def __init__(self) -> None:
        super().__init__("This is not filled in yet: replace the three dots (...) with your code.")


def call_answer(function: object, *arguments: object) -> object:
    """Call the reader's function, which must not change its arguments.

    Args:
        function: the reader's answer.
        *arguments: to call it with.

    Returns:
        Its result.

    Raises:
        NotAttempted: it is still the stub.
        Wrong: it is no function, raises an exception, returns None, or changes its arguments.
    """
    if function is None or function is ...:
        raise NotAttempted()
    if not callable(function):
        raise Wrong(f"This must be a function, but it is {_kind(function)}: pass its name, without brackets.")
    if _is_stub(function):
        raise NotAttempted()
    passed = copy.deepcopy(arguments)
    try:
        result: object = function(*passed)
    except Exception as error:
        raise Wrong(f"{_call_text(function, arguments)} raises {type(error).__name__}: {shorten(error)}") from error
    if result is None or result is ...:
        call = _call_text(function, arguments)
        raise Wrong(f"{call} returns {shorten(result)}. Is there a `return`, and is each ... replaced?")
    for before, after in zip(arguments, passed, strict=True):
        if _difference(after, before) is not None:
            raise Wrong(
                f"{_call_text(function, arguments)} changes its arguments. Work on a copy: others use them too."
            )
    return result


def expect(
    function: object, arguments: tuple[object, ...], expected: object, why: str = "", tolerance: float = 1e-5
) -> None:
    """Check the result of the reader's function in one case.

    Args:
        function: the reader's answer.
        arguments: arguments of this case.
        expected: its correct result: a number, text, list, tuple, dictionary, array or tensor of these.
        why: the usual reason for a wrong result in this case, as a sentence; shown after the difference.
        tolerance: largest difference between numbers, relative and absolute.

    Raises:
        NotAttempted: it is still the stub.
        Wrong: the result differs.
    """
    try:
        result = call_answer(function, *arguments)
    except Wrong as wrong:
        # Some cases test for a division by 0, or for an index that does not exist.
        if why and isinstance(wrong.__cause__, (ArithmeticError, LookupError)):
            raise Wrong(f"{wrong}. {why}") from wrong.__cause__
        raise
    difference = _difference(result, expected, tolerance)
    if difference is not None and why:  # the case's own reason is better than a guess
        difference = f"{difference.removesuffix(_OFF_BY_ONE)} {why}"
    if difference is not None:
        raise Wrong(f"{_call_text(function, arguments)}: {difference}")


def expect_value(value: object, expected: object, why: str = "", tolerance: float = 1e-5) -> None:
    """Check a value that the reader computed.

    Args:
        value: the reader's answer.
        expected: the correct value.
        why: the message for a wrong value.
        tolerance: largest difference between numbers, relative and absolute.

    Raises:
        NotAttempted: there is no value yet.
        Wrong: the value differs.
    """
    if value is None or value is ...:
        raise NotAttempted()
    if _difference(value, expected, tolerance) is not None:
        # The message does not show the expected value: that would be the solution.
        raise Wrong(why or "That is not correct yet.")


def expect_pair(value: object, message: str) -> None:
    """Check that a result is a pair.

    Args:
        value: the result.
        message: for everything else.

    Raises:
        Wrong: it is no pair.
    """
    value = to_plain(value)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Wrong(message)


def shorten(value: object) -> str:
    """Return a value as Python code, or an exception's message, in at most two lines.

    Args:
        value: a value of any type.
    """
    text = str(value) if isinstance(value, Exception) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def to_plain(value: object) -> object:
    """Convert arrays, tensors and their numbers to Python's own.

    Args:
        value: a value of any type.
    """
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else value


def _is_stub(function: object) -> bool:
    """Whether a function's body is empty: a docstring, three dots, ``pass`` or ``return`` at most."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):  # no source, or only a part of a statement (a lambda)
        return False
    definition = tree.body[0] if tree.body else None
    return isinstance(definition, ast.FunctionDef) and all(map(_is_empty, definition.body))


def _is_empty(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Return):
        value = statement.value
        return value is None or (isinstance(value, ast.Constant) and value.value in (None, ...))
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _call_text(function: object, arguments: tuple[object, ...]) -> str:
    return f"{getattr(function, '__name__', 'answer')}({', '.join(map(shorten, arguments))})"


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _difference(actual: object, expected: object, tolerance: float = 1e-5) -> str | None:
    """Return what is wrong with a value, in words that help; None when nothing is."""
    actual, expected = to_plain(actual), to_plain(expected)
    if isinstance(expected, bool) or isinstance(actual, bool):
        return None if actual is expected else _returned(actual, expected)
    if isinstance(expected, (int, float)):
        return _number_difference(actual, expected, tolerance)
    if isinstance(expected, Mapping):
        return _mapping_difference(actual, expected, tolerance)
    if isinstance(expected, (list, tuple)):
        return _sequence_difference(actual, expected, tolerance)
    return None if actual == expected else _returned(actual, expected)


def _returned(actual: object, expected: object) -> str:
    return f"returns {shorten(actual)}, but should return {shorten(expected)}."


def _number_difference(actual: object, expected: float, tolerance: float) -> str | None:
    if not isinstance(actual, (int, float)):
        return f"returns {_kind(actual)}, {shorten(actual)}, but should return a number, {shorten(expected)}."
    if _close(actual, expected, tolerance):
        return None
    message = _returned(actual, expected)
    if expected and _close(actual, 100 * expected, tolerance):
        return f"{message} The result must be a fraction (0 to 1), not a percentage."
    if expected and _close(actual, -expected, tolerance):
        return f"{message} The sign is reversed."
    if isinstance(expected, int) and isinstance(actual, int) and abs(actual - expected) == 1:
        return message + _OFF_BY_ONE
    return message


def _close(actual: float, expected: float, tolerance: float) -> bool:
    both_nan = math.isnan(actual) and math.isnan(expected)
    return both_nan or math.isclose(actual, expected, rel_tol=tolerance, abs_tol=tolerance)


def _mapping_difference(actual: object, expected: Mapping[object, object], tolerance: float) -> str | None:
    if not isinstance(actual, Mapping):
        return f"returns {_kind(actual)}, but should return a dictionary such as {shorten(dict(expected))}."
    missing, extra = [key for key in expected if key not in actual], [key for key in actual if key not in expected]
    if missing:
        return f"the key {shorten(missing[0])} is missing; it returns {shorten(dict(actual))}."
    if extra:
        return f"the key {shorten(extra[0])} should not be there; the expected keys are {shorten(list(expected))}."
    for key, value in expected.items():
        difference = _difference(actual[key], value, tolerance)
        if difference is not None:
            return f"for the key {shorten(key)} it {difference}"
    return None


def _sequence_difference(actual: object, expected: Sequence[object], tolerance: float) -> str | None:
    if isinstance(actual, (str, bytes, Mapping)) or not isinstance(actual, Sequence):
        return (
            f"returns {_kind(actual)}, {shorten(actual)}, but should return {_kind(expected)} such as "
            f"{shorten(expected)}."
        )
    shape, expected_shape = _shape(actual), _shape(expected)
    if len(expected_shape) > 1 and shape != expected_shape:
        swapped = " Rows and columns are swapped." if shape == expected_shape[::-1] else ""
        message = _returned(actual, expected).removesuffix(".")
        return f"{message}: it has the shape {shape}, but should have {expected_shape}.{swapped}"
    if len(actual) != len(expected):
        off = " Off by one: is the first or the last one missing?" if len(actual) == len(expected) - 1 else ""
        return (
            f"returns {len(actual)} items, {shorten(actual)}, but should return {len(expected)}: "
            f"{shorten(expected)}.{off}"
        )
    wrong = [i for i in range(len(expected)) if _difference(actual[i], expected[i], tolerance) is not None]
    if not wrong:
        return None
    message = _returned(actual, expected).removesuffix(".")
    return f"{message}; the first difference is at position {wrong[0]}.{_order_hint(actual, expected)}"


def _order_hint(actual: Sequence[object], expected: Sequence[object]) -> str:
    """Return a hint for the right values at wrong positions."""
    if len(expected) < 3:
        return ""
    if list(actual[1:]) == list(expected[:-1]) or list(actual[:-1]) == list(expected[1:]):
        return " The values are shifted by one position: off by one."
    if list(actual) == list(reversed(expected)):
        return " The order is reversed."
    return ""


def _shape(value: object) -> tuple[int, ...]:
    """Return the lengths of a table's axes, as far as all its rows agree; empty for other values."""
    value = to_plain(value)
    if not isinstance(value, (list, tuple)):
        return ()
    rows = {_shape(row) for row in value}
    return (len(value), *(rows.pop() if len(rows) == 1 else ()))
