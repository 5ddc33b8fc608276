"""Widgets whose choice stands in the URL, where it is not what it is by default: a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.state import Linked

NONE = "-"  # of several, none


def select(
    label: str, options: Sequence[str], choice: Linked, default: str | None = None, buttons: bool = False,
    **more: Any,
) -> str:  # fmt: skip
    """One of ``options``, from a list or, with ``buttons``, side by side.

    Args:
        label: above it.
        options: what there is; the URL can name nothing else.
        choice: its query parameter and session key.
        default: what is value at first; the first option if left out.
        buttons: whether all of them are seen at once.
        more: what streamlit's widget takes.
    """
    first = options[0] if default is None else default
    state.from_url(choice, lambda given: given if given in options else None)
    if st.session_state.get(choice.key) not in options:
        st.session_state[choice.key] = first
    if buttons:
        value = st.segmented_control(label, options, key=choice.key, required=True, **more) or first
    else:
        value = st.selectbox(label, options, key=choice.key, **more)
    state.to_url(choice, "" if value == first else value)
    return value


def several(
    label: str, options: Sequence[str], choice: Linked, default: Sequence[str], **more: Any
) -> list[str]:  # fmt: skip
    """Some of ``options``, with commas between in the URL; see :func:`select`."""

    def read(given: str) -> list[str] | None:
        found = [name for name in given.split(",") if name in options]
        return found if found or given == NONE else None

    state.from_url(choice, read)
    known = [name for name in st.session_state.get(choice.key, default) if name in options]
    st.session_state[choice.key] = known or (
        [] if choice.key in st.session_state and not st.session_state[choice.key] else list(default)
    )
    value = st.multiselect(label, options, key=choice.key, **more)
    state.to_url(choice, "" if value == list(default) else ",".join(value) or NONE)
    return value


def toggle(label: str, choice: Linked, default: bool = False, **more: Any) -> bool:
    """On or off; see :func:`select`."""
    state.from_url(choice, lambda given: {"1": True, "0": False}.get(given))
    st.session_state.setdefault(choice.key, default)
    on = st.toggle(label, key=choice.key, **more)
    state.to_url(choice, "" if on == default else str(int(on)))
    return on
