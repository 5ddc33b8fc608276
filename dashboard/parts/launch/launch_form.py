"""The form that makes a spec: the task first, then what fits it; eight basic fields, and all others folded away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import BaseModel, ValidationError
from streamlit.delta_generator import DeltaGenerator

from dashboard.parts.launch import model_cards
from dashboard.parts.shared import run_list, spec_form
from dashboard.parts.shared.data import offers, uploads
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.text import cut, md
from dashboard.state import Launch
from workbench.check import AUTO, fitting_models, fitting_tunings
from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.data.columns import Column
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.i18n import N_, _, ngettext
from workbench.models.base import models
from workbench.registry import Registry
from workbench.spec import RANGE_TEST, DataSpec, Limit, RangeTestSpec, RunSpec, TrainingSpec
from workbench.tasks.base import Task, tasks
from workbench.tuning.base import tunings
from workbench.types import JsonObject
from workbench.workspace import Workspace

BASIC_TRAINING = ("epochs", "learning_rate", "batch_size")
KINDS = {"training": N_("Training"), RANGE_TEST: N_("Learning-rate range test")}
FILLED = "launch_filled"  # session key: the spec that was put into the form, until the form is drawn
SEARCH = "launch_find"
UPLOADED = "launch_uploaded"  # session key: the path of a file that was just stored
COLUMNS_FOR = f"{Launch.PREFIX}.columns_for"  # session key: the task and the data that the columns belong to
MAPPINGS = {"columns", "labels"}  # fields of the data whose value is a mapping
QUICK_LOOK = "head"  # the fine-tuning method
DEFAULTS = {"task": "text-classification", "data": "rotten-tomatoes", "model": "minilm", "tuning": "full"}
_AUTO_LABEL = N_(
    "A pretrained model for the language of the texts: minilm if they are English, else a multilingual one"
)
OPTION_TITLES = {
    "task": N_("Options of the task {name}"),
    "model": N_("Options of the model {name}"),
    "tuning": N_("Options of the fine-tuning method {name}"),
}


def fill(spec: RunSpec) -> None:
    """Set the form to a spec. What the form has no field for is reported when it is drawn next.

    Args:
        spec: spec of a preset or a run, or from YAML.
    """
    st.session_state[FILLED] = spec
    document = spec.model_dump(mode="json", exclude_unset=True)
    model, _colon, argument = spec.model.source.partition(":")
    chosen = {"task": spec.task.name, "data": spec.data.train, "model": model, "tuning": spec.tuning.method}
    options = {f"{section}_options": getattr(spec, section).options for section in ("task", "model", "tuning")}
    rest: dict[str, object] = {
        name: document[name] for name in ("name", "notes", "kind", "training", "range_test") if name in document
    }
    data = {name: value for name, value in document.get("data", {}).items() if name != "train"}
    spec_form.fill({**rest, **options, "data_fields": data}, Launch.PREFIX)
    for section, value in chosen.items():
        st.session_state[f"{Launch.PREFIX}.{section}"] = value
    for name in MAPPINGS & data.keys():  # their keys are names of the data, not fields
        st.session_state[f"{Launch.PREFIX}.data_fields.{name}"] = data[name]
    st.session_state[f"{Launch.PREFIX}.data_for"] = spec.task.name
    st.session_state[COLUMNS_FOR] = (spec.task.name, spec.data.train)
    if argument:
        st.session_state[f"{Launch.PREFIX}.model_argument"] = argument


def draw() -> JsonObject:
    """Draw the whole form; return a document for ``RunSpec.parse`` with what differs from the defaults."""
    if (uploaded := st.session_state.pop(UPLOADED, None)) is not None:
        st.session_state[f"{Launch.PREFIX}.data"] = uploaded
    kind = choose_kind()
    left, right = st.columns(2)
    with left:
        task_name = choose("task", _("Task"), tasks, help_for("task"))
        data: spec_form.Values = {"train": choose_data(task_name)}
        _forget_other_data(task_name, str(data["train"]))
    configured = _configured(task_name)
    with right:
        fitting = fitting_models(configured)
        pretrained = [name for name in fitting if name in catalogue().models]
        more = {AUTO: _(_AUTO_LABEL)} if pretrained else {}
        source = choose("model", _("Model"), models, help_for("model"), fitting, more)
        model_name = pretrained[0] if source == AUTO else source  # its options are those of every pretrained model
        source = source if source == AUTO else _with_argument(model_name)
        fitting = fitting_tunings(configured, model_name)
        tuning_name = choose("tuning", _("Fine-tuning method"), tunings, help_for("tuning"), fitting)
        is_solved = type(configured).head_targets is not Task.head_targets and not models.get(model_name).from_scratch
        if is_solved and QUICK_LOOK in fitting and tuning_name != QUICK_LOOK:
            _offer_quick_look()
    limit, training, bounds = _basic_numbers(kind)
    query = _search()
    task, model, tuning = tasks.get(task_name), models.get(model_name), tunings.get(tuning_name)

    with st.expander(_("Your own data"), icon=":material/upload_file:", key="launch_own_data"):
        uploads.draw_uploader(UPLOADED)
    if UPLOADED in st.session_state:
        st.rerun()  # with the file chosen
    is_upload = data["train"] in uploads.stored(Workspace.current())
    if is_upload:
        with show_errors("columns_error"):
            data |= _reading_of_upload(str(data["train"]), configured)
        data |= _other_files()
    data |= _all_data_fields(limit, query, ("columns", "sheet") if is_upload else ())
    options = {
        "task": _options("task", task.Config, task_name, query),
        "model": _options("model", model.Config, model_name, query),
        "tuning": _options("tuning", tuning.Config, tuning_name, query),
    }
    matches = spec_form.count(TrainingSpec, query, BASIC_TRAINING)
    with _section(_("All training settings"), ":material/tune:", "launch_training", query, matches):
        prefix = f"{Launch.PREFIX}.training"
        training |= spec_form.draw(TrainingSpec, prefix, skip=BASIC_TRAINING, columns=2, query=query)
    with st.expander(_("Name and notes"), icon=":material/edit_note:", key="launch_name"):
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


def _offer_quick_look() -> None:
    """Draw a button that sets the fine-tuning method to the one that takes seconds."""

    def choose_head() -> None:
        st.session_state[f"{Launch.PREFIX}.tuning"] = QUICK_LOOK

    text = _("Quick look: solve the head only, in seconds")
    why = _(
        "The pretrained model computes the features of each text once, and a linear model of them is solved exactly."
    )
    st.button(text, icon=":material/bolt:", type="tertiary", help=why, on_click=choose_head, key="launch_quick_look")


def choose_kind() -> str:
    """Draw the choice between training and a test that looks for a learning rate."""
    key = f"{Launch.PREFIX}.kind"
    if st.session_state.get(key) not in KINDS:
        st.session_state[key] = "training"
    kind = st.segmented_control(
        _("Kind of run"),
        list(KINDS),
        format_func=lambda kind: _(KINDS[kind]),
        key=key,
        help=md(_(RunSpec.model_fields["kind"].description or ""), 600),
        required=True,
        persist_state="session",
    )
    return str(kind)


def _basic_numbers(kind: str) -> tuple[object, spec_form.Values, spec_form.Values]:
    """Draw the number of training examples, the most important training settings, and the kind of run."""
    prefix, test_prefix = f"{Launch.PREFIX}.training", f"{Launch.PREFIX}.range_test"
    left, right = st.columns(2)
    with left:
        key = f"{Launch.PREFIX}.data_fields.limit.train"
        limit = spec_form.draw_field("train", Limit.model_fields["train"], key, _("Training examples"))
    if kind == "training":
        with left:
            training = spec_form.draw(TrainingSpec, prefix, only=("learning_rate",))
        with right:
            training |= spec_form.draw(TrainingSpec, prefix, only=("epochs", "batch_size"))
        return limit, training, {}
    with left:
        training = spec_form.draw(TrainingSpec, prefix, only=("batch_size",))
        bounds = spec_form.draw(RangeTestSpec, test_prefix, only=("steps",))
    with right:
        bounds |= spec_form.draw(RangeTestSpec, test_prefix, only=("lowest", "highest"), group="learning rate")
    return limit, training, {"kind": kind, **({"range_test": bounds} if bounds else {})}


def _search() -> str:
    """Return the words by which settings are searched."""
    st.text_input(
        _("Find a setting"),
        key=SEARCH,
        max_chars=60,
        icon=":material/search:",
        placeholder=_("patience, padding, memory ..."),
        help=_("Words of a setting's name or description. Only matching settings are shown below."),
    )
    return str(st.session_state.get(SEARCH) or "").strip()


def _section(title: str, icon: str, key: str, query: str, matches: int) -> DeltaGenerator:
    """Where settings are drawn: folded away, or, during a search, open and with the number of matches."""
    if not query:
        return st.expander(title, icon=icon, key=key)
    container = st.container(key=f"{key}_found", border=bool(matches))
    if matches:
        text = ngettext("{title}: {n} match", "{title}: {n} matches", matches)
        container.caption(text.format(title=title, n=matches))
    return container


def _configured(task_name: str) -> Task:
    """Return the task with the options in the form, or with its defaults while they are invalid."""
    entry, prefix = tasks.get(task_name), f"{Launch.PREFIX}.task_options."
    values = {
        name: st.session_state[prefix + name]
        for name in entry.Config.model_fields
        if st.session_state.get(prefix + name) is not None
    }
    try:
        return entry(entry.Config.model_validate(values))
    except ValidationError:
        return entry(entry.Config())


def choose(
    section: str,
    label: str,
    registry: Registry[Any],
    help: str,
    fitting: Sequence[str] | None = None,
    more: Mapping[str, str] | None = None,
) -> str:
    """Draw the choice of an entry of a registry, with its description.

    Args:
        section: section of the spec: ``task``, ``model`` or ``tuning``.
        label: label of the field, translated.
        registry: whose entries.
        help: the field's tooltip, translated.
        fitting: the allowed entries; all if left out. An entry of a preset or a run stays: the check reports it.
        more: choices that are no entries, with their descriptions, translated.
    """
    more = more or {}
    names = [*(registry.names() if fitting is None else fitting), *more]
    key = f"{Launch.PREFIX}.{section}"
    value, filled_for = st.session_state.get(key), st.session_state.get(f"{Launch.PREFIX}.data_for")
    if value in registry and value not in names and filled_for == st.session_state.get(f"{Launch.PREFIX}.task"):
        names.append(str(value))
    if st.session_state.get(key) not in names:
        st.session_state[key] = DEFAULTS[section] if DEFAULTS[section] in names else names[0]
    chosen = st.selectbox(label, names, key=key, help=help, persist_state="session")
    st.caption(md(more[chosen] if chosen in more else _description(section, chosen, registry), 400))
    hidden = [name for name in registry.names() if name not in names]
    if hidden:
        text = ngettext("{n} option hidden: it does not fit.", "{n} options hidden: they do not fit.", len(hidden))
        st.caption(text.format(n=len(hidden)), help=md(", ".join(hidden), 300))
    return chosen


def _description(section: str, name: str, registry: Registry[Any]) -> str:
    """Return what an entry is; of a model of the catalogue also its language, licence and size."""
    if section == "model" and name in catalogue().models:
        return model_cards.describe(catalogue().models[name])
    example = tasks.get(name).example if section == "task" else ""
    label = _(registry.label(name))
    return f"{label} {_('Example: {text}').format(text=_(example))}" if example else label


def choose_data(task: str) -> str:
    """Draw the choice of a data set that fits the task, or an uploaded file.

    Args:
        task: its name.
    """
    entries = {name: entry for name, entry in catalogue().datasets.items() if _fits(entry, task)}
    files = uploads.stored(Workspace.current())
    key = f"{Launch.PREFIX}.data"
    value: str | None = st.session_state.get(key)
    is_filled = st.session_state.get(f"{Launch.PREFIX}.data_for") == task
    if value in catalogue().datasets and is_filled:
        entries[value] = catalogue().datasets[value]  # a spec may use a data set for a task it was not made for
    options = [*entries, *files]
    if value and value not in options and is_filled:
        options.append(value)  # of a run that was not launched here; the check says whether it can be read
    if st.session_state.get(key) not in options:
        st.session_state[key] = DEFAULTS["data"] if DEFAULTS["data"] in entries else (options or [""])[0]

    chosen = st.selectbox(
        _("Data"),
        options,
        format_func=lambda value: value if value in entries else Path(value).name,
        key=key,
        help=_("A data set of the catalogue, downloaded when it is first needed, or your own file (below)."),
        persist_state="session",
    )
    if not chosen:
        st.caption(_("The catalogue has no data set for this task. Upload a file below, or choose a preset."))
        return ""
    if chosen in entries:
        st.caption(md(f"{_(entries[chosen].label)}. {entries[chosen].size}."))
    else:
        st.caption(_("Your file."))
    return str(chosen)


def _fits(entry: DatasetEntry, task: str) -> bool:
    """Whether a task can learn from a data set: it is made for it, or the task needs only its texts."""
    required = [column for column in _roles(tasks.get(task)) if column.required]
    only_texts = all(column.kind == "text" and column.role in entry.columns for column in required)
    return entry.task == task or only_texts


def _with_argument(model_name: str) -> str:
    """Return the model's source; ``hf`` and the like need an argument: ``hf:REPOSITORY@REVISION``."""
    form = getattr(models.get(model_name), "argument_form", "")
    if not form:
        return model_name
    key = f"{Launch.PREFIX}.model_argument"
    if model_name == "run":
        finished = run_list.ids(run_list.training_runs(run_list.newest_first()), "succeeded")
        if st.session_state.get(key) not in [None, *finished]:
            st.session_state[key] = None
        argument = st.selectbox(_("Run of the model"), finished, index=None, format_func=run_list.title, key=key)
    else:
        label = _("Name of the model ({form})").format(form=cut(form, 60))
        argument = st.text_input(label, key=key, max_chars=300, persist_state="session")
    return f"{model_name}:{argument or ''}"


