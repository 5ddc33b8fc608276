"""What a page is for, shown until the reader dismisses it; the workspace remembers."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from workbench.i18n import _
from workbench.types import Json
from workbench.workspace import Workspace

DISMISSED = "explanations_put_away"  # in settings.json: the keys of pages
_KEY = "first_visit."


def explain(page: str, text: str) -> None:
    """Show what a page is for in a box that can be dismissed, or a small button that brings it back.

    Args:
        page: the page's key, such as ``compare``; the same on every visit.
        text: one to three sentences of our own in Markdown, translated.
    """
    pages = dismissed_pages(Workspace.current())
    if page in pages:
        _button(_("What is this page for?"), page, ":material/help:", [other for other in pages if other != page])
        return
    with st.container(border=True, key=f"{_KEY}{page}"):
        st.markdown(text)
        _button(_("Got it"), page, ":material/check:", [*pages, page])


def dismissed_pages(workspace: Workspace) -> list[str]:
    """Return the pages whose explanation was dismissed.

    Args:
        workspace: where it is remembered.
    """
    pages = workspace.settings().get(DISMISSED)
    return [page for page in pages if isinstance(page, str)] if isinstance(pages, list) else []


def show_all_again() -> None:
    """Show the explanation of every page again."""
    Workspace.current().save_settings(**{DISMISSED: None})


def _button(label: str, page: str, icon: str, dismissed: list[str]) -> None:
    if st.button(label, icon=icon, type="tertiary", key=f"{_KEY}{page}.button"):
        with show_errors(f"{_KEY}{page}.error"):
            pages: Json = [*dismissed] or None
            Workspace.current().save_settings(**{DISMISSED: pages})
            st.rerun()
