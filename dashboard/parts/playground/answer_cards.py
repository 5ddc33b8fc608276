"""What a run answered, drawn: bars of probabilities, marks in the text, written text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.playground.marked_text import marked_html
from dashboard.parts.shared import curves
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.tasks.answers import (
    Answer,
    Choice,
    Embedding,
    ExtractedAnswer,
    FilledMasks,
    GeneratedText,
    LabeledSpans,
    Ranking,
    Relation,
    ScoredLabels,
    Similarity,
    Span,
)

MAX_BARS = 12
MAX_COORDINATES = 8  # of a vector
LONGEST_NAME = 34  # characters beside a bar


def draw(answer: Answer, key: str, index: int = 0) -> None:
    """Draw one answer.

    Args:
        answer: of any form.
        key: prefix of session keys; no two answers on a page share it.
        index: which of the answers that are shown side by side it is: it chooses the colour.
    """
    match answer:
        case ScoredLabels():
            _draw_value(*_label(answer))
            _draw_bars("Probabilities", answer.scores.items(), f"{key}.scores", index)
        case Choice():
            _draw_value("Choice", answer.text)
            _draw_bars("Probabilities", answer.scores.items(), f"{key}.scores", index)
        case ExtractedAnswer():
            _draw_value("Answer", answer.text if answer.span else "none: the text does not tell")
            spans = () if answer.span is None else (replace(answer.span, label="answer"),)
            _draw_spans(answer.context, spans)
            if answer.candidates:
                candidates = [(span.text, span.score) for span in answer.candidates]
                _draw_bars("Candidates", candidates, f"{key}.candidates", index)
        case LabeledSpans():
            _draw_spans(answer.text, answer.spans)
        case Ranking():
            _draw_ranking(answer, f"{key}.ranking")
        case Similarity():
            _draw_value("Similarity, -1 to 1", number(answer.score))
        case Embedding():
            first = ", ".join(f"{coordinate:.3f}" for coordinate in answer.vector[:MAX_COORDINATES])
            more = ", ..." if len(answer.vector) > MAX_COORDINATES else ""
            _draw_value(f"A vector of {len(answer.vector):,} numbers", first + more)
        case GeneratedText():
            _draw_text(answer.text, answer.is_code)
            if answer.unread_tokens:
                _draw_value("Tokens at the end that were not read", number(float(answer.unread_tokens)))
        case FilledMasks():
            _draw_text(answer.text)
            for i, mask in enumerate(answer.masks, start=1):
                candidates = [(each.text, each.score) for each in mask]
                _draw_bars(f"Gap {i}", candidates, f"{key}.gap.{i}", index)


def _label(answer: ScoredLabels) -> tuple[str, str]:
    """The name of what was predicted, and the prediction."""
    if isinstance(answer, Relation) and answer.relation is not None:
        return "Relation", f"{answer.relation}: from {answer.source} to {answer.target}"
    if answer.labels is not None:
        return "Labels", ", ".join(answer.labels) or "none is likely enough"
    return "Label", answer.label


def _draw_value(name: str, value: str) -> None:
    st.markdown(f"**{md(name)}: {md(value, 400)}**")


def _draw_bars(title: str, scores: Iterable[tuple[str, float]], key: str, index: int) -> None:
    """Probabilities as bars, the highest first."""
    ordered = sorted(scores, key=lambda item: -item[1])
    shown, left_out = ordered[:MAX_BARS], max(0, len(ordered) - MAX_BARS)
    names = _short([name for name, _ in shown])
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in shown],
            y=names,
            orientation="h",
            text=[f"{value:.1%}" for _, value in shown],
            textposition="auto",
            insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
            marker_color=curves.palette()[index],
            customdata=[plain(name) or "(empty)" for name, _ in shown],
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
    if title != "Probabilities":
        st.caption(md(title))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
    if left_out:
        st.caption(f"And {left_out:,} more that are less likely.")


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


def _draw_spans(text: str, spans: Sequence[Span]) -> None:
    st.html(marked_html(text, spans, curves.palette()))
    if not spans:
        st.caption("Nothing is marked: the model found nothing in it.")


def _draw_ranking(ranking: Ranking, key: str) -> None:
    st.caption("Best first")
    st.dataframe(
        {
            "Text": [cut(item.text, 300) for item in ranking.items],
            "Score": [item.score for item in ranking.items],
        },
        column_config={
            "Text": st.column_config.TextColumn(width="large"),
            "Score": st.column_config.NumberColumn(format="%.3f", width="small"),
        },
        hide_index=True,
        key=key,
    )


def _draw_text(text: str, is_code: bool = False) -> None:
    if not text.strip():
        st.caption("The model wrote nothing.")
    elif is_code:
        st.code(text, language="python")
    else:
        with st.container(border=True):
            st.text(text)
