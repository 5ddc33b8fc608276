"""Small real documents of ``workbench predict --json`` and ``workbench explain --json``, which methods build."""

from __future__ import annotations

from typing import Any, TypedDict, get_args

from tests.contracts.json_shapes import assert_keys, type_hints
from workbench.cli.explaining import ExplainRequest, ExplainResult
from workbench.explain import AttentionDivergence, Explanation, FaithfulnessEvaluation, LogitLens, Patching
from workbench.explain.faithfulness import Faithfulness
from workbench.tasks import answers
from workbench.types import JsonObject

SCORES = {"good": 0.8, "bad": 0.2}


class Entity(TypedDict):
    """An entity of ``LabeledSpans``."""

    text: str
    label: str
    start: int
    end: int
    score: float


class CandidateSpan(TypedDict):
    """A candidate of ``ExtractedAnswer``."""

    answer: str
    start: int
    end: int
    score: float


class CandidateToken(TypedDict):
    """A candidate of a mask of ``FilledMasks``."""

    token: str
    score: float


# The types of keys whose values are objects, or lists of these.
ANSWER_TYPES: dict[str, Any] = {
    "scores": dict[str, float],
    "entities": list[Entity],
    "candidates": list[CandidateSpan],
    "masks": list[list[CandidateToken]],
    "ranked": list[answers.ScoredText],
}

# ``explanation`` is an Explanation as JSON.
ExplanationComparison = TypedDict(
    "ExplanationComparison",
    {"with": str, "explanation": dict[str, Any], "attention_divergence": AttentionDivergence | None, "note": str},
)

EXPLAIN_TYPES: dict[str, Any] = {
    "faithfulness_evaluation": FaithfulnessEvaluation,
    "lens": LogitLens,
    "comparison": ExplanationComparison,
    "patching": Patching,
}


def answer_examples() -> dict[str, list[JsonObject]]:
    """Return the documents of each class of answers, which together have all its keys."""
    span = answers.Span("Ann", 0, 3, 0.9, "PER")
    scored = answers.ScoredText("yes", 0.9)
    examples: list[answers.Answer] = [
        answers.ScoredLabels("good", 0.8, SCORES),
        answers.ScoredLabels("good", 0.8, SCORES, ("good",)),
        answers.Number(3.5),
        answers.Relation("Cause", 0.8, SCORES),
        answers.Relation("Cause", 0.8, SCORES, relation="Cause", source="smoke", target="cough"),
        answers.Choice("yes", 0, 0.8, SCORES),
        answers.LabeledSpans("Ann sings.", (span,)),
        answers.ExtractedAnswer(span, 0.9, (span,), "Ann sings."),
        answers.ExtractedAnswer(None, 0.9, (span,), "Ann sings."),
        answers.Ranking((scored,)),
        answers.Similarity(0.5, "a", "b"),
        answers.Embedding("a", (0.6, 0.8)),
        answers.GeneratedText("b"),
        answers.GeneratedText("b", prompt="a", tokens=1, unread_tokens=2),
        answers.FilledMasks("a b", "a [MASK]", ((scored,),)),
    ]
    assert {type(example) for example in examples} == set(get_args(answers.Answer)), "an answer has no example"
    documents: dict[str, list[JsonObject]] = {}
    for example in examples:
        documents.setdefault(type(example).__name__, []).append(example.to_json())
    for document in (document for group in documents.values() for document in group):
        assert_keys(ANSWER_TYPES, document)
    return documents


def explain_types() -> dict[str, Any]:
    """Return the type of each key of ``workbench explain --json``."""
    return {**type_hints(Explanation), **EXPLAIN_TYPES}


def explain_examples() -> list[JsonObject]:
    """Return what is printed if only an explanation was requested, and if everything was."""
    request = ExplainRequest("good")
    everything = ExplainResult(
        request,
        _explanation(),
        evaluation=FaithfulnessEvaluation("occlusion", "good"),
        lens=LogitLens(["good"], ["good"], [(0, 4)], [], True, [1], "", []),
        names=("this run", "base"),
        other=_explanation(),
        divergence=AttentionDivergence(1, [[0.5]], []),
        patching=Patching("good", 0.8, 0.2, ["good"], [[1.0]], [[1.0]], []),
    )
    documents = [ExplainResult(request, _explanation()).as_dict(), everything.as_dict()]
    for document in documents:
        assert_keys(explain_types(), document)
    return documents


def _explanation() -> Explanation:
    faithfulness = Faithfulness(
        top_k=[0],
        mask_token="[MASK]",
        original=0.8,
        without_top_k=0.5,
        only_top_k=0.7,
        without_random=0.8,
        only_random=0.5,
        comprehensiveness=0.3,
        sufficiency=0.1,
        random_comprehensiveness=0.0,
        random_sufficiency=0.3,
        random_at_least_as_good=0.0,
        draws=20,
        seed=0,
        sentence="",
    )
    return Explanation(
        text="good",
        text_pair=None,
        tokens=["good"],
        shown=["good"],
        offsets=[(0, 4)],
        segments=[0],
        special=[False],
        scores=[1.0],
        signed=False,
        prediction={"label": "good", "score": 0.8, "scores": SCORES},
        target="good",
        method="occlusion",
        reading="",
        faithfulness=faithfulness,
    )
