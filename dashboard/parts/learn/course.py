"""The course on the page Learn: what comes next, the guided notebooks, the lessons with their exercises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import duration
from workbench.course_files import is_checkout
from workbench.i18n import _, ngettext
from workbench.teach import progress_store
from workbench.teach.exercises import exercises
from workbench.teach.lessons import ROOT
from workbench.teach.progress import Progress, next_lesson

_WIDTHS = (1, 22, 7)  # of a row's mark, words and numbers


def show_totals(lessons: Sequence[Progress]) -> None:
    """Show the reader's progress in the whole course.

    Args:
        lessons: all lessons and notebooks.
    """
    guided, with_exercises = split(lessons)
    done, total = sum(lesson.done for lesson in with_exercises), sum(lesson.total for lesson in with_exercises)
    minutes = sum(lesson.minutes_left for lesson in lessons)
    ratio = _("{n} of {total}")
    with st.container(horizontal=True):
        st.metric(_("Exercises"), ratio.format(n=done, total=total), border=True)
        read = sum(lesson.done for lesson in guided)
        st.metric(_("Notebooks read"), ratio.format(n=read, total=len(guided)), border=True)
        st.metric(
            _("Time left, about"),
            duration(60 * round(minutes / 5) * 5) if minutes >= 3 else _("none"),
            border=True,
            help=_("Estimated from the times given in each lesson (laptop CPU)."),
        )


def show_next(lessons: Sequence[Progress]) -> None:
    """Show the lesson that comes next, and the command that opens it.

    Args:
        lessons: all lessons and notebooks.
    """
    lesson = next_lesson(list(lessons))
    with st.container(border=True, key="learn_next"):
        if lesson is None:
            st.subheader(_("All done"))
            st.markdown(_("You have finished the course."))
            return
        title = _("Next lesson: {title}") if lesson.lesson.exercises else _("Next notebook: {title}")
        st.subheader(title.format(title=heading(lesson)))
        st.markdown(_outcome(lesson))
        command = _("Open it with this command in the folder of the workbench:")
        st.caption(" ".join(filter(None, [_minutes(lesson), command])))
        st.code(opening(lesson), language="bash")


def show_guided(lessons: Sequence[Progress]) -> None:
    """Show the guided notebooks; each can be checked off as read.

    Args:
        lessons: all lessons and notebooks.
    """
    for lesson in split(lessons)[0]:
        mark, words, numbers = st.columns(_WIDTHS, vertical_alignment="top")
        key = f"learn.read.{lesson.lesson.key}"
        st.session_state[key] = lesson.finished  # from the workspace, which another tab may have changed
        mark.checkbox(
            _("{title} is read").format(title=_(lesson.lesson.title)),
            key=key,
            label_visibility="collapsed",
            on_change=_mark,
            args=(lesson.lesson.key, key),
        )
        words.markdown(f"**{heading(lesson)}**  \n{_outcome(lesson)}")
        numbers.caption(_minutes(lesson))


def _mark(notebook: str, key: str) -> None:
    with show_errors("course_error"):
        progress_store.mark_read(notebook, st.session_state[key])


def show_lessons(lessons: Sequence[Progress]) -> None:
    """Show the lessons, each with its exercises and a way to start over.

    Args:
        lessons: all lessons and notebooks.
    """
    for lesson in split(lessons)[1]:
        mark, words, numbers = st.columns(_WIDTHS, vertical_alignment="top")
        mark.markdown(":green[:material/check_circle:]" if lesson.finished else ":gray[:material/circle:]")
        with words:
            st.markdown(f"**{heading(lesson)}**  \n{_outcome(lesson)}")
            with st.expander(_("Exercises"), key=f"learn_{lesson.lesson.key}"):
                _exercises(lesson)
        with numbers:
            st.caption(_minutes(lesson))
            text = _("{n} of {total} exercises").format(n=lesson.done, total=lesson.total)
            st.progress(lesson.done / lesson.total, text)


def _exercises(lesson: Progress) -> None:
    st.code(opening(lesson), language="bash")
    for name in lesson.lesson.exercises:
        record = progress_store.exercise_progress(name)
        mark = ":green[:material/check:]" if record["passed"] else ":gray[:material/more_horiz:]"
        title = _(exercises.label(name)) if name in exercises else name
        st.markdown(f"{mark} {name.split('.')[1]}. {title} :gray[{_attempts(record)}]")
    key = f"learn.anew.{lesson.lesson.key}"
    help = _("Deletes your attempts and hints of this lesson.")
    if lesson.started and st.button(_("Start over"), icon=":material/restart_alt:", key=key, help=help):
        with show_errors(f"{key}.error"):
            progress_store.reset_lesson(lesson.lesson.key)
            st.rerun()


def _attempts(record: Mapping[str, object]) -> str:
    tries, hints = (n if isinstance(n, int) else 0 for n in (record["tries"], record["hints"]))
    words = []
    if tries:
        words.append(ngettext("{n} attempt", "{n} attempts", tries).format(n=tries))
    if hints:
        words.append(ngettext("{n} hint", "{n} hints", hints).format(n=hints))
    if record["solution"]:
        words.append(_("solution seen"))
    return ", ".join(words)


def split(lessons: Sequence[Progress]) -> tuple[list[Progress], list[Progress]]:
    """Return the guided notebooks, and the lessons with exercises.

    Args:
        lessons: all lessons and notebooks.
    """
    guided = [lesson for lesson in lessons if not lesson.lesson.exercises]
    return guided, [lesson for lesson in lessons if lesson.lesson.exercises]


def heading(lesson: Progress) -> str:
    """Return the number and title of a lesson.

    Args:
        lesson: a lesson or notebook.
    """
    return f"{lesson.lesson.key.split('-')[0]} · {_(lesson.lesson.title)}"


def opening(lesson: Progress, root: Path = ROOT) -> str:
    """Return the command that opens a lesson in JupyterLab.

    Args:
        lesson: a lesson or notebook.
        root: the folder in which the command runs.
    """
    notebook = lesson.lesson.notebook.relative_to(root).as_posix()
    return f"make lab ARGS={notebook}" if is_checkout() else f"workbench lab {notebook}"


def _outcome(lesson: Progress) -> str:
    outcome = lesson.lesson.learning_outcome
    return _("You will be able to {outcome}").format(outcome=_(outcome)) if outcome else ""


def _minutes(lesson: Progress) -> str:
    minutes = lesson.lesson.minutes
    return _("About {n} minutes.").format(n=minutes) if minutes else ""
