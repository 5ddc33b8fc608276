"""Seconds that the cells of each notebook and each solved lesson take, on this machine, at the size that follows it.

python tests/benchmarks/course.py [NAME ...] [--scale test|cpu|gpu] [--keep FOLDER]

A NAME is the beginning of a file's name, such as 03 or 01_mail; without one, all are run. Each has a workspace of its
own, so nothing is found again; downloads are shared. What it prints is what the openings of the texts tell. With
``--keep``, what was run is written into the folder with all its outputs, to be read as a reader sees it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from _common import fresh_workspace, machine, print_table
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from workbench.jobs.start_worker import stop_worker
from workbench.teach import course
from workbench.teach.sizes import SCALE, SCALES, scale

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 60  # characters of the slowest cell's first line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="beginnings of file names; all without one")
    parser.add_argument("--scale", choices=SCALES, help="what follows the machine when it is left out")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="write there what was run, with its outputs")
    options = parser.parse_args()
    if options.scale:
        os.environ[SCALE] = options.scale
    print(f"{machine()}; the sizes are those of: {scale()}\n\n### Time of the course's cells\n")
    texts = [text for text in course.texts(ROOT) if not options.names or text.name.startswith(tuple(options.names))]
    print_table(["part", "seconds", "its slowest cell"], (_measured(text, options.keep) for text in texts))


def _measured(text: Path, keep: Path | None) -> list[str]:
    """Name, seconds of all cells with the kernel's start, and the slowest cell of one part."""
    (*_, whole) = course.notebooks(text)  # of a lesson: the solved version
    notebook = nbformat.read(whole, as_version=4)
    workspace = fresh_workspace()
    seconds: dict[int, float] = {}
    began: dict[int, float] = {}

    def before(cell: Any, cell_index: int) -> None:
        began[cell_index] = time.perf_counter()

    def after(cell: Any, cell_index: int, execute_reply: Any) -> None:
        seconds[cell_index] = time.perf_counter() - began[cell_index]

    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            on_cell_execute=before,
            on_cell_executed=after,
        )
        start = time.perf_counter()
        try:
            client.execute()
            total = f"{time.perf_counter() - start:.0f}"
        except CellExecutionError as error:
            total = f"failed: {error.ename} {error.evalue[:80]}"
        finally:
            stop_worker(workspace)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, keep / whole.name)
    slowest = max(seconds, key=lambda index: seconds[index])
    first_line = notebook.cells[slowest].source.strip().splitlines()[0][:SHOWN]
    return [text.stem, total, f"{seconds[slowest]:.0f} s, `{first_line}`"]


if __name__ == "__main__":
    main()
