"""Tables are read as they were written, or refused with the row."""

from __future__ import annotations

import csv
import datetime
import decimal
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.data.catalogue.entries import ReadOptions
from workbench.data.readers import csv_dialect, csv_reader, parquet_reader, text_lines
from workbench.data.readers.read import read_table
from workbench.errors import DataError, RefusedError, WorkbenchError

# -- round trips ----------------------------------------------------------------------------------------------------

_CHARACTERS = st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff")
_TEXT = st.text(_CHARACTERS | st.sampled_from('\n\r\t\x0b\x1f\x85\u2028",;|'), max_size=12)
_NAMES = st.lists(st.text("abcdefgh_", min_size=1, max_size=6), min_size=2, max_size=5, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(_NAMES)
    rows = draw(st.lists(st.lists(_TEXT, min_size=len(names), max_size=len(names)), min_size=1, max_size=8))
    return names, rows


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    table=tables(),
    delimiter=st.sampled_from(csv_dialect.DELIMITERS),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    explicit=st.booleans(),
)
def test_csv_round_trip(tmp_path, table, delimiter, quoting, ending, encoding, explicit) -> None:
    names, rows = table
    if quoting == csv.QUOTE_MINIMAL:
        ending = "\r\n"  # with "\n", Python's writer before 3.13 leaves a "\r" unquoted, which changes the row
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending)
    writer.writerow(names)
    writer.writerows(rows)
    path = tmp_path / "data.csv"
    path.write_bytes(out.getvalue().encode(encoding))
    table_read = read_table(path, delimiter=delimiter if explicit else None)
    assert list(table_read.columns) == names
    assert [list(row) for row in zip(*table_read.columns.values(), strict=True)] == rows


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables())
def test_json_round_trip(tmp_path, table) -> None:
    names, rows = table
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects), encoding="utf-8")
    (tmp_path / "data.json").write_text(json.dumps(objects, indent=1), encoding="utf-8")
    for table_read in (read_table(path), read_table(tmp_path / "data.json")):
        assert [list(row) for row in zip(*table_read.columns.values(), strict=True)] == rows


