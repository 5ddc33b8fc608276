"""The catalogue is valid: entries are pinned, sources stay in their folder, and the file ships with the package."""

from __future__ import annotations

import copy
from importlib import resources

import pytest
import yaml
from pydantic import ValidationError

from workbench.data.catalogue.entries import Catalogue, catalogue, dataset
from workbench.errors import UnknownNameError

DOCUMENT = yaml.safe_load(
    resources.files("workbench.data.catalogue").joinpath("catalogue.yaml").read_text(encoding="utf-8")
)


def test_the_catalogue_has_the_promised_entries() -> None:
    names = {"rotten-tomatoes", "newsgroups-20", "banking77", "chnsenticorp-hotel", "financial-phrasebank"}
    corpora = {"film-plots", "wikitext-2", "tinyshakespeare", "python-docs"}
    assert names | corpora <= set(catalogue().datasets)
    assert "minilm" in catalogue().models and {"d3", "jquery"} <= set(catalogue().assets)


def test_models_are_safetensors_and_text() -> None:
    for entry in catalogue().models.values():
        converted = set(entry.files) in ({"model.gguf"}, {"model.e5s1"})
        assert {"config.json", "model.safetensors"} <= set(entry.files) or converted
        safe = (".safetensors", ".gguf", ".e5s1", ".json", ".txt")
        assert all(name.endswith(safe) for name in entry.files), "no pickles"


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'banking77'"):
        dataset("banking")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("files/train.csv/sha256", "abc"),
        ("files/train.csv/bytes", -1),
        ("files", {"../train.csv": {"bytes": 1, "sha256": "0" * 64}}),
        ("sources/0/commit", "main"),
        ("sources/0/repository", "../x"),
        ("sources/0/repository", "a/b/c"),
        ("sources/0/files/train.csv", "../train.csv"),
        ("sources/0/files/train.csv", "/etc/passwd"),
        ("sources/0/files/train.csv", "file:///etc/passwd"),
        ("sources/0/files/train.csv", "a#b"),
        ("sources/0/files/train.csv", "a%2e%2e"),
        ("sources/0/files/train.csv", "\\\\host\\share"),
        ("sources/0/files", {"train.csv": "a"}),
        ("sources/0", {"kind": "wheel", "package": "--index-url=http://x", "files": {}}),
        ("sources/0", {"kind": "wheel", "package": "name", "files": {}}),
        ("sources/0", {"kind": "wheel", "package": "a==1", "platform": "--index-url=http://x", "files": {}}),
        ("sources/0", {"kind": "git", "files": {}}),
        ("splits", {"test": "test.csv"}),
        ("splits/train", "other.csv"),
        ("more", 1),
    ],
)
def test_entries_that_would_be_unsafe_or_unpinned_are_refused(path: str, value: object) -> None:
    entry = copy.deepcopy(DOCUMENT["datasets"]["banking77"])
    Catalogue.model_validate({"datasets": {"banking77": entry}})
    *parents, last = path.split("/")
    node = entry
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[int(last) if isinstance(node, list) else last] = value
    with pytest.raises(ValidationError):
        Catalogue.model_validate({"datasets": {"banking77": entry}})


def test_generated_entries_are_not_pinned_and_have_one_source() -> None:
    entry = copy.deepcopy(DOCUMENT["datasets"]["python-docs"])
    Catalogue.model_validate({"datasets": {"docs": entry}})
    pinned = {"docstrings.jsonl": {"bytes": 1, "sha256": "0" * 64}}
    for change in ({"files": pinned}, {"splits": {"train": "other.jsonl"}}, {"sources": entry["sources"] * 2}):
        with pytest.raises(ValidationError):
            Catalogue.model_validate({"datasets": {"docs": entry | change}})
