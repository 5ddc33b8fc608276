"""Cells that hold a list: printed by Python or NumPy, as JSON, with separators, or as 0 and 1 for each label."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.cells.literals import parse_list, parse_literal
from workbench.data.cells.values import as_answers, as_texts, as_words
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

LABELS = (Column("text", "a text"), Column("label", "its labels", ("labels",), kind="labels"))
LABEL = (Column("text", "a text"), Column("label", "its label", kind="label"))


def load(path: Path, roles: Sequence[Column], workspace: Workspace, **more: Any) -> Dataset:
    holdout = more.pop("holdout", {"valid": 0, "test": 0})
    return load_data(DataSpec(train=str(path), holdout=holdout, **more), roles, workspace)


def csv(path: Path, cells: Sequence[str], column: str = "labels") -> Path:
    rows = [f'text {i},"{cell.replace(chr(34), chr(34) * 2)}"' for i, cell in enumerate(cells)]
    path.write_text("\n".join([f"text,{column}", *rows]) + "\n", encoding="utf-8")
    return path


def jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


# -- printed lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b c"]', ["a", "b c"]),
        ("['a', 'b c']", ["a", "b c"]),
        ("['a' 'b c']", ["a", "b c"]),
        ("['a'\n \"b's\"]", ["a", "b's"]),
        ("('a', 'b')", ["a", "b"]),
        ("[u'a', 'b',]", ["a", "b"]),
        (r"['it\'s', 'a\nb', '\u00e9']", ["it's", "a\nb", "é"]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("[0, 1, 2]", [0, 1, 2]),
        ("[0 1 2]", [0, 1, 2]),
        ("[]", []),
        ("['a', None, True]", ["a", None, True]),
    ],
)
def test_printed_lists_are_read(text: str, items: list[Any]) -> None:
    assert parse_list(text) == items


@pytest.mark.parametrize("text", ["[sic] he said", "['Tis the season] he said", "don't", "[UNK] and [SEP]", "(a) b"])
def test_texts_with_brackets_are_not_lists(text: str) -> None:
    assert parse_list(text) is None
    assert as_words(text) == text.split() and as_texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("['a', b]", "is not a valid list or JSON"),
        ("['a' 'b', 'c']", "not a valid list"),
        ('["a", "b"', "not a valid list"),
        ("['a' 'b' ... 'y' 'z']", "NumPy shortened"),
        ("['a', " + "[" * 1000 + "]" * 1001, "nested more than 40 deep"),
        ("['a', open('x')]", "not a valid list"),
        ("['a', __import__('os')]", "not a valid list"),
        ("['a'] * 9]", "not a valid list"),
        (r"['a', '\N{NO SUCH NAME}']", "not a valid list"),
    ],
)
def test_broken_lists_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        as_words(text)


def test_long_cells_are_read_in_linear_time() -> None:
    assert len(as_words("[" + "1, " * 100_000 + "1]")) == 100_001
    assert as_words("[" + "1" * 100_000) == ["[" + "1" * 100_000]
    with pytest.raises(ValueError, match="not a valid list"):
        as_words("['" + "a', '" * 100_000 + "]")


def test_printed_answers() -> None:
    """The forms in which pandas writes a SQuAD column into CSV."""
    for text in (
        "{'text': ['Quito'], 'answer_start': [3]}",
        "{'text': array(['Quito'], dtype=object), 'answer_start': array([3], dtype=int32)}",
        "[{'text': 'Quito', 'start': 3}]",
    ):
        assert as_answers(text, "in Quito") == [{"text": "Quito", "start": 3}]
    assert parse_literal("{'a', 'b'}") == ["a", "b"]
    with pytest.raises(ValueError, match="not a valid list"):
        as_answers("{'text': [Quito]}")


@pytest.mark.parametrize("form", [str, json.dumps, lambda items: "[" + " ".join(map(repr, items)) + "]"])
def test_words_and_tags_in_csv(tmp_path: Path, workspace: Workspace, form: Any) -> None:
    columns = (Column("words", "words", kind="words"), Column("tags", "tags", kind="tags"))
    rows = [(["New", "York", "."], ["B-LOC", "I-LOC", "O"]), (["O'Hare", "Ann"], ["O", "B-PER"])]
    quoted = ['"' + form(cell).replace('"', '""') + '"' for row in rows for cell in row]
    path = tmp_path / "a.csv"
    path.write_text(f"words,tags\n{quoted[0]},{quoted[1]}\n{quoted[2]},{quoted[3]}\n", encoding="utf-8")
    result = load(path, columns, workspace).train.columns
    assert result == {"words": [words for words, _ in rows], "tags": [tags for _, tags in rows]}


# -- several labels ---------------------------------------------------------------------------------------------------

MIXED = [["art", "money"], ["art"], ["sport", "art"], [], ["money"]]


@pytest.mark.parametrize(
    "form",
    [
        str,
        json.dumps,
        "|".join,
        "; ".join,
        ", ".join,
        "\n".join,
        lambda labels: str(set(labels)),
        lambda x: str(tuple(x)),
    ],
)
def test_several_labels_in_csv(tmp_path: Path, workspace: Workspace, form: Any) -> None:
    result = load(csv(tmp_path / "a.csv", [form(labels) for labels in MIXED]), LABELS, workspace)
    assert result.train.columns["label"] == [sorted(labels) for labels in MIXED]


def test_the_separator_is_named_and_the_same_in_all_splits(tmp_path: Path, workspace: Workspace) -> None:
    train = csv(tmp_path / "train.csv", ["salt", "pepper", "sugar"])
    test = csv(tmp_path / "test.csv", ["salt; pepper", "sugar"])
    result = load(train, LABELS, workspace, test=str(test))
    assert result.test.columns["label"] == [["pepper", "salt"], ["sugar"]]
    assert any("split at ';'" in note for note in result.notes)
    csv(train, ["salt|pepper", "sugar"])
    with pytest.raises(DataError, match=r"separated by '\|', but also by ';': 'salt; pepper'"):
        load(train, LABELS, workspace, test=str(test))


def test_a_comma_inside_labels_does_not_split_them(tmp_path: Path, workspace: Workspace) -> None:
    """The pieces of "Korea, North" occur in no other cell."""
    names = ["Korea, North", "Korea, North", "Oslo, Norway", "Chad"]
    result = load(csv(tmp_path / "a.csv", names), LABELS, workspace)
    assert result.train.columns["label"] == [[name] for name in names]
    assert any("contain commas, but were not split" in note for note in result.notes)
    split = load(tmp_path / "a.csv", LABELS, workspace, label_separator=",").train.columns["label"]
    assert split[0] == ["Korea", "North"]
    both = [f"{name}|Chad" for name in names]
    result = load(csv(tmp_path / "a.csv", both), LABELS, workspace)
    assert result.train.columns["label"][0] == ["Chad", "Korea, North"]


def test_a_list_that_is_not_valid_is_refused_with_the_row(tmp_path: Path, workspace: Workspace) -> None:
    for cell in ("[art, money]", "['art', money]"):
        with pytest.raises(DataError, match="line 3: column 'labels' holds"):
            load(csv(tmp_path / "a.csv", ["['art']", cell]), LABELS, workspace)


@pytest.mark.parametrize(
    "cells", [[[1, 0, 1], [0, 0, 0], [0, 1, 0]], [[True, False, True], [False] * 3, [False, True, False]]]
)
def test_lists_of_zero_and_one_need_names(tmp_path: Path, workspace: Workspace, cells: list[list[Any]]) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": f"t {i}", "labels": cell} for i, cell in enumerate(cells)])
    with pytest.raises(DataError, match="lists of 3 numbers 0 and 1") as caught:
        load(path, LABELS, workspace)
    assert "data.label_names" in caught.value.hint
    result = load(path, LABELS, workspace, label_names=["art", "money", "sport"])
    assert result.train.columns["label"] == [["art", "sport"], [], ["money"]]
    with pytest.raises(DataError, match="has 2 names"):
        load(path, LABELS, workspace, label_names=["art", "money"])


def test_texts_of_zero_and_one_are_lists(tmp_path: Path, workspace: Workspace) -> None:
    path = csv(tmp_path / "a.csv", ["1 0 1", "0 0 0", "0 1 0"])
    with pytest.raises(DataError, match="lists of 3 numbers"):
        load(path, LABELS, workspace)
    result = load(path, LABELS, workspace, label_names=["art", "money", "sport"])
    assert result.train.columns["label"] == [["art", "sport"], [], ["money"]]


def test_numbers_of_labels_get_their_names(tmp_path: Path, workspace: Workspace) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": f"t {i}", "labels": cell} for i, cell in enumerate([[2], [0, 2], []])])
    names = ["art", "money", "sport"]
    assert load(path, LABELS, workspace, label_names=names).train.columns["label"] == [["sport"], ["art", "sport"], []]
    with pytest.raises(DataError, match="line 1: column 'labels' holds the number 2, but there are names for 0 to 1"):
        load(path, LABELS, workspace, label_names=names[:2])
    single = csv(tmp_path / "b.csv", ["0", "1", "0"], "label")
    assert load(single, LABEL, workspace, label_names=["neg", "pos"]).train.columns["label"] == ["neg", "pos", "neg"]


def test_a_column_for_each_label(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,art,money,sport\na,1,0,true\nb,0,0,False\nc,1.0,0.0,no\n")
    with pytest.raises(DataError, match="no column of labels, but 2 columns of 0 and 1: 'art', 'sport'") as caught:
        load(path, LABELS, workspace)
    assert "label: [art, sport]" in caught.value.hint
    result = load(path, LABELS, workspace, columns={"label": ["art", "money", "sport"]})
    assert result.train.columns["label"] == [["art", "sport"], [], ["art"]]
    path.write_text("text,art,money\na,1,0\nb,0,2\n")
    with pytest.raises(DataError, match="line 3: column 'money' holds '2', but 0 or 1 is needed"):
        load(path, LABELS, workspace, columns={"label": ["art", "money"]})
    with pytest.raises(DataError, match="has no column 'mony'"):
        load(path, LABELS, workspace, columns={"label": ["art", "mony"]})
    with pytest.raises(DataError, match="role text takes one column"):
        load(path, LABELS, workspace, columns={"text": ["art", "money"]})


def test_a_column_for_each_label_of_texts_with_one(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,art,money\na,1,0\nb,0,1\n")
    result = load(path, LABEL, workspace, columns={"label": ["art", "money"]})
    assert result.train.columns["label"] == ["art", "money"]
    for cells, message in (("1,1", "has 2 labels"), ("0,0", "has no label")):
        path.write_text(f"text,art,money\na,1,0\nb,{cells}\n")
        with pytest.raises(DataError, match=f"line 3 {message}"):
            load(path, LABEL, workspace, columns={"label": ["art", "money"]})


def test_lists_of_one_label(tmp_path: Path, workspace: Workspace) -> None:
    path = csv(tmp_path / "a.csv", ["['art']", "['money']"], "label")
    result = load(path, LABEL, workspace)
    assert result.train.columns["label"] == ["art", "money"] and any("one label each" in note for note in result.notes)
    rows = [{"text": "a", "label": ["art"]}, {"text": "b", "label": ["art", "money"]}]
    with pytest.raises(DataError, match="holds a list, but a single label is needed"):
        load(jsonl(tmp_path / "a.jsonl", rows), LABEL, workspace)


def test_objects_of_zero_and_one(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": "a", "labels": {"art": 1, "money": 0}}, {"text": "b", "labels": {"art": True, "money": True}}]
    result = load(jsonl(tmp_path / "a.jsonl", rows), LABELS, workspace)
    assert result.train.columns["label"] == [["art"], ["art", "money"]]


def test_labels_combined_with_another_sign_are_noted(tmp_path: Path, workspace: Workspace) -> None:
    path = csv(tmp_path / "a.csv", ["art/money", "art", "money/sport", "sport"])
    result = load(path, LABELS, workspace)
    assert any("seem to be combined with '/'" in note for note in result.notes)
    result = load(path, LABELS, workspace, label_separator="/")
    assert result.train.columns["label"][0] == ["art", "money"]
    plain = load(csv(tmp_path / "b.csv", ["New York", "New Delhi", "Rome", "Old Town"]), LABELS, workspace)
    assert not any("combined" in note for note in plain.notes)
