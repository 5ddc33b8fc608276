"""Typical wrong answers of lesson 03, and words of the message that each must earn."""

WRONG = [
    ("03-opinions.1", "return score if label == 'fresh' else -score", "Mood is 2g - 1"),
    ("03-opinions.1", "return 2 * score - 1", "belongs to the predicted label"),
    (
        "03-opinions.2",
        "return [sum(values[i : i + window]) / len(values[i : i + window]) for i in range(len(values))]",
        "looks back only",
    ),
    (
        "03-opinions.2",
        "return [sum(values[max(0, i - window + 1) : i + 1]) / window for i in range(len(values))]",
        "divide by the number",
    ),
    (
        "03-opinions.3",
        "mean = sum(quiet) / len(quiet)\nreturn mean - k * sum((v - mean) ** 2 for v in quiet) / len(quiet)",
        "square root",
    ),
    (
        "03-opinions.3",
        "mean = sum(quiet) / len(quiet)\nspread = (sum((v - mean) ** 2 for v in quiet) / len(quiet)) ** 0.5\n"
        "return mean + k * spread",
        "below the mean",
    ),
    (
        "03-opinions.4",
        "below = 0\nfor position, value in enumerate(trend):\n    below += value < line\n    if below == patience:\n"
        "        return position\nreturn -1",
        "count from 0 again",
    ),
    (
        "03-opinions.4",
        "below = 0\nfor position, value in enumerate(trend):\n    below = below + 1 if value <= line else 0\n"
        "    if below == patience:\n        return position\nreturn -1",
        "not below it",
    ),
    (
        "03-opinions.3",
        "mean = sum(quiet) / len(quiet)\nreturn mean - k * sum(abs(value - mean) for value in quiet) / len(quiet)",
        "the square root of the mean of the squared distances",
    ),
]
