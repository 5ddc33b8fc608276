"""Pictures of the course: readable on a light and on a dark page, and said in words for who does not see them."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Picture:
    """A drawn figure with its words; Jupyter shows it as an image with an alternative text.

    Attributes:
        png: the image.
        alt: what is to be seen on it, in words.
        width: in CSS pixels.
    """

    png: bytes
    alt: str
    width: int

    def _repr_html_(self) -> str:
        data, words = base64.b64encode(self.png).decode(), html.escape(self.alt, quote=True)
        style = "max-width: 100%; height: auto; background: white; border-radius: 4px"
        return f'<img alt="{words}" width="{self.width}" style="{style}" src="data:image/png;base64,{data}">'

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def show(figure: Any, alt: str) -> Picture:
    """A matplotlib figure as a picture with a text alternative; the figure is closed.

    Its ground is white whatever the page's: the colours were chosen for that.

    Args:
        figure: matplotlib's.
        alt: what is to be seen on it, in words: the finding first, then how it is drawn.
    """
    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError("A picture needs words for who does not see it: give alt.")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=144, facecolor="white", bbox_inches="tight")
    plt.close(figure)
    return Picture(drawn.getvalue(), alt, round(figure.get_figwidth() * 96))
