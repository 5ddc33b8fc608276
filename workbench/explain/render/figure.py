"""Figures as SVG: without a library, sharp at every size, and readable by screen readers.

A :class:`Figure` contains elements whose classes name colours; the page around it defines these, light and dark.
:func:`page` is a stand-alone document of figures, each with buttons that save it as PNG and as SVG.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from workbench.explain.render.assets import escape_script
from workbench.page_policy import policy_tag

Theme = Literal["auto", "light", "dark"]

# Cividis (Nuñez et al. 2018): looks the same to every kind of colour vision, and from dark to bright in grey.
_CIVIDIS = [
    (0, 32, 77), (0, 51, 111), (57, 72, 107), (87, 93, 109), (112, 113, 115), (138, 134, 120),
    (166, 157, 117), (196, 181, 108), (228, 207, 91), (255, 234, 70),
]  # fmt: skip
_LESS, _NONE, _MORE = (190, 75, 0), (244, 245, 246), (0, 84, 147)  # orange, near white, blue


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        width, height: in pixels, at its natural size; it shrinks where there is less room.
        body: SVG elements, with all texts escaped.
        title: what it shows, in a few words; also the name of the saved file.
        description: the same for screen readers, in a sentence or two.
    """

    width: float
    height: float
    body: str
    title: str
    description: str

    def svg(self) -> str:
        """Return the element; the page's :func:`style` has its colours."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" aria-label="{escape(self.title)}. '
            f'{escape(self.description)}">{self.body}</svg>'
        )


def escape(text: str) -> str:
    """Escape text for an element or an attribute; what XML does not allow becomes a replacement character.

    Args:
        text: any text.
    """
    allowed = "".join(c if (c >= " " and c not in "\ufffe\uffff") or c in "\t\n" else "\ufffd" for c in text)
    return html.escape(allowed)


def text(x: float, y: float, words: str, kind: str = "ink", anchor: str = "start", size: float = 12) -> str:
    """Return a line of text; a right-to-left word does not reverse the rest.

    Args:
        x: in pixels.
        y: in pixels.
        words: the text.
        kind: ``ink`` or ``quiet``.
        anchor: ``start``, ``middle`` or ``end``.
        size: size of the font, in pixels.
    """
    return (
        f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size:g}">'
        f"\u2068{escape(words)}\u2069</text>"
    )


def sequential(share: float) -> str:
    """Return the colour of a value on the sequential scale.

    Args:
        share: 0 (dark) to 1 (bright).
    """
    position = min(1.0, max(0.0, share)) * (len(_CIVIDIS) - 1)
    low = min(int(position), len(_CIVIDIS) - 2)
    return _mix(_CIVIDIS[low], _CIVIDIS[low + 1], position - low)


def diverging(share: float) -> str:
    """Return the colour of a value on the diverging scale.

    Args:
        share: -1 (orange) over 0 (near white) to 1 (blue).
    """
    return _mix(_NONE, _MORE if share >= 0 else _LESS, min(1.0, abs(share)))


def readable_on(colour: str) -> str:
    """Return black or white, whichever is readable on a colour.

    Args:
        colour: ``#rrggbb``.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#000000" if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 > 0.18 else "#ffffff"


def _mix(first: tuple[int, int, int], second: tuple[int, int, int], share: float) -> str:
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(first, second, strict=True))


def shortened(words: str, letters: int) -> str:
    """Cut a text, with an ellipsis at its end.

    Args:
        words: the text.
        letters: the largest number of characters, ellipsis included.
    """
    return words if len(words) <= letters else words[: letters - 1] + "…"


def page(figures: Sequence[Figure], caption: str = "", theme: Theme = "auto", title: str = "Figures") -> str:
    """Return a whole HTML document without external resources.

    Args:
        figures: from left to right and top to bottom.
        caption: above them, in plain words.
        theme: light, dark, or the browser's own.
        title: title of the document.
    """
    script = escape_script((files(__package__) / "figure.js").read_text(encoding="utf-8"))
    # Only this script may run. It creates the buttons: where scripts are disabled there are none.
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en" data-theme="{theme}">',
            "<head>",
            '<meta charset="utf-8">',
            policy_tag([script], images=True),
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{style()}</style>",
            "</head>",
            "<body>",
            f'<p id="caption">{html.escape(caption)}</p>' if caption else "",
            '<div id="figures">',
            *(f'<figure data-name="{escape(figure.title)}">{figure.svg()}</figure>' for figure in figures),
            "</div>",
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def style() -> str:
    """Return the style sheet of the figures' classes, light and dark, also for other pages with figures."""
    return (files(__package__) / "figure.css").read_text(encoding="utf-8")


def short_number(value: float) -> str:
    """Format a number for an axis, with three significant digits.

    Args:
        value: the number.
    """
    return f"{value:.3g}"
