"""A baseline translator: each word is translated on its own, into the word that co-occurs with it most strongly.

    lexicon = Lexicon.learn(english, french)
    lexicon.translate("The cat sleeps.")        # "Le chat dort."

A word's translation has the highest Dice coefficient over the sentence pairs: 2 x pairs with both / (pairs with the
one + pairs with the other) (Dice 1945; Smadja et al. 1996 translate with it). Punctuation marks are translated into
punctuation marks. If words are not separated by spaces, n-grams of one to three characters are used instead; ties go
to the longer, then to the more frequent n-gram. The source's word order is kept, and unknown words stay unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.metrics.overlap import bleu_tokenization
from workbench.types import Bools, Ints

MAX_PAIRS = 50_000  # sentence pairs to learn from
MAX_WORD_PAIRS = 20_000_000  # 8 bytes each
MAX_WORDS = 100  # words of a text that are used
MAX_CHARACTERS = 3  # length of the n-grams that replace words if there are no spaces

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[.,;:!?…)\]}])")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())[:MAX_WORDS]


def _character_ngrams(text: str) -> list[str]:
    """Return all n-grams of one to three characters without spaces and punctuation, and the punctuation marks."""
    text = text[:MAX_WORDS]
    stretches = [text[i : i + n] for n in range(1, MAX_CHARACTERS + 1) for i in range(len(text) - n + 1)]
    return [each for each in stretches if each.isalnum() or (len(each) == 1 and not each.isspace())]


@dataclass(frozen=True)
class Lexicon:
    """Words and their translations.

    Attributes:
        entries: the translation of each source word; source words are lowercase.
        spaced: whether the target's words are separated by spaces.
        source_words: splits a source into words.
    """

    entries: dict[str, str]
    spaced: bool
    source_words: Callable[[str], list[str]]

    @classmethod
    def learn(cls, sources: Sequence[str], targets: Sequence[str]) -> Lexicon:
        """Learn a lexicon from the first ``MAX_PAIRS`` sentence pairs.

        Args:
            sources: N sentences.
            targets: their translations, [N].
        """
        sources, targets = sources[:MAX_PAIRS], targets[:MAX_PAIRS]
        spaced = bleu_tokenization(targets) == "13a"
        source_words = _words if bleu_tokenization(sources) == "13a" else _characters
        target_words = _words if spaced else _character_ngrams
        own, own_by_text, own_counts = _number([source_words(text) for text in sources])
        other, other_by_text, other_counts = _number([target_words(text) for text in targets])
        keys, both = np.unique(_word_pairs(own_by_text, other_by_text, len(other)), return_counts=True)
        one, two = keys // max(1, len(other)), keys % max(1, len(other))
        same_kind = _are_marks(own)[one] == _are_marks(other)[two]  # a full stop cannot translate a word
        one, two, both = one[same_kind], two[same_kind], both[same_kind]
        dice = 2 * both / (own_counts[one] + other_counts[two])
        length = np.array([len(word) for word in other], dtype=np.int64)
        longer = np.zeros(len(two), np.int64) if spaced else length[two]
        order = np.lexsort((-two, both, longer, dice, one))  # the last pair of each source word is the best
        last = np.flatnonzero(np.diff(one[order], append=-1))
        return cls({own[one[i]]: other[two[i]] for i in order[last]}, spaced, source_words)

    def translate(self, text: str) -> str:
        """Translate a text word by word.

        Args:
            text: a source text.
        """
        words = [self.entries.get(word, word) for word in self.source_words(text)]
        if not self.spaced:
            return "".join(words)
        joined = _SPACE_BEFORE_MARK.sub("", " ".join(words))
        return joined[:1].upper() + joined[1:]


def _characters(text: str) -> list[str]:
    return [character for character in text[:MAX_WORDS] if not character.isspace()]


def _number(texts: Sequence[Sequence[str]]) -> tuple[list[str], list[Ints], Ints]:
    """Return the distinct words, each text's distinct words as indices, and the number of texts with each word."""
    numbers: dict[str, int] = {}
    by_text = [
        np.unique(np.array([numbers.setdefault(word, len(numbers)) for word in words], dtype=np.int64))
        for words in texts
    ]
    flat = np.concatenate(by_text) if by_text else np.zeros(0, np.int64)
    return list(numbers), by_text, np.bincount(flat, minlength=len(numbers))


def _are_marks(words: Sequence[str]) -> Bools:
    return np.array([not word[0].isalnum() for word in words], dtype=bool)


def _word_pairs(one: Sequence[Ints], other: Sequence[Ints], width: int) -> Ints:
    """Return the distinct pairs of words from both sentences of each pair, encoded as ``one * width + other``."""
    pairs, total = [np.zeros(0, np.int64)], 0
    for a, b in zip(one, other, strict=True):
        pairs.append((a[:, None] * width + b[None, :]).ravel())
        total += len(pairs[-1])
        if total > MAX_WORD_PAIRS:
            break
    return np.concatenate(pairs)
