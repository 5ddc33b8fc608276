"""The notebooks of the course, made from the texts that are edited: ``python -m workbench.teach.course [--check]``.

notebooks/NN_name.py (py:percent, by jupytext)  -->  notebooks/NN_name.ipynb, without outputs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench.errors import MissingPackageError
from workbench.files import write_text

FOLDERS = ("notebooks", "tutorials")


def texts(root: Path) -> Iterator[Path]:
    """The texts of all notebooks below ``root``, in their order."""
    for folder in FOLDERS:
        yield from sorted((root / folder).glob("[0-9]*.py"))


def stale(text: Path) -> str | None:
    """What is wrong with the notebook beside ``text``; None when it is the same and holds no outputs."""
    notebook = text.with_suffix(".ipynb")
    if not notebook.exists():
        return f"{notebook.name} is missing"
    found = _jupytext().read(notebook)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in found.cells):
        return f"{notebook.name} holds outputs"
    return None if _cells(found) == _cells(_jupytext().read(text)) else f"{notebook.name} differs from {text.name}"


def build(text: Path) -> bool:
    """Write the notebook beside ``text`` where it is not the same already; whether it was written."""
    if stale(text) is None:
        return False
    jupytext = _jupytext()
    write_text(text.with_suffix(".ipynb"), jupytext.writes(jupytext.read(text), fmt="ipynb"))
    return True


def _cells(notebook: Any) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def _jupytext() -> Any:
    try:
        import jupytext
    except ImportError as error:
        raise MissingPackageError("jupytext", "to make the notebooks of the course") from error
    return jupytext


def main() -> int:
    """Make what is missing or has changed; with ``--check`` only tell, and fail where there is something."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only tell what is not as it should be")
    given = parser.parse_args()
    problems = 0
    for text in texts(Path.cwd()):
        if given.check:
            trouble = stale(text)
            problems += trouble is not None
            print(trouble or f"{text.name}: the same")
        else:
            print(f"{text.name}: {'written' if build(text) else 'the same'}")
    return min(problems, 1)


if __name__ == "__main__":
    sys.exit(main())
