"""Answers as JSON, as ``workbench predict --json`` prints them."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.tasks.answers import (
    Answer,
    Choice,
    Embedding,
    ExtractedAnswer,
    FilledMasks,
    GeneratedText,
    LabeledSpans,
    Number,
    Ranking,
    Relation,
    ScoredLabels,
    ScoredText,
    Similarity,
    Span,
)

ADA = Span("Ada", 3, 6, 0.6)


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        (ScoredLabels.of({"b": 0.3, "a": 0.7}), {"label": "a", "score": 0.7, "scores": {"a": 0.7, "b": 0.3}}),
        (
            ScoredLabels.of({"b": 0.6, "a": 0.7, "c": 0.1}, threshold=0.5),
            {"label": "a", "score": 0.7, "scores": {"a": 0.7, "b": 0.6, "c": 0.1}, "labels": ["a", "b"]},
        ),
        (
            Relation("made(e1,e2)", 0.9, {"made(e1,e2)": 0.9}, relation="made", source="Ada", target="it"),
            {"label": "made(e1,e2)", "score": 0.9, "relation": "made", "from": "Ada", "to": "it",
             "scores": {"made(e1,e2)": 0.9}},
        ),
        (Relation("Other", 0.9, {"Other": 0.9}), {"label": "Other", "score": 0.9, "scores": {"Other": 0.9}}),
        (Choice("x", 1, 0.8, {"x": 0.8, "y": 0.2}),
         {"choice": "x", "label": "1", "score": 0.8, "scores": {"x": 0.8, "y": 0.2}}),
        (
            ExtractedAnswer(ADA, 0.6, (ADA,), "by Ada L."),
            {"answer": "Ada", "start": 3, "end": 6, "score": 0.6, "no_answer": False,
             "candidates": [{"answer": "Ada", "start": 3, "end": 6, "score": 0.6}]},
        ),
        (
            ExtractedAnswer(None, 0.9, (), "by Ada"),
            {"answer": "", "start": None, "end": None, "score": 0.9, "no_answer": True, "candidates": []},
        ),
        (
            LabeledSpans("Ada", (Span("Ada", 0, 3, 0.9, "PER"),)),
            {"text": "Ada", "entities": [{"text": "Ada", "label": "PER", "start": 0, "end": 3, "score": 0.9}]},
        ),
        (Ranking.of(["u", "t"], [0.4, 0.6]),
         {"text": "t", "score": 0.6, "ranked": [{"text": "t", "score": 0.6}, {"text": "u", "score": 0.4}]}),
        (Number(3.5), {"value": 3.5}),
        (Similarity(-0.1, "a", "b"), {"similarity": -0.1, "text_a": "a", "text_b": "b"}),
        (Embedding("t", (0.6, 0.8)), {"text": "t", "embedding": [0.6, 0.8]}),
        (GeneratedText("a b", prompt="a", tokens=1), {"prompt": "a", "text": "a b", "tokens": 1}),
        (GeneratedText("s", tokens=3, unread_tokens=9), {"text": "s", "tokens": 3, "unread_tokens": 9}),
        (GeneratedText("return 1", is_code=True), {"text": "return 1"}),
        (FilledMasks("a cat", "a [MASK]", ((ScoredText("cat", 0.4),),)),
         {"prompt": "a [MASK]", "text": "a cat", "masks": [[{"token": "cat", "score": 0.4}]]}),
    ],
)  # fmt: skip
def test_each_answer_type_as_json(answer: Answer, printed: dict[str, Any]) -> None:
    assert answer.to_json() == printed
    assert list(answer.to_json()) == list(printed), "in the same order"
