"""Relations by name, and sentences with other marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.data.bad_rows import BadRowsError
from workbench.data.load import Dataset, load_data
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

TEXT = "Ada met Ada of Acme, and Bob left Oslo."
MARKED = [
    "Ada met <e1>Ada</e1> of <e2>Acme</e2>, and Bob left Oslo.",
    "Ada met Ada of Acme, and <e1>Bob</e1> left <e2>Oslo</e2>.",
]


def load(path: Path, rows: list[dict[str, Any]], workspace: Workspace, **more: Any) -> Dataset:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more)
    return load_data(spec, tasks.get("relation-extraction")().columns(), workspace)


TRIPLES: dict[str, list[Any]] = {
    "spo_list": [
        {"subject": "Ada", "predicate": "works_for", "object": "Acme", "subject_type": "person"},
        {"subject": "Bob", "predicate": "left", "object": {"@value": "Oslo"}},
    ],
    "triple_list": [["Ada", "works_for", "Acme"], ["Bob", "left", "Oslo"]],
    "triples": [["Ada", "Acme", "works_for"], ["Bob", "Oslo", "left in a hurry"]],
    "relationMentions": [
        {"em1Text": "Ada", "em2Text": "Acme", "label": "works_for"},
        {"em1Text": "Bob", "em2Text": "Oslo", "label": "left"},
    ],
    "relations": [
        {"head": "Ada", "tail": "Acme", "type": "works_for"},
        {"head": {"name": "Bob"}, "tail": {"text": "Oslo"}, "relation": "left"},
    ],
}


@pytest.mark.parametrize("name", TRIPLES)
@pytest.mark.parametrize("printed", [False, True])
def test_relations_by_name(name: str, printed: bool, tmp_path: Path, workspace: Workspace) -> None:
    """The nearest occurrences of two names are marked; a sentence without a relation is left out."""
    cell: Any = str(TRIPLES[name]) if printed else TRIPLES[name]
    rows = [{"id": 1, "text": TEXT, name: cell}, {"id": 2, "text": "Nobody sings", name: []}]
    data = load(tmp_path / "a.jsonl", rows * 3, workspace)
    assert data.train.columns["text"] == MARKED * 3
    assert set(data.train.columns["label"]) == {"works_for", "left in a hurry" if name == "triples" else "left"}
    for part in ("3 relations have a name that occurs several times", "left out 3 sentences"):
        assert any(part in note for note in data.notes), data.notes


def test_the_relations_of_a_sentence_stay_in_one_split(tmp_path: Path, workspace: Workspace) -> None:
    rows = [
        {"text": f"Ada {i} left Oslo for Rome", "triples": [[f"Ada {i}", "left", "Oslo"], [f"Ada {i}", "for", "Rome"]]}
        for i in range(40)
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    spec = DataSpec(train=str(path), holdout={"valid": 0.2, "test": 0.2})
    data = load_data(spec, tasks.get("relation-extraction")().columns(), workspace)
    plain = [{text.replace("<e1>", "").split("</e1>")[0] for text in data.split(split).columns["text"]}
             for split in ("train", "valid", "test")]  # fmt: skip
    assert all(plain) and not plain[0] & plain[1] and not plain[0] & plain[2] and not plain[1] & plain[2]


def test_a_name_that_does_not_occur_is_a_bad_row(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": TEXT, "triples": TRIPLES["triple_list"]}] * 3
    rows.append({"text": TEXT, "triples": [["Zoe", "left", "Oslo"]]})
    with pytest.raises(BadRowsError, match="line 4: column 'triples' holds the name 'Zoe'"):
        load(tmp_path / "a.jsonl", rows, workspace)
    assert len(load(tmp_path / "a.jsonl", rows, workspace, on_bad_rows="drop").train) == 6


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (("[E1]", "[/E1]"), ("[E2]", "[/E2]")),
        (("<E1>", "</E1>"), ("<E2>", "</E2>")),
        (("[E11] ", " [E12]"), ("[E21] ", " [E22]")),
        (("[E1_START]", "[E1_END]"), ("[E2_START]", "[E2_END]")),
        (("<head>", "</head>"), ("<tail>", "</tail>")),
        (("[SUBJ] ", " [/SUBJ]"), ("[OBJ] ", " [/OBJ]")),
        (("<entity1>", "</entity1>"), ("<entity2>", "</entity2>")),
    ],
)
def test_other_marks_of_expressions(
    one: tuple[str, str], two: tuple[str, str], tmp_path: Path, workspace: Workspace
) -> None:
    rows = [
        {"sentence": f"The {two[0]}box{two[1]} {i} has a {one[0]}film{one[1]} [1].", "label": "ab"[i % 2]}
        for i in range(6)
    ]
    data = load(tmp_path / "a.jsonl", rows, workspace)
    assert data.train.columns["text"] == [f"The <e2>box</e2> {i} has a <e1>film</e1> [1]." for i in range(6)]


@pytest.mark.parametrize("offset", [int, str])
def test_expressions_by_name_and_their_first_character(offset: Any, tmp_path: Path, workspace: Workspace) -> None:
    row = {"sentence": TEXT, "head": "Ada", "head_offset": offset(8), "tail": "Acme", "tail_offset": offset(15)}
    rows = [dict(row, relation="ab"[i % 2]) for i in range(5)]
    data = load(tmp_path / "a.jsonl", rows, workspace)
    assert data.train.columns["text"] == [MARKED[0]] * 5
    rows[2]["head_offset"] = offset(3)
    with pytest.raises(BadRowsError, match="line 3: has the head 'Ada', which is not at character 3"):
        load(tmp_path / "a.jsonl", rows, workspace)


def test_relations_of_kbp37(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.txt"
    relations = ["per:employee_of(e1,e2)", "no_relation"]
    path.write_text(
        "".join(f'{i}\t" <e1> Ada </e1> {i} works at <e2> Acme </e2> . "\n{relations[i % 2]}\n\n' for i in range(6))
    )
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0})
    data = load_data(spec, tasks.get("relation-extraction")().columns(), workspace)
    assert data.train.columns["label"] == relations * 3
