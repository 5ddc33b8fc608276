"""Sentence pairs for BERT's next sentence prediction: the second text follows the first, or is a random one.

As in Devlin et al. (2018), appendix A.2, a pair consists of two consecutive spans of sentences from a document,
together as long as a chunk may be. In half of the pairs, the second span is replaced by one from another document.

The published preprocessing replaces spans once, so a model memorizes a small corpus pair by pair. Here, the replacement
is decided each time a pair is read. The replacement has the same length, so the packing of rows never changes. The
last sentence of a pair is cut where the chunk is full, and the rest begins the next pair; a single remaining sentence
is divided. So no text is lost, except for a last sentence of a single token.

In a corpus of one-sentence documents, the task is easier than it should be: a first text that ends within a sentence
is followed by one that does not begin like a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from workbench.types import Ints

FOLLOWS, RANDOM = 0, 1  # as in BERT: 0 means that B follows A
ATTEMPTS = 8  # attempts to sample a span from another document before a pair is left unchanged
SHORT = 0.1  # share of pairs that are shorter than possible, so that the model also sees short inputs

# After a mark that ends a sentence (Western marks need a following space, Chinese and Japanese marks do not), or at a
# newline. This fails for "Dr. Who", but sentence boundaries need not be exact here.
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[。！？])|\n+")


def sentences(text: str) -> list[str]:
    """Split a text into approximate sentences; only the spaces between them are lost.

    Args:
        text: any text.
    """
    result, start = [], 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if text[start:end].strip():
            result.append(text[start:end])
            start = end
    rest = text[start:]
    return [*result, rest] if rest.strip() else result


@dataclass(frozen=True)
class SentencePairs:
    """P pairs of consecutive spans, as positions in the tokens of all documents.

    Attributes:
        starts: int64 [P, 2], where A and B begin.
        lengths: int64 [P, 2], number of tokens in A and B.
        document: int64 [P], the document of both.
    """

    starts: Ints
    lengths: Ints
    document: Ints


def make_pairs(borders: Sequence[Ints], room: int, seed: int) -> SentencePairs:
    """Make pairs from the sentences of documents.

    Args:
        borders: for each document, the offsets of its sentences in the tokens of all documents, and the end of the
            last one; ascending.
        room: maximum number of tokens in A and B together, at least 2.
        seed: seed for sampling where A ends and which pairs are short.
    """
    generator = np.random.Generator(np.random.PCG64([seed, len(borders)]))
    pairs: list[tuple[int, int, int, int]] = []
    for document, own in enumerate(borders):
        cut = _cut_long(own, room // 2)
        i = 0
        while i < len(cut) - 1:
            end = _reach(cut, i, room, generator)
            if end - i > 1:
                middle = cut[int(generator.integers(i + 1, end))]
            elif cut[end] - cut[i] > 1:  # a single remaining sentence
                middle = int(generator.integers(cut[i] + 1, cut[end]))
            else:
                break
            pairs.append((cut[i], middle, cut[end], document))
            i = end
    begins, middles, ends, owner = np.array(pairs, dtype=np.int64).reshape(-1, 4).T
    return SentencePairs(np.stack([begins, middles], 1), np.stack([middles - begins, ends - middles], 1), owner)


def _cut_long(offsets: Ints, most: int) -> list[int]:
    """Return the sentence borders, with additional ones inside sentences longer than ``most`` tokens."""
    borders = [int(offsets[0])] if len(offsets) else []
    for begin, end in pairwise(offsets.tolist()):
        borders += [*range(begin + most, end, most), end] if end > begin else []
    return borders


def _reach(borders: list[int], start: int, room: int, generator: np.random.Generator) -> int:
    """Return the index of the border at which the pair that begins at border ``start`` ends.

    A pair has as many sentences as fit, and at least two if there are two. The last one is cut where the pair is
    full, by inserting a border.
    """
    target = room if generator.random() >= SHORT else int(generator.integers(2, room + 1))
    end = min(start + 2, len(borders) - 1)  # two always fit, as no sentence is longer than half the room
    while end < len(borders) - 1 and borders[end + 1] - borders[start] <= target:
        end += 1
    full = borders[start] + target
    if end < len(borders) - 1 and borders[end] < full:
        end += 1
        borders.insert(end, full)
    return end


class OtherDocuments:
    """The spans that can replace a second text: from the beginning of any sentence to the end of its document.

    Args:
        borders: borders of the sentences of each document, as :func:`make_pairs` takes them.
    """

    def __init__(self, borders: Sequence[Ints]) -> None:
        empty = [np.zeros(0, dtype=np.int64)]
        starts = np.concatenate([*empty, *(own[:-1] for own in borders)])
        rest = np.concatenate([*empty, *(own[-1:].repeat(max(0, len(own) - 1)) - own[:-1] for own in borders)])
        document = np.repeat(np.arange(len(borders)), [max(0, len(own) - 1) for own in borders])
        order = np.argsort(-rest, kind="stable")
        self.starts, self.rest, self.document = starts[order], rest[order], document[order]

    def sample(self, document: Ints, lengths: Ints, generator: np.random.Generator) -> Ints:
        """Sample a span from another document for each of K pairs, as long as the pair's second text.

        Args:
            document: document of the pairs, [K].
            lengths: lengths of their second texts, [K].
            generator: source of randomness.

        Returns:
            Start of each span, int64 [K]; -1 if none was found.
        """
        enough = np.searchsorted(-self.rest, -lengths, side="right")  # number of spans that are long enough
        starts = np.full(len(lengths), -1, dtype=np.int64)
        for _ in range(ATTEMPTS):
            index = (generator.random(len(lengths)) * enough).astype(np.int64)
            usable = (starts < 0) & (enough > 0)
            usable &= self.document[np.minimum(index, len(self.document) - 1)] != document
            starts[usable] = self.starts[index[usable]]
        return starts
