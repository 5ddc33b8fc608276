"""Older versions of the spec: what changed, and the one step that brings an old document up to date.

Version 2 (the current one) gave some fields of ``training`` the names that the field's libraries use. Run folders
written by an older workbench still load, because they say ``version: 1``. A spec without a version is taken for one of
the current version, so an old name in it is an error that names the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

SCHEMA_VERSION = 2

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
        document: a spec as it was read from a file. One that does not say ``version: 1`` is returned as it is.
    """
    if document.get("version") != 1:
        return dict(document)
    upgraded = {
        "schema_version": SCHEMA_VERSION,
        **{name: value for name, value in document.items() if name != "version"},
    }
    training = document.get("training")
    if isinstance(training, Mapping):
        fields = upgrade_paths({f"training.{name}": value for name, value in training.items()})
        upgraded["training"] = {path.removeprefix("training."): value for path, value in fields.items()}
    return upgraded


def upgrade_paths(values: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by dotted path, as a sweep keeps them, with the paths of the current version."""
    return {RENAMED.get(path, path): value for path, value in values.items()}
