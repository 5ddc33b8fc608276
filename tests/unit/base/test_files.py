"""Atomic writes, JSON lines, safe names and paths, and locks."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench import files
from workbench.errors import BusyError, RefusedError, StorageError, UnknownNameError
from workbench.files import (
    append_line,
    finite,
    inside,
    last_lines,
    read_json,
    read_lines,
    safe_name,
    slug,
    write_atomically,
    write_json,
    write_text,
)
from workbench.locks import Lock, waiting_lock

# -- atomic writes ------------------------------------------------------------------------------------------------


def test_a_file_is_replaced_with_the_requested_permissions(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    write_text(path, "new é 汉", mode=0o600)
    assert path.read_text(encoding="utf-8") == "new é 汉"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def _fail_in(name: str, code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, f"{name} failed")

    return fail


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_storage_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with monkeypatch.context() as broken:
        broken.setattr(files.os, step, _fail_in(step, code))
        with pytest.raises(StorageError, match="file could not be written"):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def half(file: IO[bytes]) -> None:
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_full_disk_of_a_real_process(tmp_path: Path) -> None:
    """If the system limits the size of files, the old file stays and no temporary file is left."""
    write_text(tmp_path / "file", "old")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from workbench.errors import StorageError; from workbench.files import write_text\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except StorageError as error: print(error.message)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], capture_output=True, text=True)
    assert "larger than this system allows" in out.stdout, out.stderr
    assert (tmp_path / "file").read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_folder_that_cannot_be_flushed_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems reject fsync on a folder with EINVAL."""
    monkeypatch.setattr(files.os, "fsync", _fail_in("fsync", errno.EINVAL))
    files.fsync_folder(tmp_path)


def test_reader_never_sees_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = ["a" * 50_000, "b" * 80_000]
    write_text(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            write_text(path, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_text())
    writer.join()
    assert seen <= set(contents)


# -- JSON and lines -----------------------------------------------------------------------------------------------


def test_non_finite_numbers_become_null(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"a": math.nan, "b": [math.inf, (-math.inf, 1.5)], "c": {"d": 2}})
    assert read_json(tmp_path / "file") == {"a": None, "b": [None, [None, 1.5]], "c": {"d": 2}}


def test_lone_surrogate_survives(tmp_path: Path) -> None:
    """JSON may contain one as an escape, but UTF-8 cannot encode it."""
    value = {"text": "half a pair \ud83d, 汉字"}
    write_json(tmp_path / "file", value)
    append_line(tmp_path / "lines", value)
    assert read_json(tmp_path / "file") == value
    assert read_lines(tmp_path / "lines")[0] == [value]


@pytest.mark.parametrize("content", [b"", b"{half", b"\xff\xfe\x00", b"[" * 100_000, b"\0" * 50])
def test_damaged_json_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    assert read_json(tmp_path / "file") is None
    assert read_json(tmp_path / "missing") is None


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=10))
def test_finite_values_are_valid_json_and_otherwise_unchanged(value: Any) -> None:
    text = json.dumps(finite(value), allow_nan=False)
    assert finite(json.loads(text)) == finite(value)


def test_an_unfinished_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    with open(path, "ab") as file:
        file.write(b'{"step": 2, "lo')  # the process died here
    assert read_lines(path)[0] == [{"step": 1}]
    append_line(path, {"step": 3})
    assert read_lines(path)[0] == [{"step": 1}, {"step": 3}]


def test_reading_continues_at_the_returned_offset(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    assert read_lines(path) == ([], 0)
    append_line(path, {"a": 1})
    rows, end = read_lines(path)
    with open(path, "ab") as file:
        file.write(b'{"b"')
    assert read_lines(path, end) == ([], end)
    with open(path, "ab") as file:
        file.write(b": 2}\n")
    assert read_lines(path, end)[0] == [{"b": 2}]
    assert rows == [{"a": 1}]


@pytest.mark.parametrize("most", range(1, 40))
def test_the_last_lines_are_whole_lines(tmp_path: Path, most: int) -> None:
    path = tmp_path / "lines"
    assert last_lines(path, most) == []
    lines = [b'{"a": 1}\n', b'{"b": "{"}\n', b'{"c": 3}\n']
    path.write_bytes(b"".join(lines) + b'{"d"')  # a fourth line is being written
    fits = [sum(map(len, lines[i:])) + 4 <= most for i in range(3)]
    rows = [{"a": 1}, {"b": "{"}, {"c": 3}]
    assert last_lines(path, most) == [row for row, included in zip(rows, fits, strict=True) if included]


def test_the_last_lines_of_an_old_file_are_read_once_until_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')
    os.utime(path, (1e9, 1e9))
    first = last_lines(path, 100)
    assert last_lines(path, 100) is first and last_lines(path, 10) == [{"b": 2}]
    append_line(path, {"c": 3})
    os.utime(path, (1e9, 1e9))  # only its size shows the change
    assert last_lines(path, 100) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_lines_that_are_no_json_objects_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'1\nnull\n[1]\nnot json\n\xff\xff\n\n{"a": 1}\r\n' + b"[" * 100_000 + b'\n{"b": 2}\n')
    assert read_lines(path)[0] == [{"a": 1}, {"b": 2}]


def test_a_line_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Long lines too: two writes could leave half a line behind, or mix the lines of two writers."""
    path = tmp_path / "lines"
    append_line(path, {"a": 1})
    output = subprocess.run(
        [sys.executable, "-c", _COUNT_WRITES, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["1"]
    assert read_lines(path)[0][1] == {"text": "x" * 100_000}


_COUNT_WRITES = """
import io, sys
from pathlib import Path
import workbench.files as files

