"""``data.duplicates: drop`` leaves out repeated texts, and texts whose labels contradict each other."""

from __future__ import annotations

from pathlib import Path

from workbench.data.load import Dataset, load_data
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

ROWS = ["one,a", "two,b", "One ,a", "three,a", "four,b", "three,b", "five,a", "one,a", "six,b"]


def load(path: Path, workspace: Workspace, **fields: object) -> Dataset:
    data = DataSpec.model_validate({"train": str(path), "holdout": {"valid": 0, "test": 0}, **fields})
    return load_data(data, tasks.get("text-classification")().columns(), workspace)


def test_the_first_row_of_a_text_stays_and_contradictions_go(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label", *ROWS]) + "\n")
    assert len(load(path, workspace).train) == len(ROWS)
    dataset = load(path, workspace, duplicates="drop")
    assert dataset.train.columns["text"] == ["one", "two", "four", "five", "six"]
    assert dataset.train.rows == [2, 3, 6, 8, 10], "the lines of the file must stay those of the rows"
    assert {entry["reason"]: entry["rows"] for entry in dataset.report["left_out"]} == {
        "the text occurs in an earlier row": [4, 9],
        "the text occurs with different labels": [5, 7],
    }
    assert dataset.report["parts"]["train"]["duplicates"]["count"] == 0


def test_labels_are_merged_before_they_are_compared(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["text,label", *ROWS]) + "\n")
    labels = [*ROWS, "two,B"]
    path.write_text("\n".join(["text,label", *labels]) + "\n")
    merged = load(path, workspace, duplicates="drop", labels={"B": "b"})
    assert "two" in merged.train.columns["text"]
    assert "two" not in load(path, workspace, duplicates="drop").train.columns["text"]


def test_groups_follow_their_rows(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"text {i // 2},{'ab'[i // 2 % 2]},g{i // 2 % 10}" for i in range(80)]
    path.write_text("\n".join(["text,label,customer", *rows]) + "\n")
    data = DataSpec.model_validate({"train": str(path), "group": "customer", "duplicates": "drop"})
    dataset = load_data(data, tasks.get("text-classification")().columns(), workspace)
    splits = {name: dataset.split(name) for name in ("train", "valid", "test")}
    assert sum(map(len, splits.values())) == 40
    groups = [{f"g{(row - 2) // 2 % 10}" for row in examples.rows} for examples in splits.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
