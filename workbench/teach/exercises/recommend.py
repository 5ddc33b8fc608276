"""Lesson 11, recommend: leave the last out, popularity, ranks, AUC, nDCG, and unseen films."""

from __future__ import annotations

import math

from workbench.teach.exercises import Exercise, call_answer, exercises, expect, expect_pair


@exercises.register("11-recommend.1")
class LeaveLastOut(Exercise):
    """Hide each user's last rating."""

    hints = (
        "First go through all ratings and keep for each user the latest time.",
        "Then a rating stays if its time is before its user's latest one; otherwise it is the last.",
        "latest[user] = max(time, latest.get(user, time))",
    )

    def check(self, answer: object) -> None:
        # One user, two users, in any order.
        one = [("ann", 1, "Heat"), ("ann", 2, "Alien"), ("ann", 5, "Jaws")]
        expect_pair(call_answer(answer, one), "The result must be two lists: return stay, last")
        expect(answer, (one,), (one[:2], one[2:]), "First the ratings that stay, then the last ones.")
        mixed = [("ann", 1, "Heat"), ("bob", 9, "Big"), ("ann", 4, "Jaws"), ("bob", 2, "Up")]
        why = "Each user has a last rating of their own, whatever the times of other users."
        why += " Both lists keep the original order."
        expect(answer, (mixed,), ([mixed[0], mixed[3]], [mixed[1], mixed[2]]), why)
        reversed_times = [("ann", 7, "Jaws"), ("ann", 3, "Heat")]
        why = "The last is the one with the latest time, wherever it is in the list."
        expect(answer, (reversed_times,), ([reversed_times[1]], [reversed_times[0]]), why)


@exercises.register("11-recommend.2")
class Popularity(Exercise):
    """How many people liked each film."""

    hints = ("Go through the pairs; where liked is True, add 1 for the film.", "count[film] = count.get(film, 0) + 1")

    def check(self, answer: object) -> None:
        # Several likes, dislikes, none.
        expect(
            answer, ([("Heat", True), ("Jaws", True), ("Heat", True)],), {"Heat": 2, "Jaws": 1}, "One for each like."
        )
        arguments = [("Heat", True), ("Heat", False), ("Cats", False)]
        expect(
            answer,
            (arguments,),
            {"Heat": 1},
            "Were dislikes counted? Only likes count; a film without any is left out.",
        )
        expect(answer, ([],), {}, "Without ratings the dictionary is empty.")


@exercises.register("11-recommend.3")
class Rank(Exercise):
    """The rank of the hidden film."""

    hints = (
        "How many of the others come before it? The rank is one more.",
        "Those with an equal score come before it, too: >=.",
    )

    def check(self, answer: object) -> None:
        # First, middle, last, ties.
        expect(answer, (9, [5, 3, 1]), 1, "None comes before it: rank 1, not 0.")
        expect(answer, (4, [5, 3, 9, 1]), 3, "Two have higher scores, so it is third.")
        expect(answer, (0, [5, 3]), 3, "All come before it.")
        expect(answer, (5, [5, 5, 1]), 3, "Among equal scores it comes last: ties must not flatter.")


@exercises.register("11-recommend.4")
class Auc(Exercise):
    """The share of pairs in the right order."""

    hints = (
        "Every liked one with every other one: two loops, len(liked_scores) * len(other_scores) pairs.",
        "A pair gives 1 if the liked one is higher, 0.5 if they are equal, 0 otherwise. Then divide by the pairs.",
    )

    def check(self, answer: object) -> None:
        # All right, some, none, ties.
        expect(answer, ([0.9, 0.8], [0.1, 0.2]), 1.0, "Every liked one is above every other one.")
        expect(answer, ([0.9, 0.3], [0.5, 0.1, 0.4]), 4 / 6, "All pairs count: 2 times 3 of them here.")
        expect(answer, ([0.1], [0.9]), 0.0, "The liked one is lower: the pair is in the wrong order.")
        expect(answer, ([0.5, 0.5], [0.5, 0.1]), 0.75, "A tie counts half.")


@exercises.register("11-recommend.5")
class Ndcg(Exercise):
    """Normalized discounted cumulative gain."""

    hints = (
        "dcg(liked) is what the ranking reaches. Which order of the same True and False would reach most?",
        "sorted(liked, reverse=True) puts all True first. Divide the one by the other.",
    )

    def check(self, answer: object) -> None:
        # Perfect, at the end, more likes than k, cut off.
        expect(answer, ([True, False, False], 3), 1.0, "The liked one is first: perfect, so 1.")
        expect(answer, ([False, False, True], 3), 0.5, "Liked at rank 3: 1 / log2(4).")
        both = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
        why = "Divide by the best possible order of these films, not by the number of likes or by what k would allow."
        expect(answer, ([True, False, True], 3), both, why)
        why = "The best order takes liked films from beyond rank k, too: sort first, then cut off."
        expect(answer, ([True, False, True], 2), 1 / (1 + 1 / math.log2(3)), why)
        expect(answer, ([True, True, True], 2), 1.0, "More likes than ranks: the best order fills all k ranks.")
        expect(answer, ([False, False, True], 2), 0.0, "What comes after rank k does not count.")


@exercises.register("11-recommend.6")
class Recommend(Exercise):
    """The best films that were not seen yet."""

    hints = (
        "Leave out what is in seen **first**, then sort, then cut off.",
        "sorted(films, key=lambda film: -scores[film])[:k]",
    )

    def check(self, answer: object) -> None:
        # In order, seen ones replaced, too few.
        scores = {"Up": 0.2, "Heat": 0.9, "Jaws": 0.8, "Big": 0.5}
        expect(answer, (scores, [], 2), ["Heat", "Jaws"], "The highest scores, the best first.")
        why = "Leave out what was seen before you cut off: the result must have k films."
        expect(answer, (scores, ["Heat", "Big"], 2), ["Jaws", "Up"], why)
        expect(answer, (scores, ["Heat"], 10), ["Jaws", "Big", "Up"], "If fewer are left, return those.")
