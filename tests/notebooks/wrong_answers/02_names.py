"""Typical wrong answers of lesson 02, and words of the message that each must earn."""

WRONG = [
    (
        "02-names.1",
        "names = []\nfor position, tag in enumerate(tags):\n    if tag.startswith('B-'):\n"
        "        names.append((position, position, tag[2:]))\n    elif tag.startswith('I-'):\n"
        "        names[-1] = (names[-1][0], position, names[-1][2])\nreturn names",
        "the word after the last one",
    ),
    (
        "02-names.1",
        "names, start = [], None\nfor position, tag in enumerate(tags):\n"
        "    if start is not None and not tag.startswith('I-'):\n"
        "        names.append((start, position, tags[start][2:]))\n        start = None\n"
        "    if tag.startswith('B-'):\n        start = position\nreturn names",
        "may continue to the last word",
    ),
    ("02-names.2", "return sum(name in train for name in test) / len(test)", "NOT in train"),
    ("02-names.2", "return sum(name not in train for name in test) / len(test)", "Capital letters"),
    (
        "02-names.3",
        "return [-100 if word is None else tags[word] for word in word_of_subword]",
        "Only the first subword",
    ),
    (
        "02-names.3",
        "labels, before = [], None\nfor word in word_of_subword:\n    tag = -100 if word is None else tags[word]\n"
        "    labels.append(-100 if tag == before else tag)\n    before = tag\nreturn labels",
        "look at the words",
    ),
    ("02-names.4", "return sum(a == b for a, b in zip(labels, predicted)) / len(labels)", "Forgot the mask"),
    (
        "02-names.4",
        "right = sum(a == b for a, b in zip(labels, predicted) if a != -100)\nreturn right / len(labels)",
        "neither in the numerator nor in the denominator",
    ),
    (
        "02-names.5",
        "right = len(set(true) & set(predicted))\nreturn right / max(1, len(true))",
        "2 * right",
    ),
    (
        "02-names.5",
        "return 2 * len(set(true) & set(predicted)) / max(1, len(true) + len(predicted))",
        "nothing was missed",
    ),
    (
        "02-names.5",
        "if not true and not predicted:\n    return 1.0\n"
        "return 2 * sum(a == b for a, b in zip(true, predicted)) / (len(true) + len(predicted))",
        "not position by position",
    ),
]
