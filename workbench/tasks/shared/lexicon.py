"""The simplest translator: each word by itself, by the word that most often stands opposite.

    lexicon = Lexicon.learn(english, french)
    lexicon.translate("The cat sleeps.")        # "Le chat dort."

A word's translation is the one of the highest Dice coefficient, 2 x pairs with both / (pairs with the one + pairs with
the other), over the pairs of sentences (Dice 1945; Smadja et al. 1996 find translations by it); a mark's is a mark.
Where words are not parted by spaces, stretches of one to three characters are tried; of equals the longer, then the
more frequent wins. The order stays that of the source; a word that was never met stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.metrics.overlap import bleu_tokenization

PAIRS = 50_000  # most pairs of sentences that are learned from
MOST_PAIRS_OF_WORDS = 20_000_000  # 8 bytes each
WORDS_OF_A_TEXT = 100  # words behind these are not looked at
CHARACTERS = 3  # in the longest stretch that stands for a word where no spaces do

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[.,;:!?…)\]}])")

Ints = NDArray[np.int64]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())[:WORDS_OF_A_TEXT]


def _stretches(text: str) -> list[str]:
    """Every stretch of one to three characters that holds no space and no mark; marks alone."""
    text = text[:WORDS_OF_A_TEXT]
    found = [text[i : i + n] for n in range(1, CHARACTERS + 1) for i in range(len(text) - n + 1)]
    return [stretch for stretch in found if stretch.isalnum() or (len(stretch) == 1 and not stretch.isspace())]


@dataclass(frozen=True)
class Lexicon:
    """Words and their translations.

    Attributes:
        entries: source word, in small letters -> its translation.
        spaced: whether the target's words are parted by spaces.
        source_words: how a source is taken apart.
    """

    entries: dict[str, str]
    spaced: bool
    source_words: Callable[[str], list[str]]

    @classmethod
    def learn(cls, sources: Sequence[str], targets: Sequence[str]) -> Lexicon:
        """From pairs of sentences, the first ``PAIRS`` of them."""
        sources, targets = sources[:PAIRS], targets[:PAIRS]
        spaced = bleu_tokenization(targets) == "13a"
        source_words = _words if bleu_tokenization(sources) == "13a" else _characters
        target_words = _words if spaced else _stretches
        own, own_of, own_counts = _number([source_words(text) for text in sources])
        other, other_of, other_counts = _number([target_words(text) for text in targets])
        together = _together(own_of, other_of, len(other))
        keys, both = np.unique(together, return_counts=True)
        one, two = keys // max(1, len(other)), keys % max(1, len(other))
        alike = _marks(own)[one] == _marks(other)[two]  # a word is no translation of a full stop
        one, two, both = one[alike], two[alike], both[alike]
        dice = 2 * both / (own_counts[one] + other_counts[two])
        length = np.array([len(word) for word in other], dtype=np.int64)
        longer = np.zeros(len(two), np.int64) if spaced else length[two]
        order = np.lexsort((-two, both, longer, dice, one))  # the last of each source word is the best
        last = np.flatnonzero(np.diff(one[order], append=-1))
        return cls({own[one[i]]: other[two[i]] for i in order[last]}, spaced, source_words)

    def translate(self, text: str) -> str:
        """``text``, word by word."""
        words = [self.entries.get(word, word) for word in self.source_words(text)]
        if not self.spaced:
            return "".join(words)
        joined = _SPACE_BEFORE_MARK.sub("", " ".join(words))
        return joined[:1].upper() + joined[1:]


def _characters(text: str) -> list[str]:
    return [character for character in text[:WORDS_OF_A_TEXT] if not character.isspace()]


def _number(texts: Sequence[Sequence[str]]) -> tuple[list[str], list[Ints], Ints]:
    """The different words, those of each text as numbers (each once), and in how many texts each stands, [words]."""
    numbers: dict[str, int] = {}
    of = [
        np.unique(np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64))
        for words in texts
    ]
    flat = np.concatenate(of) if of else np.zeros(0, np.int64)
    return list(numbers), of, np.bincount(flat, minlength=len(numbers))


def _marks(words: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([not word[0].isalnum() for word in words], dtype=bool)


def _together(one: Sequence[Ints], other: Sequence[Ints], width: int) -> Ints:
    """Every pair of words that stand opposite, as ``one * width + other``; a pair of sentences gives each once."""
    found, total = [np.zeros(0, np.int64)], 0
    for a, b in zip(one, other, strict=True):
        found.append((a[:, None] * width + b[None, :]).ravel())
        total += len(found[-1])
        if total > MOST_PAIRS_OF_WORDS:
            break
    return np.concatenate(found)
