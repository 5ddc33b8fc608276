"""Near-duplicates between splits, against brute force over all pairs of 5-gram sets."""

from __future__ import annotations

import random

import pytest

from workbench.data.near_duplicates import near_duplicates, normalize, similarity
from workbench.errors import RequestError

WORDS = "film,story,actors,music,scene,ending,plot,charm,dull,bright,slow,heart,brain,laugh,night".split(",")  # noqa: SIM905


def grams(text: str) -> set[str]:
    plain = normalize(text)
    return {plain[i : i + 5] for i in range(max(1, len(plain) - 4))} if plain else set()


def jaccard(first: str, second: str) -> float:
    a, b = grams(first), grams(second)
    return len(a & b) / len(a | b) if a | b else 0.0


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(8, 40))) for _ in range(count)]


def replace_words(text: str, rng: random.Random, times: int) -> str:
    words = text.split()
    for _ in range(times):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def test_pairs_equal_brute_force() -> None:
    rng = random.Random(3)
    train = texts(250, 1)
    test = texts(100, 2) + [replace_words(train[i], rng, i % 6) for i in range(150)]
    (overlap,) = near_duplicates(
        {"train": (train, [f"a:{i}" for i in range(250)]), "test": (test, [f"b:{i}" for i in range(250)])},
        max_listed=1000,
    )
    expected = {}
    for i, text in enumerate(test):
        best = max(jaccard(text, other) for other in train)
        if best >= 0.8:
            expected[f"b:{i}"] = best
    assert 40 < len(expected) < 140  # some are near-duplicates, and some are not
    assert {pair.location: pair.similarity for pair in overlap.pairs} == pytest.approx(expected, abs=1e-4)
    assert (overlap.count, overlap.of, overlap.unchecked) == (len(expected), 250, 0)
    assert [pair.similarity for pair in overlap.pairs] == sorted((p.similarity for p in overlap.pairs), reverse=True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("abcdef", "abcdefg"),
        ("", ""),
        ("abc", "abc"),
        ("abc", "abd"),
        ("这部电影非常好看", "这部电影非常好看了"),
        ("Ａbc!", "abc"),
    ],
)
def test_similarity_is_jaccard(first: str, second: str) -> None:
    assert similarity(first, second) == pytest.approx(jaccard(first, second))


def test_case_and_punctuation_do_not_hide_a_copy() -> None:
    (overlap,) = near_duplicates(
        {"train": (["A film -- with a HEART!"], ["x"]), "test": (["a film with a heart"], ["y"])}
    )
    assert overlap.pairs[0].similarity == 1.0


def test_templates_are_not_quadratic_and_unchecked_texts_are_counted() -> None:
    train = [f"the weather report of the day for the station with number {i:04d} in the north" for i in range(600)]
    (overlap,) = near_duplicates({"train": (train, train), "test": (["x" + train[0] + "y"], ["b"])})
    assert overlap.unchecked == 1


def test_texts_without_words_are_not_duplicates() -> None:
    (overlap,) = near_duplicates({"train": (["...", "!!!"], ["a", "b"]), "test": (["???", ""], ["c", "d"])})
    assert overlap.count == 0


def test_a_threshold_that_would_miss_pairs_is_refused() -> None:
    with pytest.raises(RequestError, match=r"0\.6 to 1"):
        near_duplicates({}, threshold=0.3)
