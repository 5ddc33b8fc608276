"""Run the code blocks of one page of the documentation, top to bottom: ``python tests/docs/pages.py PAGE [--write]``.

    ```yaml title="run.yaml"      written to a file of that name (any language with a title)
    ```python                     executed; the blocks of a page share their variables
    ```sh                         executed by bash; a failing command ends the page
    ```text title="Output"        output of the previous block; ``--write`` replaces it
    ```toml, ```json, ```yaml     parsed
    ```text                       left alone

``<!-- data: reviews.csv -->`` creates a file of example rows (see ``samples.py``), and ``<!-- slow -->`` marks a page
with a slow test. A page runs in the current folder, which should be empty.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.docs.samples import SAMPLES

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<code>.*?)^ *```$", re.M | re.S
)
DATA = re.compile(r"<!-- data: ([\w.-]+) -->")
LANGUAGES = ("python", "sh", "yaml", "toml", "json", "csv", "text")


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        language: after the opening fence.
        title: a file name, or ``Output``.
        code: without indentation.
        line: of the page, counted from 1.
        start, end: of the code in the page's text.
    """

    language: str
    title: str | None
    code: str
    line: int
    start: int
    end: int


def blocks(text: str) -> Iterator[Block]:
    """Find the code blocks of a page.

    Args:
        text: Markdown.

    Yields:
        The blocks in their order.
    """
    for match in FENCE.finditer(text):
        indent = match["indent"]
        code = "".join(line.removeprefix(indent) for line in match["code"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        yield Block(match["language"], match["title"], code, line, match.start("code"), match.end("code"))


def run_page(page: Path, write: bool = False) -> None:
    """Run a page's blocks in the current folder.

    Args:
        page: a Markdown file.
        write: replace the outputs in the page.

    Raises:
        SystemExit: a block failed; the message says which.
    """
    text = page.read_text(encoding="utf-8")
    for name in DATA.findall(text):
        SAMPLES[name](Path(name))
    names: dict[str, object] = {"__name__": "docs"}
    printed = ""
    outputs: list[tuple[Block, str]] = []
    for block in blocks(text):
        try:
            if block.title == "Output":
                outputs.append((block, printed))
                continue
            if block.title:
                Path(block.title).write_text(block.code, encoding="utf-8")
            printed = _run(block, names, page)
        except Exception as error:
            raise SystemExit(f"{page}:{block.line}: {type(error).__name__}: {error}") from error
    if write:
        for block, output in reversed(outputs):
            text = text[: block.start] + _tidy(output) + text[block.end :]
        page.write_text(text, encoding="utf-8")


def _run(block: Block, names: dict[str, object], page: Path) -> str:
    if block.language == "python":
        buffer = io.StringIO()
        with contextlib.redirect_stdout(buffer):
            exec(compile(block.code, f"{page}:{block.line}", "exec"), names)
        return buffer.getvalue()
    if block.language == "sh":
        environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.code], capture_output=True, text=True, env=environment
        )
        if result.returncode:
            raise RuntimeError(f"exit code {result.returncode}\n{result.stdout[-1500:]}\n{result.stderr[-1500:]}")
        return result.stdout
    if block.language == "toml":
        tomllib.loads(block.code)
    elif block.language == "json":
        json.loads(block.code)
    elif block.language == "yaml":
        yaml.safe_load(block.code)
    return ""


def _tidy(output: str) -> str:
    return "\n".join(line.rstrip() for line in output.strip("\n").splitlines()) + "\n"


if __name__ == "__main__":
    run_page(Path(sys.argv[1]), write="--write" in sys.argv[2:])
