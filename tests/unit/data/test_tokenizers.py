"""Tokenizers trained from text: deterministic, streamed, and user text stays text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workbench.data.load import load_texts
from workbench.data.text.tokenizers import (
    SPECIAL_TOKENS,
    TokenizerSpec,
    save_tokenizer,
    special_tokens_in_text,
    train_tokenizer,
)
from workbench.errors import DataError, SpecError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

KINDS = ("bpe", "wordpiece", "unigram", "character")
ENGLISH = [f"The {a} {b} sat on the {c}, didn't it?" for a in ("big", "old", "red") for b in ("cat", "dog", "hen")
           for c in ("mat", "roof", "chair")]  # fmt: skip
CHINESE = [
    "房间很大，服务员态度也很好。",
    "房间很小，价格太贵了！",
    "早餐不错，下次还会来住。",
    "服务态度很差，房间有异味。",
] * 3
# Everything except lone surrogates, which text cannot contain.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def train(kind: str, texts=None, **options: object):
    spec = {"vocab_size": 600, **options}
    return train_tokenizer(ENGLISH + CHINESE if texts is None else texts, TokenizerSpec(train=kind, **spec))


@pytest.fixture(scope="module")
def trained():
    return {kind: train(kind) for kind in KINDS}


def subwords(tokenizer, text: str) -> list[str]:
    return tokenizer.backend_tokenizer.encode(text).tokens


# -- all kinds -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_have_fixed_ids_and_positions(trained, kind: str) -> None:
    tokenizer = trained[kind]
    assert tuple(tokenizer.convert_ids_to_tokens(range(5))) == SPECIAL_TOKENS
    ids = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert ids == (0, 1, 2, 3) and tokenizer.mask_token_id == 4
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (2, 3)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer))), "every id once, without gaps"
    pair = tokenizer("The cat", "the mat")
    middle = pair["input_ids"].index(3)
    assert pair["input_ids"][0] == 2 and pair["input_ids"][-1] == 3 and pair["input_ids"].count(3) == 2
    assert pair["token_type_ids"] == [0] * (middle + 1) + [1] * (len(pair["input_ids"]) - middle - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_folder_is_a_tokenizer_of_transformers(trained, kind: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    save_tokenizer(trained[kind], tmp_path / "tokenizer")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "tokenizer")
    for text in (*ENGLISH[:3], *CHINESE[:3], "a [MASK] b", ""):
        assert loaded(text)["input_ids"] == trained[kind](text)["input_ids"]
        assert subwords(loaded, text) == subwords(trained[kind], text)
    assert loaded.special_tokens_map == trained[kind].special_tokens_map
    assert not [path.name for path in (tmp_path / "tokenizer").iterdir() if path.is_dir()], "no drafts remain"


@pytest.mark.parametrize("n_written", [0, 1])
def test_an_interrupted_save_leaves_no_tokenizer(trained, tmp_path: Path, monkeypatch, n_written: int) -> None:
    """A run that is killed here trains again; it must not use an incomplete folder."""
    replace, written = os.replace, []

    def interrupt(source, target) -> None:
        if len(written) == n_written:
            raise KeyboardInterrupt
        written.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_tokenizer(trained["bpe"], tmp_path)
    assert not (tmp_path / "tokenizer.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == [path.name for path in written], "no drafts remain"


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_in_user_text_stay_text(trained, kind: str) -> None:
    """User text never becomes a special token; prompts to fill in enable it explicitly."""
    tokenizer = train(kind, [f"{token} is written here, {token}" for token in SPECIAL_TOKENS] * 3)
    for token in SPECIAL_TOKENS:
        text = f"{token} is written here, {token}"
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert min(ids) > 4 and token not in subwords(tokenizer, text)[1:-1]
        assert tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids == ids
    with special_tokens_in_text(tokenizer):
        assert tokenizer("is [MASK] here")["input_ids"].count(4) == 1
        assert tokenizer.backend_tokenizer.encode("is [MASK] here").ids.count(4) == 1
    assert 4 not in tokenizer("is [MASK] here")["input_ids"], "only inside the with block"


def test_the_same_texts_give_the_same_tokenizer_in_every_process(tmp_path: Path) -> None:
    """The library's WordPiece and unigram trainers are not deterministic: their hash tables are seeded per process."""
    (tmp_path / "texts.json").write_text(json.dumps(ENGLISH * 2 + CHINESE))
    code = (
        "import json, sys; from workbench.data.text.tokenizers import *\n"
        "texts = json.load(open(sys.argv[1]))\n"
        f"for kind in {KINDS}:\n"
        "    print(train_tokenizer(texts, TokenizerSpec(train=kind, vocab_size=500)).backend_tokenizer.to_str())"
    )
    outputs: list[list[str]] = []
    for seed, threads in (("0", "true"), ("1", "false")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TOKENIZERS_PARALLELISM": threads}
        command = [sys.executable, "-c", code, str(tmp_path / "texts.json")]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        outputs.append(result.stdout.splitlines())
    for kind, *vocabularies in zip(KINDS, *outputs, strict=True):
        assert len(set(vocabularies)) == 1 and len(vocabularies[0]) > 1000, kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_corpus_is_streamed(kind: str) -> None:
    """Texts are read once, a few at a time, and released."""
    alive: Counter[int] = Counter()
    max_alive = 0

    class CountedText(str):
        def __del__(self) -> None:
            alive["texts"] -= 1

    def texts() -> Iterator[str]:
        nonlocal max_alive
        for i in range(20_000):
            text = CountedText(ENGLISH[i % len(ENGLISH)])
            alive["texts"] += 1
            max_alive = max(max_alive, alive["texts"])
            yield text

    reported: list[int] = []
    spec = TokenizerSpec(train=kind, vocab_size=300)
    train_tokenizer(texts(), spec, lambda label, done, total: reported.append(done))
    assert max_alive < 2000, f"{max_alive} of 20,000 texts were in memory at once"
    assert len(reported) >= 20 and reported[:-1] == sorted(reported[:-1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("texts", [[], [""], ["  ", "\n\t", "\u3000"]])
def test_a_corpus_without_text_is_refused(kind: str, texts: list[str]) -> None:
    with pytest.raises(DataError, match="no text to train"):
        train(kind, texts)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lone_surrogate_is_refused_with_its_text(kind: str) -> None:
    text = json.loads('"half \\ud83d of a smile"')
    with pytest.raises(DataError, match=r"Text 2 contains a lone surrogate .* position 6"):
        train(kind, ["whole", text])


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_the_texts_is_raised(kind: str) -> None:
    def texts() -> Iterator[str]:
        yield "a first text"
        raise DataError("The disk is gone.")

    with pytest.raises(DataError, match="disk is gone"):
        train(kind, texts())


@pytest.mark.parametrize(
    ("kind", "needed"),
    # 12 letters: alone, and for WordPiece inside words too; the space is a character if the tokenizer keeps it
    [("bpe", 5 + 256), ("wordpiece", 5 + 24), ("unigram", 5 + 13), ("character", 5 + 13)],
)
def test_a_vocabulary_too_small_for_the_characters_is_refused(kind: str, needed: int) -> None:
    texts = ["abcdef ghijkl"] * 3
    with pytest.raises(SpecError, match=rf"vocab_size is 12, .*already need {needed}\."):
        train(kind, texts, vocab_size=12)
    assert len(train(kind, texts, vocab_size=needed + 1)) <= needed + 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_that_the_corpus_cannot_fill_is_noted(kind: str) -> None:
    notes: list[str] = []
    tokenizer = train_tokenizer(["ab ab abc"] * 3, TokenizerSpec(train=kind, vocab_size=5000), notes=notes)
    assert len(tokenizer) < 300
    assert any(f"has {len(tokenizer):,} tokens instead of 5,000" in note and "3 texts" in note for note in notes)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "character"])
def test_rare_characters_are_unknown_and_noted(kind: str) -> None:
    notes: list[str] = []
    texts = ["abc cba"] * 5 + ["one ☃ only"]
    tokenizer = train_tokenizer(texts, TokenizerSpec(train=kind, vocab_size=100, min_frequency=3), notes=notes)
    assert 1 in tokenizer("☃")["input_ids"] and 1 not in tokenizer("abc")["input_ids"]
    assert not any("☃" in token or "y" in token for token in set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS))
    assert any("less than 3 times" in note for note in notes)


