"""Conversations in one text, trees of messages, and words with their tags behind them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from workbench.data.cells.slash_tags import read_tagged
from workbench.data.columns import Column
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

TURNS = (Column("turns", "the turns", ("dialogue", "messages"), kind="texts"),)
TAGS = (Column("words", "", ("tokens",), kind="words"), Column("tags", "", ("ner_tags",), kind="tags"))
SIX = range(6)


def load(path: Path, columns: tuple[Column, ...], workspace: Workspace) -> Dataset:
    return load_data(DataSpec(train=str(path), holdout={"valid": 0, "test": 0}), columns, workspace)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def jsonl(path: Path, rows: list[Any]) -> Path:
    return write(path, "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))


CHATML = "<|im_start|>user\nHello {i}<|im_end|>\n<|im_start|>assistant\nHi!\nHow are you?<|im_end|>"
TEMPLATES = {
    "chatml": CHATML,
    "llama-2": "<s>[INST] Hello {i} [/INST] Hi!\nHow are you?</s>",
    "llama-3": "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello {i}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\nHi!\nHow are you?<|eot_id|>",
    "gemma": "<bos><start_of_turn>user\nHello {i}<end_of_turn>\n<start_of_turn>model\nHi!\nHow are you?<end_of_turn>",
    "phi": "<|user|>\nHello {i}<|end|>\n<|assistant|>\nHi!\nHow are you?<|end|>",
    "headings": "### Human: Hello {i}### Assistant: Hi!\nHow are you?",
    "alpaca": "Below is an instruction.\n\n### Instruction:\nHello {i}\n\n### Response:\nHi!\nHow are you?",
    "moss": "[Human]: Hello {i}<eoh> [MOSS]: Hi!\nHow are you?<eoa>",
    "transcript": "User: Hello {i}\nBot: Hi!\nHow are you?",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_the_marks_of_a_template_are_removed(tmp_path: Path, workspace: Workspace, template: str) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": template.replace("{i}", str(i))} for i in SIX])
    assert load(path, TURNS, workspace).train.columns["turns"] == [[f"Hello {i}", "Hi!\nHow are you?"] for i in SIX]


def test_a_system_message_of_llama_2_is_put_before_the_question(tmp_path: Path, workspace: Workspace) -> None:
    text = "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHello {i} [/INST] Hi! </s><s>[INST] Bye [/INST] Bye! </s>"
    path = jsonl(tmp_path / "a.jsonl", [{"text": text.replace("{i}", str(i))} for i in SIX])
    turns = load(path, TURNS, workspace).train.columns["turns"]
    assert turns[1] == ["Be brief.\n\nHello 1", "Hi!", "Bye", "Bye!"]


@pytest.mark.parametrize(
    ("between", "name"), [("\n\n", "chatml"), ("\n\n", "transcript"), ("\n\n\n", "headings"), ("\n", "llama-2")]
)
def test_a_text_file_with_several_conversations(tmp_path: Path, workspace: Workspace, between: str, name: str) -> None:
    """The first conversation is not joined with the second."""
    parts = [TEMPLATES[name].replace("{i}", str(i)).replace("\nHow", " How") for i in SIX]
    result = load(write(tmp_path / "a.txt", between.join(parts)), TURNS, workspace)
    assert result.train.columns["turns"] == [[f"Hello {i}", "Hi! How are you?"] for i in SIX]


def test_empty_lines_between_all_messages_do_not_end_a_conversation(tmp_path: Path, workspace: Workspace) -> None:
    parts = [f"User: Hello {i}\n\nBot: Hi!\n\nUser: Bye\n\nBot: Bye!" for i in SIX]
    turns = load(write(tmp_path / "a.txt", "\n\n\n".join(parts)), TURNS, workspace).train.columns["turns"]
    assert turns == [[f"Hello {i}", "Hi!", "Bye", "Bye!"] for i in SIX]


def test_a_system_message_begins_a_conversation_in_a_text_file(tmp_path: Path, workspace: Workspace) -> None:
    text = "".join("<|im_start|>system\nBe brief.<|im_end|>\n" + CHATML.replace("{i}", str(i)) + "\n" for i in SIX)
    turns = load(write(tmp_path / "a.txt", text), TURNS, workspace).train.columns["turns"]
    assert [turn[0] for turn in turns] == [f"Be brief.\n\nHello {i}" for i in SIX]


def test_a_text_in_no_template_is_a_bad_row(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": CHATML.replace("{i}", str(i))} for i in range(9)] + [{"text": "nothing"}]
    with pytest.raises(DataError, match=r"line 10.*'nothing', which is no conversation"):
        load(jsonl(tmp_path / "a.jsonl", rows), TURNS, workspace)


def test_texts_that_mention_a_role_are_no_conversations(tmp_path: Path, workspace: Workspace) -> None:
    rows = [{"text": f"The user {i} wrote.\nUser: 5 stars"} for i in SIX]
    with pytest.raises(DataError, match="no column matches the role turns"):
        load(jsonl(tmp_path / "a.jsonl", rows), TURNS, workspace)


def test_turns_of_moss(tmp_path: Path, workspace: Workspace) -> None:
    turn = {"Human": "<|Human|>: Hello<eoh>\n", "Commands": "<|Commands|>: None<eoc>", "MOSS": "<|MOSS|>: Hi!<eom>\n"}
    tool = {**turn, "Commands": "<|Commands|>: Search('x')<eoc>"}
    rows = [{"meta_instruction": "Be brief.", "chat": {"turn_1": turn, "turn_2": each}} for each in (turn, turn, tool)]
    result = load(jsonl(tmp_path / "a.jsonl", rows), TURNS, workspace)
    assert result.train.columns["turns"] == [["Be brief.\n\nHello", "Hi!", "Hello", "Hi!"]] * 2
    assert any("skipped 1 conversations with calls of tools" in note for note in result.notes)


# -- trees ----------------------------------------------------------------------------------------------------------


def message(text: str, role: str, *replies: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"text": text, "role": role, "replies": list(replies), **more}


def tree(i: int) -> dict[str, Any]:
    better = message("Good", "assistant", message("And?", "prompter", message("So.", "assistant")), rank=0)
    others = [message("Best", "assistant", rank=-1, deleted=True), message("Bad", "assistant", rank=2), better]
    return message(f"Hello {i}", "prompter", *others)


def rows_of(root: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def walk(node: dict[str, Any], parent: str | None) -> None:
        name = f"{prefix}-{len(rows)}"
        rows.append({"message_id": name, "parent_id": parent, **{k: v for k, v in node.items() if k != "replies"}})
        for reply in node["replies"]:
            walk(reply, name)

    walk(root, None)
    return rows


@pytest.mark.parametrize("form", ["trees", "rows"])
def test_a_tree_becomes_the_conversation_of_its_best_replies(tmp_path: Path, workspace: Workspace, form: str) -> None:
    """A reply that was deleted is not used, whatever its rank."""
    trees = [{"message_tree_id": str(i), "prompt": tree(i)} for i in SIX]
    rows = [row for i in reversed(SIX) for row in reversed(rows_of(tree(i), str(i)))]
    result = load(jsonl(tmp_path / "a.jsonl", trees if form == "trees" else rows), TURNS, workspace)
    assert sorted(result.train.columns["turns"]) == [[f"Hello {i}", "Good", "And?", "So."] for i in SIX]
    assert any("6 others were left out" in note for note in result.notes)


def test_a_reply_to_a_missing_message_is_counted(tmp_path: Path, workspace: Workspace) -> None:
    rows = [row for i in SIX for row in rows_of(tree(i), str(i))]
    rows.append({"message_id": "x", "parent_id": "gone", "role": "assistant", "text": "Late"})
    result = load(jsonl(tmp_path / "a.jsonl", rows), TURNS, workspace)
    assert len(result.train) == 6
    assert any("skipped 1 replies to messages that the file lacks" in note for note in result.notes)


# -- word/TAG -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["/", "_", "|"])
def test_lines_of_words_with_tags(tmp_path: Path, workspace: Workspace, sign: str) -> None:
    lines = [f"Ada/B-PER sings/O in/O Oslo{i}/B-LOC ./O".replace("/", sign) for i in SIX]
    result = load(write(tmp_path / "a.txt", "\n".join(lines)), TAGS, workspace).train.columns
    assert result["words"] == [["Ada", "sings", "in", f"Oslo{i}", "."] for i in SIX]
    assert result["tags"] == [["B-PER", "O", "O", "B-LOC", "O"]] * 6


def test_parts_of_speech_have_no_tag_for_words_outside(tmp_path: Path, workspace: Workspace) -> None:
    """n is a noun among parts of speech, and not a sign for "no name"."""
    text = "19980101-01-001-00{i}/m  迈向/v  希望/n  的/u  [中国/ns  政府/n]nt  。/w  {i}/m"
    path = write(tmp_path / "a.txt", "\n".join(text.replace("{i}", str(10 + i)) for i in SIX))
    result = load(path, TAGS, workspace)
    assert result.train.columns["words"][0] == ["迈向", "希望", "的", "中国", "政府", "。", "10"]
    assert result.train.columns["tags"][0] == ["v", "n", "u", "ns", "n", "w", "m"]
    assert any("the tags are parts of speech" in note for note in result.notes)


def test_slashes_within_words() -> None:
    assert read_tagged(r"1\/2/CD and/or/CC ,/,", "/") == [("1/2", "CD"), ("and/or", "CC"), (",", ",")]
    assert read_tagged("a/B c", "/") is None


def test_a_column_of_tagged_texts(tmp_path: Path, workspace: Workspace) -> None:
    lines = ["text", *[f"the/DT cat{i}/NN sees/VBZ a/DT dog/NN in/IN Oslo/NNP" for i in SIX]]
    result = load(write(tmp_path / "a.csv", "\n".join(lines)), TAGS, workspace).train.columns
    assert result["tags"] == [["DT", "NN", "VBZ", "DT", "NN", "IN", "NNP"]] * 6


def test_ordinary_texts_with_slashes_are_no_tagged_texts(tmp_path: Path, workspace: Workspace) -> None:
    path = jsonl(tmp_path / "a.jsonl", [{"text": f"he/she goes to {i}/7 and/or home", "n": i} for i in SIX])
    with pytest.raises(DataError, match="no column matches the role words"):
        load(path, TAGS, workspace)
