"""Predictions: round trips with and without pyarrow, and atomic writes."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from workbench.errors import DataError, RequestError
from workbench.runs import predictions
from workbench.runs.predictions import has_predictions, read_predictions, write_predictions
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.workspace import Workspace

ROWS: dict[str, list[Any]] = {
    "id": ["a", "b"],
    "input:text": ["Zeile\neins\u2028zwei", "好 </script>"],
    "gold": ["x", "y"],
    "prediction": ["x", "x"],
    "score": [0.75, 0.5],
    "correct": [True, False],
    "score:x": [0.75, 0.5],
}


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return Run.create(RunSpec.parse({"task": "t", "data": "d", "model": "m"}), workspace)


@pytest.fixture(params=["parquet", "lines"])
def storage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "lines":  # a bare server
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return str(request.param)


def test_predictions_round_trip(run: Run, storage: str) -> None:
    assert not has_predictions(run)
    path = write_predictions(run, ROWS)
    assert path.name == {"parquet": predictions.PARQUET, "lines": predictions.JSON_LINES}[storage]
    assert has_predictions(run)
    assert read_predictions(run) == ROWS
    assert read_predictions(run, ["gold", "id", "no such"]) == {"id": ["a", "b"], "gold": ["x", "y"]}
    assert not [p.name for p in run.folder.iterdir() if p.name.startswith(".tmp")]


def test_empty_predictions_are_allowed(run: Run, storage: str) -> None:
    write_predictions(run, {"id": [], "gold": []})
    assert all(column == [] for column in read_predictions(run).values())


def test_writing_one_format_removes_the_other(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run resumed where pyarrow is missing must not show what it predicted before."""
    write_predictions(run, ROWS)
    with monkeypatch.context() as bare:
        bare.setattr(importlib.util, "find_spec", lambda name: None)
        write_predictions(run, {"id": ["new"]})
    assert read_predictions(run) == {"id": ["new"]}
    write_predictions(run, {"id": ["newer"]})
    assert read_predictions(run) == {"id": ["newer"]}


def test_unusable_predictions_are_refused_by_name(run: Run, storage: str) -> None:
    with pytest.raises(RequestError, match="no predictions: it is queued"):
        read_predictions(run)
    with pytest.raises(ValueError, match="differ in length"):
        write_predictions(run, {"id": ["a"], "gold": []})
    assert not has_predictions(run)


def test_the_error_names_a_damaged_file(run: Run) -> None:
    write_predictions(run, ROWS)
    content = (run.folder / predictions.PARQUET).read_bytes()
    (run.folder / predictions.PARQUET).write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=run.id):
        read_predictions(run)


def test_a_failed_write_keeps_the_old_file(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    write_predictions(run, ROWS)

    def fail(table: Any, file: Any, **_: Any) -> None:
        file.write(b"PAR1")
        raise OSError("gone")

    monkeypatch.setattr(parquet, "write_table", fail)
    with pytest.raises(OSError, match="gone"):
        write_predictions(run, {"id": ["new"]})
    assert read_predictions(run) == ROWS