# -- each kind --------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(text=ANY_TEXT)
def test_bytes_decode_to_every_text(trained, text: str) -> None:
    """NUL, emoji, right-to-left marks, private use, written special tokens: all are decoded, none is unknown."""
    tokenizer = trained["bpe"]
    ids = tokenizer(text)["input_ids"]
    assert 1 not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


@pytest.mark.parametrize(
    "text", ["\0", "😀 👨‍👩‍👧", "\u202eשלום\u202c", "[MASK] </s>", "a\r\n\tb  c ", "é e\u0301 ＡＢ", "\u2581x"]
)
def test_bytes_decode_to_hostile_texts(trained, text: str) -> None:
    tokenizer = trained["bpe"]
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


@settings(max_examples=50, deadline=None)
@given(text=st.text(st.sampled_from(sorted({*"".join(ENGLISH + CHINESE)})), max_size=60))
def test_known_characters_are_decoded(trained, text: str) -> None:
    character, unigram = trained["character"], trained["unigram"]
    assert character.decode(character(text)["input_ids"], skip_special_tokens=True) == text
    # The mark for the space before a text is removed again, together with one space.
    assert unigram.decode(unigram(text)["input_ids"], skip_special_tokens=True) == text.removeprefix(" ")


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_tokenizer_accepts_any_text(trained, kind: str, text: str) -> None:
    tokenizer = trained[kind]
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == 2 and ids[-1] == 3 and all(0 <= i < len(tokenizer) for i in ids)
    assert not {2, 3, 4, 0} & set(ids[1:-1])
    tokenizer.decode(ids)


