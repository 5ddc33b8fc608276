"""Rows that cannot be used: all are counted when they are refused, and listed by reason when they are dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.data.bad_rows import BadRowsError, rest_as_csv
from workbench.data.cells.values import as_number
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data, read_splits
from workbench.data.tables import read_tables
from workbench.errors import DataError
from workbench.runs.report_notes import warnings_in
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

COLUMNS = (Column("text", "the text"), Column("label", "its class", kind="label"))
WORDS = (Column("words", "the words", kind="words"), Column("tags", "their tags", kind="tags"))
QUESTIONS = (
    Column("question", "the question"),
    Column("context", "the context"),
    Column("answers", "its answers", kind="answers"),
)
GOOD = [f"text number {i},{'good' if i % 2 else 'bad'}" for i in range(20)]


def load(workspace: Workspace, path: Path, content: bytes | str, roles: Any = COLUMNS, **spec: Any) -> Dataset:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    spec = {"holdout": {"valid": 0, "test": 0}, **spec}
    return load_data(DataSpec.model_validate({"train": str(path), **spec}), roles, workspace)


def table(*rows: str | bytes) -> bytes:
    lines = ["text,label", *GOOD, *rows]
    return b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"


def left_out(data: Dataset) -> dict[str, list[int]]:
    return {each["reason"]: each["rows"] for each in data.report["left_out"]}


CSV: list[tuple[bytes, list[int], str]] = [
    (table("a text,", "more,good", "one, "), [22, 24], "the label is missing"),
    (table("a,b,c", "more,good", "alone"), [22, 24], "the row does not fit the header"),
    (table("text,label", "more,good", "\ufeffText,LABEL"), [22, 24], "the names of the columns are repeated"),
    (table(b"caf\xe9 text,good", "été,bad", "naïve ñandú öl,good", "çà là,bad", *["ä ö ü ß é,bad"] * 3),
     [22], "some bytes are not text in the encoding of the file"),
    (table('"opened,good', "more,good", '"closed" x,bad'), [22, 24], "the quotes are not closed"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "lines", "reason"), CSV)
def test_rows_of_csv_are_refused_together_or_dropped_by_reason(
    content: bytes, lines: list[int], reason: str, workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(BadRowsError) as caught:
        load(workspace, tmp_path / "a.csv", content)
    assert caught.value.message.startswith(f"a.csv, line {lines[0]}: ") and caught.value.count == len(lines)
    assert len(lines) == 1 or f"{reason} (line {lines[0]}, {lines[1]})" in caught.value.message
    assert "data.on_bad_rows to drop" in caught.value.hint
    data = load(workspace, tmp_path / "a.csv", content, on_bad_rows="drop")
    assert left_out(data) == {reason: lines} and not set(lines) & set(data.train.rows)
    assert any(f"{len(lines)} excluded: {reason}" in note for note in warnings_in(data.notes))
    count = content.count(b"\n") - 1 - len(lines)
    assert len(data.train) == count, "every other row must be used"


def test_rows_with_undefined_bytes_of_a_named_encoding_are_dropped_and_the_others_are_read_in_it(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [f"строка {i} — «текст»,{'good' if i % 2 else 'bad'}" for i in range(20)]
    content = "\n".join(["text,label", *rows]).encode("cp1251").replace("строка 5".encode("cp1251"), b"\x98")
    with pytest.raises(DataError, match="line 7: byte 0x98"):
        load(workspace, tmp_path / "a.csv", content, encoding="cp1251")
    data = load(workspace, tmp_path / "a.csv", content, encoding="cp1251", on_bad_rows="drop")
    assert left_out(data) == {"some bytes are not text in the encoding of the file": [7]}
    assert set(data.train.columns["text"]) == {row.split(",")[0] for i, row in enumerate(rows) if i != 5}


def test_reasons_are_counted_apart_and_across_files(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_bytes(table("one,two,three"))
    with pytest.raises(BadRowsError, match=r"a\.csv, line 22: the label .* 3 rows in all") as caught:
        load(workspace, tmp_path / "a.csv", table("x,", "text,label"), test=str(tmp_path / "test.csv"))
    for part in ("a.csv: the label is missing (line 22)", "are repeated (line 23)", "test.csv: the row does not fit"):
        assert part in caught.value.message


def test_lines_that_are_not_json_objects(workspace: Workspace, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(20)]
    lines[3], lines[7] = '{"text": "cut', "[1, 2]"
    with pytest.raises(DataError, match=r"a\.jsonl, line 4: .* 2 rows in all"):
        load(workspace, tmp_path / "a.jsonl", "\n".join(lines))
    data = load(workspace, tmp_path / "a.jsonl", "\n".join(lines), on_bad_rows="drop")
    assert left_out(data) == {"the line is not a JSON object": [4, 8]} and len(data.train) == 18


def test_tags_that_do_not_fit_their_words_and_answers_outside_their_context(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"words": ["Ann", "sings"], "tags": ["B-PER", "O"]} for _ in range(6)]
    rows[2]["tags"] = ["O"]
    content = "\n".join(map(json.dumps, rows))
    with pytest.raises(BadRowsError, match="line 3: column 'tags' has 1 tags, but column 'words' has 2 words"):
        load(workspace, tmp_path / "tags.jsonl", content, WORDS)
    data = load(workspace, tmp_path / "tags.jsonl", content, WORDS, on_bad_rows="drop")
    assert left_out(data) == {"the value in column 'tags' is not valid": [3]} and len(data.train) == 5
    rows = [
        {"question": f"Who {i}?", "context": "Ann sang.", "answers": [{"text": "Ann", "start": 0}]} for i in range(6)
    ]
    rows[4]["answers"] = [{"text": "Bob", "start": 0}]
    content = "\n".join(map(json.dumps, rows))
    data = load(workspace, tmp_path / "qa.jsonl", content, QUESTIONS, on_bad_rows="drop")
    assert left_out(data) == {"the value in column 'answers' is not valid": [5]} and len(data.train) == 5


def test_a_file_that_is_mostly_unreadable_is_refused_even_then(workspace: Workspace, tmp_path: Path) -> None:
    content = "text,label\n" + "a,b,c,d\n" * 10 + "one,good\n"
    with pytest.raises(DataError, match="4 fields, but the header has 2") as caught:
        load(workspace, tmp_path / "a.csv", content, on_bad_rows="drop")
    assert not isinstance(caught.value, BadRowsError)
    with pytest.raises(DataError, match="no row can be used"):
        load(workspace, tmp_path / "b.csv", "text,label\n" + "a,\n" * 10, on_bad_rows="drop")


def test_a_text_that_equals_the_name_of_its_only_column_is_a_text(workspace: Workspace, tmp_path: Path) -> None:
    data = load(workspace, tmp_path / "a.csv", "text\nword\ntext\nother\n", COLUMNS[:1])
    assert data.train.columns["text"] == ["word", "text", "other"]


def test_good_data_have_the_same_fingerprint_either_way(workspace: Workspace, tmp_path: Path) -> None:
    first = load(workspace, tmp_path / "a.csv", table())
    assert load(workspace, tmp_path / "a.csv", table(), on_bad_rows="drop").fingerprint == first.fingerprint


def test_the_other_rows_of_a_file_do_not_have_the_rest_of_a_bad_sentence(workspace: Workspace, tmp_path: Path) -> None:
    words = [("Ada", "B-PER"), ("sings", "O"), ("here", "O")]
    rows = [f"{i},{word},{'' if (i, word) == (4, 'sings') else tag}" for i in range(8) for word, tag in words]
    path = tmp_path / "words.csv"
    path.write_text("\n".join(["sentence_id,words,tags", *rows]) + "\n")
    spec = DataSpec.model_validate({"train": str(path), "on_bad_rows": "drop"})
    read = read_splits(spec, WORDS, workspace)
    table = read_tables(spec, None, WORDS, workspace)["train"]
    rest = rest_as_csv(table, read.extracted["train"].bad_rows, read.tables["train"].rows).splitlines()
    assert rest[1:] == [row for row in rows if not row.startswith("4,")]


@pytest.mark.parametrize("value", ["1_000", "4,5", "1e400", "nan", ""])
def test_numbers_that_can_be_misread_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="number is needed"):
        as_number(value)


RELATION = {"text": "Ada left Oslo", "head": "Ada", "tail": "Oslo", "relation": "left"}
MESSAGES = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
MULTI = {"multi_label": True}
SHAPES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("question-answering", {"question": "q", "context": "Ada sang", "answer": "Ada"}, {"answer": "Bob"}, {}, {}),
    ("question-answering", {"question": "q", "context": "Ada sang", "answer": "Ada", "answer_start": 0},
     {"answer_start": "x"}, {}, {}),
    ("relation-extraction", RELATION, {"head": "Bob"}, {}, {}),
    ("dialogue", {"messages": MESSAGES}, {"messages": [{"role": "alice", "content": "a"}, *MESSAGES]}, {}, {}),
    ("dialogue", {"messages": MESSAGES}, {"messages": "x"}, {}, {}),
    ("dialogue", {"prompt": "a", "completion": "b"}, {"prompt": {"x": 1}}, {}, {}),
    ("translation", {"translation": {"en": "a", "de": "b"}}, {"translation": {"en": "a"}}, {},
     {"columns": {"source": "en", "target": "de"}}),
    ("text-classification", {"text": "a", "art": 1, "sport": 0}, {"art": "?"}, MULTI,
     {"columns": {"label": ["art", "sport"]}}),
    ("text-classification", {"text": "a", "art": 1, "sport": 0}, {"art": 0}, {},
     {"columns": {"label": ["art", "sport"]}}),
    ("text-classification", {"text": "a", "labels": "['art', 'b']"}, {"labels": "['art', b]"}, MULTI, {}),
    ("text-classification", {"text": "a", "labels": [0, 1]}, {"labels": [7]}, MULTI, {"label_names": ["a", "b"]}),
    ("text-classification", {"text": "a", "label": 0}, {"label": 7}, {}, {"label_names": ["a", "b"]}),
    ("text-classification", {"text": "a", "label": "['art']"}, {"label": "['art', 'b']"}, {}, {}),
    ("token-classification", {"words": ["Ada", "sang"], "tags": [1, 0]}, {"tags": [7, 0]}, {},
     {"label_names": ["O", "B-PER"]}),
]  # fmt: skip


@pytest.mark.parametrize(("task", "row", "change", "options", "spec"), SHAPES)
def test_a_malformed_row_of_any_shape_is_refused_by_its_line_or_dropped(
    task: str,
    row: dict[str, Any],
    change: dict[str, Any],
    options: dict[str, Any],
    spec: dict[str, Any],
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    """The first 50 rows show what a column holds; the malformed ones are among the last."""
    kind = tasks.get(task)
    other = {"text-classification": {"label": {0: 1, "['art']": "['b']"}}}.get(task, {}).get("label", {})
    rows = [dict(row, id=i) for i in range(56)]
    if "label" in row:
        rows[1]["label"] = other[row["label"]]
    if "relation" in row:
        rows[1]["relation"] = "other"
    if row.get("art") == 1:
        rows[1] |= {"art": 0, "sport": 1}
    for bad in (53, 55):
        rows[bad] |= change
    content = "\n".join(map(json.dumps, rows))
    columns = kind(kind.Config(**options)).columns()
    with pytest.raises(BadRowsError, match=r"a\.jsonl, line 54\b.* 2 rows in all .*line 54, 56\)"):
        load(workspace, tmp_path / "a.jsonl", content, columns, **spec)
    data = load(workspace, tmp_path / "a.jsonl", content, columns, on_bad_rows="drop", **spec)
    assert list(left_out(data).values()) == [[54, 56]] and len(data.train) == 54


def test_a_malformed_row_of_a_test_file_is_dropped(workspace: Workspace, tmp_path: Path) -> None:
    rows = [dict(RELATION, id=i, relation="ab"[i % 2]) for i in range(6)]
    test = [*rows[:2], dict(rows[2], tail="Rome"), rows[3]]
    (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, test)))
    columns = tasks.get("relation-extraction")().columns()
    spec = {"test": str(tmp_path / "test.jsonl"), "on_bad_rows": "drop"}
    data = load(workspace, tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)), columns, **spec)
    assert left_out(data) == {"the relations are not valid": [3]} and len(data.test) == 3


def test_empty_cells_and_ticks_in_columns_of_labels(workspace: Workspace, tmp_path: Path) -> None:
    rows = ["text,art,sport", *(f"text {i},{'x' if i % 2 else ''},{'' if i % 2 else '✓'}" for i in range(6))]
    kind = tasks.get("text-classification")
    columns = kind(kind.Config(multi_label=True)).columns()
    data = load(workspace, tmp_path / "a.csv", "\n".join(rows), columns, columns={"label": ["art", "sport"]})
    assert data.train.columns["label"] == [["sport"], ["art"]] * 3
    assert any("6 empty cells" in note for note in data.notes)
