"""What can be told of Python code without running it: whether it parses, and how near it is to other code."""

from __future__ import annotations

import ast
import textwrap
import warnings

import numpy as np

LONGEST_CODE = 20_000  # characters that are parsed; longer is not looked at
LONGEST_COMPARED = 4_000  # characters of each side that are compared


def parses(code: str) -> bool:
    """Whether ``code`` is Python of this version. It is never run, and nothing in it is looked up.

    What is longer than ``LONGEST_CODE`` counts as no Python, and so does what the parser gives up on: nested too deep,
    half a character.
    """
    if len(code) > LONGEST_CODE:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes
            ast.parse(textwrap.dedent(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def function_body(written: str, whole: bool) -> str:
    """The body of a function in what a model wrote after its head: up to the first line that is indented less.

    Args:
        written: what comes behind the docstring; its first line of code gives the indent.
        whole: the model has ended it; otherwise its last line may be half a line, and is left out if there are others.
    """
    lines = written.strip("\n").split("\n")
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    indent = next((_indent(line) for line in lines if line.strip()), 0)
    kept: list[str] = []
    for line in lines:
        if line.strip() and _indent(line) < indent:
            break
        kept.append(line.rstrip())
    return "\n".join(kept).rstrip()


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def edit_similarity(one: str, other: str) -> float:
    """1 less the edit distance (Levenshtein 1966) over the length of the longer text, in characters; 0 to 1."""
    one, other = one[:LONGEST_COMPARED], other[:LONGEST_COMPARED]
    longest = max(len(one), len(other))
    return 1.0 - edit_distance(one, other) / longest if longest else 1.0


def edit_distance(one: str, other: str) -> int:
    """Characters to be put in, taken out or replaced to make one text the other.

    The usual table row by row (Wagner and Fischer 1974). Within a row each number depends on the one to its left; as
    that adds one for each step, ``min.accumulate`` of the numbers less their place gives them all at once.
    """
    first, second = (np.array([ord(character) for character in text], dtype=np.int64) for text in (one, other))
    places = np.arange(len(second) + 1)
    row = places.copy()
    for number, character in enumerate(first, start=1):
        best = np.empty_like(row)
        best[0] = number
        best[1:] = np.minimum(row[1:] + 1, row[:-1] + (second != character))
        row = np.minimum.accumulate(best - places) + places
    return int(row[-1])
