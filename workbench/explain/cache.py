"""What was measured of a run's heads and layers and is kept in its folder: ``heads/NAME.json``."""

from __future__ import annotations

from typing import TypeVar

from workbench.explain.aggregates import HeadPatterns
from workbench.explain.heads import HeadImportance
from workbench.explain.layers import LayerImportance
from workbench.files import read_json, write_json
from workbench.runs.run import Run

Kept = TypeVar("Kept", HeadPatterns, HeadImportance, LayerImportance)


def keep_heads(run: Run, found: HeadPatterns | HeadImportance | LayerImportance) -> None:
    """Write what was measured into the run's folder; what was there of the same kind is replaced."""
    folder = run.folder / "heads"
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{_name(found)}.json", found.as_dict())


def kept_patterns(run: Run) -> HeadPatterns | None:
    """The patterns that were measured; None where none were, or the file is damaged."""
    return _read(run, "patterns", HeadPatterns)


def kept_importance(run: Run, measure: str = "ablation") -> HeadImportance | None:
    """The importance that was measured in this way; None where it was not, or the file is damaged."""
    return _read(run, f"importance-{measure}", HeadImportance)


def kept_layers(run: Run) -> LayerImportance | None:
    """The importance of layers that was measured; None where it was not, or the file is damaged."""
    return _read(run, "layers", LayerImportance)


def _name(found: HeadPatterns | HeadImportance | LayerImportance) -> str:
    if isinstance(found, HeadImportance):
        return f"importance-{found.measure}"
    return "patterns" if isinstance(found, HeadPatterns) else "layers"


def _read(run: Run, name: str, kind: type[Kept]) -> Kept | None:
    found = read_json(run.folder / "heads" / f"{name}.json")
    try:
        return kind(**found) if isinstance(found, dict) else None
    except TypeError:
        return None
