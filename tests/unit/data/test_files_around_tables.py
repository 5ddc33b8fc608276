"""Tables in Excel workbooks, in gzip and zip files, and as folders of texts: read within bounds, or refused."""

from __future__ import annotations

import datetime
import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest

from workbench.data.columns import Column
from workbench.data.load import TEXT, load_data
from workbench.data.readers import archives, excel_reader
from workbench.data.readers.options import ReadOptions
from workbench.data.readers.read import read_table
from workbench.data.tables import read_file
from workbench.data.text.corpus import stream_texts
from workbench.errors import DataError, RefusedError, WorkbenchError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

_CSV = b"text,label\na,x\nb,y\n"
_COLUMNS = {"text": ["a", "b"], "label": ["x", "y"]}

# -- Excel ------------------------------------------------------------------------------------------------------------


def _workbook(path: Path, **sheets: list[list[object]]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
    workbook.save(path)
    return path


def test_a_sheet_of_a_workbook(tmp_path: Path) -> None:
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5)
    rows = [
        [],
        ["text", "label", "day", None, "n"],
        ["a", 1, datetime.date(2024, 1, 2), None, 1.5],
        [],
        ["b\nc", 2.0, moment, None, "#N/A"],
        ["007", True, None, None, None],
    ]
    path = _workbook(tmp_path / "a.xlsx", First=rows, Second=[["t"], ["x"]])
    table = read_table(path)
    assert table.columns == {
        "text": ["a", "b\nc", "007"], "label": [1, 2, True], "day": ["2024-01-02", "2024-01-02 03:04:05", None],
        "n": [1.5, None, None],
    }  # fmt: skip
    assert table.rows == [3, 5, 6] and table.where(0) == "a.xlsx, row 3"
    notes = " ".join(table.notes)
    for part in ("read the first sheet, 'First'", "'Second'", "row 2", "1 empty rows", "1 cells hold an error"):
        assert part in notes
    second = read_table(path, options=ReadOptions(sheet="Second"))
    assert second.columns == {"t": ["x"]} and not second.notes and second.sha256 != table.sha256
    with pytest.raises(DataError, match="no sheet 'Third'") as caught:
        read_table(path, options=ReadOptions(sheet="Third"))
    assert "'First', 'Second'" in caught.value.hint


def test_the_values_of_formulas_are_read(tmp_path: Path) -> None:
    path = _workbook(tmp_path / "a.xlsx", S=[["text", "n"], ["a", "=1+1"]])
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>").replace(b"<v></v>", b"<v>2</v>")
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    assert read_table(path).columns == {"text": ["a"], "n": [2]}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["text", None], ["a", "x"]], "column 2 of 2 has no name"),
        ([["text", "text"], ["a", "x"]], "both named 'text'"),
        ([["text", "label"]], "no rows"),
        ([], "the sheet is empty"),
    ],
)
def test_sheets_that_are_not_tables_are_refused(tmp_path: Path, rows: list, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_workbook(tmp_path / "a.xlsx", S=rows))


