"""Time the cells of each notebook and each solved lesson on this machine, at the scale that fits it.

python tests/benchmarks/course.py [NAME ...] [--scale test|cpu|gpu] [--keep FOLDER]

A NAME is the start of a file name, such as 03 or 01_mail; without one, all notebooks run. Each has a workspace of its
own, so no results are reused; downloads are shared. The introductions of the texts quote these times. ``--keep`` saves
the executed notebooks with all outputs to a folder, so that you see them as a reader does.
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
MAX_CHARACTERS = 60  # of the slowest cell's first line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="starts of file names (default: all)")
    parser.add_argument("--scale", choices=SCALES, help="default: the scale that fits the machine")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="save the executed notebooks there")
    options = parser.parse_args()
    if options.scale:
        os.environ[SCALE] = options.scale
    print(f"{machine()}; scale: {scale()}\n\n### Time of the course's cells\n")
    texts = [text for text in course.texts(ROOT) if not options.names or text.name.startswith(tuple(options.names))]
    print_table(["text", "seconds", "slowest cell"], (_measure(text, options.keep) for text in texts))


def _measure(text: Path, output_folder: Path | None) -> list[str]:
    """Execute a text; return its name, its seconds (including the kernel's start) and its slowest cell."""
    (*_, path) = course.notebooks(text)  # of a lesson: the solved version
    notebook = nbformat.read(path, as_version=4)
    workspace = fresh_workspace()
    seconds: dict[int, float] = {}
    starts: dict[int, float] = {}

    def before(cell: Any, cell_index: int) -> None:
        starts[cell_index] = time.perf_counter()

    def after(cell: Any, cell_index: int, execute_reply: Any) -> None:
        seconds[cell_index] = time.perf_counter() - starts[cell_index]

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
    if output_folder:
        output_folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, output_folder / path.name)
    slowest = max(seconds, key=lambda index: seconds[index])
    first_line = notebook.cells[slowest].source.strip().splitlines()[0][:MAX_CHARACTERS]
    return [text.stem, total, f"{seconds[slowest]:.0f} s, `{first_line}`"]


if __name__ == "__main__":
    main()
