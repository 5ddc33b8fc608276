"""Code generation: generated functions are cut, parsed and compared, and never executed."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.tasks.test_prompted_tasks import make_task
from workbench.data.examples import Examples
from workbench.errors import DataError
from workbench.tasks.code_generation import _prompt
from workbench.tasks.shared.python_text import LONGEST_CODE, edit_distance, edit_similarity, function_body, parses


def slow_distance(one: str, other: str) -> int:
    """Compute the edit distance by its definition, memoized."""
    cache: dict[tuple[int, int], int] = {}

    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i or j
        if (i, j) not in cache:
            same = one[i - 1] == other[j - 1]
            cache[i, j] = min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (not same))
        return cache[i, j]

    return distance(len(one), len(other))


@settings(max_examples=80)
@given(st.text("abc\n", max_size=12), st.text("abc\n", max_size=12))
def test_edit_distance_equals_its_definition(one: str, other: str) -> None:
    assert edit_distance(one, other) == slow_distance(one, other)


def test_edit_similarity_by_hand() -> None:
    assert edit_distance("kitten", "sitting") == 3
    assert edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert edit_similarity("", "") == 1.0 and edit_similarity("", "ab") == 0.0 and edit_similarity("é中", "é中") == 1.0


GENERATED = [
    ("    return x", True, "    return x"),
    ("\n    a = 1\n\n    return a\n\n\ndef other():\n    pass", True, "    a = 1\n\n    return a"),
    ("    return x\nprint(1)", True, "    return x"),
    ("    a = 1\n    return (a +", False, "    a = 1"),
    ("    return (a +", False, "    return (a +"),
    ("    if a:\n        b()\n    c()\n  d()", True, "    if a:\n        b()\n    c()"),
    ("\treturn x\n\treturn y\nz", True, "\treturn x\n\treturn y"),
    ("", True, ""),
    ("\n\n", False, ""),
]


@pytest.mark.parametrize(("generated", "complete", "body"), GENERATED)
def test_a_body_ends_where_the_indent_does(generated: str, complete: bool, body: str) -> None:
    assert function_body(generated, complete) == body


HOSTILE = [
    "x = " + "-" * 15_000 + "1",
    "(" * 9_000 + ")" * 9_000,
    "x" + ".a" * 9_000,
    "x" + "()" * 9_000,
    "1" + "+1" * 9_000,
    "1" + "**1" * 6_000,
    "not " * 4_000 + "1",
    "a\0b",
    "1" * 19_000,
    "x = '\ud800'",
    "f'{" * 60 + "1",
    "".join(" " * i + "if 1:\n" for i in range(150)) + " " * 150 + "pass",
    "# " * LONGEST_CODE,
]


@pytest.mark.parametrize("code", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_code_does_not_parse_and_does_no_harm(code: str) -> None:
    assert parses(code) is False


def test_parsing_executes_nothing(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parses("open('made', 'w').close()\nimport nothing_of_that_name\nraise SystemExit") is True
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "valid"),
    [
        ("def f(x):\n    return x", True),
        ("    def f(self):\n        return 1", True),
        ("def f(x):", False),
        ("a b", False),
    ],
)
def test_complete_functions_parse(code: str, valid: bool) -> None:
    assert parses(code) is valid


def test_a_long_prompt_is_cut_in_the_middle() -> None:
    prompt = _prompt([1], np.arange(10, 30, dtype=np.int32))
    assert prompt.within(7).tolist() == [1, 10, 11, 12, 27, 28, 29]
    assert prompt.within(21).tolist() == [1, *range(10, 30)] and prompt.length == 21


def functions(*rows: tuple[str, str]) -> Examples:
    return Examples(
        {"prompt": [r[0] for r in rows], "body": [r[1] for r in rows]},
        [f"code.jsonl:{i}" for i in range(1, len(rows) + 1)],
        list(range(1, len(rows) + 1)),
    )


def test_measures_by_hand() -> None:
    task = make_task("code-generation")
    head = 'def f(x):\n    """Do."""\n'
    examples = functions((head, "    return x\n"), (head, "    return x\n"), ("async def g():", "    pass\n"))
    counts = task.measure_texts(examples, [0, 1, 2], ["    return x", "    return (", ""])
    assert counts["parsed"].tolist() == [1.0, 0.0, 0.0], (
        "an empty body is no function, although the docstring alone would parse"
    )
    assert counts["similarity"].tolist() == pytest.approx([1.0, 1 - 1 / 12, 0.0])
    assert ast.parse(head + "    return x")


@pytest.mark.parametrize(("prompt", "body", "missing"), [(" ", "  x", "prompt"), ("def f():", "\n ", "body")])
def test_a_function_without_prompt_or_body_is_refused(prompt: str, body: str, missing: str) -> None:
    from tests.unit.tasks.test_prompted_tasks import examples_of
    from workbench.data.text.tokenizers import TokenizerSpec, train_tokenizer

    rows = examples_of("code-generation", 3)
    tokenizer = train_tokenizer(rows.columns["prompt"], TokenizerSpec(train="bpe", vocab_size=300))
    with pytest.raises(DataError, match=rf"code\.jsonl, line 2: the function has no {missing}"):
        make_task("code-generation").encode(tokenizer, functions(("def f():", "  x"), (prompt, body)), 64)