writes = 0
class Counting(io.FileIO):
    def write(self, data):
        global writes
        writes += 1
        return super().write(data)

def opened(path, mode, buffering=-1, opener=None):
    raw = Counting(path, mode.replace("b", ""))
    return raw if buffering == 0 else io.BufferedRandom(raw)

files.open = opened
files.append_line(Path(sys.argv[1]), {"text": "x" * 100_000})
print(writes)
"""


def test_appending_to_a_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open", _fail_in("open", errno.ENOSPC), raising=False)
    with pytest.raises(StorageError, match="the disk is full"):
        append_line(tmp_path / "lines", {"a": 1})


# -- names and paths ----------------------------------------------------------------------------------------------

OUTSIDE = ["..", "../x", "a/../../x", "/etc/passwd", "../home2/x", "link/x", "loop", "loop/x", "a\0b", "\ud800"]


@pytest.fixture
def folder_with_links(tmp_path: Path) -> Path:
    """A folder with a sibling of the same prefix, a link to the outside, and a loop of links."""
    folder = tmp_path / "home"
    for path in (folder / "a", tmp_path / "home2"):
        path.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "pool")
    (folder / "pool").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_outside_are_refused(folder_with_links: Path, path: str) -> None:
    with pytest.raises(RefusedError):
        inside(folder_with_links, path)


def test_paths_inside_are_resolved(folder_with_links: Path) -> None:
    assert inside(folder_with_links, "a/b/../c") == folder_with_links.resolve() / "a" / "c"
    assert inside(folder_with_links, folder_with_links / "a") == folder_with_links.resolve() / "a"
    assert inside(folder_with_links, "%2e%2e/x").is_relative_to(folder_with_links.resolve())
    assert inside(folder_with_links, "link/home/a") == folder_with_links.resolve() / "a"


@given(st.text(max_size=30))
def test_safe_name_is_one_component_or_an_error(text: str) -> None:
    try:
        name = safe_name(text)
    except RefusedError:
        return
    assert Path("/base", name).parent == Path("/base")
    assert Path(os.path.normpath(f"/base/{name}")) == Path("/base", name)
    assert name.isascii()
    assert not name.startswith((".", "-"))


@given(st.text(max_size=200), st.integers(1, 80))
def test_slug_is_a_safe_name(text: str, length: int) -> None:
    assert safe_name(slug(text, length)) == slug(text, length)
    assert len(slug(text, length)) <= max(length, len("run"))


# -- locks --------------------------------------------------------------------------------------------------------

_HOLD = """
import sys, time
from pathlib import Path
from workbench.locks import Lock
assert Lock(Path(sys.argv[1]), {"pid": 7, "what": "a test"}).acquire()
print("held", flush=True)
time.sleep(60)
"""


def _holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_lock_of_another_process_and_its_sudden_death(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    other = _holder(path)
    try:
        mine = Lock(path)
        assert mine.is_held()
        assert not mine.acquire()
        assert mine.holder() == {"pid": 7, "what": "a test"}
        with pytest.raises(BusyError, match="a test"), Lock(path):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert not mine.is_held()
    assert mine.holder() == {}  # its note is still in the file but no longer counts
    assert mine.acquire()
    mine.release()


def test_checking_a_lock_does_not_hold_it(tmp_path: Path) -> None:
    """A lock can always be acquired, even while other threads constantly check whether it is held."""
    path = tmp_path / "lock"
    Lock(path).path.touch()
    keep_looking = threading.Event()
    keep_looking.set()

    def look() -> None:
        while keep_looking.is_set():
            Lock(path).is_held()

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        n_acquired = 0
        for _ in range(50):
            lock = Lock(path)
            n_acquired += lock.acquire()
            lock.release()
    finally:
        keep_looking.clear()
        for watcher in watchers:
            watcher.join()
    assert n_acquired == 50


def test_a_lock_in_a_read_only_folder_can_be_checked(tmp_path: Path) -> None:
    """Checking a lock needs no write permission: you can see which runs are active in a colleague's workspace."""
    path = tmp_path / "lock"
    lock = Lock(path)
    lock.acquire()
    path.chmod(0o400)
    real_open = os.open

    def open_read_only(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "may only read")
        return real_open(name, flags, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "open", open_read_only)
        assert Lock(path).is_held()
    lock.release()


def test_deleted_folder_does_not_come_back(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gone"):
        Lock(tmp_path / "gone" / "lock", make_folder=False).acquire()
    with pytest.raises(UnknownNameError), waiting_lock(tmp_path / "gone" / "lock", make_folder=False):
        pass
    assert not (tmp_path / "gone").exists()


def test_a_lock_is_acquired_without_its_note_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    with monkeypatch.context() as broken:
        broken.setattr(files.os, "pwrite", _fail_in("pwrite", errno.ENOSPC))
        with Lock(path) as lock:
            assert lock.is_held()
            assert lock.holder() == {}
    assert not Lock(path).is_held()


def test_a_lock_that_cannot_be_created_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "open", _fail_in("open", errno.EROFS))
    with pytest.raises(StorageError, match="read-only"):
        Lock(tmp_path / "lock").acquire()


def test_waiting_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    inside_now, max_inside = 0, 0

    def enter() -> None:
        nonlocal inside_now, max_inside
        for _ in range(20):
            with waiting_lock(tmp_path / "lock"):
                inside_now += 1
                max_inside = max(max_inside, inside_now)
                inside_now -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max_inside == 1
