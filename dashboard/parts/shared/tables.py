"""Tables, and the button below them that downloads them as CSV.

Streamlit's own button writes cells as they are, and a spreadsheet runs those that begin with ``=``. It is hidden on all
pages (:data:`dashboard.serving.server.HIDDEN`); this one escapes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from workbench.i18n import _
from workbench.runs import export

if TYPE_CHECKING:
    from streamlit.elements.arrow import DataframeState


def draw_table(data: object, *, key: str, csv: bool = True, **options: object) -> DataframeState:
    """Draw a table and a button that downloads it.

    Args:
        data: columns or rows, as for ``st.dataframe``.
        key: session key of the table; its last word names the file.
        csv: draw the button; not where the page has one for the same rows.
        options: of ``st.dataframe``; a missing value is an empty cell unless ``placeholder`` says otherwise.

    Returns:
        What is selected in it.
    """
    event = st.dataframe(data, key=key, **{"placeholder": "", **options})
    if csv:
        st.download_button(
            "CSV",
            lambda: as_csv(data).encode("utf-8", errors="replace"),
            f"{key.rsplit('.', 1)[-1]}.csv",
            "text/csv",
            key=f"{key}.csv",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            help=_("This table. Texts that a spreadsheet would run as a formula begin with a quote."),
        )
    return event


def as_csv(data: object) -> str:
    """Return a table as CSV without formulas.

    Args:
        data: columns or rows, as for ``st.dataframe``.
    """
    import pandas as pd

    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(data)
    return export.as_csv([{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")])
