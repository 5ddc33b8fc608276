"""Texts with the positions of their entities, as annotation tools export them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.bad_rows import BadRowsError
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

ROLES = (
    Column("words", "words", ("words", "tokens"), kind="words"),
    Column("tags", "tags", ("tags", "labels"), kind="tags"),
)
TEXTS = {
    "Ada Byron lives in Oslo.": [(0, 9, "PER"), (19, 23, "LOC")],
    "Nobody 🙂 knows Zoë.": [(15, 18, "PER")],
    "北京大学在北京": [(0, 4, "ORG"), (5, 7, "LOC")],
    "no names": [],
}
WORDS = [["Ada", "Byron", "lives", "in", "Oslo", "."], ["Nobody", "🙂", "knows", "Zoë", "."], list("北京大学在北京")]
TAGS = [
    ["B-PER", "I-PER", "O", "O", "B-LOC", "O"],
    ["O", "O", "O", "B-PER", "O"],
    ["B-ORG", "I-ORG", "I-ORG", "I-ORG", "O", "B-LOC", "I-LOC"],
]


def load(path: Path, workspace: Workspace, **more: Any) -> Dataset:
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more), ROLES, workspace)


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def prodigy(text: str, spans: Sequence[Any]) -> dict[str, Any]:
    tokens = [{"text": word, "start": 0, "end": 1, "id": 0} for word in text.split()]
    return {
        "text": text,
        "tokens": tokens,
        "answer": "accept",
        "spans": [dict(zip(("start", "end", "label"), s, strict=True)) for s in spans],
    }


def label_studio(text: str, spans: Sequence[Any]) -> dict[str, Any]:
    results = [
        {"type": "labels", "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]}}
        for start, end, label in spans
    ]
    return {
        "id": 1,
        "data": {"text": text},
        "annotations": [{"was_cancelled": True, "result": []}, {"result": results}],
    }


FORMS = {
    "doccano": lambda text, spans: {"text": text, "label": spans},
    "doccano 1.8": lambda text, spans: {
        "text": text,
        "entities": [{"id": 1, "label": c, "start_offset": a, "end_offset": b} for a, b, c in spans],
        "relations": [],
    },
    "spacy": lambda text, spans: {"text": text, "entities": [{"start": a, "end": b, "label": c} for a, b, c in spans]},
    "length": lambda text, spans: {
        "sentence": text,
        "entities": [{"offset": a, "length": b - a, "type": c, "text": text[a:b]} for a, b, c in spans],
    },
    "prodigy": prodigy,
    "label studio": label_studio,
}


@pytest.mark.parametrize("form", FORMS)
def test_exports_become_words_and_tags(tmp_path: Path, workspace: Workspace, form: str) -> None:
    rows = [FORMS[form](text, [list(span) for span in spans]) for text, spans in TEXTS.items()]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["words"] == [*WORDS, ["no", "names"]]
    assert result.train.columns["tags"] == [*TAGS, ["O", "O"]]
    assert any("5 entities of column" in note for note in result.notes)


@pytest.mark.parametrize("form", ["json", "jsonl", "annotator"])
def test_pairs_of_spacy(tmp_path: Path, workspace: Workspace, form: str) -> None:
    pairs: list[Any] = [[text, {"entities": spans}] for text, spans in TEXTS.items()]
    path = tmp_path / ("a.jsonl" if form == "jsonl" else "a.json")
    if form == "jsonl":
        jsonl(path, pairs)
    else:
        document = pairs if form == "json" else {"classes": ["PER", "LOC"], "annotations": [None, *pairs]}
        path.write_text(json.dumps(document, indent=1), encoding="utf-8")
    assert load(path, workspace).train.columns["tags"] == [*TAGS, ["O", "O"]]
    path.write_text('[["a", {"entities": [[0, 1, "X"]]}], ["b", []]]')
    with pytest.raises(DataError, match=r"a\.jsonl?, row 2: 'entities' is missing"):
        load(path, workspace)


def test_documents_of_spacy_2(tmp_path: Path, workspace: Workspace) -> None:
    def sentence(*pairs: tuple[str, str]) -> dict[str, Any]:
        return {"tokens": [{"id": i, "orth": word, "ner": tag} for i, (word, tag) in enumerate(pairs)]}

    sentences = [
        sentence(("Ada", "U-PER"), ("sings", "O")),
        sentence(("in", "O"), ("Oslo", "U-LOC")),
        sentence(("x", "-")),
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"id": 0, "paragraphs": [{"raw": "Ada sings", "sentences": sentences}]}], indent=1))
    assert load(path, workspace).train.columns["tags"] == [["U-PER", "O"], ["O", "U-LOC"]]
    path.write_text(json.dumps([{"paragraphs": [{"sentences": [{"tokens": [{"orth": 3, "ner": "O"}]}]}]}]))
    with pytest.raises(DataError, match=r"a\.json, row 1: 'orth' is int"):
        load(path, workspace)


def test_rejected_rows_of_prodigy_are_skipped(tmp_path: Path, workspace: Workspace) -> None:
    rows = [prodigy(text, spans) for text, spans in TEXTS.items()]
    rows[1]["answer"] = "reject"
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert len(result.train) == 3 and any("skipped 1 rows" in note for note in result.notes)


def test_a_csv_with_printed_spans(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        "text,entities\nAda sings,\"[(0, 3, 'PER')]\"\nin Oslo,\"[{'start': 3, 'end': 7, 'label': 'LOC'}]\"\n"
    )
    assert load(path, workspace).train.columns["tags"] == [["B-PER", "O"], ["O", "B-LOC"]]


def test_nested_and_inner_entities(tmp_path: Path, workspace: Workspace) -> None:
    """The longer of two overlapping entities stays; a word is split where an entity ends."""
    rows = [
        {"text": "Bayern München wins in Oslo-based games", "label": [[0, 6, "LOC"], [0, 14, "ORG"], [23, 27, "LOC"]]},
        {"text": "Parisians love Rome in May", "label": [[0, 5, "LOC"], [15, 19, "LOC"], [23, 26, "DATE"]]},
    ]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["tags"][0] == ["B-ORG", "I-ORG", "O", "O", "B-LOC", "O", "O", "O"]
    assert result.train.columns["words"][1][:2] == ["Paris", "ians"]
    notes = " ".join(result.notes)
    assert "left out 1 entities that overlap" in notes and "1 entities begin or end inside a word" in notes


def utf16(text: str, index: int) -> int:
    return len(text[:index].encode("utf-16-le")) // 2


@pytest.mark.parametrize("named", [0, 1])
def test_positions_in_utf16_units_are_refused_with_the_row_if_not_all_names_show_it(
    tmp_path: Path, workspace: Workspace, named: int
) -> None:
    rows = []
    for text in ("Ada sings 🙂", "Yes 🙂🙂 Ada sings"):
        start = text.index("Ada")
        entity = {"start": utf16(text, start), "end": utf16(text, start + 3), "label": "PER"}
        rows.append({"text": text, "entities": [{**entity, "text": "Ada"} if len(rows) < named else entity]})
    with pytest.raises(DataError, match=r"line 2: column 'entities' .* UTF-16 units: 'Ada' is at 7 to 10"):
        load(jsonl(tmp_path / "a.jsonl", rows), workspace)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([[0, 99, "PER"]], "at 0 to 99, but its text has 9 characters"),
        ([[0, 10**40, "PER"]], "but its text has 9 characters"),
        ([[-3, 3, "PER"]], "at -3 to 3"),
        ([[3, 3, "PER"]], "at 3 to 3"),
        ([[3, 4, "PER"]], "is only space"),
        ([[0, 3, 7]], "the number 7 as its label"),
        ([[0, 3, ""]], "the label ''"),
        ([{"start": "0", "end": "x", "label": "PER"}], "is not two numbers"),
        ([{"start": 0, "end": True, "label": "PER"}], "is not two numbers"),
        ([{"start": 0, "end": 2, "label": "PER", "text": "Ada"}], "the end is inclusive"),
        ([{"start": 1, "end": 4, "label": "PER", "text": "Ada"}], "says that 'Ada' is at 1 to 4, which is 'da '"),
        ([[0, 3, "PER"], 5], "holds '5'"),
        ([["Bob", "PER"]], "the name 'Bob', which does not occur"),
        ([["Ada", "O"]], "the tag 'O' of a word"),
        ([["Ada", "PER"], ["Ada", "LOC"]], "'Ada' as LOC and as PER, but it occurs 1 times"),
        ("x", "a list of entities is needed"),
    ],
)
def test_malformed_entities_are_refused_with_the_row(
    tmp_path: Path, workspace: Workspace, entities: Any, message: str
) -> None:
    rows = [{"text": "Ada sings", "entities": [[0, 3, "PER"]]}] * 50  # what a column holds shows in its first cells
    with pytest.raises(DataError, match=rf"line 51: column 'entities' .*{message}") as caught:
        load(jsonl(tmp_path / "a.jsonl", [*rows, {"text": "Ada sings", "entities": entities}]), workspace)
    assert caught.value.hint


@pytest.mark.parametrize(("shift", "kind"), [((0, -1), "inclusive ends"), ((1, 1), "other units")])
def test_positions_that_do_not_fit_are_refused(
    tmp_path: Path, workspace: Workspace, shift: tuple[int, int], kind: str
) -> None:
    spans = [[0 + shift[0], 9 + shift[1], "PER"], [19 + shift[0], 23 + shift[1], "LOC"]]
    rows = [{"text": f"Ada Byron lives in Oslo {i}", "label": spans} for i in range(4)]
    with pytest.raises(DataError, match=f"line 1: .*{kind}"):
        load(jsonl(tmp_path / "a.jsonl", rows), workspace)


NAME_TEXT = "Ada Byron lives in Oslo. Oslo and Adamstown 🙂 like Ada Byron."
LOCATED = ["B-PER", "I-PER", "O", "O", "B-LOC", "O", "B-LOC", "O", "O", "O", "O", "B-PER", "I-PER", "O"]


@pytest.mark.parametrize(
    "entities",
    [
        {"PER": ["Ada Byron"], "LOC": ["Oslo"]},
        {"PER": "Ada Byron", "LOC": "Oslo"},
        {"Ada Byron": "PER", "Oslo": "LOC"},
        {"PER": [{"name": "Ada Byron"}], "LOC": [{"text": "Oslo"}], "ORG": [], "DATE": None},
        [["Ada Byron", "PER"], ["LOC", "Oslo"]],
        [{"name": "Ada Byron", "type": "PER"}, {"name": "Oslo", "type": "LOC"}],
        [{"text": "Ada Byron", "label": "PER"}, {"entity": "Oslo", "label": "LOC"}],
        [{"word": "Ada  Byron", "entity": "PER"}, {"mention": "Oslo", "category": ["LOC"]}],
        [{"name": "Ada Byron", "type": "PER"}, {"name": "Oslo", "type": "LOC"}, {"name": "Oslo", "type": "LOC"}],
    ],
)
@pytest.mark.parametrize("column", ["entities", "labels", "ner"])
def test_entities_by_name_are_tagged_wherever_they_occur_as_words(
    tmp_path: Path, workspace: Workspace, entities: Any, column: str
) -> None:
    """Adamstown is not Ada; a name that occurs twice is tagged twice, and counted in a note."""
    rows = [{"text": NAME_TEXT, column: entities}, {"text": "Nobody sings", column: []}]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["tags"] == [LOCATED, ["O", "O"]]
    assert any("names without a position occur several times" in note for note in result.notes)
    rows.append({"text": "Nobody sings", column: {"PER": ["Ada"]}})
    with pytest.raises(BadRowsError, match=f"line 3: column '{column}' holds the name 'Ada'"):
        load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    dropped = load(jsonl(tmp_path / "a.jsonl", rows), workspace, on_bad_rows="drop")
    assert dropped.train.columns["tags"] == result.train.columns["tags"]
    assert dropped.report["left_out"][0]["rows"] == [3]


def test_one_name_of_two_types_is_read_in_order_where_each_has_an_occurrence(
    tmp_path: Path, workspace: Workspace
) -> None:
    rows = [{"text": "Paris met Paris", "entities": [["Paris", "PER"], ["Paris", "LOC"]]}] * 2
    assert load(jsonl(tmp_path / "a.jsonl", rows), workspace).train.columns["tags"] == [["B-PER", "O", "B-LOC"]] * 2


def one_unit(start: int, end: int, unit: str) -> tuple[int, int]:
    if unit == "inclusive":
        return start, end - 1
    if unit == "one-based":
        return start + 1, end
    if unit == "bytes":
        return tuple(len(NAME_TEXT[:index].encode()) for index in (start, end))  # type: ignore[return-value]
    return utf16(NAME_TEXT, start), utf16(NAME_TEXT, end)


@pytest.mark.parametrize(
    ("unit", "note"),
    [("inclusive", "inclusive"), ("one-based", "begin with 1"), ("bytes", "bytes"), ("utf16", "UTF-16")],
)
@pytest.mark.parametrize("keys", [("start", "end"), ("start_idx", "end_idx"), ("span",), ("points",), ("cluener",)])
def test_positions_are_read_in_the_unit_that_the_names_beside_them_show(
    tmp_path: Path, workspace: Workspace, unit: str, note: str, keys: tuple[str, ...]
) -> None:
    """A doctored position is a bad row: the unit is that of nearly all names."""
    entities: list[Any] = []
    by_name: dict[str, dict[str, list[list[int]]]] = {}
    for name, label in (("Ada Byron", "PER"), ("Oslo", "LOC")):
        start = NAME_TEXT.index(name)
        while start >= 0:
            pair = one_unit(start, start + len(name), unit)
            by_name.setdefault(label, {}).setdefault(name, []).append(list(pair))
            position: Any = dict(zip(keys, pair, strict=False)) if len(keys) == 2 else {keys[0]: list(pair)}
            if keys == ("points",):
                position = {"points": [{"start": pair[0], "end": pair[1], "text": name}]}
            entities.append(
                {**position, "label": [label]} if "points" in position else {**position, "label": label, "text": name}
            )
            start = NAME_TEXT.find(name, start + 1)
    cell = by_name if keys == ("cluener",) else entities
    path = jsonl(tmp_path / "a.jsonl", [{"text": NAME_TEXT, "label": cell, "id": i} for i in range(3)])
    result = load(path, workspace)
    assert result.train.columns["tags"] == [LOCATED] * 3
    assert any(note in each for each in result.notes), result.notes


def test_a_tools_texts_without_an_annotation_are_skipped_and_not_read_as_texts_without_entities(
    tmp_path: Path, workspace: Workspace
) -> None:
    rows = [label_studio(text, spans) for text, spans in TEXTS.items()]
    rows[0]["annotations"] = []
    for annotation in rows[1]["annotations"]:
        annotation["was_cancelled"] = True
    for row in rows:
        row["data"] = {"my words": row["data"]["text"], "source": "x"}
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["tags"] == [TAGS[2], ["O", "O"]]
    assert any("skipped 2 texts that nobody has annotated" in note for note in result.notes)
    assert any("key 'my words'" in note for note in result.notes)


def test_numbers_of_labels_need_names(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": "Ada sings", "annotations": [{"label": 1, "start_offset": 0, "end_offset": 3, "user": 1}]}] * 2
    path = jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match="number 1 as its label") as caught:
        load(path, workspace)
    assert "data.label_names" in caught.value.hint
    assert load(path, workspace, label_names=["LOC", "PER"]).train.columns["tags"] == [["B-PER", "O"]] * 2


def test_malformed_rows_are_dropped_on_request(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": f"Ada sings {i}", "entities": [[0, 3 if i != 2 else 99, "PER"]]} for i in range(6)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace, on_bad_rows="drop")
    assert [row["rows"] for row in result.report["left_out"]] == [[3]] and len(result.train) == 5


def test_hostile_nesting_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('["a", {"entities": ' + "[" * 100_000 + "]" * 100_000 + "}]\n")
    with pytest.raises(DataError, match="nested too deeply"):
        load(path, workspace)
