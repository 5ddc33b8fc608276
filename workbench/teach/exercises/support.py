"""Lesson 10, an assistant that answers or hands over: cosine, the nearest, coverage, thresholds, costs."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, call_answer, exercises, expect, expect_pair


@exercises.register("10-support.1")
class Cosine(Exercise):
    """The cosine of the angle between two vectors."""

    hints = (
        "Numerator: multiply number by number, and add up. Denominator: the product of the two lengths.",
        "The length of a is sum(x * x for x in a) ** 0.5.",
    )

    def check(self, answer: object) -> None:
        # Lengths of 1, other lengths, right angle, opposite.
        expect(answer, ([1.0, 0.0], [0.6, 0.8]), 0.6, "Multiply number by number and add up.")
        why = "Divide by both lengths (square roots!): how long the arrows are must not count."
        expect(answer, ([3.0, 4.0], [6.0, 8.0]), 1.0, why)
        expect(answer, ([1.0, 1.0], [2.0, -2.0]), 0.0, "A right angle has the cosine 0.")
        expect(answer, ([1.0, 2.0, 2.0], [-1.0, -2.0, -2.0]), -1.0, "Opposite directions have the cosine -1.")


@exercises.register("10-support.2")
class Nearest(Exercise):
    """The intent of the nearest known question."""

    hints = (
        "First the position of the largest nearness; then the items there in both lists.",
        "max(range(len(nearness)), key=lambda i: nearness[i]) is that position; of equal ones it takes the first.",
    )

    def check(self, answer: object) -> None:
        # A pair; below 0; ties.
        expect_pair(
            call_answer(answer, [0.1, 0.9], ["card", "rate"]),
            "The result must be a pair, the intent and its nearness: return intent, nearness",
        )
        expect(answer, ([0.1, 0.9, 0.3], ["card", "rate", "fee"]), ("rate", 0.9), "Nearest is the largest cosine.")
        expect(answer, ([-0.5, -0.1], ["card", "rate"]), ("rate", -0.1), "Nearness may be below 0: start from none.")
        expect(answer, ([0.7, 0.7], ["zoo", "card"]), ("zoo", 0.7), "Of equally near ones, take the earlier one.")


@exercises.register("10-support.3")
class CoverageAndAccuracy(Exercise):
    """Coverage and accuracy at a threshold."""

    hints = (
        "Keep the entries of right whose score is at least the threshold: these are the answered ones.",
        "Coverage: how many are answered, divided by all. Accuracy: how many of the answered are right.",
        "Without any answered question you would divide by 0: accuracy is 1 then.",
    )

    def check(self, answer: object) -> None:
        # Some answered, exactly on the threshold, none.
        scores, right = [0.9, 0.8, 0.3, 0.2], [True, False, True, False]
        why = "Were all questions counted? Accuracy counts the answered questions only, in both parts of the fraction."
        expect(answer, (scores, right, 0.5), (0.5, 0.5), why)
        expect(answer, ([0.9, 0.8, 0.7, 0.2], [True, True, True, False], 0.5), (0.75, 1.0), why)
        expect(answer, (scores, right, 0.3), (0.75, 2 / 3), "A score of exactly the threshold is answered: >=.")
        expect(answer, (scores, right, 0.95), (0.0, 1.0), "Nothing is answered here: coverage 0, accuracy 1.")


@exercises.register("10-support.4")
class LowestThreshold(Exercise):
    """The lowest threshold that keeps a promise."""

    hints = (
        "Try each score as a threshold, and keep those at which accuracy_at(score) >= wanted.",
        'Return the lowest of these: min(..., default=float("inf")).',
    )

    def check(self, answer: object) -> None:
        # The lowest and not the first; not monotone; all; none.
        scores, right = [0.9, 0.8, 0.7, 0.6], [True, True, False, False]
        expect(answer, (scores, right, 0.9), 0.8, "The lowest threshold that reaches it answers the most questions.")
        unsorted = ([0.6, 0.9, 0.7, 0.8], [False, True, False, True], 0.6)
        expect(answer, unsorted, 0.7, "The scores come in any order: look at all of them.")
        bumpy = ([0.9, 0.8, 0.7, 0.6, 0.5], [False, True, True, True, True], 0.76)
        why = "Do not stop at the first that fails: with lower thresholds accuracy may rise again."
        expect(answer, bumpy, 0.5, why)
        expect(answer, (scores, right, 0.5), 0.6, "Exactly the wanted accuracy is enough.")
        expect(answer, ([0.9, 0.8], [False, False], 0.5), float("inf"), "No threshold reaches it: infinity.")


@exercises.register("10-support.5")
class MeanCost(Exercise):
    """What a question costs on average."""

    hints = (
        "Three cases: passed on, answered and right, answered and wrong. What does each cost?",
        "Add up over all questions, and divide by all of them, not only by the answered ones.",
    )

    def check(self, answer: object) -> None:
        # A mean over all, each case alone, then mixed, exactly on the threshold.
        why = "Use wrong_costs and passing_costs, and no fixed numbers."
        expect(answer, ([0.9], [False], 0.5, 10, 1), 10.0, why)
        why = "One of two is passed on, for nothing here: divide by the number of all questions, not of the answered."
        expect(answer, ([0.9, 0.1], [False, True], 0.5, 20, 0), 10.0, why)
        expect(answer, ([0.9], [True], 0.5, 20, 4), 0.0, "A right answer costs nothing.")
        expect(answer, ([0.9], [False], 0.5, 20, 4), 20.0, "A wrong answer costs what wrong_costs says.")
        why = "What is passed on costs passing_costs and nothing more, whether it would have been right or wrong."
        expect(answer, ([0.1, 0.2], [False, True], 0.5, 20, 4), 4.0, why)
        mixed = ([0.9, 0.8, 0.1, 0.2], [True, False, True, False], 0.5, 20, 4)
        expect(answer, mixed, 7.0, "Add up the three cases, and divide by the number of all questions.")
        expect(answer, ([0.5, 0.5], [False, True], 0.5, 10, 1), 5.0, "Exactly the threshold is answered.")
