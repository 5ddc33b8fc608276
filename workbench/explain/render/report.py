"""All results of one text on one page that opens offline; each view has a frame of its own."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.explain.render.figure import Figure, style
from workbench.page_policy import policy_tag

_STYLE = (
    "body{max-width:76em;margin:1.5em auto;padding:0 1em;font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.4em}h2{font-size:1.15em;margin:1.6em 0 .4em}"
    "iframe{width:100%;height:86vh;border:1px solid #8888;border-radius:4px}"
    "figure{display:inline-block;margin:.5em 1.5em .5em 0;vertical-align:top}svg{max-width:100%;height:auto}"
    "table{border-collapse:collapse}td,th{padding:.1em .6em;text-align:left}"
)


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title: its heading.
        sentences: what follows from it, in words.
        html: elements that are safe in a page.
        figures: SVG figures.
        document: a whole HTML document, shown in a frame that it cannot leave.
    """

    title: str
    sentences: Sequence[str] = ()
    html: str = ""
    figures: Sequence[Figure] = ()
    document: str = ""


def report(title: str, sections: Sequence[Section]) -> str:
    """Return the page: a whole HTML document without external resources.

    Args:
        title: title of the page.
        sections: from top to bottom.
    """
    body = "".join(map(_section, sections))
    documents = [section.document for section in sections]
    return (
        '<!DOCTYPE html>\n<html lang="en" data-theme="auto"><head><meta charset="utf-8">'
        f"{policy_tag(frames=documents, images=True)}"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style()}{_STYLE}</style></head>"
        f"<body><h1><bdi>{html.escape(title)}</bdi></h1>{body}</body></html>\n"
    )


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in section.sentences if sentence)
    drawn = "".join(f"<figure>{figure.svg()}</figure>" for figure in section.figures)
    # Without allow-same-origin: scripts in the frame have no access to this page.
    frame = (
        f'<iframe sandbox="allow-scripts allow-downloads" title="{html.escape(section.title)}" '
        f'srcdoc="{html.escape(section.document)}"></iframe>'
        if section.document
        else ""
    )
    return f"<section><h2>{html.escape(section.title)}</h2>{paragraphs}{section.html}{drawn}{frame}</section>"
