"""Files that are nearly a table: read where there is one sensible reading, or refused with what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.runs.report_notes import warnings_in
from workbench.spec import DataSpec
from workbench.workspace import Workspace

ROLES = (Column("text", "the text", ("review",)), Column("label", "the label", ("intent",), kind="label"))
ROWS = [(f"the film number {i} was fine", ("pos", "neg")[i % 2]) for i in range(12)]


def load(path: Path, content: str, workspace: Workspace, encoding: str = "utf-8", **more: Any) -> Dataset:
    path.write_text(content, encoding=encoding, newline="")
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more), ROLES, workspace)


def pairs(result: Dataset) -> list[tuple[str, str]]:
    return sorted(zip(result.train.columns["text"], result.train.columns["label"], strict=True))


@pytest.mark.parametrize(
    "document",
    [
        dict(ROWS),
        {label: [text for text, own in ROWS if own == label] for label in ("pos", "neg")},
        {"rasa_nlu_data": {"common_examples": [{"text": text, "intent": label} for text, label in ROWS]}},
        {"took": 3, "hits": {"hits": [{"_id": 1, "_source": {"text": t, "label": label}} for t, label in ROWS]}},
    ],
    ids=["text: label", "label: texts", "rows two keys deep", "search results"],
)
def test_one_document_with_a_table(tmp_path: Path, workspace: Workspace, document: Any) -> None:
    assert pairs(load(tmp_path / "a.json", json.dumps(document), workspace)) == sorted(ROWS)


def test_lists_of_texts_of_different_lengths(tmp_path: Path, workspace: Workspace) -> None:
    rows = ROWS[:-1]
    document = {label: [text for text, own in rows if own == label] for label in ("pos", "neg")}
    assert pairs(load(tmp_path / "a.json", json.dumps(document), workspace)) == sorted(rows)


@pytest.mark.parametrize("names", [("Kommentar", "Klasse"), ("text", "label"), ("de", "en")])
def test_columns_of_equal_length_are_no_labels(tmp_path: Path, workspace: Workspace, names: tuple[str, str]) -> None:
    """A column whose values repeat is a column of labels."""
    document = dict(zip(names, map(list, zip(*ROWS, strict=True)), strict=True))
    columns = {} if "text" in names else {"columns": {"text": names[0], "label": names[1]}}
    assert pairs(load(tmp_path / "a.json", json.dumps(document), workspace, **columns)) == sorted(ROWS)
    if not set(names) & {"text"}:
        with pytest.raises(DataError, match="no column matches the role text"):
            load(tmp_path / "b.json", json.dumps(document), workspace)


def test_a_text_and_its_label_on_each_line(tmp_path: Path, workspace: Workspace) -> None:
    content = "\n".join(json.dumps({text: label}) for text, label in ROWS)
    assert pairs(load(tmp_path / "a.jsonl", content, workspace)) == sorted(ROWS)


def test_members_of_objects_are_columns(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"id": i, "data": {"text": t}, "meta": {"label": {"name": y, "n": 1}}} for i, (t, y) in enumerate(ROWS)]
    content = "\n".join(map(json.dumps, rows))
    chosen = {"text": "data.text", "label": "meta.label.name"}
    assert pairs(load(tmp_path / "a.jsonl", content, workspace, columns=chosen)) == sorted(ROWS)
    flat = [{"data": {"text": text}, "meta": {"label": label}} for text, label in ROWS]
    result = load(tmp_path / "b.jsonl", "\n".join(map(json.dumps, flat)), workspace)
    assert pairs(result) == sorted(ROWS)
    assert any("text (data.text), label (meta.label)" in note for note in result.notes)


def test_members_do_not_replace_columns(tmp_path: Path, workspace: Workspace) -> None:
    """A table with all its columns is used as it is, and a member of a used column takes no role."""
    content = "\n".join(json.dumps({"text": t, "label": y, "more": {"text": "x"}}) for t, y in ROWS)
    assert pairs(load(tmp_path / "a.jsonl", content, workspace)) == sorted(ROWS)
    content = "\n".join(json.dumps({"label": {"text": y, "id": 1}, "body": t}) for t, y in ROWS)
    with pytest.raises(DataError, match="no column matches the role text"):
        load(tmp_path / "b.jsonl", content, workspace)


@pytest.mark.parametrize("sign", ["~", "^", "\x01", "\x1f", "¦"])
def test_rare_delimiters(tmp_path: Path, workspace: Workspace, sign: str) -> None:
    content = "\n".join(sign.join(row) for row in (("text", "label"), *ROWS))
    assert pairs(load(tmp_path / "a.csv", content, workspace)) == sorted(ROWS)


def test_a_markdown_table_has_a_rule_below_its_header(tmp_path: Path, workspace: Workspace) -> None:
    content = "| text | label |\n|---|:---|\n" + "\n".join(f"|{text}|{label}|" for text, label in ROWS)
    assert pairs(load(tmp_path / "a.txt", content, workspace)) == sorted(ROWS)


def test_the_end_of_file_sign_of_dos_is_no_row(tmp_path: Path, workspace: Workspace) -> None:
    content = "text,label\n" + "\n".join(map(",".join, ROWS)) + "\n\x1a"
    assert pairs(load(tmp_path / "a.csv", content, workspace)) == sorted(ROWS)


def test_letters_saved_in_a_wrong_encoding_are_pointed_out(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(f"{text} “café” schön", label) for text, label in ROWS]
    content = "text,label\n" + "\n".join(map(",".join, rows))
    assert not warnings_in(load(tmp_path / "a.csv", content, workspace).notes)
    misread = content.encode("utf-8").decode("cp1252", "replace").replace("\ufffd", "")
    (warning,) = warnings_in(load(tmp_path / "b.csv", misread, workspace).notes)
    assert "'schÃ¶n' for 'schön'" in warning


def test_html_entities_are_pointed_out(tmp_path: Path, workspace: Workspace) -> None:
    content = "text,label\n" + "\n".join(f"{text} &amp; more,{label}" for text, label in ROWS)
    assert any("HTML entities, such as &amp;" in note for note in load(tmp_path / "a.csv", content, workspace).notes)


def test_control_characters_of_excel(tmp_path: Path, workspace: Workspace) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (("text", "label"), *((f"{text}_x000D_\nmore", label) for text, label in ROWS)):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    data = DataSpec(train=str(tmp_path / "a.xlsx"), holdout={"valid": 0, "test": 0})
    assert load_data(data, ROLES, workspace).train.columns["text"][0] == f"{ROWS[0][0]}\r\nmore"


TABLE = "\n".join(map(",".join, ROWS))
JSON_ROWS = ",\n".join(json.dumps({"text": text, "label": label}) for text, label in ROWS)


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.json", f"[{JSON_ROWS},\n]", r"Remove the comma before the closing \]"),
        ("a.json", f"// rows\n[{JSON_ROWS}]", "Remove the comments"),
        ("a.json", "[{text: 'a', label: 'b'}]", "names of keys in double quotes"),
        ("a.jsonl", "\n".join(str({"text": t, "label": y}) for t, y in ROWS), "printed objects of Python"),
        ("a.json", json.dumps({"a": [{"text": "x"}], "b": [{"text": "y"}]}), "Write each to a file of its own"),
        ("a.csv", "<html><table><tr><td>text</td></tr></table></html>", "Save the table as CSV"),
        ("a.csv", f"@relation r\n@attribute text string\n@data\n{TABLE}", "Save the table as CSV"),
        ("a.txt", "\n".join(" ==> ".join(row) for row in ROWS), "data.delimiter"),
        ("a.csv", "text,label\n" + "\n".join(f"'{t}, yes','{y}'" for t, y in ROWS), 'Only the quote " encloses fields'),
        ("a.md", "| text | label |\n|---|---|\n| x | y |", "read as texts"),
        ("a.txt", "\n".join(f"{t} ||| and the text number {i}" for i, (t, _) in enumerate(ROWS)), "data.header"),
    ],
)
def test_the_hint_says_what_to_do(tmp_path: Path, workspace: Workspace, name: str, content: str, advice: str) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / name, content, workspace)
    assert caught.value.hint is not None
    assert re.search(advice, caught.value.hint), caught.value


def test_questions_of_a_survey_are_names_of_columns(tmp_path: Path, workspace: Workspace) -> None:
    content = "How do you like this film?,What is your overall opinion?\n" + TABLE
    with pytest.raises(DataError, match="no column matches the role text") as caught:
        load(tmp_path / "a.csv", content, workspace)
    assert "seems to be data" not in caught.value.message


def test_a_decimal_comma_is_named(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "a.csv").write_text("text;score\n" + "\n".join(f"{text};0,{i}" for i, (text, _) in enumerate(ROWS)))
    roles = (ROLES[0], Column("score", "the score", kind="number"))
    with pytest.raises(DataError, match=r"write decimals with a point \(0\.5\)"):
        load_data(DataSpec(train=str(tmp_path / "a.csv")), roles, workspace)


def test_documents_of_docred_are_named(tmp_path: Path, workspace: Workspace) -> None:
    from workbench.tasks.base import tasks

    (tmp_path / "a.json").write_text(json.dumps([{"title": "A", "sents": [["Ada"]], "vertexSet": [], "labels": []}]))
    with pytest.raises(DataError, match="the form of DocRED"):
        load_data(DataSpec(train=str(tmp_path / "a.json")), tasks.get("relation-extraction")().columns(), workspace)
