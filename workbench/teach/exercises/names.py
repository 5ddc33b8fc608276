"""Lesson 02, finding names: tags to names, new names, labels on subwords, the mask, F1 of whole names."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("02-names.1")
class Spans(Exercise):
    """From BIO tags to names."""

    hints = (
        "Go through the tags with enumerate. A B- opens a name that is one word long; an I- makes the last one longer.",
        "tag[2:] is the kind. With an I-, replace spans[-1] by one that ends at position + 1.",
    )

    def check(self, answer: object) -> None:
        # One word, several, at the end, side by side, none.
        why = "The second number is the word after the last one, so one word at 1 is (1, 2, ...)."
        expect(answer, (["O", "B-person", "O"],), [(1, 2, "person")], why)
        expect(answer, (["B-group", "I-group", "I-group", "O"],), [(0, 3, "group")], "An I- makes the name longer.")
        expect(answer, (["O", "B-person", "I-person"],), [(1, 3, "person")], "A name may continue to the last word.")
        two = [(0, 1, "person"), (1, 3, "person")]
        expect(answer, (["B-person", "B-person", "I-person"],), two, "A new B- begins a new name at once.")
        kind = (["B-creative-work", "I-creative-work"],)
        expect(answer, kind, [(0, 2, "creative-work")], "The kind is everything after the first -.")
        expect(answer, (["O", "O"],), [], "Without a name the list is empty.")


@exercises.register("02-names.2")
class ShareOfNew(Exercise):
    """Names that are on no list."""

    hints = (
        "name.lower() converts capital letters to lower case: do it on both sides.",
        "Count the names of test that are not in the set of train's, and divide by len(test).",
    )

    def check(self, answer: object) -> None:
        # New and not known; capitals; twice.
        expect(answer, (["Ada", "Paris"], ["Ada", "Rome", "Oslo"]), 2 / 3, "Count the names that are NOT in train.")
        expect(answer, (["Ada"], ["ADA", "ada", "Bob", "Eve"]), 0.5, "Capital letters do not matter: on both sides.")
        expect(answer, (["Ada"], ["Bob", "Bob", "Ada"]), 2 / 3, "A name that occurs twice counts twice.")


@exercises.register("02-names.3")
class LabelsOnSubwords(Exercise):
    """A word's tag goes on its first subword only."""

    hints = (
        "Two subwords of one word have the same number in a row: remember the previous number.",
        "-100 if the word is None or the same as before; otherwise tags[word].",
    )

    def check(self, answer: object) -> None:
        # Special tokens, subwords, word 0.
        expect(answer, ([None, 0, 1, None], [3, 7]), [-100, 3, 7, -100], "None is no word: its label is -100.")
        why = "Only the first subword of a word gets its tag, the others get -100."
        expect(answer, ([None, 0, 0, 0, 1, 1, None], [3, 7]), [-100, 3, -100, -100, 7, -100, -100], why)
        expect(
            answer, ([0, 1, 2, 2], [4, 4, 4]), [4, 4, 4, -100], "Two words may have the same tag: look at the words."
        )


@exercises.register("02-names.4")
class MaskedAccuracy(Exercise):
    """Accuracy where the mask allows it."""

    hints = (
        "First leave out all positions whose label is -100; then count.",
        "Divide by the number of positions that remain, not by len(labels).",
    )

    def check(self, answer: object) -> None:
        # Without mask, with it.
        expect(answer, ([1, 2, 3, 4], [1, 2, 0, 0]), 0.5)
        why = "Forgot the mask? Positions with the label -100 count neither in the numerator nor in the denominator."
        expect(answer, ([-100, 1, -100, 2, -100], [1, 1, 1, 0, 2]), 0.5, why)
        expect(answer, ([-100, 0, 5], [-100, 0, 5]), 1.0, why)
        expect(answer, ([-100, -100, 0, 5], [-100, -100, 1, 1]), 0.0, why)


@exercises.register("02-names.5")
class NameF1(Exercise):
    """F1 of whole names."""

    hints = (
        "The names in both: set(true) & set(predicted). All three parts of a name have to be the same.",
        "2 * right / (number of true + number of predicted); check first whether both are empty.",
    )

    def check(self, answer: object) -> None:
        # Half right, too short, another kind, none.
        ada, oslo, bob = (0, 2, "person"), (5, 6, "place"), (8, 9, "person")
        why = "2 * right / (number of true ones + number of predicted ones)."
        expect(answer, ([ada, oslo, bob], [ada]), 0.5, why)
        expect(
            answer,
            ([ada, oslo], [oslo]),
            2 / 3,
            "Look for each name in the whole other list, not position by position.",
        )
        expect(answer, ([ada], [(0, 1, "person")]), 0.0, "A name that is too short is wrong, not half right.")
        expect(answer, ([ada], [(0, 2, "group")]), 0.0, "The kind has to be right, too.")
        expect(answer, ([], [ada]), 0.0, "A name is predicted where there is none: 0.")
        expect(answer, ([], []), 1.0, "No name there and none predicted: nothing was missed, 1.")