def test_a_row_is_named_by_the_line_where_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"one\ntwo",a\n\nthree,b\n', encoding="utf-8")
    table = read_table(path)
    assert table.columns == {"text": ["one\ntwo", "three"], "label": ["a", "b"]}
    assert table.rows == [2, 5]
    assert table.where(1) == "a.csv, line 5"
    assert any("1 blank line" in note for note in table.notes)


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = {"text": ["a", None], "label": [1, 2], "tags": [["x"], []], "raw": [b"1", b"2"], "deep": [[{"a": 1}]] * 2}
    deepest = pyarrow.array([[[[[[[[1]]]]]]]] * 2)
    pairs = pyarrow.array([[("a", 1)]] * 2, pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    parquet.write_table(pyarrow.table({**content, "deepest": deepest, "pairs": pairs}), tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    deep = [[{"a": 1}]] * 2
    assert table.columns == {"text": ["a", None], "label": [1, 2], "tags": [["x"], []], "deep": deep}
    assert table.rows == [1, 2] and table.where(0) == "t.parquet, row 1"
    assert set(table.unusable) == {"raw", "deepest", "pairs"}


def test_the_file_is_fingerprinted_by_its_content(tmp_path: Path) -> None:
    for name, text in (("a.csv", "t,l\na,b\n"), ("b.csv", "t,l\na,b\n"), ("c.csv", "t,l\na,c\n")):
        (tmp_path / name).write_text(text)
    a, b, c = (read_table(tmp_path / name).sha256 for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c


# -- delimiters and quotes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("text;label\na, b, c;x\nd;y\n", {"text": ["a, b, c", "d"], "label": ["x", "y"]}),
        ("text\tlabel\na, b; c\tx\n", {"text": ["a, b; c"], "label": ["x"]}),
        ("text|label\na, b|x\n", {"text": ["a, b"], "label": ["x"]}),
        ("a,b;c\n1,2;3\n4,5;6\n7;8,9\n", {"a": ["1", "4", "7;8"], "b;c": ["2;3", "5;6", "9"]}),
        (
            'text\tlabel\n"Hello" he said\tx\n6" pipe\ty\n',
            {"text": ['"Hello" he said', '6" pipe'], "label": ["x", "y"]},
        ),
        ("text\nno delimiter here\n", {"text": ["no delimiter here"]}),
    ],
)
def test_the_delimiter_is_detected(tmp_path: Path, content: str, columns: dict) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    assert read_table(path).columns == columns


def test_read_options_of_the_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes('He said "no" caf\xe9@good\n'.encode("latin-1"))
    options = ReadOptions(delimiter="@", encoding="latin-1", quoting=False, header=("text", "label"))
    table = read_table(path, options=options)
    assert table.columns == {"text": ['He said "no" café'], "label": ["good"]} and table.rows == [1]

    path = tmp_path / "a.tab"
    options = ReadOptions(delimiter="\t", header_lines=4)
    path.write_text("Category\tText\nd\tstring\nclass\t\n\nx\tone\ny\ttwo\n")
    table = read_table(path, options=options)
    assert table.columns == {"Category": ["x", "y"], "Text": ["one", "two"]} and table.rows == [5, 6]
    path.write_text("Category\tText\nd\tstring\nclass\t\nx\tone\ny\ttwo\n")
    with pytest.raises(DataError, match="line 4: this is not an Orange table"):
        read_table(path, options=options)


# -- what programs write around a table ------------------------------------------------------------------------------

_TWO = {"text": ["a, b", "c"], "label": ["x", "y"]}


@pytest.mark.parametrize(
    ("content", "columns", "note"),
    [
        pytest.param("sep=;\ntext;label\na, b;x\nc;y\n", _TWO, "sep=", id="excel-line"),
        pytest.param('"sep=;"\r\ntext;label\r\na, b;x\r\nc;y\r\n', _TWO, "sep=", id="excel-line-quoted"),
        pytest.param("\ufeffsep=\t\ntext\tlabel\na, b\tx\nc\ty\n", _TWO, "tabs", id="excel-line-tab"),
        pytest.param("sep=,\ntext;label\na, b;x\nc;y\n", _TWO, "skipped the line sep=,", id="excel-line-wrong"),
        pytest.param("sep=;\n\ufefftext;label\na, b;x\nc;y\n", _TWO, "sep=", id="mark-after-excel-line"),
        pytest.param('\ufeff\ufefftext,label\n"a, b",x\nc,y\n', _TWO, None, id="two-marks"),
        pytest.param('\ufeff"text",label\n"a, b",x\nc,y\n', _TWO, None, id="mark-before-quote"),
        pytest.param(',text,label\n0,"a, b",x\n1,c,y\n', _TWO, "numbers the rows", id="index"),
        pytest.param('"","text","label"\n"17","a, b",x\n"4",c,y\n', _TWO, "numbers the rows", id="shuffled-index"),
        pytest.param('text,label\n1,"a, b",x\n2,c,y\n', _TWO, "numbers the rows", id="index-as-R-writes-it"),
        pytest.param('text,label,\n"a, b",x,\nc,y,\n', _TWO, "column 3", id="trailing-comma"),
        pytest.param('text,label,,,\n"a, b",x,,,\nc,y,,,\n', _TWO, "columns 3, 4, 5", id="trailing-commas"),
        pytest.param('text,label\n"a, b",x,\nc,y,\n', _TWO, "column 3", id="trailing-in-rows"),
        pytest.param('text,label,\n"a, b",x\nc,y\n', _TWO, "column 3", id="trailing-in-header"),
        pytest.param('text,,label\n"a, b",,x\nc,,y\n', _TWO, "column 2", id="empty-between"),
        pytest.param(
            'text,label\n"he said \\"a, b\\"",x\n"c\\n",y\n',
            {"text": ['he said "a, b"', "c\\n"], "label": ["x", "y"]}, "backslash", id="backslash-quotes",
        ),
        pytest.param(
            'text,label\n"C:\\",x\n"say ""c""",y\n', {"text": ["C:\\", 'say "c"'], "label": ["x", "y"]}, None,
            id="backslash-is-text",
        ),
        pytest.param(
            'text;label\n"a\\\\";x\n"\\"c, d\\"";y\n', {"text": ["a\\", '"c, d"'], "label": ["x", "y"]}, "backslash",
            id="escaped-backslash",
        ),
        pytest.param('# by us, 2024, v1\n#\ntext,label\n"a, b",x\nc,y\n', _TWO, "2 lines (1, 2)", id="comments-before"),
        pytest.param('# by us\ntext,label\n"a, b",x\n# more, and, on\nc,y\n', _TWO, "(1, 4)", id="comments-inside"),
        pytest.param('text,label\n"a, b",x\n# half "way\nc,y\n', _TWO, "line 3", id="comment-without-comma"),
        pytest.param("#tag,n\n#a,1\n#b,2\n", {"#tag": ["#a", "#b"], "n": ["1", "2"]}, None, id="tags-are-no-comments"),
        pytest.param("#tag,n\n#a,1\nb,2\n", {"#tag": ["#a", "b"], "n": ["1", "2"]}, None, id="some-tags"),
        pytest.param('text,label\n"one\n# two",x\nc,y\n', {"text": ["one\n# two", "c"], "label": ["x", "y"]}, None,
                     id="no-comment-inside-quotes"),
        pytest.param("# notes\ntext\n#a\nb\n", {"text": ["#a", "b"]}, "line 1", id="one-column"),
    ],
)  # fmt: skip
def test_what_programs_write_around_a_table(tmp_path: Path, content: str, columns: dict, note: str | None) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content.encode())
    table = read_table(path)
    assert table.columns == columns
    assert any(note in each for each in table.notes) if note else not table.notes
    lines = content.split("\n")
    letters = [next(each for each in value if each.isalpha()) for value in next(iter(columns.values()))]
    assert all(letter in lines[row - 1] for letter, row in zip(letters, table.rows, strict=True)), "lines of the file"
    header, rows, notes = csv_reader.stream_delimited(
        lambda: io.StringIO(content.lstrip("\ufeff"), newline=""), "a.csv", ReadOptions()
    )
    assert header == list(columns) and [row for _, row in rows(header)] == [
        list(row) for row in zip(*columns.values(), strict=True)
    ], "read row by row, the table is the same"
    assert len(notes) <= len(table.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(",text\n0,a\n1,b\nx,c\n" , "column 1 of 2 has no name, but it has values", id="unnamed-text"),
        pytest.param(",text\n" + "".join(f"{i},a\n" for i in range(1500)) + "x,c\n",
                     "line 1502: the first column has no name", id="index-ends-late"),
        pytest.param("text,label,\n" + "a,x,\n" * 1500 + "a,b,x\n", "line 1502: column 3 has no name in the header",
                     id="trailing-value-late"),
        pytest.param("text,label\na,x,\nb,y\n", "line 2: 3 fields, but the header has 2", id="one-trailing-comma"),
        pytest.param('text,label\n"C:\\",x\n"say \\"b\\"",y\n', "line 3: a quote inside the field is written with",
                     id="two-ways-of-quoting"),
        pytest.param("text,label\n#1 film, really,pos\nb,neg\n", "line 2: 3 fields", id="a-row-is-no-comment"),
    ],
)  # fmt: skip
def test_files_that_only_resemble_these_forms_are_refused_by_their_cause(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_table(path)


# -- types of Parquet ------------------------------------------------------------------------------------------------


def test_types_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    days = [datetime.date(2024, 1, 2), None]
    moments = [datetime.datetime(2024, 1, 2, 3, 4, 5, 60_000), datetime.datetime(2024, 1, 2)]
    content = {
        "view": pyarrow.array(["a", None], pyarrow.string_view()),
        "large": pyarrow.array(["a", "b"], pyarrow.large_string()),
        "class": pyarrow.array(["x", None]).dictionary_encode(),
        "tags": pyarrow.array([["x"], []], pyarrow.large_list(pyarrow.string())),
        "pair": pyarrow.array([["x", "y"], ["z", "x"]], pyarrow.list_(pyarrow.string(), 2)),
        "day": pyarrow.array(days, pyarrow.date32()),
        "moment": pyarrow.array(moments, pyarrow.timestamp("ns")),
        "price": pyarrow.array([decimal.Decimal("1.50"), None], pyarrow.decimal128(9, 2)),
        "span": pyarrow.array([1, 2], pyarrow.duration("s")),
    }
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table(content), path)
    expected = {
        "view": ["a", None], "large": ["a", "b"], "class": ["x", None], "tags": [["x"], []],
        "pair": [["x", "y"], ["z", "x"]], "day": ["2024-01-02", None], "price": ["1.50", None],
        "moment": ["2024-01-02 03:04:05.06", "2024-01-02"],
    }  # fmt: skip
    table = read_table(path)
    assert table.columns == expected
    assert list(table.unusable) == ["span"] and "its type is duration" in table.unusable["span"]
    assert table.notes == ["t.parquet: read as text: 'day' (dates), 'moment' (dates with times), 'price' (decimals)."]
    names, _, rows = parquet_reader.stream_parquet(path)
    assert [dict(zip(names, values, strict=True)) for _, values in rows(names)] == [
        {name: column[i] for name, column in expected.items()} for i in range(2)
    ]


