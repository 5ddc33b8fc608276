"""The form as YAML, both ways: what the form says is shown, and what is written there goes into the form."""

from __future__ import annotations

from typing import Any

import streamlit as st
import yaml

from dashboard.parts.launch import launch_form
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.text import md
from workbench.errors import SpecError
from workbench.formatting import flatten
from workbench.spec import RunSpec

TEXT = "launch_yaml_text"
_SHOWN = "launch_yaml_shown"  # what the form said when the text was last made from it
_ERROR = "launch_yaml_error"
LONGEST = 50_000  # characters


def draw(document: dict[str, Any]) -> None:
    """The text, which follows the form until somebody edits it, and then waits for Apply or Discard."""
    now = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    if st.session_state.get(TEXT) in (None, st.session_state.get(_SHOWN)):
        st.session_state[TEXT] = st.session_state[_SHOWN] = now
    with st.expander("Edit as YAML", icon=":material/edit_document:", key="launch_edit_yaml"):
        st.text_area(
            "The spec",
            key=TEXT,
            height=320,
            max_chars=LONGEST,
            help="Paste a spec or change this one, then apply it. What is left out has its default.",
            persist_state="session",
        )
        edited = st.session_state[TEXT] != st.session_state[_SHOWN]
        with st.container(horizontal=True, key="launch_yaml_actions"):
            st.button("Apply to the form", key="launch_yaml_apply", on_click=_apply, disabled=not edited)
            st.button("Discard", key="launch_yaml_discard", on_click=_discard, disabled=not edited, type="tertiary")
        if _ERROR in st.session_state:
            show_error(st.session_state[_ERROR], "launch_yaml_wrong")


def show_command(document: dict[str, Any], seeds: list[int]) -> None:
    """What to type to do the same without the page."""
    with st.expander("The same on the command line", icon=":material/terminal:", key="launch_yaml"):
        if len(seeds) > 1:
            document = {"spec": document, "seeds": seeds}
        st.code(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), language="yaml")
        name, lines = "run.yaml", "workbench estimate run.yaml\nworkbench run run.yaml"
        if len(seeds) > 1:
            name, lines = "seeds.yaml", "workbench sweep seeds.yaml"
        st.markdown(f"Save this as `{name}`, then:")
        st.code(lines, language="bash")


def tell_what_is_lost(document: dict[str, Any]) -> None:
    """After a spec was put into the form: the settings of it that the form does not say again."""
    filled = st.session_state.pop(launch_form.FILLED, None)
    if filled is not None:
        st.session_state["launch_lost"] = lost(filled, document)
    if st.session_state.get("launch_lost"):
        names = ", ".join(md(name, 60) for name in st.session_state["launch_lost"][:8])
        st.warning(
            f"This form cannot hold these settings of what it was filled from, and a run started here will not have "
            f"them: {names}. Use the command line for them.",
            icon=":material/warning:",
        )


def lost(filled: RunSpec, document: dict[str, Any]) -> list[str]:
    """Dotted paths of what ``filled`` sets and ``document``, as the form gives it, has otherwise."""
    try:
        now = RunSpec.parse(document).model_dump(mode="json")
    except SpecError:
        return []  # it cannot be started, and the check says why
    meant = flatten(filled.model_dump(mode="json", exclude={"name", "notes", "schema_version"}))
    has = flatten(now)
    given = flatten(filled.model_dump(mode="json", exclude_unset=True))
    defaults = _option_defaults(filled)
    return [path for path in given if path in meant and has.get(path, defaults.get(path)) != meant[path]]


def _option_defaults(spec: RunSpec) -> dict[str, Any]:
    """The defaults of the options of a spec's task, model and tuning: the form leaves these out."""
    from workbench.models.base import models
    from workbench.tasks.base import tasks
    from workbench.tuning.base import tunings

    found: dict[str, Any] = {}
    source = spec.model.source.partition(":")[0]
    for part, registry, name in (
        ("task", tasks, spec.task.name), ("model", models, source), ("tuning", tunings, spec.tuning.method)
    ):  # fmt: skip
        if name in registry:
            found |= flatten({part: registry.get(name).Config().model_dump(mode="json")})  # type: ignore[attr-defined]
    return found


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
