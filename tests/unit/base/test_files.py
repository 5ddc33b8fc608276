"""Files that are whole or absent, lines, names that stay inside, and locks."""

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

# -- whole or absent ----------------------------------------------------------------------------------------------


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
    """The system refuses to let the file grow; the old one stays, and nothing is left beside it."""
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
    """Some file systems refuse fsync on a folder with EINVAL."""
    monkeypatch.setattr(files.os, "fsync", _fail_in("fsync", errno.EINVAL))
    files.fsync_folder(tmp_path)


def test_reader_never_sees_half(tmp_path: Path) -> None:
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


def test_what_json_cannot_hold_becomes_null(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"a": math.nan, "b": [math.inf, (-math.inf, 1.5)], "c": {"d": 2}})
    assert read_json(tmp_path / "file") == {"a": None, "b": [None, [None, 1.5]], "c": {"d": 2}}


def test_lone_surrogate_survives(tmp_path: Path) -> None:
    """A user's JSON may hold one as an escape; UTF-8 has no bytes for it."""
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
def test_finite_is_json_and_changes_nothing_else(value: Any) -> None:
    text = json.dumps(finite(value), allow_nan=False)
    assert finite(json.loads(text)) == finite(value)


def test_half_a_line_spoils_nothing(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    append_line(path, {"step": 1})
    with open(path, "ab") as file:
        file.write(b'{"step": 2, "lo')  # the process died here
    assert read_lines(path)[0] == [{"step": 1}]
    append_line(path, {"step": 3})
    assert read_lines(path)[0] == [{"step": 1}, {"step": 3}]


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
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
    path.write_bytes(b"".join(lines) + b'{"d"')  # one of which is being written
    fits = [sum(map(len, lines[i:])) + 4 <= most for i in range(3)]
    whole = [{"a": 1}, {"b": "{"}, {"c": 3}]
    assert last_lines(path, most) == [row for row, there in zip(whole, fits, strict=True) if there]


def test_the_last_lines_of_an_old_file_are_read_once_until_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n{"b": 2}\n')
    os.utime(path, (1e9, 1e9))
    first = last_lines(path, 100)
    assert last_lines(path, 100) is first and last_lines(path, 10) == [{"b": 2}]
    append_line(path, {"c": 3})
    os.utime(path, (1e9, 1e9))  # by its size alone it is seen to have changed
    assert last_lines(path, 100) == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b'1\nnull\n[1]\nnot json\n\xff\xff\n\n{"a": 1}\r\n' + b"[" * 100_000 + b'\n{"b": 2}\n')
    assert read_lines(path)[0] == [{"a": 1}, {"b": 2}]


def test_a_line_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long: a process that dies between two writes would leave half of it, and two writers would mix."""
    path = tmp_path / "lines"
    append_line(path, {"a": 1})
    trace = subprocess.run(
        [sys.executable, "-c", _COUNT_WRITES, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert trace.split() == ["1"]
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

def opened(path, mode, buffering=-1):
    raw = Counting(path, mode.replace("b", ""))
    return raw if buffering == 0 else io.BufferedRandom(raw)

files.open = opened
files.append_line(Path(sys.argv[1]), {"text": "x" * 100_000})
print(writes)
"""


def test_a_full_disk_is_an_error_for_a_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "open", _fail_in("open", errno.ENOSPC), raising=False)
    with pytest.raises(StorageError, match="the disk is full"):
        append_line(tmp_path / "lines", {"a": 1})


# -- names and places ---------------------------------------------------------------------------------------------

CLIMBING = ["..", "../x", "a/../../x", "/etc/passwd", "../home2/x", "link/x", "loop", "a\0b", "\ud800"]


@pytest.fixture
def fenced(tmp_path: Path) -> Path:
    """A folder with a sibling that shares its prefix, a link out of it, and links in a loop."""
    folder = tmp_path / "home"
    for path in (folder / "a", tmp_path / "home2"):
        path.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "pool")
    (folder / "pool").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize("path", CLIMBING)
def test_what_lies_outside_is_refused(fenced: Path, path: str) -> None:
    with pytest.raises(RefusedError):
        inside(fenced, path)


def test_what_lies_inside_is_resolved(fenced: Path) -> None:
    assert inside(fenced, "a/b/../c") == fenced.resolve() / "a" / "c"
    assert inside(fenced, fenced / "a") == fenced.resolve() / "a"
    assert inside(fenced, "%2e%2e/x").is_relative_to(fenced.resolve())
    assert inside(fenced, "link/home/a") == fenced.resolve() / "a"


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
    assert mine.holder() == {}  # its note is still in the file, and tells nothing
    assert mine.acquire()
    mine.release()


def test_looking_is_not_holding(tmp_path: Path) -> None:
    """While others ask all the time whether the lock is held, it can still be taken, every time."""
    path = tmp_path / "lock"
    Lock(path).path.touch()
    looking = threading.Event()
    looking.set()

    def look() -> None:
        while looking.is_set():
            Lock(path).is_held()

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        taken = 0
        for _ in range(50):
            lock = Lock(path)
            taken += lock.acquire()
            lock.release()
    finally:
        looking.clear()
        for watcher in watchers:
            watcher.join()
    assert taken == 50


def test_lock_in_a_folder_that_cannot_be_written_can_be_looked_at(tmp_path: Path) -> None:
    """Looking asks for no right to write: a colleague's workspace shows what runs there."""
    path = tmp_path / "lock"
    lock = Lock(path)
    lock.acquire()
    path.chmod(0o400)
    real_open = os.open

    def as_a_reader(name: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, "may only read")
        return real_open(name, flags, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "open", as_a_reader)
        assert Lock(path).is_held()
    lock.release()


def test_deleted_folder_does_not_come_back(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gone"):
        Lock(tmp_path / "gone" / "lock", make_folder=False).acquire()
    with pytest.raises(UnknownNameError), waiting_lock(tmp_path / "gone" / "lock", make_folder=False):
        pass
    assert not (tmp_path / "gone").exists()


def test_full_disk_costs_the_note_and_not_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    inside_now, most = 0, 0

    def enter() -> None:
        nonlocal inside_now, most
        for _ in range(20):
            with waiting_lock(tmp_path / "lock"):
                inside_now += 1
                most = max(most, inside_now)
                inside_now -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
