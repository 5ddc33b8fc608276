"""Lesson 12, summarise papers: the beginning, shared words, F1, the best sentence, the most informative one."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("12-summaries.1")
class Lead(Exercise):
    """The first sentences of a text."""

    hints = ("parts[:k] are the first k, or all where there are fewer.", '" ".join(...) makes one text of them.')

    def check(self, answer: object) -> None:
        # One, two, more than there are.
        parts = ["We ask.", "We try.", "It works."]
        expect(answer, (parts, 1), "We ask.", "One sentence: the first, as a text and not as a list.")
        expect(answer, (parts, 2), "We ask. We try.", "Separate two sentences by a single space.")
        expect(answer, (parts, 9), "We ask. We try. It works.", "If there are fewer than k, return all of them.")


@exercises.register("12-summaries.2")
class Shared(Exercise):
    """The words that two texts share."""

    hints = (
        "Count both lists: Counter(written) and Counter(reference).",
        "A word counts min(how often here, how often there) times. Add these up.",
    )

    def check(self, answer: object) -> None:
        # Once each, repeated in one, repeated in both, nothing.
        expect(answer, (["a", "new", "model"], ["a", "model"]), 2, "Count the words that occur in both.")
        why = "A word counts as often as it occurs in both: repeating it in one text must not help."
        expect(answer, (["the", "the", "the"], ["the", "end"]), 1, why)
        expect(answer, (["the", "end"], ["the", "the", "the"]), 1, why)
        twice = (["we", "do", "we"], ["we", "see", "we"])
        expect(answer, twice, 2, "A word that occurs twice in both counts twice.")
        expect(answer, (["a"], ["b"]), 0, "Nothing is shared.")


@exercises.register("12-summaries.3")
class F1(Exercise):
    """F1 of shared words."""

    hints = ("First precision and recall, then 2PR / (P + R).", "With 0 shared words you would divide by 0: return 0.")

    def check(self, answer: object) -> None:
        # Equal lengths, different lengths, nothing.
        expect(answer, (2, 4, 4), 0.5, "Precision and recall are both 0.5, and so is F1.")
        why = "F1 is 2PR / (P + R), and not the plain mean: precision 0.1 and recall 1 give 0.18."
        expect(answer, (2, 20, 2), 2 / 11, why)
        expect(answer, (0, 5, 3), 0.0, "Nothing is shared: 0, without dividing by 0.")


@exercises.register("12-summaries.4")
class Best(Exercise):
    """The position of the best sentence."""

    hints = (
        "Return the position of the highest score, not the score.",
        "max(range(len(scores)), key=lambda i: scores[i])",
    )

    def check(self, answer: object) -> None:
        # In the middle, first, ties.
        expect(answer, ([0.1, 0.7, 0.3],), 1, "Return the position, counted from 0.")
        expect(answer, ([0.9, 0.7],), 0, "The first position is 0.")
        expect(answer, ([0.2, 0.8, 0.8],), 1, "Of equally good ones, take the first.")


@exercises.register("12-summaries.5")
class Informative(Exercise):
    """How informative each sentence is."""

    hints = (
        "First count the words of the whole text: Counter(word for part in parts for word in part).",
        "For one sentence: [count[word] for word in part if len(word) > 3], and the mean of these.",
        "Return 0.0 where that list is empty.",
    )

    def check(self, answer: object) -> None:
        # A mean, whole text, short words, nothing.
        why = "A mean over the words, not a sum: long sentences must not win by length."
        expect(answer, ([["model", "works"], ["idea"]],), [1.0, 1.0], why)
        parts = [["model", "learns"], ["model", "works"]]
        expect(answer, (parts,), [1.5, 1.5], "Count in the whole text: model occurs there twice, the others once.")
        why = "Were all words counted? Words of three letters or fewer do not count."
        expect(answer, ([["the", "model"], ["the", "the", "data"]],), [1.0, 1.0], why)
        long = [["data", "data", "data", "noise"], ["data"]]
        expect(answer, (long,), [3.25, 4.0], "A word that occurs three times in a sentence counts three times.")
        expect(answer, ([["it", "is"], ["model"]],), [0.0, 1.0], "A sentence without longer words gets 0.")
