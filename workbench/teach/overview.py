"""The reader's progress, shown in JupyterLab: ``overview()`` as a table, ``done("03-attention")`` as a line."""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench.errors import UnknownNameError
from workbench.teach import progress_store
from workbench.teach.progress import Progress, course_progress, next_after, next_lesson

ABSENT = "The course is not installed here."


@dataclass(frozen=True)
class Overview:
    """Every notebook and lesson with its progress; Jupyter shows it as a table.

    Attributes:
        entries: in course order.
    """

    entries: list[Progress]

    def __repr__(self) -> str:
        rows = [
            f"{entry.done:>3} of {entry.total:<3} {entry.lesson.key:<28} {entry.lesson.title}" for entry in self.entries
        ]
        return "\n".join([*rows, self._next()])

    def _repr_html_(self) -> str:
        head = "<tr><th>lesson</th><th>topic</th><th></th><th>done</th></tr>"
        rows = "".join(map(_row, self.entries))
        return f"<table>{head}{rows}</table><p>{html.escape(self._next())}</p>"

    def _next(self) -> str:
        return _describe_next(next_lesson(self.entries)) if self.entries else ABSENT


def _row(entry: Progress) -> str:
    """One row of the HTML table."""
    key, title = html.escape(entry.lesson.key), html.escape(entry.lesson.title)
    bar = f"<progress value='{entry.done}' max='{entry.total}'></progress>"
    return (
        f"<tr><td>{key}</td><td style='text-align: left'>{title}</td>"
        f"<td>{bar}</td><td>{entry.done} of {entry.total}</td></tr>"
    )


def overview() -> Overview:
    """Return the reader's progress through the course, and what comes next."""
    return Overview(course_progress())


@dataclass(frozen=True)
class Done:
    """The progress of one lesson, and what comes next; Jupyter shows it as a line.

    Attributes:
        progress: progress of the lesson; None when the course is not installed.
        following: what comes next; None when everything is done.
    """

    progress: Progress | None
    following: Progress | None

    def __repr__(self) -> str:
        return f"{_describe(self.progress)} {_describe_next(self.following)}" if self.progress else ABSENT

    def _repr_html_(self) -> str:
        if self.progress is None:
            return f"<p>{ABSENT}</p>"
        colour = "#1a7f37" if self.progress.finished else "#9a6700"
        style = f"border-left: 4px solid {colour}; padding: .4em .8em; line-height: 1.5"
        head = f'<b style="color: {colour}">{html.escape(_describe(self.progress))}</b>'
        return f'<div style="{style}">{head} {html.escape(_describe_next(self.following))}</div>'


def done(key: str) -> Done:
    """Mark a guided notebook as read, or count the finished exercises of a lesson, and name what comes next.

    Args:
        key: the file's number and name with hyphens, such as ``"00-start-here"`` or ``"01-mail"``.

    Returns:
        The progress of this lesson and the next one.

    Raises:
        UnknownNameError: the course has no such notebook or lesson.
    """
    entries = {entry.lesson.key: entry for entry in course_progress()}
    if not entries:
        return Done(None, None)
    if key not in entries:
        raise UnknownNameError("part of the course", key, entries)
    if not entries[key].lesson.exercises:
        progress_store.mark_read(key)
    updated = course_progress()
    return Done(next(entry for entry in updated if entry.lesson.key == key), next_after(key, updated))


def _describe(progress: Progress) -> str:
    if progress.lesson.exercises:
        return f"{progress.lesson.key}: {progress.done} of {progress.total} exercises are done."
    return f"{progress.lesson.key} is marked as read."


def _describe_next(following: Progress | None) -> str:
    if following is None:
        return "Everything is done."
    minutes = round(following.minutes_left)
    time = f" (about {minutes} minutes)." if minutes else "."
    return f"Next: {following.lesson.key}, {following.lesson.title}{time}"
