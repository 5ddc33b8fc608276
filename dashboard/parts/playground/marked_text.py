"""A text with highlighted spans, as HTML that shows exactly the text."""

from __future__ import annotations

import html
from collections.abc import Sequence
from itertools import pairwise

from dashboard.parts.shared.text import cut
from workbench.tasks.answers import Span

MAX_LENGTH = 20_000  # characters that are shown
_STYLE = "line-height:2.1;white-space:pre-wrap;overflow-wrap:anywhere"
_MARK = "padding:.15em .3em;border-radius:.35em;color:inherit;background:{colour}40;border-bottom:2px solid {colour}"
_LABEL = "font-size:.72em;font-weight:600;margin-left:.4em;opacity:.85;user-select:none"


def marked_html(text: str, spans: Sequence[Span], colours: Sequence[str]) -> str:
    """Return the text with each span in its label's colour, followed by the label, with the score as a tooltip.

    Where spans overlap, the shared part has the marks of all of them, from the widest to the narrowest.

    Args:
        text: foreign text: nothing in it becomes HTML.
        spans: in characters of the text; what is outside of it is cut.
        colours: such as ``#0072B2``; labels take them in turn.
    """
    shown = text[:MAX_LENGTH]
    inside = [span for span in spans if 0 <= span.start < min(span.end, len(shown))]
    colour = {label: colours[i % len(colours)] for i, label in enumerate(sorted({span.label for span in inside}))}
    ends = (min(end, len(shown)) for span in inside for end in (span.start, span.end))
    borders = sorted({0, len(shown), *ends})
    parts = []
    for start, end in pairwise(borders):
        covering = [span for span in inside if span.start <= start and span.end >= end]
        covering.sort(key=lambda span: (span.end - span.start, span.label))
        part = html.escape(shown[start:end])
        for span in covering:
            label = _label(span) if min(span.end, len(shown)) == end else ""
            tooltip = html.escape(f"{cut(span.label, 80)}, {span.score:.1%}", quote=True)
            style = _MARK.format(colour=colour[span.label])
            part = f'<mark style="{style}" title="{tooltip}">{part}{label}</mark>'
        parts.append(part)
    more = "…" if len(text) > len(shown) else ""
    return f'<div dir="auto" style="{_STYLE}">{"".join(parts)}{more}</div>'


def _label(span: Span) -> str:
    return f'<span style="{_LABEL}">{html.escape(cut(span.label, 40))}</span>'
