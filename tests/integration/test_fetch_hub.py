"""Models from the hub: only safetensors, configuration and tokenizer, pinned to a commit; nothing executable.

A fake hub replaces the real one; huggingface_hub's own filter selects the files.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workbench.data.catalogue import hub as hub_module
from workbench.data.catalogue import sources
from workbench.errors import FetchError, RefusedError
from workbench.workspace import Workspace

COMMIT = "a" * 40
ALLOWED_FILES = {
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "vocab.txt",
    "spiece.model",
    "model.safetensors.index.json",
}
OTHER_FILES = {
    "pytorch_model.bin", "modeling_evil.py", "tokenizer.pkl", "flax_model.msgpack", "tf_model.h5", "rust_model.ot",
    "training_args.pt", "onnx/model.onnx", "onnx/config.json", "1_Pooling/config.json", "../climbed.json",
    "weights.npz",
}  # fmt: skip


class Hub:
    """A fake hub that records downloads."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.downloads: list[str] = []
        self.HfApi = lambda: SimpleNamespace(model_info=self.model_info)

    def model_info(self, repository: str, revision: str) -> Any:
        if repository == "owner/absent":
            raise OSError("404 Not Found")
        return SimpleNamespace(sha=COMMIT)

    def snapshot_download(self, repository, revision, local_dir, allow_patterns, ignore_patterns) -> None:
        from huggingface_hub.utils import filter_repo_objects

        self.downloads.append(f"{repository}@{revision}")
        selected = filter_repo_objects(self.files, allow_patterns=allow_patterns, ignore_patterns=ignore_patterns)
        for name in selected:
            (Path(local_dir) / name).write_text(name)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    pytest.importorskip("huggingface_hub")
    library = Hub(ALLOWED_FILES | OTHER_FILES)
    monkeypatch.setattr(hub_module, "hub_library", lambda: library)
    return library


def test_only_weights_configuration_and_tokenizer_are_downloaded(workspace: Workspace, hub: Hub) -> None:
    """A7, A8."""
    folder = sources.fetch_hub_model("owner/name", "main", workspace)
    assert folder.name == COMMIT, "a branch must be pinned to its commit"
    assert {path.name for path in folder.iterdir()} == {*ALLOWED_FILES, ".complete"}
    assert sources.fetch_hub_model("owner/name", COMMIT, workspace) == folder
    assert hub.downloads == [f"owner/name@{COMMIT}"], "it must be downloaded once"


def test_a_model_without_safetensors_is_refused(workspace: Workspace, hub: Hub) -> None:
    hub.files = {"pytorch_model.bin", "config.json"}
    with pytest.raises(RefusedError, match="no safetensors weights"):
        sources.fetch_hub_model("owner/name", COMMIT, workspace)
    assert not [path for path in (workspace.cache / "hub").rglob("*") if path.is_file()]


def test_an_interrupted_download_is_not_used(workspace: Workspace, hub: Hub, monkeypatch) -> None:
    snapshot_download = hub.snapshot_download

    def interrupted(repository, revision, local_dir, **patterns):
        (Path(local_dir) / "model.safetensors").write_text("half")
        raise ConnectionError("reset")

    monkeypatch.setattr(hub, "snapshot_download", interrupted)
    with pytest.raises(FetchError, match=r"owner/name@a+: .*ConnectionError: reset"):
        sources.fetch_hub_model("owner/name", COMMIT, workspace)
    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    folder = sources.fetch_hub_model("owner/name", COMMIT, workspace)
    assert (folder / "model.safetensors").read_text() == "model.safetensors"


@pytest.mark.parametrize(
    ("repository", "revision"),
    [
        ("../../etc", "main"), ("owner", "main"), ("owner/name/more", "main"), ("/etc/passwd", "main"),
        ("owner/..", "main"),
        ("file:///etc", "main"), ("owner/name\0", "main"), ("--flag/x", "main"), ("owner/name", "../x"),
        ("owner/name", ""),
        ("owner/name", "-x"), ("owner/name", "a b"), ("owner/name", "x\0"), ("owner/%2e%2e", "main"),
        ("owner/na me", "m"),
    ],
)  # fmt: skip
def test_malformed_repository_names_are_refused(workspace: Workspace, hub: Hub, repository: str, revision: str) -> None:
    """A1, A3, A10."""
    with pytest.raises(RefusedError):
        sources.fetch_hub_model(repository, revision, workspace)
    assert hub.downloads == []


def test_a_missing_repository_is_an_error(workspace: Workspace, hub: Hub) -> None:
    with pytest.raises(FetchError, match=r"hf:owner/absent@main: .*404"):
        sources.fetch_hub_model("owner/absent", "main", workspace)
