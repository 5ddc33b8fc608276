"""Folder sizes against a manual count; links are not followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workbench.data.storage import folder_usage
from workbench.workspace import Workspace


def by_name(workspace: Workspace) -> dict[str, tuple[int, int, int]]:
    return {folder.name: (folder.bytes, folder.files, folder.entries) for folder in folder_usage(workspace)}


def test_files_at_any_depth_are_counted(workspace: Workspace) -> None:
    (workspace.runs / "a" / "model").mkdir(parents=True)
    (workspace.runs / "a" / "model" / "x").write_bytes(b"12345")
    (workspace.runs / "b").mkdir()
    (workspace.runs / "b" / "y").write_bytes(b"123")
    (workspace.uploads / "z.csv").write_bytes(b"1")
    (workspace.uploads / ".half").write_bytes(b"12")
    assert by_name(workspace) == {"Runs": (8, 2, 2), "Uploads": (3, 2, 1), "Cache": (0, 0, 0)}


def test_links_are_not_followed(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "large").write_bytes(b"1" * 1000)
    (workspace.runs / "loop").symlink_to(workspace.root)
    (workspace.runs / "out").symlink_to(tmp_path / "elsewhere")
    (workspace.cache / "file").symlink_to(tmp_path / "elsewhere" / "large")
    usage = by_name(workspace)
    assert usage["Runs"][:2] == usage["Cache"][:2] == (0, 0)


def test_a_shared_folder_of_downloads_is_listed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "shared"))
    assert by_name(workspace)["Shared downloads"] == (0, 0, 0)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "x").write_bytes(b"12")
    assert by_name(workspace)["Shared downloads"] == (2, 1, 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")
def test_unreadable_folders_are_skipped(workspace: Workspace) -> None:
    (workspace.runs / "a").mkdir(mode=0)
    assert by_name(workspace)["Runs"] == (0, 0, 1)
