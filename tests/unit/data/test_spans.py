"""Texts with the positions of their entities, as annotation tools export them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("surface", [True, False])
def test_positions_in_utf16_units_are_refused_with_the_row(tmp_path: Path, workspace: Workspace, surface: bool) -> None:
    rows = []
    for text in ("Ada sings 🙂", "Yes 🙂🙂 Ada sings"):
        start = text.index("Ada")
        entity = {"start": utf16(text, start), "end": utf16(text, start + 3), "label": "PER"}
        rows.append({"text": text, "entities": [{**entity, "text": "Ada"} if surface else entity]})
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
        ([[0, 3, 7]], "the label '7'"),
        ([[0, 3, ""]], "the label ''"),
        ([{"start": "0", "end": "3", "label": "PER"}], "which are not numbers"),
        ([{"start": 0, "end": True, "label": "PER"}], "which are not numbers"),
        ([{"start": 0, "end": 2, "label": "PER", "text": "Ada"}], "the end is inclusive"),
        ([{"start": 1, "end": 4, "label": "PER", "text": "Ada"}], "says that 'Ada' is at 1 to 4, which is 'da '"),
        ([[0, 3, "PER"], 5], "holds '5'"),
        ("x", "is not a list of entities"),
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


def test_hostile_nesting_is_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('["a", {"entities": ' + "[" * 100_000 + "]" * 100_000 + "}]\n")
    with pytest.raises(DataError, match="nested too deeply"):
        load(path, workspace)
