"""Words and tags as people have them: texts with a tag for each word or character, and lines of CoNLL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.data.bad_rows import BadRowsError
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.tasks.base import tasks
from workbench.workspace import Workspace

WORDS = [["Ada", "Byron", "sings"], ["in", "Oslo", "."]]
TAGS = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"]]
CHARACTERS = [["小", "明", "在", "北", "京"], ["李", "雷", "去", "上", "海"]]
OF_CHARACTERS = [["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]] * 2


def load(path: Path, content: str | bytes, workspace: Workspace, **more: Any) -> Dataset:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    spec = DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more)
    return load_data(spec, tasks.get("token-classification")().columns(), workspace)


def jsonl(rows: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


@pytest.mark.parametrize(
    ("texts", "tags"), [("text", "tags"), ("text", "labels"), ("sentence", "word_labels"), ("Sentence", "Tag")]
)
@pytest.mark.parametrize("form", ["lists", "texts", "commas", "printed"])
def test_a_text_with_a_tag_for_each_word(
    texts: str, tags: str, form: str, tmp_path: Path, workspace: Workspace
) -> None:
    rows: list[dict[str, Any]] = []
    for words, own in zip(WORDS * 2, TAGS * 2, strict=True):
        cells: dict[str, Any] = {"lists": own, "texts": " ".join(own), "commas": ",".join(own), "printed": str(own)}
        rows.append({"id": len(rows), texts: words if form == "lists" else " ".join(words), tags: cells[form]})
    data = load(tmp_path / "a.jsonl", jsonl(rows), workspace)
    assert data.train.columns == {"words": WORDS * 2, "tags": TAGS * 2}
    rows[3] = rows[3] | {tags: ["O"]}
    with pytest.raises(DataError, match=r"line 4: .*1 tags, but .* 3 words"):
        load(tmp_path / "a.jsonl", jsonl(rows), workspace)


@pytest.mark.parametrize("space", ["", " ", "\u3000"])
@pytest.mark.parametrize("tagged_spaces", [False, True])
def test_a_text_with_a_tag_for_each_character(
    space: str, tagged_spaces: bool, tmp_path: Path, workspace: Workspace
) -> None:
    rows = []
    for characters, own in zip(CHARACTERS, OF_CHARACTERS, strict=True):
        inner = ["O"] if space and tagged_spaces else []
        rows.append({"text": "".join([*characters[:2], space, *characters[2:]]), "label": [*own[:2], *inner, *own[2:]]})
    data = load(tmp_path / "a.jsonl", jsonl(rows), workspace)
    assert data.train.columns == {"words": CHARACTERS, "tags": OF_CHARACTERS}
    assert any("those of the characters" in note for note in data.notes)


def test_labels_of_whole_texts_are_not_read_as_tags(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": "a fine film", "label": "pos"}, {"text": "a dull one", "label": "neg"}]
    with pytest.raises(DataError, match="no column matches the role words"):
        load(tmp_path / "a.jsonl", jsonl(rows), workspace)


def conll(rows: list[list[str]], separator: str = " ") -> str:
    return "".join("\n" if not row else separator.join(row) + "\n" for row in rows)


def lines_of(*more: list[str], numbered: bool = False) -> list[list[str]]:
    """Return the lines of the sentences; ``more`` are further fields after the words."""
    rows: list[list[str]] = []
    for words, tags in zip(WORDS * 4, TAGS * 4, strict=True):
        for j, (word, tag) in enumerate(zip(words, tags, strict=True)):
            number = [str(j + 1)] if numbered else []
            rows.append(
                [*number, word, *(each[j] for each in more), tag, *(["O", "B-XX", "O"][j : j + 1] if numbered else [])]
            )
        rows.append([])
    return rows


@pytest.mark.parametrize("name", ["a.tsv", "a.txt", "a.conll"])
@pytest.mark.parametrize("names", [["token", "ner"], ["Word", "Tag"], ["word", "pos", "label"]])
def test_a_first_line_with_names_is_no_word(name: str, names: list[str], tmp_path: Path, workspace: Workspace) -> None:
    more = [["NN"] * 3] if len(names) == 3 else []
    data = load(tmp_path / name, conll([names, *lines_of(*more)], "\t"), workspace)
    assert data.train.columns == {"words": WORDS * 4, "tags": TAGS * 4}
    data = load(
        tmp_path / name,
        conll([names, *lines_of(*more)], "\t"),
        workspace,
        columns={"tags": names[-1], "words": names[0]},
    )
    assert data.train.columns == {"words": WORDS * 4, "tags": TAGS * 4}


@pytest.mark.parametrize("name", ["a.tsv", "a.conll"])
def test_the_first_of_two_levels_of_tags_is_used_whatever_their_types_and_the_other_can_be_chosen(
    name: str, tmp_path: Path, workspace: Workspace
) -> None:
    content = conll([["#", "http://example.org [2009]"], *lines_of(numbered=True)], "\t")
    data = load(tmp_path / name, content, workspace)
    assert data.train.columns["tags"] == TAGS * 4
    assert any("others hold tags, too: column_4" in note for note in data.notes)
    second = load(tmp_path / name, content, workspace, columns={"tags": "column_4"})
    assert second.train.columns["tags"] == [["O", "B-XX", "O"]] * 8
    assert load(tmp_path / name, content, workspace, columns={"tags": "column_3"}).train.columns["tags"] == TAGS * 4


def test_chunks_before_the_tags_are_no_level_of_tags(tmp_path: Path, workspace: Workspace) -> None:
    content = conll(lines_of(["NNP", "VB", "."], ["B-NP", "B-VP", "I-VP"]))
    data = load(tmp_path / "a.conll", content, workspace)
    assert data.train.columns["tags"] == TAGS * 4 and not any("others hold tags" in note for note in data.notes)


def test_a_sentence_with_a_malformed_line_is_a_bad_row(tmp_path: Path, workspace: Workspace) -> None:
    rows = lines_of()
    rows[5] = ["Oslo"]
    with pytest.raises(BadRowsError, match=r"a\.conll, line 6: 'Oslo' is not a word and its tag"):
        load(tmp_path / "a.conll", conll(rows), workspace)
    data = load(tmp_path / "a.conll", conll(rows), workspace, on_bad_rows="drop")
    assert len(data.train) == 7 and data.report["left_out"][0]["rows"] == [5]


@pytest.mark.parametrize("empty", ["", "NaN", "nan", "None", "NULL"])
def test_a_sentence_number_once_per_sentence(empty: str, tmp_path: Path, workspace: Workspace) -> None:
    """What a program writes for an empty cell does not begin a sentence."""
    rows = ["Sentence #,Word,POS,Tag"]
    for i, (words, tags) in enumerate(zip(WORDS * 4, TAGS * 4, strict=True)):
        pairs = zip(words, tags, strict=True)
        rows += [f"{f'Sentence: {i}' if j == 0 else empty},{word},NN,{tag}" for j, (word, tag) in enumerate(pairs)]
    assert load(tmp_path / "a.csv", "\n".join(rows), workspace).train.columns == {"words": WORDS * 4, "tags": TAGS * 4}


@pytest.mark.parametrize("encoding", ["gbk", "big5", "utf-16", "utf-8-sig"])
def test_one_chinese_character_per_line_in_other_encodings(encoding: str, tmp_path: Path, workspace: Workspace) -> None:
    """A character of two bytes often looks like UTF-8, which does not make the file a mixture."""
    texts = ["小明住在北京的大學旁邊", "他去了上海工作", "老師和學生都喜歡這個地方", "我們今天下午要開會"]
    rows = [[character, "B-PER" if i == 0 else "O"] for text in texts * 4 for i, character in enumerate(text)]
    ends = [i for i, row in enumerate(rows) if row[1] == "B-PER" and i]
    for i in reversed(ends):
        rows.insert(i, [])
    content = conll(rows, "\t").encode(encoding)
    data = load(tmp_path / "a.conll", content, workspace)
    assert data.train.columns["words"] == [list(text) for text in texts * 4]
