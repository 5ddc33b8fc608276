"""Lesson 03, opinions: mood, moving mean, the alarm line, the first alarm."""

from __future__ import annotations

from workbench.teach.exercises import Exercise, exercises, expect


@exercises.register("03-opinions.1")
class Mood(Exercise):
    """From a label and its score to a mood."""

    hints = (
        "First the probability of good: the score for fresh, 1 - score for rotten.",
        "Then 2 * good - 1: it maps 0 to 1 onto -1 to 1.",
    )

    def check(self, answer: object) -> None:
        # Good, bad, unsure.
        expect(answer, ("fresh", 0.9), 0.8, "Mood is 2g - 1: 0.5 becomes 0, and 1 stays 1.")
        expect(answer, ("rotten", 0.9), -0.8, "The score belongs to the predicted label: good has 1 - score here.")
        expect(answer, ("rotten", 0.5), 0.0, "0.5 is undecided: the mood is 0.")


@exercises.register("03-opinions.2")
class MovingMean(Exercise):
    """The mean of the last values."""

    hints = (
        "At position i the window starts at i - window + 1 and includes i: values[... : i + 1].",
        "The start must not be below 0: max(0, i - window + 1). Divide by the number of values in it.",
    )

    def check(self, answer: object) -> None:
        # Backwards, the beginning, window 1.
        expect(answer, ([4.0, 2.0, 6.0], 1), [4.0, 2.0, 6.0], "With a window of 1 the values stay as they are.")
        why = "It looks back only, including the current value; at the beginning, divide by the number of values there."
        expect(answer, ([2.0, 2.0, 8.0, 8.0], 2), [2.0, 2.0, 5.0, 8.0], why)
        expect(answer, ([3.0, 6.0, 9.0, 12.0], 3), [3.0, 4.5, 6.0, 9.0], why)


@exercises.register("03-opinions.3")
class AlarmLine(Exercise):
    """A number of standard deviations below the mean."""

    hints = (
        "First the mean. Then the mean of (value - mean) ** 2, and its square root.",
        "The line is mean - k * spread.",
    )

    def check(self, answer: object) -> None:
        # No spread, spreads computed by hand.
        expect(answer, ([0.5, 0.5], 3), 0.5, "Without any spread the line is the mean.")
        why = (
            "The spread is the square root of the mean of the squared distances; the line is k of them below the mean."
        )
        expect(answer, ([1.0, 3.0], 1), 1.0, why)
        expect(answer, ([1.0, 5.0], 2), -1.0, why)
        expect(answer, ([0.0, 0.0, 3.0, 3.0], 2), -1.5, why)
        expect(answer, ([0.0, 0.0, 0.0, 4.0], 1), 1 - 3**0.5, why)


@exercises.register("03-opinions.4")
class FirstAlarm(Exercise):
    """The first alarm, with patience."""

    hints = (
        "Use a counter: add one where the trend is below the line, reset it to 0 where it is not.",
        "When the counter reaches patience, return the position, counted from 0. After the loop, return -1.",
    )

    def check(self, answer: object) -> None:
        # At once, in a row, exactly on the line, never.
        expect(
            answer,
            ([0.5, -0.5, -0.5], 0.0, 1),
            1,
            "Positions are counted from 0; with patience 1 the first low value counts.",
        )
        expect(answer, ([0.5, -1.0, -1.0, -1.0], 0.0, 2), 2, "Return the last of the positions in a row.")
        broken = ([-1.0, 1.0, -1.0, 1.0, -1.0, -1.0], 0.0, 2)
        expect(answer, broken, 5, "In a row: count from 0 again when the trend is not below the line.")
        expect(answer, ([0.0, 0.0, -1.0], 0.0, 1), 2, "Exactly on the line is not below it.")
        expect(answer, ([1.0, -1.0], 0.0, 2), -1, "If it never happens, return -1.")
