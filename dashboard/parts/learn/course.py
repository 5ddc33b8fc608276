"""The course on the page Learn: what comes next, the guided notebooks, the lessons with their exercises."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from dashboard.parts.shared.errors import shown
from dashboard.parts.shared.text import duration
from workbench.teach import progress
from workbench.teach.exercises import exercises
from workbench.teach.lessons import ROOT
from workbench.teach.standing import Standing, next_of

_WIDTHS = (1, 22, 7)  # of a row's mark, words and figures


def show_sum(standing: Sequence[Standing]) -> None:
    """How far the reader has come, over all."""
    guided, lessons = split(standing)
    done, of = sum(one.done for one in lessons), sum(one.of for one in lessons)
    left = sum(one.minutes_left for one in standing)
    with st.container(horizontal=True):
        st.metric("Exercises", f"{done} of {of}", border=True)
        st.metric("Notebooks read", f"{sum(one.done for one in guided)} of {len(guided)}", border=True)
        rest = duration(60 * round(left / 5) * 5) or "none"
        st.metric("Left, about", rest, border=True, help="By the times in the openings, on a laptop's CPU.")


def show_next(standing: Sequence[Standing]) -> None:
    """The part that comes next, and the command that opens it."""
    following = next_of(list(standing))
    with st.container(border=True, key="learn_next"):
        if following is None:
            st.subheader("All done")
            st.markdown("You have been through the whole course. The dashboard's other pages are yours.")
            return
        kind = "lesson" if following.part.exercises else "notebook"
        st.subheader(f"Next: {kind} {heading(following)}")
        st.markdown(_able(following))
        st.caption(f"{_minutes(following)} Open it with this, in the folder of the workbench:")
        st.code(opening(following), language="bash")


def show_guided(standing: Sequence[Standing]) -> None:
    """The guided notebooks; each can be marked as read."""
    for one in split(standing)[0]:
        mark, words, figures = st.columns(_WIDTHS, vertical_alignment="top")
        key = f"learn.read.{one.part.key}"
        st.session_state[key] = one.finished  # what the workspace says, also where another tab said it
        mark.checkbox(
            f"{one.part.title} is read",
            key=key,
            label_visibility="collapsed",
            on_change=_mark,
            args=(one.part.key, key),
        )
        words.markdown(f"**{heading(one)}**  \n{_able(one)}")
        figures.caption(_minutes(one))


def _mark(notebook: str, key: str) -> None:
    with shown("course_error"):
        progress.mark_read(notebook, st.session_state[key])


def show_lessons(standing: Sequence[Standing]) -> None:
    """The lessons, each with its exercises and a way to begin it anew."""
    for one in split(standing)[1]:
        mark, words, figures = st.columns(_WIDTHS, vertical_alignment="top")
        mark.markdown(":green[:material/check_circle:]" if one.finished else ":gray[:material/circle:]")
        with words:
            st.markdown(f"**{heading(one)}**  \n{_able(one)}")
            with st.expander("Exercises", key=f"learn_{one.part.key}"):
                _exercises(one)
        with figures:
            st.caption(_minutes(one))
            st.progress(one.done / one.of, f"{one.done} of {one.of} exercises")


def _exercises(one: Standing) -> None:
    st.code(opening(one), language="bash")
    for name in one.part.exercises:
        known = progress.progress(name)
        mark = ":green[:material/check:]" if known["passed"] else ":gray[:material/more_horiz:]"
        title = exercises.label(name) if name in exercises else name
        st.markdown(f"{mark} {name.split('.')[1]}. {title} :gray[{_tries(known)}]")
    key = f"learn.anew.{one.part.key}"
    if one.begun and st.button("Begin anew", icon=":material/restart_alt:", key=key, help="Forgets what was tried."):
        with shown(f"{key}.error"):
            progress.forget(one.part.key)
            st.rerun()


def _tries(known: dict[str, object]) -> str:
    counts = (("tries", "try", "tries"), ("hints", "hint", "hints"))
    said = [f"{known[key]} {single if known[key] == 1 else several}" for key, single, several in counts if known[key]]
    return ", ".join([*said, "solution seen"] if known["solution"] else said)


def split(standing: Sequence[Standing]) -> tuple[list[Standing], list[Standing]]:
    """Guided notebooks, and lessons."""
    guided = [one for one in standing if not one.part.exercises]
    return guided, [one for one in standing if one.part.exercises]


def heading(one: Standing) -> str:
    return f"{one.part.key.split('-')[0]} · {one.part.title}"


def opening(one: Standing, root: Path = ROOT) -> str:
    """The command that opens a part in JupyterLab."""
    return f"make lab ARGS={one.part.notebook.relative_to(root).as_posix()}"


def _able(one: Standing) -> str:
    return f"Afterwards you can {one.part.able}" if one.part.able else ""


def _minutes(one: Standing) -> str:
    return f"About {one.part.minutes} minutes." if one.part.minutes else ""
