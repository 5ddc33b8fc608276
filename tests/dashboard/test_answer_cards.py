"""Every form of answer as the Playground draws it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from workbench.tasks import answers as forms
from workbench.tasks.answers import Answer, Relation, ScoredLabels, ScoredText, Span

ADA = Span("Ada", 3, 6, 0.6)
SCORES = {"a": 0.7, "b": 0.3}


def drawn(answer: Answer) -> tuple[str, list[str], AppTest]:
    """What is shown of an answer: its texts, the names beside its bars, and the page."""

    def page(answer):  # streamlit runs its source alone, without the imports of this file
        from dashboard.parts.playground import answer_cards

        answer_cards.draw(answer, "key")

    test = AppTest.from_function(page, args=(answer,)).run()
    assert not test.exception
    shown = [*test.markdown, *test.caption, *test.text, *test.code]
    return "\n".join(str(each.value) for each in shown), [each.key for each in test.get("plotly_chart")], test


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (ScoredLabels.of(SCORES), "Label: a"),
        (ScoredLabels.of(SCORES, threshold=0.9), "Labels: none is likely enough"),
        (ScoredLabels.of(SCORES, threshold=0.1), "Labels: a, b"),
        (forms.Choice("a", 1, 0.7, SCORES), "Choice: a"),
        (Relation("made", 0.7, SCORES, relation="made", source="Ada", target="it"), "Relation: made: from Ada to it"),
        (forms.ExtractedAnswer(ADA, 0.6, (ADA,), "by Ada L."), "Answer: Ada"),
        (forms.ExtractedAnswer(None, 0.9, (), "by Ada"), "Answer: none: the text does not contain it"),
        (forms.LabeledSpans("nothing", ()), "Nothing is highlighted"),
        (forms.Ranking.of(["t"], [0.6]), "Best first"),
        (forms.Number(3.5), "Number: 3.5"),
        (forms.Similarity(-0.1, "a", "b"), "Similarity, -1 to 1: -0.1"),
        (forms.Embedding("t", (0.5,) * 9), "A vector of 9 numbers: " + ", ".join(["0.500"] * 8) + ", ..."),
        (forms.GeneratedText("a b", prompt="a"), "a b"),
        (forms.GeneratedText("return 1", is_code=True), "return 1"),
        (forms.GeneratedText("s", tokens=3, unread_tokens=9), "Truncated tokens at the end: 9"),
        (forms.FilledMasks("a cat", "a [MASK]", ((ScoredText("cat", 0.4),),)), "Gap 1"),
    ],
)
def test_each_form_of_answer(answer: Answer, text: str) -> None:
    assert text in drawn(answer)[0].replace("\\", "")


def test_more_labels_than_fit_are_counted() -> None:
    scores = {f"l{number}": number / 1000 for number in range(50)}
    assert "And 38 more" in drawn(ScoredLabels.of(scores))[0]
