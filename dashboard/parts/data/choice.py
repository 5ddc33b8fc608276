"""Choosing a data set or an upload: its details, fetching, deleting, and how to train on it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

from dashboard import state
from dashboard.parts.data import data_catalogue, reading
from dashboard.parts.launch import launch_form
from dashboard.parts.shared.data import reports, uploads
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import cut, gigabytes, md
from workbench.check import make_task
from workbench.check.language import AUTO, AutoChoice, choose_model, data_languages
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import describe, fetch
from workbench.data.columns import Column
from workbench.data.limited import Preview
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.data.uploads import active_runs_using, delete_upload, list_uploads, unusable_uploads
from workbench.errors import WorkbenchError
from workbench.i18n import _
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

DEFAULT_TASK = "text-classification"
_GUESSED_FOR = "data.guessed_for"  # session key: the file for which the task was guessed


def names(workspace: Workspace) -> list[str]:
    """Return the names of all uploads and data sets, as a link may contain them.

    Args:
        workspace: whose uploads.
    """
    return [upload.name for upload in list_uploads(workspace)] + list(catalogue().datasets)


def choose(workspace: Workspace) -> str | None:
    """Draw the choice of a data set, with filters for task and language; uploads come first.

    Args:
        workspace: whose uploads.
    """
    entries = catalogue().datasets
    left, right = st.columns(2)
    with left:
        task_names = sorted({entry.task for entry in entries.values()})
        task = _filter(_("Task"), task_names, state.Data.TASK, help_for("task"))
    with right:
        languages = sorted({entry.language for entry in entries.values()})
        language = _filter(_("Language"), languages, state.Data.LANGUAGE)
    fitting = _fitting(task, language)
    own = [upload.name for upload in list_uploads(workspace)]
    if others := unusable_uploads(workspace):
        shown = ", ".join(others[:5]) + (" ..." if len(others) > 5 else "")
        text = _("In the folder of the uploads, and no file that can be read: {names}.")
        st.caption(md(text.format(names=shown), 500))
    options = [*own, *fitting]
    key = state.Data.DATASET.key
    if st.session_state.get(key) not in options:
        st.session_state[key] = None
    chosen = st.selectbox(
        _("Data ({own} of yours, {others} in the catalogue)").format(own=len(own), others=len(fitting)),
        options,
        key=key,
        format_func=lambda name: cut(name if name in own else f"{name}: {_(entries[name].label)}", 100),
        placeholder=_("your file or a data set"),
        persist_state="session",
    )
    return str(chosen) if chosen else None


def _filter(label: str, options: Sequence[str], choice: state.Linked, help: str | None = None) -> str | None:
    state.from_url(choice, state.known(options))
    value = st.selectbox(
        label,
        [None, *options],
        key=choice.key,
        format_func=lambda value: _("any") if value is None else value,
        help=help,
    )
    state.to_url(choice, value or "")
    return value


def choice_container(is_own: bool) -> DeltaGenerator:
    """Return where the choice of the data is drawn: folded away while a file of the user is shown.

    Args:
        is_own: whether a file of the user is chosen.
    """
    if not is_own:
        return st.container(key="data_catalogue")
    return st.expander(_("Other data"), icon=":material/table:", key="data_catalogue")


def draw_catalogue(chosen: str | None, workspace: Workspace) -> None:
    """Draw the part of the catalogue that matches the filters, as a table.

    Args:
        chosen: the data set that is marked.
        workspace: whose cache is used.
    """
    task, language = (st.session_state.get(choice.key) for choice in (state.Data.TASK, state.Data.LANGUAGE))
    data_catalogue.draw(_fitting(task, language), chosen, workspace)


def _fitting(task: str | None, language: str | None) -> list[str]:
    """Return the data sets of this task and language; None for any."""
    entries = catalogue().datasets.items()
    return [name for name, entry in entries if task in (None, entry.task) and language in (None, entry.language)]


def draw_upload(workspace: Workspace) -> None:
    """Draw the field for your own file; an uploaded file is chosen.

    Args:
        workspace: where it is stored.
    """
    uploads.draw_uploader(state.Data.UPLOADED)
    path = st.session_state.pop(state.Data.UPLOADED, None)
    if path:
        st.query_params[state.Data.DATASET.param] = Path(path).name
        st.rerun()


def show_details(name: str, workspace: Workspace) -> None:
    """Show licence, citation and size of a data set; size of an upload, and the button that deletes it.

    Args:
        name: name of the data set or upload.
        workspace: whose cache and uploads.
    """
    if name not in catalogue().datasets:
        _show_upload(name, workspace)
        return
    entry = describe(name, workspace)
    st.subheader(md(_(entry["label"])), anchor=False)
    size = f"{md(entry['size'])}, {gigabytes(entry['bytes'])}" if entry["bytes"] else md(entry["size"])
    licence = _("licence: {licence}").format(licence=md(entry["licence"], 400))
    st.markdown(f"{size} · {md(entry['task'])} · {md(entry['language'])} · {licence}")
    st.caption(_("Cite: {citation}").format(citation=md(entry["citation"], 600)))


def is_local(name: str, workspace: Workspace) -> bool:
    """Return whether the data can be read without a download.

    Args:
        name: name of the data set or upload.
        workspace: whose cache is used.
    """
    return name not in catalogue().datasets or bool(describe(name, workspace)["cached"])


def draw_fetch(name: str, workspace: Workspace) -> None:
    """Draw a button that downloads a data set, with its progress.

    Args:
        name: name of the data set.
        workspace: whose cache it goes to.
    """
    if not st.button(_("Download"), type="primary", icon=":material/download:", key="data_fetch"):
        return
    bar = st.progress(0.0, _("Connecting ..."))

    def progress(label: str, done: int, total: int | None) -> None:
        bar.progress(min(1.0, done / total) if total else 0.0, md(label))

    with show_errors("fetch_error"):
        fetch(name, workspace, progress)
        st.rerun()


def choose_use(name: str, workspace: Workspace) -> RunSpec:
    """Draw the choice of task and columns for an upload; return a spec that uses the data.

    Args:
        name: name of the data set or upload.
        workspace: whose uploads.

    Raises:
        SpecError, DataError: the data cannot be used like this.
    """
    entry = catalogue().datasets.get(name)
    if entry is not None:
        return _spec({"name": entry.task}, {"train": name})
    path, choice = str(workspace.uploads / name), state.Data.USE
    guess = reports.guess_task(path, DEFAULT_TASK, workspace)
    if st.session_state.get(_GUESSED_FOR) != path and choice.param not in st.query_params:
        st.session_state[choice.key] = guess
    st.session_state[_GUESSED_FOR] = path
    state.from_url(choice, state.known(tasks.names()))
    if st.session_state.get(choice.key) not in tasks.names():
        st.session_state[choice.key] = guess
    task = st.selectbox(
        _("What should be learned?"), tasks.names(), key=choice.key, format_func=task_name, help=help_for("task")
    )
    explanation = _(tasks.label(task)).partition(": ")[2].rstrip(".")
    example = _("Example: {text}").format(text=_(tasks.get(task).example)) if tasks.get(task).example else ""
    st.caption(md(f"{explanation[:1].upper()}{explanation[1:]}. {example}", 400))
    state.to_url(choice, "" if task == guess else task)
    fields, options = reading.draw(path, task)
    data: dict[str, object] = {"train": path, **fields}
    with show_errors("columns_error"), contextlib.suppress(UncertainEncodingError):  # asked among the findings
        data["columns"] = _columns(_roles(task, options), uploads.columns_of(path, **_written(fields)))
    return _spec({"name": task, **options}, data)


def task_name(name: str) -> str:
    """Return what people call a task: ``Text classification``.

    Args:
        name: its name in a spec.
    """
    return _(tasks.label(name)).partition(": ")[0]


def preview_of(spec: RunSpec) -> Preview | None:
    """Return the first rows of a spec's file; None if it cannot be read, which the findings explain.

    Args:
        spec: with a file of the user.
    """
    with contextlib.suppress(WorkbenchError):
        return uploads.preview_of(spec.data.train, **_written(spec.data.model_dump(exclude_unset=True)))
    return None


def _written(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields of the data section that say how a file is written."""
    return {name: fields[name] for name in ("encoding", "delimiter", "sheet", "documents") if name in fields}


