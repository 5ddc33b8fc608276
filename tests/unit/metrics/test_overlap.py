"""BLEU, chrF and ROUGE, checked against sacrebleu and rouge-score in many scripts, and by hand."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from workbench.metrics import measures, overlap

SACREBLEU_TOKENIZERS = {"13a": Tokenizer13a(), "zh": TokenizerZh(), "char": TokenizerChar()}
ENGLISH = [
    "The cat sat on the mat, and the dog did not.",
    'He paid $3,000.50 for it (a "bargain") -- in 1999-2001.',
    "Ampersands &amp; &lt;tags&gt; it's state-of-the-art ... isn't it?",
    "a",
    "No.",
    "The dog sat on the mat.",
]
CHINESE = [
    "汤姆不在家。",
    "我喜欢“苹果”,你呢？",
    "他2009年去了U.S.A.——是的……",
    "好",
    "你好吗？我很好,谢谢。",
    "汤姆在家吗?",
]
LETTERS = st.text(st.sampled_from("abAB 12.,-'\"&;<>/\n汤姆。，“”—①⼀éßñかカ😀\u2028\u3000\U00020001"), max_size=40)


def pairs(texts: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Return the texts with characters deleted, inserted and doubled, as predictions, and the texts as references."""
    generator = random.Random(seed)
    written = []
    for text in texts:
        characters = list(text)
        for _ in range(generator.randint(0, 6)):
            index = generator.randrange(len(characters)) if characters else 0
            characters[index : index + 1] = generator.choice([[], characters[index : index + 1] * 2, list(" x")])
        written.append("".join(characters))
    return written, texts


def corpus_scores(written: list[str], references: list[str], words: str) -> dict[str, float]:
    table = overlap.bleu_counts(written, references, words) | overlap.chrf_counts(written, references)
    return measures.metric_values(table, {"bleu": overlap.BLEU, "chrf": overlap.CHRF})


@pytest.mark.parametrize("words", ["13a", "zh", "char"])
@pytest.mark.parametrize("texts", [ENGLISH, CHINESE, ENGLISH + CHINESE], ids=["en", "zh", "both"])
@pytest.mark.parametrize("seed", range(4))
def test_corpus_scores_equal_sacrebleus(words, texts, seed):
    written, references = pairs(texts * 3, seed)
    result = corpus_scores(written, references, words)
    assert 0 < result["bleu"] < 1
    assert result["bleu"] == pytest.approx(
        BLEU(tokenize=words).corpus_score(written, [references]).score / 100, abs=1e-9
    )
    assert result["chrf"] == pytest.approx(CHRF().corpus_score(written, [references]).score / 100, abs=1e-9)


@given(st.lists(st.tuples(LETTERS, LETTERS), min_size=1, max_size=4), st.sampled_from(["13a", "zh", "char"]))
def test_scores_of_any_corpus_equal_sacrebleus(rows, words):
    written, references = [a for a, _ in rows], [b for _, b in rows]
    result = corpus_scores(written, references, words)
    reference = BLEU(tokenize=words, force=True).corpus_score(written, [references]).score / 100
    assert result["bleu"] == pytest.approx(reference, abs=1e-9)
    assert result["chrf"] == pytest.approx(CHRF().corpus_score(written, [references]).score / 100, abs=1e-9)


@pytest.mark.parametrize("words", ["13a", "zh", "char"])
def test_every_character_is_tokenized_as_in_sacrebleu(words):
    """Compare each character of the first plane and some beyond, between letters and between digits."""
    surrogates = range(0xD800, 0xE000)
    for start in range(0, 0x10200, 64):
        characters = [chr(i) for i in range(start, start + 64) if i not in surrogates]
        line = "".join(f"a{c}b 1{c}2 " for c in characters)
        assert overlap.TOKENIZERS[words](line) == SACREBLEU_TOKENIZERS[words](line).split(), f"U+{start:04X}"


def test_bleu_by_hand():
    """Papineni's first example: "the" seven times has two hits of seven; then a perfect but short text."""
    table = overlap.bleu_counts(["the the the the the the the"], ["the cat is on the mat"], "13a")
    assert [table[f"bleu_hits_{n}"][0] for n in (1, 2, 3, 4)] == [2, 0, 0, 0]
    assert [table[f"bleu_written_{n}"][0] for n in (1, 2, 3, 4)] == [7, 6, 5, 4]
    short = corpus_scores(["the cat is on"], ["the cat is on the mat"], "13a")["bleu"]
    assert short == pytest.approx(np.exp(1 - 6 / 4))


