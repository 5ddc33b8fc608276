"""Docstrings of Python files, read from the syntax tree: nothing is imported.

Also a program, so that files are read on several cores (see :mod:`workbench.data.catalogue.site_packages`): it reads a
JSON object ``{"path", "module"}`` per line from standard input until that ends, and answers each with a line: the list
that :func:`read_docstrings` returns, or null for a file that cannot be read.
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
from typing import TypeAlias, TypedDict

from workbench.system.terminal import write

MAX_BYTES = 4_000_000  # of one file: a larger one is a table written as Python, not text
MIN_CHARACTERS = 40  # of a docstring: shorter ones say little more than the name

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_Documented: TypeAlias = ast.Module | ast.ClassDef | _Function


class Docstring(TypedDict):
    """A docstring and what it documents.

    ``kind`` is module, class or function; ``text`` the docstring without its indentation; ``first_line`` the summary
    line (PEP 257) and ``rest`` what follows it after an empty line, both empty if it is not written so; ``signature``
    is empty for a module; ``code`` is a function's source without its docstring, and ``body`` the part after it, both
    empty for the other kinds.
    """

    module: str
    name: str
    kind: str
    text: str
    first_line: str
    rest: str
    signature: str
    code: str
    body: str


def read_docstrings(source: str, module: str) -> list[Docstring]:
    """Return the docstrings of at least ``MIN_CHARACTERS`` in a Python file, in order.

    Args:
        source: the file's text.
        module: its dotted name, the prefix of the names of its classes and functions.

    Raises:
        SyntaxError: the source cannot be parsed.
        ValueError: the source cannot be parsed.
        RecursionError: the source is nested too deeply.
        MemoryError: the source is nested too deeply.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about invalid escapes in other people's code
        tree = ast.parse(source)
    lines = [f"{line}\n" for line in source.split("\n")]  # as Python counts them; str.splitlines knows more line ends
    return [record for node, name in _walk(tree, module) if (record := _record(node, name, module, lines))]


def _walk(node: _Documented, name: str) -> Iterator[tuple[_Documented, str]]:
    """Yield the module, its classes and functions, and those inside them, each with its dotted name."""
    yield node, name
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _walk(child, f"{name}.{child.name}")
        elif isinstance(child, ast.If | ast.Try):  # definitions that depend on the platform
            for inner in ast.iter_child_nodes(child):
                if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from _walk(inner, f"{name}.{inner.name}")


def _record(node: _Documented, name: str, module: str, lines: list[str]) -> Docstring | None:
    docstring = ast.get_docstring(node, clean=False)
    text = inspect.cleandoc(docstring).strip() if docstring else ""
    if len(text) < MIN_CHARACTERS or not is_valid_text(text):
        return None
    kind, signature, code, body = "module", "", "", ""
    if isinstance(node, ast.ClassDef):
        kind, signature = "class", _class_signature(node)
    elif not isinstance(node, ast.Module):
        kind, signature = "function", _signature(node)
        code, body = _code(node, lines)
    first_line, rest = _summary(text)
    return {
        "module": module, "name": name, "text": text, "first_line": first_line, "rest": rest,
        "kind": kind, "signature": signature, "code": code, "body": body,
    }  # fmt: skip


def is_valid_text(text: str) -> bool:
    """Return whether a text has neither lone surrogates (escapes in the source can make them) nor NUL.

    Args:
        text: any text.
    """
    try:
        return "\0" not in text and bool(text.encode())
    except UnicodeEncodeError:
        return False


def _summary(text: str) -> tuple[str, str]:
    """Return the first line and the rest, if an empty line separates them and the first ends like a sentence."""
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
    """Return the function's code without its docstring, and the code after it; empty if they share a line with it."""
    docstring = node.body[0]
    after = node.body[1:2]
    begin, end = docstring.lineno, docstring.end_lineno or docstring.lineno
    if begin == node.lineno or (after and after[0].lineno == end):
        return "", ""
    body = lines[end : node.end_lineno]
    code = textwrap.dedent("".join(lines[node.lineno - 1 : begin - 1] + body)).rstrip()
    return code, "".join(_reindent(line, docstring.col_offset) for line in body).rstrip()


def _reindent(line: str, margin: int) -> str:
    """Indent a line of a body by 4 instead of ``margin``; a line of a multi-line string with less stays as it is."""
    if not line.strip():
        return "\n"
    return line if line[:margin].strip() else f"    {line[margin:]}"


def read_file(path: Path, module: str) -> list[Docstring] | None:
    """Return the docstrings of a file in the encoding that it declares.

    Args:
        path: the file.
        module: its dotted name.

    Returns:
        See :func:`read_docstrings`; None if the file cannot be read.
    """
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
    """Read requests until standard input ends, and only then answer, so that neither side waits for the other."""
    for request in [json.loads(line) for line in sys.stdin]:
        docstrings = read_file(Path(request["path"]), request["module"])
        write(json.dumps(docstrings) + "\n")


if __name__ == "__main__":
    main()
