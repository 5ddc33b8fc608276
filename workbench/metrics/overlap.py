"""Overlap of generated texts with references: counts for BLEU and chrF, and ROUGE.

For each example the counts that :mod:`workbench.metrics.measures` sums over a corpus:

    table = bleu_counts(generated, references, "13a") | chrf_counts(generated, references)
    metric_values(table, {"bleu": BLEU, "chrf": CHRF})

BLEU is sacreBLEU's (Post 2018), with its tokenizations "13a" (languages with spaces between words), "zh" (each Chinese
character is a word) and "char" (each character is a word, for other scripts without spaces). chrF is chrF2 of Popovic
(2015) without spaces, as in sacreBLEU. ROUGE is that of Lin (2004), as the package rouge-score computes it. Tests
compare each with these packages; none of them is needed here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from workbench.metrics.measures import Measure
from workbench.types import Floats

Tokenization: TypeAlias = Literal["13a", "zh", "char"]
RougeTokenization: TypeAlias = Literal["ascii", "unicode"]
Counts: TypeAlias = dict[str, Floats]  # columns [N] by name

BLEU_ORDERS, CHRF_ORDERS = range(1, 5), range(1, 7)
BLEU_COLUMNS = (
    *(f"bleu_hits_{n}" for n in BLEU_ORDERS),
    *(f"bleu_written_{n}" for n in BLEU_ORDERS),
    "bleu_length",
    "bleu_reference",
)
CHRF_COLUMNS = tuple(f"chrf_{what}_{n}" for what in ("hits", "written", "reference") for n in CHRF_ORDERS)
BLEU: Measure = ("bleu", *BLEU_COLUMNS)
CHRF: Measure = ("chrf", *CHRF_COLUMNS)
ROUGE = ("rouge1", "rouge2", "rougeL")

SCRIPT_SAMPLE = 1_000  # texts that are inspected to detect their script
MAX_NON_ASCII = 0.05  # share of letters outside a-z above which ROUGE tokenizes all letters

# -- words ---------------------------------------------------------------------------------------------------------

# Each of these becomes a word: ASCII punctuation except , - . and the apostrophe; then , and . not between digits, and
# a hyphen after a digit (mteval-v13a, the script of the NIST evaluations).
_PUNCTUATION = re.compile(r"([{-~\[-` -&(-+:-@/])")
_MARK_BEHIND = re.compile(r"([^0-9])([.,])")
_MARK_BEFORE = re.compile(r"([.,])([^0-9])")
_DASH = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# sacreBLEU's "zh": Chinese characters and marks. Its table of ranges writes two planes with four digits and so includes
# U+2001 to U+2A6D and U+2F81 to U+2FA1 (curly quotes, dashes). Kept as it is, so that scores are equal.
_CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u33ff\u3400-\u4db5"
    "\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
# One word: a character of a script without spaces between words, or a run of letters and digits of any other script.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_UNSPACED += "\uf900-\ufaff\U00020000-\U0003ffff"
_UNICODE_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")
_ONE_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA = re.compile("[\u3040-\u30ff]")


def _western(text: str) -> list[str]:
    for pattern, into in ((_PUNCTUATION, r" \1 "), (_MARK_BEHIND, r"\1 \2 "), (_MARK_BEFORE, r" \1 \2")):
        text = pattern.sub(into, text)
    return _DASH.sub(r"\1 \2 ", text).split()


def _words_13a(text: str) -> list[str]:
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return _western(f" {text} ")


def _words_zh(text: str) -> list[str]:
    return _western(_CHINESE.sub(r" \1 ", text.strip()))


def _words_char(text: str) -> list[str]:
    return [character for character in text if not character.isspace()]


TOKENIZERS: dict[Tokenization, Callable[[str], list[str]]] = {"13a": _words_13a, "zh": _words_zh, "char": _words_char}


def bleu_tokenization(texts: Iterable[str]) -> Tokenization:
    """Choose BLEU's tokenization for the script of some texts.

    Args:
        texts: the first ``SCRIPT_SAMPLE`` of them are inspected.
    """
    letters = _letters(texts)
    unspaced = _ONE_UNSPACED.findall(letters)
    if 2 * len(unspaced) < len(letters) or not letters:
        return "13a"
    # Japanese uses Chinese characters too, but rarely without kana in between.
    return "zh" if len(_HAN.findall(letters)) > 10 * len(_KANA.findall(letters)) else "char"


def rouge_tokenization(texts: Iterable[str]) -> RougeTokenization:
    """Choose ROUGE's tokenization: ``"ascii"`` (rouge-score's own: a-z and 0-9) where nearly all letters are ASCII.

    Args:
        texts: the first ``SCRIPT_SAMPLE`` of them are inspected.
    """
    letters = _letters(texts)
    non_ascii = sum(not character.isascii() for character in letters)
    return "unicode" if letters and non_ascii > MAX_NON_ASCII * len(letters) else "ascii"


def _letters(texts: Iterable[str]) -> str:
    sample = [text for text, _ in zip(texts, range(SCRIPT_SAMPLE), strict=False)]
    return "".join(character for text in sample for character in text if character.isalpha())


# -- BLEU and chrF -------------------------------------------------------------------------------------------------


def bleu_counts(generated: Sequence[str], references: Sequence[str], tokenization: Tokenization) -> Counts:
    """Count the n-grams of each example for BLEU.

    Args:
        generated: texts of a model [N].
        references: reference texts [N].
        tokenization: how texts are split into words.

    Returns:
        Columns [N] named ``BLEU_COLUMNS``.
    """
    split = TOKENIZERS[tokenization]
    rows = [_bleu_row(split(a.rstrip()), split(b.rstrip())) for a, b in zip(generated, references, strict=True)]
    return _columns(BLEU_COLUMNS, rows)


def _bleu_row(generated: list[str], reference: list[str]) -> list[int]:
    hits = [_n_shared(_ngrams(generated, n), _ngrams(reference, n)) for n in BLEU_ORDERS]
    return [*hits, *(max(0, len(generated) - n + 1) for n in BLEU_ORDERS), len(generated), len(reference)]


def chrf_counts(generated: Sequence[str], references: Sequence[str]) -> Counts:
    """Count the character n-grams of each example for chrF.

    Args:
        generated: texts of a model [N].
        references: reference texts [N].

    Returns:
        Columns [N] named ``CHRF_COLUMNS``.
    """
    pairs = zip(generated, references, strict=True)
    return _columns(CHRF_COLUMNS, [_chrf_row("".join(a.split()), "".join(b.split())) for a, b in pairs])


def _chrf_row(generated: str, reference: str) -> list[int]:
    hits = [_n_shared(_ngrams(generated, n), _ngrams(reference, n)) for n in CHRF_ORDERS]
    in_reference = [max(0, len(reference) - n + 1) for n in CHRF_ORDERS]
    # An order for which the reference is too short does not count against the generated text.
    counted = [max(0, len(generated) - n + 1) if in_reference[i] else 0 for i, n in enumerate(CHRF_ORDERS)]
    return [*hits, *counted, *in_reference]


def _ngrams(text: str | list[str], n: int) -> Counter[Hashable]:
    """Count the n-grams of a text's characters, or of a list of words."""
    if isinstance(text, str):
        return Counter(text[i : i + n] for i in range(len(text) - n + 1))
    return Counter(zip(*(text[i:] for i in range(n)), strict=False))


