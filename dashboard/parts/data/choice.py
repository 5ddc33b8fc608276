"""Which data: of the catalogue or an upload; what is known of them, fetching, deleting, and how they are to be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.data import data_catalogue
from dashboard.parts.launch import launch_form
from dashboard.parts.shared import uploads
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, gigabytes, md
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import describe, fetch
from workbench.data.uploads import active_runs_using, delete_upload, list_uploads
from workbench.errors import WorkbenchError
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace


def names(workspace: Workspace) -> list[str]:
    """Every data set of the catalogue and every upload, as a link may name it."""
    return [upload.name for upload in list_uploads(workspace)] + list(catalogue().datasets)


def choose(workspace: Workspace) -> str | None:
    """One data set, after a filter by task and language; uploads first."""
    entries = catalogue().datasets
    left, right = st.columns(2)
    with left:
        learned = sorted({e.task for e in entries.values()})
        state.from_url(state.Data.TASK, lambda given: given if given in learned else None)
        task = st.selectbox("Task", [None, *learned], key=state.Data.TASK.key, format_func=_any, help=WORDS["task"])
        state.to_url(state.Data.TASK, task or "")
    with right:
        spoken = sorted({e.language for e in entries.values()})
        state.from_url(state.Data.LANGUAGE, lambda given: given if given in spoken else None)
        language = st.selectbox("Language", [None, *spoken], key=state.Data.LANGUAGE.key, format_func=_any)
        state.to_url(state.Data.LANGUAGE, language or "")
    fitting = _fitting(task, language)
    mine = [upload.name for upload in list_uploads(workspace)]
    options = [*mine, *fitting]
    if st.session_state.get(state.Data.DATASET.key) not in options:
        st.session_state[state.Data.DATASET.key] = None
    chosen = st.selectbox(
        f"Data ({len(mine)} of yours, {len(fitting)} of the catalogue)",
        options,
        key=state.Data.DATASET.key,
        format_func=lambda name: cut(name if name in mine else f"{name}: {entries[name].label}", 100),
        placeholder="a file of yours or a data set",
        persist_state="session",
    )
    return str(chosen) if chosen else None


def draw_catalogue(chosen: str | None, workspace: Workspace) -> None:
    """What the filters leave of the catalogue, as a table."""
    fitting = _fitting(st.session_state.get(state.Data.TASK.key), st.session_state.get(state.Data.LANGUAGE.key))
    data_catalogue.draw(fitting, chosen, workspace)


def _fitting(task: str | None, language: str | None) -> list[str]:
    """The data sets of this task and language; None is any."""
    entries = catalogue().datasets.items()
    return [name for name, each in entries if task in (None, each.task) and language in (None, each.language)]


def draw_upload(workspace: Workspace) -> None:
    """The field for a file of one's own; what was taken is chosen."""
    uploads.draw_uploader(state.Data.UPLOADED)
    taken = st.session_state.pop(state.Data.UPLOADED, None)
    if taken:
        st.query_params[state.Data.DATASET.param] = Path(taken).name
        st.rerun()


def tell_about(name: str, workspace: Workspace) -> None:
    """Licence, citation and size of a data set; size of an upload, and the way to delete it."""
    if name not in catalogue().datasets:
        _tell_upload(name, workspace)
        return
    entry = describe(name, workspace)
    st.subheader(md(entry["label"]), anchor=False)
    size = f"{md(entry['size'])}, {gigabytes(entry['bytes'])}" if entry["bytes"] else md(entry["size"])
    st.markdown(f"{size} · {md(entry['task'])} · {md(entry['language'])} · licence: {md(entry['licence'], 400)}")
    st.caption(f"Cite: {md(entry['citation'], 600)}")


def is_here(name: str, workspace: Workspace) -> bool:
    """Whether the data can be read without fetching anything."""
    return name not in catalogue().datasets or bool(describe(name, workspace)["cached"])


