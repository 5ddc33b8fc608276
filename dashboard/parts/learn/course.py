"""The course on the page Learn: what comes next, the guided notebooks, the lessons with their exercises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.parts.shared.errors import show_errors
from dashboard.parts.shared.text import duration
from workbench.course_files import is_checkout
from workbench.teach import progress_store
from workbench.teach.exercises import exercises
from workbench.teach.lessons import ROOT
from workbench.teach.progress import Progress, next_lesson

_WIDTHS = (1, 22, 7)  # of a row's mark, words and figures


def show_sum(standing: Sequence[Progress]) -> None:
    """How far the reader has come, over all."""
    guided, lessons = split(standing)
    done, of = sum(one.done for one in lessons), sum(one.total for one in lessons)
    left = sum(one.minutes_left for one in standing)
    with st.container(horizontal=True):
        st.metric("Exercises", f"{done} of {of}", border=True)
        st.metric("Notebooks read", f"{sum(one.done for one in guided)} of {len(guided)}", border=True)
        rest = duration(60 * round(left / 5) * 5) or "none"
        st.metric("Left, about", rest, border=True, help="By the times in the openings, on a laptop's CPU.")


def show_next(standing: Sequence[Progress]) -> None:
    """The part that comes next, and the command that opens it."""
    following = next_lesson(list(standing))
    with st.container(border=True, key="learn_next"):
        if following is None:
            st.subheader("All done")
            st.markdown("You have been through the whole course. The dashboard's other pages are yours.")
            return
        kind = "lesson" if following.lesson.exercises else "notebook"
        st.subheader(f"Next: {kind} {heading(following)}")
        st.markdown(_able(following))
        st.caption(f"{_minutes(following)} Open it with this, in the folder of the workbench:")
        st.code(opening(following), language="bash")


def show_guided(standing: Sequence[Progress]) -> None:
    """The guided notebooks; each can be marked as read."""
    for one in split(standing)[0]:
        mark, words, figures = st.columns(_WIDTHS, vertical_alignment="top")
        key = f"learn.read.{one.lesson.key}"
        st.session_state[key] = one.finished  # what the workspace says, also where another tab said it
        mark.checkbox(
            f"{one.lesson.title} is read",
            key=key,
            label_visibility="collapsed",
            on_change=_mark,
            args=(one.lesson.key, key),
        )
        words.markdown(f"**{heading(one)}**  \n{_able(one)}")
        figures.caption(_minutes(one))


def _mark(notebook: str, key: str) -> None:
    with show_errors("course_error"):
        progress_store.mark_read(notebook, st.session_state[key])


def show_lessons(standing: Sequence[Progress]) -> None:
    """The lessons, each with its exercises and a way to begin it anew."""
    for one in split(standing)[1]:
        mark, words, figures = st.columns(_WIDTHS, vertical_alignment="top")
        mark.markdown(":green[:material/check_circle:]" if one.finished else ":gray[:material/circle:]")
        with words:
            st.markdown(f"**{heading(one)}**  \n{_able(one)}")
            with st.expander("Exercises", key=f"learn_{one.lesson.key}"):
                _exercises(one)
        with figures:
            st.caption(_minutes(one))
            st.progress(one.done / one.total, f"{one.done} of {one.total} exercises")


def _exercises(one: Progress) -> None:
    st.code(opening(one), language="bash")
    for name in one.lesson.exercises:
        known = progress_store.exercise_progress(name)
        mark = ":green[:material/check:]" if known["passed"] else ":gray[:material/more_horiz:]"
        title = exercises.label(name) if name in exercises else name
        st.markdown(f"{mark} {name.split('.')[1]}. {title} :gray[{_tries(known)}]")
    key = f"learn.anew.{one.lesson.key}"
    if one.started and st.button("Begin anew", icon=":material/restart_alt:", key=key, help="Forgets what was tried."):
        with show_errors(f"{key}.error"):
            progress_store.reset_lesson(one.lesson.key)
            st.rerun()


def _tries(known: dict[str, object]) -> str:
    counts = (("tries", "try", "tries"), ("hints", "hint", "hints"))
    said = [f"{known[key]} {single if known[key] == 1 else several}" for key, single, several in counts if known[key]]
    return ", ".join([*said, "solution seen"] if known["solution"] else said)


def split(standing: Sequence[Progress]) -> tuple[list[Progress], list[Progress]]:
    """Guided notebooks, and lessons."""
    guided = [one for one in standing if not one.lesson.exercises]
    return guided, [one for one in standing if one.lesson.exercises]


def heading(one: Progress) -> str:
    return f"{one.lesson.key.split('-')[0]} · {one.lesson.title}"


def opening(one: Progress, root: Path = ROOT) -> str:
    """The command that opens a part in JupyterLab."""
    notebook = one.lesson.notebook.relative_to(root).as_posix()
    return f"make lab ARGS={notebook}" if is_checkout() else f"workbench lab {notebook}"


def _able(one: Progress) -> str:
    return f"Afterwards you can {one.lesson.learning_outcome}" if one.lesson.learning_outcome else ""


def _minutes(one: Progress) -> str:
    return f"About {one.lesson.minutes} minutes." if one.lesson.minutes else ""
