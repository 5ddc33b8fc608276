"""The form that makes a spec: task first, then what fits it; eight basic fields, and all others folded away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from dashboard.parts.shared import run_list, spec_form, uploads
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import WORDS
from dashboard.parts.shared.text import cut, md
from dashboard.state import Launch
from workbench.check import fitting_models, fitting_tunings
from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.models.base import models
from workbench.registry import Registry
from workbench.spec import RANGE_TEST, DataSpec, Limit, RangeTestSpec, RunSpec, TrainingSpec
from workbench.tasks.base import Task, tasks
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

BASIC_TRAINING = ("epochs", "learning_rate", "batch_size")
KINDS = {"training": "Training", RANGE_TEST: "Learning-rate range test"}
FILLED = "launch_filled"  # the spec that was put into the form, until it is drawn
FIND = "launch_find"
DEFAULTS = {"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "tuning": "full"}


def fill(spec: RunSpec) -> None:
    """Set the form to a spec; what the form has no field for is told when it is drawn next."""
    st.session_state[FILLED] = spec
    document = spec.model_dump(mode="json", exclude_unset=True)
    model, _, argument = spec.model.source.partition(":")
    chosen = {"task": spec.task.name, "data": spec.data.train, "model": model, "tuning": spec.tuning.method}
    options = {part: getattr(spec, part).options for part in ("task", "model", "tuning")}
    rest = {name: document[name] for name in ("name", "notes", "kind", "training", "range_test") if name in document}
    data = {name: value for name, value in document.get("data", {}).items() if name != "train"}
    spec_form.fill(
        {**rest, **{f"{part}_options": value for part, value in options.items()}, "data_fields": data}, Launch.PREFIX
    )
    for part, value in chosen.items():
        st.session_state[f"{Launch.PREFIX}.{part}"] = value
    st.session_state[f"{Launch.PREFIX}.data_for"] = spec.task.name
    if argument:
        st.session_state[f"{Launch.PREFIX}.model_argument"] = argument


def draw() -> dict[str, Any]:
    """The whole form. Returns a document for ``RunSpec.parse`` that holds what differs from the defaults."""
    kind = choose_kind()
    left, right = st.columns(2)
    with left:
        task_name = choose("task", "Task", tasks, WORDS["task"])
        data: dict[str, Any] = {"train": choose_data(task_name)}
    asked = _configured(task_name)
    with right:
        model_name = choose("model", "Model", models, WORDS["model"], fitting_models(asked))
        source = _with_argument(model_name)
        tuning_name = choose("tuning", "Tuning", tunings, WORDS["tuning"], fitting_tunings(asked, model_name))
    limit, training, bounds = _basic_numbers(kind)
    find = _search()
    task, model, tuning = tasks.get(task_name), models.get(model_name), tunings.get(tuning_name)

    with st.expander("Your own data", icon=":material/upload_file:", key="launch_own_data"):
        uploads.draw_uploader(f"{Launch.PREFIX}.data")
    if data["train"] in uploads.stored(Workspace.current()):
        with show_errors("columns_error"):
            names = uploads.columns_of(data["train"])
            columns = uploads.draw_columns(_roles(task), names, f"{Launch.PREFIX}.data_fields.columns")
            data |= {"columns": columns} if columns else {}
        data |= _other_files()
    data |= _all_data_fields(limit, find)
    options = {}
    for part, entry, name in (("task", task, task_name), ("model", model, model_name), ("tuning", tuning, tuning_name)):
        options[part] = _options(part, entry, name, find)
    found = spec_form.count(TrainingSpec, find, BASIC_TRAINING)
    with _section("All training settings", ":material/tune:", "launch_training", find, found):
        training |= spec_form.draw(TrainingSpec, f"{Launch.PREFIX}.training", skip=BASIC_TRAINING, columns=2, find=find)
    with st.expander("Name and notes", icon=":material/edit_note:", key="launch_name"):
        named = spec_form.draw(RunSpec, Launch.PREFIX, only=("name", "notes"))
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
    key = f"{Launch.PREFIX}.kind"
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
            "train", Limit.model_fields["train"], f"{Launch.PREFIX}.data_fields.limit.train", "Training examples"
        )
    if kind == "training":
        with left:
            training = spec_form.draw(TrainingSpec, f"{Launch.PREFIX}.training", only=("learning_rate",))
        with right:
            training |= spec_form.draw(TrainingSpec, f"{Launch.PREFIX}.training", only=("epochs", "batch_size"))
        return limit, training, {}
    with left:
        training = spec_form.draw(TrainingSpec, f"{Launch.PREFIX}.training", only=("batch_size",))
        bounds = spec_form.draw(RangeTestSpec, f"{Launch.PREFIX}.range_test", only=("steps",))
    with right:
        bounds |= spec_form.draw(
            RangeTestSpec, f"{Launch.PREFIX}.range_test", only=("lowest", "highest"), group="learning rate"
        )
    return limit, training, {"kind": kind, **({"range_test": bounds} if bounds else {})}


def _search() -> str:
    """Words that settings are looked for by."""
    st.text_input(
        "Find a setting",
        key=FIND,
        max_chars=60,
        icon=":material/search:",
        placeholder="patience, padding, memory ...",
        help="Words of a setting's name or description. Only the settings that have them are shown below.",
    )
    return str(st.session_state.get(FIND) or "").strip()


def _section(title: str, icon: str, key: str, find: str, found: int) -> Any:
    """Where settings stand: folded away, or, while one looks for some, open and with how many were found."""
    if not find:
        return st.expander(title, icon=icon, key=key)
    place = st.container(key=f"{key}_found", border=bool(found))
    if found:
        place.caption(f"{title}: {found} found")
    return place


def _configured(task_name: str) -> Task:
    """The task with the options that stand in the form, or its defaults while they are wrong: its head may depend on
    them."""
    entry, prefix = tasks.get(task_name), f"{Launch.PREFIX}.task_options."
    given = {
        name: st.session_state[prefix + name]
        for name in entry.Config.model_fields
        if st.session_state.get(prefix + name) is not None
    }
    try:
        return entry(entry.Config.model_validate(given))
    except ValidationError:
        return entry(entry.Config())


def choose(part: str, label: str, registry: Registry[Any], help: str, fitting: list[str] | None = None) -> str:
    """One entry of a registry, shown with its label.

    Args:
        part: of the spec.
        label: of the field.
        registry: whose entries.
        help: the field's tooltip.
        fitting: those that can be chosen; all if left out. What a preset or a run brought stays: the check tells.
    """
    names = registry.names() if fitting is None else list(fitting)
    key = f"{Launch.PREFIX}.{part}"
    given, filled_for = st.session_state.get(key), st.session_state.get(f"{Launch.PREFIX}.data_for")
    if given in registry and given not in names and filled_for == st.session_state.get(f"{Launch.PREFIX}.task"):
        names.append(given)
    if st.session_state.get(key) not in names:
        st.session_state[key] = DEFAULTS[part] if DEFAULTS[part] in names else names[0]
    chosen = st.selectbox(label, names, key=key, help=help, persist_state="session")
    st.caption(md(registry.label(chosen)))
    left_out = [name for name in registry.names() if name not in names]
    if left_out:
        st.caption(f"Left out: {len(left_out)} that this task cannot use.", help=md(", ".join(left_out), 300))
    return chosen


def choose_data(task: str) -> str:
    """A data set of the catalogue that fits the task, or an uploaded file."""
    entries = {name: entry for name, entry in catalogue().datasets.items() if _fits(entry, task)}
    files = uploads.stored(Workspace.current())
    key = f"{Launch.PREFIX}.data"
    given = st.session_state.get(key)
    if given in catalogue().datasets and st.session_state.get(f"{Launch.PREFIX}.data_for") == task:
        entries[given] = catalogue().datasets[given]  # a spec may use a data set for a task that it was not made for
    options = [*entries, *files]
    if given and given not in options and st.session_state.get(f"{Launch.PREFIX}.data_for") == task:
        options.append(given)  # of a run that was not launched here; the check says whether it can be read
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
    key = f"{Launch.PREFIX}.model_argument"
    if model_name == "run":
        done = run_list.ids(run_list.trainings(run_list.newest_first()), "succeeded")
        if st.session_state.get(key) not in [None, *done]:
            st.session_state[key] = None
        argument = st.selectbox("Which run", done, index=None, format_func=run_list.title, key=key)
    else:
        argument = st.text_input(f"Which one ({cut(form, 60)})", key=key, max_chars=300, persist_state="session")
    return f"{model_name}:{argument or ''}"


def _options(part: str, entry: Any, name: str, find: str) -> dict[str, Any]:
    if not entry.Config.model_fields:
        return {}
    title, found = f"Options of the {part} {name}", spec_form.count(entry.Config, find)
    with _section(title, ":material/settings:", f"launch_{part}_options", find, found):
        return spec_form.draw(entry.Config, f"{Launch.PREFIX}.{part}_options", columns=2, find=find)


def _other_files() -> dict[str, str]:
    """Files of one's own for validation and test, where there are such; without them a part is held out."""
    given, files = {}, uploads.stored(Workspace.current())
    for part, label in (("valid", "Validation file"), ("test", "Test file")):
        key = f"{Launch.PREFIX}.data_fields.{part}"
        now = st.session_state.get(key)
        options = [None, *files] if now is None or now in files else [None, *files, now]
        chosen = st.selectbox(
            label,
            options,
            format_func=lambda file: "held out of the training data" if file is None else Path(file).name,
            key=key,
            help=md(DataSpec.model_fields[part].description or ""),
            persist_state="session",
        )
        if chosen:
            given[part] = chosen
    return given


def _all_data_fields(limit: int | None, find: str) -> dict[str, Any]:
    elsewhere = ("train", "valid", "test", "columns", "limit")
    found = spec_form.count(DataSpec, find, elsewhere) + spec_form.count(Limit, find, ("train",), "limit")
    with _section("All data settings", ":material/table:", "launch_data", find, found):
        prefix = f"{Launch.PREFIX}.data_fields"
        given = spec_form.draw(DataSpec, prefix, skip=elsewhere, columns=2, find=find)
        rest = spec_form.draw(Limit, f"{prefix}.limit", only=("valid", "test"), columns=2, group="limit", find=find)
        limits = rest | ({"train": limit} if limit is not None else {})
    return given | ({"limit": limits} if limits else {})


def _roles(task: Any) -> list[Any]:
    return list(task(task.Config()).columns())
