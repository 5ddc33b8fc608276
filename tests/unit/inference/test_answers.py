"""Answers as parts to draw: every form of answer that a task gives, and what a person is asked for."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.inference.answers import (
    MOST_BARS,
    Bars,
    Fact,
    Marked,
    Ranked,
    Span,
    Written,
    input_fields,
    inputs_from_row,
    to_answers,
)
from workbench.tasks.base import Task, tasks


def task(name: str) -> Task:
    entry = tasks.get(name)
    return entry(entry.Config())


def roles(name: str) -> list[str]:
    return [column.role for column in input_fields(task(name))]


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_asks_for_something_a_person_can_type(name: str) -> None:
    asked = input_fields(task(name))
    assert asked and {column.kind for column in asked} <= {"text", "texts"}
    assert len({column.role for column in asked}) == len(asked)


def test_what_only_says_the_same_again_is_not_asked_for() -> None:
    assert roles("token-classification") == ["text"]
    assert roles("code-generation") == ["prompt"]
    assert roles("dialogue") == ["text", "turns"]
    assert roles("multiple-choice") == ["context", "choices"]


CLASSES: dict[str, Any] = {"label": "a", "score": 0.7, "scores": {"b": 0.3, "a": 0.7}}
BARS = Bars("Probabilities", (("a", 0.7), ("b", 0.3)))


@pytest.mark.parametrize(
    ("name", "given", "result", "parts"),
    [
        ("text-classification", {"text": "x"}, CLASSES, [Fact("Label", "a"), BARS]),
        ("text-classification", {}, {**CLASSES, "labels": []}, [Fact("Labels", "none is likely enough"), BARS]),
        ("text-classification", {}, {**CLASSES, "labels": ["a", "b"]}, [Fact("Labels", "a, b"), BARS]),
        ("multiple-choice", {}, {**CLASSES, "choice": "a", "label": "1"}, [Fact("Choice", "a"), BARS]),
        (
            "relation-extraction",
            {},
            {**CLASSES, "relation": "made", "from": "Ada", "to": "it"},
            [Fact("Relation", "made: from Ada to it"), BARS],
        ),
        (
            "question-answering",
            {"context": "by Ada L."},
            {"answer": "Ada", "start": 3, "end": 6, "score": 0.6, "no_answer": False,
             "candidates": [{"answer": "Ada", "score": 0.6}, {"answer": "Ada L", "score": 0.2}]},
            [Fact("Answer", "Ada"), Marked("", "by Ada L.", (Span(3, 6, "answer", 0.6),)),
             Bars("Candidates", (("Ada", 0.6), ("Ada L", 0.2)))],
        ),
        (
            "question-answering",
            {"context": "by Ada"},
            {"answer": "", "start": None, "end": None, "score": 0.9, "no_answer": True, "candidates": []},
            [Fact("Answer", "none: the text does not tell"), Marked("", "by Ada", ())],
        ),
        (
            "token-classification",
            {"text": "Ada in Rome"},
            {"text": "Ada in Rome", "entities": [
                {"text": "Rome", "label": "LOC", "start": 7, "end": 11, "score": 0.8},
                {"text": "Ada", "label": "PER", "start": 0, "end": 3, "score": 0.9}]},
            [Marked("", "Ada in Rome", (Span(0, 3, "PER", 0.9), Span(7, 11, "LOC", 0.8)))],
        ),
        ("recommendation", {}, {"text": "t", "score": 0.6, "ranked": [{"text": "t", "score": 0.6}]},
         [Ranked("Best first", (("t", 0.6),))]),
        ("sentence-similarity", {}, {"similarity": -0.1}, [Fact("Similarity, -1 to 1", -0.1)]),
        ("sentence-similarity", {}, {"text": "t", "embedding": [0.5] * 9},
         [Fact("A vector of 9 numbers", ", ".join(["0.500"] * 8) + ", ...")]),
        ("causal-lm", {}, {"prompt": "a", "text": "a b"}, [Written("a b")]),
        ("code-generation", {}, {"text": "return 1"}, [Written("return 1", code=True)]),
        ("summarization", {}, {"text": "s", "tokens": 3, "unread_tokens": 9},
         [Written("s"), Fact("Tokens at the end that were not read", 9.0)]),
        ("masked-lm", {}, {"text": "a cat", "masks": [[{"token": "cat", "score": 0.4}]]},
         [Written("a cat"), Bars("Gap 1", (("cat", 0.4),))]),
    ],
)  # fmt: skip
def test_each_form_of_answer(name: str, given: dict[str, Any], result: dict[str, Any], parts: list[Any]) -> None:
    assert to_answers(task(name), given, result) == parts


def test_more_labels_than_fit_are_counted() -> None:
    scores = {f"l{number}": number / 1000 for number in range(50)}
    bars = to_answers(task("text-classification"), {}, {"label": "l49", "score": 0.049, "scores": scores})[1]
    assert isinstance(bars, Bars)
    assert bars.values[0] == ("l49", 0.049) and len(bars.values) == MOST_BARS and bars.left_out == 50 - MOST_BARS


@pytest.mark.parametrize(
    ("name", "written", "asked"),
    [
        ("text-classification", "a ⟂ b", {"text": "a ⟂ b"}),
        ("question-answering", "who? ⟂ Ada ⟂ Eve", {"question": "who?", "context": "Ada ⟂ Eve"}),
        ("multiple-choice", "c ⟂ x | y", {"context": "c", "choices": ["x", "y"]}),
        ("multiple-choice", "no mark", {}),
        ("dialogue", "anything", {}),
    ],
)
def test_a_row_of_predictions_can_be_asked_again(name: str, written: str, asked: dict[str, Any]) -> None:
    assert inputs_from_row(input_fields(task(name)), written) == asked