def draw_fetch(name: str, workspace: Workspace) -> None:
    """A button that fetches a data set, with its progress."""
    if not st.button("Fetch it", type="primary", icon=":material/download:", key="data_fetch"):
        return
    bar = st.progress(0.0, "Asking for it ...")

    def progress(label: str, done: int, total: int | None) -> None:
        bar.progress(min(1.0, done / total) if total else 0.0, md(label))

    with show_errors("fetch_error"):
        fetch(name, workspace, progress)
        st.rerun()


def choose_use(name: str, workspace: Workspace) -> RunSpec:
    """What shall be learned from the data, and which column plays which role. Raises SpecError, DataError."""
    entry = catalogue().datasets.get(name)
    document: dict[str, object] = {"train": name}
    task = entry.task if entry else "text-classification"
    if entry is None:
        path = workspace.uploads / name
        document["train"] = str(path)
        state.from_url(state.Data.USE, lambda given: given if given in tasks.names() else None)
        if st.session_state.get(state.Data.USE.key) not in tasks.names():
            st.session_state[state.Data.USE.key] = task
        task = st.selectbox("What shall be learned", tasks.names(), key=state.Data.USE.key, help=WORDS["task"])
        state.to_url(state.Data.USE, "" if task == "text-classification" else task)
        roles = list(tasks.get(task)(tasks.get(task).Config()).columns())
        with st.expander("Columns", icon=":material/view_column:", key="data_columns"), show_errors("columns_error"):
            document["columns"] = _columns(roles, str(path))
    return RunSpec.parse({"task": task, "data": document, "model": "minilm", "tuning": "full"}, "These data")


def _columns(roles: list[Any], path: str) -> dict[str, str]:
    """Which column plays which role; as the link says, until a field is moved."""
    keys = {role.role: f"data.columns.{role.role}" for role in roles}

    def read(given: str) -> dict[str, str] | None:
        try:
            found = json.loads(given)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict):
            return None
        taken = {role: column for role, column in found.items() if role in keys and isinstance(column, str)}
        for role, column in taken.items():
            st.session_state[keys[role]] = column  # one that the file does not have is left open again
        return taken

    held = {role: st.session_state[key] for role, key in keys.items() if st.session_state.get(key)}
    if any(key in st.session_state for key in keys.values()):
        st.session_state[state.Data.ROLES.key] = held
    state.from_url(state.Data.ROLES, read)
    st.session_state[state.Data.ROLES.key] = found = uploads.draw_columns(
        roles, uploads.columns_of(path), "data.columns"
    )
    state.to_url(state.Data.ROLES, json.dumps(found, ensure_ascii=False) if found else "")
    return found


def use(spec: RunSpec) -> None:
    """Go to Launch with these data in the form."""
    launch_form.fill(spec)
    state.to_url(state.Launch.PRESET, "")
    state.to_url(state.Launch.FROM, "")
    st.switch_page(state.LAUNCH_PAGE)


def _tell_upload(name: str, workspace: Workspace) -> None:
    found = next((upload for upload in list_uploads(workspace) if upload.name == name), None)
    if found is None:
        return
    st.subheader(md(name, 80), anchor=False)
    size = f"{found.bytes / 1e6:.1f} MB" if found.bytes >= 1e5 else f"{found.bytes / 1e3:.1f} kB"
    st.caption(f"Your file, {size}. It lies in the workspace and is sent nowhere.")
    with st.popover("Delete this file", icon=":material/delete:", key="data_delete"):
        using = active_runs_using(found.path, workspace)
        if using:
            st.warning(f"It is used by {md(using[0])}; a queued or running run needs it.")
        st.markdown("The file is removed for good. Finished runs keep their results, but cannot be repeated.")
        if st.button("Delete for good", key="data_delete_now", disabled=bool(using)):
            _delete(name, workspace)


def _delete(name: str, workspace: Workspace) -> None:
    try:
        delete_upload(name, workspace)
    except WorkbenchError as error:
        st.error(md(f"{error.message} {error.hint}", 500))
        return
    state.to_url(state.Data.DATASET, "")
    st.rerun()


def _any(value: str | None) -> str:
    return "any" if value is None else value
