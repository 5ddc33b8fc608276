"""The overview of the course in JupyterLab: what is done and what comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import UnknownNameError
from workbench.teach import done, progress_store
from workbench.teach.lessons import Lesson
from workbench.teach.overview import Done, Overview, overview
from workbench.teach.progress import Progress, course_progress, next_after
from workbench.workspace import Workspace


def make_progress(key: str, done: int, of: int, minutes: int | None = 30) -> Progress:
    lesson = Lesson(key, f"About <{key}>", "", minutes, (), Path(f"{key}.ipynb"))
    return Progress(lesson, done, of, done > 0)


def test_the_overview_names_what_comes_next() -> None:
    shown = Overview([make_progress("01-a", 3, 3), make_progress("02-b", 0, 4), make_progress("03-c", 1, 4)])
    # 03 was started, so it comes before 02; a quarter of its 30 minutes is done.
    assert repr(shown).endswith("Next: 03-c, About <03-c> (about 22 minutes).")
    assert "<progress value='1' max='4'>" in shown._repr_html_()
    assert "About &lt;02-b&gt;" in shown._repr_html_() and "About <02-b>" not in shown._repr_html_()


def test_a_finished_course_and_no_course() -> None:
    assert repr(Overview([make_progress("01-a", 3, 3)])).endswith("Everything is done.")
    assert repr(Overview([])).endswith("The course is not installed here.")


def test_the_overview_lists_the_whole_course() -> None:
    assert len(overview().entries) == len(course_progress()) > 0


def test_a_finished_notebook_is_marked_and_the_next_one_named(workspace: Workspace) -> None:
    shown = done("00-start-here")
    assert progress_store.read_notebooks() == {"00-start-here"}
    assert repr(shown).startswith("00-start-here is marked as read. Next: 01-text-to-numbers, ")
    assert "<b" in shown._repr_html_() and "Next: 01-text-to-numbers" in shown._repr_html_()
    # The one after the notebook just read, not the first unread one.
    assert "Next: 04-transformer" in repr(done("03-attention"))
    assert progress_store.read_notebooks() == {"00-start-here", "03-attention"}


def test_the_exercises_of_a_lesson_are_counted(workspace: Workspace) -> None:
    progress_store.record_attempt("01-mail.2", right=True)
    shown = done("01-mail")
    assert repr(shown).startswith("01-mail: 1 of 5 exercises are done. Next: 02-names, ")
    assert progress_store.read_notebooks() == set()  # a lesson is done by its exercises


def test_an_unknown_lesson_gets_a_suggestion(workspace: Workspace) -> None:
    with pytest.raises(UnknownNameError, match=r"no part of the course '00-start'.*'00-start-here'") as error:
        done("00-start")
    assert "12-summaries" in error.value.hint
    assert progress_store.read_notebooks() == set()


def test_after_the_last_lesson_come_unfinished_ones() -> None:
    entries = [make_progress("00-a", 0, 1), make_progress("01-b", 1, 1)]
    following = next_after("01-b", entries)
    assert following is not None and following.lesson.key == "00-a"
    finished = make_progress("01-b", 1, 1)
    assert next_after("01-b", [finished]) is None
    assert repr(Done(finished, None)) == "01-b is marked as read. Everything is done."
    assert repr(Done(None, None)) == "The course is not installed here."
