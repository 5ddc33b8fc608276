"""JSON in the forms in which programs write tables, and values that are not JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from workbench.data.columns import require_column
from workbench.data.readers import json_reader
from workbench.data.readers.read import read_table
from workbench.errors import DataError

_ROWS = [{"text": "one", "label": "x"}, {"text": "two", "label": "y"}, {"text": "three", "label": "x"}]
_COLUMNS = {"text": ["one", "two", "three"], "label": ["x", "y", "x"]}
_PRETTY = [json.dumps(row, indent=2) for row in _ROWS]


@pytest.mark.parametrize(
    ("content", "rows", "note"),
    [
        pytest.param({"data": _ROWS}, [1, 2, 3], "those of 'data'", id="wrapped"),
        pytest.param({"version": "1", "n": 3, "items": _ROWS}, [1, 2, 3], "those of 'items'", id="wrapped-with-about"),
        pytest.param({"schema": {"fields": []}, "data": _ROWS}, [1, 2, 3], "those of 'data'", id="pandas-table"),
        pytest.param(_COLUMNS, [1, 2, 3], "by columns", id="lists"),
        pytest.param({k: {str(i): v for i, v in enumerate(vs)} for k, vs in _COLUMNS.items()}, [1, 2, 3], "by columns",
                     id="pandas-columns"),
        pytest.param({k: {f"r{i}": v for i, v in enumerate(vs)} for k, vs in _COLUMNS.items()}, [1, 2, 3], "by columns",
                     id="pandas-columns-named-rows"),
        pytest.param({str(i): row for i, row in enumerate(_ROWS)}, [1, 2, 3], "by rows", id="pandas-index"),
        pytest.param({f"id{i}": row for i, row in enumerate(_ROWS)}, [1, 2, 3], "by rows", id="pandas-index-of-names"),
        pytest.param({"columns": ["text", "label"], "index": [4, 5, 6], "data": [list(row.values()) for row in _ROWS]},
                     [1, 2, 3], "orient='split'", id="pandas-split"),
        pytest.param("\n".join(_PRETTY), [1, 5, 9], "one after another", id="pretty"),
        pytest.param(",\n".join(_PRETTY), [1, 5, 9], "commas between", id="pretty-with-commas"),
        pytest.param("".join(json.dumps(row) for row in _ROWS), [1, 1, 1], "one after another", id="no-line-ends"),
        pytest.param(",\n".join(json.dumps(row) for row in _ROWS), [1, 2, 3], "commas between", id="lines-with-commas"),
    ],
)  # fmt: skip
def test_forms_of_json(tmp_path: Path, content: object, rows: list[int], note: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    table = read_table(path)
    assert table.columns == _COLUMNS and table.rows == rows
    assert any(note in each for each in table.notes)


def test_keys_that_only_some_objects_have_are_columns_with_gaps(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "label": 1}\n{"label": null, "text": "c"}\n')
    table = read_table(path)
    assert table.columns == {"text": ["a", "b", "c"], "label": [None, 1, None]}
    assert table.notes == ["a.jsonl: keys that some of the 3 rows lack (in how many): 'label' (1)."]
    keys, rows = json_reader.stream_json_lines(lambda: path.read_text().splitlines(), "a.jsonl")
    assert keys == ["text", "label"] and [values for _, values in rows(["text"])] == [["a"], ["b"], ["c"]]
    with pytest.raises(DataError, match="line 1: lacks 'label'"):
        list(rows(["label"]))


@pytest.mark.parametrize("value", ["NaN", "[1, -Infinity]", '{"a": {"b": Infinity}}'])
def test_nan_and_infinity_are_refused_only_in_columns_that_are_used(tmp_path: Path, value: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "stars": 1, "label": "x"}\n{"text": "b", "stars": ' + value + ', "label": "y"}\n')
    table = read_table(path)
    assert table.columns == {"text": ["a", "b"], "label": ["x", "y"]}
    with pytest.raises(
        DataError, match=r"column 'stars' cannot be used .*: line 2 holds (NaN|-?Infinity), which is not"
    ):
        require_column(table, "stars", "label")
    _, rows = json_reader.stream_json_lines(lambda: path.read_text().splitlines(), "a.jsonl")
    assert [values for _, values in rows(["text"])] == [["a"], ["b"]]
    with pytest.raises(DataError, match="line 2: 'stars' holds"):
        list(rows(["stars"]))


def test_a_single_object_per_line_is_a_row_whatever_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    assert read_table(path).columns == {"messages": [[{"role": "user", "content": "a"}]]}


def test_objects_that_share_no_keys_do_not_fill_the_memory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(json_reader, "MAX_CELLS", 1000)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"k{i}": 1}}\n' for i in range(100)))
    with pytest.raises(DataError, match="100 different keys in 100 rows"):
        read_table(path)


_ARRAYS = [["text", "label"], *([row["text"], row["label"]] for row in _ROWS)]


@pytest.mark.parametrize("lines", [True, False])
def test_arrays_below_an_array_of_names_are_rows(tmp_path: Path, lines: bool) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, _ARRAYS)) if lines else json.dumps(_ARRAYS, indent=1))
    table = read_table(path)
    assert table.columns == _COLUMNS and table.rows == [2, 3, 4] and table.unit == ("line" if lines else "row")
    path.write_text("\n".join(map(json.dumps, [*_ARRAYS, ["four"]])) if lines else json.dumps([*_ARRAYS, ["four"]]))
    assert [bad.row for bad in read_table(path, collect_bad_rows=True).bad_rows] == [5]


@pytest.mark.parametrize(
    "arrays",
    [
        _ARRAYS[1:],
        [["1", "2"], ["a", "b"]],
        [["a", "a"], ["x", "y"]],
        [["text", 1], ["a", 2]],
        [["good film", "fine"], ["a", "b"]],
    ],
)
def test_arrays_without_names_are_refused_by_their_form(tmp_path: Path, arrays: list[list[str]]) -> None:
    """The first row is not taken for names if one of its values occurs again below it."""
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, [*arrays, *arrays[1:]])))
    with pytest.raises(DataError, match="no names") as caught:
        read_table(path)
    assert '["text", "label"]' in caught.value.hint


@pytest.mark.parametrize("lines", [True, False])
def test_arrays_of_messages_are_conversations(tmp_path: Path, lines: bool) -> None:
    turns = [[{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}] for i in range(3)]
    path = tmp_path / "a.json"
    path.write_text("\n".join(map(json.dumps, turns)) if lines else json.dumps(turns))
    assert read_table(path).columns == {"messages": turns}


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv"])
def test_lines_of_objects_are_json_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("\n".join(json.dumps(row) for row in _ROWS))
    table = read_table(path)
    assert table.columns == _COLUMNS and "read as JSON" in table.notes[0]
