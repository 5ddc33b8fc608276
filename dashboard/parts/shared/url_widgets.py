"""Widgets whose choice stands in the URL, where it is not what it is by default: a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from dashboard import state

NONE = "-"  # of several, none


def select(
    label: str, options: Sequence[str], param: str, key: str, default: str | None = None, buttons: bool = False,
    **more: Any,
) -> str:  # fmt: skip
    """One of ``options``, from a list or, with ``buttons``, side by side.

    Args:
        label: above it.
        options: what there is; the URL can name nothing else.
        param: its query parameter.
        key: its session key.
        default: what is chosen at first; the first option if left out.
        buttons: whether all of them are seen at once.
        more: what streamlit's widget takes.
    """
    first = options[0] if default is None else default
    state.from_url(param, key, lambda given: given if given in options else None)
    if st.session_state.get(key) not in options:
        st.session_state[key] = first
    if buttons:
        chosen = st.segmented_control(label, options, key=key, required=True, **more) or first
    else:
        chosen = st.selectbox(label, options, key=key, **more)
    state.to_url(param, "" if chosen == first else chosen)
    return chosen


def several(
    label: str, options: Sequence[str], param: str, key: str, default: Sequence[str], **more: Any
) -> list[str]:  # fmt: skip
    """Some of ``options``, with commas between in the URL; see :func:`select`."""

    def read(given: str) -> list[str] | None:
        found = [name for name in given.split(",") if name in options]
        return found if found or given == NONE else None

    state.from_url(param, key, read)
    known = [name for name in st.session_state.get(key, default) if name in options]
    st.session_state[key] = known or ([] if key in st.session_state and not st.session_state[key] else list(default))
    chosen = st.multiselect(label, options, key=key, **more)
    state.to_url(param, "" if chosen == list(default) else ",".join(chosen) or NONE)
    return chosen


def toggle(label: str, param: str, key: str, default: bool = False, **more: Any) -> bool:
    """On or off; see :func:`select`."""
    state.from_url(param, key, lambda given: {"1": True, "0": False}.get(given))
    st.session_state.setdefault(key, default)
    on = st.toggle(label, key=key, **more)
    state.to_url(param, "" if on == default else str(int(on)))
    return on
