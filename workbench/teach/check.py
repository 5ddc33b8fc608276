"""What a reader of the tutorials calls: ``check`` an answer, ask for a ``hint``, see the ``solution``.

check("02-names.3", labels_on_pieces)
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from workbench.teach import progress_store
from workbench.teach.exercises import Exercise, NotAttempted, Wrong, exercises


@dataclass(frozen=True)
class Verdict:
    """What became of one try; Jupyter shows it as a coloured line.

    Attributes:
        exercise: its name.
        right: whether every hidden case was answered right.
        message: what is wrong, or praise.
        further: what to do next.
    """

    exercise: str
    right: bool
    message: str
    further: str = ""

    def __str__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'} ({self.exercise}). {self.message} {self.further}".strip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour, mark = ("#1a7f37", "&#10003; Right") if self.right else ("#9a6700", "&#9679; Not yet")
        words = html.escape(self.message)
        further = f'<br><span style="opacity: .75">{html.escape(self.further)}</span>' if self.further else ""
        style = f"border-left: 4px solid {colour}; padding: .4em .8em; line-height: 1.5"
        head = f'<b style="color: {colour}">{mark}</b> {html.escape(self.exercise)}'
        return f'<div style="{style}">{head}. {words}{further}</div>'


@dataclass(frozen=True)
class Message:
    """A hint or a solution, shown as it is."""

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{html.escape(self.text)}</pre>'


def check(name: str, answer: Any) -> Verdict:
    """Try an answer on the hidden cases of an exercise; progress is kept in the workspace.

    Args:
        name: such as ``"02-names.3"``.
        answer: the reader's function, or value where one is asked for.

    Raises:
        UnknownNameError: there is no such exercise.
    """
    exercise = _exercise(name)
    try:
        exercise.check(answer)
    except NotAttempted as unfilled:
        return Verdict(name, False, str(unfilled))  # no try: nothing was tried
    except Wrong as wrong:
        return Verdict(name, False, str(wrong), _what_helps(exercise, progress_store.record_attempt(name, right=False)))
    progress_store.record_attempt(name, right=True)
    return Verdict(name, True, "All hidden cases are answered right.", _what_is_next(name))


def hint(name: str) -> Message:
    """The next hint of an exercise; the last one again when all were given."""
    exercise = _exercise(name)
    if not exercise.hints:
        return Message(f"There is no hint for this one. solution({name!r}) shows the solution.")
    number = min(progress_store.record_hint(name)["hints"], len(exercise.hints))
    last = f"\nThat was the last one; solution({name!r}) shows the solution." if number == len(exercise.hints) else ""
    return Message(f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}{last}")


def solution(name: str) -> Message:
    """A solution of an exercise, as the solved version of its lesson has it."""
    from workbench.teach.lessons import solution_of

    _exercise(name)
    progress_store.record_solution(name)
    return Message(solution_of(name))


def _exercise(name: str) -> Exercise:
    return exercises.get(name)()


def _what_helps(exercise: Exercise, known: dict[str, Any]) -> str:
    left = len(exercise.hints) - known["hints"]
    if left > 0:
        return f"hint({exercise.name!r}) gives a hint ({left} left)."
    return f"solution({exercise.name!r}) shows the solution."


def _what_is_next(name: str) -> str:
    lesson = name.split(".")[0]
    of_lesson = [other for other in exercises.names() if other.split(".")[0] == lesson]
    left = [other for other in of_lesson if other not in progress_store.passed_exercises()]
    if left:
        return f"{len(of_lesson) - len(left)} of {len(of_lesson)} exercises of this lesson are done."
    return "All exercises of this lesson are done."
