"""The specs that come with the workbench, and specs from files."""

from __future__ import annotations

import os
from functools import cache
from importlib import resources
from pathlib import Path

from workbench.data.readers.file_types import ARCHIVES, EXCEL, PARQUET, SPREADSHEETS
from workbench.errors import UnknownNameError
from workbench.spec import RunSpec

# Suffixes of files that are data, and not a spec: .json may be either. What cannot be read is refused as data.
_TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", *PARQUET, *EXCEL, *SPREADSHEETS, *ARCHIVES)


@cache
def presets() -> dict[str, RunSpec]:
    """Return the specs that come with the workbench, by name."""
    folder = resources.files("workbench") / "presets"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".yaml")), key=lambda f: f.name)
    return {f.name.removesuffix(".yaml"): RunSpec.from_yaml(f.read_text(encoding="utf-8"), f.name) for f in files}


def load_spec(name: str) -> RunSpec:
    """Load a spec.

    Args:
        name: a YAML file, the name of a preset, or a table; a table stands for a spec that classifies its texts.

    Raises:
        SpecError: the file cannot be read or is not a spec.
        UnknownNameError: there is no such file and no such preset.
    """
    path = Path(name)
    if path.suffix.lower() in _TABLES:
        return RunSpec.parse({"task": "text-classification", "data": name, "model": "auto"})
    if path.suffix in {".yaml", ".yml", ".json"} or os.path.exists(path):  # os.path: a name may be too long for a file
        return RunSpec.load(path)
    if name in presets():
        return presets()[name].model_copy(deep=True)
    raise UnknownNameError("preset", name, presets(), f"Name a YAML file, or a preset: {', '.join(presets())}.")
