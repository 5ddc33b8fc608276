"""Ask which column has which role, where the names in a table leave a doubt."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import typer

from workbench.cli.output import errors
from workbench.data.proposals import UnclearColumnsError
from workbench.i18n import _
from workbench.spec import RunSpec

ResultT = TypeVar("ResultT")


def with_columns(spec: RunSpec, act: Callable[[RunSpec], ResultT]) -> ResultT:
    """Do something with a spec; in a terminal, offer a mapping of columns if their names leave a doubt.

    Args:
        spec: as a user wrote it.
        act: reads the spec's data; called again with the mapping that the user accepts.

    Raises:
        UnclearColumnsError: the user did not accept the proposal, there is none, or this is no terminal.
    """
    try:
        return act(spec)
    except UnclearColumnsError as error:
        show_rows(error)
        if not error.proposal or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        mapping = ", ".join(f"{role}: {name}" for role, name in error.proposal.items())
        errors.print(error.message, markup=False, soft_wrap=True)
        if not typer.confirm(_("Use these columns? {mapping}").format(mapping=mapping), default=False, err=True):
            raise
        return act(spec.changed({"data.columns": {**spec.data.columns, **error.proposal}}))


def show_rows(error: UnclearColumnsError) -> None:
    """Print the first rows of a table on standard error.

    Args:
        error: has the rows.
    """
    for number, row in enumerate(error.rows, start=1):
        errors.print(_("Row {number}:").format(number=number), markup=False)
        for name, value in row.items():
            errors.print(f"    {name}: {value}", markup=False, soft_wrap=True)