def _options(section: str, config: type[BaseModel], name: str, query: str) -> spec_form.Values:
    if not config.model_fields:
        return {}
    title, matches = _(OPTION_TITLES[section]).format(name=name), spec_form.count(config, query)
    with _section(title, ":material/settings:", f"launch_{section}_options", query, matches):
        return spec_form.draw(config, f"{Launch.PREFIX}.{section}_options", columns=2, query=query)


def _other_files() -> dict[str, object]:
    """Return the user's own files for validation and test; without them, examples are held out."""
    values: dict[str, object] = {}
    files = uploads.stored(Workspace.current())
    for split, label in (("valid", _("Validation file")), ("test", _("Test file"))):
        key = f"{Launch.PREFIX}.data_fields.{split}"
        value = st.session_state.get(key)
        options = [None, *files] if value is None or value in files else [None, *files, value]
        chosen = st.selectbox(
            label,
            options,
            format_func=lambda file: _("held out from the training data") if file is None else Path(file).name,
            key=key,
            help=md(_(DataSpec.model_fields[split].description or "")),
            persist_state="session",
        )
        if chosen:
            values[split] = chosen
    return values


def _reading_of_upload(path: str, task: Task) -> spec_form.Values:
    """Draw the sheet of an upload and the column of each role; return both as fields of the data section."""
    prefix = f"{Launch.PREFIX}.data_fields"
    sheet = uploads.draw_sheet(path, f"{prefix}.sheet")
    values: spec_form.Values = {"sheet": sheet} if sheet else {}
    written = {name: st.session_state.get(f"{prefix}.{name}") or None for name in ("encoding", "delimiter")}
    try:
        names = uploads.columns_of(path, **values, **written)
    except UncertainEncodingError:
        return values  # the page asks which one it is
    columns = uploads.draw_columns(list(task.columns()), names, f"{prefix}.columns")
    return values | ({"columns": columns} if columns else {})


