"""Terms of use of some models and data sets: shown, and accepted once per workspace, before anything is fetched."""

from __future__ import annotations

from datetime import date

from workbench.data.catalogue.entries import Entry, Terms
from workbench.errors import RefusedError
from workbench.workspace import Workspace

_SETTING = "accepted_terms"  # name of the terms -> date


def open_terms(entry: Entry, workspace: Workspace) -> Terms | None:
    """Return the terms of an entry that nobody has accepted in this workspace yet; None if there are none.

    Args:
        entry: of the catalogue.
        workspace: whose settings record what was accepted.
    """
    if entry.terms is None:
        return None
    accepted = workspace.settings().get(_SETTING)
    return None if isinstance(accepted, dict) and entry.terms.name in accepted else entry.terms


def accept_terms(terms: Terms, workspace: Workspace) -> None:
    """Record that the user of a workspace accepts terms.

    Args:
        terms: they were shown before.
        workspace: whose settings record it.
    """
    accepted = workspace.settings().get(_SETTING)
    known = accepted if isinstance(accepted, dict) else {}
    workspace.save_settings(**{_SETTING: {**known, terms.name: date.today().isoformat()}})


def require_terms(name: str, entry: Entry, workspace: Workspace) -> None:
    """Refuse an entry whose terms have not been accepted.

    Args:
        name: the entry's name.
        entry: of the catalogue.
        workspace: whose settings record what was accepted.

    Raises:
        RefusedError: they have not.
    """
    terms = open_terms(entry, workspace)
    if terms is not None:
        raise RefusedError(terms_problem(name, terms), terms_hint(name, terms))


def terms_problem(name: str, terms: Terms) -> str:
    """Return the sentence that says why an entry cannot be used yet.

    Args:
        name: the entry's name.
        terms: not accepted yet.
    """
    return f"{name} can be used only under the {terms.name} ({terms.address}), which have not been accepted yet."


def terms_hint(name: str, terms: Terms) -> str:
    """Return what to do about it.

    Args:
        name: the entry's name.
        terms: not accepted yet.
    """
    return f"Read them. If you accept them, run: workbench data fetch {name} --accept-terms"
