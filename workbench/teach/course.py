"""Builds the notebooks of the course from their texts: ``python -m workbench.teach.course [--check]``.

notebooks/NN_name.py (py:percent, by jupytext)  -->  notebooks/NN_name.ipynb
tutorials/src/NN_name.py                        -->  tutorials/NN_name.ipynb, with stubs to fill in
                                                     tutorials/solved/NN_name.ipynb

All without outputs. In a lesson's text a solution is between the lines ``# solution`` and ``# end solution``. The
reader's version has three dots instead, or the text after ``# solution:``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import MissingPackageError
from workbench.files import SHARED, write_text
from workbench.system.terminal import say
from workbench.teach.lessons import solved, stubbed

if TYPE_CHECKING:
    from types import ModuleType

    from nbformat import NotebookNode


def texts(root: Path) -> Iterator[Path]:
    """Iterate over the texts of all notebooks, in order: guided notebooks first, then lessons.

    Args:
        root: the folder of the checkout.
    """
    for folder in ("notebooks", "tutorials/src"):
        yield from sorted((root / folder).glob("[0-9]*.py"))


def notebooks(text: Path) -> dict[Path, NotebookNode]:
    """Build the notebooks of a text: a guided notebook, or the reader's and the solved version of a lesson.

    Args:
        text: the file to build from.

    Returns:
        The notebooks, by their paths; nothing is written.
    """
    if text.parent.name != "src":
        return {text.with_suffix(".ipynb"): _jupytext().read(text)}
    folder = text.parents[1]
    return {
        folder / f"{text.stem}.ipynb": _with_code(text, stubbed),
        folder / "solved" / f"{text.stem}.ipynb": _with_code(text, solved),
    }


def stale(text: Path) -> str | None:
    """Explain why the notebooks of a text are out of date, or return None.

    Args:
        text: the file to build from.
    """
    problems = (_problem(path, notebook, text) for path, notebook in notebooks(text).items())
    return next((problem for problem in problems if problem), None)


def build(text: Path) -> bool:
    """Write the notebooks of a text that are out of date.

    Args:
        text: the file to build from.

    Returns:
        Whether any was written.
    """
    outdated = {path: notebook for path, notebook in notebooks(text).items() if _problem(path, notebook, text)}
    for path, notebook in outdated.items():
        path.parent.mkdir(exist_ok=True)
        write_text(path, _jupytext().writes(notebook, fmt="ipynb"), SHARED)
    return bool(outdated)


def _problem(path: Path, notebook: NotebookNode, text: Path) -> str | None:
    if not path.exists():
        return f"{path.name} is missing"
    existing = _jupytext().read(path)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in existing.cells):
        return f"{path.name} contains outputs"
    return None if _cells(existing) == _cells(notebook) else f"{path.name} differs from {text.name}"


def _with_code(text: Path, change: Callable[[str], str]) -> NotebookNode:
    notebook: NotebookNode = _jupytext().read(text)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = change(cell.source)
    return notebook


def _cells(notebook: NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def _jupytext() -> ModuleType:
    try:
        import jupytext
    except ImportError as error:
        raise MissingPackageError("jupytext", "to build the notebooks of the course") from error
    return jupytext  # type: ignore[no-any-return]


def main() -> int:
    """Build notebooks that are out of date; with ``--check`` report them, and fail if there are any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="report notebooks that are out of date; write nothing")
    options = parser.parse_args()
    problems = 0
    for text in texts(Path.cwd()):
        if options.check:
            problem = stale(text)
            problems += problem is not None
            say(problem or f"{text.name}: up to date")
        else:
            say(f"{text.name}: {'written' if build(text) else 'up to date'}")
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main())
