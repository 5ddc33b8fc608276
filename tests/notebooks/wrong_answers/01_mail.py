"""Typical wrong answers of lesson 01, and words of the message that each must earn."""

WRONG = [
    ("01-mail.1", "return max(test.count(x) for x in test) / len(test)", "that of train"),
    (
        "01-mail.1",
        "most = max(train, key=train.count)\nreturn train.count(most) / len(train)",
        "its share that of test",
    ),
    (
        "01-mail.2",
        "right = sum(g == p for g, p in zip(gold, predicted))\nreturn right / len(gold)",
        "must be a pair",
    ),
    (
        "01-mail.2",
        "right = sum(g == p == intent for g, p in zip(gold, predicted))\n"
        "return right / max(1, gold.count(intent)), right / max(1, predicted.count(intent))",
        "Precision divides by what was sent",
    ),
    ("01-mail.3", "return sum((p + r) / 2 for p, r in pairs) / len(pairs)", "not the mean of both"),
    (
        "01-mail.3",
        "p = sum(a for a, _ in pairs) / len(pairs)\nr = sum(b for _, b in pairs) / len(pairs)\n"
        "return 2 * p * r / (p + r)",
        "for each intent first",
    ),
    (
        "01-mail.4",
        "counts = {}\nfor pair in zip(gold, predicted):\n    counts[pair] = counts.get(pair, 0) + 1\nreturn counts",
        "Count wrong answers only",
    ),
    ("01-mail.4", "return {(g, p): 1 for g, p in zip(gold, predicted) if g != p}", "count it"),
    ("01-mail.5", "return sorted(scores)[:count]", "Return positions"),
    (
        "01-mail.5",
        "return sorted(range(len(scores)), key=lambda i: scores[i], reverse=True)[:count]",
        "the lowest score first",
    ),
    (
        "01-mail.5",
        "return [scores.index(score) for score in sorted(scores)[:count]]",
        "Each position once",
    ),
]