def accept(changes: Mapping[str, object]) -> None:
    """Put fields of the data section into the form: what an offer proposes.

    Args:
        changes: by the name of the field.
    """
    prefix = f"{Launch.PREFIX}.data_fields"
    offers.fill(changes, prefix, f"{prefix}.columns")


def use_model(source: str) -> None:
    """Choose a model in the form.

    Args:
        source: its name.
    """
    st.session_state[f"{Launch.PREFIX}.model"] = source


def _forget_other_data(task_name: str, train: str) -> None:
    """Empty the field of the columns when the task or the data has changed, and how other data was read."""
    prefix, before = f"{Launch.PREFIX}.data_fields", st.session_state.get(COLUMNS_FOR)
    if before == (task_name, train):
        return
    st.session_state.pop(f"{prefix}.columns", None)
    if before is not None and before[1] != train:
        for name in ("encoding", "delimiter", "sheet", "on_bad_rows", "labels", "duplicates"):
            st.session_state.pop(f"{prefix}.{name}", None)
    st.session_state[COLUMNS_FOR] = (task_name, train)


def _all_data_fields(limit: object, query: str, drawn: Sequence[str]) -> spec_form.Values:
    """Draw the settings of the data that are not ``drawn`` elsewhere already."""
    elsewhere = ("train", "valid", "test", "limit", *drawn)
    matches = spec_form.count(DataSpec, query, elsewhere) + spec_form.count(Limit, query, ("train",), "limit")
    with _section(_("All data settings"), ":material/table:", "launch_data", query, matches):
        prefix = f"{Launch.PREFIX}.data_fields"
        values = spec_form.draw(DataSpec, prefix, skip=elsewhere, columns=2, query=query)
        limits = spec_form.draw(Limit, f"{prefix}.limit", only=("valid", "test"), columns=2, group="limit", query=query)
        limits |= {"train": limit} if limit is not None else {}
    return values | ({"limit": limits} if limits else {})


def _roles(task: type[Task]) -> list[Column]:
    return list(task(task.Config()).columns())
