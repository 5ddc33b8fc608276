"""Pictures of the course: readable on light and dark pages, with a text alternative."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure with its description; Jupyter shows it as an image with an alternative text.

    Attributes:
        png: the image.
        alt: a description of what it shows.
        width: in CSS pixels.
    """

    png: bytes
    alt: str
    width: int

    def _repr_html_(self) -> str:
        data, alt = base64.b64encode(self.png).decode(), html.escape(self.alt, quote=True)
        style = "max-width: 100%; height: auto; background: white; border-radius: 4px"
        return f'<img alt="{alt}" width="{self.width}" style="{style}" src="data:image/png;base64,{data}">'

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"


def show(figure: Figure, alt: str) -> Picture:
    """Convert a matplotlib figure to a picture with a text alternative, and close the figure.

    The background is always white, because the colours were chosen for that.

    Args:
        figure: a matplotlib figure.
        alt: a description of what it shows: the finding first, then how it is drawn.

    Raises:
        ValueError: the description is empty.
    """
    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError("A picture needs a description for readers who cannot see it: pass alt.")
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=144, facecolor="white", bbox_inches="tight")
    plt.close(figure)
    return Picture(image.getvalue(), alt, round(figure.get_figwidth() * 96))
