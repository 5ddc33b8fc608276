"""Every exercise: its stub fails with a helpful message, its solution passes, typical wrong answers get their hint."""

from __future__ import annotations

import contextlib
import io
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
import pytest

from workbench.teach import check, lessons
from workbench.teach.check import Verdict
from workbench.teach.exercises import exercises

ROOT = Path(__file__).resolve().parents[2]
TEXTS = sorted((ROOT / "tutorials" / "src").glob("[0-9]*.py"))
WRONG = Path(__file__).parent / "wrong_answers"


def cells(text: Path) -> list[Any]:
    return [cell for cell in jupytext.read(text).cells if cell.cell_type == "code"]


def exercise_cells() -> Iterator[tuple[Path, str, str]]:
    for text in TEXTS:
        for cell in cells(text):
            name = lessons.exercise_of(cell.source)
            if name:
                yield text, name, cell.source


CELLS = {name: (text, cell) for text, name, cell in exercise_cells()}


def wrong_answers() -> Iterator[tuple[str, str, str]]:
    for file in sorted(WRONG.glob("[0-9]*.py")):
        yield from runpy.run_path(str(file))["WRONG"]


def verdict(name: str, cell: str) -> Verdict:
    """Return the verdict of ``check`` when the cell runs after the lesson's cells that are tagged ``setup``."""
    output: list[Verdict] = []

    def recording_check(exercise: str, answer: Any) -> Verdict:
        output.append(check(exercise, answer))
        return output[-1]

    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for earlier in cells(CELLS[name][0]):
            if "setup" in earlier.metadata.get("tags", []):
                exec(earlier.source, names)
        names["check"] = recording_check
        exec(cell, names)
    (only,) = output
    assert only.exercise == name, f"the cell of {name} checks {only.exercise}"
    return only


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_COURSE_SCALE", "test")


@pytest.mark.parametrize("name", CELLS)
def test_the_stub_fails_with_a_helpful_message(name: str) -> None:
    output = verdict(name, lessons.stubbed(CELLS[name][1]))
    assert not output.right
    assert "not filled in yet" in output.message or "return" in output.message, output.message


@pytest.mark.parametrize("name", CELLS)
def test_the_solution_passes(name: str) -> None:
    output = verdict(name, lessons.solved(CELLS[name][1]))
    assert output.right, output.message


@pytest.mark.parametrize(("name", "code", "words"), list(wrong_answers()))
def test_a_typical_wrong_answer_gets_its_hint(name: str, code: str, words: str) -> None:
    output = verdict(name, lessons.answered(CELLS[name][1], code))
    assert not output.right
    assert words in output.message, output.message


def test_each_exercise_is_required_has_hints_and_two_wrong_answers() -> None:
    assert sorted(CELLS) == exercises.names()
    wrong = [name for name, _, _ in wrong_answers()]
    for name, exercise in exercises.items():
        assert exercise.hints, f"{name} has no hints"
        assert wrong.count(name) >= 2, f"{name} has {wrong.count(name)} wrong answers"
        assert lessons.solution_of(name, ROOT), name


@pytest.mark.parametrize("lesson", lessons.lessons(ROOT), ids=lambda lesson: lesson.key)
def test_a_lesson_has_an_outcome_a_duration_and_four_to_eight_exercises(lesson: lessons.Lesson) -> None:
    assert lesson.learning_outcome and lesson.minutes and 20 <= lesson.minutes <= 40
    assert 4 <= len(lesson.exercises) <= 8
    number = lesson.key.split("-")[0]
    names = {name.split(".")[0] for name in lesson.exercises}
    assert len(names) == 1 and next(iter(names)).startswith(number)
    assert [int(name.split(".")[1]) for name in lesson.exercises] == list(range(1, len(lesson.exercises) + 1))