def test_bpe_merges_the_most_frequent_pair_first() -> None:
    """A manual example: "aab" occurs twice and "ab" four times, so a+b (6) is merged before a+ab (2)."""
    tokenizer = train("bpe", ["aab ab ab"] * 2, vocab_size=5 + 256 + 3)
    assert tokenizer.convert_ids_to_tokens([261, 262, 263]) == ["ab", "Ġab", "aab"]


def test_wordpiece_uses_the_longest_match() -> None:
    tokenizer = train("wordpiece", ["unhappy happy unhappily happily"] * 5, vocab_size=200)
    vocabulary = tokenizer.get_vocab()
    word, expected = "unhappily", []
    while word:  # the algorithm of the paper
        prefix = "##" if expected else ""
        length = max(n for n in range(1, len(word) + 1) if prefix + word[:n] in vocabulary)
        expected.append(prefix + word[:length])
        word = word[length:]
    assert subwords(tokenizer, "unhappily")[1:-1] == expected


def test_wordpiece_separates_chinese_characters() -> None:
    tokenizer = train("wordpiece")
    assert subwords(tokenizer, "房间很大，cat")[1:-1] == ["房", "间", "很", "大", "，", "cat"]
    assert not [token for token in tokenizer.get_vocab() if token.startswith("##") and token > "##\u4e00"]


def test_wordpiece_can_spell_every_word() -> None:
    """Each letter has a form that begins a word and one inside a word."""
    tokenizer = train("wordpiece", ["abc", "cab", "bca"] * 3, vocab_size=100)
    for word in ("aaa", "bca", "ccb", "abcabcabc"):
        assert 1 not in tokenizer(word)["input_ids"]


def test_wordpiece_learns_the_same_as_the_library() -> None:
    """Except for the order of characters, the merges are those of the library's trainer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    reference = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    reference.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    reference.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=10_000, min_frequency=2, special_tokens=list(SPECIAL_TOKENS), show_progress=False
    )
    reference.train_from_iterator(ENGLISH, trainer)
    ours = train("wordpiece", ENGLISH, vocab_size=10_000)
    words = {word for text in ENGLISH for word in text.replace(",", " ").replace("'", " ").replace("?", " ").split()}
    for word in words:
        assert subwords(ours, word)[1:-1] == reference.encode(word).tokens == [word]


def test_unigram_uses_the_likeliest_segmentation() -> None:
    tokenizer = train("unigram", vocab_size=300)
    scores = {token: score for token, score in json.loads(tokenizer.backend_tokenizer.to_str())["model"]["vocab"][5:]}
    for word in ("\u2581chair", "\u2581roof", "\u2581The"):
        best: list[float] = [0.0] + [float("-inf")] * len(word)
        for end in range(1, len(word) + 1):
            for begin in range(end):
                if word[begin:end] in scores:
                    best[end] = max(best[end], best[begin] + scores[word[begin:end]])
        segmentation = subwords(tokenizer, word.removeprefix("\u2581"))[1:-1]
        assert sum(scores[token] for token in segmentation) == pytest.approx(best[-1])


@pytest.mark.mirror
def test_unigram_separates_punctuation_from_words(workspace: Workspace, mirror: Path) -> None:
    """No subword crosses from letters into punctuation or over a line end."""
    texts, _ = load_texts(DataSpec(train="tinyshakespeare"), workspace)
    tokenizer = train("unigram", texts, vocab_size=500)
    for token in set(tokenizer.get_vocab()) - set(SPECIAL_TOKENS):
        word = token.removeprefix("\u2581")
        assert word.isalnum() or not any(char.isalnum() for char in word)
        assert "\n" not in token or token == "\n"


def test_character_tokens(trained) -> None:
    assert subwords(trained["character"], "cat 房间")[1:-1] == ["c", "a", "t", " ", "房", "间"]


@pytest.mark.parametrize("kind", KINDS)
def test_lowercase(kind: str) -> None:
    tokenizer = train(kind, lowercase=True)
    assert tokenizer("THE CAT")["input_ids"] == tokenizer("the cat")["input_ids"]
    assert train(kind)("THE CAT")["input_ids"] != train(kind)("the cat")["input_ids"]


@pytest.mark.parametrize("kind", KINDS)
def test_chinese_is_tokenized(trained, kind: str) -> None:
    assert 1 not in trained[kind]("房间很好，服务不错。")["input_ids"]


# -- the spec ---------------------------------------------------------------------------------------------------------


def test_a_tokenizer_is_trained_or_pretrained() -> None:
    assert TokenizerSpec().train == "wordpiece"
    pretrained = TokenizerSpec(source="minilm")
    assert pretrained.train is None
    assert TokenizerSpec.model_validate(pretrained.model_dump()) == pretrained
    for invalid in ({"source": "minilm", "train": "bpe"}, {"train": None}, {"train": "words"}, {"vocab_size": 0}):
        with pytest.raises(ValidationError):
            TokenizerSpec.model_validate(invalid)
    with pytest.raises(SpecError, match="taken from a model"):
        train_tokenizer(ENGLISH, pretrained)
