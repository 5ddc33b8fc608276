"""Typical wrong answers of lesson 10, and words of the message that each must earn."""

WRONG = [
    ("10-support.1", "return sum(x * y for x, y in zip(a, b))", "Divide by both lengths"),
    (
        "10-support.1",
        "return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b))",
        "square roots",
    ),
    ("10-support.2", "best = max(nearness)\nreturn best", "must be a pair"),
    (
        "10-support.2",
        "best, at = 0, None\nfor i, n in enumerate(nearness):\n    if n > best:\n        best, at = n, intents[i]\n"
        "return at, best",
        "may be below 0",
    ),
    (
        "10-support.3",
        "answered = [s >= threshold for s in scores]\nreturn sum(answered) / len(scores), sum(right) / len(right)",
        "Were all questions counted",
    ),
    (
        "10-support.3",
        "answered = [r for s, r in zip(scores, right) if s > threshold]\n"
        "return len(answered) / len(scores), sum(answered) / max(1, len(answered))",
        ">=",
    ),
    (
        "10-support.4",
        "last = float('inf')\nfor s in sorted(scores, reverse=True):\n    if accuracy_at(s) < wanted:\n        break\n"
        "    last = s\nreturn last",
        "may rise again",
    ),
    ("10-support.4", "return min(s for s in scores if accuracy_at(s) > wanted)", "Exactly the wanted accuracy"),
    (
        "10-support.5",
        "return sum(4 if s < threshold else 20 * (not r) for s, r in zip(scores, right)) / len(scores)",
        "no fixed numbers",
    ),
    ("10-support.4", "return max(s for s in scores if accuracy_at(s) >= wanted)", "answers the most questions"),
    (
        "10-support.5",
        "answered = [r for s, r in zip(scores, right) if s >= threshold]\n"
        "return wrong_costs * sum(not r for r in answered) / len(scores)",
        "What is passed on costs",
    ),
    (
        "10-support.5",
        "total = sum(passing_costs if s < threshold else wrong_costs * (not r) for s, r in zip(scores, right))\n"
        "return total / max(1, sum(s >= threshold for s in scores))",
        "divide by the number of all questions",
    ),
]