# -- refused files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,label\na,x\nb\n", r"line 3: 1 field, but the header has 2"),
        ("a.csv", "text,label\na,x,y\n", r"line 2: 3 fields, but the header has 2"),
        ("a.csv", 'text,label\n"a\nb",x\nc\n', r"line 4: 1 field"),
        ("a.csv", "text,text\na,x\n", r"columns 1 and 2 are both named 'text'"),
        ("a.csv", ",text\nx,a\n", r"column 1 of 2 has no name, but it has values, such as 'x'"),
        ("a.csv", "text,label\n", r"no rows"),
        ("a.csv", "", r"is empty"),
        ("a.csv", " \n\n", r"is empty"),
        ("a.csv", "text,label\na,x\nb\0,y\n", r"line 3: there is a NUL"),
        ("a.csv", 'text,label\na,x\n"b,y\nc,z\n', r"line 3: a quote .* never closed"),
        ("a.csv", 'text,label\na,x\n"b" c,y\n"d, e",z\n', r"line 3: text follows a closing quote"),
        ("a.csv", "text,label\na,x\n" + "b" * 1_000_001 + ",y\n", r"line 3: a field is longer than 1,000,000"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', r"line 2: not JSON"),
        ("a.jsonl", '{"text": "a"}\n[1]\n', r"line 2: an object is needed"),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', r"line 1: the key 'text' occurs twice"),
        ("a.jsonl", '{"text": "a"}\n{" text": "b"}\n', r"line 2: a key begins or ends with a space"),
        ("a.json", '{\n "text": "a",\n "label": \n}', r"line 4: not JSON: Expecting value, at character 1"),
        ("a.json", '[["text", "label"], ["text", "x"]]', r"array of arrays .* no names"),
        ("a.json", '[{"text": "a"}]\n[{"text": "b"}]', r"line 2: the array has ended, and something follows it"),
        ("a.json", '{"train": [{"t": "a"}], "test": [{"t": "b"}]}', r"holds 2 tables, under the keys 'train', 'test'"),
        ("a.json", '{"text": ["a", "b"], "label": [1]}', r"of different lengths: 'text' 2, 'label' 1"),
        ("a.json", '{"columns": ["a", "b"], "data": [[1, 2], [3]]}', r"row 2: 1 values, but there are 2 columns"),
        ("a.json", '{"columns": ["a", "a"], "data": [[1, 2]]}', r"each once"),
        ("a.json", '{"data": {"train": [{"t": 1}], "test": [{"t": 2}]}}', r"not known where its rows are"),
        ("a.json", '{"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}}', r"unclear whether these are rows or columns"),
        ("a.json", '{"t": ' * 50_000 + "1" + "}" * 50_000, r"nested too deeply"),
        ("a.jsonl", "[" * 100_000 + "\n", r"nested too deeply|not JSON"),
        ("a.json", '[{"text": "a"}, 3]', r"row 2: an object is needed"),
        ("a.json", "[]", r"no rows"),
        ("a.parquet", "text,label\na,x\n", r"is not a Parquet file"),
        ("a.parquet", "PAR1" + "x" * 100, r"cannot be read as Parquet"),
        ("a.xlsx", "PK\x03\x04", r"cannot be read as an Excel workbook"),
        ("a.xlsx", "text,label\na,x\n", r"is not an Excel workbook"),
        ("a.xls", "\xd0\xcf", r"is a spreadsheet in a format that is not read"),
        ("a.csv.gz", "text", r"cannot be unpacked"),
        ("a.gz", "text", r"holds 'a', which is not a table"),
        ("a.zip", "text", r"cannot be unpacked"),
        ("a.pdf", "text", r"are not supported"),
        ("a", "text", r"are not supported"),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_the_row(tmp_path: Path, name: str, content: str, message: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8"))
    with pytest.raises(DataError, match=message) as caught:
        read_table(path)
    assert name in str(caught.value) and caught.value.hint


class _Trap:
    """Unpickling this class creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.jsonl", "a.json", "a.parquet", "a.pkl", "a.pt"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_under_any_name_is_never_opened(tmp_path: Path, name: str, protocol: int) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(_Trap(tmp_path / "sprung"), protocol=protocol))
    with pytest.raises(RefusedError, match="is a pickle"):
        read_table(path)
    assert not (tmp_path / "sprung").exists()


def _zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", b"0" * 10_000_000)
    return out.getvalue()


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_zip_bomb(), id="zip"),
        pytest.param(b"\x1f\x8b\x08" + b"\0" * 40, id="gzip"),
        pytest.param(b"BZh91AY&SY" + b"\x01" * 40, id="bzip2"),
        pytest.param(b"\xfd7zXZ\0" + b"\0" * 40, id="xz"),
        pytest.param(b"x" * 257 + b"ustar\0" + b"0" * 300, id="tar"),
        pytest.param(b"SQLite format 3\0" + b"\0" * 80, id="sqlite"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 80, id="png"),
        pytest.param(b"\x7fELF" + bytes(range(256)), id="program"),
        pytest.param(bytes(range(1, 256)) * 40, id="bytes"),
        pytest.param(os.urandom(4096), id="random"),
        pytest.param(b"\x93NUMPY\x01\0" + b"\0" * 80, id="numpy"),
    ],
)
def test_binary_files_under_a_tables_name_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(WorkbenchError) as caught:
        read_table(path)
    assert isinstance(caught.value, DataError | RefusedError), "refused as bad data, whatever it contains"


def _varint(number: int) -> bytes:
    """A 64-bit number as in the file's footer (zigzag, 7 bits per byte)."""
    number *= 2
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_a_parquet_file_that_claims_a_billion_rows_is_refused_unread(tmp_path: Path, monkeypatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    parquet.write_table(pyarrow.table({"text": ["x"] * 12_345}), path)
    content = path.read_bytes()
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    footer = content[start:-8].replace(b"\x16" + _varint(12_345), b"\x16" + _varint(1_000_000_000))
    path.write_bytes(content[:start] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    monkeypatch.setattr(parquet.ParquetFile, "read", lambda *a, **k: pytest.fail("the file was unpacked"))
    with pytest.raises(DataError, match="declares 1,000,000,000 rows"):
        read_table(path)


def test_folders_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(DataError, match="not a regular file"):
        read_table(tmp_path / "d.csv")
    with pytest.raises(DataError, match="does not exist"):
        read_table(tmp_path / "e.csv")
    os.mkfifo(tmp_path / "f.csv")  # reading it would block forever
    with pytest.raises(DataError, match="not a regular file"):
        read_table(tmp_path / "f.csv")


def test_the_csv_modules_field_limit_is_restored(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (tmp_path / "a.csv").write_text("text,label\n" + "b" * 500_000 + ",y\n")
    assert len(read_table(tmp_path / "a.csv").columns["text"][0]) == 500_000
    assert csv.field_size_limit() == before


def test_large_files_report_progress_and_small_ones_do_not(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "one,x\n" * 1000)
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n' * 1000)
    for name in ("a.csv", "a.jsonl"):
        calls: list[tuple[str, int, int | None]] = []
        read_table(tmp_path / name, progress=lambda *values, calls=calls: calls.append(values))
        assert not calls
        with monkeypatch.context() as patch:
            patch.setattr(text_lines, "REPORTED", 1000)
            patch.setattr(text_lines, "_STEP", 1000)
            read_table(tmp_path / name, progress=lambda *values, calls=calls: calls.append(values))
        size = (tmp_path / name).stat().st_size
        assert len(calls) > 5 and calls[-1] == (f"Reading {name}", size, size)


def test_lines_end_as_in_python(tmp_path: Path) -> None:
    text = "a\rb\r\nc\n\nd\u2028e\x0b\n\r\rf"
    assert list(text_lines.text_lines(text, "a")) == list(io.StringIO(text, newline=""))
    assert list(text_lines.text_lines(text, "a", only_newlines=True)) == list(io.StringIO(text, newline="\n"))
