"""Near-duplicates: texts of one split that are almost the same as a text of another.

Metrics on near-duplicates measure what a model remembers, not what it learned.

Two texts are compared by the character 5-grams they share (Jaccard similarity), ignoring case, punctuation and spacing.
MinHash proposes candidates (Broder 1997, "On the resemblance and containment of documents"), and every candidate is
then compared exactly, so every similarity listed is exact. MinHash misses 2 in 10,000 pairs of similarity 0.8, and
fewer of more similar ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from workbench.data.examples import SplitName
from workbench.errors import RequestError
from workbench.types import Ints

DEFAULT_THRESHOLD = 0.8
MIN_THRESHOLD = 0.6  # below, the bands miss too many
GRAM = 5  # characters
BANDS, ROWS = 16, 4  # P(candidate) = 1 - (1 - s^ROWS)^BANDS at similarity s
MAX_LISTED = 50
MAX_CANDIDATES = 200  # compared for one text; the others are counted
_CHUNK = 1 << 20  # characters hashed at a time
_WORDLESS = re.compile(r"[\W_]+")
_BETWEEN: tuple[tuple[SplitName, SplitName], ...] = (("train", "test"), ("train", "valid"), ("valid", "test"))

Hashes: TypeAlias = NDArray[np.uint64]


# ``place`` and ``other_place``: the locations of the texts, such as "reviews.csv, line 17".
NearDuplicateRecord = TypedDict(  # noqa: UP013
    "NearDuplicateRecord",
    {"place": str, "text": str, "other_place": str, "other_text": str, "similarity": float},
)


class OverlapRecord(TypedDict):
    """A :class:`SplitOverlap` as JSON."""

    between: tuple[SplitName, SplitName]
    count: int
    of: int
    pairs: list[NearDuplicateRecord]
    unchecked: int


@dataclass(frozen=True)
class NearDuplicate:
    """A text and the most similar one of another split, each with its location."""

    location: str
    text: str
    other_location: str
    other_text: str
    similarity: float

    def as_dict(self) -> NearDuplicateRecord:
        """Return the pair as JSON."""
        return {
            "place": self.location,
            "text": self.text,
            "other_place": self.other_location,
            "other_text": self.other_text,
            "similarity": self.similarity,
        }


@dataclass
class SplitOverlap:
    """Near-duplicates between two splits.

    Attributes:
        between: the two splits; texts of the second are counted.
        count: texts of the second split that have a near-duplicate in the first.
        of: texts of the second split.
        pairs: the first of them, most similar first.
        unchecked: texts with more candidates than are compared; if there are any, ``count`` is a lower bound.
    """

    between: tuple[SplitName, SplitName]
    count: int
    of: int
    pairs: list[NearDuplicate] = field(default_factory=list)
    unchecked: int = 0

    def as_dict(self) -> OverlapRecord:
        """Return the overlap as JSON."""
        pairs = [pair.as_dict() for pair in self.pairs]
        return {
            "between": self.between, "count": self.count, "of": self.of, "pairs": pairs, "unchecked": self.unchecked,
        }  # fmt: skip


class LocatedTexts(NamedTuple):
    """The texts of a split, and the location of each."""

    texts: Sequence[str]
    locations: Sequence[str]


def normalize(text: str) -> str:
    """Return a text without case and punctuation, and with one space between words: the form that is compared.

    Args:
        text: any text.
    """
    return _WORDLESS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def similarity(first: str, second: str) -> float:
    """Return the Jaccard similarity of two texts' character 5-grams.

    Args:
        first: a text.
        second: another text.

    Returns:
        0 (nothing shared) to 1 (the same 5-grams).
    """
    return _jaccard(_grams(normalize(first)), _grams(normalize(second)))


def near_duplicates(
    splits: Mapping[SplitName, tuple[Sequence[str], Sequence[str]]],
    threshold: float = DEFAULT_THRESHOLD,
    max_listed: int = MAX_LISTED,
) -> list[SplitOverlap]:
    """Find texts that have a near-duplicate in another split.

    Args:
        splits: for each split its texts and their locations.
        threshold: similarity from which two texts are near-duplicates, 0.6 to 1.
        max_listed: pairs to list for each two splits; the others are counted.

    Raises:
        RequestError: ``threshold`` is out of range.
    """
    if not MIN_THRESHOLD <= threshold <= 1:
        raise RequestError(
            f"The similarity threshold is {threshold}; {MIN_THRESHOLD} to 1 is allowed.",
            f"The default is {DEFAULT_THRESHOLD}.",
        )
    located = {split: LocatedTexts(*texts) for split, texts in splits.items()}
    signed = {split: _SignedTexts([normalize(text) for text in each.texts]) for split, each in located.items()}
    overlaps = []
    for first, second in _BETWEEN:
        if first in located and second in located:
            nearest, unchecked = _find_nearest(signed[first], signed[second], threshold)
            order = sorted(nearest, key=lambda i: (-nearest[i][1], i))[:max_listed]
            pairs = [_pair(located[second], i, located[first], *nearest[i]) for i in order]
            overlaps.append(SplitOverlap((first, second), len(nearest), len(located[second].texts), pairs, unchecked))
    return overlaps


def _pair(texts: LocatedTexts, i: int, others: LocatedTexts, j: int, value: float) -> NearDuplicate:
    return NearDuplicate(texts.locations[i], texts.texts[i], others.locations[j], others.texts[j], round(value, 4))


class _SignedTexts:
    """Normalized texts of one split with their MinHash signatures."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.first: dict[str, int] = {}  # each different text -> its first index
        for i, text in enumerate(texts):
            self.first.setdefault(text, i)
        self.keys = _band_keys(texts)
        self._grams: dict[int, Hashes] = {}

    def grams(self, i: int) -> Hashes:
        """Return the different 5-grams of text ``i``, cached.

        Args:
            i: position of the text.
        """
        if i not in self._grams:
            if len(self._grams) > 20_000:
                self._grams.clear()
            self._grams[i] = _grams(self.texts[i])
        return self._grams[i]


