"""Exact match and F1 between an answer and the right ones, as SQuAD defines them.

Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1: case, punctuation,
the articles a, an and the, and white space are ignored; with several right answers the closest one counts. For a
question without an answer (Rajpurkar, Jia and Liang 2018, "Know What You Don't Know"), no answer scores 1 and any other
answer 0.

Chinese and Japanese are written without spaces between words: each of their characters counts as a word, and their own
punctuation is ignored as well (Lewis et al. 2020, "MLQA", section 4). Other text is counted as in SQuAD.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)  # SQuAD's: that of ASCII
# Kana and Chinese characters.
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def normalized_words(answer: str) -> list[str]:
    """Return the words of an answer that count: in lower case, without punctuation and articles."""
    text = answer.lower().translate(_PUNCTUATION)
    if not _WITHOUT_SPACES.search(text):
        return _ARTICLES.sub(" ", text).split()
    text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    return _WITHOUT_SPACES.sub(r" \g<0> ", _ARTICLES.sub(" ", text)).split()


def token_f1(predicted: Sequence[str], reference: Sequence[str]) -> float:
    """Return the F1 of the words of two answers, 0 to 1; where one has no words, whether neither has.

    Args:
        predicted: normalized words of the answer.
        reference: normalized words of the right answer.
    """
    if not predicted or not reference:
        return float(not predicted and not reference)
    common = (Counter(predicted) & Counter(reference)).total()
    return 2 * common / (len(predicted) + len(reference))


def exact_match_and_f1(answer: str, references: Sequence[str]) -> tuple[float, float]:
    """Compare an answer with the closest right one.

    Args:
        answer: the predicted answer; empty for none.
        references: the right answers; none where the question has no answer. Those without a word that counts are
            skipped.

    Returns:
        Exact match, 0 or 1, and F1, 0 to 1.
    """
    words = normalized_words(answer)
    candidates = [right for reference in references if (right := normalized_words(reference))] or [[]]
    return float(words in candidates), max(token_f1(words, right) for right in candidates)
