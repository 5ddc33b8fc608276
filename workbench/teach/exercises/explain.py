"""Lesson 09, explain a decision: occlusion, words from subwords, what counts most, and whether to believe it."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("09-explain.1")
class EachHidden(Exercise):
    """As many texts as words, one word hidden in each."""

    hints = (
        "For one i: the words before it, [MASK], and the words after it.",
        'words[:i] + ["[MASK]"] + words[i + 1:] is that as a list; " ".join(...) makes it a text.',
    )

    def check(self, answer: object) -> None:
        # Three words, one word, a word that occurs twice.
        expected = ["[MASK] dull film", "a [MASK] film", "a dull [MASK]"]
        why = "[MASK] takes the place of one word, so that every text has as many words as before."
        expect(answer, (["a", "dull", "film"],), expected, why)
        expect(answer, (["dull"],), ["[MASK]"], "A text of one word gives one text: [MASK].")
        twice = ["[MASK] so dull", "so [MASK] dull", "so so [MASK]"]
        expect(answer, (["so", "so", "dull"],), twice, "Mask one position, not every occurrence of the word.")


@exercises.register("09-explain.2")
class Falls(Exercise):
    """How far the probability falls without each word."""

    hints = (
        "A fall from 0.9 to 0.4 is 0.5; if the probability rises, the fall is below 0.",
        "[whole - one for one in hidden]",
    )

    def check(self, answer: object) -> None:
        # Falls and rises.
        why = "A word counts for the decision if the probability falls without it: whole minus hidden."
        expect(answer, (0.9, [0.4, 0.8]), [0.5, 0.1], why)
        expect(answer, (0.5, [0.7, 0.5]), [-0.2, 0.0], "A rise is a fall below 0: keep the sign.")


@exercises.register("09-explain.3")
class ByWord(Exercise):
    """The score of each word, from its subwords."""

    hints = (
        "How many words are there? One more than the largest number in words, None left out.",
        "Begin with a list of zeros, and add each token's score at its word's number.",
        "if word is not None: sums[word] += score",
    )

    def check(self, answer: object) -> None:
        # Special tokens, pieces, signs.
        arguments = ([9.0, 0.1, 0.2, 9.0], [None, 0, 1, None])
        expect(answer, arguments, [0.1, 0.2], "Forgot the special tokens? None marks them, and they belong to no word.")
        arguments = ([5.0, 0.1, 0.2, 0.3, -0.4, 5.0], [None, 0, 0, 0, 1, None])
        expect(
            answer,
            arguments,
            [0.6, -0.4],
            "The scores of a word's subwords add up: a sum, not a mean, and not the last one.",
        )
        expect(answer, ([0.5, -0.5], [0, 0]), [0.0], "Signs count: subwords can cancel out.")


@exercises.register("09-explain.4")
class MostImportant(Exercise):
    """The positions of what counts most."""

    hints = (
        "How many: max(1, int(share * len(scores))).",
        "sorted(range(len(scores)), key=lambda i: -scores[i]) gives the positions, the highest score first.",
        "Keep that many of these, and sort them by position.",
    )

    def check(self, answer: object) -> None:
        # In order of the text, at least one, rounded down, signs.
        expect(answer, ([0.1, 0.9, 0.2, 0.8], 0.5), [1, 3], "Return the positions of the two highest scores.")
        expect(answer, ([0.8, 0.1, 0.2, 0.9], 0.5), [0, 3], "Put the positions in the order of the text at the end.")
        expect(answer, ([0.1, 0.3, 0.2], 0.2), [1], "At least one, even where the share is less than one word.")
        expect(answer, ([0.1, 0.3, 0.2, 0.5, 0.4], 0.5), [3, 4], "Half of 5, rounded down, is 2.")
        expect(answer, ([0.1, 0.4, 0.2, 0.3], 0.45), [1], "0.45 times 4 words is 1.8: rounded down, one word.")
        why = "What is far below 0 speaks against the decision: it does not count for it."
        expect(answer, ([-0.9, 0.1, 0.2, -0.5], 0.25), [2], why)


@exercises.register("09-explain.5")
class FurtherThanChance(Exercise):
    """The faithfulness of an explanation, compared with chance."""

    hints = (
        "Two falls: whole - without_named, and on average whole - (each of without_random).",
        "Take the mean of without_random first.",
    )

    def check(self, answer: object) -> None:
        # Better than chance, as good, worse.
        why = "Named words: a fall of 0.5. Random words: 0.1 on average. Return the difference of these two."
        expect(answer, (0.9, 0.4, [0.8, 0.9, 0.7]), 0.4, why)
        expect(answer, (0.9, 0.7, [0.6, 0.8]), 0.0, "Take the mean over the draws, not the best or the worst of them.")
        expect(answer, (0.6, 0.5, [0.2]), -0.3, "Random words take more away here: the result is below 0.")


@exercises.register("09-explain.6")
class Sentence(Exercise):
    """The sentence of the letter."""

    hints = (
        "First the case in which nothing can be said (further <= 0), then one word, then several.",
        '", ".join(all but the last) + " and " + the last. Mind the quotation marks, and the full stop.',
    )

    def check(self, answer: object) -> None:
        # Several, two, one, none better than chance.
        three = 'The words that counted most were "dull", "too" and "long".'
        expect(
            answer, (["dull", "too", "long"], 0.2), three, 'Commas between the words, and "and" before the last one.'
        )
        expect(answer, (["dull", "long"], 0.2), 'The words that counted most were "dull" and "long".', "Two: no comma.")
        expect(answer, (["dull"], 0.2), 'The word that counted most was "dull".', "One word: word, was, and no and.")
        unknown = "We cannot say which words counted most."
        expect(answer, (["dull", "long"], -0.1), unknown, "Not better than chance: then no words are named.")
        expect(answer, (["dull"], 0), unknown, "0 is not better than chance either.")
