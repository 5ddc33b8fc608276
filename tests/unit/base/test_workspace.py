"""The workspace: set by the environment, created on demand, safe from paths outside, with private settings."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from workbench.errors import RefusedError, StorageError
from workbench.workspace import Workspace


def test_the_workspace_of_the_environment_is_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(tmp_path / "a" / "b"))
    workspace = Workspace.current()
    assert workspace.root == tmp_path / "a" / "b"
    assert all(folder.is_dir() for folder in (workspace.runs, workspace.cache, workspace.uploads))


@pytest.mark.parametrize("value", [None, ""])
def test_default_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WORKBENCH_HOME")
    if value is not None:
        monkeypatch.setenv("WORKBENCH_HOME", value)
    assert Workspace.current().root == tmp_path / ".workbench"


def test_a_file_of_that_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StorageError, match="there is a file of that name"):
        Workspace(tmp_path / "taken").create()


@pytest.mark.parametrize(
    "name", ["..", "../runs2/x", "/etc", "a/b", "a\\b", "", ".hidden", "a\0b", "C:x", "%2e%2e", "x\n"]
)
def test_unsafe_run_ids_are_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(RefusedError, match="is not a valid run id"):
        workspace.run_folder(name)


def test_a_run_folder_that_links_outside_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (workspace.runs / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="is outside"):
        workspace.run_folder("link")


def test_run_folders_keep_the_path_of_the_workspace(tmp_path: Path) -> None:
    """A workspace opened through a link returns paths through that link, also for opened runs."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    workspace = Workspace(tmp_path / "link").create()
    assert workspace.run_folder("some-run") == workspace.runs / "some-run"


def test_settings_are_merged_and_private(workspace: Workspace) -> None:
    workspace.save_settings(password="hash", theme="dark")
    workspace.save_settings(theme=None, language="zh")
    assert workspace.settings() == {"password": "hash", "language": "zh"}
    assert workspace.settings_file.stat().st_mode & 0o777 == 0o600


def _save_many(root: Path, name: str) -> None:
    for number in range(10):
        Workspace(root).save_settings(**{f"{name}-{number}": number})


def test_settings_of_two_processes_are_both_stored(workspace: Workspace) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_save_many, args=(workspace.root, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(workspace.settings()) == 20


def test_damaged_settings_read_as_none(workspace: Workspace) -> None:
    workspace.settings_file.write_bytes(b"{half")
    assert workspace.settings() == {}
    workspace.settings_file.write_text("[1]")
    assert workspace.settings() == {}


@pytest.mark.parametrize(("code", "reason"), [(errno.EROFS, "read-only"), (errno.EACCES, "not allowed")])
def test_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=reason):
        Workspace(tmp_path / "home").create()