def _n_shared(one: Counter[Hashable], other: Counter[Hashable]) -> int:
    return sum(min(count, other[ngram]) for ngram, count in one.items() if ngram in other)


def _columns(names: Sequence[str], rows: Sequence[Sequence[float]]) -> Counts:
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return dict(zip(names, matrix.T, strict=True))


# -- ROUGE ---------------------------------------------------------------------------------------------------------


def rouge_scores(
    generated: Sequence[str], references: Sequence[Sequence[str]], tokenization: RougeTokenization = "ascii"
) -> Counts:
    """Compute the F-scores of ROUGE-1, ROUGE-2 and ROUGE-L of each example, without stemming.

    Args:
        generated: texts of a model [N].
        references: one or more reference texts for each [N]; the best one counts, for each score separately.
        tokenization: ``"ascii"`` as in rouge-score, which drops every other letter; or ``"unicode"``, which keeps
            accents and splits Chinese and Japanese into characters.

    Returns:
        Columns [N] named ``ROUGE``.
    """
    rows = []
    for text, candidates in zip(generated, references, strict=True):
        words = rouge_tokens(text, tokenization)
        rows.append(np.max([_rouge_row(words, rouge_tokens(each, tokenization)) for each in candidates], axis=0))
    return _columns(ROUGE, rows)


def rouge_tokens(text: str, tokenization: RougeTokenization) -> list[str]:
    """Split a text into the words that ROUGE counts, in lower case.

    Args:
        text: any text.
        tokenization: see :func:`rouge_scores`.
    """
    if tokenization == "ascii":
        return _ASCII_WORDS.findall(text.lower())
    return _UNICODE_WORDS.findall(unicodedata.normalize("NFC", text).lower())


def _rouge_row(generated: list[str], reference: list[str]) -> list[float]:
    scores = []
    for n in (1, 2):
        one, other = _ngrams(generated, n), _ngrams(reference, n)
        scores.append(_f_score(_n_shared(one, other), one.total(), other.total()))
    return [*scores, _f_score(lcs_length(generated, reference), len(generated), len(reference))]


def _f_score(hits: int, generated: int, reference: int) -> float:
    return 2 * hits / (generated + reference) if hits else 0.0


def lcs_length(one: Sequence[Hashable], other: Sequence[Hashable]) -> int:
    """Return the length of the longest common subsequence, gaps allowed.

    A row of the usual table is one integer with a bit for each element of ``one``: Hyyrö (2004), "Bit-parallel
    LCS-length computation revisited".

    Args:
        one: a sequence.
        other: another one.
    """
    positions: dict[Hashable, int] = {}
    for i, element in enumerate(one):
        positions[element] = positions.get(element, 0) | 1 << i
    all_bits = (1 << len(one)) - 1
    row = all_bits
    for element in other:
        matches = row & positions.get(element, 0)
        row = ((row + matches) | (row - matches)) & all_bits
    return len(one) - row.bit_count()
