"""The settings of runs as flat fields: each spec by dotted names, such as ``training.learning_rate``."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

from workbench.errors import SpecError
from workbench.files import optional_write, read_json_cached, write_json
from workbench.formatting import flatten
from workbench.locks import waiting_lock
from workbench.runs.rows import Row
from workbench.runs.run import Run
from workbench.spec_versions import SCHEMA_VERSION, upgrade
from workbench.system.opening import read_limited
from workbench.workspace import Workspace
from workbench.yaml_text import load_yaml

MAX_CACHE_BYTES = 2**28  # of the cached settings of all runs

# Fields of a row that come from the run's status; the spec's fields of these names are left out.
STATUS_FIELDS = (
    "id", "title", "state", "kind", "task", "model", "data", "tuning", "created", "tags", "notes", "archived",
)  # fmt: skip


def read_settings(run: Run) -> Row:
    """Return the run's spec as dotted fields; empty when it cannot be read."""
    try:
        stat = run.spec_file.stat()
    except OSError:
        return {}
    return dict(_read_settings(str(run.spec_file), stat.st_mtime_ns, stat.st_size))


@functools.lru_cache(maxsize=128)
def _read_settings(path: str, changed: int, size: int) -> Row:
    """Read a spec once for each time of change and size; a spec is written once."""
    try:  # not validated again: it was valid when it was written, and a damaged one has no fields
        document = load_yaml(read_limited(Path(path)), path)
    except (OSError, SpecError):
        return {}
    if not isinstance(document, dict):
        return {}
    # Interned, because the names are the same in every run.
    fields = flatten(upgrade(document))
    return {sys.intern(name): value for name, value in fields.items() if name not in STATUS_FIELDS}


def read_all_settings(workspace: Workspace) -> dict[str, Row]:
    """Return the settings of all runs by id. They are cached, because reading a thousand YAML files takes seconds."""
    path = workspace.cache / f"settings-of-runs-{SCHEMA_VERSION}.json"
    cached = read_json_cached(path, MAX_CACHE_BYTES)
    cached = cached if isinstance(cached, dict) else {}
    entries, changed = {}, False
    for run in Run.all(workspace):
        try:
            stat = run.spec_file.stat()
        except OSError:
            continue
        mark = [stat.st_mtime_ns, stat.st_size]
        entry = cached.get(run.id)
        if not (isinstance(entry, dict) and entry.get("mark") == mark and isinstance(entry.get("fields"), dict)):
            entry, changed = {"mark": mark, "fields": _plain(read_settings(run))}, True
        entries[run.id] = entry
    if changed:
        with optional_write(), waiting_lock(path.with_suffix(".lock")):
            write_json(path, entries)
    return {run_id: entry["fields"] for run_id, entry in entries.items()}


def _plain(fields: Row) -> Row:
    return {name: _plain_value(value) for name, value in fields.items()}


def _plain_value(value: object) -> object:
    """Return a value that JSON and a table can hold; an integer that no column can hold becomes text."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return f"{value:.3e}" if abs(value) < 10**300 else "(too large)"
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value, default=str)
