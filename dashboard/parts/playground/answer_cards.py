"""What a run answered, drawn: bars of probabilities, marks in the text, written text."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.playground.marked_text import marked_html
from dashboard.parts.shared import curves
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.inference.answers import Answer, Bars, Fact, Marked, Ranked, Written

LONGEST_NAME = 34  # characters beside a bar


def draw(parts: Sequence[Answer], key: str, place: int = 0) -> None:
    """Draw the parts of one answer, one below the other.

    Args:
        parts: of the answer.
        key: prefix of session keys; no two answers on a page share it.
        place: which of the answers that stand side by side it is: it chooses the colour.
    """
    for i, part in enumerate(parts):
        if isinstance(part, Fact):
            value = number(part.value) if isinstance(part.value, float) else part.value
            st.markdown(f"**{md(part.name)}: {md(value, 400)}**")
        elif isinstance(part, Bars):
            _draw_bars(part, f"{key}.bars.{i}", place)
        elif isinstance(part, Marked):
            _draw_marked(part)
        elif isinstance(part, Ranked):
            _draw_ranked(part, f"{key}.ranked.{i}")
        else:
            _draw_written(part)


def _draw_bars(bars: Bars, key: str, place: int) -> None:
    names = _short([name for name, _ in bars.values])
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in bars.values],
            y=names,
            orientation="h",
            text=[f"{value:.1%}" for _, value in bars.values],
            textposition="auto",
            insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
            marker_color=curves.palette()[place],
            customdata=[plain(name) or "(empty)" for name, _ in bars.values],
            hovertemplate="%{customdata}: %{x:.4f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=64 + 30 * len(names),
        margin={"l": 10, "r": 10, "t": 5, "b": 5},
        xaxis={"range": [0, 1], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1], "title": "Probability"},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category"},
        bargap=0.25,
    )
    if bars.name != "Probabilities":
        st.caption(md(bars.name))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
    if bars.left_out:
        st.caption(f"And {bars.left_out:,} more that are less likely.")


def _short(names: list[str]) -> list[str]:
    """Names that fit beside bars; plotly would draw two bars of one name as one, so equal ones are numbered."""
    found: list[str] = []
    for name in names:
        short = plain(name, LONGEST_NAME) or "(empty)"
        again = 2
        while short in found:
            short, again = f"{plain(name, LONGEST_NAME - 4)} ({again})", again + 1
        found.append(short)
    return found


def _draw_marked(part: Marked) -> None:
    st.html(marked_html(part.text, part.spans, curves.palette()))
    if not part.spans:
        st.caption("Nothing is marked: the model found nothing in it.")


def _draw_ranked(part: Ranked, key: str) -> None:
    st.caption(md(part.name))
    st.dataframe(
        {"Text": [cut(text, 300) for text, _ in part.rows], "Score": [score for _, score in part.rows]},
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            "Score": st.column_config.NumberColumn(format="%.3f", width="small"),
        },
        hide_index=True,
        key=key,
    )


def _draw_written(part: Written) -> None:
    if not part.text.strip():
        st.caption("The model wrote nothing.")
    elif part.code:
        st.code(part.text, language="python")
    else:
        with st.container(border=True):
            st.text(part.text)
