"""Tokenizers trained from text: byte-level BPE, WordPiece, unigram and characters.

    tokenizer = train_tokenizer(texts, TokenizerSpec(train="bpe", vocab_size=8000))

Whatever the kind, five special tokens come first: ``[PAD]`` 0, ``[UNK]`` 1, ``[CLS]`` 2, ``[SEP]`` 3, ``[MASK]`` 4;
``[CLS]`` begins a text and ``[SEP]`` ends it, for decoders too (bos and eos). The texts are streamed: what is held are
the different words of the corpus and how often they stand there, never the corpus.

=========  ==========================================  =======================  ================================
kind       paper                                       unknown characters       decodes back to
=========  ==========================================  =======================  ================================
bpe        Sennrich et al. 2016; bytes: Radford 2019   none (bytes)             the very text
wordpiece  Schuster 2012; as in Devlin et al. 2019     ``[UNK]`` for the word   the text, spaces made regular
unigram    Kudo 2018                                   ``[UNK]``                the text, spaces made regular
character                                              ``[UNK]``                the very text
=========  ==========================================  =======================  ================================

The same texts give the same tokenizer, on every machine and in every process. The trainers of the tokenizers library
promise that for BPE only: its WordPiece trainer numbers characters in an order that is drawn anew in each process, and
its unigram trainer adds floats in such an order. So WordPiece is learned here from BPE's merges, and unigram's scores
are rounded.

What a user writes stays text: ``[MASK]`` inside a text is six characters and not the special token. Who wants the
special token (a prompt to fill in) says so: ``with special_tokens_in_text(tokenizer): ...``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from workbench.data.progress import Progress, silent
from workbench.errors import DataError, SpecError
from workbench.files import TEMPORARY_PREFIX, fsync_file, fsync_folder, storage_errors
from workbench.spec import DataSpec, SpecModel
from workbench.workspace import Workspace

TokenizerKind = Literal["bpe", "wordpiece", "unigram", "character"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD, UNK, CLS, SEP, MASK = range(5)

_PREFIX = "##"  # of a WordPiece that goes on with a word
_START = "\u2581"  # stands for the space before a word: SentencePiece's mark
_DIGITS = 4  # decimals of unigram's log probabilities: far above the noise of adding them in another order
_TELL_EVERY = 1000  # texts between two calls of progress


class TokenizerSpec(SpecModel):
    """How a from-scratch model gets its tokenizer: trained on the training texts, or taken from another model."""

    train: TokenizerKind | None = Field(
        "wordpiece",
        description="Kind of tokenizer to train: bpe (of bytes), wordpiece, unigram or character; empty with a source.",
    )
    vocab_size: int = Field(
        8000, ge=8, le=1_000_000, description="Most tokens in the vocabulary, the 5 special ones included."
    )
    lowercase: bool = Field(False, description="Make all letters small.")
    min_frequency: int = Field(
        2, ge=1, le=1_000_000, description="A character, or a pair to be joined, must stand in the texts so many times."
    )
    source: str | None = Field(
        None, description="Take the tokenizer of this model (minilm, hf:..., path:..., run:...) instead of training."
    )

    @model_validator(mode="before")
    @classmethod
    def _source_replaces_training(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("source") is not None and "train" not in given:
            return {**given, "train": None}
        return given

    @model_validator(mode="after")
    def _one_of_the_two(self) -> TokenizerSpec:
        if (self.train is None) == (self.source is None):
            raise ValueError("give either train (bpe, wordpiece, unigram, character) or source (a model), not both")
        return self


def train_tokenizer(
    texts: Iterable[str], spec: TokenizerSpec, progress: Progress | None = None, notes: list[str] | None = None
) -> Any:
    """A tokenizer learned from texts.

    Args:
        texts: read once, from front to end, and not kept.
        spec: its kind and size.
        progress: called with the number of characters read so far.
        notes: sentences about what came out differently than asked are appended here.

    Returns:
        a transformers ``PreTrainedTokenizerFast``. ``vocab_size`` is what was asked for, or less where the texts do
        not hold so many pieces.

    Raises:
        DataError: there is no text, or a text holds half a character.
        SpecError: the special tokens and the characters of the texts alone are more than ``vocab_size``, or ``spec``
            names a source.
    """
    return _train(_Corpus(texts, progress or silent), spec, notes)


def _train(corpus: _Corpus, spec: TokenizerSpec, notes: list[str] | None) -> Any:
    if spec.train is None:
        raise SpecError("This tokenizer is not trained: it is taken from a model.", "Leave tokenizer.source out.")
    backend = _TRAINERS[spec.train](corpus, spec)
    found = backend.get_vocab_size()
    if notes is not None:
        notes += corpus.notes
        if found < spec.vocab_size:
            notes.append(
                f"The tokenizer has {found:,} tokens, not {spec.vocab_size:,}: no more pieces stand often enough in "
                f"the {corpus.count:,} texts of {corpus.characters:,} characters."
            )
    return _as_transformers(backend)


def train_on_corpus(
    data: DataSpec, spec: TokenizerSpec, workspace: Workspace, folder: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Train a tokenizer on a corpus, all of it, and save it as a transformers folder.

    Nothing is held out unless ``data`` says so: nobody is measured here. The corpus is streamed
    (:mod:`workbench.data.text.corpus`), but for a part that is held out or drawn, for which every row has to be known.

    Args:
        data: a name of the catalogue, of which every text is taken, or a file; ``columns: {text: NAME}`` names the
            column.
        spec: its kind and size.
        workspace: whose cache is used.
        folder: where the tokenizer goes; ``AutoTokenizer.from_pretrained(folder)`` reads it.
        progress: told of downloads and of the training.

    Returns:
        ``{"folder", "kind", "vocab_size", "texts", "notes"}``.

    Raises:
        DataError, SpecError, FetchError, StorageError: as :func:`train_tokenizer` and ``load_data``.
    """
    from workbench.data.catalogue.hub_rows import is_reference
    from workbench.data.load import load_texts
    from workbench.data.text.corpus import stream_texts

    texts: Iterable[str]
    holds_out = "holdout" in data.model_fields_set and (data.holdout.test or data.holdout.valid)
    if holds_out or (data.limit.train is not None and not is_reference(data.train)):
        texts, notes = load_texts(data, workspace, progress)
    else:
        texts, notes = stream_texts(data, workspace, progress)
    corpus = _Corpus(texts, progress or silent)
    tokenizer = _train(corpus, spec, notes)
    save_tokenizer(tokenizer, folder)
    return {
        "folder": str(folder),
        "kind": spec.train,
        "vocab_size": len(tokenizer),
        "texts": corpus.count,
        "notes": notes,
    }


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer as a transformers folder: where its ``tokenizer.json`` is, it is whole. Raises StorageError."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder))
        try:
            tokenizer.save_pretrained(draft)
            files = sorted(draft.iterdir(), key=lambda file: file.name == "tokenizer.json")  # which comes last
            for file in files:
                fsync_file(file)
                os.replace(file, folder / file.name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        fsync_folder(folder)


@contextlib.contextmanager
def special_tokens_in_text(tokenizer: Any) -> Iterator[None]:
    """While this lasts, ``[MASK]`` written in a text is the special token: for prompts with places to fill in."""
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens, tokenizer.split_special_tokens  # transformers sets the first by the second
    backend.encode_special_tokens = tokenizer.split_special_tokens = False
    try:
        yield
    finally:
        backend.encode_special_tokens, tokenizer.split_special_tokens = before


# -- the corpus, as it streams by -------------------------------------------------------------------------------------


class _Corpus:
    """The texts on their way to a trainer: counted, and looked at for what no trainer can use."""

    def __init__(self, texts: Iterable[str], progress: Progress) -> None:
        self.texts = texts
        self.progress = progress
        self.count = 0
        self.characters = 0
        self.notes: list[str] = []

    def stream(self) -> Iterator[str]:
        """Each text. Raises DataError for half a character; it is raised out of the trainer."""
        for text in self.texts:
            if not text.isascii():
                _check_whole(text, self.count)
            if text and not text.isspace():
                self.count += 1
                self.characters += len(text)
                if self.count % _TELL_EVERY == 0:
                    self.progress("training the tokenizer: characters read", self.characters, None)
                yield text
        self.progress("training the tokenizer: joining pieces", 0, None)

    def counting(self, normalizer: Any, alphabet: Counter[str]) -> Iterator[str]:
        """Each text; what its characters are is counted in ``alphabet`` on the way."""
        for text in self.stream():
            alphabet.update(normalizer.normalize_str(text) if normalizer is not None else text)
            yield text

    def check(self) -> None:
        """Refuse a corpus without text, once it has been read."""
        if not self.count:
            raise DataError(
                "There is no text to train a tokenizer on.", "Is the right column given as text (data.columns)?"
            )

    def frequent(self, alphabet: Counter[str], spec: TokenizerSpec) -> list[str]:
        """The characters that stand there often enough, sorted; the others are told of."""
        kept = sorted(char for char, n in alphabet.items() if n >= spec.min_frequency)
        if not kept:
            raise DataError(
                f"No character stands in the texts {spec.min_frequency:,} times: {self.count:,} texts, "
                f"{self.characters:,} characters.",
                "Give more text, or lower tokenizer.min_frequency.",
            )
        if len(kept) < len(alphabet):
            self.notes.append(
                f"{len(alphabet) - len(kept):,} of {len(alphabet):,} different characters stand in the texts fewer "
                f"than {spec.min_frequency:,} times, and are no tokens."
            )
        return kept


def _check_whole(text: str, number: int) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"Text {number + 1:,} holds half a character (a lone surrogate) at position {error.start + 1:,}.",
            "Write the texts again as UTF-8.",
        ) from error


