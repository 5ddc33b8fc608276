"""Puts a run's folder in order after its process was interrupted."""

from __future__ import annotations

import contextlib
import json
import shutil

from workbench.errors import StorageError
from workbench.files import TEMPORARY_PREFIX, read_lines, write_text
from workbench.locks import waiting_lock
from workbench.runs.run import Run

# Files with a line per step, which a resumed run writes again from its checkpoint on.
_STEP_FILES = ("metrics.jsonl", "samples.jsonl", "confusion.jsonl")


def drop_after(run: Run, step: int) -> None:
    """Remove the lines of later steps: a resumed run writes them again.

    Args:
        run: the run.
        step: the last step to keep.
    """
    for name in _STEP_FILES:
        path = run.folder / name
        rows, _ = read_lines(path)
        remaining = [row for row in rows if row.get("step", 0) <= step]
        if len(remaining) < len(rows):
            write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in remaining))


def clear_leftovers(run: Run) -> None:
    """Remove temporary files that a killed process has left. Call with the run's lock held.

    Processes that change the status also write temporary files, with the status lock held: theirs are not touched.

    Args:
        run: the run.
    """
    with contextlib.suppress(StorageError, OSError), waiting_lock(run.folder / "status.lock", make_folder=False):
        for path in run.folder.glob(f"{TEMPORARY_PREFIX}*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
