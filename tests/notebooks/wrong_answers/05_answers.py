"""Typical wrong answers of lesson 05, and words of the message that each must earn."""

WRONG = [
    ("05-answers.1", "return begins.index(max(begins)), ends.index(max(ends))", "before it begins"),
    (
        "05-answers.1",
        "return max(((i, j) for i in range(len(begins)) for j in range(i, len(ends))),\n"
        "    key=lambda s: begins[s[0]] + ends[s[1]])",
        "at most longest",
    ),
    ("05-answers.2", "return [(b, min(b + size, words)) for b in range(0, words, step)]", "is enough"),
    ("05-answers.2", "return [(b, b + size) for b in range(0, max(1, words - size + step), step)]", "goes beyond"),
    ("05-answers.3", "return [w for w in text.lower().split() if w not in ('a', 'an', 'the')]", "Remove punctuation"),
    (
        "05-answers.3",
        "for mark in ('.', ',', '?', 'the', 'a'):\n    text = text.replace(mark, '')\nreturn text.lower().split()",
        "italy",
    ),
    ("05-answers.4", "return sum(w in gold for w in predicted) / len(predicted)", "both lengths count"),
    (
        "05-answers.4",
        "return 2 * sum(w in gold for w in predicted) / (len(gold) + len(predicted))",
        "as often as it occurs",
    ),
    (
        "05-answers.1",
        "begin = begins.index(max(begins))\nnear = ends[begin : begin + longest]\n"
        "return begin, begin + near.index(max(near))",
        "Both ends are chosen together",
    ),
]
