"""Settings' form for the password: the old one is asked for, and only this machine sets the first one."""

from __future__ import annotations

import os

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from dashboard.serving import password
from dashboard.serving.guard import EXPOSED
from workbench.errors import RequestError
from workbench.workspace import Workspace

_DONE = "settings.password.done"  # session key: told once


def draw(workspace: Workspace) -> None:
    """Whether a password is set, and how it is set or changed."""
    st.subheader("Password", anchor=False)
    is_set = password.stored_hash(workspace) is not None
    if st.session_state.pop(_DONE, False):
        st.success("The password is changed. Whoever is logged in must log in again.", icon=":material/check:")
        st.link_button("Log in again", "/login", icon=":material/login:")
    if is_set:
        st.markdown("A password is set. Only its salted hash is kept, in a file that you alone can read.")
        st.link_button("Log out", "/logout", icon=":material/logout:")
    else:
        st.markdown("None is set: everybody who works on this machine can open the dashboard.")
    if is_set or not os.environ.get(EXPOSED):
        _form(workspace, is_set)
    st.caption("Who has forgotten it sets a new one, or takes it away, in a terminal:")
    st.code("workbench dashboard --set-password", language="bash")


def _form(workspace: Workspace, is_set: bool) -> None:
    label = "Change the password" if is_set else "Set a password"
    with (
        st.expander(label, icon=":material/key:", key="settings_password"),
        st.form("settings.password.form", clear_on_submit=True, border=False),
    ):
        old = _field("The password now", "settings.password.old", "current-password") if is_set else ""
        new = _field("The new password", "settings.password.new", "new-password")
        again = _field("The new password once more", "settings.password.again", "new-password")
        st.caption(f"At least {password.SHORTEST} characters. Everybody must then log in again.")
        if not st.form_submit_button(label, icon=":material/key:", key="settings_password_set"):
            return
        with show_errors("settings_password_refused"):
            if new != again:
                raise RequestError("The new password was typed in two ways.", "Type the same twice.")
            password.change_password(workspace, old, new)
            st.session_state[_DONE] = True
            st.rerun()


def _field(label: str, key: str, autocomplete: str) -> str:
    text = st.text_input(label, type="password", key=key, max_chars=password.LONGEST, autocomplete=autocomplete)
    return text or ""
