"""One class has one name: forms are unified, spellings are pointed out with the merge, and data.labels merges."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from workbench.data.columns import Column
from workbench.data.labels.spelling import clean_label, find_merges, note_spellings
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError, SpecError
from workbench.runs.report_notes import warnings_in
from workbench.spec import DataSpec, RunSpec
from workbench.workspace import Workspace

COLUMNS = (Column("text", "the text"), Column("label", "its class", kind="label"))
WORDS = (Column("words", "the words", kind="words"), Column("tags", "their tags", kind="tags"))


def load(workspace: Workspace, path: Path, values: list[Any], **spec: Any) -> Dataset:
    spec = {"holdout": {"valid": 0, "test": 0}, **spec}
    rows = [(f"{path.stem} number {i}", label) for i, label in enumerate(values)]
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in rows))
    else:
        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
    return load_data(DataSpec.model_validate({"train": str(path), **spec}), COLUMNS, workspace)


def counts(data: Dataset) -> dict[str, int]:
    return dict(Counter(data.train.columns["label"]))


def test_numbers_and_their_decimal_form_are_one_class(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, tmp_path / "a.csv", ["0", "0.0", "1", "1.0"] * 5)
    assert counts(data) == {"0": 10, "1": 10}
    assert any("Read as one label: '0.0' as '0', '1.0' as '1'" in note for note in data.notes)
    data = load(workspace, tmp_path / "b.jsonl", [1, "1", 1.0, 0, "0", 0.0] * 3)
    assert counts(data) == {"1": 9, "0": 9}


def test_decimal_labels_and_leading_zeros_stay_as_they_are(workspace: Workspace, tmp_path: Path) -> None:
    assert counts(load(workspace, tmp_path / "a.csv", ["1.0", "2.0", "2.5"] * 4)) == {"1.0": 4, "2.0": 4, "2.5": 4}
    assert counts(load(workspace, tmp_path / "b.csv", ["007", "07", "7"] * 4)) == {"007": 4, "07": 4, "7": 4}


def test_booleans_of_json_and_csv_are_one_class_each(workspace: Workspace, tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("text,label\n" + "".join(f"new {i},{'True' if i % 2 else 'FALSE'}\n" for i in range(8)))
    data = load(workspace, tmp_path / "a.jsonl", [True, False, "true"] * 5, test=str(test))
    assert counts(data) == {"true": 10, "false": 5}
    assert Counter(data.test.columns["label"]) == {"true": 4, "false": 4}
    assert counts(load(workspace, tmp_path / "b.csv", ["True", "False"] * 5)) == {"True": 5, "False": 5}


def test_invisible_characters_are_removed_from_labels(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, tmp_path / "a.csv", ["pos", "pos\u200b", "\ufeffneg", "neg\u00ad", " neg"] * 3)
    assert counts(data) == {"pos": 6, "neg": 9}
    assert any("invisible characters from 12 labels" in note for note in data.notes)
    assert clean_label("👩\u200d💻\u200d ") == "👩\u200d💻", "a joiner inside belongs to the label"
    with pytest.raises(DataError, match=r"label .* is missing"):
        load(workspace, tmp_path / "b.csv", ["pos", "neg", "\u200b"])


SPELLINGS = [
    ({"pos": 9, "Pos": 2}, "case", {"Pos": "pos"}),
    ({"very good": 9, "very  good": 2}, "white space", {"very  good": "very good"}),
    (
        {"café": 9, "cafe\u0301": 2},
        "Unicode form",
        {"cafe\u0301": "café"},
    ),
    ({"می\u200cخواهم": 9, "میخواهم": 2}, "invisible characters", {"میخواهم": "می\u200cخواهم"}),
    ({"ＡＢ": 9, "ab": 2}, "case, white space or Unicode form", {"ab": "ＡＢ"}),
    ({"human": 20, "humann": 1, "robot": 20}, "typing error", {"humann": "human"}),
    ({"positive": 20, "postive": 1, "negative": 20}, "typing error", {"postive": "positive"}),
    ({"positive": 20, "posiitve": 1, "negative": 20}, "typing error", {"posiitve": "positive"}),
    ({"true": 9, "0": 5, "1": 4}, "mixed", {"true": "1"}),
]


@pytest.mark.parametrize(("labels", "what", "merge"), SPELLINGS)
def test_one_class_in_two_spellings_is_pointed_out_with_the_merge(
    labels: dict[str, int], what: str, merge: dict[str, str]
) -> None:
    (note,) = note_spellings(labels)
    assert warnings_in([note]) and what in note
    written = note[note.index("data.labels: ") + len("data.labels: ") : -1]
    assert yaml.safe_load(written) == merge, "the merge must be accepted as it is written"


@pytest.mark.parametrize(
    "labels",
    [
        {"class1": 50, "class2": 1}, {"male": 30, "mile": 1}, {"human": 4, "humans": 3}, {"alpha": 50, "alphabet": 1},
        {"1.1": 9, "1.10": 9}, {"pos": 5, "neg": 5}, {"1": 9, "0": 9}, {"true": 3, "false": 3},
    ],
)  # fmt: skip
def test_different_labels_are_not_pointed_out(labels: dict[str, int]) -> None:
    assert note_spellings(labels) == []


def test_merges_to_accept_can_be_accepted_together() -> None:
    """A spec refuses chains of merges."""
    spellings = {"Positive": 50, "Positve": 5, "POSITVE": 1, "neg": 9}
    merges = {merge.name: merge.target for merge in find_merges(spellings)}
    assert merges == {"Positve": "Positive", "POSITVE": "Positive"}
    DataSpec.model_validate({"train": "a.csv", "labels": merges})


def test_merges_name_numbers_in_either_form(workspace: Workspace, tmp_path: Path) -> None:
    values = ["1", "1.0", "2", "3"] * 3
    assert counts(load(workspace, tmp_path / "a.csv", values, labels={"1.0": "3"})) == {"2": 3, "3": 9}
    assert counts(load(workspace, tmp_path / "b.csv", values, labels={"3": "1.0"})) == {"1": 9, "2": 3}


def test_data_labels_merges_in_all_splits(workspace: Workspace, tmp_path: Path) -> None:
    labels = ["human"] * 10 + ["humann"] + ["robot"] * 10
    before = load(workspace, tmp_path / "a.csv", labels)
    assert any("data.labels: {humann: human}" in note for note in before.notes)
    after = load(workspace, tmp_path / "a.csv", labels, labels={"humann": "human"})
    assert counts(after) == {"human": 11, "robot": 10} and not warnings_in(after.notes)
    assert any("1 'humann' are read as 'human'" in note for note in after.notes)
    assert after.fingerprint != before.fingerprint and after.split_ids() == before.split_ids()


def test_data_labels_merges_lists_of_labels_and_types_of_tags(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "tags.jsonl"
    rows = [{"words": ["In", "Rome", f"x{i}"], "tags": ["O", "B-LOC" if i else "B-Loc", "O"]} for i in range(6)]
    path.write_text("\n".join(map(json.dumps, rows)))
    spec = DataSpec.model_validate({"train": str(path), "labels": {"Loc": "LOC"}, "holdout": {"valid": 0, "test": 0}})
    data = load_data(spec, WORDS, workspace)
    assert {tag for tags in data.train.columns["tags"] for tag in tags} == {"O", "B-LOC"}
    columns = (COLUMNS[0], Column("label", "its classes", kind="labels"))
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"t{i}", "label": ["art", "Art", "money"]}) for i in range(6)))
    spec = DataSpec.model_validate({"train": str(path), "labels": {"Art": "art"}, "holdout": {"valid": 0, "test": 0}})
    assert load_data(spec, columns, workspace).train.columns["label"] == [["art", "money"]] * 6


def test_a_merge_of_labels_that_do_not_occur_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    for merge in ({"humann": "human"}, {"robot": "humam"}):
        with pytest.raises(DataError, match="Did you mean 'human'"):
            load(workspace, tmp_path / "a.csv", ["human", "robot"] * 5, labels=merge)
    with pytest.raises(DataError, match="this task has no labels"):
        spec = DataSpec.model_validate({"train": str(tmp_path / "a.csv"), "labels": {"a": "b"}})
        load_data(spec, COLUMNS[:1], workspace)


@pytest.mark.parametrize("merge", ["{a: b, b: c}", "{a: b, b: a}", "{a: a}"])
def test_chains_and_circles_of_merges_are_refused(merge: str) -> None:
    with pytest.raises(SpecError, match="labels merges"):
        RunSpec.from_yaml(f"task: text-classification\nmodel: minilm\ndata: {{train: a.csv, labels: {merge}}}")


def test_labels_that_yaml_reads_as_numbers_are_text() -> None:
    head = "task: text-classification\nmodel: minilm\n"
    spec = RunSpec.from_yaml(head + "data: {train: a.csv, labels: {2: 0, true: 1.0}}")
    assert spec.data.labels == {"2": "0", "true": "1.0"}


def test_labels_with_a_single_row_are_pointed_out_and_a_footer_is_named(workspace: Workspace, tmp_path: Path) -> None:
    labels = ["good", "bad"] * 20 + ["rare"] + ["good", "bad"] * 5 + ["120"]
    data = load(workspace, tmp_path / "a.csv", labels, holdout={"valid": 0.1, "test": 0.2})
    warnings = warnings_in(data.notes)
    assert any("2 labels have a single row each" in note and "'120', 'rare'" in note for note in warnings)
    (footer,) = [note for note in warnings if "footer" in note]
    assert "'120' occurs once (a.csv, line 53)" in footer and "number among words" in footer
    data = load(workspace, tmp_path / "b.csv", ["good", "bad"] * 20, holdout={"valid": 0.1, "test": 0.2})
    assert warnings_in(data.notes) == []


def test_texts_of_invisible_characters_are_empty(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"text number {i},{'ab'[i % 2]}" for i in range(40)] + ["\u200b\u200b\ufeff,a", "\u00ad \u2060,b"]
    path.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    dataset = load_data(DataSpec(train=str(path)), COLUMNS, workspace)
    assert dataset.report["left_out"][0]["rows"] == [42, 43]
