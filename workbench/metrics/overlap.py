"""What a written text has in common with one that a person wrote: counts for BLEU and chrF, and ROUGE.

For each example the counts that :mod:`workbench.metrics.measures` adds up over a corpus:

    table = bleu_counts(written, references, "13a") | chrf_counts(written, references)
    figures(table, {"bleu": BLEU, "chrf": CHRF})

BLEU is sacreBLEU's (Post 2018), with its tokenizations "13a" (languages that part words by spaces), "zh" (each Chinese
character is a word) and "char" (each character is one, for other scripts without spaces). chrF is chrF2 of Popovic
(2015), spaces left out, as sacreBLEU has it. ROUGE is that of Lin (2004), as the package rouge-score computes it. The
tests hold each to these packages; none of them is needed here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workbench.metrics.measures import Measure

Tokenization = Literal["13a", "zh", "char"]
RougeTokenization = Literal["ascii", "unicode"]
Counts = dict[str, NDArray[np.float64]]

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

SCRIPT_SAMPLE = 1_000  # texts that are looked at to tell their script
MAX_NON_ASCII = 0.05  # share of letters that the 26 lack from which ROUGE must know all letters

# -- words ---------------------------------------------------------------------------------------------------------

# Each of these becomes a word: ASCII punctuation but for , - . and the apostrophe; then , and . not between digits, and
# a hyphen behind a digit (mteval-v13a, the script of the NIST evaluations).
_PUNCTUATION = re.compile(r"([{-~\[-` -&(-+:-@/])")
_MARK_BEHIND = re.compile(r"([^0-9])([.,])")
_MARK_BEFORE = re.compile(r"([.,])([^0-9])")
_DASH = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# sacreBLEU's "zh": Chinese characters and marks. Its table of ranges writes two planes with four digits and so takes in
# U+2001 to U+2A6D and U+2F81 to U+2FA1 as well (curly quotes, dashes): kept, or the figures would differ.
_CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u33ff\u3400-\u4db5"
    "\u4e00-\u9fbb\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
# One word: a character of a script that parts no words by spaces, or letters and digits of any other together.
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
    """The tokenization of BLEU that suits the script of ``texts``; the first ``SAMPLE`` of them are looked at."""
    letters = _letters(texts)
    unspaced = _ONE_UNSPACED.findall(letters)
    if 2 * len(unspaced) < len(letters) or not letters:
        return "13a"
    # Japanese is written with Chinese characters too, but never without kana for long.
    return "zh" if len(_HAN.findall(letters)) > 10 * len(_KANA.findall(letters)) else "char"


def rouge_tokenization(texts: Iterable[str]) -> RougeTokenization:
    """``"ascii"`` (rouge-score's own words: a-z and 0-9) where nearly all letters of ``texts`` are among these."""
    letters = _letters(texts)
    foreign = sum(not character.isascii() for character in letters)
    return "unicode" if letters and foreign > MAX_NON_ASCII * len(letters) else "ascii"


def _letters(texts: Iterable[str]) -> str:
    sample = [text for text, _ in zip(texts, range(SCRIPT_SAMPLE), strict=False)]
    return "".join(character for text in sample for character in text if character.isalpha())


# -- BLEU and chrF -------------------------------------------------------------------------------------------------


def bleu_counts(written: Sequence[str], references: Sequence[str], words: Tokenization) -> Counts:
    """Counts of each example, columns [N] named ``BLEU_COLUMNS``.

    Args:
        written: N texts of a model's.
        references: what should have been written, one for each.
        words: what a word is.
    """
    cut = TOKENIZERS[words]
    rows = [_bleu_row(cut(a.rstrip()), cut(b.rstrip())) for a, b in zip(written, references, strict=True)]
    return _columns(BLEU_COLUMNS, rows)


def _bleu_row(written: list[str], reference: list[str]) -> list[int]:
    hits = [_shared(_grams(written, n), _grams(reference, n)) for n in BLEU_ORDERS]
    return [*hits, *(max(0, len(written) - n + 1) for n in BLEU_ORDERS), len(written), len(reference)]


def chrf_counts(written: Sequence[str], references: Sequence[str]) -> Counts:
    """Counts of each example, columns [N] named ``CHRF_COLUMNS``; arguments as of :func:`bleu_counts`."""
    rows = [_chrf_row("".join(a.split()), "".join(b.split())) for a, b in zip(written, references, strict=True)]
    return _columns(CHRF_COLUMNS, rows)


def _chrf_row(written: str, reference: str) -> list[int]:
    hits = [_shared(_grams(written, n), _grams(reference, n)) for n in CHRF_ORDERS]
    there = [max(0, len(reference) - n + 1) for n in CHRF_ORDERS]
    # An order that the reference is too short for is not counted against what was written.
    counted = [max(0, len(written) - n + 1) if there[i] else 0 for i, n in enumerate(CHRF_ORDERS)]
    return [*hits, *counted, *there]


def _grams(text: str | list[str], n: int) -> Counter[Any]:
    """The n-grams of a text's characters, or of a list of words, with how often each stands there."""
    if isinstance(text, str):
        return Counter(text[i : i + n] for i in range(len(text) - n + 1))
    return Counter(zip(*(text[i:] for i in range(n)), strict=False))


def _shared(one: Counter[Any], other: Counter[Any]) -> int:
    return sum(min(count, other[gram]) for gram, count in one.items() if gram in other)


def _columns(names: Sequence[str], rows: Sequence[Sequence[float]]) -> Counts:
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return dict(zip(names, matrix.T, strict=True))


# -- ROUGE ---------------------------------------------------------------------------------------------------------


def rouge_scores(
    written: Sequence[str], references: Sequence[Sequence[str]], words: RougeTokenization = "ascii"
) -> Counts:
    """F of ROUGE-1, ROUGE-2 and ROUGE-L of each example, columns [N] named ``ROUGE``; no stemming.

    Args:
        written: N texts of a model's.
        references: what should have been written; of several the best counts, for each figure by itself.
        words: what a word is: ``"ascii"`` as in rouge-score, which drops every other letter; or ``"unicode"``, where
            accents stay, and each Chinese or Japanese character is a word.
    """
    rows = []
    for text, given in zip(written, references, strict=True):
        own = rouge_tokens(text, words)
        rows.append(np.max([_rouge_row(own, rouge_tokens(each, words)) for each in given], axis=0))
    return _columns(ROUGE, rows)


def rouge_tokens(text: str, words: RougeTokenization) -> list[str]:
    """The words that ROUGE counts, in small letters."""
    if words == "ascii":
        return _ASCII_WORDS.findall(text.lower())
    return _UNICODE_WORDS.findall(unicodedata.normalize("NFC", text).lower())


def _rouge_row(written: list[str], reference: list[str]) -> list[float]:
    found = []
    for n in (1, 2):
        one, other = _grams(written, n), _grams(reference, n)
        found.append(_f(_shared(one, other), one.total(), other.total()))
    return [*found, _f(lcs_length(written, reference), len(written), len(reference))]


def _f(hits: int, written: int, reference: int) -> float:
    return 2 * hits / (written + reference) if hits else 0.0


def lcs_length(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Length of the longest sequence that is in both, gaps allowed.

    A row of the usual table is one number, a bit for each element of ``one``: Hyyrö (2004), "Bit-parallel LCS-length
    computation revisited".
    """
    places: dict[Any, int] = {}
    for i, element in enumerate(one):
        places[element] = places.get(element, 0) | 1 << i
    whole = (1 << len(one)) - 1
    row = whole
    for element in other:
        steps = row & places.get(element, 0)
        row = ((row + steps) | (row - steps)) & whole
    return len(one) - row.bit_count()
