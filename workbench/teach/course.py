"""The notebooks of the course, made from the texts that are edited: ``python -m workbench.teach.course [--check]``.

notebooks/NN_name.py (py:percent, by jupytext)  -->  notebooks/NN_name.ipynb
tutorials/src/NN_name.py                        -->  tutorials/NN_name.ipynb, with stubs to fill in
                                                     tutorials/solved/NN_name.ipynb

All without outputs. In a lesson's text a solution stands between the lines ``# solution`` and ``# end solution``; the
reader gets three dots in its place, or what stands behind ``# solution:``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.errors import MissingPackageError
from workbench.files import write_text
from workbench.teach.lessons import solved, stubbed


def texts(root: Path) -> Iterator[Path]:
    """The texts of all notebooks below ``root``, in their order: guided notebooks first, then lessons."""
    for folder in ("notebooks", "tutorials/src"):
        yield from sorted((root / folder).glob("[0-9]*.py"))


def notebooks(text: Path) -> dict[Path, Any]:
    """What is made of a text: a guided notebook, or a lesson as the reader gets it and solved."""
    if text.parent.name != "src":
        return {text.with_suffix(".ipynb"): _jupytext().read(text)}
    lesson = text.parents[1]
    return {
        lesson / f"{text.stem}.ipynb": _changed(text, stubbed),
        lesson / "solved" / f"{text.stem}.ipynb": _changed(text, solved),
    }


def stale(text: Path) -> str | None:
    """What is wrong with the notebooks of ``text``; None when they are the same and hold no outputs."""
    troubles = (_trouble(path, made, text) for path, made in notebooks(text).items())
    return next((trouble for trouble in troubles if trouble), None)


def build(text: Path) -> bool:
    """Write the notebooks of ``text`` that are not the same already; whether one was written."""
    changed = {path: made for path, made in notebooks(text).items() if _trouble(path, made, text)}
    for path, made in changed.items():
        path.parent.mkdir(exist_ok=True)
        write_text(path, _jupytext().writes(made, fmt="ipynb"))
    return bool(changed)


def _trouble(path: Path, made: Any, text: Path) -> str | None:
    if not path.exists():
        return f"{path.name} is missing"
    found = _jupytext().read(path)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in found.cells):
        return f"{path.name} holds outputs"
    return None if _cells(found) == _cells(made) else f"{path.name} differs from {text.name}"


def _changed(text: Path, change: Callable[[str], str]) -> Any:
    notebook = _jupytext().read(text)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = change(cell.source)
    return notebook


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
