"""The reader's progress: counted from passed exercises, and what comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.files import write_json
from workbench.teach import progress_store
from workbench.teach.progress import Progress, course_progress, next_lesson
from workbench.workspace import Workspace

LESSON = """# %% [markdown]
# # {number} · Lesson {number}
#
# **After this lesson you can** count. **Time:** about 30 minutes
# %%
# exercise: {number}-lesson.1
# exercise: {number}-lesson.2
"""


@pytest.fixture
def course(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tutorials" / "src").mkdir(parents=True)
    (tmp_path / "notebooks" / "00_start.py").write_text(
        "# %% [markdown]\n# # 00 · Start\n# **Time:** about 10 minutes\n"
    )
    for number in ("01", "02"):
        (tmp_path / "tutorials" / "src" / f"{number}_lesson.py").write_text(LESSON.format(number=number))
    return tmp_path


def following(course: Path) -> str | None:
    next_entry = next_lesson(course_progress(course))
    return next_entry.lesson.key if next_entry else None


def test_started_lessons_come_before_new_ones(course: Path, workspace: Workspace) -> None:
    assert following(course) == "00-start"
    progress_store.mark_read("00-start")
    assert following(course) == "01-lesson"
    progress_store.record_attempt("02-lesson.2", right=False)
    assert following(course) == "02-lesson"
    for name in ("01-lesson.1", "01-lesson.2", "02-lesson.1", "02-lesson.2"):
        progress_store.record_attempt(name, right=True)
    assert following(course) is None


def test_minutes_left_count_unfinished_work_only(course: Path, workspace: Workspace) -> None:
    assert [entry.minutes_left for entry in course_progress(course)] == [10, 30, 30]
    progress_store.mark_read("00-start")
    progress_store.record_attempt("01-lesson.2", right=True)
    entries = course_progress(course)
    assert [entry.minutes_left for entry in entries] == [0, 15, 30]
    assert [(entry.done, entry.total, entry.started) for entry in entries] == [
        (1, 1, True),
        (1, 2, True),
        (0, 2, False),
    ]


def test_unmarking_a_notebook_leaves_exercises_alone(course: Path, workspace: Workspace) -> None:
    progress_store.record_attempt("01-lesson.1", right=True)
    progress_store.mark_read("00-start")
    progress_store.mark_read("03-other")
    progress_store.mark_read("00-start", False)
    assert progress_store.read_notebooks() == {"03-other"} and progress_store.passed_exercises() == {"01-lesson.1"}
    progress_store.reset_lesson("01-lesson")
    assert progress_store.read_notebooks() == {"03-other"} and progress_store.passed_exercises() == set()


def test_a_damaged_progress_file_is_ignored(workspace: Workspace) -> None:
    write_json(workspace.root / progress_store.FILE, {"read": "all", "exercises": []})
    assert progress_store.read_notebooks() == set() and progress_store.passed_exercises() == set()


def test_there_is_no_course_without_a_checkout(tmp_path: Path, workspace: Workspace) -> None:
    empty: list[Progress] = []
    assert course_progress(tmp_path) == empty
