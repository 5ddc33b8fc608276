"""Lesson 07, make it small: what training costs, what fits, what is good enough, and weights in bytes."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, call_answer, exercises, expect, expect_pair


def _candidate(name: str, megabytes: float, accuracy: float) -> dict[str, str | float]:
    return {"name": name, "megabytes": megabytes, "accuracy": accuracy}


@exercises.register("07-small.1")
class TrainingMegabytes(Exercise):
    """How much memory training takes."""

    hints = (
        "Count the bytes of a frozen weight, then those of a trainable one.",
        "A trainable weight takes its own 4 bytes, 4 for the gradient and 2 times 4 for AdamW.",
        "All weights cost 4 bytes; trainable ones cost 12 more. Divide by a million.",
    )

    def check(self, answer: object) -> None:
        # No weight is trainable, all are, some are.
        expect(answer, (1_000_000, 0), 4.0, "A frozen weight costs its own 4 bytes and nothing else.")
        why = "Each trainable weight has a gradient and two means of AdamW: 12 bytes besides its own 4."
        expect(answer, (1_000_000, 1_000_000), 16.0, why)
        expect(answer, (10_000_000, 500_000), 46.0, "Frozen weights need no gradient.")


@exercises.register("07-small.2")
class LoraWeights(Exercise):
    """How many weights LoRA adds."""

    hints = (
        "One matrix first: the way down has d_in times rank weights, and the way up?",
        "For each matrix it is rank * d_in + rank * d_out. Add this up over the list.",
    )

    def check(self, answer: object) -> None:
        # One matrix, one that is not square, several, none.
        expect(answer, (1, [(10, 10)]), 20, "There are two thin matrices: one down to the rank, and one up again.")
        why = "The detour goes from d_in to rank and from rank to d_out: sums, not the product of d_in and d_out."
        expect(answer, (4, [(100, 300)]), 1600, why)
        expect(answer, (2, [(10, 20), (30, 40)]), 200, "Add up over all the matrices of the list.")
        expect(answer, (8, []), 0, "Without matrices nothing is added.")


@exercises.register("07-small.3")
class ThatFit(Exercise):
    """What fits into a budget."""

    hints = (
        "Two steps: select the candidates whose megabytes are at most the budget; then sort them.",
        'sorted(list, key=lambda one: one["accuracy"]) puts the smallest first; reverse=True reverses the order.',
        "At the end, return only the names.",
    )

    def check(self, answer: object) -> None:
        # In order, exactly the budget, none.
        candidates = [_candidate("tiny", 1, 0.7), _candidate("middle", 20, 0.9), _candidate("large", 90, 0.95)]
        expect(answer, (candidates, 50), ["middle", "tiny"], "Return names, the most accurate first.")
        expect(
            answer,
            (candidates, 20),
            ["middle", "tiny"],
            "A candidate that needs exactly the budget still fits: at most, not less.",
        )
        expect(answer, (candidates, 0.5), [], "If nothing fits, the list is empty.")
        by_size = [_candidate("a", 1, 0.9), _candidate("b", 2, 0.8)]
        expect(answer, (by_size, 5), ["a", "b"], "The order is by accuracy, not by size.")


@exercises.register("07-small.4")
class Beats(Exercise):
    """Whether one candidate is better than another, whatever your priorities."""

    hints = (
        "It beats the other if it is no larger and no less accurate, and better in at least one of the two.",
        "Both comparisons with <= and >= must be true, and at least one of those with < and >.",
    )

    def check(self, answer: object) -> None:
        # Better in both, a trade-off, better in one, equal.
        small, large = _candidate("small", 1, 0.7), _candidate("large", 90, 0.9)
        bad = _candidate("bad", 95, 0.8)
        expect(answer, (large, bad), True, "It is smaller and more accurate than the other.")
        expect(answer, (bad, large), False, "It is larger and less accurate than the other.")
        why = "Better in one and worse in the other is a matter of taste: neither beats the other."
        expect(answer, (small, large), False, why)
        expect(answer, (large, small), False, why)
        why = "To beat, it is enough to be better in one and equal in the other."
        expect(answer, (_candidate("full", 91, 0.95), _candidate("lora", 91, 0.9)), True, why)
        expect(answer, (_candidate("tiny", 1, 0.9), _candidate("huge", 91, 0.9)), True, why)
        equal = _candidate("one", 5, 0.8), _candidate("two", 5, 0.8)
        expect(answer, equal, False, "Equal in both: neither beats the other, nor does one beat itself.")


@exercises.register("07-small.5")
class GoodEnough(Exercise):
    """Whether the small model is certainly not much worse."""

    hints = (
        "low is the worst that is still plausible. With low = -0.02, how much may be lost? Is that within the margin?",
        "A loss of at most 0.03 means: the difference is at least -0.03.",
    )

    def check(self, answer: object) -> None:
        # Within, beyond, exactly the margin, better.
        expect(answer, (-0.02, 0.03), True, "It loses 0.02 at worst, and 0.03 would be accepted.")
        expect(
            answer, (-0.08, 0.03), False, "It may lose 0.08, more than the margin. Check the signs: a loss is below 0."
        )
        expect(answer, (0.01, 0.03), True, "Its whole interval is above 0: it is better than the large one.")
        expect(answer, (-0.03, 0.03), True, "Exactly the margin is still accepted.")
        expect(answer, (0.05, 0.03), True, "It is better by 0.05 at least: only a loss can be too large.")


@exercises.register("07-small.6")
class InBytes(Exercise):
    """Weights as whole numbers of 8 bits."""

    hints = (
        "Find the step first: the largest of abs(w), divided by 127.",
        "Then round(w / step) for each weight. Return the list and the step: return numbers, step",
    )

    def check(self, answer: object) -> None:
        # A pair; the largest is negative; small weights; rounded and not truncated.
        expect_pair(
            call_answer(answer, [1.27, -0.5, 0.0]),
            "The result must be a pair, the list of numbers and the step: return numbers, step",
        )
        expect(answer, ([1.27, -0.5, 0.0],), ([127, -50, 0], 0.01), "The step is the largest weight divided by 127.")
        why = "Take the largest weight without its sign (abs), or the numbers may be below -127."
        expect(answer, ([-2.54, 1.0],), ([-127, 50], 0.02), why)
        expect(answer, ([12.7, 0.26, -0.26],), ([127, 3, -3], 0.1), "Take the nearest whole number: round, not int.")
