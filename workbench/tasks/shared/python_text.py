"""Properties of Python code that need no execution: whether it parses, and its similarity to other code."""

from __future__ import annotations

import ast
import textwrap
import warnings

import numpy as np

LONGEST_CODE = 20_000  # characters that are parsed; longer code counts as invalid
LONGEST_COMPARED = 4_000  # characters of each text that are compared


def parses(code: str) -> bool:
    """Return whether ``code`` is valid in this version of Python; it is never run.

    Code longer than ``LONGEST_CODE`` counts as invalid, and so does code that makes the parser fail, such as nesting
    that is too deep or a lone surrogate.

    Args:
        code: any text.
    """
    if len(code) > LONGEST_CODE:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes
            ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def function_body(text: str, complete: bool) -> str:
    """Return the body of a function from generated code: the lines up to the first one with less indentation.

    Args:
        text: the code after the docstring; its first line of code sets the indentation.
        complete: whether the model ended the text; otherwise the last line may be incomplete, and is dropped if there
            are others.
    """
    lines = text.strip("\n").split("\n")
    if not complete and len(lines) > 1:
        lines = lines[:-1]
    indent = next((_indent(line) for line in lines if line.strip()), 0)
    body: list[str] = []
    for line in lines:
        if line.strip() and _indent(line) < indent:
            break
        body.append(line.rstrip())
    return "\n".join(body).rstrip()


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def edit_similarity(one: str, other: str) -> float:
    """Return 1 - the edit distance (Levenshtein 1966) / the length of the longer text, in characters; 0 to 1.

    Args:
        one: a text.
        other: another text; only their first ``LONGEST_COMPARED`` characters are compared.
    """
    one, other = one[:LONGEST_COMPARED], other[:LONGEST_COMPARED]
    longest = max(len(one), len(other))
    return 1.0 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Return how many characters must be inserted, deleted or replaced to turn one text into the other.

    Computes the dynamic programming table of Wagner and Fischer (1974) row by row. Within a row, each number depends on
    the one to its left. As each step adds one, ``min.accumulate`` of the numbers minus their column computes them all
    at once.

    Args:
        one: a text.
        other: another text.
    """
    first, second = (np.array([ord(character) for character in text], dtype=np.int64) for text in (one, other))
    columns = np.arange(len(second) + 1)
    row = columns.copy()
    for number, character in enumerate(first, start=1):
        best = np.empty_like(row)
        best[0] = number
        best[1:] = np.minimum(row[1:] + 1, row[:-1] + (second != character))
        row = np.minimum.accumulate(best - columns) + columns
    return int(row[-1])
