"""A split that is too small is refused with the cause and the remedy; copies of a text stay in one split."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from workbench.data.columns import Column
from workbench.data.equal_texts import fold_inputs, fold_text
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

COLUMNS = (Column("text", "the text"), Column("label", "its class", kind="label"))


def load(
    workspace: Workspace, path: Path, rows: list[tuple[str, ...]], header: str = "text,label", **spec: Any
) -> Dataset:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return load_data(DataSpec.model_validate({"train": str(path), **spec}), COLUMNS, workspace)


def labelled(count: int) -> list[tuple[str, ...]]:
    return [(f"text number {i}", "good" if i % 2 else "bad") for i in range(count)]


SMALL: list[tuple[list[tuple[str, ...]], str, dict[str, Any], str, str]] = [
    ([(f"text {i}", f"id{i}") for i in range(40)], "text,label", {}, "40 different labels in 40 rows", "right column"),
    (
        [("😀" if i % 2 else "😞", "good" if i % 2 else "bad") for i in range(60)],
        "text,label",
        {},
        "only 2 different texts in 60 rows",
        "column with the texts",
    ),
    ([(*row, "one") for row in labelled(60)], "text,label,film", {"group": "film"}, "only one value", 'data.group: ""'),
    (labelled(60), "text,label", {"limit": {"valid": 1}}, "data.limit.valid is 1", "Raise data.limit.valid"),
    (labelled(3), "text,label", {}, "3 usable rows for 3 splits", "more rows"),
    (labelled(30), "text,label", {"holdout": {"valid": 0.02}}, "2% of 30 rows", "larger share (data.holdout.valid)"),
]


@pytest.mark.parametrize(("rows", "header", "spec", "cause", "remedy"), SMALL)
def test_each_cause_has_a_message_and_a_remedy_of_its_own(
    rows: list[tuple[str, ...]],
    header: str,
    spec: dict[str, Any],
    cause: str,
    remedy: str,
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    with pytest.raises(DataError) as caught:
        load(workspace, tmp_path / "a.csv", rows, header, **spec)
    assert "at least 2 are needed" in caught.value.message and cause in caught.value.message
    assert remedy in caught.value.hint and "data.holdout.train" not in caught.value.hint


def test_a_test_file_that_is_too_small_is_named(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\none,good\n")
    with pytest.raises(DataError, match="its file has 1 usable row"):
        load(workspace, tmp_path / "a.csv", labelled(40), test=str(tmp_path / "test.csv"))


def test_an_empty_group_splits_rows_without_groups(workspace: Workspace, tmp_path: Path) -> None:
    """Questions on one text stay together by default; with one text, this must be possible to turn off."""
    columns = (Column("question", "asks"), Column("context", "is read", keeps_together=True))
    path = tmp_path / "qa.csv"
    path.write_text("question,context\n" + "".join(f"Who is {i}?,One text.\n" for i in range(60)))
    with pytest.raises(DataError, match="'context' has only one value"):
        load_data(DataSpec(train=str(path)), columns, workspace)
    assert len(load_data(DataSpec(train=str(path), group=""), columns, workspace).test) == 12


VARIANTS = [
    "A Fine\r\nFilm, café",
    "a fine  film, café ",
    "A FINE\nFILM, CAFÉ",
    unicodedata.normalize("NFD", "A fine film, café"),
]


def test_texts_that_differ_in_case_spaces_line_ends_or_unicode_form_are_equal() -> None:
    assert len({fold_text(text) for text in VARIANTS}) == 1
    assert fold_text("ﬁne") == fold_text("FINE") and fold_text("good") != fold_text("goods")
    assert fold_inputs([("A  b", ("X", "y"), 3)]) == [("a b", ("x", "y"), 3)]


def test_such_texts_stay_in_one_split_and_are_duplicates(workspace: Workspace, tmp_path: Path) -> None:
    rows = [(f"{text} {i}", "good" if i % 2 else "bad") for i in range(40) for text in VARIANTS]
    data = load(workspace, tmp_path / "a.csv", rows)
    numbers = [{text.split()[-1] for text in split.columns["text"]} for split in (data.train, data.valid, data.test)]
    assert all(numbers) and sum(map(len, numbers)) == 40, "copies of one text are in two splits"
    assert data.report["parts"]["train"]["duplicates"]["count"] == len(data.train) * 3 // 4


def test_such_texts_in_two_files_are_counted_as_shared(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("text,label\n" + "".join(f"TEXT  number {i},good\n" for i in range(10)))
    data = load(workspace, tmp_path / "a.csv", labelled(40), test=str(tmp_path / "test.csv"), holdout={"valid": 0})
    (overlap,) = data.report["overlaps"]
    assert overlap["count"] == 10
    assert any("10 texts of test occur in train too" in note for note in data.notes)


def test_data_without_such_texts_keep_their_splits(workspace: Workspace, tmp_path: Path) -> None:
    """The ids that these rows had before such texts were recognized."""
    data = load(workspace, tmp_path / "a.csv", labelled(30))
    lines = {name: [int(key.split(":")[1]) for key in ids] for name, ids in data.split_ids().items()}
    assert lines["valid"] == [3, 6, 30] and lines["test"] == [7, 12, 13, 15, 16, 28]
    assert data.fingerprint == "945a0ab06e123c7654766bebb30e2efb6676bd29821cf9c8d8463444d830e39a"
