"""Conversations as messages with roles, instructions with replies, and lists of turns: only replies are learned."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.runs.report_notes import warnings_in
from workbench.spec import DataSpec
from workbench.workspace import Workspace

ROLES = (Column("turns", "the turns", ("dialogue", "messages"), kind="texts"),)


def load(path: Path, workspace: Workspace, **more: Any) -> Dataset:
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}, **more), ROLES, workspace)


def jsonl(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def openai(*pairs: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": text} for role, text in pairs]}


def sharegpt(*pairs: tuple[str, Any]) -> dict[str, Any]:
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return {"conversations": [{"from": names[role], "value": text} for role, text in pairs]}


@pytest.mark.parametrize("form", [openai, sharegpt])
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_roles_decide_whose_lines_are_learned(tmp_path: Path, workspace: Workspace, form: Any, suffix: str) -> None:
    rows = [
        form(("user", "Hello"), ("assistant", "Hi!"), ("user", "Thanks"), ("assistant", "Bye")),
        form(("system", "Be brief."), ("user", "What?"), ("user", "And why?"), ("assistant", "So.")),
        form(("assistant", "Welcome!"), ("user", "My bill"), ("assistant", "I look"), ("user", "Thanks")),
    ]
    path = tmp_path / f"a.{suffix}"
    (column,) = rows[0]
    if suffix == "jsonl":
        jsonl(path, rows)
    elif suffix == "csv":
        cells = [str(row[column]).replace('"', '""') for row in rows]
        path.write_text("\n".join([column, *[f'"{cell}"' for cell in cells]]), encoding="utf-8")
    else:
        pyarrow = pytest.importorskip("pyarrow")
        import pyarrow.parquet as parquet

        parquet.write_table(pyarrow.table({column: [row[column] for row in rows]}), path)
    result = load(path, workspace)
    assert result.train.columns["turns"] == [
        ["Hello", "Hi!", "Thanks", "Bye"],
        ["Be brief.\n\nWhat?\nAnd why?", "So."],
        ["My bill", "I look", "Thanks"],
    ]
    notes = " ".join(result.notes)
    assert "1 system messages" in notes and "1 conversations begin with the assistant" in notes


def test_a_column_for_the_system_message(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{**sharegpt(("user", f"a{i}"), ("assistant", "b")), "system": "" if i else "Be kind."} for i in range(2)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["turns"] == [["Be kind.\n\na0", "b"], ["a1", "b"]]


def test_conversations_that_cannot_be_learned_are_skipped_and_counted(tmp_path: Path, workspace: Workspace) -> None:
    image = [{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {"url": "x"}}]
    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    rows = [
        openai(("user", texts), ("assistant", "b")),
        openai(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")),
        openai(("user", "a"), ("assistant", None), ("tool", "3"), ("assistant", "d")),
        openai(("user", image), ("assistant", "b")),
        openai(("user", "a"), ("assistant", " ")),
        openai(("user", "a"), ("user", "b")),
        openai(("assistant", "a"), ("user", "b")),
    ]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["turns"] == [["one\ntwo", "b"], ["a", "b", "c", "d"]]
    notes = " ".join(result.notes)
    assert "skipped 1 conversations with calls of tools" in notes
    assert "skipped 2 conversations with a message that has no text" in notes
    assert "skipped 2 conversations without a reply" in notes
    with pytest.raises(DataError, match="no conversation can be used"):
        load(jsonl(tmp_path / "a.jsonl", rows[2:]), workspace)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (openai(("alice", "a"), ("assistant", "b")), "a message by 'alice'"),
        ({"messages": [{"role": "user", "content": "a"}, 3]}, "holds the message '3'"),
        ({"messages": "hello"}, "a list of messages is needed"),
    ],
)
def test_malformed_messages_are_refused_with_the_row(
    tmp_path: Path, workspace: Workspace, row: dict[str, Any], message: str
) -> None:
    rows = [openai(("user", f"a{i}"), ("assistant", "b")) for i in range(50)]
    with pytest.raises(DataError, match=f"line 51: column 'messages' .*{message}"):
        load(jsonl(tmp_path / "a.jsonl", [*rows, row]), workspace)


# -- columns ----------------------------------------------------------------------------------------------------------


def test_instructions_and_replies(tmp_path: Path, workspace: Workspace) -> None:
    rows = [
        {"instruction": "Translate.", "input": "Good day", "output": "Bonjour", "history": [["a", "b"]], "system": ""},
        {"instruction": "Say hi", "input": "", "output": "hi", "history": [], "system": "Be kind."},
        {"instruction": "Say nothing", "input": "", "output": "", "history": None, "system": None},
    ]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["turns"] == [
        ["a", "b", "Translate.\n\nGood day", "Bonjour"],
        ["Be kind.\n\nSay hi", "hi"],
    ]
    assert any("skipped 1 conversations with a message that has no text" in note for note in result.notes)


@pytest.mark.parametrize("names", [("prompt", "completion"), ("prompt", "response"), ("question", "answer")])
def test_prompts_and_completions(tmp_path: Path, workspace: Workspace, names: tuple[str, str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id,{names[0]},{names[1]}\n1,What?,This\n2,Why?,So\n")
    result = load(path, workspace)
    assert result.train.columns["turns"] == [["What?", "This"], ["Why?", "So"]]
    assert any(f"{names[0]!r} is the user's turn, and {names[1]!r} the reply" in note for note in result.notes)


def test_prompts_of_messages(tmp_path: Path, workspace: Workspace) -> None:
    rows = [
        {"prompt": openai(("user", f"a{i}"))["messages"], "completion": openai(("assistant", "b"))["messages"]}
        for i in range(2)
    ]
    assert load(jsonl(tmp_path / "a.jsonl", rows), workspace).train.columns["turns"] == [["a0", "b"], ["a1", "b"]]


# -- turns without roles ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("greetings", [["Welcome!"], ["Welcome!", "Hello, how can I help?"]])
def test_greetings_of_an_assistant_are_never_taken_for_the_user(
    tmp_path: Path, workspace: Workspace, greetings: list[str]
) -> None:
    rows = [{"turns": [greetings[i % len(greetings)], f"bill {i}", "I look", f"thanks {i}"]} for i in range(20)]
    path = jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"conversations begin with 'Welcome!'") as caught:
        load(path, workspace)
    assert "data.first_speaker: assistant" in caught.value.hint
    result = load(path, workspace, first_speaker="assistant")
    assert result.train.columns["turns"][3] == ["bill 3", "I look", "thanks 3"]
    assert any("20 conversations begin with the assistant" in note for note in result.notes)
    assert load(path, workspace, first_speaker="user").train.columns["turns"][0] == rows[0]["turns"]


def test_a_greeting_in_some_conversations_is_detected(tmp_path: Path, workspace: Workspace) -> None:
    """Without roles, every other turn would be learned: the user's, where the assistant greets."""
    rows = [{"turns": [*(["Welcome!"] if i % 2 else []), f"question {i}", "answer"]} for i in range(40)]
    with pytest.raises(DataError, match="20 of 40 conversations begin with 'Welcome!'"):
        load(jsonl(tmp_path / "a.jsonl", rows), workspace)


