"""Ask in a terminal where a file leaves a doubt: which column has which role, and which encoding reads right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from workbench.cli.output import errors
from workbench.data.proposals import UnclearColumnsError
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.i18n import _
from workbench.spec import RunSpec

ResultT = TypeVar("ResultT")
_QUESTIONS = 4  # encoding and columns, of the training file and of another one


def with_answers(spec: RunSpec, act: Callable[[RunSpec], ResultT]) -> ResultT:
    """Do something with a spec; in a terminal, ask for what its file leaves open.

    Args:
        spec: as a user wrote it.
        act: reads the spec's data; called again with what the user chose.

    Raises:
        UnclearColumnsError: the user did not accept the proposal, there is none, or this is no terminal.
        UncertainEncodingError: the user chose no encoding, or this is no terminal.
    """
    for _question in range(_QUESTIONS):
        try:
            return act(spec)
        except UnclearColumnsError as error:
            changes = _ask_columns(spec, error)
            if not changes:
                raise
        except UncertainEncodingError as error:
            changes = _ask_encoding(error)
            if not changes:
                raise
        spec = spec.changed(changes)
    return act(spec)


def _is_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _ask_columns(spec: RunSpec, error: UnclearColumnsError) -> dict[str, object]:
    """Show the first rows and return the proposed mapping if the user accepts it; nothing otherwise."""
    show_rows(error)
    if not error.proposal or not _is_terminal():
        return {}
    mapping = ", ".join(f"{role}: {name}" for role, name in error.proposal.items())
    errors.print(error.message, markup=False, soft_wrap=True)
    if not typer.confirm(_("Use these columns? {mapping}").format(mapping=mapping), default=False, err=True):
        return {}
    return {"data.columns": {**spec.data.columns, **error.proposal}}


def _ask_encoding(error: UncertainEncodingError) -> dict[str, object]:
    """Show some lines in both encodings and return the one that the user chooses; nothing if none is right."""
    if not _is_terminal():
        return {}
    for index, encoding in enumerate(error.encodings):
        errors.print(f"{index + 1}: {encoding}", markup=False)
        for line in error.lines:
            text = _("Line {n}: {text}").format(n=line["number"], text=line["readings"][index])
            errors.print(f"    {text}", markup=False, soft_wrap=True)
    answer = typer.prompt(_("Which reads right: 1, 2, or 0 for neither?"), default=0, type=int, err=True)
    return {"data.encoding": error.encodings[answer - 1]} if answer in (1, 2) else {}


def show_rows(error: UnclearColumnsError) -> None:
    """Print the first rows of a table on standard error.

    Args:
        error: has the rows.
    """
    for number, row in enumerate(error.rows, start=1):
        errors.print(_("Row {number}:").format(number=number), markup=False)
        for name, value in row.items():
            errors.print(f"    {name}: {value}", markup=False, soft_wrap=True)
