"""The first rows of a file as a table, with the columns that are used in colour."""

from __future__ import annotations

import html
from collections.abc import Mapping

import streamlit as st

from dashboard.parts.shared.text import cut
from workbench.data.cells.column_facts import ColumnFacts, ContentKind
from workbench.data.limited import Preview
from workbench.i18n import N_, _, ngettext

MAX_COLUMNS, CELL = 30, 90  # columns and characters that are shown
KINDS: dict[ContentKind, str] = {
    "text": N_("texts"),
    "class": N_("{n} different"),
    "number": N_("numbers"),
    "date": N_("dates"),
    "id": N_("an id"),
    "other": N_("lists or objects"),
    "empty": N_("empty"),
}
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6BB1", "#6B6B6B")  # one for each role
_TABLE = "border-collapse:collapse;width:100%;font-size:.86em"
_CELL = "padding:.35em .6em;border-bottom:1px solid rgba(128,128,128,.25);text-align:left;vertical-align:top"
_BADGE = "display:inline-block;padding:.05em .5em;border-radius:.4em;background:{colour};color:#fff;font-weight:600"


def draw(preview: Preview, roles: Mapping[str, str], proposed: bool) -> None:
    """Draw the table; on a narrow screen it scrolls inside its frame.

    Args:
        preview: of the file.
        roles: role -> column.
        proposed: the roles are a proposal that has to be confirmed.
    """
    st.html(table_html(preview, roles, proposed))
    text = ngettext("{n} row in the file.", "{n} rows in the file.", preview["count"])
    shown = ngettext("The first one is shown.", "The first {n} are shown.", len(preview["rows"]))
    count = f"{preview['count']:,}"
    st.caption(f"{text.format(n=count)} {shown.format(n=len(preview['rows']))}")


def table_html(preview: Preview, roles: Mapping[str, str], proposed: bool) -> str:
    """Return the table as HTML; nothing in the file becomes HTML.

    Args:
        preview: of the file.
        roles: role -> column.
        proposed: the roles are a proposal that has to be confirmed.
    """
    colours = {column: (role, COLOURS[i % len(COLOURS)]) for i, (role, column) in enumerate(roles.items())}
    columns = sorted(preview["columns"], key=lambda name: name not in colours)[:MAX_COLUMNS]
    columns = [name for name in preview["columns"] if name in columns]
    heads = "".join(_head(name, preview["facts"][name], colours.get(name), proposed) for name in columns)
    rows = "".join(
        f"<tr>{''.join(_cell(row.get(name, ''), colours.get(name)) for name in columns)}</tr>"
        for row in preview["rows"]
    )
    return (
        f'<div style="overflow-x:auto" tabindex="0" role="region" aria-label="{html.escape(_("Preview"), quote=True)}">'
        f'<table style="{_TABLE}"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _head(name: str, facts: ColumnFacts, role: tuple[str, str] | None, proposed: bool) -> str:
    badge, border = "", "transparent"
    if role is not None:
        border = role[1]
        title = _(role[0].replace("_", " ")).capitalize() + ("?" if proposed else "")
        badge = f'<span style="{_BADGE.format(colour=border)}">{html.escape(title)}</span><br>'
    kind = _(KINDS[facts["kind"]]).format(n=f"{facts['different']:,}")
    if facts["empty"] and facts["kind"] != "empty":
        kind += ", " + _("{n} empty").format(n=f"{facts['empty']:,}")
    return (
        f'<th scope="col" style="{_CELL};border-top:4px solid {border};white-space:nowrap">{badge}'
        f'{html.escape(cut(name, 40))}<br><span style="font-weight:400;opacity:.8">{html.escape(kind)}</span></th>'
    )


def _cell(value: str, role: tuple[str, str] | None) -> str:
    colour = f";background:{role[1]}1A" if role is not None else ""
    width = ";min-width:14em" if len(value) > CELL // 2 else ""
    return f'<td dir="auto" style="{_CELL}{colour}{width}">{html.escape(cut(value, CELL))}</td>'
