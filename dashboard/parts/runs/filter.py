"""Which runs the table shows, and which of their fields: a SQL filter, tags, order, groups, columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from dashboard import state
from dashboard.parts.runs import run_table
from dashboard.parts.shared import run_list
from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.glossary import help_for
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import between, md, number
from workbench.i18n import _
from workbench.runs import table, tags
from workbench.runs.filters.filter import EXAMPLES, filter_rows
from workbench.runs.rows import column_names
from workbench.runs.run import Run

Rows = list[dict[str, Any]]
NEWEST_FIRST = "-created"
MAX_GROUPED, MAX_COLUMNS, MAX_CONDITION = 4, 20, 1000
_NO_METRIC = ("step", "steps", "value", "low", "high")  # numbers of a row that do not judge a run


def controls(rows: Rows) -> None:
    """Draw the filter, always visible, and the rest behind a button; the URL holds what is chosen.

    Args:
        rows: rows of all runs.
    """
    fields, all_tags = column_names(rows), sorted({tag for row in rows for tag in row["tags"]})
    metrics = _metrics(rows)
    _from_url(fields, all_tags, metrics)
    keys = state.Runs
    with st.container(horizontal=True, vertical_alignment="bottom", key="list_controls"):
        condition = st.text_input(
            _("Filter"), key=keys.FILTER.key, placeholder=EXAMPLES[0], help=help_for("filter"),
            max_chars=MAX_CONDITION,
        )  # fmt: skip
        with st.popover(_("View"), icon=":material/tune:", key="list.view"):
            wanted: list[str] = []
            if all_tags:
                wanted = st.multiselect(_("With all of these tags"), all_tags, key=keys.TAGS.key, format_func=md)
            order = st.selectbox(_("Sort by"), _orders(fields), key=keys.SORT.key, format_func=_order_name)
            by = st.multiselect(
                _("Group by"), fields, key=keys.GROUP.key, max_selections=MAX_GROUPED,
                help=_("One row for the runs that have the same values of these fields."),
            )  # fmt: skip
            metric = st.selectbox(
                _("Metric"), [None, *metrics], key=keys.METRIC.key,
                help=_("Metric shown in the table and averaged over groups."),
                format_func=lambda name: run_list.metric_name(name) if name else _("primary metric of each run"),
            )  # fmt: skip
            chosen = st.multiselect(
                _("Columns"), [*run_table.COLUMNS, *fields], key=keys.COLUMNS.key, max_selections=MAX_COLUMNS,
                placeholder=_("default columns"), format_func=run_table.column_label,
                help=_("Any field of the runs, including settings. Empty: the default columns."),
            )  # fmt: skip
            archived = st.toggle(_("Show archived runs"), key=keys.ARCHIVED.key)
            st.caption(_("Fields for the filter: {fields}").format(fields=md(", ".join(fields), 3000)))
            st.caption(_("Examples:"))
            st.markdown("\n".join(f"- `{example}`" for example in EXAMPLES))
    state.to_url(keys.FILTER, condition or "")
    state.to_url(keys.SORT, "" if order == NEWEST_FIRST else order or "")
    state.to_url(keys.GROUP, ",".join(by))
    state.to_url(keys.TAGS, ",".join(wanted))
    state.to_url(keys.METRIC, metric or "")
    state.to_url(keys.COLUMNS, ",".join(chosen))
    state.to_url(keys.ARCHIVED, "1" if archived else "")


def _from_url(fields: Sequence[str], all_tags: Sequence[str], metrics: Sequence[str]) -> None:
    """Set every control to what the link says, as far as it exists."""

    def several(known: Sequence[str], limit: int | None = None) -> Callable[[str], list[str]]:
        return lambda text: [name for name in dict.fromkeys(text.split(",")) if name in known][:limit]

    keys = state.Runs
    state.from_url(keys.FILTER, lambda text: text[:MAX_CONDITION])
    state.from_url(keys.SORT, lambda text: text if text.lstrip("-") in fields else None)
    state.from_url(keys.GROUP, several(fields, MAX_GROUPED))
    state.from_url(keys.METRIC, state.known(metrics))
    state.from_url(keys.ARCHIVED, lambda text: text == "1")
    if all_tags:
        state.from_url(keys.TAGS, several(all_tags))
    state.from_url(keys.COLUMNS, several([*run_table.COLUMNS, *fields], MAX_COLUMNS))


def _metrics(rows: Rows) -> list[str]:
    """Return the numbers that a run can be judged by: its final metrics and its cost."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if _is_metric(name, value)))
    return [name for name in names if name not in _NO_METRIC]


