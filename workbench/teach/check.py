"""Functions for readers of the tutorials: ``check`` an answer, ask for a ``hint``, see the ``solution``.

check("02-names.3", labels_on_subwords)
"""

from __future__ import annotations

import html
from dataclasses import dataclass

from workbench.teach import progress_store
from workbench.teach.exercises import Exercise, NotAttempted, Wrong, exercises
from workbench.teach.progress_store import ExerciseProgress


@dataclass(frozen=True)
class Verdict:
    """The result of one attempt; Jupyter shows it as a coloured line.

    Attributes:
        exercise: its name.
        right: whether every hidden case passed.
        message: what is wrong, or praise.
        next_step: what to do next.
    """

    exercise: str
    right: bool
    message: str
    next_step: str = ""

    def __str__(self) -> str:
        return f"{'Right' if self.right else 'Not yet'} ({self.exercise}). {self.message} {self.next_step}".strip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        colour, mark = ("#1a7f37", "&#10003; Right") if self.right else ("#9a6700", "&#9679; Not yet")
        message = html.escape(self.message)
        next_step = f'<br><span style="opacity: .75">{html.escape(self.next_step)}</span>' if self.next_step else ""
        style = f"border-left: 4px solid {colour}; padding: .4em .8em; line-height: 1.5"
        head = f'<b style="color: {colour}">{mark}</b> {html.escape(self.exercise)}'
        return f'<div style="{style}">{head}. {message}{next_step}</div>'


@dataclass(frozen=True)
class Message:
    """A hint or a solution, shown as it is.

    Attributes:
        text: text of the message.
    """

    text: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f'<pre style="white-space: pre-wrap">{html.escape(self.text)}</pre>'


def check(name: str, answer: object) -> Verdict:
    """Check an answer with the hidden cases of an exercise, and record the attempt in the workspace.

    Args:
        name: name of the exercise, such as ``"02-names.3"``.
        answer: the reader's function, or value if the exercise asks for one.

    Returns:
        The verdict. An untouched stub is not recorded as an attempt.

    Raises:
        UnknownNameError: there is no such exercise.
    """
    exercise = _exercise(name)
    try:
        exercise.check(answer)
    except NotAttempted as error:
        return Verdict(name, False, str(error))
    except Wrong as error:
        return Verdict(name, False, str(error), _help_left(exercise, progress_store.record_attempt(name, right=False)))
    progress_store.record_attempt(name, right=True)
    return Verdict(name, True, "All hidden cases passed.", _lesson_summary(name))


def hint(name: str) -> Message:
    """Return the next hint of an exercise; the last one again after that.

    Args:
        name: name of the exercise.

    Raises:
        UnknownNameError: there is no such exercise.
    """
    exercise = _exercise(name)
    if not exercise.hints:
        return Message(f"There is no hint for this one. solution({name!r}) shows the solution.")
    number = min(progress_store.record_hint(name)["hints"], len(exercise.hints))
    is_last = number == len(exercise.hints)
    last = f"\nThat was the last one; solution({name!r}) shows the solution." if is_last else ""
    return Message(f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}{last}")


def solution(name: str) -> Message:
    """Return a solution of an exercise, as in the solved version of its lesson.

    Args:
        name: name of the exercise.

    Raises:
        UnknownNameError: there is no such exercise.
        RequestError: the lessons are not installed.
    """
    from workbench.teach.lessons import solution_of

    _exercise(name)
    progress_store.record_solution(name)
    return Message(solution_of(name))


def _exercise(name: str) -> Exercise:
    return exercises.get(name)()


def _help_left(exercise: Exercise, progress: ExerciseProgress) -> str:
    left = len(exercise.hints) - progress["hints"]
    if left > 0:
        return f"hint({exercise.name!r}) shows a hint ({left} left)."
    return f"solution({exercise.name!r}) shows the solution."


def _lesson_summary(name: str) -> str:
    lesson = name.split(".")[0]
    of_lesson = [other for other in exercises.names() if other.split(".")[0] == lesson]
    left = set(of_lesson) - progress_store.passed_exercises()
    if left:
        return f"{len(of_lesson) - len(left)} of {len(of_lesson)} exercises of this lesson are done."
    return "All exercises of this lesson are done."
