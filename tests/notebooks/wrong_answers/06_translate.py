"""Typical wrong answers of lesson 06, and words of the message that each must earn."""

WRONG = [
    ("06-translate.1", "return [p for p in placeholders(line) if p not in translation]", "must be kept twice"),
    (
        "06-translate.1",
        "return [a for a, b in zip(placeholders(line), placeholders(translation) + [''] * 9) if a != b]",
        "The order may change",
    ),
    (
        "06-translate.2",
        "matches = [o for (w, o), n in together.items() if w == word and n >= least]\n"
        "return max(sorted(matches), key=lambda o: together[(word, o)], default=word)",
        "how often the French word occurs at all",
    ),
    (
        "06-translate.2",
        "matches = [o for (w, o), n in together.items() if w == word]\n"
        "return max(sorted(matches), key=lambda o: together[(word, o)] / alone[o], default=word)",
        "fewer than least times",
    ),
    (
        "06-translate.3",
        "a, b = (Counter(t[i:i + n] for i in range(len(t) - n + 1)) for t in (translation, reference))\n"
        "both = sum((a & b).values())\n"
        "return 2 * both / (sum(a.values()) + sum(b.values())) if both else 0.0",
        "Precision divides by our own runs",
    ),
    (
        "06-translate.3",
        "t, r = translation.replace(' ', ''), reference.replace(' ', '')\n"
        "a, b = [t[i:i + n] for i in range(len(t) - n + 1)], [r[i:i + n] for i in range(len(r) - n + 1)]\n"
        "p, q = sum(x in b for x in a), sum(x in a for x in b)\n"
        "return 5 * (p / len(a)) * (q / len(b)) / (4 * p / len(a) + q / len(b)) if p else 0.0",
        "at most as often as the other has it",
    ),
    (
        "06-translate.4",
        "return sorted(range(len(lines)), key=lambda i: lines[i][1])[:most]",
        "Broken lines come first",
    ),
    (
        "06-translate.4",
        "broken = [i for i, (is_broken, _) in enumerate(lines) if is_broken]\n"
        "others = sorted((i for i in range(len(lines)) if i not in broken), key=lambda i: -lines[i][1])\n"
        "return (broken + others)[:most]",
        "the least probable of the others",
    ),
    (
        "06-translate.1",
        "left = Counter(placeholders(line)) - Counter(placeholders(translation))\nreturn sorted(left.elements())",
        "In the order of the line",
    ),
    (
        "06-translate.2",
        "candidates = sorted(b for (a, b), count in together.items() if a == word and alone[b] >= least)\n"
        "return max(candidates, key=lambda b: together[(word, b)] / alone[b], default=word)",
        "Occurring together fewer than least times",
    ),
]