def test_roles_before_the_turns(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"turns": ["Bot: Welcome", f"User: what: {i}", "Bot: Well"]} for i in range(20)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["turns"][0] == ["what: 0", "Well"]


def test_turns_without_roles_begin_with_the_user(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"dialogue": [f"question {i}", "answer"]} for i in range(20)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert result.train.columns["turns"][0] == ["question 0", "answer"]
    assert any("the first turn is the user's" in note for note in result.notes)
    hello = [{"dialogue": ["hello", "hi", f"question {i}", "answer"]} for i in range(20)]
    assert len(load(jsonl(tmp_path / "b.jsonl", hello), workspace).train) == 20, "the user may greet, too"


PAIRS: list[dict[str, Any]] = [
    {"conversation": [["Hello", "Hi!"], ["Thanks", "Bye"]]},
    {"conversation": [{"human": "Hello", "assistant": "Hi!"}, {"human": "Thanks", "assistant": "Bye"}]},
    {"conversations": [{"User": "Hello", "Bot": "Hi!"}, {"User": "Thanks", "Bot": "Bye"}]},
    {"chosen": openai(("user", "Hello"), ("assistant", "Hi!"), ("user", "Thanks"), ("assistant", "Bye"))["messages"]},
    {"data": ["Hello", "Hi!", "Thanks", "Bye"], "id": "1"},
]


@pytest.mark.parametrize("row", PAIRS)
def test_conversations_as_pairs_and_in_other_columns(tmp_path: Path, workspace: Workspace, row: dict[str, Any]) -> None:
    result = load(jsonl(tmp_path / "a.jsonl", [row] * 4), workspace)
    assert result.train.columns["turns"] == [["Hello", "Hi!", "Thanks", "Bye"]] * 4


def test_one_message_without_a_text_among_many_skips_its_conversation(tmp_path: Path, workspace: Workspace) -> None:
    rows: list[dict[str, Any]] = [sharegpt(("user", f"Hello {i}"), ("assistant", "Hi!")) for i in range(6)]
    del rows[2]["conversations"][1]["value"]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert len(result.train) == 5 and any("skipped 1 conversations" in note for note in result.notes)


def test_messages_in_rows_of_their_own_are_joined(tmp_path: Path, workspace: Workspace) -> None:
    """Conversations may be interleaved; the order of the file is the order of the messages."""
    path = tmp_path / "a.csv"
    rows = [f"{i},user,hello {i}" for i in range(4)] + [f"{i},assistant,hi {i}" for i in range(4)]
    path.write_text("\n".join(["ticket_id,role,content", *rows]))
    result = load(path, workspace)
    assert result.train.columns["turns"] == [[f"hello {i}", f"hi {i}"] for i in range(4)]
    path.write_text("\n".join(["message_tree_id,role,text,parent_id", *(row + ",1" for row in rows)]))
    with pytest.raises(DataError, match="form trees"):
        load(path, workspace)


def test_replies_that_are_labeled_as_undesirable_are_left_out(tmp_path: Path, workspace: Workspace) -> None:
    rows: list[dict[str, Any]] = [{"prompt": f"p{i}", "completion": "c", "label": i % 2 == 0} for i in range(6)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert [turns[0] for turns in result.train.columns["turns"]] == ["p0", "p2", "p4"]
    assert any("left out 3 replies" in note for note in result.notes)
    rows = [dict(row, label="x") for row in rows]
    assert len(load(jsonl(tmp_path / "a.jsonl", rows), workspace).train) == 6, "other labels mean something else"


def test_messages_of_weight_0_are_pointed_out(tmp_path: Path, workspace: Workspace) -> None:
    rows = [openai(("user", f"Hello {i}"), ("assistant", "Hi!")) for i in range(4)]
    rows[1]["messages"][1]["weight"] = 0
    result = load(jsonl(tmp_path / "a.jsonl", rows), workspace)
    assert any("1 messages have the weight 0" in note for note in warnings_in(result.notes))
