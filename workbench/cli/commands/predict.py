"""``workbench predict``: the answers of a finished run's model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.inputs import inputs_of_file, inputs_of_json, inputs_of_texts
from workbench.cli.options import RunId, read_changes
from workbench.cli.output import Json, errors, print_result, show_notes
from workbench.errors import RequestError
from workbench.runs.run import Run
from workbench.workspace import Workspace


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
        Path | None, typer.Option(help="A CSV, JSONL or Parquet file whose columns are named like the roles.")
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
    options = read_changes(sets)
    inputs = inputs_of_texts(text or [], text_pair or [])
    predictor = Predictor.load(Run.open(run_id, Workspace.current()))
    inputs += inputs_of_json(documents or [], predictor.task)
    inputs += inputs_of_file(file, predictor.task) if file else []
    answers = predictor.predict(inputs, options)
    printed = [answer.to_json() for answer in answers]
    print_result(printed, as_json, lambda: show_answers(inputs, answers))
    show_notes(predictor.notes(inputs), errors)