def test_chrf_by_hand():
    """ "abc" for "abd": orders 1 and 2 count (2 of 3, 1 of 2), order 3 has no hit; F of equal precision and recall."""
    assert corpus_scores(["abc"], ["abd"], "char")["chrf"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_counts_are_additive():
    written, references = pairs(ENGLISH * 4, 7)
    whole = overlap.bleu_counts(written, references, "13a")
    half = overlap.bleu_counts(written[:9], references[:9], "13a")
    assert {name: column[:9].sum() for name, column in whole.items()} == {k: v.sum() for k, v in half.items()}


@cache
def scorer() -> RougeScorer:
    return RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False)


@given(
    st.text(st.sampled_from("ab cde12 .-_É汤"), max_size=60),
    st.lists(st.text(st.sampled_from("ab cde12 .-_É汤"), max_size=60), min_size=1, max_size=3),
)
def test_rouge_agrees_with_rouge_score(written, references):
    scores = overlap.rouge_scores([written], [references])
    expected = scorer().score_multi(references, written)
    for name in overlap.ROUGE:
        assert scores[name][0] == pytest.approx(expected[name].fmeasure, abs=1e-12)


def test_rouge_by_hand():
    """Lin (2004), section 3: "police killed the gunman" for "police kill the gunman" has an LCS of 3 of 4 and 4."""
    scores = overlap.rouge_scores(["police kill the gunman"], [["police killed the gunman"]])
    assert scores["rougeL"][0] == pytest.approx(3 / 4) and scores["rouge2"][0] == pytest.approx(1 / 3)


def test_the_best_reference_counts_for_each_score():
    scores = overlap.rouge_scores(["a b c d"], [["d c b a", "a b x y z"]])
    assert scores["rouge1"][0] == 1.0 and scores["rouge2"][0] == pytest.approx(2 / 7)


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_longest_common_sequence(first, second):
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    assert overlap.lcs_length(first, second) == table[-1, -1]


@pytest.mark.parametrize(
    ("texts", "words", "rouge"),
    [
        (ENGLISH, "13a", "ascii"),
        (CHINESE, "zh", "unicode"),
        (["東京へ行きました。", "これは何ですか"], "char", "unicode"),
        (["Où est l'été ? Là-bas, à côté.", "Éléonore a été élevée à Orléans."], "13a", "unicode"),
        (["Привет, мир!"], "13a", "unicode"),
        (["123", "..."], "13a", "ascii"),
        ([], "13a", "ascii"),
    ],
)
def test_the_tokenization_follows_the_script(texts, words, rouge):
    assert overlap.bleu_tokenization(texts) == words
    assert overlap.rouge_tokenization(texts) == rouge


def test_rouge_of_scripts_without_spaces():
    assert overlap.rouge_tokens("Été à Łódź, 2 fois", "unicode") == ["été", "à", "łódź", "2", "fois"]
    assert overlap.rouge_tokens("汤姆 in Paris。", "unicode") == ["汤", "姆", "in", "paris"]
    assert overlap.rouge_scores(["汤姆在家"], [["汤姆不在家"]], "unicode")["rouge1"][0] == pytest.approx(8 / 9)


def test_the_scale_of_bleu_and_chrf_is_shown(capsys):
    """sacreBLEU prints these out of 100; here they are fractions."""
    from dashboard.parts.shared.run_list import metric_name
    from workbench.cli.views import _show_metrics
    from workbench.runs.documents import Interval, Report

    assert metric_name("bleu") == "bleu (0 to 1)" and metric_name("chrf") == "chrf (0 to 1)"
    assert metric_name("macro_f1") == "macro f1"
    value = Interval(value=0.25, low=0.2, high=0.3)
    _show_metrics(Report(metrics={"bleu": value, "accuracy": value}, baseline={"bleu": 0.1}))
    output = capsys.readouterr().out
    assert "bleu (0 to 1)" in output and "accuracy (" not in output
