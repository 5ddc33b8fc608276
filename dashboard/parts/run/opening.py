"""Which run the page shows, and its head: name, state, what it is, and what can be done with it."""

from __future__ import annotations

import streamlit as st

from dashboard import state
from dashboard.parts.runs import detail
from dashboard.parts.shared import run_list
from dashboard.parts.shared.run_states import badge
from dashboard.parts.shared.text import ago, cut, md
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.runs.documents import RunSummary, Status
from workbench.runs.run import Run
from workbench.workspace import Workspace

MAX_PART = 60  # characters of the name of a model or a data set


def open_run() -> Run:
    """Return the run that the URL names. Without one, show what to do instead and end the page.

    A run that another tab has deleted is never replaced by another one.
    """
    choice = state.RunPage.ID
    run_id = st.query_params.get(choice.param) or str(st.session_state.get(f"remembered.{choice.param}") or "")
    run = _existing(run_id) if run_id else None
    if run is None:
        st.title(_("Run"))
        if run_id:
            st.warning(
                _("This run does not exist. It may have been deleted in another window."), icon=":material/link_off:"
            )
        else:
            st.info(_("Choose a run from the list."), icon=":material/list_alt:")
        st.page_link(state.RUNS_PAGE, label=_("All runs"), icon=":material/list_alt:")
        st.stop()
    state.to_url(choice, run.id)
    state.remember(state.RUN, run.id)  # Explain and Playground open with the same run
    return run


def _existing(run_id: str) -> Run | None:
    try:
        run = Run(Workspace.current().run_folder(run_id))
    except WorkbenchError:
        return None
    return run if run.folder.is_dir() else None


def draw_head(run: Run, summary: RunSummary) -> None:
    """Draw the name, the state, what the run is, and its buttons; set the title of the browser's tab.

    Args:
        run: the run.
        summary: its summary.
    """
    title = run_list.title(run.id)
    st.set_page_config(page_title=title)
    st.title(md(title), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", key="run_header"):
        badge(summary.state)
        st.caption(md(" · ".join([*description(run.status()), ago(summary.created)]), 400))
    with st.container(horizontal=True, key="run_actions"):
        detail.actions(run, summary)


def description(status: Status) -> list[str]:
    """Return what a run is, in a few words each: task, model, data, method.

    Args:
        status: status of the run.
    """
    data = (status.data or "").rsplit("/", 1)[-1]
    method = run_list.method_name(status.tuning)
    parts = [_((status.task or "").replace("-", " ")), status.model, data, method]
    return [cut(part, MAX_PART) for part in parts if part]
