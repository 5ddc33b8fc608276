"""Lesson 06, translate an interface: lost placeholders, a dictionary, chrF of one length, lines to look at."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("06-translate.1")
class Lost(Exercise):
    """Placeholders that a translation has lost."""

    hints = (
        "Count the placeholders of the translation; subtract one for each placeholder of the line.",
        "Counter(placeholders(translation)) counts them; if the count is already 0, the placeholder is lost.",
    )

    def check(self, answer: object) -> None:
        # None, another order, one, all, twice in the line, more in the translation.
        expect(answer, ("Could not find %1", "Impossible de trouver %1"), [], "Nothing is lost here.")
        expect(answer, ("Copy %1 to %2", "Dans %2 copier %1"), [], "The order may change.")
        expect(answer, ("Copy %1 to %2", "Copier dans %2"), ["%1"], "A placeholder that the translation lacks is lost.")
        expect(answer, ("Move %2 to %1", "Déplacer"), ["%2", "%1"], "In the order of the line.")
        why = "A placeholder that occurs twice must be kept twice."
        expect(answer, ("%1 of %2, %1 left", "%1 de %2"), ["%1"], why)
        expect(answer, ("Page %1", "Page %1 (%1, %2)"), [], "Extra placeholders are not lost.")
        expect(answer, ("Page %12", "Page %1"), ["%12"], "%12 is not %1 followed by a 2.")


@exercises.register("06-translate.2")
class BestWord(Exercise):
    """The most probable translation of a word."""

    hints = (
        "First select the French words that occur together with the word often enough; then take the largest share.",
        "max(..., key=..., default=word) returns the word itself when there is nothing to choose from.",
    )

    def check(self, answer: object) -> None:
        # A word that is frequent everywhere, too few occurrences, no candidate, equal shares.
        together = {("file", "fichier"): 8, ("file", "de"): 9, ("open", "ouvrir"): 5, ("open", "fichier"): 1}
        alone = {"fichier": 10, "de": 60, "ouvrir": 5}
        expect(answer, ("file", together, alone, 2), "fichier", "Divide by how often the French word occurs at all.")
        rare = {("open", "ouvrir"): 4, ("open", "x"): 1}
        expect(
            answer,
            ("open", rare, {"ouvrir": 16, "x": 2}, 2),
            "ouvrir",
            "Occurring together fewer than least times is chance.",
        )
        expect(answer, ("Jupyter", together, alone, 1), "Jupyter", "Without a candidate the word stays as it is.")
        even = {("cell", "b"): 2, ("cell", "a"): 2}
        expect(answer, ("cell", even, {"a": 4, "b": 4}, 2), "a", "For equal shares, take the first in the alphabet.")


@exercises.register("06-translate.3")
class CharacterF(Exercise):
    """F over runs of characters."""

    hints = (
        "Remove the spaces first. A text of length L has L - n + 1 runs of n.",
        "Counter & Counter has the smaller count of each run; precision divides by our total, recall by theirs.",
    )

    def check(self, answer: object) -> None:
        # The same text, nothing in common, too long, too short, repeated, spaces, shorter than n.
        expect(answer, ("abc", "abc", 1), 1.0, "The same text scores 1.")
        expect(answer, ("abc", "xyz", 1), 0.0, "Nothing in common is 0.")
        expect(answer, ("fichiers", "fichier", 2), 5 * 6 / 7 / (4 * 6 / 7 + 1), "Precision divides by our own runs.")
        expect(answer, ("fichi", "fichier", 2), 5 * 4 / 6 / (4 + 4 / 6), "What is missing counts more: beta is 2.")
        expect(answer, ("aaaa", "ab", 1), 5 / 8 / (1 + 1 / 2), "A run counts at most as often as the other has it.")
        expect(answer, ("a b c", "ab c", 3), 1.0, "Ignore the spaces.")
        expect(answer, ("ab", "abc", 3), 0.0, "A text that is shorter than n has no run.")


@exercises.register("06-translate.4")
class ToLookAt(Exercise):
    """The lines that a person reviews."""

    hints = (
        "Two lists of numbers: the broken ones, and the others sorted by probability.",
        "(broken + others)[:most]",
    )

    def check(self, answer: object) -> None:
        # Broken lines first, then the least probable ones, no more than most.
        lines = [(False, 0.9), (True, 0.95), (False, 0.2), (True, 0.1)]
        expect(answer, (lines, 2), [1, 3], "Broken lines come first, in their order, however sure the model is.")
        expect(answer, (lines, 4), [1, 3, 2, 0], "Then the least probable of the others.")
        expect(answer, (lines, 1), [1], "No more than most.")
        expect(answer, ([(False, 0.5)], 3), [0], "There may be fewer lines than there is time for.")
