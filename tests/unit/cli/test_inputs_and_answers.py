"""The inputs of `workbench predict`: several roles, rows of files, and errors for unreadable inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import torch

from workbench.cli.answers import show_answers
from workbench.cli.inputs import inputs_of_json, inputs_of_texts
from workbench.cli.rows import Row, check_output, name_rows, read_rows, write_rows
from workbench.errors import DataError, RequestError
from workbench.inference.predictor import Predictor
from workbench.tasks.answers import GeneratedText
from workbench.tasks.base import tasks
from workbench.tasks.shared.inputs import read_list

QUESTION_ANSWERING = tasks.get("question-answering")()


def inputs_of_file(path: Path, task: Any, trained: dict[str, str] | None = None) -> list[Any]:
    return [row.inputs for row in read_rows(path, task, trained)]


def test_inputs_are_objects_of_roles() -> None:
    expected = {"question": "Who?", "context": "Mary sings."}
    assert inputs_of_json(['{"question": "Who?", "context": "Mary sings."}'], QUESTION_ANSWERING) == [expected]
    for document, message in (
        ("{text}", "is not JSON"),
        ("[1]", "an object is needed"),
        ("[" * 100_000, "is not JSON"),
    ):
        with pytest.raises(RequestError, match=message) as error:
            inputs_of_json([document], QUESTION_ANSWERING)
        assert '"question": "..."' in error.value.hint


def test_a_text_for_each_pair() -> None:
    assert inputs_of_texts(["a", "b"], ["c", "d"])[1] == {"text": "b", "text_pair": "d"}
    with pytest.raises(RequestError, match="2 --text and 1 --text-pair"):
        inputs_of_texts(["a", "b"], ["c"])


def test_rows_of_a_file_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,context,other\nWho?,"Mary, sings.",x\n', encoding="utf-8")
    assert inputs_of_file(path, QUESTION_ANSWERING) == [{"question": "Who?", "context": "Mary, sings."}]
    path.write_text("title,body\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"columns title, body; .* reads question, context"):
        inputs_of_file(path, QUESTION_ANSWERING)
    with pytest.raises(DataError, match="does not exist"):
        inputs_of_file(tmp_path / "no.csv", QUESTION_ANSWERING)


def test_generated_text_is_shown_although_the_input_has_the_same_key(capsys: pytest.CaptureFixture[str]) -> None:
    show_answers([{"text": "He is my friend."}], [GeneratedText("他是我的朋友。")])
    assert "他是我的朋友。" in capsys.readouterr().out


# -- roles and lists -----------------------------------------------------------------------------------------------


class Echo:
    """A task that returns its inputs as answers."""

    def __init__(self, name: str) -> None:
        self.of = tasks.get(name)()
        self.inputs, self.input_aliases = self.of.inputs, self.of.input_aliases

    def predict(self, context: Any, inputs: Any, options: Any) -> list[GeneratedText]:
        return [GeneratedText(json.dumps(row)) for row in inputs]


def predictor_of(name: str) -> Predictor:
    task: Any = Echo(name)
    model: Any = torch.nn.Identity()
    return Predictor(model, None, task, 32)


@pytest.mark.parametrize(
    ("task", "inputs", "message"),
    [
        ("controlled-generation", {"lable": "fresh"}, r"Input 2: There is no role 'lable'\. Did you mean 'label'"),
        ("question-answering", {"question": "Who?", "context": "Mary.", "x": "y"}, "no role 'x'"),
        ("text-classification", {"text": "good", "label": "fresh"}, "no role 'label'"),
    ],
)
def test_an_unknown_role_is_refused_with_a_suggestion(task: str, inputs: dict[str, str], message: str) -> None:
    valid = {column.role: "a" for column in tasks.get(task)().inputs()}
    with pytest.raises(DataError, match=message) as error:
        predictor_of(task).predict([valid, inputs])
    assert next(iter(valid)) in error.value.hint


@pytest.mark.parametrize(
    ("task", "role"), [("translation", "text"), ("sentence-similarity", "text_a"), ("code-generation", "text")]
)
def test_aliases_of_a_role_are_read(task: str, role: str) -> None:
    assert predictor_of(task).predict([{role: "a"}]) == [GeneratedText(json.dumps({role: "a"}))]


@pytest.mark.parametrize(
    ("task", "role"),
    [("sentence-similarity", "candidates"), ("recommendation", "candidates"), ("dialogue", "turns")],
)
def test_a_csv_file_may_contain_lists(task: str, role: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    json_list = json.dumps(["a, b", "c", "d"]).replace('"', '""')
    path.write_text(f'text,{role},text_b\nasked,"{json_list}",\nasked,only one,\n', encoding="utf-8")
    inputs = inputs_of_file(path, tasks.get(task)())
    assert "text_b" not in inputs[0], "an empty cell of an optional role is dropped"
    assert [read_list(row, role, 1) for row in inputs] == [["a, b", "c", "d"], ["only one"]]
    with pytest.raises(DataError, match=f"Input 3: {role} "):
        read_list({role: '["a", '}, role, 3)


def test_json_lists_of_a_csv_file_are_read_by_every_task() -> None:
    from workbench.tasks import dialogue, recommendation, sentence_similarity

    json_list = '["a", "b", "c"]'
    assert astuple(sentence_similarity._query({"text": "x", "candidates": json_list}, 1)) == (
        "x",
        ["a", "b", "c"],
        True,
    )
    assert astuple(sentence_similarity._query({"text": "x", "text_b": "d"}, 1)) == ("x", ["d"], False)
    assert sentence_similarity._query({"text": "x", "candidates": json_list, "text_b": "d"}, 1).others == [*"abcd"]
    assert recommendation._candidates({"candidates": json_list}, 1) == ["a", "b", "c"]
    assert (
        recommendation._history({"history": json_list}, 1)
        == "a; b; c"
        == recommendation._history({"history": "a; b; c"}, 1)
    )
    assert dialogue.input_turns({"turns": json_list}, 1) == ["a", "b", "c"]


def test_a_message_comes_after_the_turns() -> None:
    from workbench.tasks.dialogue import input_turns

    assert input_turns({"turns": ["Hello", "Hi!"], "text": "How are you?"}, 1) == ["Hello", "Hi!", "How are you?"]
    assert input_turns({"turns": ["Hello"], "text": " "}, 1) == ["Hello"] == input_turns({"text": "Hello"}, 1)
    with pytest.raises(DataError, match="Input 2 has 2 turns"):
        input_turns({"turns": ["Hello"], "text": "Are you there?"}, 2)
    for inputs in ({}, {"turns": 7, "text": "x"}, {"text": 7}):
        with pytest.raises(DataError, match="Input 1 has no turns"):
            input_turns(inputs, 1)


# -- rows of files -------------------------------------------------------------------------------------------------

CLASSIFIER = tasks.get("text-classification")()


def test_columns_of_the_training_data_and_usual_names_are_known(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,review,label\n007,good,x\n8,fine,y\n", encoding="utf-8")
    first, _ = read_rows(path, CLASSIFIER, {"text": "review", "label": "opinion"})
    assert first.inputs == {"text": "good"} and first.others == {"id": "007", "label": "x"}
    path.write_text("id,comments\n7,good\n", encoding="utf-8")
    with pytest.raises(DataError, match="columns id, comments"):
        read_rows(path, CLASSIFIER)
    path.write_text("id,Sentence\n7,good\n", encoding="utf-8")
    assert inputs_of_file(path, CLASSIFIER) == [{"text": "good"}], "a usual name of the role"


def test_every_format_of_training_is_read(tmp_path: Path) -> None:
    paragraphs = [{"context": "Mary sings.", "qas": [{"id": "1", "question": "Who?", "answers": []}]}]
    squad = tmp_path / "questions.json"
    squad.write_text(json.dumps({"version": "2.0", "data": [{"title": "a", "paragraphs": paragraphs}]}))
    assert inputs_of_file(squad, QUESTION_ANSWERING) == [{"question": "Who?", "context": "Mary sings."}]


def test_an_empty_row_has_no_answer_and_the_others_have_theirs(tmp_path: Path) -> None:
    path, out = tmp_path / "rows.csv", tmp_path / "answers.csv"
    path.write_text('id,text,text_b\n1,good,\n2,"  ",\n3,=1+1,\n', encoding="utf-8")
    rows = list(read_rows(path, CLASSIFIER))
    assert [row.inputs for row in rows] == [{"text": "good"}, None, {"text": "=1+1"}]
    for row in rows[::2]:
        row.answer = GeneratedText("-x")
    assert rows[1].to_json() == {
        "place": "rows.csv, line 3", "answer": None, "columns": {"id": "2", "text_b": ""}
    }  # fmt: skip
    assert rows[0].to_json()["columns"] == {"id": "1", "text_b": ""}
    names = ["id", "text", "text_b"]
    write_rows(out, rows, names)
    lines = out.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "id,text,text_b,predicted_text" and lines[2] == "2,  ,,"
    assert lines[3] == "3,'=1+1,,'-x", "a spreadsheet would run these as formulas"
    write_rows(tmp_path / "answers.jsonl", rows, names)
    third = (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()[2]
    assert json.loads(third) == {"id": "3", "text": "=1+1", "text_b": "", "predicted_text": "-x"}


def test_an_interrupted_command_leaves_no_output(tmp_path: Path) -> None:
    def rows() -> Iterator[Row]:
        yield Row({"text": "a"}, {"text": "a"}, {}, answer=GeneratedText("b"))
        raise KeyboardInterrupt

    for name in ("answers.csv", "answers.jsonl"):
        with pytest.raises(KeyboardInterrupt):
            write_rows(tmp_path / name, rows(), ["text"])
    assert not list(tmp_path.iterdir())


def test_a_field_that_only_a_later_answer_has_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    first, second = (Row({"text": each}, {"text": each}, {}) for each in ("a", "b"))
    second.answer = GeneratedText("c", unread_tokens=3)
    write_rows(path, iter([first, second]), ["text"])
    assert path.read_text(encoding="utf-8").splitlines() == ["text,predicted_text,unread_tokens", "a,,", "b,c,3"]


def test_errors_name_the_line_and_the_output_is_checked_first(tmp_path: Path) -> None:
    rows = [Row({}, {}, {}, "a.csv, line 2"), Row({}, {}, {}, "a.csv, line 7")]
    assert name_rows(DataError("Input 2 has no mark.", "x"), rows).message == "a.csv, line 7 has no mark."
    with pytest.raises(RequestError, match=r"\.csv or \.jsonl"):
        check_output(tmp_path / "answers.xlsx")
    with pytest.raises(RequestError, match="no folder"):
        check_output(tmp_path / "nowhere" / "answers.csv")
