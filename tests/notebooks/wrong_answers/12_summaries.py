"""Typical wrong answers of lesson 12, and words of the message that each must earn."""

WRONG = [
    ("12-summaries.1", "return parts[:k]", "not as a list"),
    ("12-summaries.1", "return ''.join(parts[:k])", "by a single space"),
    ("12-summaries.2", "return sum(word in reference for word in written)", "must not help"),
    ("12-summaries.2", "return len(set(written) & set(reference))", "counts twice"),
    ("12-summaries.3", "return (hits / written + hits / reference) / 2", "not the plain mean"),
    (
        "12-summaries.3",
        "p, r = hits / written, hits / reference\nreturn 2 * p * r / (p + r)",
        "without dividing by 0",
    ),
    ("12-summaries.4", "return max(scores)", "Return the position"),
    (
        "12-summaries.4",
        "return max(range(len(scores)), key=lambda i: (scores[i], i))",
        "take the first",
    ),
    (
        "12-summaries.5",
        "count = Counter(word for part in parts for word in part)\n"
        "return [sum(count[w] for w in part) / len(part) for part in parts]",
        "Were all words counted",
    ),
    (
        "12-summaries.5",
        "count = Counter(word for part in parts for word in part)\n"
        "return [sum(count[w] for w in part if len(w) > 3) for part in parts]",
        "A mean over the words, not a sum",
    ),
]
