"""Pairs of texts of which the second follows the first, or does not: the data of BERT's next sentence prediction.

As in Devlin et al. (2018), appendix A.2: a pair is two neighbouring stretches of sentences of a document, together as
long as a piece may be; in half of the pairs the second is replaced by a stretch of another document.

The published preparation writes the replaced pairs down once. A small corpus is then learned by heart, pair by pair.
Here a pair's second text is replaced, or not, anew each time it is met, by one of the same length: so rows stay packed
as they are. The last sentence of a pair is cut where the piece is full, and what is cut off begins the next pair; a
last sentence left alone is divided. So no text is lost, but for a last sentence of a single token.

In a corpus of documents of one sentence each the task is easier than it should be: a first text that ends within a
sentence is followed by something that does not begin like one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FOLLOWS, RANDOM = 0, 1  # as in BERT: 0 where B follows A
TRIES = 8  # draws of a stretch of another document before the pair is left as it is
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
    """P pairs of neighbouring stretches, as places in the tokens of all documents.

    Attributes:
        starts: int64 [P, 2], where A and B begin.
        lengths: int64 [P, 2], their tokens.
        document: int64 [P], the document of both.
    """

    starts: Ints
    lengths: Ints
    document: Ints


def make_pairs(borders: Sequence[Ints], room: int, seed: int) -> Pairs:
    """Pairs from the sentences of documents.

    Args:
        borders: for each document where its sentences begin in the tokens of all documents, and where the last one
            ends; ascending.
        room: most tokens of A and B together, at least 2.
        seed: of what is drawn: where A ends, and which pairs are short.
    """
    generator = np.random.Generator(np.random.PCG64([seed, len(borders)]))
    found: list[tuple[int, int, int, int]] = []
    for document, own in enumerate(borders):
        cut = _cut_long(own, room // 2)
        at = 0
        while at < len(cut) - 1:
            end = _reach(cut, at, room, generator)
            if end - at > 1:
                middle = cut[int(generator.integers(at + 1, end))]
            elif cut[end] - cut[at] > 1:  # the last sentence, left alone
                middle = int(generator.integers(cut[at] + 1, cut[end]))
            else:
                break
            found.append((cut[at], middle, cut[end], document))
            at = end
    begin, middle_, end_, owner = np.array(found, dtype=np.int64).reshape(-1, 4).T
    return Pairs(np.stack([begin, middle_], 1), np.stack([middle_ - begin, end_ - middle_], 1), owner)


def _cut_long(offsets: Ints, most: int) -> list[int]:
    """The borders of sentences, with more of them where a sentence is longer than ``most`` tokens."""
    borders = [int(offsets[0])] if len(offsets) else []
    for begin, end in pairwise(offsets.tolist()):
        borders += [*range(begin + most, end, most), end] if end > begin else []
    return borders


def _reach(borders: list[int], at: int, room: int, generator: np.random.Generator) -> int:
    """The border at which the pair that begins at ``at`` ends: as many sentences as fit, and two at least where there
    are two; the last is cut where the pair is full, by a border more."""
    target = room if generator.random() >= SHORT else int(generator.integers(2, room + 1))
    end = min(at + 2, len(borders) - 1)  # two always fit: none is longer than half the room
    while end < len(borders) - 1 and borders[end + 1] - borders[at] <= target:
        end += 1
    full = borders[at] + target
    if end < len(borders) - 1 and borders[end] < full:
        end += 1
        borders.insert(end, full)
    return end


class OtherDocuments:
    """Where a second text may be taken from: from the beginning of any sentence to the end of its document.

    Args:
        borders: of the sentences of each document, as :func:`make_pairs` takes them.
    """

    def __init__(self, borders: Sequence[Ints]) -> None:
        nothing = [np.zeros(0, dtype=np.int64)]
        starts = np.concatenate([*nothing, *(own[:-1] for own in borders)])
        rest = np.concatenate([*nothing, *(own[-1:].repeat(max(0, len(own) - 1)) - own[:-1] for own in borders)])
        document = np.repeat(np.arange(len(borders)), [max(0, len(own) - 1) for own in borders])
        order = np.argsort(-rest, kind="stable")
        self.starts, self.rest, self.document = starts[order], rest[order], document[order]

    def sample(self, document: Ints, lengths: Ints, generator: np.random.Generator) -> Ints:
        """A stretch for each of K pairs that is as long as its second text and of another document.

        Args:
            document: of the pairs, [K].
            lengths: of their second texts, [K].
            generator: source of randomness.

        Returns:
            Where each stretch begins, int64 [K]; -1 where none was found.
        """
        enough = np.searchsorted(-self.rest, -lengths, side="right")  # the first so many are long enough
        found = np.full(len(lengths), -1, dtype=np.int64)
        for _ in range(TRIES):
            pick = (generator.random(len(lengths)) * enough).astype(np.int64)
            good = (found < 0) & (enough > 0)
            good &= self.document[np.minimum(pick, len(self.document) - 1)] != document
            found[good] = self.starts[pick[good]]
        return found
