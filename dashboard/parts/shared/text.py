"""Text that is safe to show, and numbers and times in words.

Text from users, files and models goes through :func:`md` before it reaches a label, a message or anything else that
Streamlit renders as Markdown, and through :func:`plain` before it reaches a Plotly figure, which renders HTML.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

from workbench.formatting import shorten
from workbench.i18n import _, ngettext
from workbench.runs.documents import Interval

MAX_LENGTH = 200  # characters of foreign text in one element of the page
_ADDRESS = re.compile(r"https?:|www(?=\.)|@", re.IGNORECASE)  # Markdown makes links of bare addresses, too
_JOINER = "\u2060"  # has no width; an address that contains it is plain text
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&\"'=^])")


def cut(text: object, length: int = MAX_LENGTH) -> str:
    """Return a text on one line, without control characters.

    Args:
        text: any text.
        length: maximum number of characters.
    """
    return shorten(text, length)


def middle_cut(text: str, length: int) -> str:
    """Shorten a name in its middle, because its ends tell it apart from others.

    Args:
        text: the name.
        length: maximum number of characters.
    """
    if len(text) <= length:
        return text
    end = length // 4
    return f"{text[: length - end - 1]}…{text[-end:]}"


def md(text: object, length: int = MAX_LENGTH) -> str:
    """Escape a text for Markdown, so that it shows as it is: no link, image, formatting or HTML.

    Args:
        text: any text.
        length: maximum number of characters before escaping.
    """
    return _MARKDOWN.sub(r"\\\1", _ADDRESS.sub("\\g<0>" + _JOINER, cut(text, length)))


def plain(text: object, length: int = 80) -> str:
    """Escape a text for a Plotly label, legend or hover text.

    Args:
        text: any text.
        length: maximum number of characters before escaping.
    """
    return html.escape(cut(text, length), quote=True)


def duration(seconds: float | None) -> str:
    """Return a duration such as ``2 min`` or ``1 h 5 min``; empty when it is unknown.

    Args:
        seconds: the duration in seconds.
    """
    if seconds is None or seconds != seconds or seconds < 0:
        return ""
    if seconds < 1:
        return _("less than a second")
    if seconds < 90:
        return _("{n} s").format(n=f"{seconds:.0f}")
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("{n} min").format(n=minutes)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        days = round(hours / 24)
        return ngettext("{n} day", "{n} days", days).format(n=days)
    if minutes:
        return _("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    return _("{n} h").format(n=hours)


def ago(created: str | None) -> str:
    """Return how long ago something was: ``5 min ago``; empty when it is unknown.

    Args:
        created: a time in ISO 8601.
    """
    try:
        then = datetime.fromisoformat(str(created))
    except ValueError:
        return ""
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = (datetime.now(UTC) - then).total_seconds()
    return _("just now") if seconds < 45 else _("{duration} ago").format(duration=duration(seconds))


def gigabytes(count: float | None) -> str:
    """Return a size in GB or MB; empty when it is unknown.

    Args:
        count: the size in bytes.
    """
    if not isinstance(count, int | float):
        return ""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def number(value: object) -> str:
    """Format a number as people write it: ``22,713,600``, ``0.793``, ``5e-05``.

    Args:
        value: a number; True, False and None become words, anything else is shortened text.
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == int(value) and abs(value) < 1e15:
            return f"{int(value):,}"
        return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else f"{value:.3g}"
    return cut(value)


def between(low: object, high: object) -> str:
    """Return a range in words: ``0.771 to 0.815``.

    Args:
        low: the lower end.
        high: the upper end.
    """
    return _("{low} to {high}").format(low=number(low), high=number(high))


def interval(metric: Interval | None) -> str:
    """Return a metric with its 95% interval: ``0.793 (0.771 to 0.815)``.

    Args:
        metric: the metric.
    """
    if not metric or metric.value is None:
        return "-"
    if metric.low is None or metric.high is None:
        return number(metric.value)
    return f"{number(metric.value)} ({between(metric.low, metric.high)})"
