"""What commands print: a JSON document or something for people, and errors in either form."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from workbench.errors import WorkbenchError
from workbench.files import finite
from workbench.runs.documents import Document

NOTHING = "–"  # what stands for a value that is not there

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


class Finished(Exception):
    """Ends a command with an exit code, after everything has been printed."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answer(document: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print a document, or JSON, or a list of these as JSON; or call ``show`` to print it for people."""
    if as_json:
        content = [_as_json(item) for item in document] if isinstance(document, list) else _as_json(document)
        sys.stdout.write(json.dumps(finite(content), ensure_ascii=False, indent=1) + "\n")
    else:
        show()


def _as_json(document: Any) -> Any:
    return document.as_dict() if isinstance(document, Document) else document


def call(app: typer.Typer, arguments: Sequence[str], debug: bool) -> int:
    """Run a command; returns the exit code."""
    import click

    as_json = "--json" in arguments
    try:
        result = typer.main.get_command(app).main(list(arguments), prog_name="workbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Finished as finished:
        return finished.code
    except WorkbenchError as error:
        if debug:
            raise
        _tell(error.as_dict(), as_json)
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        _tell({"kind": "Aborted", "message": "Ended by the keyboard.", "hint": ""}, as_json)
        return 130
    except Exception as error:
        if debug:
            raise
        usage = _usage_message(error)
        if usage.startswith("Usage:"):  # no command was given: click's error is the help itself
            errors.print(usage, markup=False, soft_wrap=True)
            return 2
        if usage:
            _tell({"kind": "Usage", "message": usage, "hint": f"See: {_help_command(error)}"}, as_json)
            return 2
        if isinstance(error, BrokenPipeError):
            sys.stdout = None  # the reader has gone: nothing more can be said to it
            return 1
        text = f"{type(error).__name__}: {error}"
        hint = "This is a fault of the workbench. Run the command again with --debug to see where."
        _tell({"kind": "Internal", "message": text, "hint": hint}, as_json)
        return 1


def _usage_message(error: Exception) -> str:
    """The message of a usage error (typer brings its own copy of click's classes), else nothing."""
    if any(kind.__name__ in {"UsageError", "ClickException"} for kind in type(error).__mro__):
        return str(getattr(error, "format_message", lambda: error)())
    return ""


def _help_command(error: Exception) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "workbench"
    return f"{path} --help"


def _tell(error: dict[str, str], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps({"error": error}, ensure_ascii=False) + "\n")
    errors.print(f"[bold red]Error:[/] {escape(error['message'])}", soft_wrap=True)
    if error["hint"]:
        errors.print(escape(error["hint"]), soft_wrap=True)


def table(rows: Sequence[dict[str, Any]], columns: dict[str, str], empty: str) -> None:
    """Print rows as a table; where the terminal is too narrow for it, as a paragraph a row.

    What stands in the first column (a run's id, a name) is never broken, so that it can be copied.

    Args:
        rows: a dictionary each.
        columns: key of a row -> heading; a heading that begins with ``>`` is aligned to the right.
        empty: what to say when there are no rows.
    """
    if not rows:
        console.print(escape(empty))
        return
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for heading in columns.values():
        drawn.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    for row in rows:
        drawn.add_row(*(escape(_cell(row.get(key))) for key in columns))
    endless = console.options.update(width=100_000)
    width = Measurement.get(console, endless, drawn).maximum
    if not console.is_terminal:  # a file or a pipe has room for any line
        Console(width=width, highlight=False).print(drawn)
    elif width <= console.width:
        console.print(drawn)
    else:
        _paragraphs(rows, columns)


def _paragraphs(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> None:
    """Each row as a paragraph: its first column on a line of its own, the others under it."""
    first, *others = columns
    for row in rows:
        console.print(f"[bold]{escape(_cell(row.get(first)))}[/]", soft_wrap=True)
        cells = [(columns[key].removeprefix(">"), _cell(row.get(key))) for key in others]
        line = ", ".join(f"{heading}: {cell}" for heading, cell in cells if cell not in ("", NOTHING))
        console.print(Padding(escape(line), (0, 0, 0, 4)))


def hanging(text: str, indent: int = 4) -> None:
    """Print a line whose continuation, where the terminal is narrow, stands further in."""
    if not console.is_terminal:
        console.print(" " * indent + text, soft_wrap=True, markup=False)
        return
    lines = wrap(text, max(console.width - 1, 20), initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))
    console.print("\n".join(lines), markup=False, style="dim")


def _cell(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def duration(seconds: float | None) -> str:
    """A time in words: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def download_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress bars on standard error, one for each label."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=False) as progress:
        bars: dict[str, TaskID] = {}

        def tell(label: str, done: int, total: int | None) -> None:
            if label not in bars:
                bars[label] = progress.add_task(escape(label), total=total)
            progress.update(bars[label], completed=done, total=total)

        yield tell
