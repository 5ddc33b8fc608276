"""A run's answer, drawn: bars of probabilities, highlighted text, generated text."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.playground.marked_text import marked_html
from dashboard.parts.shared import curves
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.i18n import _, ngettext
from workbench.inference.answers import Answer, Bars, Fact, Marked, Ranked, Written

MAX_NAME = 34  # characters beside a bar


def draw(parts: Sequence[Answer], key: str, index: int = 0) -> None:
    """Draw the parts of one answer below each other.

    Args:
        parts: of the answer.
        key: prefix of session keys; no two answers on a page share it.
        index: of the answer among those side by side; it sets the colour.
    """
    for i, part in enumerate(parts):
        if isinstance(part, Fact):
            value = number(part.value) if isinstance(part.value, float) else part.value
            st.markdown(f"**{md(_(part.name))}: {md(value, 400)}**")
        elif isinstance(part, Bars):
            _draw_bars(part, f"{key}.bars.{i}", index)
        elif isinstance(part, Marked):
            _draw_marked(part)
        elif isinstance(part, Ranked):
            _draw_ranked(part, f"{key}.ranked.{i}")
        else:
            _draw_generated(part)


def _draw_bars(bars: Bars, key: str, index: int) -> None:
    names = _short([name for name, value in bars.values])
    figure = go.Figure(
        go.Bar(
            x=[value for name, value in bars.values],
            y=names,
            orientation="h",
            text=[f"{value:.1%}" for name, value in bars.values],
            textposition="auto",
            insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
            marker_color=curves.palette()[index],
            customdata=[plain(name) or _("(empty)") for name, value in bars.values],
            hovertemplate="%{customdata}: %{x:.4f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=64 + 30 * len(names),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        xaxis={"range": [0, 1], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1], "title": _("Probability")},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category"},
        bargap=0.25,
    )
    if bars.name != "Probabilities":
        st.caption(md(_(bars.name)))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
    if bars.left_out:
        text = ngettext("And {n} more that is less likely.", "And {n} more that are less likely.", bars.left_out)
        st.caption(text.format(n=f"{bars.left_out:,}"))


def _short(names: Sequence[str]) -> list[str]:
    """Names that fit beside bars. Plotly draws two bars of one name as one, so equal names are numbered."""
    shortened: list[str] = []
    for name in names:
        short = plain(name, MAX_NAME) or _("(empty)")
        count = 2
        while short in shortened:
            short, count = f"{plain(name, MAX_NAME - 4)} ({count})", count + 1
        shortened.append(short)
    return shortened


def _draw_marked(part: Marked) -> None:
    st.html(marked_html(part.text, part.spans, curves.palette()))
    if not part.spans:
        st.caption(_("Nothing is highlighted: the model found nothing."))


def _draw_ranked(part: Ranked, key: str) -> None:
    st.caption(md(_(part.name)))
    st.dataframe(
        {"text": [cut(text, 300) for text, score in part.rows], "score": [score for text, score in part.rows]},
        column_config={
            "text": st.column_config.TextColumn(_("Text"), width="large"),
            "score": st.column_config.NumberColumn(_("Score"), format="%.3f", width="small"),
        },
        hide_index=True,
        key=key,
    )


def _draw_generated(part: Written) -> None:
    if not part.text.strip():
        st.caption(_("The model generated nothing."))
    elif part.code:
        st.code(part.text, language="python")
    else:
        with st.container(border=True):
            st.text(part.text)
