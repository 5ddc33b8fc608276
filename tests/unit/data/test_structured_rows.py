"""Questions, relations and translations in the forms of public data sets, and files that try to do harm."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.data.readers.formats import format_for
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace


def load(path: Path, task: str, workspace: Workspace, **more: Any) -> Dataset:
    roles: Sequence[Column] = tasks.get(task)().columns()
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more), roles, workspace)


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.table(columns), path)
    return path


# -- questions --------------------------------------------------------------------------------------------------------

CONTEXTS = ["Ada was born in Quito in 1800.", "Oslo is old. Oslo is cold."]
ANSWERS = [[{"text": "Quito", "start": 16}], [{"text": "Oslo", "start": 13}]]
QA = "question-answering"


def article(i: int, version: str = "1.1") -> dict[str, Any]:
    answers = [{"text": each["text"], "answer_start": each["start"], "id": "1"} for each in ANSWERS[i]]
    question = {"question": f"Where {i}?", "id": f"q{i}", "answers": answers}
    question |= {"is_impossible": False, "plausible_answers": []} if version == "v2.0" else {}
    return {"paragraphs": [{"qas": [question], "context": CONTEXTS[i], "id": "p"}], "title": f"T{i}", "id": i}


ARTICLES = [article(0), article(1)]
PARAGRAPHS = [paragraph for each in ARTICLES for paragraph in each["paragraphs"]]


@pytest.mark.parametrize(
    "document",
    [
        {"data": ARTICLES},
        {"version": 2.0, "data": [article(0, "v2.0"), article(1, "v2.0")]},
        {"dataset": "mine", "license": {"name": "x"}, "data": ARTICLES, "version": "1"},
        {"data": PARAGRAPHS},
        PARAGRAPHS,
    ],
)
def test_squad_in_any_order_of_keys(tmp_path: Path, workspace: Workspace, document: Any) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    result = load(path, QA, workspace).train.columns
    if document == PARAGRAPHS:
        lines = jsonl(tmp_path / "lines.jsonl", [{"header": {"dataset": "x"}}, *PARAGRAPHS])
        assert load(lines, QA, workspace).train.columns == result
    assert result["context"] == CONTEXTS and result["answers"] == ANSWERS and result["question"][1] == "Where 1?"


def test_wrong_positions_are_refused_except_in_cmrc(tmp_path: Path, workspace: Workspace) -> None:
    """A user's SQuAD file is not corrected in silence; CMRC's known errors are."""
    wrong = [article(0), article(1)]
    wrong[0]["paragraphs"][0]["qas"][0]["answers"][0]["answer_start"] = 15
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": wrong}))
    with pytest.raises(DataError, match="question 1: the answer 'Quito' is not at character 15"):
        load(path, QA, workspace)
    for i, each in enumerate(wrong):
        each["paragraphs"][0]["id"] = f"DEV_{i}"
    path.write_text(json.dumps({"version": "v1.0", "data": wrong}))
    assert format_for(path) == "cmrc2018"
    result = load(path, QA, workspace)
    assert result.train.columns["answers"] == ANSWERS
    assert any("corrected the position of 1 answers" in note for note in result.notes)


def test_the_first_form_of_cmrc(tmp_path: Path, workspace: Workspace) -> None:
    rows = [
        {"context_id": "TRAIN_1", "context_text": context, "qas": [{"query_text": "?", "answers": [own[0]["text"]]}]}
        for context, own in zip(CONTEXTS, ANSWERS, strict=True)
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    answers = load(path, QA, workspace).train.columns["answers"]
    assert answers == [ANSWERS[0], [{"text": "Oslo", "start": 0}]]


def test_answers_of_the_hub(tmp_path: Path, workspace: Workspace) -> None:
    """A struct of lists in Parquet, and its printed form in CSV."""
    cells = [{"text": [a["text"] for a in own], "answer_start": [a["start"] for a in own]} for own in ANSWERS]
    path = parquet(tmp_path / "a.parquet", {"question": ["a", "b"], "context": CONTEXTS, "answers": cells})
    assert load(path, QA, workspace).train.columns["answers"] == ANSWERS
    csv = tmp_path / "a.csv"
    csv.write_text(
        "question,context,answers\n" + "".join(f'?,{c},"{a}"\n' for c, a in zip(CONTEXTS, cells, strict=True))
    )
    assert load(csv, QA, workspace).train.columns["answers"] == ANSWERS


def test_answers_in_columns(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        f"question,context,answer_text,answer_start\na,{CONTEXTS[0]},Quito,16\nb,{CONTEXTS[1]},Oslo,13.0\nc,x,,\n"
    )
    assert load(path, QA, workspace).train.columns["answers"] == [*ANSWERS, []]
    texts = [*zip(CONTEXTS, ANSWERS, strict=True), ("It is 7 today", [{"text": "7"}])]
    lists = [{"question": "?", "passage": context, "answers": [own[0]["text"]]} for context, own in texts]
    result = load(jsonl(tmp_path / "a.jsonl", lists), QA, workspace)
    assert result.train.columns["answers"][:2] == [ANSWERS[0], [{"text": "Oslo", "start": 0}]]
    assert any("1 answers occur several times" in note for note in result.notes)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("Quito,15", "line 3: column 'answers' says that 'Quito' starts at character 15"),
        ("Quito,x", "line 3: column 'answer_text' has the start 'x'"),
        ("Lima,", "line 3: column 'answer_text' holds 'Lima', which does not occur"),
        (f"Quito,{'9' * 40}", "line 3: column 'answer_text' has the start '999"),
    ],
)
def test_wrong_answers_in_columns_are_refused(tmp_path: Path, workspace: Workspace, row: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"question,context,answer_text,answer_start\na,{CONTEXTS[0]},Quito,16\nb,{CONTEXTS[0]},{row}\n")
    with pytest.raises(DataError, match=message):
        load(path, QA, workspace)


# -- relations --------------------------------------------------------------------------------------------------------

MARKED = ["<e1>Ada Byron</e1> left <e2>Oslo</e2>", "In <e2>Rome</e2> lives <e1>Ann</e1>"]
TOKENS = [["Ada", "Byron", "left", "Oslo"], ["In", "Rome", "lives", "Ann"]]
SPANS = [((0, 2), (3, 4)), ((3, 4), (1, 2))]
LABELS = ["left", "lives"]


def opennre(i: int) -> dict[str, Any]:
    head, tail = SPANS[i]
    names = [" ".join(TOKENS[i][slice(*span)]) for span in (head, tail)]
    return {
        "token": TOKENS[i],
        "h": {"name": names[0], "id": "1", "pos": list(head)},
        "t": {"name": names[1], "id": "2", "pos": list(tail)},
        "relation": LABELS[i],
    }


def opennre_text(i: int) -> dict[str, Any]:
    row = opennre(i)
    text = " ".join(row.pop("token"))
    for role in "ht":
        start = text.index(row[role]["name"])
        row[role]["pos"] = [start, start + len(row[role]["name"])]
    return {"text": text, **row}


def tacred(i: int) -> dict[str, Any]:
    (h, h_end), (t, t_end) = SPANS[i]
    positions = {"subj_start": h, "subj_end": h_end - 1, "obj_start": t, "obj_end": t_end - 1}
    return {"id": "1", "relation": LABELS[i], "token": TOKENS[i], **positions, "subj_type": "PERSON"}


def spert(i: int) -> dict[str, Any]:
    entities = [{"type": "X", "start": start, "end": end} for start, end in SPANS[i]]
    return {"tokens": TOKENS[i], "entities": entities, "relations": [{"type": LABELS[i], "head": 0, "tail": 1}]}


def named(i: int) -> dict[str, Any]:
    text, row = " ".join(TOKENS[i]), opennre(i)
    return {"sentence": text, "head": row["h"]["name"], "tail": row["t"]["name"], "relation": LABELS[i]}


def offsets(i: int) -> dict[str, Any]:
    row = opennre_text(i)
    positions = {
        f"{n}_{b}": row[k]["pos"][j] for k, n in (("h", "head"), ("t", "tail")) for j, b in enumerate(("start", "end"))
    }
    return {"text": row["text"], **positions, "label": LABELS[i]}


def pairs_of_positions(i: int) -> dict[str, Any]:
    row = opennre_text(i)
    return {"text": row["text"], "e1": row["h"]["pos"], "e2": row["t"]["pos"], "relation": LABELS[i]}


def borders(i: int) -> dict[str, Any]:
    row = opennre_text(i)
    expressions = {
        name: {"start": row[k]["pos"][0], "end": row[k]["pos"][1]} for k, name in (("h", "head"), ("t", "tail"))
    }
    return {"text": row["text"], **expressions, "relation": LABELS[i]}


def doccano(i: int) -> dict[str, Any]:
    row = opennre_text(i)
    entities = [
        {"id": number, "label": "X", "start_offset": row[k]["pos"][0], "end_offset": row[k]["pos"][1]}
        for number, k in ((11, "h"), (7, "t"))
    ]
    relations = [{"id": 1, "from_id": 11, "to_id": 7, "type": LABELS[i]}]
    return {"text": row["text"], "entities": entities, "relations": relations}


@pytest.mark.parametrize(
    "form", [opennre, opennre_text, tacred, spert, named, offsets, pairs_of_positions, borders, doccano]
)
def test_expressions_are_marked(tmp_path: Path, workspace: Workspace, form: Any) -> None:
    result = load(jsonl(tmp_path / "a.jsonl", [form(0), form(1)]), "relation-extraction", workspace)
    assert result.train.columns["text"] == MARKED and result.train.columns["label"] == LABELS
    assert set(result.train.columns) == {"text", "label"}


def test_fewrel(tmp_path: Path, workspace: Workspace) -> None:
    rows = {}
    for i, label in enumerate(LABELS):
        h, t = ([" ".join(TOKENS[i][slice(*s)]).lower(), "Q1", [list(range(*s))]] for s in SPANS[i])
        rows[label] = [{"tokens": TOKENS[i], "h": h, "t": t}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows))
    result = load(path, "relation-extraction", workspace)
    assert result.train.columns["text"] == MARKED and result.train.columns["label"] == LABELS


def test_several_relations_of_a_sentence(tmp_path: Path, workspace: Workspace) -> None:
    row = spert(0)
    row["relations"].append({"type": "left-by", "head": 1, "tail": 0})
    row["relations"].append({"type": "self", "head": 1, "tail": 1})
    result = load(jsonl(tmp_path / "a.jsonl", [row, {**spert(1), "relations": []}]), "relation-extraction", workspace)
    assert result.train.columns["text"] == [MARKED[0], "<e2>Ada Byron</e2> left <e1>Oslo</e1>"]
    assert len(set(result.train.ids)) == 2
    notes = " ".join(result.notes)
    assert "left out 1 sentences without a relation" in notes and "left out 1 relations whose expressions over" in notes


def test_semeval_is_recognized(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "TRAIN_FILE.TXT"
    path.write_text(f'1\t"{MARKED[0]}"\nEntity-Origin(e1,e2)\nComment:\n\n2\t"Now {MARKED[0]}"\nOther\nComment:\n')
    result = load(path, "relation-extraction", workspace)
    assert result.train.columns["label"] == ["Entity-Origin(e1,e2)", "Other"]


def test_columns_of_expressions_can_be_named(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,who,where,label\nAnn and Anna left Oslo,Ann,Oslo,x\nBo saw Rome,Bo,Rome,y\n")
    result = load(path, "relation-extraction", workspace, columns={"head": "who", "tail": "where"})
    assert result.train.columns["text"][0] == "<e1>Ann</e1> and Anna left <e2>Oslo</e2>"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**named(0), "head": "Oslo"}, ""),
        ({**named(0), "sentence": "Oslo, Oslo and Ada Byron"}, "line 2: has the tail 'Oslo', which occurs 2 times"),
        ({**named(0), "head": "Eve"}, "line 2: has the head 'Eve', which does not occur"),
        ({**named(0), "tail": ""}, "line 2: has no tail"),
    ],
)
def test_expressions_that_are_not_found_once(tmp_path: Path, workspace: Workspace, row: Any, message: str) -> None:
    path = jsonl(
        tmp_path / "a.jsonl", [named(1), row, {**named(1), "sentence": "Now in Rome lives Ann", "relation": "z"}]
    )
    if not message:
        result = load(path, "relation-extraction", workspace)
        assert len(result.train) == 2 and any("expressions overlap" in note for note in result.notes)
        return
    with pytest.raises(DataError, match=message):
        load(path, "relation-extraction", workspace)


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ([0, 99], "at 0 to 99 of 4 words"),
        ([2, 10**30], "of 4 words"),
        ([0, 1], "'Ada Byron' is at 0 to 1, which is 'Ada'"),
    ],
)
def test_wrong_positions_of_expressions(
    tmp_path: Path, workspace: Workspace, position: list[int], message: str
) -> None:
    row = opennre(0)
    row["h"]["pos"] = position
    with pytest.raises(DataError, match=f"line 2: .*{message}"):
        load(jsonl(tmp_path / "a.jsonl", [opennre(1), row]), "relation-extraction", workspace)


def test_sentences_without_marks_are_refused_while_loading(tmp_path: Path, workspace: Workspace) -> None:
    """`workbench data check` does not ask the task; it finds this all the same."""
    rows = [{"text": " ".join(TOKENS[i]), "label": LABELS[i]} for i in range(2)]
    with pytest.raises(DataError, match="line 1: there is no <e1>"):
        load(jsonl(tmp_path / "a.jsonl", rows), "relation-extraction", workspace)


def test_chinese_words_are_joined_without_spaces(tmp_path: Path, workspace: Workspace) -> None:
    row = {"token": list("李明在北京"), "h": {"pos": [0, 2]}, "t": {"pos": [3, 5]}, "relation": "在"}
    other = {**row, "token": list("王明在上海"), "relation": "x"}
    result = load(jsonl(tmp_path / "a.jsonl", [row, other]), "relation-extraction", workspace)
    assert result.train.columns["text"][0] == "<e1>李明</e1>在<e2>北京</e2>"


# -- translations -----------------------------------------------------------------------------------------------------

EN, DE = ["Good day", "Thanks"], ["Guten Tag", "Danke"]


def tmx(body: str = "", head: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<tmx version="1.4"><header srclang="en-US"/><body>'
        '<tu><tuv xml:lang="de"><seg>Guten <bpt i="1">&lt;b></bpt>Tag<ept i="1">x</ept></seg></tuv>'
        '<tuv xml:lang="en-US"><seg>Good day</seg></tuv></tu>'
        '<tu><tuv xml:lang="EN-GB"><seg>Thanks</seg></tuv><tuv xml:lang="de"><seg>Danke</seg></tuv></tu>'
        f"{body}</body></tmx>"
    )


def write_pairs(folder: Path, form: str) -> Path:
    pairs = [{"en": en, "de": de} for en, de in zip(EN, DE, strict=True)]
    if form == "jsonl":
        return jsonl(folder / "a.jsonl", [{"id": str(i), "translation": pair} for i, pair in enumerate(pairs)])
    if form == "parquet":
        return parquet(folder / "a.parquet", {"translation": pairs})
    if form == "csv":
        (folder / "a.csv").write_text("id,en,de\n" + "".join(f"{i},{p['en']},{p['de']}\n" for i, p in enumerate(pairs)))
        return folder / "a.csv"
    if form == "tmx":
        doctype = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
        (folder / "a.tmx").write_text(tmx('<tu><tuv xml:lang="en"><seg>x</seg></tuv></tu>', doctype))
        return folder / "a.tmx"
    (folder / "train.en").write_text("\n".join(EN) + "\n")
    (folder / "train.de").write_text("\r\n".join(DE))
    (folder / "test.de").write_text("x")
    return folder / "train.en"


@pytest.mark.parametrize("form", ["jsonl", "parquet", "csv", "tmx", "parallel"])
def test_translations_by_language(tmp_path: Path, workspace: Workspace, form: str) -> None:
    result = load(write_pairs(tmp_path, form), "translation", workspace)
    assert result.train.columns == {"source": EN, "target": DE}
    assert any("translated into 'de'" in note or "train.en is the source" in note for note in result.notes)


@pytest.mark.parametrize("form", ["jsonl", "csv", "tmx"])
def test_the_direction_can_be_chosen(tmp_path: Path, workspace: Workspace, form: str) -> None:
    result = load(write_pairs(tmp_path, form), "translation", workspace, columns={"source": "de", "target": "en"})
    assert result.train.columns == {"source": DE, "target": EN}


def test_several_languages_need_a_choice(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"translation": {"en": f"a{i}", "de": f"b{i}", "fr": f"c{i}"}} for i in range(2)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match="has 3 languages: en, de, fr"):
        load(path, "translation", workspace)
    result = load(path, "translation", workspace, columns={"source": "fr", "target": "en"})
    assert result.train.columns["source"] == ["c0", "c1"]
    with pytest.raises(DataError, match="no language 'it'"):
        load(path, "translation", workspace, columns={"source": "fr", "target": "it"})


def test_parallel_files_of_different_lengths_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = write_pairs(tmp_path, "parallel")
    (tmp_path / "train.de").write_text("Guten Tag\n")
    with pytest.raises(DataError, match=r"train\.en has 2 lines, but train\.de has 1"):
        load(path, "translation", workspace)
    (tmp_path / "train.zip").write_bytes(b"PK")  # is no language
    with pytest.raises(DataError, match=r"train\.en has 2 lines"):
        load(path, "translation", workspace)
    (tmp_path / "train.fr").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"each of train\.de, train\.fr"):
        load(path, "translation", workspace)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tmx(head='<!DOCTYPE t [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>', body="&b;"), "it defines entities"),
        (tmx(head='<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]>', body="&a;"), "it defines entities"),
        (tmx(head='<!DOCTYPE t [<!ENTITY % a SYSTEM "http://127.0.0.1/x">%a;]>'), "it defines entities"),
        (tmx(body="<x>" * 100_000), "nested too deeply"),
        (tmx()[:-8], r"a\.tmx, line 1: not XML"),
        ("<tmx/>", "no units with two languages"),
        (tmx().replace("UTF-8", "gb18030"), "encoding that its first line declares cannot be read"),
        (tmx().replace("UTF-8", "none-such"), "encoding that its first line declares cannot be read"),
    ],
)
def test_hostile_xml_is_refused(tmp_path: Path, workspace: Workspace, content: str, message: str) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load(path, "translation", workspace)


def test_translations_in_a_packed_tmx_file_and_in_columns_with_capital_names(
    tmp_path: Path, workspace: Workspace
) -> None:
    units = "".join(
        f'<tu><tuv xml:lang="en"><seg>day {i}</seg></tuv><tuv xml:lang="de"><seg>Tag {i}</seg></tuv></tu>'
        for i in range(4)
    )
    header = '<?xml version="1.0" encoding="UTF-8"?><tmx version="1.4"><header srclang="en"/>'
    (tmp_path / "a.tmx.gz").write_bytes(gzip.compress(f"{header}<body>{units}</body></tmx>".encode()))
    (tmp_path / "a.csv").write_text("EN,DE\n" + "".join(f"day {i},Tag {i}\n" for i in range(4)))
    for name in ("a.tmx.gz", "a.csv"):
        data = load(tmp_path / name, "translation", workspace)
        assert data.train.columns["source"] == [f"day {i}" for i in range(4)], name
        assert data.train.columns["target"] == [f"Tag {i}" for i in range(4)], name