def test_hostile_workbooks_are_refused(tmp_path: Path, monkeypatch) -> None:
    path = _workbook(tmp_path / "a.xlsx", S=[["text"], ["a"], ["b"]])
    monkeypatch.setattr(excel_reader, "MAX_CELLS", 2)
    with pytest.raises(DataError, match="more than 2 cells"):
        read_table(path)
    monkeypatch.undo()
    parts = {name: zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    for name, content, message in (
        ("xl/worksheets/sheet1.xml", b" " * 40_000_000, "times its size"),
        ("xl/sharedStrings.xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><sst>&b;</sst>', "XML entities"),
        ("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row><c t=", "cannot be read|is empty"),
        ("xl/workbook.xml", b"no XML", "cannot be read as an Excel workbook"),
    ):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part, own in {**parts, name: content}.items():
                archive.writestr(part, own)
        with pytest.raises(DataError, match=message):
            read_table(path)


def test_a_sheet_needs_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(_CSV)
    with pytest.raises(DataError, match="is not an Excel file"):
        read_table(tmp_path / "a.csv", options=ReadOptions(sheet="S"))


# -- gzip and zip -----------------------------------------------------------------------------------------------------


def _zip(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


def test_one_table_in_gzip_or_zip(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(_CSV))
    (tmp_path / "a.csv").write_bytes(_CSV)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/a.csv", _CSV)
        archive.writestr("__MACOSX/folder/._a.csv", b"x")
    plain = read_table(tmp_path / "a.csv")
    for name in ("a.csv.gz", "b.zip"):
        table = read_table(tmp_path / name)
        assert table.columns == _COLUMNS and table.rows == [2, 3] and table.sha256 == plain.sha256
        assert table.notes == [f"{name}: read the file in it, a.csv."]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a_csv": _CSV, "b_csv": _CSV}, r"holds 2 files \(a\.csv, b\.csv\)"),
        ({}, "holds 0 files"),
        ({"a_exe": b"MZ"}, "holds 'a.exe', which is not a table"),
        ({"a_zip": b"PK"}, "holds 'a.zip', which is not a table"),
        ({"a_csv": b"0" * 40_000_000}, "unpacks to at least .* the maximum is 16,777,216"),
    ],
)
def test_other_zip_files_are_refused(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(_zip(tmp_path / "a.zip", **members))


def test_a_member_cannot_leave_its_folder_or_be_a_pickle(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../evil.csv", _CSV)
    assert read_table(tmp_path / "a.zip").columns == _COLUMNS
    assert not (tmp_path.parent.parent / "evil.csv").exists()
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"\x80\x04\x95abc."))
    with pytest.raises(RefusedError):
        read_table(tmp_path / "b.csv.gz")


def test_gzip_bombs_and_cut_files_are_refused_and_leave_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(archives.tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    content = gzip.compress(b"0" * 40_000_000)
    (tmp_path / "a.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match="unpacks to at least"):
        read_table(tmp_path / "a.csv.gz")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(_CSV)[:-9])
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_table(tmp_path / "a.csv.gz")
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("name", ["stored.zip", "deflated.zip", "bzip2.zip", "lzma.zip", "a.csv.gz", "a.xlsx"])
def test_a_damaged_archive_is_refused_or_read_wherever_the_damage_is(tmp_path: Path, name: str) -> None:
    content, path = b"text,label\n" + _CSV.partition(b"\n")[2] * 5, tmp_path / name
    if path.suffix == ".xlsx":
        whole = _workbook(path, S=[["text", "label"], ["a", "x"], ["b", "y"]]).read_bytes()
    elif path.suffix == ".gz":
        whole = gzip.compress(content)
    else:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", getattr(zipfile, f"ZIP_{path.stem.upper()}")) as archive:
            archive.writestr("ä.csv", content)
        whole = out.getvalue()
    path.write_bytes(whole)
    assert len(read_table(path)) > 1
    refused = 0
    for at in range(0, len(whole), 3 if len(whole) < 1_000 else 47):
        path.write_bytes(whole[:at] + b"\xff\x00\xff" + whole[at + 3 :])
        try:
            read_table(path)
        except WorkbenchError:
            refused += 1
    assert refused > 10


def test_a_file_in_an_archive_is_read_as_outside_of_it(tmp_path: Path, workspace: Workspace) -> None:
    """Texts are documents, not a table whose first line is the header, and CoNLL is not CSV."""
    words = (Column("words", "The words.", kind="words"), Column("tags", "The tags.", kind="tags"))
    for name, content, columns in (
        ("a.txt", "One sentence, and another.\nTwo.\n", (TEXT,)),
        ("a.conll", "Ada B-PER\nlives O\n\nIn O\nOslo B-LOC\n", words),
    ):
        (tmp_path / name).write_text(content)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
        table = read_file(tmp_path / f"{name}.gz", columns)
        assert table.columns == read_file(tmp_path / name, columns).columns
        assert table.notes[0] == f"{name}.gz: read the file in it, {name}."
    for name, mapping in (("a.txt", {}), ("a.conll", {"words": "words"})):
        specs = [DataSpec(train=str(tmp_path / each), columns=mapping) for each in (name, f"{name}.gz")]
        plain, packed = (list(stream_texts(spec, workspace)[0]) for spec in specs)
        assert len(plain) == 2 and packed == plain


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    for name in ("a" * 300, "a" * 300 + ".csv", "a" * 300 + ".csv.gz"):
        with pytest.raises(DataError, match="cannot be opened"):
            read_file(tmp_path / name, (TEXT,))


# -- folders of texts -------------------------------------------------------------------------------------------------


def test_a_folder_with_a_subfolder_for_each_label(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    for name, content in {
        "pos/1.txt": "Schön.\r\nWirklich.\n".encode(), "pos/more/2.txt": "L’été à la mer.".encode("cp1252"),
        "neg/1.txt": "Très mauvais, où est la fin ?".encode("cp1252"), "neg/empty.txt": b"", "README.txt": b"About",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    table = read_table(folder)
    assert table.columns == {
        "text": ["Très mauvais, où est la fin ?", "Schön.\nWirklich.", "L’été à la mer."],
        "label": ["neg", "pos", "pos"],
        "file": ["neg/1.txt", "pos/1.txt", "pos/more/2.txt"],
    }
    assert any("labels (neg: 1, pos: 2)" in note for note in table.notes)
    assert any("left out 1 texts" in note for note in table.notes)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("train/pos/1.txt", "test/pos/1.txt"), "are splits, not labels"),
        (("1.txt", "2.txt"), "has no subfolders with texts"),
        (("pos/1.csv",), "There is no text file"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    for name in files:
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("text")
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "d")


def test_a_run_reads_a_folder_of_labels_and_a_sheet(tmp_path: Path, workspace) -> None:
    columns = (Column("text", "The text.", ("text",)), Column("label", "The class.", ("label",), "label"))
    for label in ("pos", "neg"):
        (tmp_path / "films" / label).mkdir(parents=True)
        for i in range(10):
            (tmp_path / "films" / label / f"{i}.txt").write_text(f"film {label} {i}")
    data = load_data(DataSpec(train=str(tmp_path / "films")), columns, workspace)
    assert data.mapping == {"text": "text", "label": "label"} and set(data.train.columns["label"]) == {"pos", "neg"}
    rows: list[list[object]] = [["text", "label"], *([f"film {i}", "pos" if i % 2 else "neg"] for i in range(20))]
    path = _workbook(tmp_path / "a.xlsx", Notes=[["hello"], ["there"]], Films=rows)
    data = load_data(DataSpec(train=str(path), sheet="Films"), columns, workspace)
    assert set(data.train.columns["label"]) == {"pos", "neg"}


# -- titles and missing names -----------------------------------------------------------------------------------------

_TEXTS = [f"a fine film, number {i}" for i in range(8)]
_LABELS = ["good", "bad"] * 4
_DATA = [[text, label] for text, label in zip(_TEXTS, _LABELS, strict=True)]


@pytest.mark.parametrize("title", [[["Export of 2024"]], [["Reviews"], [None, None]], [["All reviews"], ["by us"], []]])
def test_titles_above_the_table_of_a_workbook(tmp_path: Path, title: list[list[object]]) -> None:
    path = _workbook(tmp_path / "a.xlsx", one=[*title, ["text", "label"], *_DATA])
    table = read_table(path)
    assert table.columns == {"text": _TEXTS, "label": _LABELS}
    assert any("rows of titles" in note for note in table.notes) and table.rows[0] == len(title) + 2


@pytest.mark.parametrize(
    "title", ["Export of 2024\n", "Export of 2024,\n", "Reviews\n\n", "All of our reviews\nby us\n\n"]
)
def test_titles_above_the_table_of_a_csv_file(tmp_path: Path, title: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(title + "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in _DATA))
    table = read_table(path)
    assert table.columns == {"text": _TEXTS, "label": _LABELS} and table.rows[0] == title.count("\n") + 2
    assert any("title above the table" in note for note in table.notes)
    assert not any("blank lines" in note for note in table.notes)


@pytest.mark.parametrize("content", ["text\nhello, world\ngood, bye\n" * 2, ",text\n0,a b\n1,c d\n"])
def test_a_first_line_that_is_no_title_is_not_skipped(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    try:
        table = read_table(path)
    except DataError:
        return
    assert not any("title" in note for note in table.notes)


_FORMS = {
    "a.csv": lambda rows: "".join(f'"{text}",{label}\n' for text, label in rows),
    "a.tsv": lambda rows: "".join(f"{text}\t{label}\n" for text, label in rows),
    "a.txt": lambda rows: "".join(f"{text}\t{label}\n" for text, label in rows),
    "a.jsonl": lambda rows: "\n".join(json.dumps(row) for row in rows),
    "a.json": lambda rows: json.dumps(rows),
}


@pytest.mark.parametrize("name", [*_FORMS, "a.xlsx"])
def test_a_file_without_names_of_its_columns_is_pointed_out_and_read_with_names(
    tmp_path: Path, workspace: Workspace, name: str
) -> None:
    """Every row is used, the first too; the names are proposed in the order of the columns."""
    path = tmp_path / name
    if name == "a.xlsx":
        _workbook(path, one=_DATA)
    else:
        path.write_text(_FORMS[name](_DATA))
    columns = (Column("text", "the text"), Column("label", "its class", kind="label"))
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0})
    with pytest.raises(DataError) as caught:
        load_data(spec, columns, workspace)
    assert "data.header: [text, label]" in caught.value.hint
    data = load_data(spec.model_copy(update={"header": ["text", "label"]}), columns, workspace)
    assert data.train.columns == {"text": _TEXTS, "label": _LABELS}
    with pytest.raises(DataError, match="3"):
        load_data(spec.model_copy(update={"header": ["text", "label", "more"]}), columns, workspace)


@pytest.mark.parametrize("name", ["a.jsonl", "a.conll", "a.md"])
def test_names_of_columns_are_refused_where_there_are_none_to_give(
    tmp_path: Path, workspace: Workspace, name: str
) -> None:
    path = tmp_path / name
    path.write_text({"a.jsonl": '{"text": "a"}\n{"text": "b"}\n', "a.conll": "a O\n\nb O\n", "a.md": "a\n\nb\n"}[name])
    with pytest.raises(DataError, match=r"data\.header names the columns body") as caught:
        load_data(DataSpec(train=str(path), header=["body"]), (TEXT,), workspace)
    assert caught.value.hint == "Remove data.header."


def test_tabs_separate_the_fields_of_a_tsv_file_whose_texts_have_equally_many_commas(tmp_path: Path) -> None:
    rows = [("label", "a, text, of, words"), *(("ab"[i % 2], f"this, that, and, {i}") for i in range(6))]
    for name in ("a.tsv", "a.tab"):
        (tmp_path / name).write_text("\n".join("\t".join(row) for row in rows))
        assert read_table(tmp_path / name).columns["label"] == list("ababab")
