"""Downloads of files: interrupted, wrong, concurrent and impossible ones; resumed or repeated, reported, never used.

A small local server replaces the public one.
"""

from __future__ import annotations

import hashlib
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.download_server import (
    COMMIT,
    CONTENT,
    REPOSITORY,
    DownloadServer,
    cached_file,
    leftovers,
    start_fetch,
    url_catalogue,
)
from workbench.data import storage
from workbench.data.catalogue import cache, sources
from workbench.data.catalogue.entries import catalogue
from workbench.errors import FetchError, StorageError
from workbench.workspace import Workspace


def test_a_file_is_fetched_once(workspace: Workspace, use_catalogue) -> None:
    with DownloadServer("whole") as server:
        use_catalogue(url_catalogue(), server.address)
        reports: list[tuple[str, int, int | None]] = []
        paths = sources.fetch_dataset("small", workspace, lambda *report: reports.append(report))
        assert paths == {"train": cached_file(workspace)} and paths["train"].read_bytes() == CONTENT
        assert reports[-1][1:] == (len(CONTENT), len(CONTENT)) and [done for _, done, _ in reports] == sorted(
            done for _, done, _ in reports
        )
        sources.fetch_dataset("small", workspace)
        assert server.requests == [(f"/{REPOSITORY}/{COMMIT}/data/train.csv", None)]
        assert leftovers(workspace) == ["train.csv"]


def test_processes_that_need_the_same_file_fetch_it_once(workspace: Workspace) -> None:
    """F4: the others wait, report that they wait, and use the first one's files."""
    with DownloadServer("slow") as server:
        processes = [start_fetch(server.address, url_catalogue(), WORKBENCH_MIRROR="") for _ in range(3)]
        outputs = [process.communicate(timeout=60) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], outputs
        assert len(server.requests) == 1
        waited = [out for out, _ in outputs if "waiting for another process" in out]
        assert len(waited) == 2
        assert cached_file(workspace).read_bytes() == CONTENT


