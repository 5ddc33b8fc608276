"""Results as HTML for a notebook's cell, one function per class; ``_repr_html_`` of each class calls :func:`html`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape

from workbench.explain.base import Explanation
from workbench.explain.evaluation import FaithfulnessEvaluation
from workbench.explain.internals.aggregates import HeadPatterns
from workbench.explain.internals.attention_difference import AttentionDivergence
from workbench.explain.internals.heads import HeadImportance
from workbench.explain.internals.layers import READING, LayerImportance
from workbench.explain.internals.lens import Candidate, LogitLens
from workbench.explain.internals.patching import Patching
from workbench.explain.render.curves import faithfulness_curves
from workbench.explain.render.figure import Figure
from workbench.explain.render.maps import divergence_map, importance_map, pattern_map
from workbench.explain.render.positions import patching_maps
from workbench.explain.render.static import STRONGEST, SUPPORTING, token_heat_html

# The meaning of the figures' classes in a notebook, which has no style sheet for them; the text has the cell's colour.
_STYLE = (
    "svg .ink{fill:currentColor}svg .quiet{fill:currentColor;opacity:.7}svg .grid{stroke:#8886;fill:none}"
    "svg .mark{stroke:currentColor;fill:none}svg .one{stroke:#0072b2;stroke-width:2.5;fill:none}"
    "svg .two{stroke:#6b7480;stroke-width:2;fill:none;stroke-dasharray:7 4}"
    "svg .three{stroke:#c25200;stroke-width:2;fill:none;stroke-dasharray:2 3}svg .hit{fill:transparent}"
    "svg .one-dot{fill:#0072b2}svg .two-dot{fill:#6b7480}svg .three-dot{fill:#c25200}"
)


@singledispatch
def html(result: object) -> str:
    """Return a result as an HTML fragment without scripts; everything that comes from a text is escaped.

    Args:
        result: a result of :mod:`workbench.explain`.

    Raises:
        TypeError: there is no picture of such a result.
    """
    raise TypeError(f"There is no picture of a {type(result).__name__}.")


@html.register
def _explanation(result: Explanation) -> str:
    return token_heat_html(result)


@html.register
def _evaluation(result: FaithfulnessEvaluation) -> str:
    return _fragment(result.sentences, faithfulness_curves(result.curves, result.target))


@html.register
def _patterns(result: HeadPatterns) -> str:
    return _fragment(result.notes, [pattern_map(result)])


@html.register
def _importance(result: HeadImportance) -> str:
    return _fragment([], [importance_map(result)])


@html.register
def _divergence(result: AttentionDivergence) -> str:
    return _fragment([], [divergence_map(result)])


@html.register
def _patching(result: Patching) -> str:
    return _fragment([*result.sentences, result.reading], patching_maps(result))


@html.register
def _layers(result: LayerImportance) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in result.lines())
    return f"<p>{escape(READING)}</p><ul style='font-variant-numeric:tabular-nums'>{items}</ul>"


@html.register
def _lens(result: LogitLens) -> str:
    names = ["the text"] if result.whole_text else result.shown
    head = "".join(f"<th><bdi>{escape(name)}</bdi></th>" for name in names)
    body = "".join(
        f"<tr><th>{layer or 'embeddings'}</th>{''.join(map(_lens_cell, row))}</tr>"
        for layer, row in enumerate(result.rows)
    )
    note = escape(" ".join([result.reading, *result.notes]))
    table = f"<table><tr><th>layer</th>{head}</tr>{body}</table>"
    return f"<div style='font:14px/1.45 system-ui,sans-serif;overflow-x:auto'>{table}<p>{note}</p></div>"


def _lens_cell(candidates: list[Candidate]) -> str:
    first = candidates[0]
    others = ", ".join(f"{candidate.name} {candidate.probability:.2f}" for candidate in candidates)
    red, green, blue = SUPPORTING
    shade = f"rgba({red},{green},{blue},{STRONGEST * first.probability:.3f})"
    name = escape(first.name)
    return f"<td title='{escape(others)}' style='background:{shade}'><bdi>{name}</bdi> {first.probability:.2f}</td>"


def _fragment(sentences: Sequence[str], figures: Sequence[Figure]) -> str:
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences if sentence)
    drawn = "".join(f"<figure>{figure.svg()}</figure>" for figure in figures)
    return f"<div style='font:14px/1.5 system-ui,sans-serif'><style>{_STYLE}</style>{paragraphs}{drawn}</div>"
