"""Terms of use of the chosen model: shown once, with a button that accepts them."""

from __future__ import annotations

import streamlit as st

from dashboard.parts.shared.text import md
from workbench.data.catalogue.sources import open_terms_of
from workbench.data.catalogue.terms import accept_terms
from workbench.errors import UnknownNameError
from workbench.i18n import _
from workbench.spec import RunSpec
from workbench.workspace import Workspace


def draw(spec: RunSpec | None, workspace: Workspace) -> None:
    """Draw the terms of a model of the catalogue that have not been accepted yet.

    Args:
        spec: what the form holds; None if it is no spec.
        workspace: whose settings record what was accepted.
    """
    if spec is None:
        return
    try:
        terms = open_terms_of(spec.model.source, workspace)
    except UnknownNameError:
        return  # not a model of the catalogue
    if terms is None:
        return
    with st.container(border=True, key="launch_terms"):
        st.markdown(f"**[{md(terms.name)}]({terms.address})**")
        st.markdown("\n".join(f"- {md(_(line), 400)}" for line in terms.summary))
        st.button(
            _("I accept these terms"),
            key="accept_terms",
            icon=":material/gavel:",
            on_click=accept_terms,
            args=(terms, workspace),
        )
