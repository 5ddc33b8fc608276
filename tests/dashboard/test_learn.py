"""The page Learn: what is read, what comes next, the exercises of a lesson."""

from __future__ import annotations

from tests.dashboard.pages import open_page, text_of, well
from workbench.teach import progress_store
from workbench.teach.lessons import lessons, notebooks
from workbench.workspace import Workspace


def test_every_part_of_the_course_is_listed_with_the_command_that_opens_the_next(workspace: Workspace) -> None:
    test = well(open_page("learn"))
    for part in (*notebooks(), *lessons()):
        assert part.title in text_of(test)
    first = notebooks()[0]
    assert test.code[0].value == f"make lab ARGS=notebooks/{first.notebook.name}"


def test_a_notebook_is_ticked_and_another_is_next(workspace: Workspace) -> None:
    test = well(open_page("learn"))
    first, second = notebooks()[:2]
    well(test.checkbox(key=f"learn.read.{first.key}").check().run())
    assert progress_store.read_notebooks() == {first.key}
    assert f"Next notebook: {second.key[:2]} · {second.title}" in text_of(test)
    again = well(open_page("learn"))
    assert again.checkbox(key=f"learn.read.{first.key}").value
    # What another tab takes back is not set again by this one.
    progress_store.mark_read(first.key, False)
    assert not well(test.run()).checkbox(key=f"learn.read.{first.key}").value
    assert progress_store.read_notebooks() == set()


def test_a_lesson_shows_its_exercises_and_can_be_started_over(workspace: Workspace) -> None:
    part = lessons()[0]
    progress_store.record_attempt(part.exercises[0], right=False)
    progress_store.record_attempt(part.exercises[0], right=True)
    progress_store.record_hint(part.exercises[0])
    test = well(open_page("learn"))
    assert f"Next lesson: {part.key[:2]} · {part.title}" in text_of(test)
    assert "2 attempts, 1 hint" in text_of(test)
    assert test.metric[0].value.startswith("1 of ")
    well(test.button(key=f"learn.anew.{part.key}").click().run())
    assert "2 attempts" not in text_of(test)
    assert progress_store.passed_exercises() == set()
