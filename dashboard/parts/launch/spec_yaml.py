"""The form as YAML, both ways: the form's content is shown, and edited text goes into the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
import yaml
from pydantic import BaseModel

from dashboard.parts.launch import launch_form
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.text import md
from workbench.errors import SpecError
from workbench.formatting import flatten
from workbench.i18n import _
from workbench.spec import RunSpec

TEXT = "launch_yaml_text"
_SHOWN = "launch_yaml_shown"  # the form's content when the text was last made from it
_ERROR = "launch_yaml_error"
_LOST = "launch_lost"
MAX_LENGTH = 50_000  # characters


def draw(document: Mapping[str, object]) -> None:
    """Draw the text, which follows the form until it is edited and then waits for Apply or Discard.

    Args:
        document: what the form holds.
    """
    current = _yaml(document)
    if st.session_state.get(TEXT) in (None, st.session_state.get(_SHOWN)):
        st.session_state[TEXT] = st.session_state[_SHOWN] = current
    with st.expander(_("Edit as YAML"), icon=":material/edit_document:", key="launch_edit_yaml"):
        st.text_area(
            _("Spec"),
            key=TEXT,
            height=320,
            max_chars=MAX_LENGTH,
            help=_("Paste a spec or edit this one, then apply it. Anything left out has its default."),
            persist_state="session",
        )
        edited = st.session_state[TEXT] != st.session_state[_SHOWN]
        with st.container(horizontal=True, key="launch_yaml_actions"):
            st.button(_("Apply to the form"), key="launch_yaml_apply", on_click=_apply, disabled=not edited)
            st.button(_("Discard"), key="launch_yaml_discard", on_click=_discard, disabled=not edited, type="tertiary")
        if _ERROR in st.session_state:
            show_error(st.session_state[_ERROR], "launch_yaml_wrong")


def show_command(document: Mapping[str, object], seeds: Sequence[int]) -> None:
    """Show how to do the same in a terminal.

    Args:
        document: what the form holds.
        seeds: one or more.
    """
    with st.expander(_("The same on the command line"), icon=":material/terminal:", key="launch_yaml"):
        name, lines = "run.yaml", "workbench estimate run.yaml\nworkbench run run.yaml"
        if len(seeds) > 1:
            document = {"spec": document, "seeds": list(seeds)}
            name, lines = "seeds.yaml", "workbench sweep seeds.yaml"
        st.code(_yaml(document), language="yaml")
        st.markdown(_("Save this as `{name}`, then run:").format(name=name))
        st.code(lines, language="bash")


def warn_about_lost_settings(document: Mapping[str, object]) -> None:
    """Warn once a spec was put into the form about the settings that the form cannot hold.

    Args:
        document: what the form holds.
    """
    filled = st.session_state.pop(launch_form.FILLED, None)
    if filled is not None:
        st.session_state[_LOST] = lost(filled, document)
    if st.session_state.get(_LOST):
        names = ", ".join(md(name, 60) for name in st.session_state[_LOST][:8])
        st.warning(
            _(
                "The form cannot hold these settings of its source, so a run started here will not have them: "
                "{names}. Use the command line for them."
            ).format(names=names),
            icon=":material/warning:",
        )


def lost(filled: RunSpec, document: Mapping[str, object]) -> list[str]:
    """Return the dotted paths of what a spec sets and the form holds differently.

    Args:
        filled: the spec that was put into the form.
        document: what the form holds.
    """
    try:
        now = RunSpec.parse(dict(document)).model_dump(mode="json")
    except SpecError:
        return []  # it cannot be started, and the check says why
    wanted = flatten(filled.model_dump(mode="json", exclude={"name", "notes", "schema_version"}))
    held = flatten(now)
    explicit = flatten(filled.model_dump(mode="json", exclude_unset=True))
    defaults = _option_defaults(filled)
    return [path for path in explicit if path in wanted and held.get(path, defaults.get(path)) != wanted[path]]


def _option_defaults(spec: RunSpec) -> dict[str, object]:
    """Return the defaults of the options of a spec's task, model and fine-tuning method: the form leaves these out."""
    from workbench.models.base import models
    from workbench.tasks.base import tasks
    from workbench.tuning.base import tunings

    source, method = spec.model.source.partition(":")[0], spec.tuning.method
    configs: dict[str, BaseModel] = {}
    if spec.task.name in tasks:
        configs["task"] = tasks.get(spec.task.name).Config()
    if source in models:
        configs["model"] = models.get(source).Config()
    if method in tunings:
        configs["tuning"] = tunings.get(method).Config()
    return flatten({section: config.model_dump(mode="json") for section, config in configs.items()})


def _yaml(document: Mapping[str, object]) -> str:
    text: str = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
    return text


def _apply() -> None:
    st.session_state.pop(_ERROR, None)
    try:
        spec = RunSpec.from_yaml(st.session_state[TEXT] or "", "The text")
    except SpecError as error:
        st.session_state[_ERROR] = error.as_dict()
        return
    launch_form.fill(spec)
    _discard()


def _discard() -> None:
    st.session_state.pop(_ERROR, None)
    st.session_state[TEXT] = None
