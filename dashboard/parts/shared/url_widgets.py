"""Widgets whose value is kept in the URL when it is not the default: a reload or a link shows the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import streamlit as st

from dashboard import state
from dashboard.state import Linked

NONE = "-"  # of several options, none
Visibility = Literal["visible", "hidden", "collapsed"]
Width = int | Literal["stretch"]


def select(
    label: str,
    options: Sequence[str],
    choice: Linked,
    default: str | None = None,
    *,
    format_func: Callable[[str], str] = str,
    help: str | None = None,
    width: Width = "stretch",
) -> str:
    """Show a selectbox.

    Args:
        label: translated.
        options: the allowed values; the URL can name nothing else.
        choice: its query parameter and session key.
        default: the initial value; the first option if left out.
        format_func: converts an option to its label.
        help: tooltip, translated.
        width: in pixels.
    """
    first = _prepare(options, choice, default)
    value = st.selectbox(label, options, key=choice.key, format_func=format_func, help=help, width=width)
    state.to_url(choice, "" if value == first else value)
    return value


def segments(
    label: str,
    options: Sequence[str],
    choice: Linked,
    default: str | None = None,
    *,
    format_func: Callable[[str], str] = str,
    label_visibility: Visibility = "visible",
) -> str:
    """Show the options side by side; see :func:`select`.

    Args:
        label: translated.
        options: the allowed values.
        choice: its query parameter and session key.
        default: the initial value; the first option if left out.
        format_func: converts an option to its label.
        label_visibility: visibility of the label.
    """
    first = _prepare(options, choice, default)
    value = st.segmented_control(
        label,
        options,
        key=choice.key,
        required=True,
        format_func=format_func,
        label_visibility=label_visibility,
    )
    value = value or first
    state.to_url(choice, "" if value == first else value)
    return value


def multiselect(
    label: str,
    options: Sequence[str],
    choice: Linked,
    default: Sequence[str],
    *,
    format_func: Callable[[str], str] = str,
    max_selections: int | None = None,
) -> list[str]:
    """Show a multiselect; the URL separates the values by commas.

    Args:
        label: translated.
        options: the allowed values.
        choice: its query parameter and session key.
        default: the initial values.
        format_func: converts an option to its label.
        max_selections: how many can be selected.
    """

    def read(text: str) -> list[str] | None:
        names = [name for name in text.split(",") if name in options]
        return names if names or text == NONE else None

    state.from_url(choice, read)
    held = st.session_state.get(choice.key, default)
    allowed = [name for name in held if name in options]
    st.session_state[choice.key] = list(default) if held and not allowed else allowed
    values = st.multiselect(label, options, key=choice.key, format_func=format_func, max_selections=max_selections)
    state.to_url(choice, "" if values == list(default) else ",".join(values) or NONE)
    return values


def toggle(label: str, choice: Linked, default: bool = False, help: str | None = None) -> bool:
    """Show a toggle; the URL says 1 or 0.

    Args:
        label: translated.
        choice: its query parameter and session key.
        default: the initial value.
        help: tooltip, translated.
    """
    state.from_url(choice, state.flag)
    st.session_state.setdefault(choice.key, default)
    on = st.toggle(label, key=choice.key, help=help)
    state.to_url(choice, "" if on == default else str(int(on)))
    return on


def _prepare(options: Sequence[str], choice: Linked, default: str | None) -> str:
    """Set the widget from the URL, or to its default; return the default."""
    first = options[0] if default is None else default
    state.from_url(choice, state.known(options))
    if st.session_state.get(choice.key) not in options:
        st.session_state[choice.key] = first
    return first
