"""``workbench predict``: the answers of a finished run's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.inputs import inputs_of_json, inputs_of_texts
from workbench.cli.options import RunId, read_changes
from workbench.cli.output import Json, errors, print_result, show_notes
from workbench.cli.progress import progress_bar
from workbench.cli.rows import check_output, name_rows, plain_row, read_rows, write_rows
from workbench.data.report import format_list
from workbench.errors import DataError, RequestError
from workbench.files import read_json
from workbench.i18n import _
from workbench.runs.report_notes import WarningNote
from workbench.runs.run import Run
from workbench.types import JsonObject
from workbench.workspace import Workspace

CHUNK = 512  # inputs between two steps of the progress bar


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
    rows = [plain_row(each) for each in inputs_of_texts(text or [], text_pair or [])]
    run = Run.open(run_id, Workspace.current())
    predictor = Predictor.load(run)
    rows += [plain_row(each) for each in inputs_of_json(documents or [], predictor.task)]
    rows += read_rows(file, predictor.task, _trained_columns(run)) if file else []
    answered = [row for row in rows if row.inputs is not None]
    inputs = [row.inputs for row in answered if row.inputs is not None]
    with progress_bar(quiet=as_json or len(inputs) <= CHUNK) as update:
        for start in range(0, len(inputs), CHUNK):
            update({"phase": _("predicting"), "done": start, "total": len(inputs)})
            chunk = answered[start : start + CHUNK]
            try:
                answers = predictor.predict(inputs[start : start + CHUNK], options)
            except DataError as error:
                raise name_rows(error, chunk) from error
            for row, answer in zip(chunk, answers, strict=True):
                row.answer = answer
    if out is not None:
        write_rows(out, rows)
    shown = [row.answer for row in answered if row.answer is not None]
    if as_json or out is None:
        print_result([row.to_json() for row in rows], as_json, lambda: show_answers(inputs, shown))
    empty = [row.location for row in rows if row.inputs is None]
    notes = predictor.notes(inputs)
    if empty:
        notes.append(WarningNote(f"Empty rows have no answer: {format_list(empty)}."))
    show_notes(notes, errors)
    if out is not None:
        errors.print(_("Wrote {count:,} rows to {path}.").format(count=len(rows), path=out), markup=False)


def _trained_columns(run: Run) -> JsonObject:
    """Return role -> column of the data that a run was trained on; empty if it is not known."""
    report = read_json(run.data_file)
    mapping = report.get("mapping") if isinstance(report, dict) else None
    return mapping if isinstance(mapping, dict) else {}
