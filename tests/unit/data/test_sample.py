"""Texts of a file are sampled from several parts of it, whatever its format; what cannot be read yields none."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from workbench.data.readers import sample
from workbench.data.readers.sample import sample_texts
from workbench.data.text.language import detect_languages

ROWS = [{"Body": "Guten Morgen, Welt", "label": "gut"}, {"Body": "你好，世界", "label": "gut"}]
TEXTS = [row["Body"] for row in ROWS]


def test_columns_of_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text('id;Body;label\n1;"Guten Morgen, Welt";gut\n2;你好，世界;gut\n', encoding="utf-8")
    assert sample_texts(path, [("text", "body")]) == TEXTS
    assert sample_texts(path, [("missing",)]) == ["1", TEXTS[0], "gut", "2", TEXTS[1], "gut"]


@pytest.mark.parametrize("escaped", [True, False])
def test_fields_of_json_lines(escaped: bool, tmp_path: Path) -> None:
    path = tmp_path / "reviews.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=escaped) for row in ROWS), encoding="utf-8")
    assert sample_texts(path, [("body",)]) == TEXTS


@pytest.mark.parametrize("escaped", [True, False])
def test_texts_of_a_large_document_in_one_line(escaped: bool, tmp_path: Path) -> None:
    """SQuAD's format: the document is not read as a whole, and its keys are not texts."""
    path = tmp_path / "squad.json"
    document = {"data": [{"paragraphs": [{"context": f"第{i}段：这是一段中文文本。" * 20}]} for i in range(5_000)]}
    path.write_text(json.dumps(document, ensure_ascii=escaped), encoding="utf-8")
    texts = sample_texts(path)
    assert 20 < len(texts) < 3_000 and not any("paragraphs" in text for text in texts)
    assert detect_languages(texts).shares == {"zh": 1.0}


def test_a_large_sorted_file_is_read_at_several_positions(tmp_path: Path) -> None:
    path = tmp_path / "sorted.csv"
    lines = ["text", *["The first part is in English."] * 40_000, *["Der zweite Teil ist auf Deutsch."] * 40_000]
    path.write_text("\n".join(lines), encoding="utf-8")
    texts = sample_texts(path, [("text",)])
    assert len(texts) < 12_000 and set(texts) == set(lines[1:])


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8-sig"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\n" + "这家饭店的服务非常好，我们很喜欢，下次还会再来。,1\n" * 40, encoding=encoding)
    assert detect_languages(sample_texts(path, [("text",)])).main == "zh"
    if encoding == "gb18030":
        assert detect_languages(sample_texts(path, [("text",)], "gb18030")).main == "zh"


def test_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "reviews.parquet"
    pandas.DataFrame(ROWS).to_parquet(path)
    assert sample_texts(path, [("body",)]) == TEXTS
    path.write_bytes(path.read_bytes()[:50])
    assert sample_texts(path, [("body",)]) == []


def test_words_and_folders(tmp_path: Path) -> None:
    (tmp_path / "names.conll").write_text("Anna B-PER\nwohnt O\n\nHier O\n", encoding="utf-8")
    assert sample_texts(tmp_path / "names.conll") == ["Anna wohnt", "Hier"]
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("Eins\nZwei", encoding="utf-8")
    (folder / "b.md").write_text("Drei", encoding="utf-8")
    assert sample_texts(folder) == ["Eins", "Zwei", "Drei"]


def test_what_cannot_be_read_yields_no_texts(tmp_path: Path) -> None:
    assert sample_texts(tmp_path / "missing.csv") == []
    (tmp_path / "empty.csv").touch()
    assert sample_texts(tmp_path / "empty.csv") == []
    assert sample_texts(tmp_path / ("x" * 500)) == []
    (tmp_path / "texts.zip").write_bytes(b"the and of to in is that it for was " * 9)
    assert sample_texts(tmp_path / "texts.zip") == []
    (tmp_path / "texts.csv").write_text("text\nthe and of\n")
    assert sample_texts(tmp_path / "texts.csv", (), "no-encoding") == []
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    assert sample_texts(tmp_path / "deep.jsonl") == []


def test_the_bytes_of_a_workbook_are_not_texts(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    workbook.active.append(["text"])
    workbook.save(tmp_path / "texts.xlsx")
    assert sample_texts(tmp_path / "texts.xlsx") == []


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Eins", encoding="utf-8")
    assert sample_texts(path) == ["Eins"]
    path.write_text("Zwei, drei", encoding="utf-8")
    assert sample_texts(path) == ["Zwei, drei"]


def test_excel_and_archives(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    workbook.active.append(["Body", "label"])
    workbook.active.append(["an English text", "good"])
    german = workbook.create_sheet("German")
    for row in [list(ROWS[0]), *(list(row.values()) for row in ROWS)]:
        german.append(row)
    workbook.save(tmp_path / "reviews.xlsx")
    assert sample_texts(tmp_path / "reviews.xlsx", [("body",)]) == ["an English text"]
    assert sample_texts(tmp_path / "reviews.xlsx", [("body",)], sheet="German") == TEXTS
    assert sample_texts(tmp_path / "reviews.xlsx", [("body",)], sheet="French") == []
    lines = "\n".join(json.dumps(row) for row in ROWS * 50_000)
    with gzip.open(tmp_path / "reviews.jsonl.gz", "wt") as file:
        file.write(lines)
    with zipfile.ZipFile(tmp_path / "reviews.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("reviews.jsonl", lines)
    for name in ("reviews.jsonl.gz", "reviews.zip"):
        texts = sample_texts(tmp_path / name, [("body",)])
        assert TEXTS[0] in texts and TEXTS[1] in texts and len(texts) < 50_000, "only the beginning is unpacked"


def test_a_folder_with_a_subfolder_for_each_label(tmp_path: Path) -> None:
    for label, text in zip(("gut", "schlecht"), TEXTS, strict=True):
        (tmp_path / label).mkdir()
        for number in range(200):
            (tmp_path / label / f"{number}.txt").write_text(text, encoding="utf-8")
    texts = sample_texts(tmp_path)
    assert set(texts) == set(TEXTS) and len(texts) <= 50


def test_a_string_without_an_end_is_searched_once() -> None:
    """From each quotation mark in it, the search began again: 32 kB took eight seconds."""
    assert len(list(sample._STRING.finditer('\\"' * 16_000))) == 1
    assert len(list(sample._STRING.finditer('\\"' * 16_000 + "\\"))) == 1


def test_strings_in_a_part_of_a_document(tmp_path: Path) -> None:
    line = 'cut off", "a": "one \\"quoted\\" word", "b" : ["two", "tabs\\t"], "c": "without an e'
    assert list(sample._json_texts(line, [])) == ['one "quoted" word', "two", "tabs\t"]
