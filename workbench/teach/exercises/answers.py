"""Lesson 05, answers from a document: the best span, windows, comparable texts, F1 of words."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("05-answers.1")
class BestSpan(Exercise):
    """The best begin and end, together."""

    hints = (
        "Try all pairs with begin <= end < begin + longest, in two loops.",
        "max(pairs, key=lambda pair: begins[pair[0]] + ends[pair[1]]) takes the first of several equal ones.",
    )

    def check(self, answer: object) -> None:
        # Simple, end before begin, too long, chosen together, negative scores.
        expect(
            answer,
            ([0.0, 5.0, 0.0], [0.0, 0.0, 5.0], 3),
            (1, 2),
            "Return the pair with the highest sum of begin and end.",
        )
        why = "An answer cannot end before it begins."
        expect(answer, ([0.0, 0.0, 5.0], [4.0, 0.0, 1.0], 3), (2, 2), why)
        expect(answer, ([5.0, 0.0, 2.0], [0.0, 1.0, 4.0], 2), (0, 1), "It may have at most longest words.")
        why = "Both ends are chosen together: the best begin alone may have no good end near it."
        expect(answer, ([3.0, 2.0, 0.0], [0.0, 0.0, 4.0], 2), (1, 2), why)
        expect(
            answer, ([-3.0, -1.0], [-2.0, -1.0], 2), (1, 1), "Scores may be below 0: do not start from a best sum of 0."
        )


@exercises.register("05-answers.2")
class Windows(Exercise):
    """Windows that overlap."""

    hints = (
        "Start with (0, the smaller of size and words), and continue while the last end is before words.",
        "Each begin is the previous one + step; each end is min(begin + size, words).",
    )

    def check(self, answer: object) -> None:
        # One window, an exact fit, a shorter last window.
        expect(answer, (3, 5, 2), [(0, 3)], "One window that reaches the end is enough, and none goes beyond.")
        expect(
            answer,
            (8, 4, 2),
            [(0, 4), (2, 6), (4, 8)],
            "Move on by step, and stop with the first window that reaches the end.",
        )
        expect(answer, (5, 4, 3), [(0, 4), (3, 5)], "The last window may be shorter.")


@exercises.register("05-answers.3")
class Plain(Exercise):
    """Texts made comparable."""

    hints = (
        "replace(mark, '') removes a mark; lower() and split() make a list of words.",
        'Remove whole words only, so split first: word not in ("a", "an", "the").',
    )

    def check(self, answer: object) -> None:
        # Capitals, marks, articles, words with an a.
        expect(answer, ("Four Weeks",), ["four", "weeks"], "Use lowercase letters.")
        expect(answer, ("In Rome, Italy.",), ["in", "rome", "italy"], "Remove punctuation.")
        expect(
            answer,
            ("The cat and a theatre",),
            ["cat", "and", "theatre"],
            "Remove articles as whole words only, in upper and lower case.",
        )


@exercises.register("05-answers.4")
class WordF1(Exercise):
    """F1 of words."""

    hints = (
        "A word counts as often as the smaller of its two counts.",
        "2 * right / (len(gold) + len(predicted)) is 2PR / (P + R).",
    )

    def check(self, answer: object) -> None:
        # Nearly right, words twice, nothing.
        expect(answer, (["four", "weeks"], ["about", "four", "weeks"]), 0.8, "2PR / (P + R): both lengths count.")
        expect(answer, (["a", "b", "b"], ["b", "b", "b"]), 2 / 3, "A word counts as often as it occurs in both.")
        expect(answer, (["a"], ["b"]), 0.0, "Without a common word: 0.")
