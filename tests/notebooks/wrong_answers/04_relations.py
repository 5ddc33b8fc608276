"""Typical wrong answers of lesson 04, and words of the message that each must earn."""

WRONG = [
    ("04-relations.1", "return tuple(re.findall('<e.>.*?</e.>', text))", "without them"),
    ("04-relations.1", "return tuple(re.findall(r'(\\w+)</e', text))", "All of its words"),
    ("04-relations.2", "return (label, e1, e2)", "Without brackets"),
    ("04-relations.2", "return () if label == 'Other' else (label.split('(')[0], e1, e2)", "comes first"),
    (
        "04-relations.3",
        "share = sum(g == p for g, p in zip(gold, predicted)) / len(gold)\nreturn share, share",
        "right as a relation",
    ),
    (
        "04-relations.3",
        "pairs = [(g, p) for g, p in zip(gold, predicted) if g != 'Other']\n"
        "return (sum(g == p for g, p in pairs) / len(pairs),\n"
        "        sum(g.split('(')[0] == p.split('(')[0] for g, p in pairs) / len(pairs))",
        "Other counts here",
    ),
    (
        "04-relations.4",
        "right = sum(g == p for g, p in zip(gold, predicted))\nreturn right / len(predicted), right / len(gold)",
        "Was Other counted",
    ),
    (
        "04-relations.4",
        "def kind(x):\n    return x.split('(')[0]\n"
        "right = sum(kind(g) == kind(p) != 'Other' for g, p in zip(gold, predicted))\n"
        "return (right / max(1, sum(p != 'Other' for p in predicted)),\n"
        "        right / max(1, sum(g != 'Other' for g in gold)))",
        "with its direction",
    ),
]