def test_a_waiting_process_continues_when_the_first_is_killed(workspace: Workspace) -> None:
    with DownloadServer("slow") as server:
        first = start_fetch(server.address, url_catalogue(), WORKBENCH_MIRROR="")
        part = workspace.cache / "partial" / "datasets-small"
        deadline = time.monotonic() + 30
        while not any(path.stat().st_size > 100_000 for path in part.glob("*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = start_fetch(server.address, url_catalogue(), WORKBENCH_MIRROR="")
        time.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        _, error = second.communicate(timeout=60)
        assert second.returncode == 0, error
        assert cached_file(workspace).read_bytes() == CONTENT
        assert len(server.requests) == 2
        assert int(str(server.requests[1][1]).removeprefix("bytes=").rstrip("-")) >= 100_000, (
            "it must be resumed, not restarted"
        )


@pytest.mark.parametrize(
    ("behaviours", "n_requests", "ranges"),
    [
        pytest.param(["torn", "whole"], 2, [None, "bytes=512000-"], id="resumed"),
        pytest.param(["torn", "torn", "whole"], 3, [None, "bytes=512000-", "bytes=768000-"], id="torn-twice"),
        pytest.param(["torn", "no-range"], 2, [None, "bytes=512000-"], id="server-starts-over"),
        pytest.param(["busy", "whole"], 2, [None, None], id="busy-at-first"),
        pytest.param(["wrong", "whole"], 2, [None, None], id="wrong-at-first"),
    ],
)
def test_interrupted_downloads_are_resumed(workspace: Workspace, use_catalogue, behaviours, n_requests, ranges) -> None:
    """F9."""
    with DownloadServer(*behaviours) as server:
        use_catalogue(url_catalogue(), server.address)
        sources.fetch_dataset("small", workspace)
        assert cached_file(workspace).read_bytes() == CONTENT
        assert [byte_range for _, byte_range in server.requests] == ranges and len(server.requests) == n_requests
        assert leftovers(workspace) == ["train.csv"]


def test_a_partial_download_is_resumed_and_a_damaged_one_replaced(workspace: Workspace, use_catalogue) -> None:
    part = workspace.cache / "partial" / "datasets-small" / f"{hashlib.sha256(CONTENT).hexdigest()}.part"
    for content in (CONTENT[:1000], b"bad" * 1000, CONTENT + b"longer"):
        storage.clean_cache(workspace)
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        with DownloadServer("whole") as server:
            use_catalogue(url_catalogue(), server.address)
            sources.fetch_dataset("small", workspace)
            assert cached_file(workspace).read_bytes() == CONTENT
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
    workspace: Workspace, use_catalogue, behaviour: str, message: str
) -> None:
    """F9, A3: an error with a hint, and no byte where the file would be read."""
    with DownloadServer(behaviour) as server:
        use_catalogue(url_catalogue(), server.address)
        with pytest.raises(FetchError, match=message) as caught:
            sources.fetch_dataset("small", workspace)
    assert server.n_sent < 60 * len(CONTENT), "an endless response must not be read on"
    assert not cached_file(workspace).exists()
    assert "WORKBENCH_MIRROR=<folder>" in caught.value.hint
    assert not [name for name in leftovers(workspace) if not name.endswith(".part")]


def test_no_network(workspace: Workspace, use_catalogue) -> None:
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        use_catalogue(url_catalogue(), f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(
            FetchError, match=r"small could not be fetched\. Tried: the repository owner/name: .*no conn"
        ):
            sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_a_full_disk(workspace: Workspace) -> None:
    """A limit on file sizes simulates a full disk: the error has the same kind, and no file is left."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    with DownloadServer("whole") as server:
        process = start_fetch(server.address, url_catalogue(), before=limit, WORKBENCH_MIRROR="")
        _, error = process.communicate(timeout=60)
    assert process.returncode != 0 and "StorageError" in error and "WORKBENCH_CACHE" in error
    assert leftovers(workspace) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(workspace: Workspace, use_catalogue) -> None:
    with DownloadServer("whole") as server:
        use_catalogue(url_catalogue(), server.address)
        sources.fetch_dataset("small", workspace)
        cached_file(workspace).write_bytes(CONTENT[::-1])  # same size, other content
        sources.fetch_dataset("small", workspace)
        assert cached_file(workspace).read_bytes() == CONTENT and len(server.requests) == 2


def test_the_mirror_is_tried_first_and_checked(
    workspace: Workspace, use_catalogue, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "mirror" / REPOSITORY / COMMIT / "data" / "train.csv"
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("WORKBENCH_MIRROR", str(tmp_path / "mirror"))
    with DownloadServer("whole") as server:
        use_catalogue(url_catalogue(), server.address)
        monkeypatch.setenv("WORKBENCH_MIRROR", str(tmp_path / "mirror"))
        file.write_bytes(CONTENT)
        sources.fetch_dataset("small", workspace)
        assert server.requests == []
        storage.clean_cache(workspace)
        file.write_bytes(CONTENT[::-1])
        sources.fetch_dataset("small", workspace)
        assert len(server.requests) == 1, "a mirror with other content must be skipped"
        assert cached_file(workspace).read_bytes() == CONTENT


# -- the cache --------------------------------------------------------------------------------------------------------


def test_the_cache_can_be_shared_and_cleaned(workspace: Workspace, use_catalogue, tmp_path: Path, monkeypatch) -> None:
    with DownloadServer("whole") as server:
        use_catalogue(url_catalogue(), server.address)
        monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "shared"))
        assert not sources.describe("small", workspace)["cached"]
        path = sources.fetch_dataset("small", workspace)["train"]
        assert path.is_relative_to(tmp_path / "shared")
        assert sources.describe("small", workspace)["cached"]
        lock = cache.entry_lock(tmp_path / "shared", "datasets", "small")
        with lock:
            assert storage.clean_cache(workspace, shared=True) == 0, "files that are being fetched must not be deleted"
        assert storage.clean_cache(workspace) == 0, "others may use the folder of WORKBENCH_CACHE"
        assert storage.clean_cache(workspace, shared=True) == len(CONTENT)
        assert not sources.describe("small", workspace)["cached"]


def test_every_source_is_tried_and_listed(workspace: Workspace, use_catalogue, tmp_path: Path) -> None:
    document = url_catalogue()
    (tmp_path / "folder").mkdir()
    document["datasets"]["small"]["sources"] += [
        {"kind": "hf", "repository": "owner/name", "revision": COMMIT, "files": {"train.csv": "train.csv"}},
        {"kind": "file", "folder": str(tmp_path / "folder"), "files": {"train.csv": "t.csv"}},
    ]
    use_catalogue(document)
    with pytest.raises(FetchError, match=r"the repository .*hf:owner/name.*the folder"):
        sources.fetch_dataset("small", workspace)
    (tmp_path / "folder" / "t.csv").write_bytes(CONTENT)
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT


@pytest.mark.parametrize("subfolder", ["/proc/nothing", "file", "file/below"])
def test_a_cache_that_cannot_be_created_is_an_error(
    subfolder: str, workspace: Workspace, use_catalogue, tmp_path: Path, monkeypatch
) -> None:
    use_catalogue(url_catalogue())
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / subfolder))
    with pytest.raises(StorageError, match="cannot be created"):
        sources.fetch_dataset("small", workspace)


# -- the real catalogue -----------------------------------------------------------------------------------------------


@pytest.mark.mirror
@pytest.mark.parametrize(
    "name", ["banking77", "chnsenticorp-hotel", "financial-phrasebank", "wikitext-2", "tinyshakespeare"]
)
def test_datasets_of_the_mirror_can_be_fetched(name: str, workspace: Workspace, mirror: Path) -> None:
    paths = sources.fetch_dataset(name, workspace)
    assert all(path.is_file() for path in paths.values())


@pytest.mark.parametrize("name", [*catalogue().datasets, *catalogue().models, *catalogue().assets])
def test_every_entry_is_described(name: str, workspace: Workspace) -> None:
    entry = sources.describe(name, workspace)
    assert entry["name"] == name and entry["cached"] is False
    assert all(entry[key] for key in ("label", "licence", "citation", "size", "sources"))
    assert entry["bytes"] or entry["sources"] == ["the installed packages"]
