"""Text that is safe to show, and numbers and times in words.

Whatever a user, a file or a model wrote goes through :func:`md` before it stands in a label, a message or any other
place that streamlit reads as Markdown, and through :func:`plain` before it stands in a plotly figure, which reads HTML.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

from workbench.formatting import shorten
from workbench.runs.documents import Interval

LONGEST = 200  # characters of somebody else's text in one place of the page
_ADDRESS = re.compile(r"https?:|www(?=\.)|@", re.IGNORECASE)  # Markdown makes links of bare addresses, too
_JOINER = "\u2060"  # has no width; an address with it inside is text
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&\"'=^])")


def cut(text: object, length: int = LONGEST) -> str:
    """``text`` on one line, at most ``length`` characters, without control characters."""
    return shorten(text, length)


def middle_cut(text: str, length: int) -> str:
    """At most ``length`` characters: what is too much goes from the middle, for the ends tell names apart."""
    if len(text) <= length:
        return text
    end = length // 4
    return f"{text[: length - end - 1]}…{text[-end:]}"


def md(text: object, length: int = LONGEST) -> str:
    """``text`` as Markdown that shows exactly ``text``: no link, picture, formatting or HTML comes of it."""
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub("\\g<0>" + _JOINER, cut(text, length)))


def plain(text: object, length: int = 80) -> str:
    """``text`` for a plotly label, legend or hover text."""
    return html.escape(cut(text, length), quote=True)


def duration(seconds: float | None) -> str:
    """``"2 min"``, ``"1 h 5 min"``; empty when unknown."""
    if seconds is None or seconds != seconds or seconds < 0:
        return ""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{round(hours / 24)} days"


def ago(created: str | None) -> str:
    """When something was, in words: ``"5 min ago"``."""
    try:
        then = datetime.fromisoformat(str(created))
    except ValueError:
        return ""
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - then).total_seconds()
    return "just now" if seconds < 45 else f"{duration(seconds)} ago"


def gigabytes(count: float | None) -> str:
    """A number of bytes in GB or MB; empty when unknown."""
    if not isinstance(count, int | float):
        return ""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def number(value: object) -> str:
    """A number as a person writes it: ``22,713,600``, ``0.793``, ``5e-05``; other things as they are, cut."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == int(value) and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else f"{value:.3g}"
    return cut(value)


def interval(metric: Interval | None) -> str:
    """A metric with its 95% interval: ``0.793 (0.771 to 0.815)``."""
    if not metric or metric.value is None:
        return "-"
    if metric.low is None or metric.high is None:
        return number(metric.value)
    return f"{number(metric.value)} ({number(metric.low)} to {number(metric.high)})"
