"""Train the vocabularies of tokenizers: byte-level BPE, WordPiece, unigram and characters.

See :mod:`workbench.data.text.tokenizers` for the kinds and their papers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from workbench.data.progress import Progress
from workbench.data.text.characters import is_cjk
from workbench.errors import DataError, SpecError
from workbench.spec import SpecModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend
    from tokenizers.normalizers import Normalizer
    from tokenizers.pre_tokenizers import PreTokenizer

TokenizerKind = Literal["bpe", "wordpiece", "unigram", "character"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)

_PREFIX = "##"  # of a subword inside a word, in WordPiece
_START = "\u2581"  # replaces the space before a word: SentencePiece's mark
_DIGITS = 4  # decimals of unigram's log probabilities: far above the noise of adding them in another order
_EXTRA_MERGES = 20_000  # joining the mark with a letter makes no new subword, so more merges than that are needed
_REPORT_EVERY = 1000  # texts between two calls of progress


class TokenizerSpec(SpecModel):
    """The tokenizer of a from-scratch model: trained on the training texts, or taken from another model."""

    train: TokenizerKind | None = Field(
        "wordpiece",
        description="Kind of tokenizer to train: bpe (of bytes), wordpiece, unigram or character. Leave empty with "
        "a source.",
    )
    vocab_size: int = Field(
        8000, ge=8, le=1_000_000, description="Maximum vocabulary size, including the 5 special tokens."
    )
    lowercase: bool = Field(False, description="Convert all letters to lowercase.")
    min_frequency: int = Field(
        2, ge=1, le=1_000_000, description="Minimum count of a character, or of a pair to merge, in the texts."
    )
    source: str | None = Field(
        None, description="Use the tokenizer of this model (minilm, hf:..., path:..., run:...) instead of training one."
    )

    @model_validator(mode="before")
    @classmethod
    def _source_replaces_training(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("source") is not None and "train" not in value:
            return {**value, "train": None}
        return value

    @model_validator(mode="after")
    def _one_of_the_two(self) -> TokenizerSpec:
        if (self.train is None) == (self.source is None):
            raise ValueError("set either train (bpe, wordpiece, unigram, character) or source (a model), not both")
        return self


# -- the corpus -------------------------------------------------------------------------------------------------------


class Corpus:
    """A stream of texts for a trainer: counted, and checked for what no trainer can use."""

    def __init__(self, texts: Iterable[str], progress: Progress) -> None:
        self.texts = texts
        self.progress = progress
        self.count = 0
        self.characters = 0
        self.notes: list[str] = []

    def stream(self) -> Iterator[str]:
        """Yield the texts that are not blank.

        Raises:
            DataError: a text contains a lone surrogate; the error passes through the trainer.
        """
        for text in self.texts:
            if not text.isascii():
                _check_encodable(text, self.count)
            if text and not text.isspace():
                self.count += 1
                self.characters += len(text)
                if self.count % _REPORT_EVERY == 0:
                    self.progress("training the tokenizer: characters read", self.characters, None)
                yield text
        self.progress("training the tokenizer: merging subwords", 0, None)

    def counting(self, normalizer: Normalizer | None, alphabet: Counter[str]) -> Iterator[str]:
        """Yield the texts, and count their characters.

        Args:
            normalizer: applied before counting; None for none.
            alphabet: the counts.
        """
        for text in self.stream():
            alphabet.update(normalizer.normalize_str(text) if normalizer is not None else text)
            yield text

    def check(self) -> None:
        """Refuse a corpus without text, after it was read.

        Raises:
            DataError: there is no text.
        """
        if not self.count:
            raise DataError(
                "There is no text to train a tokenizer on.", "Check that data.columns names the text column."
            )

    def frequent(self, alphabet: Counter[str], spec: TokenizerSpec) -> list[str]:
        """Return the frequent characters, sorted; a note counts the others.

        Args:
            alphabet: the counts of all characters.
            spec: says which count is frequent.

        Raises:
            DataError: no character is frequent.
        """
        frequent = sorted(char for char, n in alphabet.items() if n >= spec.min_frequency)
        if not frequent:
            raise DataError(
                f"No character occurs {spec.min_frequency:,} times in the {self.count:,} texts of "
                f"{self.characters:,} characters.",
                "Provide more text, or lower tokenizer.min_frequency.",
            )
        if len(frequent) < len(alphabet):
            self.notes.append(
                f"{len(alphabet) - len(frequent):,} of {len(alphabet):,} different characters occur less than "
                f"{spec.min_frequency:,} times and are not in the vocabulary."
            )
        return frequent


def _check_encodable(text: str, number: int) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"Text {number + 1:,} contains a lone surrogate (half a character) at position {error.start + 1:,}.",
            "Save the texts as UTF-8.",
        ) from error


def _check_fits(needed: int, content: str, spec: TokenizerSpec) -> None:
    """Refuse a vocabulary that is too small for the characters."""
    needed += len(SPECIAL_TOKENS)
    if needed > spec.vocab_size:
        raise SpecError(
            f"tokenizer.vocab_size is {spec.vocab_size:,}, but {len(SPECIAL_TOKENS)} special tokens and {content} "
            f"already need {needed:,}.",
            f"Set it above {needed:,}, raise tokenizer.min_frequency to exclude rare characters, or train: bpe, "
            "which needs 256 bytes and no characters.",
        )


# -- the four kinds ---------------------------------------------------------------------------------------------------


def _train_bpe(corpus: Corpus, spec: TokenizerSpec) -> Backend:
    """Train byte-level BPE: the 256 bytes, and the most frequent pair merged repeatedly."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    _check_fits(len(bytes_), f"{len(bytes_)} bytes", spec)
    backend = Tokenizer(models.BPE())
    if spec.lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=spec.vocab_size,
        min_frequency=spec.min_frequency,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=bytes_,
        show_progress=False,
    )
    backend.train_from_iterator(corpus.stream(), trainer)
    corpus.check()
    return backend


