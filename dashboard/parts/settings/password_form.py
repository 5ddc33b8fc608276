"""Settings' form for the password: changing it needs the old one, and only this machine can set the first one."""

from __future__ import annotations

import os

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from dashboard.serving import password
from dashboard.serving.guard import EXPOSED
from workbench.errors import RequestError
from workbench.i18n import _
from workbench.workspace import Workspace

_DONE = "settings.password.done"  # session key: confirmed once


def draw(workspace: Workspace) -> None:
    """Draw whether a password is set, and the form that sets or changes it.

    Args:
        workspace: whose password.
    """
    st.subheader(_("Password"), anchor=False)
    is_set = password.stored_hash(workspace) is not None
    if st.session_state.pop(_DONE, False):
        st.success(_("The password was changed. Everyone has to log in again."), icon=":material/check:")
        st.link_button(_("Log in again"), "/login", icon=":material/login:")
    if is_set:
        st.markdown(_("A password is set. Only its salted hash is stored, in a file that only you can read."))
        st.link_button(_("Log out"), "/logout", icon=":material/logout:")
    else:
        st.markdown(_("No password is set: everyone who uses this machine can open the dashboard."))
    if is_set or not os.environ.get(EXPOSED):
        _form(workspace, is_set)
    st.caption(_("Forgot it? Reset or remove it in a terminal:"))
    st.code("workbench dashboard --set-password", language="bash")
    st.caption(
        _(
            "Everyone with the password can read, start and delete all runs. Before other machines can reach the "
            "dashboard, read “Expose the dashboard” in the documentation: limits, proxies, and HTTPS."
        )
    )


def _form(workspace: Workspace, is_set: bool) -> None:
    label = _("Change the password") if is_set else _("Set a password")
    with (
        st.expander(label, icon=":material/key:", key="settings_password"),
        st.form("settings.password.form", clear_on_submit=True, border=False),
    ):
        old = _field(_("Current password"), "settings.password.old", "current-password") if is_set else ""
        new = _field(_("New password"), "settings.password.new", "new-password")
        again = _field(_("Repeat the new password"), "settings.password.again", "new-password")
        st.caption(_("At least {n} characters. Everyone then has to log in again.").format(n=password.MIN_LENGTH))
        if not st.form_submit_button(label, icon=":material/key:", key="settings_password_set"):
            return
        with show_errors("settings_password_refused"):
            if new != again:
                raise RequestError("The two passwords do not match.", "Enter the same password twice.")
            password.change_password(workspace, old, new)
            st.session_state[_DONE] = True
            st.rerun()


def _field(label: str, key: str, autocomplete: str) -> str:
    text = st.text_input(label, type="password", key=key, max_chars=password.MAX_LENGTH, autocomplete=autocomplete)
    return text or ""
