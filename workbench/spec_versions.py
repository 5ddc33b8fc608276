"""Older versions of the spec: what changed, and the one step that brings an old document up to date.

Version 2 gave some fields of ``training`` the names that the field's libraries use. Version 3 (the current one)
replaced ``model.pooler`` by ``model.pooling``. Run folders written by an older workbench still load, because they say
``version: 1`` or ``schema_version: 2``. A spec without a version is taken for one of the current version, so an old
name in it is an error that names the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

SCHEMA_VERSION = 3

Value = TypeVar("Value")

# Dotted path of a field in version 1: its path in version 2.
RENAMED: Mapping[str, str] = {
    "version": "schema_version",
    "training.accumulate": "training.gradient_accumulation",
    "training.bucket": "training.group_by_length",
    "training.cache_disk_gigabytes": "training.cache_disk_gb",
    "training.cache_frozen": "training.cache_activations",
    "training.cache_gigabytes": "training.cache_memory_gb",
    "training.clip": "training.max_grad_norm",
    "training.evaluate_every": "training.eval_every",
    "training.keep_best": "training.load_best",
    "training.patience": "training.early_stopping_patience",
    "training.schedule": "training.lr_schedule",
    "training.token_budget": "training.max_tokens_per_batch",
    "training.warmup": "training.warmup_ratio",
}


def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a spec in the current version.

    Args:
        document: a spec as it was read from a file. One without a version is returned as it is.
    """
    if document.get("version") == 1:
        document = _from_version_1(document)
    if document.get("schema_version") == 2:
        document = _from_version_2(document)
    return dict(document)


def _from_version_1(document: Mapping[str, Any]) -> Mapping[str, Any]:
    upgraded = {"schema_version": 2, **{name: value for name, value in document.items() if name != "version"}}
    training = document.get("training")
    if isinstance(training, Mapping):
        fields = upgrade_paths({f"training.{name}": value for name, value in training.items()})
        upgraded["training"] = {path.removeprefix("training."): value for path, value in fields.items()}
    return upgraded


def _from_version_2(document: Mapping[str, Any]) -> Mapping[str, Any]:
    # A stored spec has every option. One with ``code`` has a pretrained model, whose classifier read its pooler.
    upgraded = {**document, "schema_version": SCHEMA_VERSION}
    model = document.get("model")
    if isinstance(model, Mapping) and {"code", "pooler"} & model.keys():
        options = {name: value for name, value in model.items() if name != "pooler"}
        upgraded["model"] = {"pooling": "pooler", **options}
    return upgraded


def upgrade_paths(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by dotted path, as a sweep keeps them, with the paths of the current version."""
    return {RENAMED.get(path, path): value for path, value in values.items()}