def _train_wordpiece(corpus: Corpus, spec: TokenizerSpec) -> Backend:
    """Train WordPiece: subwords that begin a word, and subwords (``##``) inside one; the longest match is used.

    Learned as BPE over words that begin with a mark: a subword with the mark begins a word, any other is inside one.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    normalizer = normalizers.BertNormalizer(lowercase=spec.lowercase, strip_accents=False)
    words = pre_tokenizers.BertPreTokenizer()
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizer
    learner.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.Metaspace(prepend_scheme="always")])
    size = spec.vocab_size + _EXTRA_MERGES
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=spec.min_frequency, show_progress=False)
    alphabet: Counter[str] = Counter()
    learner.train_from_iterator(corpus.counting(normalizer, alphabet), trainer)
    corpus.check()
    for space in [char for char in alphabet if char.isspace()]:
        del alphabet[space]
    letters = corpus.frequent(alphabet, spec)
    inner = [_PREFIX + char for char in letters if _can_be_inside_word(words, char)]
    _check_fits(len(letters) + len(inner), f"{len(letters):,} characters (alone, and inside words)", spec)
    subwords = dict.fromkeys([*SPECIAL_TOKENS, *letters, *inner])
    learned = learner.get_vocab()
    for subword in sorted(learned, key=learned.__getitem__):
        if len(subwords) == spec.vocab_size:
            break
        if len(subword.removeprefix(_START)) > 1:
            subwords.setdefault(subword[1:] if subword.startswith(_START) else _PREFIX + subword)
    vocabulary = {subword: number for number, subword in enumerate(subwords)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizer
    backend.pre_tokenizer = words
    backend.decoder = decoders.WordPiece(_PREFIX, cleanup=True)
    return backend


def _can_be_inside_word(words: PreTokenizer, char: str) -> bool:
    """Return whether a word can contain this character: punctuation and Chinese characters are their own words."""
    return len(words.pre_tokenize_str(f"a{char}")) == 1 and not is_cjk(char)


def _train_unigram(corpus: Corpus, spec: TokenizerSpec) -> Backend:
    """Train unigram: subwords with probabilities; the likeliest segmentation is used, unlikely subwords are pruned."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.Unigram())
    learner.normalizer = (
        normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]) if spec.lowercase else normalizers.NFC()
    )
    # Line ends alone, and punctuation apart from letters: no subword crosses words.
    signs = Regex(rf"[\r\n\t]|[^\p{{L}}\p{{M}}\p{{N}}\s{_START}]+")
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Split(signs, "isolated")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=spec.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        unk_token="[UNK]",
        show_progress=False,
    )
    alphabet: Counter[str] = Counter()
    try:
        learner.train_from_iterator(corpus.counting(learner.normalizer, alphabet), trainer)
    except Exception as error:  # the library raises nothing narrower
        if "not large enough" in str(error):
            _check_fits(len(alphabet), f"{len(alphabet):,} characters", spec)
        raise
    corpus.check()
    del alphabet[" "]
    letters = {_START, *corpus.frequent(alphabet, spec)}
    _check_fits(len(letters), f"{len(letters):,} characters", spec)
    backend = Tokenizer(models.Unigram(_unigram_subwords(learner, letters, spec), UNK, False))
    backend.normalizer = learner.normalizer
    backend.pre_tokenizer = learner.pre_tokenizer
    backend.decoder = decoders.Metaspace()
    return backend


def _unigram_subwords(learner: Backend, letters: set[str], spec: TokenizerSpec) -> list[tuple[str, float]]:
    """Return the learned subwords of frequent characters, likeliest first, in an order that is always the same."""
    learned: list[tuple[str, float]] = json.loads(learner.to_str())["model"]["vocab"][len(SPECIAL_TOKENS) :]
    # Characters that were pruned come back with the lowest score, 0.0001 apart in random order.
    lowest = min(score for _, score in learned)
    readmitted = lowest + 0.0001 * sum(len(subword) == 1 for subword, _ in learned)
    scores = {
        subword: round(lowest if len(subword) == 1 and score <= readmitted else score, _DIGITS)
        for subword, score in learned
        if letters.issuperset(subword)
    }
    # Every character is in the vocabulary; the likeliest of the other subwords fill the rest.
    ranked = sorted(scores, key=lambda subword: (len(subword) > 1, -scores[subword], subword))
    selected = ranked[: spec.vocab_size - len(SPECIAL_TOKENS)]
    selected.sort(key=lambda subword: (-scores[subword], subword))
    return [*((token, 0.0) for token in SPECIAL_TOKENS), *((subword, scores[subword]) for subword in selected)]


def _train_character(corpus: Corpus, spec: TokenizerSpec) -> Backend:
    """Train a character tokenizer: each code point is a token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    normalizer = normalizers.Lowercase() if spec.lowercase else None
    alphabet: Counter[str] = Counter()
    for _ in corpus.counting(normalizer, alphabet):
        pass
    corpus.check()
    letters = corpus.frequent(alphabet, spec)
    _check_fits(len(letters), f"{len(letters):,} characters", spec)
    vocabulary = {token: number for number, token in enumerate([*SPECIAL_TOKENS, *letters])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


TRAINERS: dict[TokenizerKind, Callable[[Corpus, TokenizerSpec], Backend]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
    "character": _train_character,
}
