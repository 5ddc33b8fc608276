"""How answers are compared with the right ones: exact match and F1, as SQuAD defines them.

Rajpurkar et al. (2016), "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1: capitals,
punctuation, the articles a, an and the, and white space make no difference; of several right answers the nearest
counts. For a question without an answer (Rajpurkar, Jia and Liang 2018, "Know What You Don't Know"), no answer is worth
1 and any other 0.

Chinese and Japanese write no space between words: there each character counts as a word, and their own punctuation
makes no difference either (Lewis et al. 2020, "MLQA", section 4). What has no such character is counted as SQuAD does.
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
    """The words of an answer that count: in small letters, without punctuation and articles."""
    text = answer.lower().translate(_PUNCTUATION)
    if not _WITHOUT_SPACES.search(text):
        return _ARTICLES.sub(" ", text).split()
    text = "".join(c for c in text if not unicodedata.category(c).startswith("P"))
    return _WITHOUT_SPACES.sub(r" \g<0> ", _ARTICLES.sub(" ", text)).split()


def token_f1(given: Sequence[str], right: Sequence[str]) -> float:
    """F1 of the words of two answers, 0 to 1; where one has no words, whether neither has."""
    if not given or not right:
        return float(not given and not right)
    common = (Counter(given) & Counter(right)).total()
    return 2 * common / (len(given) + len(right))


def exact_match_and_f1(given: str, right: Sequence[str]) -> tuple[float, float]:
    """Exact match, 0 or 1, and F1, 0 to 1, of an answer with the nearest right one.

    Args:
        given: the answer; empty for none.
        right: right answers; none where the question has no answer. Those without a word that counts are passed over.
    """
    words = normalized_words(given)
    wanted = [known for answer in right if (known := normalized_words(answer))] or [[]]
    return float(words in wanted), max(token_f1(words, known) for known in wanted)
