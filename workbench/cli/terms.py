"""Terms of use of some models: shown before a download, and accepted once."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from workbench.cli.output import errors
from workbench.data.catalogue.sources import open_terms_of
from workbench.data.catalogue.terms import accept_terms
from workbench.i18n import _
from workbench.workspace import Workspace


def settle_terms(names: Sequence[str], accept: bool, workspace: Workspace) -> None:
    """Show the terms of use of entries, and record that the user accepts them.

    Args:
        names: entries of the catalogue.
        accept: accept the terms without a question; otherwise a terminal asks, and what is not accepted stays so.
        workspace: whose settings record it.

    Raises:
        UnknownNameError: the catalogue has no such entry.
    """
    for name in names:
        terms = open_terms_of(name, workspace)
        if terms is None:
            continue
        lines = [f"{name}: {terms.name}, {terms.address}", *(f"- {_(line)}" for line in terms.summary)]
        errors.print("\n".join(lines), markup=False, soft_wrap=True)
        is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
        if accept or (is_terminal and typer.confirm(_("Do you accept these terms?"), default=False, err=True)):
            accept_terms(terms, workspace)
