"""What was measured of a run's heads and layers, stored in its folder as ``heads/NAME.json``."""

from __future__ import annotations

from typing import TypeVar

from workbench.explain.internals.aggregates import HeadPatterns
from workbench.explain.internals.heads import HeadImportance
from workbench.explain.internals.layers import LayerImportance
from workbench.files import read_json, write_json
from workbench.runs.run import Run

FOLDER = "heads"
Measurement = HeadPatterns | HeadImportance | LayerImportance
Result = TypeVar("Result", HeadPatterns, HeadImportance, LayerImportance)


def save_measurement(run: Run, result: Measurement) -> None:
    """Write a measurement into the run's folder, in place of an earlier one of the same kind.

    Args:
        run: the run.
        result: what was measured.
    """
    folder = run.folder / FOLDER
    folder.mkdir(exist_ok=True)
    write_json(folder / f"{_name(result)}.json", result.as_dict())


def load_patterns(run: Run) -> HeadPatterns | None:
    """Return the stored patterns; None where there are none, or the file is damaged.

    Args:
        run: the run.
    """
    return _load(run, "patterns", HeadPatterns)


def load_importance(run: Run, measure: str = "ablation") -> HeadImportance | None:
    """Return the stored importance of heads; None where there is none, or the file is damaged.

    Args:
        run: the run.
        measure: how it was measured.
    """
    return _load(run, f"importance-{measure}", HeadImportance)


def load_layers(run: Run) -> LayerImportance | None:
    """Return the stored importance of layers; None where there is none, or the file is damaged.

    Args:
        run: the run.
    """
    return _load(run, "layers", LayerImportance)


def _name(result: Measurement) -> str:
    if isinstance(result, HeadImportance):
        return f"importance-{result.measure}"
    return "patterns" if isinstance(result, HeadPatterns) else "layers"


def _load(run: Run, name: str, kind: type[Result]) -> Result | None:
    document = read_json(run.folder / FOLDER / f"{name}.json")
    try:
        return kind(**document) if isinstance(document, dict) else None
    except TypeError:
        return None