def _is_metric(name: str, value: object) -> bool:
    """Whether a value is a metric and not a setting, whose name contains a dot."""
    return "." not in name and isinstance(value, int | float) and not isinstance(value, bool)


def metric() -> str | None:
    """Return the chosen metric; None for the primary metric of each run."""
    name: str | None = st.session_state.get(state.Runs.METRIC.key)
    return name


def columns() -> list[str]:
    """Return the chosen columns; none for the default ones."""
    return list(st.session_state.get(state.Runs.COLUMNS.key) or [])


def _orders(fields: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([NEWEST_FIRST, *(sign + name for name in fields for sign in ("-", ""))]))


def _order_name(order: str) -> str:
    if order == NEWEST_FIRST:
        return _("newest first")
    if order.startswith("-"):
        return _("{field}, descending").format(field=order[1:])
    return _("{field}, ascending").format(field=order)


def filtered(rows: Rows) -> Rows:
    """Return the rows that match the controls, in their order; all rows, with an error, if the filter is invalid.

    Args:
        rows: rows of all runs.
    """
    values, keys = st.session_state, state.Runs
    condition = values.get(keys.FILTER.key) or ""
    if not values.get(keys.ARCHIVED.key) and "archived" not in condition:
        rows = [row for row in rows if not row["archived"]]
    rows = table.with_tags(rows, values.get(keys.TAGS.key) or [])
    with show_errors("filter_error"):
        rows = filter_rows(rows, condition)
    order = values.get(keys.SORT.key) or NEWEST_FIRST
    if order == NEWEST_FIRST or order.lstrip("-") not in column_names(rows):
        return rows
    return table.sort_rows(rows, order.lstrip("-"), descending=order.startswith("-"))


def show_groups(rows: Rows) -> None:
    """Show the groups, if any are chosen: the number of runs, and the mean of the metric with its interval.

    Args:
        rows: rows of the runs that are shown.
    """
    names = column_names(rows)
    by = [name for name in st.session_state.get(state.Runs.GROUP.key) or [] if name in names]
    if not by:
        return
    chosen = metric() if metric() in names else None
    groups = table.group_rows(rows, by, chosen or "value")
    metric_label = md(run_list.metric_name(chosen)) if chosen else _("the primary metric of each run")
    intervals = [between(group["low"], group["high"]) if group["low"] is not None else "" for group in groups]
    draw_table(
        {
            **{name: [number(group[name]) for group in groups] for name in by},
            "Runs": [group["runs"] for group in groups],
            "Mean": [group["mean"] for group in groups],
            "95% interval": intervals,
            "n": [group["n"] for group in groups],
        },
        column_config={
            "Runs": st.column_config.NumberColumn(_("Runs")),
            "Mean": st.column_config.NumberColumn(
                _("Mean"), format="%.4g", help=_("The mean of {metric}.").format(metric=metric_label)
            ),
            "95% interval": st.column_config.TextColumn(_("95% interval"), help=help_for("band"), alignment="right"),
            "n": st.column_config.NumberColumn(help=_("Runs that have the metric.")),
        },
        hide_index=True,
        key="list.groups",
    )


def edit_notes(run: Run) -> None:
    """Draw the tags, note and archived flag of a run.

    Args:
        run: the run.
    """
    current = tags.read_tags(run)
    words = [*current.tags, *([_("archived")] if current.archived else []), current.notes[:60]]
    label = _("Tags and notes")
    if any(words):
        label = _("Tags and notes: {words}").format(words=md(" · ".join(filter(None, words)), 120))
    with st.expander(label, icon=":material/sell:", key="run.notes"), st.form("run.notes.form", border=False):
        names = st.text_input(_("Tags, separated by commas"), ", ".join(current.tags), key=f"run.tags.{run.id}")
        text = st.text_area(_("Notes"), current.notes, key=f"run.note.{run.id}", max_chars=tags.MAX_NOTE_LENGTH)
        archived = st.checkbox(_("Archive (hide from the list)"), current.archived, key=f"run.archived.{run.id}")
        if st.form_submit_button(_("Save"), icon=":material/save:", key="run.notes.save"):
            with show_errors("notes_error"):
                tags.update_tags(run, tags=names.split(","), notes=text, archived=archived)
                st.rerun()
