"""Errors of the library, shown as what was wrong and what to do; never as a traceback."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.documents import RunError

log = logging.getLogger("dashboard")
_MAX_LENGTH = 2000


def with_hint(message: object, hint: object, length: int = 500) -> str:
    """Return a message as Markdown, with what to do below it.

    Args:
        message: what was wrong.
        hint: what to do; may be empty.
        length: maximum number of characters of each.
    """
    text = md(message, length)
    return f"{text}\n\n**{_('What to do:')}** {md(hint, length)}" if hint else text


def show_error(error: WorkbenchError | RunError | dict[str, str], key: str = "error") -> None:
    """Show an error with its hint.

    Args:
        error: the error, or ``message`` and ``hint`` as a run's status holds them.
        key: key of the container.
    """
    fields = error if isinstance(error, dict) else error.as_dict()
    with st.container(key=key):
        message = fields.get("message") or _("Something failed.")
        st.error(with_hint(message, fields.get("hint"), _MAX_LENGTH), icon=":material/error:")


@contextlib.contextmanager
def show_errors(key: str = "error") -> Iterator[None]:
    """Show a library error raised inside the block, and continue after it.

    Args:
        key: key of the container that holds the error.
    """
    try:
        yield
    except WorkbenchError as error:
        log.info("shown on the page: %s", error)
        show_error(error, key)
