"""What a click can resolve about a file: which column has which role, its encoding, rows that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md
from workbench.data.bad_rows import BadRowsError
from workbench.data.proposals import UnclearColumnsError
from workbench.data.readers.encodings.encoding import UncertainEncodingError
from workbench.errors import WorkbenchError
from workbench.i18n import _, ngettext

ROWS_WIDTH = 80  # characters of a value
Accept = Callable[[Mapping[str, object]], None]  # puts fields of the data section into the form that the page holds


def fill(changes: Mapping[str, object], fields: str, columns: str) -> None:
    """Put accepted fields of the data section into a form.

    Args:
        changes: by the name of the field.
        fields: prefix of the keys of the form's fields.
        columns: prefix of the keys of the columns, one for each role.
    """
    for name, value in changes.items():
        if name == "columns" and isinstance(value, Mapping):
            for role, column in value.items():
                st.session_state[f"{columns}.{role}"] = column
        else:
            st.session_state[f"{fields}.{name}"] = value


def has_offer(error: WorkbenchError) -> bool:
    """Return whether a click can resolve an error about a file.

    Args:
        error: raised while the file was read.
    """
    return isinstance(error, UnclearColumnsError | UncertainEncodingError | BadRowsError)


def draw(error: WorkbenchError, accept: Accept, rows: bool = True) -> None:
    """Draw the offer that resolves an error; nothing if there is none.

    Args:
        error: raised while a file was read.
        accept: called with the fields that the user accepts, before the page is drawn again.
        rows: show the first rows of the file; not where the page shows them already.
    """
    if isinstance(error, UnclearColumnsError):
        _draw_columns(error, accept, rows)
    elif isinstance(error, UncertainEncodingError):
        _draw_encodings(error, accept)
    elif isinstance(error, BadRowsError):
        text = ngettext("Leave out {n} row that cannot be used", "Leave out {n} rows that cannot be used", error.count)
        st.button(
            text.format(n=f"{error.count:,}"),
            key="offer_bad_rows",
            icon=":material/playlist_remove:",
            on_click=accept,
            args=({"on_bad_rows": "drop"},),
        )


def _draw_columns(error: UnclearColumnsError, accept: Accept, rows: bool) -> None:
    """Draw the first rows, and the proposed column of each role."""
    with st.container(border=True, key="offer_columns"):
        st.markdown(_("**Which column is which?** The names of the columns leave a doubt."))
        if rows:
            names = list(dict.fromkeys(name for row in error.rows for name in row))
            draw_table(
                {name: [cut(row.get(name, ""), ROWS_WIDTH) for row in error.rows] for name in names},
                hide_index=True,
                placeholder="",
                csv=False,
                key="offer.rows",
            )
        if not error.proposal:
            st.caption(_("No mapping can be proposed from the values. Choose the columns yourself."))
            st.caption(md(f"{error.message} {error.hint}", 800))
            return
        columns = (f"{md(_(role.replace('_', ' ')))}: **{md(name, 80)}**" for role, name in error.proposal.items())
        st.markdown(" · ".join(columns))
        st.button(
            _("Use these columns"),
            type="primary",
            key="offer_columns_accept",
            icon=":material/check:",
            help=_("You can change each of them afterwards."),
            on_click=accept,
            args=({"columns": error.proposal},),
        )


def _draw_encodings(error: UncertainEncodingError, accept: Accept) -> None:
    """Draw some lines in both encodings, side by side."""
    with st.container(border=True, key="offer_encoding"):
        st.markdown(_("**Which of these reads right?** The file is not UTF-8, and two encodings fit it."))
        for index, (encoding, column) in enumerate(zip(error.encodings, st.columns(2), strict=True)):
            for line in error.lines:
                column.text(
                    _("Line {n}: {text}").format(n=line["number"], text=cut(line["readings"][index], ROWS_WIDTH))
                )
            column.button(
                _("Read as {encoding}").format(encoding=encoding),
                key=f"offer_encoding_{index}",
                icon=":material/check:",
                on_click=accept,
                args=({"encoding": encoding},),
            )
