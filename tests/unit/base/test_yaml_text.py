"""YAML of strangers: whatever it says, it costs little and every error is one of ours."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
import yaml

from workbench.errors import DataError, RequestError, SpecError
from workbench.files import write_text
from workbench.jobs.sweep_plan import SweepPlan
from workbench.jobs.sweep_space import parse_axis, parse_over
from workbench.runs.settings import read_settings
from workbench.yaml_text import MAX_DEPTH, load_yaml

ROOT = Path(__file__).resolve().parents[3]
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
)
FLOW_BOMB = "{a: &a [x, x, x, x], b: &b [*a, *a, *a, *a], c: [*b, *b, *b, *b]}"
HOSTILE = {
    "aliases": BOMB,
    "aliases in one line": FLOW_BOMB,
    "an alias of itself": "&a [*a]",
    "a merged alias": "a: &a {b: 1}\nc: {<<: *a}",
    "a 13th month": "x: 2026-13-45",
    "a wrong time": "x: 2026-01-01 99:99:99",
    "2,000 brackets": "[" * 2000 + "]" * 2000,
    "200,000 brackets": "[" * 200_000,
    "200,000 braces": "{a: " * 200_000,
    "20,000 dashes": "- " * 20_000 + "x",
    "a number of 5,000 digits": "x: " + "9" * 5_000,
    "a number in base 60": "x: 1" + ":59" * 200_000,
    "a fraction in base 60": "x: 1" + ":59" * 200_000 + ".5",
    "an object": "!!python/object/apply:os.system [ls]",
    "a list as a key": "? [a, b]\n: c",
    "a tag on the wrong kind": "!!int [1]",
    "a text that is no integer": "!!int x",
    "an empty integer": '!!int ""',
    "a wrong binary": "!!binary ähm",
    "pairs that are none": "!!pairs [a]",
    "a set of lists": "!!set [a]",
    "a control character": "x: \x07",
    "a lone surrogate": "x: \ud800",
    "bytes that are no UTF-8": b"x: \xff\xfe\xfd",
    "two megabytes": "x: " + "y" * 2_100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("only_text", [False, True])
def test_hostile_documents_are_refused_at_once(name: str, only_text: bool) -> None:
    begin = time.perf_counter()
    try:
        load_yaml(HOSTILE[name], "the file", error=DataError, only_text=only_text)
    except DataError as error:
        assert error.message.startswith("the file ") and len(error.message) < 600 and error.hint
    else:
        assert only_text, "it was accepted"  # where nothing is converted, a wrong number is a text
    assert time.perf_counter() - begin < 2


def test_what_is_allowed_is_read_as_yaml_reads_it() -> None:
    depth = "[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH
    for text in ("a: [1, 2.5, true, null, 'no', 0x1f, 1e-5, 12:30]\nb: {c: d}", depth, "", "x: " + "1" * 300):
        assert load_yaml(text, "x") == yaml.safe_load(text)
    assert load_yaml("a: No", "x", only_text=True) == {"a": "No"}
    with pytest.raises(SpecError, match="'a' is given twice"):
        load_yaml("a: 1\na: 2", "x")


@pytest.mark.parametrize("text", [FLOW_BOMB, "2026-13-45, 1", "[" * 2000, "{a: " * 100_000])
def test_values_of_a_sweep_are_read_by_it(text: str) -> None:
    with pytest.raises(RequestError, match="specifies no values to try"):
        parse_axis(text, "training.epochs")


def test_a_sweep_file_is_read_by_it(tmp_path: Path) -> None:
    for text in (BOMB, "over: 2026-13-45", "[" * 200_000):
        write_text(tmp_path / "sweep.yaml", text)
        with pytest.raises(SpecError, match="is not valid YAML"):
            SweepPlan.load(tmp_path / "sweep.yaml")


def test_a_foreign_spec_in_a_run_folder_has_no_settings(tmp_path: Path) -> None:
    class Foreign:
        spec_file = tmp_path / "spec.yaml"

    for text in (BOMB, "[" * 200_000, "x: 2026-13-45"):  # the second one ended the process: the parser's stack is small
        write_text(Foreign.spec_file, text)
        assert read_settings(Foreign()) == {}  # type: ignore[arg-type]


# -- grids --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "over",
    [
        ["training.seed2=1..3000000000"],
        ["a=1..10000000000000000000000"],
        ["a=1..1000", "b=1..1000"],
        [f"{name}=0..1:1000" for name in "abcdefgh"],
    ],
)
def test_a_grid_is_counted_before_it_is_made(over: list[str]) -> None:
    from workbench.jobs.sweep_space import grid

    begin = time.perf_counter()
    with pytest.raises(RequestError, match=r"The grid has .* combinations; a sweep can have at most 10,000"):
        grid(parse_over(over))
    assert time.perf_counter() - begin < 0.5


@pytest.mark.parametrize("text", ["0..1e999", "-1e999..1", "1.." + "9" * 400, "nan..1"])
def test_bounds_are_numbers_that_fit(text: str) -> None:
    with pytest.raises(RequestError, match="specifies no values"):
        parse_axis(text, "training.learning_rate")


# -- one door -----------------------------------------------------------------------------------------------------

LOADERS = {"load", "load_all", "safe_load", "safe_load_all", "full_load", "full_load_all", "unsafe_load",
           "unsafe_load_all", "compose", "compose_all"}  # fmt: skip


def yaml_calls(tree: ast.AST) -> list[int]:
    """Return the lines that read YAML with PyYAML's own functions, or import one of them."""
    names = {"yaml"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname for alias in node.names if alias.name == "yaml" and alias.asname}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "yaml":
            lines += [node.lineno for alias in node.names if alias.name in LOADERS]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            lines += [node.lineno] * (node.attr in LOADERS and node.value.id in names)
    return lines


def test_only_one_function_reads_yaml() -> None:
    assert yaml_calls(ast.parse("import yaml as y\ny.safe_load('a')")) == [2]
    assert yaml_calls(ast.parse("from yaml import safe_load, safe_dump")) == [1]
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for folder in ("workbench", "dashboard", "notebooks", "tutorials")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "yaml_text.py"
        for line in yaml_calls(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not wrong, f"call workbench.yaml_text.load_yaml instead: {wrong}"
