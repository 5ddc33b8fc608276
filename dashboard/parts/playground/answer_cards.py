"""A run's answer, drawn: bars of probabilities, highlighted text, generated text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import plotly.graph_objects as go
import streamlit as st

from dashboard.parts.playground.marked_text import marked_html
from dashboard.parts.shared import curves
from dashboard.parts.shared.tables import draw_table
from dashboard.parts.shared.text import cut, md, number, plain
from workbench.i18n import _, ngettext
from workbench.tasks.answers import (
    Answer,
    Choice,
    Embedding,
    ExtractedAnswer,
    FilledMasks,
    GeneratedText,
    LabeledSpans,
    Number,
    Ranking,
    Relation,
    ScoredLabels,
    Similarity,
    Span,
)

MAX_BARS = 12
MAX_COORDINATES = 8  # of a vector
MAX_NAME = 34  # characters beside a bar


def draw(answer: Answer, key: str, index: int = 0) -> None:
    """Draw one answer.

    Args:
        answer: an answer of any class.
        key: prefix of session keys; no two answers on a page share it.
        index: index of the answer among those side by side; it sets the colour.
    """
    match answer:
        case ScoredLabels():
            _draw_value(*_label(answer))
            _draw_bars("", answer.scores.items(), f"{key}.scores", index)
        case Choice():
            _draw_value(_("Choice"), answer.text)
            _draw_bars("", answer.scores.items(), f"{key}.scores", index)
        case ExtractedAnswer():
            _draw_value(_("Answer"), answer.text if answer.span else _("none: the text does not contain it"))
            spans = () if answer.span is None else (replace(answer.span, label=_("answer")),)
            _draw_spans(answer.context, spans)
            if answer.candidates:
                candidates = [(span.text, span.score) for span in answer.candidates]
                _draw_bars(_("Candidates"), candidates, f"{key}.candidates", index)
        case LabeledSpans():
            _draw_spans(answer.text, answer.spans)
        case Ranking():
            _draw_ranking(answer, f"{key}.ranking")
        case Number():
            _draw_value(_("Number"), number(answer.value))
        case Similarity():
            _draw_value(_("Similarity, -1 to 1"), number(answer.score))
        case Embedding():
            first = ", ".join(f"{coordinate:.3f}" for coordinate in answer.vector[:MAX_COORDINATES])
            more = ", ..." if len(answer.vector) > MAX_COORDINATES else ""
            _draw_value(_("A vector of {n} numbers").format(n=f"{len(answer.vector):,}"), first + more)
        case GeneratedText():
            _draw_text(answer.text, answer.is_code)
            if answer.unread_tokens:
                _draw_value(_("Truncated tokens at the end"), number(float(answer.unread_tokens)))
        case FilledMasks():
            _draw_text(answer.text)
            for i, mask in enumerate(answer.masks, start=1):
                candidates = [(candidate.text, candidate.score) for candidate in mask]
                _draw_bars(_("Gap {n}").format(n=i), candidates, f"{key}.gap.{i}", index)


def _label(answer: ScoredLabels) -> tuple[str, str]:
    """Return the name of what was predicted, and the prediction."""
    if isinstance(answer, Relation) and answer.relation is not None:
        text = _("{relation}: from {source} to {target}")
        values = text.format(relation=answer.relation, source=answer.source, target=answer.target)
        return _("Relation"), values
    if answer.labels is not None:
        return _("Labels"), ", ".join(answer.labels) or _("none is likely enough")
    return _("Label"), answer.label


def _draw_value(name: str, value: str) -> None:
    st.markdown(f"**{md(name)}: {md(value, 400)}**")


def _draw_bars(title: str, scores: Iterable[tuple[str, float]], key: str, index: int) -> None:
    """Probabilities as bars, the highest first."""
    ordered = sorted(scores, key=lambda item: -item[1])
    shown, left_out = ordered[:MAX_BARS], max(0, len(ordered) - MAX_BARS)
    names = _short([name for name, score in shown])
    figure = go.Figure(
        go.Bar(
            x=[score for name, score in shown],
            y=names,
            orientation="h",
            text=[f"{score:.1%}" for name, score in shown],
            textposition="auto",
            insidetextfont={"color": "#11181D" if st.context.theme.type == "dark" else "#FFFFFF"},
            marker_color=curves.palette()[index],
            customdata=[plain(name) or _("(empty)") for name, score in shown],
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
    if title:
        st.caption(md(title))
    st.plotly_chart(figure, key=key, config={"displayModeBar": False})
    if left_out:
        text = ngettext("And {n} more that is less likely.", "And {n} more that are less likely.", left_out)
        st.caption(text.format(n=f"{left_out:,}"))


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


def _draw_spans(text: str, spans: Sequence[Span]) -> None:
    st.html(marked_html(text, spans, curves.palette()))
    if not spans:
        st.caption(_("Nothing is highlighted: the model found nothing."))


def _draw_ranking(ranking: Ranking, key: str) -> None:
    st.caption(_("Best first"))
    draw_table(
        {"text": [cut(item.text, 300) for item in ranking.items], "score": [item.score for item in ranking.items]},
        column_config={
            "text": st.column_config.TextColumn(_("Text"), width="large"),
            "score": st.column_config.NumberColumn(_("Score"), format="%.3f", width="small"),
        },
        hide_index=True,
        key=key,
    )


def _draw_text(text: str, is_code: bool = False) -> None:
    if not text.strip():
        st.caption(_("The model generated nothing."))
    elif is_code:
        st.code(text, language="python")
    else:
        with st.container(border=True):
            st.text(text)