def _check_fits(needed: int, what: str, spec: TokenizerSpec) -> None:
    """Refuse a vocabulary in which not even the characters have room."""
    needed += len(SPECIAL_TOKENS)
    if needed > spec.vocab_size:
        raise SpecError(
            f"tokenizer.vocab_size is {spec.vocab_size:,}, and {len(SPECIAL_TOKENS)} special tokens with {what} are "
            f"{needed:,} already.",
            f"Set it above {needed:,}, raise tokenizer.min_frequency to leave rare characters out, or train: bpe, "
            "which needs 256 bytes and no characters.",
        )


# -- the four kinds ---------------------------------------------------------------------------------------------------


def _train_bpe(corpus: _Corpus, spec: TokenizerSpec) -> Any:
    """Byte-level BPE: the 256 bytes, and the most frequent pair joined again and again."""
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


def _train_wordpiece(corpus: _Corpus, spec: TokenizerSpec) -> Any:
    """WordPiece: pieces that begin a word, and pieces (``##``) that go on with one; the longest that fits is taken.

    Learned as BPE over words that begin with a mark: a piece with the mark begins a word, any other goes on with one.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    normalizer = normalizers.BertNormalizer(lowercase=spec.lowercase, strip_accents=False)
    words = pre_tokenizers.BertPreTokenizer()
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizer
    learner.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.Metaspace(prepend_scheme="always")])
    # Joining the mark with a letter gives no new piece, so there must be room for more merges than are used.
    room = spec.vocab_size + 20_000
    trainer = trainers.BpeTrainer(vocab_size=room, min_frequency=spec.min_frequency, show_progress=False)
    alphabet: Counter[str] = Counter()
    learner.train_from_iterator(corpus.counting(normalizer, alphabet), trainer)
    corpus.check()
    for space in [char for char in alphabet if char.isspace()]:
        del alphabet[space]
    letters = corpus.frequent(alphabet, spec)
    inner = [_PREFIX + char for char in letters if _goes_on(words, char)]
    _check_fits(len(letters) + len(inner), f"{len(letters):,} characters (alone, and inside words)", spec)
    pieces = dict.fromkeys([*SPECIAL_TOKENS, *letters, *inner])
    learned = learner.get_vocab()
    for piece in sorted(learned, key=learned.__getitem__):
        if len(pieces) == spec.vocab_size:
            break
        if len(piece.removeprefix(_START)) > 1:
            pieces.setdefault(piece[1:] if piece.startswith(_START) else _PREFIX + piece)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizer
    backend.pre_tokenizer = words
    backend.decoder = decoders.WordPiece(_PREFIX, cleanup=True)
    return backend


def _goes_on(words: Any, char: str) -> bool:
    """Whether a word can go on with this character: punctuation and Chinese characters are words of their own."""
    return len(words.pre_tokenize_str(f"a{char}")) == 1 and not is_cjk(char)


def is_cjk(char: str) -> bool:
    """Whether BERT's normalizer sets spaces around this character (CJK Unified Ideographs and their extensions)."""
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(low <= ord(char) <= high for low, high in blocks)


