"""Typical wrong answers of lesson 11, and words of the message that each must earn."""

WRONG = [
    (
        "11-recommend.1",
        "last = max(ratings, key=lambda r: r[1])\nreturn [r for r in ratings if r != last], [last]",
        "a last rating of their own",
    ),
    (
        "11-recommend.1",
        "last = {r[0]: r for r in ratings}\n"
        "return [r for r in ratings if r not in last.values()], [r for r in ratings if r in last.values()]",
        "own, whatever the times",
    ),
    (
        "11-recommend.2",
        "count = {}\nfor film, _ in ratings:\n    count[film] = count.get(film, 0) + 1\nreturn count",
        "Were dislikes counted",
    ),
    (
        "11-recommend.2",
        "count = {}\nfor film, liked in ratings:\n    count[film] = count.get(film, 0) + liked\nreturn count",
        "should not be there",
    ),
    ("11-recommend.3", "return sum(other >= score for other in others)", "not 0"),
    ("11-recommend.3", "return 1 + sum(other > score for other in others)", "ties must not flatter"),
    (
        "11-recommend.4",
        "return sum(a > b for a, b in zip(liked_scores, other_scores)) / len(liked_scores)",
        "All pairs count",
    ),
    (
        "11-recommend.4",
        "pairs = [(a, b) for a in liked_scores for b in other_scores]\n"
        "return sum(a > b for a, b in pairs) / len(pairs)",
        "A tie counts half",
    ),
    ("11-recommend.5", "return dcg(liked) / sum(liked)", "best possible order"),
    ("11-recommend.5", "return dcg(liked) / dcg([True] * k)", "perfect, so 1"),
    ("11-recommend.5", "return dcg(liked) / (dcg(sorted(liked[:k], reverse=True)) or 1)", "sort first, then cut off"),
    (
        "11-recommend.6",
        "best = sorted(scores, key=lambda film: -scores[film])[:k]\nreturn [film for film in best if film not in seen]",
        "before you cut off",
    ),
    (
        "11-recommend.6",
        "return sorted((film for film in scores if film not in seen), key=lambda film: scores[film])[:k]",
        "the best first",
    ),
]
