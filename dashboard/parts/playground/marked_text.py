"""A text with marks in it, as HTML that shows exactly the text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from dashboard.parts.shared.text import cut
from workbench.tasks.answers import Span

LONGEST = 20_000  # characters that are shown
_STYLE = "line-height:2.1;white-space:pre-wrap;overflow-wrap:anywhere"
_MARK = "padding:.15em .3em;border-radius:.35em;color:inherit;background:{colour}40;border-bottom:2px solid {colour}"
_LABEL = "font-size:.72em;font-weight:600;margin-left:.4em;opacity:.85;user-select:none"


def marked_html(text: str, spans: Sequence[Span], colours: Sequence[str]) -> str:
    """The text with each span marked in its label's colour, its label behind it and its score on hovering.

    Where spans overlap, the part that several cover carries the marks of all, from the widest to the narrowest.

    Args:
        text: somebody's: nothing in it becomes HTML.
        spans: in characters of the text; what lies outside it is cut.
        colours: as ``#0072B2``; labels take them in turn.
    """
    shown = text[:LONGEST]
    inside = [span for span in spans if 0 <= span.start < min(span.end, len(shown))]
    colour = {label: colours[i % len(colours)] for i, label in enumerate(sorted({span.label for span in inside}))}
    borders = sorted({0, len(shown), *(min(place, len(shown)) for s in inside for place in (s.start, s.end))})
    pieces = []
    for begin, end in pairwise(borders):
        over = [span for span in inside if span.start <= begin and span.end >= end]
        over.sort(key=lambda span: (span.end - span.start, span.label))
        piece = html.escape(shown[begin:end])
        for span in over:
            last = _label(span) if min(span.end, len(shown)) == end else ""
            told = html.escape(f"{cut(span.label, 80)}, {span.score:.1%}", quote=True)
            style = _MARK.format(colour=colour[span.label])
            piece = f'<mark style="{style}" title="{told}">{piece}{last}</mark>'
        pieces.append(piece)
    more = "…" if len(text) > len(shown) else ""
    return f'<div dir="auto" style="{_STYLE}">{"".join(pieces)}{more}</div>'


def _label(span: Span) -> str:
    return f'<span style="{_LABEL}">{html.escape(cut(span.label, 40))}</span>'
