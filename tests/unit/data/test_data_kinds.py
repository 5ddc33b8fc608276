"""Columns of words, tags, texts, answers and numbers in uploaded files; errors name the row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.cells.values import as_answers, as_texts, as_words
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

WORDS = (Column("words", "the words", kind="words"), Column("tags", "their tags", kind="tags"))
QUESTIONS = (
    Column("question", "the question"),
    Column("context", "the context"),
    Column("answers", "its answers", kind="answers"),
)
CHOICES = (Column("choices", "choices", kind="texts"), Column("label", "the right one", kind="label"))
PAIRS = (Column("source", "a text"), Column("target", "its translation", target=True))
NUMBERS = (Column("text", "a text"), Column("time", "seconds", kind="number", required=False))


def jsonl(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def load(path: Path, columns: Sequence[Column], workspace: Workspace, **more: Any) -> Dataset:
    holdout = more.pop("holdout", {"valid": 0, "test": 0})
    return load_data(DataSpec(train=str(path), holdout=holdout, **more), columns, workspace)


def test_words_and_tags_of_csv_jsonl_and_conll_are_the_same(tmp_path: Path, workspace: Workspace) -> None:
    rows = [(["Ann", "sings"], ["B-PER", "O"]), (["Yes"], ["O"])]
    csv = tmp_path / "a.csv"
    csv.write_text("words,tags\n" + "".join(f"{' '.join(w)},{' '.join(t)}\n" for w, t in rows))
    conll = tmp_path / "a.conll"
    conll.write_text("\n".join("".join(f"{w} {t}\n" for w, t in zip(*row, strict=True)) for row in rows))
    lines = jsonl(tmp_path / "a.jsonl", *({"words": w, "tags": t} for w, t in rows))
    for path in (csv, lines, conll):
        examples = load(path, WORDS, workspace).train
        assert examples.columns == {"words": [["Ann", "sings"], ["Yes"]], "tags": [["B-PER", "O"], ["O"]]}, path.name
    assert examples.ids == ["a.conll:1", "a.conll:4"] and examples.locations()[1] == "a.conll, line 4"


def test_splits_of_conll_files(tmp_path: Path, workspace: Workspace) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.conll").write_text(f"{name} O\n\nx B-A\n\n{name}s O\n")
    dataset = load(tmp_path / "train.conll", WORDS, workspace, test=str(tmp_path / "test.conll"))
    assert (len(dataset.train), len(dataset.test)) == (3, 3) and dataset.test.ids[0] == "test.conll:1"
    assert dataset.report["overlaps"] == [
        {"between": ["train", "test"], "count": 1, "examples": dataset.report["overlaps"][0]["examples"]}
    ]
    assert dataset.report["overlaps"][0]["examples"][0]["text"] == "x"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"words": ["a", "b"], "tags": ["O"]}, "line 2: column 'tags' has 1 tags, but column 'words' has 2 words"),
        ({"words": "a b", "tags": "O O O"}, "line 2: column 'tags' has 3 tags"),
        ({"words": ["a", ""], "tags": ["O", "O"]}, "line 2: column 'words' has no text in word 2 of 2"),
        ({"words": ["a", ["b"]], "tags": ["O", "O"]}, "line 2: column 'words' holds a list, but text is needed"),
        ({"words": {"a": 1}, "tags": ["O"]}, "line 2: column 'words' holds an object"),
        ({"words": ["\ud800"], "tags": ["O"]}, "line 2: column 'words' contains a lone surrogate"),
        ({"words": 3, "tags": ["O"]}, "line 2: column 'words' holds a int"),
    ],
)
def test_invalid_words_are_refused(tmp_path: Path, workspace: Workspace, row: dict, message: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", {"words": ["a"], "tags": ["O"]}, row, {"words": ["b"], "tags": ["O"]})
    with pytest.raises(DataError, match=message) as caught:
        load(path, WORDS, workspace)
    assert caught.value.hint


def test_rows_without_words_are_excluded_and_listed(tmp_path: Path, workspace: Workspace) -> None:
    row = {"words": ["a"], "tags": ["O"]}
    path = jsonl(tmp_path / "a.jsonl", row, {"words": [], "tags": []}, row, {"words": None, "tags": None})
    dataset = load(path, WORDS, workspace)
    assert len(dataset.train) == 2 and dataset.report["left_out"][0]["rows"] == [2, 4]
    assert dataset.report["parts"]["train"]["duplicates"]["count"] == 1, "tags do not make words different"
    assert "train: 1 text occurs more than once." in dataset.notes


# -- answers ----------------------------------------------------------------------------------------------------------

CONTEXT = "Bräu 😀 is in Bonn, not in Bonn."


def qa(answers: Any, context: str = CONTEXT) -> dict[str, Any]:
    return {"question": "Where?", "context": context, "answers": answers}


@pytest.mark.parametrize(
    "answers",
    [
        [{"text": "Bonn", "start": 13}],
        [{"text": "Bonn", "answer_start": 13}],
        {"text": ["Bonn"], "answer_start": [13]},
        '[{"text": "Bonn", "start": 13}]',
    ],
)
def test_every_form_of_answers(tmp_path: Path, workspace: Workspace, answers: Any) -> None:
    path = jsonl(tmp_path / "a.jsonl", qa(answers), qa([], "nothing"), qa(None, "at all"))
    examples = load(path, QUESTIONS, workspace).train
    assert examples.columns["answers"] == [[{"text": "Bonn", "start": 13}], [], []]
    assert CONTEXT[13:17] == "Bonn"


def test_answers_of_csv(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text('question,context,answers\nQ,a b,"[{""text"": ""b"", ""start"": 2}]"\nQ,c,\nQ,d,[]\n')
    assert load(path, QUESTIONS, workspace).train.columns["answers"] == [[{"text": "b", "start": 2}], [], []]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([{"text": "Bonn", "start": 12}], "'Bonn' starts at character 12 of the context, which is ' Bon'"),
        ([{"text": "Bonn", "start": 14}], "which is 'onn,'"),
        ([{"text": "Bonn", "start": -18}], "the answer 'Bonn' at character -18"),
        ([{"text": "Bonn", "start": 4000}], "which is ''"),
        ([{"text": "", "start": 0}], "the answer '' at character 0"),
        ([{"text": "Bonn"}], "but an answer is"),
        ([{"text": "Bonn", "start": "13"}], "but an answer is"),
        ([{"text": "Bonn", "start": True}], "but an answer is"),
        (["Bonn"], "but an answer is"),
        ("Bonn", "is not a valid list or JSON"),
        ({"text": ["Bonn"], "answer_start": []}, "but not as many starts"),
        (3, "but a list of answers is needed"),
    ],
)
def test_invalid_answers_are_refused(tmp_path: Path, workspace: Workspace, answers: Any, message: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", qa([]), qa(answers))
    with pytest.raises(DataError, match=f"line 2: column 'answers' .*{message}"):
        load(path, QUESTIONS, workspace)


def test_a_squad_file_is_recognized_by_its_content(tmp_path: Path, workspace: Workspace) -> None:
    """A SQuAD file may have any name; questions on one article stay in one split. Other .json files are tables."""
    articles = []
    for i in range(30):
        qas = [{"question": f"{i} {j}?", "answers": [{"text": "Bonn", "answer_start": 13}]} for j in range(4)]
        articles.append({"title": f"T{i}", "paragraphs": [{"context": CONTEXT, "qas": qas}]})
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"version": "1.1", "data": articles}, indent=2))
    dataset = load(path, QUESTIONS, workspace, holdout={"valid": 0.2, "test": 0.2})
    articles_by_split = [
        {q.split()[0] for q in split.columns["question"]} for split in (dataset.train, dataset.valid, dataset.test)
    ]
    assert all(articles_by_split) and sum(map(len, articles_by_split)) == len(set.union(*articles_by_split)) == 30
    path.write_text(json.dumps([qa([]), qa([], "b")]))
    assert len(load(path, QUESTIONS, workspace).train) == 2
    path.write_text(json.dumps({"data": [{"paragraphs": 3}]}))
    with pytest.raises(DataError, match=r"mine\.json, article 1"):
        load(path, QUESTIONS, workspace)


def test_starts_are_characters_not_bytes() -> None:
    assert as_answers([{"text": "is", "start": 7}], CONTEXT) == [{"text": "is", "start": 7}]


# -- texts and numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b c"], ["a", "b c"]),
        ('["a", "b c"]', ["a", "b c"]),
        ("one text, whole", ["one text, whole"]),
        ("[sic] he said", ["[sic] he said"]),
        ("[]", []),
        ("", []),
        (None, []),
        ([1, 2.5], ["1", "2.5"]),
    ],
)
def test_texts(value: Any, expected: list[str]) -> None:
    assert as_texts(value) == expected


@pytest.mark.parametrize("value", ['["a", ', '["a", ["b"]]', ["a", " "], ["a", None], {"a": 1}, True])
def test_invalid_lists_of_texts(value: Any) -> None:
    with pytest.raises(ValueError, match=r"holds|has no text"):
        as_texts(value)


def test_words_of_a_text_are_separated_by_spaces() -> None:
    assert as_words("  a\tb \n c ") == ["a", "b", "c"] and as_words(None) == []


def test_choices_with_labels(tmp_path: Path, workspace: Workspace) -> None:
    path = tmp_path / "a.csv"
    path.write_text('choices,label\n"[""x"", ""y""]",0\n"[""z"", ""y""]",1\n')
    examples = load(path, CHOICES, workspace).train
    assert examples.columns == {"choices": [["x", "y"], ["z", "y"]], "label": ["0", "1"]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", "holds 'x'"),
        (None, "holds nothing"),
        (True, "true or false"),
        ("nan", "holds nan"),
        ("1e999", "holds inf"),
    ],
)
def test_numbers(tmp_path: Path, workspace: Workspace, value: Any, message: str) -> None:
    valid_rows = [{"text": "a", "time": 3}, {"text": "b", "time": "4.5"}]
    assert load(jsonl(tmp_path / "a.jsonl", *valid_rows), NUMBERS, workspace).train.columns["time"] == [3.0, 4.5]
    path = jsonl(tmp_path / "b.jsonl", *valid_rows, {"text": "c", "time": value})
    with pytest.raises(DataError, match=f"b.jsonl, line 3: column 'time' .*{message}"):
        load(path, NUMBERS, workspace)


def test_a_text_that_may_be_empty_is_used(tmp_path: Path, workspace: Workspace) -> None:
    columns = (Column("text", "a text"), Column("history", "what was before", may_be_empty=True))
    path = jsonl(tmp_path / "a.jsonl", *({"text": t, "history": h} for t, h in [("a", ""), ("b", "x"), ("", "y")]))
    assert load(path, columns, workspace).train.columns == {"text": ["a", "b"], "history": ["", "x"]}


# -- splits -----------------------------------------------------------------------------------------------------------


def test_rows_that_differ_only_in_targets_stay_in_one_split(tmp_path: Path, workspace: Workspace) -> None:
    """Targets by kind (tags, answers) or by task (a translation): only the inputs assign the split."""
    holdout = {"valid": 0.2, "test": 0.4}
    pairs = [{"source": f"text {i % 40}", "target": f"{i}"} for i in range(120)]
    words = [{"words": ["w", str(i % 40)], "tags": ["O", f"B-{i}"]} for i in range(120)]
    questions = [qa([{"text": CONTEXT[:1], "start": 0}] if i % 2 else [], f"{CONTEXT} {i % 40}") for i in range(120)]
    cases = [(pairs, PAIRS, "source"), (words, WORDS, "words"), (questions, QUESTIONS, "context")]
    for number, (rows, columns, role) in enumerate(cases):
        dataset = load(jsonl(tmp_path / f"{number}.jsonl", *rows), columns, workspace, holdout=holdout)
        values_by_split = [
            {str(value) for value in split.columns[role]} for split in (dataset.train, dataset.valid, dataset.test)
        ]
        assert all(values_by_split) and sum(map(len, values_by_split)) == len(set.union(*values_by_split)) == 40, role
        assert dataset.report["overlaps"] == [] and dataset.report["parts"]["train"]["labels"] is None


def test_splits_are_stratified_by_the_label_of_lists_of_texts(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"choices": [f"a{i}", f"b{i}"], "label": int(i < 20)} for i in range(100)]
    path = jsonl(tmp_path / "a.jsonl", *rows)
    dataset = load(path, CHOICES, workspace, holdout={"valid": 0.2, "test": 0.2})
    assert dataset.test.columns["label"].count("1") == dataset.valid.columns["label"].count("1") == 4


def test_a_limit_takes_whole_rows(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"words": [str(i)] * (i + 1), "tags": ["O"] * (i + 1)} for i in range(50)]
    examples = load(jsonl(tmp_path / "a.jsonl", *rows), WORDS, workspace, limit={"train": 7}).train
    assert len(examples) == 7 and all(map(len, examples.columns["words"]))
    assert [len(w) for w in examples.columns["words"]] == [len(t) for t in examples.columns["tags"]] == examples.rows
