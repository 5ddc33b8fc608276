"""The course is copied into a workspace without overwriting the user's changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.course_files import copy_course, course_root, is_checkout
from workbench.workspace import Workspace


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    for name in ("notebooks/00_start.ipynb", "notebooks/README.md", "tutorials/src/01_mail.py", "tutorials/01.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"first {name}")
    (folder / "notebooks" / ".ipynb_checkpoints").mkdir()
    (folder / "notebooks" / ".ipynb_checkpoints" / "00_start.ipynb").write_text("left over")
    return folder


def test_a_checkout_is_used_directly() -> None:
    assert is_checkout() and (course_root() / "notebooks" / "README.md").is_file()


def test_every_file_is_copied(source: Path, workspace: Workspace) -> None:
    copy = copy_course(workspace, source)
    files = sorted(path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file())
    assert files == [
        ".copied.json",
        "notebooks/00_start.ipynb",
        "notebooks/README.md",
        "tutorials/01.ipynb",
        "tutorials/src/01_mail.py",
    ]


def test_a_newer_version_replaces_only_unchanged_files(source: Path, workspace: Workspace) -> None:
    copy = copy_course(workspace, source)
    (copy / "notebooks" / "00_start.ipynb").write_text("the user's answers")
    (copy / "tutorials" / "01.ipynb").unlink()
    for path in source.rglob("*"):
        if path.is_file():
            path.write_text("second")
    for _ in range(2):
        copy_course(workspace, source)
        assert (copy / "notebooks" / "00_start.ipynb").read_text() == "the user's answers"
        assert (copy / "notebooks" / "README.md").read_text() == "second"
        assert (copy / "tutorials" / "01.ipynb").read_text() == "second", "a deleted file comes back"


def test_a_file_of_the_user_with_the_same_name_is_preserved(source: Path, workspace: Workspace) -> None:
    own_file = workspace.root / "course" / "notebooks" / "README.md"
    own_file.parent.mkdir(parents=True)
    own_file.write_text("mine")
    copy_course(workspace, source)
    assert own_file.read_text() == "mine"
