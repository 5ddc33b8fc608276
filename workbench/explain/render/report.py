"""Everything that was asked of one text on one page: it opens with no network, and each view keeps to its own frame."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.explain.render.figure import Figure, style

_STYLE = (
    "body{max-width:76em;margin:1.5em auto;padding:0 1em;font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.4em}h2{font-size:1.15em;margin:1.6em 0 .4em}"
    "iframe{width:100%;height:86vh;border:1px solid #8888;border-radius:4px}"
    "figure{display:inline-block;margin:.5em 1.5em .5em 0;vertical-align:top}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}td,th{padding:.1em .6em;text-align:left}"
)
# What the classes of figures mean where no page says it; a notebook's own colour is the text's.
_FIGURES = (
    "svg .ink{fill:currentColor}svg .quiet{fill:currentColor;opacity:.7}svg .grid{stroke:#8886;fill:none}"
    "svg .mark{stroke:currentColor;fill:none}svg .one{stroke:#0072b2;stroke-width:2.5;fill:none}"
    "svg .two{stroke:#6b7480;stroke-width:2;fill:none;stroke-dasharray:7 4}"
    "svg .three{stroke:#c25200;stroke-width:2;fill:none;stroke-dasharray:2 3}svg .hit{fill:transparent}"
    "svg .one-dot{fill:#0072b2}svg .two-dot{fill:#6b7480}svg .three-dot{fill:#c25200}"
)


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        sentences: what follows from it, in words.
        html: elements that are safe to stand in a page.
        figures: drawings.
        document: a whole HTML document, shown in a frame that it cannot leave.
    """

    title: str
    sentences: Sequence[str] = ()
    html: str = ""
    figures: Sequence[Figure] = ()
    document: str = ""


def report(title: str, sections: Sequence[Section]) -> str:
    """The page: a whole HTML document that asks for nothing."""
    parts = "".join(map(_section, sections))
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="auto"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style()}{_STYLE}</style></head>"
        f"<body><h1><bdi>{html.escape(title)}</bdi></h1>{parts}</body></html>\n"
    )


def notebook(sentences: Sequence[str], figures: Sequence[Figure]) -> str:
    """Sentences and figures for a notebook's cell, which brings no style of its own."""
    words = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences if sentence)
    drawn = "".join(f"<figure>{figure.svg()}</figure>" for figure in figures)
    return f"<div style='font:14px/1.5 system-ui,sans-serif'><style>{_FIGURES}</style>{words}{drawn}</div>"


def _section(section: Section) -> str:
    words = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences if sentence)
    drawn = "".join(f"<figure>{figure.svg()}</figure>" for figure in section.figures)
    # Without allow-same-origin: what runs in the frame sees nothing of this page.
    frame = (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(section.title)}" '
        f'srcdoc="{html.escape(section.document)}"></iframe>'
        if section.document
        else ""
    )
    return f"<section><h2>{html.escape(section.title)}</h2>{words}{section.html}{drawn}{frame}</section>"
