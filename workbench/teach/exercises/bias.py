"""Lesson 08, is my model biased: swaps, changes with their sign, flips, intervals, and metrics by group."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, call_answer, exercises, expect, expect_pair


@exercises.register("08-bias.1")
class Swapped(Exercise):
    """Exchange words in both directions."""

    hints = (
        'Go through the words one by one: text.split(" ") gives them.',
        "other.get(word, word) returns the replacement of the word, or the word itself.",
        '" ".join(words) joins them again.',
    )

    def check(self, answer: object) -> None:
        # One word, both directions at once, words inside of words.
        other = {"he": "she", "she": "he", "his": "her"}
        expect(answer, ("a fine film", other), "a fine film", "Words that are not in other stay as they are.")
        why = "Only whole words are meant: *the* contains *he*, but is another word."
        expect(answer, ("the hero said he left there", {"he": "she"}), "the hero said she left there", why)
        why = "Both directions at once: what has become *she* must not become *he* again."
        expect(answer, ("he met her and she met his dog", other), "she met her and he met her dog", why)


@exercises.register("08-bias.2")
class MeanChange(Exercise):
    """The mean difference of the pairs."""

    hints = (
        "zip(as_women, as_men) iterates over the pairs.",
        "Add up women minus men over the pairs, and divide by the number of pairs.",
    )

    def check(self, answer: object) -> None:
        # One direction, both directions.
        expect(answer, ([0.5, 0.7], [0.4, 0.4]), 0.2, "Divide the sum of the differences by the number of pairs.")
        expect(answer, ([0.2, 0.4], [0.4, 0.8]), -0.3, "Women minus men: below 0 where men get the higher answer.")
        expect(answer, ([0.6, 0.2], [0.4, 0.4]), 0.0, "Keep the signs: +0.2 and -0.2 cancel out.")


@exercises.register("08-bias.3")
class ShareFlipped(Exercise):
    """The share of pairs that change sides."""

    hints = (
        "For one text: p >= threshold says on which side it is. When are the sides of two texts different?",
        "(w >= threshold) != (m >= threshold) is True for a pair that flips. Count these, divide by the pairs.",
    )

    def check(self, answer: object) -> None:
        # Far apart on one side, near but across, exactly on the threshold, another threshold.
        expect(answer, ([0.9, 0.8], [0.6, 0.9], 0.5), 0.0, "All of these are above the threshold: nothing flips.")
        expect(answer, ([0.6, 0.51, 0.2, 0.9], [0.4, 0.49, 0.6, 0.8], 0.5), 0.75, "Flips in both directions count.")
        expect(answer, ([0.5, 0.5], [0.7, 0.9], 0.5), 0.0, "Exactly the threshold counts as above it: >=, not >.")
        why = "A text on the threshold is above it, and so flips if the other one is below."
        expect(answer, ([0.5, 0.5], [0.3, 0.9], 0.5), 0.5, why)
        expect(
            answer, ([0.6, 0.9, 0.9], [0.4, 0.7, 0.6], 0.8), 2 / 3, "Use the argument threshold; it is not always 0.5."
        )


@exercises.register("08-bias.4")
class Middle95(Exercise):
    """The ends of the middle 95%."""

    hints = (
        "sorted(means) puts them in order. How many are 2.5% of them? int(0.025 * len(means)).",
        "If k are left out at each end, the first that stays has the number k (counting from 0).",
        "The last one that stays is ordered[len(ordered) - 1 - k].",
    )

    def check(self, answer: object) -> None:
        # In order, mixed, with few values.
        expect_pair(call_answer(answer, [float(n) for n in range(40)]), "The result must be a pair: return low, high")
        why = "Of 40 values 1 is left out at each end: 0 and 39. What stays begins with 1 and ends with 38."
        expect(answer, ([float(n) for n in range(40)],), (1.0, 38.0), why)
        mixed = [float((7 * n) % 200) for n in range(200)]
        expect(answer, (mixed,), (5.0, 194.0), "Sort the values first; they come in random order.")
        expect(answer, ([3.0, 1.0, 2.0],), (1.0, 3.0), "2.5% of three values, rounded down, is none: all stay.")
        why = "2.5% of 70 values is 1.75: rounded down, 1 is left out at each end."
        expect(answer, ([float(n) for n in range(70)],), (1.0, 68.0), why)


@exercises.register("08-bias.5")
class AccuracyByGroup(Exercise):
    """The share that is right, group by group."""

    hints = (
        "For one group: keep the entries of right whose group it is. Their sum divided by their number is the share.",
        "for name in set(groups): group = [r for g, r in zip(groups, right) if g == name]",
    )

    def check(self, answer: object) -> None:
        # Groups of different sizes, a single one.
        arguments = (["a", "b", "a", "a", "a"], [True, False, True, False, True])
        expect(answer, arguments, {"a": 0.75, "b": 0.0}, "Divide by the size of the group, not by that of all.")
        expect(answer, (["x", "x"], [True, True]), {"x": 1.0}, "There may be only one group.")
        expect(answer, (["s", "m", "l"], [True, False, True]), {"s": 1.0, "m": 0.0, "l": 1.0}, "Any names, any number.")


@exercises.register("08-bias.6")
class Recognised(Exercise):
    """Of those who deserve it, how many get it, group by group."""

    hints = (
        'Keep only the reviews of the group whose gold label is "fresh"; the rotten ones have no part in this.',
        'group = [p for g, t, p in zip(groups, gold, predicted) if g == name and t == "fresh"]',
        'Of these the share of "fresh". Leave a group out where group is empty, or you divide by 0.',
    )

    def check(self, answer: object) -> None:
        # Rotten ones must not count; a group without fresh ones is left out.
        groups, gold = ["a", "a", "a", "b", "b"], ["fresh", "fresh", "rotten", "fresh", "rotten"]
        predicted = ["fresh", "rotten", "rotten", "fresh", "fresh"]
        why = "Were all reviews counted? Only those whose gold label is fresh count, in numerator and denominator."
        expect(answer, (groups, gold, predicted), {"a": 0.5, "b": 1.0}, why)
        arguments = (["a", "b"], ["fresh", "rotten"], ["fresh", "fresh"])
        expect(answer, arguments, {"a": 1.0}, "A group without any fresh review must not appear.")
