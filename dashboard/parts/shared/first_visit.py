"""What a page is for, said on the first visit; who has read it puts it away, and the workspace remembers."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from workbench.workspace import Workspace

PUT_AWAY = "explanations_put_away"  # in settings.json: the keys of pages
_HERE = "first_visit."  # session keys


def explain(page: str, text: str) -> None:
    """Show ``text`` in a box that can be put away, or a small button that brings it back.

    Args:
        page: the page's key, such as ``compare``; the same on every visit.
        text: Markdown of our own, never somebody else's: a sentence or three.
    """
    workspace = Workspace.current()
    away = put_away(workspace)
    if page in away:
        _button("What is this page for?", page, ":material/help:", [one for one in away if one != page])
        return
    with st.container(border=True, key=f"{_HERE}{page}"):
        st.markdown(text)
        _button("Put away", page, ":material/check:", [*away, page])


def put_away(workspace: Workspace) -> list[str]:
    """The pages whose explanation was put away in this workspace."""
    found = workspace.settings().get(PUT_AWAY)
    return [page for page in found if isinstance(page, str)] if isinstance(found, list) else []


def show_all_again() -> None:
    """Every page explains itself again."""
    Workspace.current().save_settings(**{PUT_AWAY: None})


def _button(label: str, page: str, icon: str, then: list[str]) -> None:
    if st.button(label, icon=icon, type="tertiary", key=f"{_HERE}{page}.button"):
        with show_errors(f"{_HERE}{page}.error"):
            Workspace.current().save_settings(**{PUT_AWAY: then or None})
            st.rerun()
