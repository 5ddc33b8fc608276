"""The form that makes a spec: task first, then what fits it; eight basic fields, and all others folded away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.parts import run_list, spec_form, uploads
from dashboard.parts.errors import shown
from dashboard.parts.glossary import WORDS
from dashboard.parts.text import cut, md
from dashboard.state import LAUNCH
from workbench.data.catalogue import DatasetEntry, catalogue
from workbench.models.base import models
from workbench.registry import Registry
from workbench.spec import RANGE_TEST, DataSpec, Limit, RangeTestSpec, RunSpec, TrainingSpec
from workbench.tasks.base import tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

BASIC_TRAINING = ("epochs", "learning_rate", "batch_size")
KINDS = {"training": "Training", RANGE_TEST: "Learning-rate range test"}
DEFAULTS = {"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "tuning": "full"}


def fill(spec: RunSpec) -> None:
    """Set the form to a spec."""
    document = spec.model_dump(mode="json", exclude_unset=True)
    model, _, argument = spec.model.source.partition(":")
    chosen = {"task": spec.task.name, "data": spec.data.train, "model": model, "tuning": spec.tuning.method}
    options = {part: getattr(spec, part).options for part in ("task", "model", "tuning")}
    rest = {name: document[name] for name in ("name", "notes", "kind", "training", "range_test") if name in document}
    data = {name: value for name, value in document.get("data", {}).items() if name != "train"}
    spec_form.fill(
        {**rest, **{f"{part}_options": value for part, value in options.items()}, "data_fields": data}, LAUNCH
    )
    for part, value in chosen.items():
        st.session_state[f"{LAUNCH}.{part}"] = value
    st.session_state[f"{LAUNCH}.data_for"] = spec.task.name
    if argument:
        st.session_state[f"{LAUNCH}.model_argument"] = argument


def draw() -> dict[str, Any]:
    """The whole form. Returns a document for ``RunSpec.parse`` that holds what differs from the defaults."""
    kind = choose_kind()
    left, right = st.columns(2)
    with left:
        task_name = choose("task", "Task", tasks, WORDS["task"])
        data: dict[str, Any] = {"train": choose_data(task_name)}
    with right:
        model_name = choose("model", "Model", models, WORDS["model"])
        source = _with_argument(model_name)
        tuning_name = choose("tuning", "Tuning", tunings, WORDS["tuning"])
    limit, training, bounds = _basic_numbers(kind)
    task, model, tuning = tasks.get(task_name), models.get(model_name), tunings.get(tuning_name)

    with st.expander("Your own data", icon=":material/upload_file:", key="launch_own_data"):
        uploads.draw_uploader(f"{LAUNCH}.data")
    if Path(data["train"]).is_absolute():
        with shown("columns_error"):
            names = uploads.columns_of(data["train"])
            columns = uploads.draw_columns(_roles(task), names, f"{LAUNCH}.data_fields.columns")
            data |= {"columns": columns} if columns else {}
    data |= _all_data_fields(limit)
    options = {}
    for part, entry, name in (("task", task, task_name), ("model", model, model_name), ("tuning", tuning, tuning_name)):
        options[part] = _options(part, entry, name)
    with st.expander("All training settings", icon=":material/tune:", key="launch_training"):
        training |= spec_form.draw(TrainingSpec, f"{LAUNCH}.training", skip=BASIC_TRAINING, columns=2)
    with st.expander("Name and notes", icon=":material/edit_note:", key="launch_name"):
        named = spec_form.draw(RunSpec, LAUNCH, only=("name", "notes"))
    return {
        **named,
        "task": {"name": task_name, **options["task"]},
        "data": data,
        "model": {"source": source, **options["model"]},
        "tuning": {"method": tuning_name, **options["tuning"]},
        **({"training": training} if training else {}),
        **bounds,
    }


def choose_kind() -> str:
    """A training, or a test that looks for a learning rate."""
    key = f"{LAUNCH}.kind"
    if st.session_state.get(key) not in KINDS:
        st.session_state[key] = "training"
    chosen = st.segmented_control(
        "Kind of run",
        list(KINDS),
        format_func=lambda kind: KINDS[kind],
        key=key,
        help=md(RunSpec.model_fields["kind"].description or "", 600),
        required=True,
        persist_state="session",
    )
    return str(chosen)


def _basic_numbers(kind: str) -> tuple[int | None, dict[str, Any], dict[str, Any]]:
    """How much data, the few training settings that matter most, and the kind of run with its bounds."""
    left, right = st.columns(2)
    with left:
        limit = spec_form.draw_field(
            "train", Limit.model_fields["train"], f"{LAUNCH}.data_fields.limit.train", "Training examples"
        )
    if kind == "training":
        with left:
            training = spec_form.draw(TrainingSpec, f"{LAUNCH}.training", only=("learning_rate",))
        with right:
            training |= spec_form.draw(TrainingSpec, f"{LAUNCH}.training", only=("epochs", "batch_size"))
        return limit, training, {}
    with left:
        training = spec_form.draw(TrainingSpec, f"{LAUNCH}.training", only=("batch_size",))
        bounds = spec_form.draw(RangeTestSpec, f"{LAUNCH}.range_test", only=("steps",))
    with right:
        bounds |= spec_form.draw(
            RangeTestSpec, f"{LAUNCH}.range_test", only=("lowest", "highest"), group="learning rate"
        )
    return limit, training, {"kind": kind, **({"range_test": bounds} if bounds else {})}


def choose(part: str, label: str, registry: Registry[Any], help: str) -> str:
    """One entry of a registry, shown with its label."""
    names = registry.names()
    key = f"{LAUNCH}.{part}"
    if st.session_state.get(key) not in names:
        st.session_state[key] = DEFAULTS[part] if DEFAULTS[part] in names else names[0]
    chosen = st.selectbox(label, names, key=key, help=help, persist_state="session")
    st.caption(md(registry.label(chosen)))
    return chosen


def choose_data(task: str) -> str:
    """A data set of the catalogue that fits the task, or an uploaded file."""
    entries = {name: entry for name, entry in catalogue().datasets.items() if _fits(entry, task)}
    files = uploads.stored(Workspace.current())
    key = f"{LAUNCH}.data"
    given = st.session_state.get(key)
    if given in catalogue().datasets and st.session_state.get(f"{LAUNCH}.data_for") == task:
        entries[given] = catalogue().datasets[given]  # a spec may use a data set for a task that it was not made for
    options = [*entries, *files]
    if st.session_state.get(key) not in options:
        st.session_state[key] = DEFAULTS["data"] if DEFAULTS["data"] in entries else (options or [""])[0]

    chosen = st.selectbox(
        "Data",
        options,
        format_func=lambda value: value if value in entries else Path(value).name,
        key=key,
        help="A data set of the catalogue, fetched when it is first needed, or a file of yours (below).",
        persist_state="session",
    )
    if not chosen:
        st.caption("No data set of the catalogue is made for this task. Upload a file below, or take a preset.")
        return ""
    st.caption(md(f"{entries[chosen].label}. {entries[chosen].size}." if chosen in entries else "Your file."))
    return str(chosen)


def _fits(entry: DatasetEntry, task: str) -> bool:
    """Whether a task can learn from a data set: it is made for it, or the task needs nothing but its texts."""
    needed = [column for column in _roles(tasks.get(task)) if column.required]
    only_texts = all(column.kind == "text" and column.role in entry.columns for column in needed)
    return entry.task == task or only_texts


def _with_argument(model_name: str) -> str:
    """``hf`` and the like need to be told which: ``hf:REPOSITORY@REVISION``."""
    form = getattr(models.get(model_name), "argument_form", "")
    if not form:
        return model_name
    key = f"{LAUNCH}.model_argument"
    if model_name == "run":
        done = run_list.ids(run_list.trainings(run_list.newest_first()), "succeeded")
        if st.session_state.get(key) not in [None, *done]:
            st.session_state[key] = None
        argument = st.selectbox("Which run", done, index=None, format_func=run_list.title, key=key)
    else:
        argument = st.text_input(f"Which one ({cut(form, 60)})", key=key, max_chars=300, persist_state="session")
    return f"{model_name}:{argument or ''}"


def _options(part: str, entry: Any, name: str) -> dict[str, Any]:
    if not entry.Config.model_fields:
        return {}
    with st.expander(f"Options of the {part} {name}", icon=":material/settings:", key=f"launch_{part}_options"):
        return spec_form.draw(entry.Config, f"{LAUNCH}.{part}_options", columns=2)


def _all_data_fields(limit: int | None) -> dict[str, Any]:
    with st.expander("All data settings", icon=":material/table:", key="launch_data"):
        prefix = f"{LAUNCH}.data_fields"
        given = spec_form.draw(DataSpec, prefix, skip=("train", "valid", "test", "columns", "limit"), columns=2)
        rest = spec_form.draw(Limit, f"{prefix}.limit", only=("valid", "test"), columns=2, group="limit")
        limits = rest | ({"train": limit} if limit is not None else {})
    return given | ({"limit": limits} if limits else {})


def _roles(task: Any) -> list[Any]:
    return list(task(task.Config()).columns())
