"""Fetch files of a public repository: from the mirror, or over HTTP, resuming interrupted downloads."""

from __future__ import annotations

import http.client
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from workbench.data.catalogue.entries import Entry, File, UrlSource
from workbench.data.catalogue.verify import BLOCK, is_verified, size_of, write_verified
from workbench.data.progress import Progress
from workbench.errors import FetchError

RAW_FILE = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
_ATTEMPTS = 4
_PAUSE = 0.5  # seconds before the second attempt; doubled each time
_RETRIED = (408, 416, 429, 500, 502, 503, 504)  # HTTP status codes
_TIMEOUT = 30  # seconds without data


def from_url(source: UrlSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Copy files from the mirror, or download them from the repository.

    Args:
        source: the repository, its commit and its files.
        entry: the pinned size and sha256 of each file.
        folder: the entry's folder.
        partial: the folder for unfinished downloads.
        name: the entry's name, for messages.
        progress: called during downloads.

    Raises:
        FetchError: a file could not be downloaded, or is not the pinned one.
    """
    problems: list[str] = []
    for file, path in source.files.items():
        target, pinned = folder / file, entry.files[file]
        if is_verified(target, pinned) or _copy_from_mirror(source, path, target, pinned, partial, problems):
            continue
        url = RAW_FILE.format(repository=source.repository, commit=source.commit, path=urllib.parse.quote(path))
        try:
            download(url, target, pinned, partial, progress, f"{name}: downloading {file}")
        except FetchError as error:
            raise FetchError("; ".join([*problems, error.message])) from error


def _copy_from_mirror(
    source: UrlSource, path: str, target: Path, pinned: File, partial: Path, problems: list[str]
) -> bool:
    mirror = os.environ.get("WORKBENCH_MIRROR")
    if not mirror:
        return False
    file = Path(mirror).expanduser() / source.repository / source.commit / path
    if not file.is_file():
        problems.append(f"the mirror has no {file}")
        return False
    try:
        with open(file, "rb") as stream:
            write_verified(stream, target, pinned, partial)
        return True
    except FetchError as error:
        problems.append(f"in the mirror {error.message}")
        return False


def download(url: str, target: Path, file: File, partial: Path, progress: Progress, label: str) -> None:
    """Download one file, resuming an interrupted attempt.

    Args:
        url: an http or https address; redirects to anything else are refused.
        target: the file to write if the content is the pinned one.
        file: its pinned size and sha256.
        partial: the folder for the unfinished file; it may hold an earlier one.
        progress: called during the download.
        label: for ``progress``.

    Raises:
        FetchError: the download failed, or the content is not the pinned one.
    """
    part = partial / f"{file.sha256}.part"
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * 2 ** (attempt - 1))
        try:
            _receive(url, part, file, progress, label)
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
            reason = _reason(error)
            if isinstance(error, urllib.error.HTTPError) and error.code not in _RETRIED:
                break
            continue
        if size_of(part) < file.bytes:
            reason = f"the connection ended after {max(0, size_of(part)):,} of {file.bytes:,} bytes"
            continue
        try:
            with open(part, "rb") as stream:
                write_verified(stream, target, file, partial)
            return
        except FetchError as error:
            reason = error.message  # perhaps the earlier part was damaged: start again from the beginning
        finally:
            part.unlink(missing_ok=True)
    raise FetchError(f"{_host(url)}: {reason}")


def _receive(url: str, part: Path, file: File, progress: Progress, label: str) -> None:
    """Append the missing bytes to ``part``; start again if the server cannot resume."""
    have = max(0, size_of(part))
    if have >= file.bytes:
        part.unlink()
        have = 0
    headers = {"User-Agent": "transformer-workbench", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _opener().open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the range is beyond the end
            part.unlink(missing_ok=True)
        raise
    with response:
        resumes = response.status == 206 and str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
        with open(part, "ab" if resumes else "wb") as out:
            size = have if resumes else 0
            # One byte more than pinned shows that the file is too large; a server that never ends is cut off there.
            while size <= file.bytes and (block := response.read1(min(BLOCK, file.bytes + 1 - size))):
                out.write(block)
                size += len(block)
                progress(label, min(size, file.bytes), file.bytes)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener for http and https only: no ``file:``, no ``ftp:``, not by a redirect either."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    reason = getattr(error, "reason", error)
    problem = "no connection" if isinstance(error, urllib.error.URLError) else "the connection broke"
    return f"{problem} ({reason})"


def _host(url: str) -> str:
    return url.split("//", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]
