"""How far the reader has come, shown in JupyterLab: ``overview()`` as a table, ``done("03-attention")`` as a line."""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench.errors import UnknownNameError
from workbench.teach import progress
from workbench.teach.standing import Standing, next_after, next_of, standings

ABSENT = "The course is not installed here."


@dataclass(frozen=True)
class Overview:
    """The parts of the course and what is done of each; Jupyter shows it as a table."""

    parts: list[Standing]

    def __repr__(self) -> str:
        rows = [f"{one.done:>3} of {one.of:<3} {one.part.key:<28} {one.part.title}" for one in self.parts]
        return "\n".join([*rows, self._next()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(one.part.key)}</td><td style='text-align: left'>{html.escape(one.part.title)}</td>"
            f"<td><progress value='{one.done}' max='{one.of}'></progress></td><td>{one.done} of {one.of}</td></tr>"
            for one in self.parts
        )
        head = "<tr><th>part</th><th>what it is about</th><th></th><th>done</th></tr>"
        return f"<table>{head}{rows}</table><p>{html.escape(self._next())}</p>"

    def _next(self) -> str:
        return _told(next_of(self.parts)) if self.parts else ABSENT


def overview() -> Overview:
    """Where the reader stands in the course, and what comes next."""
    return Overview(standings())


@dataclass(frozen=True)
class Done:
    """What was done of one part, and what comes next; Jupyter shows it as a line.

    Attributes:
        part: the part that was just read; None where the course is not installed.
        following: what comes next; None when all is done.
    """

    part: Standing | None
    following: Standing | None

    def __repr__(self) -> str:
        return f"{self._head()} {_told(self.following)}" if self.part else ABSENT

    def _repr_html_(self) -> str:
        if self.part is None:
            return f"<p>{ABSENT}</p>"
        colour = "#1a7f37" if self.part.finished else "#9a6700"
        style = f"border-left: 4px solid {colour}; padding: .4em .8em; line-height: 1.5"
        head = f'<b style="color: {colour}">{html.escape(self._head())}</b>'
        return f'<div style="{style}">{head} {html.escape(_told(self.following))}</div>'

    def _head(self) -> str:
        assert self.part is not None
        key = self.part.part.key
        if self.part.part.exercises:
            return f"{key}: {self.part.done} of {self.part.of} exercises are done."
        return f"{key} is marked as read."


def done(key: str) -> Done:
    """Mark a guided notebook as read, or count what is done of a lesson; and say what comes next.

    Args:
        key: the file's number and name with hyphens, such as ``"00-start-here"`` or ``"01-mail"``.

    Raises:
        UnknownNameError: the course has no such part.
    """
    known = {one.part.key: one for one in standings()}
    if not known:
        return Done(None, None)
    if key not in known:
        raise UnknownNameError("part of the course", key, known)
    if not known[key].part.exercises:
        progress.mark_read(key)
    now = standings()
    return Done(next(one for one in now if one.part.key == key), next_after(key, now))


def _told(following: Standing | None) -> str:
    if following is None:
        return "All is done."
    left = round(following.minutes_left)
    return f"Next: {following.part.key}, {following.part.title}" + (f" (about {left} minutes)." if left else ".")
