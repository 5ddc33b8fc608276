"""``workbench predict``: the answers of a finished run's model."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli.inputs import inputs_of_json, inputs_of_texts
from workbench.cli.options import RunId, read_changes
from workbench.cli.output import Json, errors, print_result, show_notes
from workbench.cli.progress import progress_bar
from workbench.cli.rows import FileRows, Row, check_output, name_rows, plain_row, read_rows, write_rows
from workbench.data.report import format_list
from workbench.errors import DataError, RequestError, WorkbenchError
from workbench.files import read_json
from workbench.i18n import _
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.types import JsonObject
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.inference.predictor import Predictor

WINDOW = 2048  # rows that are answered at a time


def predict_command(
    run_id: RunId,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text. Repeatable.")] = None,
    text_pair: Annotated[
        list[str] | None, typer.Option("--text-pair", help="The second text of each pair. Repeatable.")
    ] = None,
    documents: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="JSON",
            help='An input of several roles: --input \'{"question": "...", "context": "..."}\'. Repeatable.',
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            help="A file in any format that training reads. Its columns are named as in the training data, or like the "
            "roles; other columns are kept in --json and --out."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write the rows with their answers to this CSV or JSONL file.")
    ] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        typer.Option(
            help="Number format of a classifier's weights; by default that of the run. auto: bf16 where the "
            "processor computes it natively. Probabilities then differ slightly from those of fp32."
        ),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="OPTION=VALUE", help="How it generates text: --set max_new_tokens=100"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict labels, entities, answers or text with a run."""
    from workbench.cli.answers import show_answers
    from workbench.inference.predictor import Predictor

    if not (text or documents or file):
        raise RequestError("There is no input.", "Give --text, --input or --file.")
    if out is not None:
        check_output(out)
    options = read_changes(sets)
    inputs = inputs_of_texts(text or [], text_pair or [])
    run = Run.open(run_id, Workspace.current())
    predictor = Predictor.load(run, precision=precision or _trained_precision(run))
    inputs += inputs_of_json(documents or [], predictor.task)
    rows = [plain_row(each) for each in inputs]
    file_rows = read_rows(file, predictor.task, _trained_columns(run)) if file else None
    answering = Answering(predictor, rows, file_rows, options)
    with progress_bar(quiet=as_json or answering.total <= WINDOW) as update:
        answered = answering.rows(update)
        if out is not None and not as_json:
            write_rows(out, answered, answering.names)
        else:
            shown = list(answered)
    if out is not None and as_json:
        write_rows(out, shown, answering.names)
    if as_json or out is None:
        pairs = [(row.inputs, row.answer) for row in shown if row.inputs is not None and row.answer is not None]
        print_result(
            [row.to_json() for row in shown],
            as_json,
            lambda: show_answers([inputs for inputs, answer in pairs], [answer for inputs, answer in pairs]),
        )
    show_notes(answering.notes(), errors)
    if out is not None:
        errors.print(_("Wrote {count:,} rows to {path}.").format(count=answering.total, path=out), markup=False)


class Answering:
    """The rows of a command with their answers, window by window.

    Args:
        predictor: the model.
        first: inputs of the command line.
        file_rows: rows of a file, which follow them; None without a file.
        options: changes of the task's options.
    """

    def __init__(self, predictor: Predictor, first: list[Row], file_rows: FileRows | None, options: JsonObject) -> None:
        self.names = {name for row in first for name in row.columns} | set(file_rows.names if file_rows else ())
        self.total = len(first) + len(file_rows or ())
        self._predictor = predictor
        self._first = first
        self._file_rows = file_rows
        self._options = options
        self._empty: list[str] = []
        self._truncated = self._answered = 0

    def rows(self, update: Callable[[JsonObject], None]) -> Iterator[Row]:
        """Yield every row with its answer, in their order.

        Args:
            update: called with the progress.

        Raises:
            DataError: an input cannot be used; the message names it.
        """
        from workbench.inference.streaming import answer_windows

        waiting: deque[list[Row]] = deque()

        def inputs() -> Iterator[list[JsonObject]]:
            for window in self._windows():
                waiting.append(window)
                yield [row.inputs for row in window if row.inputs is not None]

        done = 0
        update({"phase": _("predicting"), "done": done, "total": self.total})
        windows = answer_windows(self._predictor, inputs(), self._options)
        while True:
            try:
                result = next(windows, None)
            except DataError as error:
                raise name_rows(error, [row for row in waiting[0] if row.inputs is not None]) from error
            if result is None:
                return
            answers = iter(result.answers)
            window = waiting.popleft()
            for row in window:
                if row.inputs is None:
                    self._empty.append(row.location)
                else:
                    row.answer = next(answers)
            self._truncated += result.truncated
            self._answered += len(result.answers)
            done += len(window)
            update({"phase": _("predicting"), "done": done, "total": self.total})
            yield from window

    def _windows(self) -> Iterator[list[Row]]:
        if self._first:
            yield self._first
        for start in range(0, len(self._file_rows or ()), WINDOW):
            assert self._file_rows is not None
            yield self._file_rows[start : start + WINDOW]

    def notes(self) -> list[str]:
        """Return what readers of the answers should know; complete after the last row."""
        notes = self._predictor.truncation_notes(self._truncated, self._answered)
        if self._empty:
            notes.append(WarningNote(f"Empty rows have no answer: {format_list(self._empty)}."))
        return notes


def _trained_precision(run: Run) -> str:
    """Return the precision in a run's spec; fp32 where it is not known, or where this command cannot compute in it."""
    with contextlib.suppress(WorkbenchError):
        precision = run.spec().training.precision
        return "fp32" if precision == "fp16" else precision  # fp16 is for GPUs
    return "fp32"


def _trained_columns(run: Run) -> JsonObject:
    """Return role -> column of the data that a run was trained on; empty if it is not known."""
    report = read_json(run.data_file)
    mapping = report.get("mapping") if isinstance(report, dict) else None
    return mapping if isinstance(mapping, dict) else {}
