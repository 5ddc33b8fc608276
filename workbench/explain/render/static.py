"""A small picture of an explanation: its tokens, coloured by score. No script or style sheet: it works anywhere."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Sequence

from workbench.explain.base import Explanation

# Every kind of colour vision tells blue from orange; tokens against the label are underlined as well.
SUPPORTING, _AGAINST = (0, 114, 178), (213, 94, 0)
STRONGEST = 0.55  # opacity of the highest score: text stays readable on it, light or dark


def token_heat_html(explanation: Explanation) -> str:
    """Draw the explained text with each token coloured by its score, a legend, and the numbers as a table.

    Colours are drawn over the page's own background, light or dark. A score shows on hover.

    Args:
        explanation: what to draw.

    Returns:
        HTML of one ``div``; everything that comes from the text is escaped.
    """
    scale = max((abs(score) for score in explanation.scores), default=0.0)
    top_k = set(explanation.faithfulness["top_k"])
    tokens = [
        _token(explanation, index, scale, top_k, begins) for index, begins in enumerate(_begins_word(explanation))
    ]
    prediction = explanation.prediction
    heading = f"{prediction['label']} ({prediction['score']:.2f})"
    if explanation.target != prediction["label"]:
        heading += f", explained for {explanation.target} ({prediction['scores'][explanation.target]:.2f})"
    line = f"direction:{_direction(explanation.text)};margin:0 0 .5em;line-height:2.1;overflow-wrap:anywhere"
    parts = [
        f"<p style='margin:0 0 .5em'><b><bdi>{html.escape(heading)}</bdi></b> · {html.escape(explanation.method)}</p>",
        f"<p style='{line}'>{''.join(tokens)}</p>",
        _legend(explanation, scale),
        _paragraph(explanation.faithfulness["sentence"]),
        _paragraph(" ".join([explanation.reading, *explanation.notes]), "opacity:.75"),
        _table(explanation),
    ]
    return f"<div style='font:15px/1.45 system-ui,sans-serif;max-width:70em'>{''.join(parts)}</div>"


def _paragraph(text: str, style: str = "") -> str:
    return f"<p style='margin:0 0 .5em;{style}'>{html.escape(text)}</p>"


def _direction(text: str) -> str:
    """Return the reading direction, from the first letter that has one: special tokens are always Latin."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return "ltr" if next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") == "L" else "rtl"


def _begins_word(explanation: Explanation) -> list[bool]:
    """Return whether a space precedes each token: where the text had one, around special tokens, between two texts."""
    result, last = [], None
    for segment, (start, end) in zip(explanation.segments, explanation.offsets, strict=True):
        result.append(segment is None or last is None or segment != last[0] or start > last[1])
        last = (segment, end)
    return result


def _colour(score: float, scale: float) -> str:
    red, green, blue = SUPPORTING if score >= 0 else _AGAINST
    return f"rgba({red},{green},{blue},{STRONGEST * abs(score) / scale if scale else 0:.3f})"


def _token(explanation: Explanation, index: int, scale: float, top_k: set[int], begins_word: bool) -> str:
    score = explanation.scores[index]
    style = f"background:{_colour(score, scale)};padding:.15em .1em;border-radius:.2em"
    if explanation.special[index]:
        style += ";opacity:.6"
    if index in top_k:
        style += ";font-weight:600"
    if score < 0:
        style += ";border-bottom:2px dotted currentColor"
    space = " " if begins_word else ""
    shown = explanation.shown[index] if begins_word else explanation.shown[index].removeprefix("##")
    return f"{space}<bdi title='{score:+.4f}' style='{style}'>{html.escape(shown)}</bdi>"


def _legend(explanation: Explanation, scale: float) -> str:
    def box(score: float, text: str) -> str:
        sample = f"background:{_colour(score, scale)};display:inline-block;width:1.6em;height:1em;vertical-align:-.1em"
        return f"<span style='{sample}'></span> {html.escape(text)} · "

    if explanation.signed:
        boxes = box(scale, f"for {explanation.target} (up to {scale:.3g})") + box(-scale, "against it (underlined)")
    else:
        boxes = box(0, "0") + box(scale / 2, f"{scale / 2:.3g}") + box(scale, f"{scale:.3g}")
    return f"<p style='margin:0 0 .5em;font-size:.9em'>{boxes}bold: top tokens, masked in the test below</p>"


def _table(explanation: Explanation) -> str:
    rows = "".join(
        f"<tr><td><bdi>{html.escape(token)}</bdi></td><td style='text-align:right'>{score:+.4f}</td></tr>"
        for token, score in _by_size(explanation.shown, explanation.scores)
    )
    head = "<tr><th>token</th><th>score</th></tr>"
    return f"<details><summary>All scores</summary><table>{head}{rows}</table></details>"


def _by_size(tokens: Sequence[str], scores: Sequence[float]) -> list[tuple[str, float]]:
    return sorted(zip(tokens, scores, strict=True), key=lambda pair: -abs(pair[1]))
