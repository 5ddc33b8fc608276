"""Docstrings of Python files: found by reading the syntax tree, never by importing anything.

Also a program of its own, so that many files are read on several cores (see
:mod:`workbench.data.catalogue.site_packages`): it
reads a JSON object ``{"path", "module"}`` a line from standard input until that ends, and answers each with a line, a
list of what :func:`read_docstrings` found, or null for a file that cannot be read.
"""

from __future__ import annotations

import ast
import inspect
import io
import json
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

MAX_BYTES = 4_000_000  # of one file: what is larger is a table written as Python, and no text
MIN_CHARACTERS = 40  # of a docstring: shorter ones say little more than the name

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Documented: TypeAlias = ast.Module | ast.ClassDef | _Function


def read_docstrings(source: str, module: str) -> list[dict[str, str]]:
    """The docstrings in a file of Python, in the order in which they stand there.

    Args:
        source: the file's text.
        module: its dotted name, which the names of its classes and functions begin with.

    Returns:
        for each docstring of ``MIN_CHARACTERS`` and more ``{"module", "kind", "name", "text", "first_line", "rest",
        "signature", "code"}``. ``kind`` is module, class or function; ``text`` the docstring without its indentation;
        ``first_line`` the summary line (PEP 257) and ``rest`` what follows it after an empty line, both empty where
        it is not written so; ``signature`` is empty for a module; ``code`` is a function's source without its
        docstring, and empty for the others.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: it cannot be parsed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other people's escapes
        tree = ast.parse(source)
    lines = [f"{line}\n" for line in source.split("\n")]  # as Python counts them; str.splitlines knows more ends
    return [record for node, name in _walk(tree, module) if (record := _record(node, name, module, lines))]


def _walk(node: _Documented, name: str) -> Iterator[tuple[_Documented, str]]:
    """The module, its classes and functions, and those inside them, each with its dotted name."""
    yield node, name
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{name}.{child.name}")
        elif isinstance(child, ast.If | ast.Try):  # definitions that depend on the platform
            for inner in ast.iter_child_nodes(child):
                if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _walk(inner, f"{name}.{inner.name}")


def _record(node: _Documented, name: str, module: str, lines: list[str]) -> dict[str, str] | None:
    found = ast.get_docstring(node, clean=False)
    text = inspect.cleandoc(found).strip() if found else ""
    if len(text) < MIN_CHARACTERS or not is_valid_text(text):
        return None
    first_line, rest = _summary(text)
    record = {"module": module, "name": name, "text": text, "first_line": first_line, "rest": rest}
    if isinstance(node, ast.Module):
        return {**record, "kind": "module", "signature": "", "code": "", "body": ""}
    if isinstance(node, ast.ClassDef):
        return {**record, "kind": "class", "signature": _class_signature(node), "code": "", "body": ""}
    code, body = _code(node, lines)
    return {**record, "kind": "function", "signature": _signature(node), "code": code, "body": body}


def is_valid_text(text: str) -> bool:
    """Whether it is text: no half characters (escapes in the source can make them) and no NUL."""
    try:
        return "\0" not in text and bool(text.encode())
    except UnicodeEncodeError:
        return False


def _summary(text: str) -> tuple[str, str]:
    """The first line and the rest, where an empty line stands between them and the first ends like a sentence."""
    first, _, after = text.partition("\n")
    if after[:1] == "\n" and after.strip() and first.rstrip().endswith((".", "!", "?", ":")):
        return first.strip(), after.strip()
    return "", ""


def _class_signature(node: ast.ClassDef) -> str:
    bases = ", ".join([*map(ast.unparse, node.bases), *map(ast.unparse, node.keywords)])
    return f"class {node.name}({bases}):" if bases else f"class {node.name}:"


def _signature(node: _Function) -> str:
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{word} {node.name}({ast.unparse(node.args)}){returns}:"


def _code(node: _Function, lines: list[str]) -> tuple[str, str]:
    """The function's lines without its docstring, and those after it; empty where other statements share its lines."""
    docstring = node.body[0]
    after = node.body[1:2]
    begin, end = docstring.lineno, docstring.end_lineno or docstring.lineno
    if begin == node.lineno or (after and after[0].lineno == end):
        return "", ""
    body = lines[end : node.end_lineno]
    code = textwrap.dedent("".join(lines[node.lineno - 1 : begin - 1] + body)).rstrip()
    return code, "".join(_set_in(line, docstring.col_offset) for line in body).rstrip()


def _set_in(line: str, margin: int) -> str:
    """A line of a body by 4 instead of ``margin``; a line of a long string that begins before stays where it is."""
    if not line.strip():
        return "\n"
    return line if line[:margin].strip() else f"    {line[margin:]}"


def read_file(path: Path, module: str) -> list[dict[str, str]] | None:
    """:func:`read_docstrings` of a file in the encoding that it declares; None when it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        source = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
        return read_docstrings(source, module)
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return None


def main() -> None:
    """Read requests until standard input ends; only then answer, so that neither side waits for the other."""
    for request in [json.loads(line) for line in sys.stdin]:
        found = read_file(Path(request["path"]), request["module"])
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