def _spec(task: Mapping[str, object], data: Mapping[str, object]) -> RunSpec:
    return RunSpec.parse({"task": task, "data": data, "model": AUTO}, "This data")


def _roles(name: str, options: Mapping[str, object]) -> list[Column]:
    """Return the roles of a task; those of its defaults while its options are invalid."""
    task = tasks.get(name)
    try:
        return list(task(task.Config.model_validate(options)).columns())
    except ValidationError:
        return list(task(task.Config()).columns())


def _columns(roles: Sequence[Column], names: Sequence[str]) -> dict[str, str]:
    """Return the column of each role; as the link says, until a field is changed."""
    keys = {role.role: f"data.columns.{role.role}" for role in roles}

    def read(text: str) -> dict[str, str] | None:
        document = state.mapping(text)
        if document is None:
            return None
        columns = {role: column for role, column in document.items() if role in keys and isinstance(column, str)}
        for role, column in columns.items():
            st.session_state[keys[role]] = column  # a column that the file lacks is ignored below
        return columns

    choice = state.Data.ROLES
    held = {role: st.session_state[key] for role, key in keys.items() if st.session_state.get(key)}
    if any(key in st.session_state for key in keys.values()):
        st.session_state[choice.key] = held
    state.from_url(choice, read)
    with st.container(horizontal=True, key="data_columns"):
        columns = uploads.draw_columns(roles, names, "data.columns")
    st.session_state[choice.key] = columns
    state.to_url(choice, json.dumps(columns, ensure_ascii=False) if columns else "")
    return columns


