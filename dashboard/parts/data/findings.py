"""What stands out in a file, each with the buttons that settle it. What was clicked is a recipe: fields of the spec."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
import yaml

from dashboard.parts.data import reading
from dashboard.parts.shared.data import offers, reports
from dashboard.parts.shared.errors import show_error
from dashboard.parts.shared.text import cut, md
from workbench.data.bad_rows import BadRowsError
from workbench.data.labels.spelling import Merge, find_merges
from workbench.data.limited import Preview
from workbench.data.overview import Overview
from workbench.data.proposals import UnclearColumnsError
from workbench.data.splitting.duplicates import CONFLICTING, REPEATED
from workbench.errors import WorkbenchError
from workbench.i18n import _, ngettext
from workbench.spec import RunSpec
from workbench.workspace import Workspace

MAX_MERGES, MAX_CHOICES = 5, 3  # merges and columns that are offered
COLUMNS = "data.columns"  # prefix of the session keys of the columns
_NO_LABELS = ("id", "date", "text", "empty")  # kinds of columns that are no classes


@dataclass(frozen=True)
class Step:
    """A step of the recipe.

    Attributes:
        key: tells it from the others.
        text: what it does, as Markdown.
        undo: takes it back.
    """

    key: str
    text: str
    undo: Callable[[], None]


def draw(spec: RunSpec, result: Overview | WorkbenchError, roles: Mapping[str, str], preview: Preview | None) -> None:
    """Draw the findings.

    Args:
        spec: with the recipe so far.
        result: what the data contain, or why they cannot be used.
        roles: role -> column, as far as it is known.
        preview: of the file; None if it cannot be read.
    """
    st.subheader(_("Findings"), anchor=False)
    settled = _draw_columns_that_do_not_fit(roles, preview)
    if isinstance(result, BadRowsError):
        _draw_bad_rows(result)
    elif isinstance(result, WorkbenchError):
        if offers.has_offer(result):
            offers.draw(result, reading.accept, rows=preview is None)
        elif not settled:
            show_error(result, "data_error")
    elif not (_draw_merges(result) | _draw_duplicates(spec, result) | settled):
        st.success(_("Nothing stands out."), icon=":material/check:")


def roles_of(spec: RunSpec, result: Overview | WorkbenchError) -> dict[str, str]:
    """Return role -> column as a run would read the file, or as it is proposed.

    Args:
        spec: with the columns that were chosen.
        result: what the data contain, or why they cannot be used.
    """
    chosen = {role: name for role, name in spec.data.columns.items() if isinstance(name, str)}
    if isinstance(result, UnclearColumnsError):
        return {**result.proposal, **chosen}
    return chosen if isinstance(result, WorkbenchError) else {**result["mapping"], **chosen}


def _draw_bad_rows(error: BadRowsError) -> None:
    with st.container(border=True, key="finding_bad_rows"):
        text = ngettext("**{n} row cannot be used.**", "**{n} rows cannot be used.**", error.count)
        st.markdown(text.format(n=f"{error.count:,}"))
        st.caption(md(error.message, 400))
        text = ngettext("Leave out this row", "Leave out these {n} rows", error.count)
        st.button(
            text.format(n=f"{error.count:,}"),
            key="fix_bad_rows",
            icon=":material/playlist_remove:",
            on_click=reading.accept,
            args=({"on_bad_rows": "drop"},),
        )


def _draw_columns_that_do_not_fit(roles: Mapping[str, str], preview: Preview | None) -> bool:
    """Point out a label column of numbers of tickets or dates; return whether there is one."""
    label = roles.get("label")
    if preview is None or label not in preview["facts"]:
        return False
    facts = preview["facts"][label]
    classes = [
        name for name, each in preview["facts"].items() if each["kind"] == "class" and name not in roles.values()
    ]
    rows = preview["count"] - facts["empty"]
    if facts["kind"] not in _NO_LABELS or not (facts["kind"] in ("id", "date") or facts["different"] > rows / 2):
        return False
    with st.container(border=True, key="finding_label_column"):
        reason = {
            "id": _("That looks like an id, not like a category."),
            "date": _("These are dates, not categories."),
        }.get(facts["kind"], _("Nearly every row would be a category of its own."))
        text = _("**{column}** has {n} different values in {rows} rows. {reason}")
        st.markdown(text.format(column=md(label, 60), n=f"{facts['different']:,}", rows=f"{rows:,}", reason=reason))
        for name in classes[:MAX_CHOICES]:
            st.button(
                _("Use {column} as the label").format(column=md(name, 40)),
                key=f"fix_label.{name}",
                icon=":material/label:",
                on_click=reading.accept,
                args=({"columns": {"label": name}},),
            )
    return True


def _draw_merges(report: Overview) -> bool:
    """Offer to merge labels that look like one class; return whether there are any."""
    merges, counts = label_merges(report)
    if not merges:
        return False
    with st.container(border=True, key="finding_labels"):
        text = ngettext("**{n} label may be misspelt.**", "**{n} labels may be misspelt.**", len(merges))
        st.markdown(text.format(n=len(merges)))
        for merge in merges[:MAX_MERGES]:
            st.button(
                _("Merge {name} ({n}) into {target}").format(
                    name=md(merge.name, 40), n=f"{counts[merge.name]:,}", target=md(merge.target, 40)
                ),
                key=f"fix_label_merge.{merge.name}",
                icon=":material/merge:",
                on_click=_merge,
                args=([merge],),
            )
        if len(merges) > 1:
            st.button(
                _("Merge all {n}").format(n=len(merges)),
                key="fix_labels",
                icon=":material/merge:",
                on_click=_merge,
                args=(merges,),
            )
    return True


def label_merges(report: Overview) -> tuple[list[Merge], Counter[str]]:
    """Return the labels that look like another one, and how often each label occurs.

    Args:
        report: what the data contain.
    """
    counts: Counter[str] = Counter()
    for part in report["parts"].values():
        counts.update(part["labels"] or {})
    return list(find_merges(counts)), counts


def _merge(merges: list[Merge]) -> None:
    labels = dict(st.session_state.get(f"{reading.FIELDS}.labels") or {})
    labels |= {merge.name: merge.target for merge in merges}
    # A label that was merged into one that is now merged itself follows it: the spec allows single steps.
    reading.accept({"labels": {name: labels.get(target, target) for name, target in labels.items()}})


def _draw_duplicates(spec: RunSpec, report: Overview) -> bool:
    """Offer to leave out duplicates and contradictions; return whether there are any."""
    parts = report["parts"].values()
    duplicates = sum(part["duplicates"]["count"] for part in parts)
    conflicts = sum(part["conflicts"]["count"] for part in parts)
    if not duplicates or spec.data.duplicates == "drop":
        return False
    with st.container(border=True, key="finding_duplicates"):
        text = ngettext("**{n} text occurs more than once.**", "**{n} texts occur more than once.**", duplicates)
        st.markdown(text.format(n=f"{duplicates:,}"))
        if conflicts:
            text = ngettext("{n} of them has different labels.", "{n} of them have different labels.", conflicts)
            st.caption(text.format(n=f"{conflicts:,}"))
        st.button(
            _("Drop duplicates"),
            key="fix_duplicates",
            icon=":material/content_copy:",
            help=_("The first row of each text stays. Texts with different labels are left out altogether."),
            on_click=reading.accept,
            args=({"duplicates": "drop"},),
        )
    return True


# -- the recipe -------------------------------------------------------------------------------------------------------


def draw_recipe(spec: RunSpec, result: Overview | WorkbenchError, workspace: Workspace) -> None:
    """Draw the steps that were accepted, with a button that takes each back, and the recipe as YAML.

    Args:
        spec: with the recipe.
        result: what the data contain, or why they cannot be used.
        workspace: whose uploads.
    """
    steps = recipe(spec, result)
    if not steps:
        return
    with st.container(key="recipe"):
        st.subheader(_("Recipe"), help=_("Your file is not changed. Each run keeps these steps."), anchor=False)
        for number, step in enumerate(steps, start=1):
            with st.container(horizontal=True, vertical_alignment="center", key=f"recipe_{number}"):
                st.markdown(f"{number}\\. {step.text}")
                st.button(
                    _("Undo"),
                    key=f"undo.{step.key}",
                    icon=":material/undo:",
                    type="tertiary",
                    width="content",
                    on_click=step.undo,
                )
        with st.expander(_("As YAML"), icon=":material/code:", key="recipe_yaml"):
            document = spec.data.model_dump(mode="json", exclude_unset=True) | {"train": Path(spec.data.train).name}
            st.code(yaml.safe_dump({"data": document}, sort_keys=False, allow_unicode=True), language="yaml")
        if spec.data.on_bad_rows == "drop" and not isinstance(result, WorkbenchError):
            _draw_rest(spec, workspace)


def recipe(spec: RunSpec, result: Overview | WorkbenchError) -> list[Step]:
    """Return the steps of the recipe in a spec.

    Args:
        spec: whose data section.
        result: what the data contain; counts come from it.
    """
    data = spec.data
    left_out = Counter[str]()
    for group in [] if isinstance(result, WorkbenchError) else result["left_out"]:
        left_out["duplicates" if group["reason"] in (REPEATED, CONFLICTING) else "rows"] += group["count"]
    steps = []
    if data.columns:
        columns = " · ".join(f"{md(_(role.replace('_', ' ')))}: {md(name, 60)}" for role, name in data.columns.items())
        steps.append(
            Step("columns", _("Columns: {columns}").format(columns=columns), partial(_undo_columns, data.columns))
        )
    for name in ("encoding", "sheet", "delimiter"):
        value = getattr(data, name)
        if value is not None:
            text = _("{setting}: {value}").format(setting=_(name).capitalize(), value=md(repr(value), 60))
            steps.append(Step(name, text, partial(reading.undo, name)))
    if data.on_bad_rows == "drop":
        count = left_out["rows"]
        text = ngettext("Leave out {n} row that cannot be used", "Leave out {n} rows that cannot be used", count)
        steps.append(Step("on_bad_rows", text.format(n=f"{count:,}"), partial(reading.undo, "on_bad_rows")))
    for name, target in data.labels.items():
        text = _("Read the label {name} as {target}").format(name=md(name, 60), target=md(target, 60))
        steps.append(Step(f"labels.{name}", text, partial(reading.undo, "labels", name)))
    if data.duplicates == "drop":
        text = ngettext("Leave out {n} duplicate", "Leave out {n} duplicates", left_out["duplicates"])
        undo = partial(reading.undo, "duplicates")
        steps.append(Step("duplicates", text.format(n=f"{left_out['duplicates']:,}"), undo))
    return steps


def _undo_columns(columns: Mapping[str, object]) -> None:
    for role in columns:
        st.session_state[f"{COLUMNS}.{role}"] = None


def _draw_rest(spec: RunSpec, workspace: Workspace) -> None:
    """Draw a button that downloads the rows that can be used."""
    path = Path(spec.data.train)

    def rest() -> bytes:
        try:
            return reports.usable_rows(spec, workspace).encode("utf-8", errors="replace")
        except WorkbenchError as error:
            return cut(error.message, 2000).encode()

    st.download_button(
        _("Download the other rows (CSV)"),
        rest,
        f"{path.stem}-usable.csv",
        "text/csv",
        key="data.rest",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )
