"""How the Python API shows what it returns: progress in a terminal or a notebook, tables in HTML, frames of pandas."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from workbench.errors import MissingPackageError
from workbench.runs.documents import Interval
from workbench.runs.run import Run
from workbench.system.terminal import say

if TYPE_CHECKING:
    import pandas


def show_progress(run: Run, quiet: bool) -> None:
    """Wait until a run has ended. Show bars in a terminal; elsewhere, as in a notebook, print a line per evaluation.

    Args:
        run: the run.
        quiet: print nothing.
    """
    from workbench.jobs import stop, watch

    if not quiet and sys.stderr.isatty() and not _in_notebook():
        from workbench.cli import progress

        progress.show_progress(run, run.workspace, quiet=False)
        return
    try:
        for snapshot in watch(run, run.workspace):
            for row in () if quiet else snapshot.rows:
                values = ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name.startswith("eval/"))
                if values:
                    say(f"step {row['step']:>5}: {values}")
    except KeyboardInterrupt:
        stop(run)
        say(f"Stopping after a checkpoint. Resume it with: wb.Run.open({run.id!r}).resume()")
        raise


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def frame(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    """Return a row per mapping.

    Args:
        rows: the mappings.

    Raises:
        MissingPackageError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingPackageError("pandas", "for tables in Python") from error
    return pandas.DataFrame(list(rows))


def number(value: float | None) -> str:
    """Return a number with four decimals; empty for None.

    Args:
        value: the number.
    """
    return "" if value is None else f"{value:.4f}"


def interval(metric: Interval) -> str:
    """Return the ends of a metric's interval; empty without one.

    Args:
        metric: a value with its interval.
    """
    return f"{metric.low:.4f} to {metric.high:.4f}" if metric.low is not None else ""


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return an HTML table; its cells are escaped.

    Args:
        headings: of the columns.
        rows: cells by row.
    """
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
