"""Texts of one part that stand nearly so in another: figures on them say what a model remembers, not what it learned.

Two texts are compared by the character 5-grams they share (Jaccard: shared over all of both), capitals, punctuation and
spacing aside. MinHash finds the candidates (Broder 1997, "On the resemblance and containment of documents"), and every
candidate is then compared exactly: so every
listed similarity is exact. MinHash misses 2 in 10,000 pairs of similarity 0.8, and fewer of more similar ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import RequestError

DEFAULT_THRESHOLD = 0.8  # from here on two texts are near-duplicates
MIN_THRESHOLD = 0.6  # below, the bands miss too many
GRAM = 5  # characters
BANDS, ROWS = 16, 4  # P(found) = 1 - (1 - s^ROWS)^BANDS at similarity s
MAX_LISTED = 50
MAX_CANDIDATES = 200  # compared for one text; what is beyond is counted
_CHUNK = 1 << 20  # characters hashed at a time
_WORDLESS = re.compile(r"[\W_]+")
_BETWEEN = (("train", "test"), ("train", "valid"), ("valid", "test"))

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class NearDuplicate:
    """A text and the one most like it in another part."""

    place: str
    text: str
    other_place: str
    other_text: str
    similarity: float


@dataclass
class SplitOverlap:
    """Near-duplicates between two parts.

    Attributes:
        between: the two parts; what is counted are texts of the second.
        count: texts of the second part that have a near-duplicate in the first.
        of: texts of the second part.
        pairs: the first of them, most similar first.
        unchecked: texts with more candidates than are compared; their count is a lower bound.
    """

    between: tuple[str, str]
    count: int
    of: int
    pairs: list[NearDuplicate] = field(default_factory=list)
    unchecked: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def normalize(text: str) -> str:
    """What is compared: no capitals, no punctuation, one space between words."""
    return _WORDLESS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def similarity(first: str, second: str) -> float:
    """Jaccard similarity of two texts' character 5-grams, 0 to 1."""
    return _jaccard(_grams(normalize(first)), _grams(normalize(second)))


def near_duplicates(
    parts: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    threshold: float = DEFAULT_THRESHOLD,
    listed: int = MAX_LISTED,
) -> list[SplitOverlap]:
    """Texts that stand nearly so in two parts.

    Args:
        parts: for each part its texts and where each stands.
        threshold: similarity from which on two texts are near-duplicates, 0.6 to 1.
        listed: pairs that are told for each two parts; the others are counted.

    Raises:
        RequestError: ``threshold`` is out of range.
    """
    if not MIN_THRESHOLD <= threshold <= 1:
        raise RequestError(
            f"threshold is {threshold}; {MIN_THRESHOLD} to 1 is allowed.", f"Leave it out for {DEFAULT_THRESHOLD}."
        )
    signed = {part: _Signed([normalize(text) for text in texts]) for part, (texts, _) in parts.items()}
    found = []
    for first, second in _BETWEEN:
        if first in parts and second in parts:
            nearest, unchecked = _nearest(signed[first], signed[second], threshold)
            order = sorted(nearest, key=lambda i: (-nearest[i][1], i))[:listed]
            (texts, places), (others, other_places) = parts[second], parts[first]
            pairs = [
                NearDuplicate(places[i], texts[i], other_places[j], others[j], round(value, 4))
                for i, (j, value) in ((i, nearest[i]) for i in order)
            ]
            found.append(SplitOverlap((first, second), len(nearest), len(texts), pairs, unchecked))
    return found


class _Signed:
    """Texts of one part with their signatures."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.first: dict[str, int] = {}
        for i, text in enumerate(texts):
            self.first.setdefault(text, i)
        self.keys = _band_keys(texts)
        self._grams: dict[int, Hashes] = {}

    def grams(self, i: int) -> Hashes:
        if i not in self._grams:
            if len(self._grams) > 20_000:
                self._grams.clear()
            self._grams[i] = _grams(self.texts[i])
        return self._grams[i]


def _nearest(first: _Signed, second: _Signed, threshold: float) -> tuple[dict[int, tuple[int, float]], int]:
    """For each text of ``second`` with a near-duplicate in ``first``: the most similar
    one and its similarity; and how many texts had too many candidates."""
    tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(BANDS)]
    for i in first.first.values():  # of equal texts one stands for all
        for band, key in enumerate(first.keys[i].tolist()):
            tables[band][key].append(i)
    nearest: dict[int, tuple[int, float]] = {}
    unchecked = 0
    for i, text in enumerate(second.texts):
        if not text:
            continue
        if text in first.first:
            nearest[i] = (first.first[text], 1.0)
            continue
        keys = second.keys[i].tolist()
        candidates = dict.fromkeys(j for band, key in enumerate(keys) for j in tables[band].get(key, ()))
        chosen = list(candidates)[:MAX_CANDIDATES]
        unchecked += len(candidates) > len(chosen)
        grams = second.grams(i)
        scored = [(_jaccard(grams, first.grams(j)), -j) for j in chosen]
        if scored and max(scored)[0] >= threshold:
            value, place = max(scored)
            nearest[i] = (-place, value)
    return nearest, unchecked


def _jaccard(first: Hashes, second: Hashes) -> float:
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


def _grams(text: str) -> Hashes:
    """The different 5-grams of a normalised text as numbers."""
    return np.unique(_hashed([text])[0]) if text else np.zeros(0, np.uint64)


def _band_keys(texts: list[str]) -> Hashes:
    """A number for each text and band, [N, BANDS]; equal where ROWS minima are equal."""
    generator = np.random.Generator(np.random.PCG64(0))
    factors = generator.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.zeros((len(texts), BANDS), np.uint64)
    for start, end in _chunks(texts):
        hashes, begins = _hashed(texts[start:end])
        for number, factor in enumerate(factors):
            minima = np.minimum.reduceat(_mixed(hashes * factor), begins)
            band = number // ROWS
            keys[start:end, band] = _mixed(keys[start:end, band] * np.uint64(0x9E3779B97F4A7C15) + minima)
    return keys


def _chunks(texts: list[str]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for end, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _CHUNK or end == len(texts):
            yield start, end
            start, size = end, 0


def _hashed(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """The 5-grams of all texts as numbers, one text after another, and where each text's begin. A text that is shorter
    than a gram is filled up: it is similar only to itself."""
    filled = [text.ljust(GRAM, "\0") for text in texts]
    codes = np.frombuffer("".join(filled).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    lengths = np.array([len(text) for text in filled], dtype=np.int64)
    count = len(codes) - GRAM + 1
    values = np.zeros(count, np.uint64)
    for place in range(GRAM):
        values = values * np.uint64(0x100000001B3) + codes[place : place + count]
    ends = np.cumsum(lengths)
    whole = np.ones(len(codes), dtype=bool)
    for place in range(1, GRAM):  # grams that would run into the next text
        whole[ends - place] = False
    grams = lengths - GRAM + 1
    return _mixed(values[whole[:count]]), np.cumsum(grams) - grams


def _mixed(values: Hashes) -> Hashes:
    """Every bit of each number depends on all of its bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
