"""What `workbench predict` asks: inputs of several roles and rows of files; what cannot be asked is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.cli.asking import inputs_of_file, inputs_of_json, inputs_of_texts, show_predictions
from workbench.errors import DataError, RequestError
from workbench.tasks.base import tasks

QUESTIONS = tasks.get("question-answering")()


def test_inputs_are_objects_of_roles() -> None:
    asked = {"question": "Who?", "context": "Mary sings."}
    assert inputs_of_json(['{"question": "Who?", "context": "Mary sings."}'], QUESTIONS) == [asked]
    for given, told in (("{text}", "is not JSON"), ("[1]", "an object is needed"), ("[" * 100_000, "is not JSON")):
        with pytest.raises(RequestError, match=told) as error:
            inputs_of_json([given], QUESTIONS)
        assert '"question": "..."' in error.value.hint


def test_a_text_for_each_pair() -> None:
    assert inputs_of_texts(["a", "b"], ["c", "d"])[1] == {"text": "b", "text_pair": "d"}
    with pytest.raises(RequestError, match="2 --text and 1 --text-pair"):
        inputs_of_texts(["a", "b"], ["c"])


def test_rows_of_a_file_by_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('question,context,other\nWho?,"Mary, sings.",x\n', encoding="utf-8")
    assert inputs_of_file(path, QUESTIONS) == [{"question": "Who?", "context": "Mary, sings."}]
    path.write_text("title,body\na,b\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"columns title, body; .* is asked with question, context"):
        inputs_of_file(path, QUESTIONS)
    with pytest.raises(DataError, match="does not exist"):
        inputs_of_file(tmp_path / "no.csv", QUESTIONS)


def test_what_was_written_is_shown_though_the_input_has_the_same_key(capsys: pytest.CaptureFixture[str]) -> None:
    show_predictions([{"text": "He is my friend."}], [{"text": "他是我的朋友。", "unread_tokens": 0}])
    assert "他是我的朋友。" in capsys.readouterr().out
