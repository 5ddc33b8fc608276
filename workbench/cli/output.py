"""What commands print: a JSON document or text for people, and errors in either form."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import IO, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.padding import Padding
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Table

from workbench.errors import WorkbenchError
from workbench.files import finite
from workbench.i18n import _
from workbench.notes import translate
from workbench.runs.document import Document
from workbench.runs.report_notes import WarningNote
from workbench.system.terminal import PrintableStream, printable, printable_json, write

NOTHING = "–"  # shown for a missing value


class _Terminal(Console):
    """A console that shows control characters in what it prints; those of rich itself are no text."""

    @property
    def file(self) -> IO[str]:
        """The stream itself: what is written to it is printable already."""
        stream = super().file
        while isinstance(stream, PrintableStream):
            stream = stream.rich_proxied_file
        return stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and tables. Texts are made printable before they are measured."""
        super().print(*(printable(each) if isinstance(each, str) else each for each in objects), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of anything that is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = _Terminal(highlight=False)
errors = _Terminal(stderr=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


class Finished(Exception):
    """Ends a command with an exit code, after everything has been printed.

    Args:
        code: the exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def print_result(document: object, as_json: bool, show: Callable[[], None]) -> None:
    """Print a command's result.

    Args:
        document: the result: a document of a run, JSON, or a list of these.
        as_json: print the document; otherwise call ``show``.
        show: prints the result for people.
    """
    if as_json:
        content = [_content(item) for item in document] if isinstance(document, list) else _content(document)
        print_json(finite(content), indent=1)
    else:
        show()


def print_json(content: object, indent: int | None = None) -> None:
    """Print one JSON document.

    Args:
        content: JSON.
        indent: spaces before nested values; one line by default.
    """
    write(printable_json(json.dumps(content, ensure_ascii=False, indent=indent)) + "\n")


def show_notes(notes: Sequence[str], target: Console = console) -> None:
    """Print notes, one per line, and which of them are warnings.

    Args:
        notes: sentences; warnings are :class:`workbench.runs.report_notes.WarningNote`.
        target: where to print them.
    """
    for note in notes:
        if isinstance(note, WarningNote):
            target.print(
                _("Warning: {note}").format(note=translate(note)), style="yellow", markup=False, soft_wrap=True
            )
        else:
            target.print(_("Note: {note}").format(note=translate(note)), markup=False, soft_wrap=True)


def _content(document: object) -> object:
    return document.as_dict() if isinstance(document, Document) else document


def print_warning(text: str) -> None:
    """Print a warning on standard error.

    Args:
        text: the warning, in English.
    """
    errors.print(f"[bold yellow]{escape(_('Warning:'))}[/] {escape(text)}", soft_wrap=True)


def call(app: typer.Typer, arguments: Sequence[str], debug: bool) -> int:
    """Run a command.

    Args:
        app: the commands.
        arguments: those of the command line.
        debug: raise errors instead of printing them.

    Returns:
        The exit code.
    """
    import click

    as_json = "--json" in arguments
    try:
        command = typer.main.get_command(app)
        _translate(command)
        result = command.main(list(arguments), prog_name="workbench", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except Finished as finished:
        return finished.code
    except WorkbenchError as error:
        if debug:
            raise
        _print_error(error.as_dict(), as_json)
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        _print_error({"kind": "Aborted", "message": _("Interrupted."), "hint": ""}, as_json)
        return 130
    except Exception as error:
        if debug:
            raise
        return _print_unexpected(error, as_json)


def _translate(command: Any) -> None:
    """Translate the help texts of a click command (typer brings classes of its own) and of all below it."""
    command.help = command.help and _(command.help)
    for parameter in command.params:
        text = getattr(parameter, "help", None)
        if text:
            parameter.help = _(text)
    for child in getattr(command, "commands", {}).values():
        _translate(child)


def _print_unexpected(error: Exception, as_json: bool) -> int:
    """Print a usage error, or one that is a bug of ours; return the exit code."""
    usage = _usage_message(error)
    if usage.startswith("Usage:"):  # no command was given: click's error is the help itself
        errors.print(usage, markup=False, soft_wrap=True)
        return 2
    if usage:
        hint = _("See: {command}").format(command=_help_command(error))
        _print_error({"kind": "Usage", "message": usage, "hint": hint}, as_json)
        return 2
    if isinstance(error, BrokenPipeError):
        sys.stdout = None  # the reader has gone: nothing more can be written to it
        return 1
    text = f"{type(error).__name__}: {error}"
    hint = _("This is a bug of the workbench. Run the command again with --debug to see where.")
    _print_error({"kind": "Internal", "message": text, "hint": hint}, as_json)
    return 1


def _usage_message(error: Exception) -> str:
    """Return the message of a usage error (typer brings its own copy of click's classes), else nothing."""
    if any(kind.__name__ in {"UsageError", "ClickException"} for kind in type(error).__mro__):
        return str(getattr(error, "format_message", lambda: error)())
    return ""


def _help_command(error: Exception) -> str:
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "workbench"
    return f"{path} --help"


def _print_error(error: Mapping[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"error": error})
    errors.print(f"[bold red]{escape(_('Error:'))}[/] {escape(error['message'])}", soft_wrap=True)
    if error["hint"]:
        errors.print(escape(error["hint"]), soft_wrap=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str) -> None:
    """Print rows as a table; where the terminal is too narrow for it, as a paragraph per row.

    The first column (a run's id, a name) is never broken, so that it can be copied.

    Args:
        rows: a dictionary each.
        columns: key of a row -> heading; a heading that begins with ``>`` is aligned to the right.
        empty: what to print when there are no rows.
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
        _Terminal(width=width, highlight=False).print(drawn)
    elif width <= console.width:
        console.print(drawn)
    else:
        _paragraphs(rows, columns)


def _paragraphs(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print each row as a paragraph: its first column on a line of its own, the others below it."""
    first, *others = columns
    for row in rows:
        console.print(f"[bold]{escape(_cell(row.get(first)))}[/]", soft_wrap=True)
        cells = [(columns[key].removeprefix(">"), _cell(row.get(key))) for key in others]
        line = ", ".join(f"{heading}: {cell}" for heading, cell in cells if cell not in ("", NOTHING))
        console.print(Padding(escape(line), (0, 0, 0, 4)))


def hanging(text: str, indent: int = 4, target: Console = console) -> None:
    """Print a line that is indented, and further where it is wrapped in a narrow terminal.

    Args:
        text: the line.
        indent: characters before it.
        target: where to print it.
    """
    if not target.is_terminal:
        target.print(" " * indent + text, soft_wrap=True, markup=False)
        return
    text = printable(text)
    lines = wrap(text, max(target.width - 1, 20), initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))
    target.print("\n".join(lines), markup=False, style="dim")


def _cell(value: object) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, int):
        return f"{value:,}"
    return printable(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def duration(seconds: float | None) -> str:
    """Return a time in words: ``45 s``, ``3 min 20 s``, ``2 h 5 min``.

    Args:
        seconds: None for an unknown time.
    """
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    if whole < 60:
        return _("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return _("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def gigabytes(count: float) -> str:
    """Return bytes in GB or MB.

    Args:
        count: bytes.
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


@contextmanager
def download_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show progress bars on standard error, one per label; yields a function of label, bytes done and total."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=False) as progress:
        bars: dict[str, TaskID] = {}

        def update(label: str, done: int, total: int | None) -> None:
            if label not in bars:
                bars[label] = progress.add_task(escape(label), total=total)
            progress.update(bars[label], completed=done, total=total)

        yield update
