"""Errors of the library, shown as what was wrong and what to do; never as a traceback."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.errors import WorkbenchError
from workbench.runs.documents import RunError

log = logging.getLogger("dashboard")
_LONGEST = 2000


def show_error(error: WorkbenchError | RunError | dict[str, str], key: str = "error") -> None:
    """An error's message, with its hint below."""
    found = error if isinstance(error, dict) else error.as_dict()
    message, hint = md(found.get("message") or "Something failed.", _LONGEST), md(found.get("hint") or "", _LONGEST)
    with st.container(key=key):
        st.error(message + (f"\n\n**What to do:** {hint}" if hint else ""), icon=":material/error:")


@contextlib.contextmanager
def show_errors(key: str = "error") -> Iterator[None]:
    """Show a library error that is raised inside, and go on after it."""
    try:
        yield
    except WorkbenchError as error:
        log.info("shown on the page: %s", error)
        show_error(error, key)
