"""Pairs of texts of which the second follows the first, or does not: the data of BERT's next sentence prediction.

As in Devlin et al. (2018), appendix A.2: a pair is two neighbouring stretches of sentences of a document, together as
long as a piece may be; in half of the pairs the second is taken from another document instead, and what it would have
been begins the next pair. The last sentence is cut where the piece is full. What is cut off, which the published
preparation drops, begins the next pair: no text is lost.

Two things differ from the published preparation, so that the two kinds of pairs are equally frequent: the last sentence
of a document, left alone, is divided where its second half is to follow (there it always took a random text), and which
pairs get a random text is dealt out in halves, not drawn for each. In a corpus of documents of one sentence each the
task is easier than it should be: a first text that ends within a sentence gives the answer away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FOLLOWS, RANDOM = 0, 1  # as in BERT: 0 where B follows A
SHORT = 0.1  # share of the pairs that are shorter than they could be, so that short inputs are known as well

# After a mark that ends a sentence (Western marks need a space behind them, Chinese and Japanese ones do not), or at a
# new line. Wrong at "Dr. Who"; nothing here depends on its being right every time.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")


def sentences(text: str) -> list[str]:
    """A text cut into its sentences, roughly; nothing but space between them is lost."""
    found, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if text[start:end].strip():
            found.append(text[start:end])
            start = end
    rest = text[start:]
    return [*found, rest] if rest.strip() else found


@dataclass(frozen=True)
class Pairs:
    """P pairs, as stretches of the tokens of all documents.

    Attributes:
        starts: int64 [P, 2], where A and B begin.
        lengths: int64 [P, 2], their tokens.
        document: int64 [P], the document of A.
        kind: int8 [P], 0 where B follows A, 1 where it comes from another document.
    """

    starts: Ints
    lengths: Ints
    document: Ints
    kind: NDArray[np.int8]


def make_pairs(sentence_offsets: list[Ints], room: int, seed: int) -> Pairs:
    """Pairs from the sentences of documents.

    Args:
        sentence_offsets: for each document where its sentences begin in the tokens of all documents, and where the last
            one ends; ascending.
        room: most tokens of A and B together, at least 2.
        seed: of what is drawn.
    """
    generator = np.random.Generator(np.random.PCG64([seed, len(sentence_offsets)]))
    maker = _Maker([_cut_long(offsets, max(1, room // 2)) for offsets in sentence_offsets], room, generator)
    for document in range(len(sentence_offsets)):
        maker.pair_up(document)
    found = np.array(maker.found, dtype=np.int64).reshape(-1, 6)
    return Pairs(found[:, [0, 2]], found[:, [1, 3]], found[:, 4], found[:, 5].astype(np.int8))


def _cut_long(offsets: Ints, most: int) -> list[int]:
    """The borders of sentences, with more of them where a sentence is longer than ``most`` tokens."""
    borders = [int(offsets[0])] if len(offsets) else []
    for begin, end in pairwise(offsets.tolist()):
        borders += [*range(begin + most, end, most), end] if end > begin else []
    return borders


class _Maker:
    """Goes through the documents and makes pairs."""

    def __init__(self, borders: list[list[int]], room: int, generator: np.random.Generator) -> None:
        self.sentences = borders
        self.room = room
        self.generator = generator
        self.others = np.array([i for i, each in enumerate(borders) if len(each) > 1])
        self.found: list[tuple[int, int, int, int, int, int]] = []
        self._kinds: list[int] = []

    def pair_up(self, document: int) -> None:
        """All pairs of one document."""
        borders = list(self.sentences[document])  # more are added where a pair is full
        at = 0
        while at < len(borders) - 1:
            kind, end = self._next_kind(), self._reach(borders, at)
            if end - at > 1:
                middle = int(self.generator.integers(at + 1, end))
                self._add(document, kind, borders[at], borders[middle], borders[end])
                at = end if kind == FOLLOWS else middle
            else:
                self._add_last(document, kind, borders[at], borders[end])
                at = end

    def _reach(self, borders: list[int], at: int) -> int:
        """The border at which the pair that begins at ``at`` ends: as many sentences as fit, and two at least where
        there are two; the last is cut where the pair is full."""
        target = self.room
        if self.generator.random() < SHORT:
            target = int(self.generator.integers(2, self.room + 1))
        end = min(at + 2, len(borders) - 1)  # two always fit: none is longer than half the room
        while end < len(borders) - 1 and borders[end + 1] - borders[at] <= target:
            end += 1
        full = borders[at] + target
        if end < len(borders) - 1 and borders[end] < full:
            end += 1
            borders.insert(end, full)
        return end

    def _add_last(self, document: int, kind: int, begin: int, end: int) -> None:
        """A pair of the last sentence of a document, when it is left alone."""
        if kind == FOLLOWS and end - begin > 1:
            self._add(document, kind, begin, int(self.generator.integers(begin + 1, end)), end)
        else:
            self._add(document, RANDOM, begin, end, end)

    def _add(self, document: int, kind: int, begin: int, middle: int, end: int) -> None:
        """A is ``begin`` to ``middle``; B is what follows to ``end``, or something else."""
        b = (middle, end - middle) if kind == FOLLOWS else self._elsewhere(document, self.room - (middle - begin))
        self.found.append((begin, middle - begin, *b, document, kind))

    def _elsewhere(self, document: int, room: int) -> tuple[int, int]:
        """A stretch of another document from a sentence's beginning, at most ``room`` tokens."""
        other = document
        while other == document:
            other = int(self.others[self.generator.integers(len(self.others))])
        borders = self.sentences[other]
        first = int(self.generator.integers(len(borders) - 1))
        return borders[first], min(borders[-1] - borders[first], room)

    def _next_kind(self) -> int:
        """Dealt out in shuffled blocks of ten with five of each."""
        if not self._kinds:
            self._kinds = self.generator.permutation([FOLLOWS, RANDOM] * 5).tolist()
        return self._kinds.pop()