def _train_unigram(corpus: _Corpus, spec: TokenizerSpec) -> Any:
    """Unigram: pieces with probabilities, the likeliest segmentation is taken; unlikely pieces were weeded out."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    learner = Tokenizer(models.Unigram())
    learner.normalizer = (
        normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()]) if spec.lowercase else normalizers.NFC()
    )
    # Line ends alone, and signs apart from letters: no piece reaches from one word into the next.
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
    except Exception as error:  # the library's own are of no narrower type
        if "not large enough" in str(error):
            _check_fits(len(alphabet), f"{len(alphabet):,} characters", spec)
        raise
    corpus.check()
    del alphabet[" "]
    letters = {_START, *corpus.frequent(alphabet, spec)}
    _check_fits(len(letters), f"{len(letters):,} characters", spec)
    backend = Tokenizer(models.Unigram(_unigram_pieces(learner, letters, spec), UNK, False))
    backend.normalizer = learner.normalizer
    backend.pre_tokenizer = learner.pre_tokenizer
    backend.decoder = decoders.Metaspace()
    return backend


def _unigram_pieces(learner: Any, letters: set[str], spec: TokenizerSpec) -> list[tuple[str, float]]:
    """The learned pieces of frequent characters only, likeliest first, in an order that is the same each time."""
    learned: list[tuple[str, float]] = json.loads(learner.to_str())["model"]["vocab"][len(SPECIAL_TOKENS) :]
    # Characters that were weeded out come back with the lowest score, 0.0001 apart in an order of chance.
    lowest = min(score for _, score in learned)
    readmitted = lowest + 0.0001 * sum(len(piece) == 1 for piece, _ in learned)
    scores = {
        piece: round(lowest if len(piece) == 1 and score <= readmitted else score, _DIGITS)
        for piece, score in learned
        if letters.issuperset(piece)
    }
    # Every character has its place; the likeliest of the others fill what is left.
    ranked = sorted(scores, key=lambda piece: (len(piece) > 1, -scores[piece], piece))
    kept = ranked[: spec.vocab_size - len(SPECIAL_TOKENS)]
    kept.sort(key=lambda piece: (-scores[piece], piece))
    return [*((token, 0.0) for token in SPECIAL_TOKENS), *((piece, scores[piece]) for piece in kept)]


def _train_character(corpus: _Corpus, spec: TokenizerSpec) -> Any:
    """Characters: each code point is a token."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    normalizer = normalizers.Lowercase() if spec.lowercase else None
    alphabet: Counter[str] = Counter()
    for _ in corpus.counting(normalizer, alphabet):
        pass
    corpus.check()
    letters = corpus.frequent(alphabet, spec)
    _check_fits(len(letters), f"{len(letters):,} characters", spec)
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL_TOKENS, *letters])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


_TRAINERS: dict[TokenizerKind, Callable[[_Corpus, TokenizerSpec], Any]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
    "character": _train_character,
}


# -- what they share --------------------------------------------------------------------------------------------------


def _as_transformers(backend: Any) -> Any:
    """The tokenizer with its special tokens, as transformers knows it."""
    from tokenizers import AddedToken, processors
    from transformers import PreTrainedTokenizerFast

    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        bos_token="[CLS]",
        eos_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )
