"""Lesson 01, sorting mail: the baseline, precision and recall, macro F1, confusions, the doubtful ones."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, NotAttempted, Wrong, call_answer, exercises, expect, expect_pair


@exercises.register("01-mail.1")
class BaselineAccuracy(Exercise):
    """The accuracy of always predicting the most frequent intent."""

    hints = (
        "Two steps: the most frequent in train, then its share in test.",
        "train.count(x) counts x in a list; max(train, key=train.count) gives the most frequent.",
    )

    def check(self, answer: object) -> None:
        # Other frequencies in test, absent from test, ties.
        why = "The most frequent intent is that of train (the test's is not known beforehand), its share that of test."
        expect(answer, (["card", "card", "rate"], ["card", "rate", "rate", "rate"]), 0.25, why)
        expect(answer, (["card", "card"], ["rate"]), 0.0, why)
        expect(
            answer,
            (["rate", "card"], ["rate", "rate", "card", "fee"]),
            0.5,
            "For equal counts, the first in train wins.",
        )


@exercises.register("01-mail.2")
class PrecisionAndRecall(Exercise):
    """Precision and recall of one intent."""

    hints = (
        "Count three things: sent to the desk, belonging there, and both at once.",
        "Precision is both / sent, recall is both / belonging.",
        "Either denominator may be 0: check before you divide.",
    )

    def check(self, answer: object) -> None:
        # Both differ; nothing sent; nothing there.
        gold, predicted = ["card", "card", "card", "rate"], ["card", "rate", "rate", "rate"]
        expect_pair(call_answer(answer, gold, predicted, "card"), "The result must be a pair: return precision, recall")
        expect(
            answer,
            (gold, predicted, "card"),
            (1.0, 1 / 3),
            "Precision divides by what was sent, recall by what belongs there.",
        )
        expect(
            answer,
            (gold, predicted, "rate"),
            (1 / 3, 1.0),
            "Precision divides by what was sent, recall by what belongs there.",
        )
        expect(answer, (["a", "b"], ["b", "b"], "a"), (0.0, 0.0), "Nothing was sent to this desk: precision is 0.")
        expect(answer, (["b", "b"], ["a", "b"], "a"), (0.0, 0.0), "Nothing was for this desk: recall is 0.")


@exercises.register("01-mail.3")
class MacroF1(Exercise):
    """The mean F1 of the intents."""

    hints = (
        "First F1 of each pair, then their mean: not F1 of the means.",
        "Where p + r is 0, F1 is 0, and it still counts in the mean.",
    )

    def check(self, answer: object) -> None:
        # One, F1 of means, zeros that count.
        expect(answer, ([(0.5, 1.0)],), 2 / 3, "F1 is 2PR / (P + R), not the mean of both.")
        why = "Work out F1 for each intent first, then their mean."
        expect(answer, ([(1.0, 0.5), (0.2, 0.2)],), (2 / 3 + 0.2) / 2, why)
        expect(answer, ([(1.0, 1.0), (0.0, 0.0)],), 0.5, "An intent that is never predicted has F1 0, and it counts.")


@exercises.register("01-mail.4")
class Confusions(Exercise):
    """Which intent is taken for which."""

    hints = (
        "Go through both lists together with zip, and leave out the pairs that are equal.",
        "counts[pair] = counts.get(pair, 0) + 1 counts in a dictionary.",
    )

    def check(self, answer: object) -> None:
        # Direction, counts, none.
        try:
            expect(answer, (["card", "rate", "fee"], ["rate", "rate", "fee"]), {("card", "rate"): 1})
        except NotAttempted:
            raise
        except Wrong as wrong:
            raise Wrong(f"{wrong} Count wrong answers only, with the true intent first.") from wrong
        why = "The same confusion may happen several times: count it."
        expect(answer, (["a", "a", "b"], ["b", "b", "a"]), {("a", "b"): 2, ("b", "a"): 1}, why)
        expect(answer, (["a"], ["a"]), {}, "Without a wrong answer the dictionary is empty.")


@exercises.register("01-mail.5")
class ForAPerson(Exercise):
    """The doubtful questions."""

    hints = (
        "Sort the positions, not the scores: sorted(range(len(scores)), key=...).",
        "key=lambda i: scores[i] sorts positions by their score; return the first count of them.",
    )

    def check(self, answer: object) -> None:
        # Positions and not scores, lowest first, none.
        why = "Return positions (counted from 0), the lowest score first."
        expect(answer, ([0.9, 0.2, 0.5, 0.1], 2), [3, 1], why)
        expect(answer, ([0.3, 0.2, 0.1], 3), [2, 1, 0], why)
        expect(answer, ([0.5, 0.1, 0.1], 2), [1, 2], "Each position once; for equal scores the earlier one first.")
        expect(answer, ([0.5, 0.4], 0), [], "For none the list is empty.")
