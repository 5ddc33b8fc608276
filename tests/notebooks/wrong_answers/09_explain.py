"""Typical wrong answers of lesson 09, and words of the message that each must earn."""

WRONG = [
    (
        "09-explain.1",
        "return [' '.join(words[:i] + words[i + 1:]) for i in range(len(words))]",
        "takes the place of one word",
    ),
    (
        "09-explain.1",
        "return [' '.join('[MASK]' if w == word else w for w in words) for word in words]",
        "not every occurrence of the word",
    ),
    ("09-explain.2", "return [one - whole for one in hidden]", "whole minus hidden"),
    ("09-explain.2", "return [abs(whole - one) for one in hidden]", "keep the sign"),
    (
        "09-explain.3",
        "words = [0 if word is None else word for word in words]\nsums = [0.0] * (1 + max(words))\n"
        "for score, word in zip(scores, words):\n    sums[word] += score\nreturn sums",
        "Forgot the special tokens",
    ),
    (
        "09-explain.3",
        "sums = {}\nfor score, word in zip(scores, words):\n    if word is not None:\n        sums[word] = score\n"
        "return list(sums.values())",
        "not the last one",
    ),
    (
        "09-explain.4",
        "count = max(1, int(share * len(scores)))\nreturn sorted(range(len(scores)), key=lambda i: -scores[i])[:count]",
        "the order of the text",
    ),
    (
        "09-explain.4",
        "count = max(1, int(share * len(scores)))\n"
        "return sorted(sorted(range(len(scores)), key=lambda i: -abs(scores[i]))[:count])",
        "speaks against the decision",
    ),
    (
        "09-explain.4",
        "count = max(1, round(share * len(scores)))\n"
        "return sorted(sorted(range(len(scores)), key=lambda i: -scores[i])[:count])",
        "rounded down, one word",
    ),
    ("09-explain.5", "return whole - without_named", "Random words: 0.1 on average"),
    (
        "09-explain.5",
        "return (whole - without_named) - (whole - min(without_random))",
        "Random words: 0.1 on average",
    ),
    (
        "09-explain.6",
        "quoted = [f'\"{word}\"' for word in words]\n"
        "return f\"The words that counted most were {', '.join(quoted[:-1])} and {quoted[-1]}.\"",
        "One word",
    ),
    (
        "09-explain.6",
        "quoted = [f'\"{word}\"' for word in words]\nif further < 0:\n"
        "    return 'We cannot say which words counted most.'\nif len(words) == 1:\n"
        "    return f'The word that counted most was {quoted[0]}.'\n"
        "return f\"The words that counted most were {', '.join(quoted[:-1])} and {quoted[-1]}.\"",
        "0 is not better than chance",
    ),
]
