"""Special, huge and deep files: none is opened, waited for, or read without end. New files are their owner's alone."""

from __future__ import annotations

import ast
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from workbench.errors import StorageError
from workbench.files import append_line, last_lines, read_json, read_json_cached, read_lines, storage_errors, write_json
from workbench.locks import Lock
from workbench.system import opening
from workbench.system.opening import MAX_DOCUMENT_BYTES, is_deeper, open_log, open_regular, read_limited
from workbench.workspace import Workspace


def special_file(path: Path, kind: str) -> Path:
    """Make a file that must not be opened."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        with open(path, "wb") as file:
            file.truncate(MAX_DOCUMENT_BYTES + 1)
    return path


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "folder", "endless", "loop"])
def test_a_special_file_is_damaged_and_holds_nobody_up(tmp_path: Path, kind: str) -> None:
    """Opening a pipe waits for a writer; /dev/zero has no end."""
    path = special_file(tmp_path / "status.json", kind)
    assert read_json(path) is None
    assert read_json_cached(path) is None
    assert read_lines(path) == ([], 0)
    assert last_lines(path, 1000) == []
    for read in (open_regular, read_limited, open_log):
        with pytest.raises(OSError):
            read(path)
    with pytest.raises(OSError):
        append_line(path, {})
    assert not Lock(path).is_held()
    if kind != "loop":
        before = os.stat(path).st_mode
        with pytest.raises(StorageError, match="in place of a lock"):
            Lock(path).acquire()
        assert os.stat(path).st_mode == before  # of /dev/zero


def test_a_document_above_the_limit_is_not_read(tmp_path: Path) -> None:
    assert read_json(special_file(tmp_path / "huge", "huge")) is None
    (tmp_path / "fits").write_text(json.dumps("x" * 100))
    assert read_json(tmp_path / "fits", max_bytes=102) == "x" * 100
    assert read_json(tmp_path / "fits", max_bytes=101) is None


@pytest.mark.parametrize("open_, close", [("[", "]"), ('{"a":', "}")])
def test_a_deep_document_is_damaged(tmp_path: Path, open_: str, close: str) -> None:
    """json reads some thousand levels; code that then copies or prints the value by recursion fails."""
    for depth, readable in ((100, True), (101, False), (900, False)):
        (tmp_path / "file").write_text(open_ * depth + "1" + close * depth)
        assert (read_json(tmp_path / "file") is not None) == readable, depth


def test_brackets_in_texts_are_not_levels(tmp_path: Path) -> None:
    value = ["[" * 300, 'a "quoted" [[[ \\', {"{" * 200: "\\"}]
    assert not is_deeper(json.dumps(value).encode(), 3)
    write_json(tmp_path / "file", [value] * 60)
    assert read_json(tmp_path / "file") == [value] * 60


def test_files_folders_and_locks_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever the umask: others must not read texts, and who can open a lock can hold it."""
    before = os.umask(0)
    try:
        workspace = Workspace(tmp_path / "home").create()
        write_json(workspace.root / "document", {})
        append_line(workspace.root / "lines", {})
        open_log(workspace.root / "log").close()
        with Lock(workspace.root / "lock"):
            pass
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in workspace.root.iterdir()}
    assert modes == dict.fromkeys(("document", "lines", "log", "lock"), 0o600) | dict.fromkeys(
        ("runs", "cache", "uploads"), 0o700
    )
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700


def test_a_workspace_of_an_earlier_version_is_closed(tmp_path: Path) -> None:
    for folder in ("home", "home/runs", "home/cache", "home/uploads"):
        (tmp_path / folder).mkdir(mode=0o755)
    (tmp_path / "home" / "worker.lock").touch(mode=0o644)
    workspace = Workspace(tmp_path / "home").create()
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700
    with Lock(workspace.root / "worker.lock") as lock:
        assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600


def test_a_folder_of_other_things_stays_open_and_its_subfolders_are_closed(tmp_path: Path) -> None:
    """Somebody may name a shared folder: closing it would take away what others have in it."""
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "other.txt").touch()
    workspace = Workspace(shared).create()
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert {stat.S_IMODE(path.stat().st_mode) for path in (workspace.runs, workspace.cache)} == {0o700}


def test_a_lock_whose_file_was_replaced_is_not_current(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock")
    assert not lock.is_current()
    with lock:
        assert lock.is_current()
        lock.path.unlink()
        assert not lock.is_current()
        lock.path.touch()
        assert not lock.is_current()


def test_a_full_disk_is_blamed_and_the_cache_is_advised_only_if_it_is_on_it(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hint(path: Path) -> str:
        with pytest.raises(StorageError) as raised, storage_errors(path):
            raise OSError(28, "full")
        assert raised.value.reason == "the disk is full"
        return raised.value.hint

    assert "data clean" not in hint(workspace.runs / "file")  # there is nothing in the cache
    (workspace.cache / "something").touch()
    assert "data clean" in hint(workspace.runs / "file")
    elsewhere = Path("/dev/shm") if Path("/dev/shm").stat().st_dev != tmp_path.stat().st_dev else Path("/proc")
    assert "data clean" not in hint(elsewhere / "file")
    assert str(elsewhere) in hint(elsewhere / "file")


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 10)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert opening.read_limited(tmp_path / "link", 10) == b"x" * 10


AS_NOBODY = """
import fcntl, os, sys
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for name in ("worker.lock", "runs/one/run.lock", "runs/one/predictions.parquet", "runs", "settings.json"):
    try:
        handle = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print(name)
    except PermissionError:
        pass
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("of_earlier_version", [False, True])
def test_somebody_else_can_read_nothing_and_hold_no_lock(of_earlier_version: bool) -> None:
    """Who holds worker.lock keeps every worker from starting."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        root = Path(folder) / "home"
        before = os.umask(0o022)
        try:
            if of_earlier_version:
                (root / "runs" / "one").mkdir(parents=True)
                for name in ("worker.lock", "runs/one/run.lock", "settings.json"):
                    (root / name).write_text("")
            workspace = Workspace(root).create()
            (workspace.runs / "one").mkdir(exist_ok=True)
            (workspace.runs / "one" / "predictions.parquet").write_text("private")  # by a library, with its own mode
            workspace.save_settings(theme="dark")
            with Lock(root / "worker.lock"), Lock(workspace.runs / "one" / "run.lock"):
                pass
        finally:
            os.umask(before)
        done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(root)], capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""


# Where it is not a file of a run or a sweep: a user's own plan, the null device, the index of the metric store.
OTHERWISE = {"jobs/sweep_plan.py": 1, "jobs/start_worker.py": 1, "runs/series/metric_store.py": 1}


def test_nobody_goes_round_the_readers() -> None:
    """A pipe among the files of a run would block every process that opens it."""
    calls: dict[str, int] = {}
    package = Path(opening.__file__).parents[1]
    for folder in ("runs", "jobs"):
        for path in sorted((package / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                is_open = isinstance(node.func, ast.Name) and name == "open"
                safe = any(keyword.arg == "opener" for keyword in node.keywords)
                if (is_open and not safe) or name in ("read_text", "read_bytes"):
                    key = path.relative_to(package).as_posix()
                    calls[key] = calls.get(key, 0) + 1
    assert calls == OTHERWISE, "call workbench.system.opening.open_regular, read_limited or open_log instead"