def _find_nearest(
    first: _SignedTexts, second: _SignedTexts, threshold: float
) -> tuple[dict[int, tuple[int, float]], int]:
    """Return for each text of ``second`` with a near-duplicate in ``first`` the index of the most similar one and its
    similarity; and how many texts had too many candidates."""
    tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(BANDS)]
    for i in first.first.values():  # one index per different text
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
        compared = list(candidates)[:MAX_CANDIDATES]
        unchecked += len(candidates) > len(compared)
        grams = second.grams(i)
        scored = [(_jaccard(grams, first.grams(j)), -j) for j in compared]
        if scored and max(scored)[0] >= threshold:
            value, negative_index = max(scored)
            nearest[i] = (-negative_index, value)
    return nearest, unchecked


def _jaccard(first: Hashes, second: Hashes) -> float:
    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / max(1, len(first) + len(second) - shared)


def _grams(text: str) -> Hashes:
    """Return the different 5-grams of a normalized text as numbers."""
    return np.unique(_hash_grams([text])[0]) if text else np.zeros(0, np.uint64)


def _band_keys(texts: list[str]) -> Hashes:
    """Return a number for each text and band, [N, BANDS]; equal if ROWS minima are equal."""
    generator = np.random.Generator(np.random.PCG64(0))
    factors = generator.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.zeros((len(texts), BANDS), np.uint64)
    for start, end in _chunks(texts):
        hashes, starts = _hash_grams(texts[start:end])
        for number, factor in enumerate(factors):
            minima = np.minimum.reduceat(_mix(hashes * factor), starts)
            band = number // ROWS
            keys[start:end, band] = _mix(keys[start:end, band] * np.uint64(0x9E3779B97F4A7C15) + minima)
    return keys


def _chunks(texts: list[str]) -> Iterator[tuple[int, int]]:
    """Yield ranges of texts of about ``_CHUNK`` characters."""
    start = size = 0
    for end, text in enumerate(texts, start=1):
        size += len(text)
        if size >= _CHUNK or end == len(texts):
            yield start, end
            start, size = end, 0


def _hash_grams(texts: Sequence[str]) -> tuple[Hashes, Ints]:
    """Return the 5-grams of all texts as numbers, one text after another, and the start of each text's.

    A text shorter than a gram is padded: it is similar only to itself."""
    padded = [text.ljust(GRAM, "\0") for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    lengths = np.array([len(text) for text in padded], dtype=np.int64)
    count = len(codes) - GRAM + 1
    values = np.zeros(count, np.uint64)
    for shift in range(GRAM):
        values = values * np.uint64(0x100000001B3) + codes[shift : shift + count]
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), dtype=bool)
    for shift in range(1, GRAM):  # grams that would run into the next text
        inside[ends - shift] = False
    grams = lengths - GRAM + 1
    return _mix(values[inside[:count]]), np.cumsum(grams) - grams


def _mix(values: Hashes) -> Hashes:
    """Make every bit of each number depend on all of its bits (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