def use(spec: RunSpec, workspace: Workspace) -> None:
    """Open Launch with this data in the form, and with a model that knows its language.

    Args:
        spec: the spec from :func:`choose_use`.
        workspace: whose uploads.
    """
    task = make_task(spec)
    languages = data_languages(spec.data, task, workspace, confined=True)
    choice = choose_model(task, languages)
    launch_form.fill(spec.changed({"model": choice.source}) if isinstance(choice, AutoChoice) else spec)
    state.to_url(state.Launch.PRESET, "")
    state.to_url(state.Launch.FROM, "")
    st.switch_page(state.LAUNCH_PAGE)


def _show_upload(name: str, workspace: Workspace) -> None:
    upload = next((upload for upload in list_uploads(workspace) if upload.name == name), None)
    if upload is None:
        return
    st.subheader(md(name, 80), anchor=False)
    size = f"{upload.bytes / 1e6:.1f} MB" if upload.bytes >= 1e5 else f"{upload.bytes / 1e3:.1f} kB"
    st.caption(_("Your file, {size}. It stays in the workspace and is not sent anywhere.").format(size=size))
    with st.popover(_("Delete this file"), icon=":material/delete:", key="data_delete"):
        runs = active_runs_using(upload.path, workspace)
        if runs:
            st.warning(_("A queued or running run still needs this file: {run}.").format(run=md(runs[0])))
        st.markdown(_("This cannot be undone. Finished runs keep their results but cannot be repeated."))
        if st.button(_("Delete permanently"), key="data_delete_now", disabled=bool(runs)):
            _delete(name, workspace)


def _delete(name: str, workspace: Workspace) -> None:
    try:
        delete_upload(name, workspace)
    except WorkbenchError as error:
        st.error(md(f"{error.message} {error.hint}", 500))
        return
    state.to_url(state.Data.DATASET, "")
    st.rerun()
