"""Tags as files write them: recognized by evidence and rewritten with a note, or refused with what was seen."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

WORDS = ["Ada", "Byron", "saw", "New", "York", "today"]
BIO = ["B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O"]
ROLES = (Column("words", "words", ("tokens",), kind="words"), Column("tags", "tags", ("ner_tags",), kind="tags"))


def load(path: Path, workspace: Workspace, roles: Sequence[Column] = ROLES, **more: Any) -> Dataset:
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more), roles, workspace)


def write(path: Path, *rows: Sequence[Any]) -> Path:
    """Write rows of tags; one row is written twice, because a split needs two."""
    rows = rows * 2 if len(rows) == 1 else rows
    lines = [
        json.dumps({"tokens": [*WORDS[:-1], f"w{i}"][: len(tags)], "ner_tags": tags}) for i, tags in enumerate(rows)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("form", "note"),
    [
        (lambda tag: tag, ""),
        (lambda tag: "-".join(reversed(tag.split("-"))), "a letter after the type; the types are LOC, PER"),
        (lambda tag: tag.replace("-", "_"), "a letter before the type"),
        (lambda tag: tag[0].lower() + tag[1:] if tag != "O" else tag, "a letter before the type"),
        (lambda tag: tag.replace("-", ""), "a letter before the type"),
        (lambda tag: tag.replace("-", " "), "a letter before the type"),
        (lambda tag: tag.replace("B-", "BEGIN-").replace("I-", "Inside-"), "a letter before the type"),
        (lambda tag: tag + " ", ""),
        (lambda tag: tag.replace("O", "0") if tag == "O" else tag, "the tag '0' is read as O"),
        (lambda tag: "_" if tag == "O" else tag, "the tag '_' is read as O"),
        (lambda tag: "o" if tag == "O" else tag, "the tag 'o' is read as O"),
        (lambda tag: "OUT" if tag == "O" else tag, "the tag 'OUT' is read as O"),
        (lambda tag: "none" if tag == "O" else tag.replace("-", "_"), "the tag 'none' is read as O.*; tags such as"),
    ],
)
def test_tags_in_other_forms_are_rewritten(tmp_path: Path, workspace: Workspace, form: Any, note: str) -> None:
    path = write(tmp_path / "a.jsonl", [form(tag) for tag in BIO], [form(tag) for tag in BIO[2:]])
    result = load(path, workspace)
    assert result.train.columns["tags"] == [BIO, BIO[2:]]
    of_tags = [each for each in result.notes if "column 'ner_tags': " in each]
    assert len(of_tags) == bool(note)
    assert not note or re.search(note, of_tags[0])


def test_tags_without_a_type_are_entities(tmp_path: Path, workspace: Workspace) -> None:
    for dash in ("", "-"):
        path = write(tmp_path / "a.jsonl", [tag[0] + dash if tag != "O" else tag for tag in BIO])
        result = load(path, workspace)
        assert result.train.columns["tags"][0] == [f"{tag[0]}-ENTITY" if tag != "O" else tag for tag in BIO]
        assert any("have no type" in note for note in result.notes)


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["B-PER", "L-PER", "O", "U-LOC", "O", "O"], "bioes"),
        (["B-PER", "E-PER", "O", "S-LOC", "O", "O"], "bioes"),
        (["B-PER", "E-PER", "O", "W-LOC", "O", "O"], "bioes"),
        (["b_PER", "e_PER", "O", "s_LOC", "O", "O"], "bioes"),
        (["PER/B", "PER/E", "O", "LOC/S", "O", "O"], "bioes"),
        (["PER", "PER", "O", "LOC", "O", "O"], "plain"),
        (["I-PER", "I-PER", "O", "I-LOC", "O", "O"], "io"),
    ],
)
def test_schemes_of_the_task(tmp_path: Path, workspace: Workspace, tags: list[str], scheme: str) -> None:
    task = tasks.get("token-classification")()
    result = load(write(tmp_path / "a.jsonl", tags), workspace, task.columns())
    task.fit(result.train)
    assert task.scheme == scheme and task.labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]


def test_plain_types_are_named_in_a_note(tmp_path: Path, workspace: Workspace) -> None:
    result = load(write(tmp_path / "a.jsonl", ["PER", "PER", "O", "LOC"], ["O", "B_DATE"]), workspace)
    assert any("read as types without a prefix: B_DATE, LOC, PER" in note for note in result.notes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2, 0, 3, 4, 0]], r"holds numbers \('0', '1', '2', '3', '4'\), and which of them is O is not known"),
        ([["1", "2", "0"]], "holds numbers"),
        ([["NOUN", "NOUN", "VERB"]], "has no tag O for words outside any entity. Its tags are 'NOUN', 'VERB'"),
        ([["B-PER", "I-PER"]], "has no tag O"),
        ([["0", "_", "PER", "0", "_"]], "has no tag O, but '0' and '_'"),
        ([["O", "o", "PER"]], "has the tag 'o' as well as 'O'"),
        ([["PER-B", "PER-I", "O", "LOC"]], "some tags are written like 'PER-[BI]', but 'LOC' is not"),
        ([["B_NAME", "S_DATE", "O"]], "one letter may be a prefix of the type or a part of its name"),
    ],
)
def test_unclear_tags_are_refused_with_what_was_seen(
    tmp_path: Path, workspace: Workspace, rows: list[list[Any]], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(write(tmp_path / "a.jsonl", *rows), workspace)
    assert caught.value.hint


@pytest.mark.parametrize("separator", [" ", ",", ", ", ";"])
def test_tags_of_a_text_may_have_commas(tmp_path: Path, workspace: Workspace, separator: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        f'words,tags\nAda sings,"{separator.join(["B-PER", "O"])}"\nin Rome,"{separator.join(["O", "B-LOC"])}"\n'
    )
    assert load(path, workspace).train.columns["tags"] == [["B-PER", "O"], ["O", "B-LOC"]]


def test_lists_without_quotes_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text('words,tags\n"[Ada, sings]","[B-PER, O]"\n"[in, Rome]","[O, B-LOC]"\n')
    with pytest.raises(DataError, match=r"line 2: column 'words' holds '\[Ada, sings\]', a list whose texts have no q"):
        load(path, workspace)


def test_a_sign_for_words_outside_can_be_named(tmp_path: Path, workspace: Workspace) -> None:
    path = write(tmp_path / "a.jsonl", ["PER", "PER", "bg", "LOC", "LOC", "bg"])
    assert load(path, workspace, outside_tag="bg").train.columns["tags"][0][2] == "O"
    with pytest.raises(DataError, match="has no tag 'bgg'"):
        load(path, workspace, outside_tag="bgg")
    assert load(path, workspace, outside_tag="").train.columns["tags"][0][2] == "bg"


def test_numbers_with_names(tmp_path: Path, workspace: Workspace) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    path = write(tmp_path / "a.jsonl", [names.index(tag) for tag in BIO])
    assert load(path, workspace, label_names=names).train.columns["tags"][0] == BIO
    with pytest.raises(DataError, match=r"line 1: column 'ner_tags' holds the number 4, but .* 0 to 3"):
        load(path, workspace, label_names=names[:-1])
    (tmp_path / "b.csv").write_text('words,tags\na b c,0 1 2\nd e,"[0, 3]"\n')
    assert load(tmp_path / "b.csv", workspace, label_names=names).train.columns["tags"] == [
        ["O", "B-PER", "I-PER"],
        ["O", "B-LOC"],
    ]


def test_all_splits_are_read_like_the_training_data(tmp_path: Path, workspace: Workspace) -> None:
    train = write(tmp_path / "train.jsonl", ["PER-B", "PER-I", "0", "LOC-B", "LOC-I", "0"])
    test = write(tmp_path / "test.jsonl", ["0", "0", "0", "LOC-B", "0"], ["0", "ORG-B", "0", "0"])
    result = load(train, workspace, test=str(test))
    assert result.test.columns["tags"] == [["O", "O", "O", "B-LOC", "O"], ["O", "B-ORG", "O", "O"]]


def test_types_that_differ_only_in_case_are_noted(tmp_path: Path, workspace: Workspace) -> None:
    result = load(write(tmp_path / "a.jsonl", ["B-LOC", "O", "B-Loc", "O"]), workspace)
    assert any("types that differ only in case: 'LOC' and 'Loc'" in note for note in result.notes)


def test_plain_in_the_spec_keeps_prefixes(tmp_path: Path, workspace: Workspace) -> None:
    kind = tasks.get("token-classification")
    task = kind(kind.Config(scheme="plain"))
    result = load(write(tmp_path / "a.jsonl", ["B_NAME", "S_DATE", "O"]), workspace, task.columns())
    assert result.train.columns["tags"][0] == ["B_NAME", "S_DATE", "O"]


# -- one word per row -------------------------------------------------------------------------------------------------

SENTENCES = [(["Ada", "sings", "."], ["B-PER", "O", "O"]), (["In", "New", "York"], ["O", "B-LOC", "I-LOC"])] * 3


def word_rows(path: Path, header: str, row: Any, blank: bool = False) -> Path:
    lines = [header]
    for i, (words, tags) in enumerate(SENTENCES):
        lines += [
            row(i, j, f"{word}{i}" if j == 0 else word, tag)
            for j, (word, tag) in enumerate(zip(words, tags, strict=True))
        ]
        lines += [""] * blank
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "row", "blank"),
    [
        ("sentence_id,words,labels", lambda i, j, word, tag: f"{i},{word},{tag}", False),
        (
            "Sentence #,Word,POS,Tag",
            lambda i, j, word, tag: f"{f'Sentence: {i}' if j == 0 else ''},{word},X{j},{tag}",
            False,
        ),
        ("doc,sent,token,ner", lambda i, j, word, tag: f"{i // 2},{i % 2},{word},{tag}", False),
        ("group,word,tag,pos", lambda i, j, word, tag: f"{i},{word},{tag},{'NVA'[j]}", False),
        ("word,tag", lambda i, j, word, tag: f"{word},{tag}", True),
    ],
)
def test_words_in_rows_are_joined_into_sentences(
    tmp_path: Path, workspace: Workspace, header: str, row: Any, blank: bool
) -> None:
    result = load(word_rows(tmp_path / "a.csv", header, row, blank), workspace)
    assert result.train.columns["tags"] == [tags for _, tags in SENTENCES]
    assert [words[1:] for words in result.train.columns["words"]] == [words[1:] for words, _ in SENTENCES]
    assert any("each row has one word" in note and "18 words, 6 sentences" in note for note in result.notes)


def test_a_document_of_word_rows_can_group_sentences(tmp_path: Path, workspace: Workspace) -> None:
    path = word_rows(tmp_path / "a.csv", "doc,sent,token,ner", lambda i, j, w, t: f"d{i // 2},{i % 2},{w},{t}")
    spec = DataSpec(train=str(path), group="doc", holdout={"valid": 0, "test": 0.34})
    result = load_data(spec, ROLES, workspace)
    assert {len(result.train), len(result.test)} == {4, 2}


def test_word_rows_without_sentences_are_refused(tmp_path: Path, workspace: Workspace) -> None:
    path = word_rows(tmp_path / "a.csv", "word,tag,pos", lambda i, j, word, tag: f"{word},{tag},{'NVA'[j]}")
    with pytest.raises(DataError, match="no column says which words form a sentence") as caught:
        load(path, workspace)
    assert "sentence_id" in caught.value.hint


def test_rows_of_several_words_are_sentences(tmp_path: Path, workspace: Workspace) -> None:
    """A sentence_id does not join rows that hold whole sentences."""
    path = tmp_path / "a.csv"
    path.write_text("sentence_id,words,tags\n" + "".join(f"{i // 2},in Oslo {i},O B-LOC O\n" for i in range(12)))
    assert len(load(path, workspace).train) == 12


# -- names in Parquet -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Sequence", "List", "list"])
def test_names_of_tags_in_parquet(tmp_path: Path, workspace: Workspace, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    names = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    feature: Any = {"names": names, "_type": "ClassLabel"}
    feature = [feature] if kind == "list" else {"feature": feature, "_type": kind}
    metadata = {"huggingface": json.dumps({"info": {"features": {"ner_tags": feature}}})}
    table = pyarrow.table({"tokens": [WORDS] * 2, "ner_tags": [[names.index(tag) for tag in BIO]] * 2})
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    result = load(tmp_path / "a.parquet", workspace)
    assert result.train.columns["tags"] == [BIO, BIO]
    assert any("have names in the file: O, B-PER" in note for note in result.notes)
    wrong = pyarrow.table({"tokens": [["a", "b"]], "ner_tags": [[0, 9]]})
    parquet.write_table(wrong.replace_schema_metadata(metadata), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="row 1: column 'ner_tags' holds 9, but the file names only 0 to 4"):
        load(tmp_path / "b.parquet", workspace)


@pytest.mark.parametrize(
    "metadata", ["{", "[1]", '{"info": 3}', '{"info": {"features": {"label": [[[[]]]]}}}', "[" * 9999]
)
def test_strange_metadata_is_ignored(tmp_path: Path, workspace: Workspace, metadata: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet as parquet

    table = pyarrow.table({"text": ["a", "b"], "label": [0, 1]}).replace_schema_metadata({"huggingface": metadata})
    parquet.write_table(table, tmp_path / "a.parquet")
    roles = (Column("text", "a text"), Column("label", "its label", kind="label"))
    assert load(tmp_path / "a.parquet", workspace, roles).train.columns["label"] == ["0", "1"]
