"""Typical wrong answers of lesson 08, and words of the message that each must earn."""

WRONG = [
    (
        "08-bias.1",
        "for word, instead in other.items():\n    text = text.replace(word, instead)\nreturn text",
        "Only whole words",
    ),
    (
        "08-bias.1",
        "words = text.split(' ')\nfor one, instead in other.items():\n"
        "    words = [instead if word == one else word for word in words]\nreturn ' '.join(words)",
        "Both directions at once",
    ),
    (
        "08-bias.2",
        "return sum(abs(w - m) for w, m in zip(as_women, as_men)) / len(as_women)",
        "below 0 where men get the higher",
    ),
    ("08-bias.2", "return sum(w - m for w, m in zip(as_women, as_men))", "the number of pairs"),
    (
        "08-bias.3",
        "return sum((w > threshold) != (m > threshold) for w, m in zip(as_women, as_men)) / len(as_men)",
        "counts as above it",
    ),
    (
        "08-bias.3",
        "return sum((w >= 0.5) != (m >= 0.5) for w, m in zip(as_women, as_men)) / len(as_men)",
        "not always 0.5",
    ),
    (
        "08-bias.3",
        "return sum((w - threshold) * (m - threshold) < 0 for w, m in zip(as_women, as_men)) / len(as_men)",
        "A text on the threshold is above it",
    ),
    (
        "08-bias.4",
        "ordered, k = sorted(means), int(0.025 * len(means))\nkept = ordered[k:-k]\nreturn kept[0], kept[-1]",
        "is none: all stay",
    ),
    (
        "08-bias.4",
        "ordered, k = sorted(means), round(0.025 * len(means))\nreturn ordered[k], ordered[len(means) - 1 - k]",
        "rounded down, 1 is left out",
    ),
    ("08-bias.4", "import numpy as np\nreturn np.quantile(means, [0.025, 0.975])", "ends with 38"),
    ("08-bias.1", "return ' '.join(other[word] for word in text.split(' '))", "not in other stay as they are"),
    (
        "08-bias.4",
        "n = len(means)\nreturn means[int(0.025 * n)], means[n - 1 - int(0.025 * n)]",
        "Sort the values first",
    ),
    (
        "08-bias.4",
        "ordered = sorted(means)\nk = int(0.025 * len(means))\nreturn ordered[k], ordered[len(means) - k]",
        "ends with 38",
    ),
    (
        "08-bias.5",
        "return {n: sum(r for g, r in zip(groups, right) if g == n) / len(groups) for n in groups}",
        "the size of the group",
    ),
    ("08-bias.5", "return [sum(right) / len(right)]", "should return a dictionary"),
    (
        "08-bias.6",
        "return {n: sum(p == t for g, t, p in zip(groups, gold, predicted) if g == n) / groups.count(n)"
        " for n in groups}",
        "Were all reviews counted",
    ),
    (
        "08-bias.6",
        "shares = {}\nfor n in groups:\n"
        "    kept = [p for g, t, p in zip(groups, gold, predicted) if g == n and t == 'fresh']\n"
        "    shares[n] = kept.count('fresh') / max(1, len(kept))\nreturn shares",
        "must not appear",
    ),
]
