"""Tokenizers trained from text: byte-level BPE, WordPiece, unigram and characters.

    tokenizer = train_tokenizer(texts, TokenizerSpec(train="bpe", vocab_size=8000))

Whatever the kind, five special tokens come first: ``[PAD]`` 0, ``[UNK]`` 1, ``[CLS]`` 2, ``[SEP]`` 3, ``[MASK]`` 4;
``[CLS]`` begins a text and ``[SEP]`` ends it, for decoders too (bos and eos). The texts are streamed: only the
different words of the corpus and their counts are in memory, never the corpus.

=========  ==========================================  =======================  ================================
kind       paper                                       unknown characters       decodes back to
=========  ==========================================  =======================  ================================
bpe        Sennrich et al. 2016; bytes: Radford 2019   none (bytes)             exactly the text
wordpiece  Schuster 2012; as in Devlin et al. 2019     ``[UNK]`` for the word   the text, with regular spaces
unigram    Kudo 2018                                   ``[UNK]``                the text, with regular spaces
character                                              ``[UNK]``                exactly the text
=========  ==========================================  =======================  ================================

The same texts result in the same tokenizer, on every machine and in every process. The trainers of the tokenizers
library promise that only for BPE: its WordPiece trainer numbers characters in an order that is random in each process,
and its unigram trainer adds floats in such an order. So WordPiece is learned here from BPE's merges, and unigram's
scores are rounded.

User text stays text: ``[MASK]`` inside a text is six characters and not the special token. To get the special token (a
prompt to fill in), use ``with special_tokens_in_text(tokenizer): ...``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from workbench.data.catalogue.naming import source_kind
from workbench.data.load import load_texts
from workbench.data.progress import Progress, silent
from workbench.data.text.corpus import stream_texts
from workbench.data.text.tokenizer_trainers import (
    CLS,
    SEP,
    SPECIAL_TOKENS,
    TRAINERS,
    Corpus,
    TokenizerKind,
    TokenizerSpec,
)
from workbench.errors import SpecError
from workbench.files import TEMPORARY_PREFIX, fsync_file, fsync_folder, storage_errors
from workbench.spec import DataSpec
from workbench.types import Tokenizer
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Backend

_BYTES = 256  # that byte-level BPE begins with

__all__ = [
    "SPECIAL_TOKENS",
    "TokenizerKind",
    "TokenizerSpec",
    "TrainedTokenizer",
    "save_tokenizer",
    "special_tokens_in_text",
    "train_on_corpus",
    "train_tokenizer",
]


class TrainedTokenizer(TypedDict):
    """What ``workbench tokenizer --json`` prints; ``texts`` counts the texts it was trained on."""

    folder: str
    kind: TokenizerKind | None
    vocab_size: int
    texts: int
    notes: list[str]


def train_tokenizer(
    texts: Iterable[str], spec: TokenizerSpec, progress: Progress | None = None, notes: list[str] | None = None
) -> Tokenizer:
    """Train a tokenizer on texts.

    Args:
        texts: read once, from the first to the last, and not stored.
        spec: its kind and size.
        progress: called with the number of characters read so far.
        notes: sentences on what differs from the spec are appended to it.

    Returns:
        A fast tokenizer. Its vocabulary is smaller than ``vocab_size`` if the texts have too few subwords.

    Raises:
        DataError: there is no text, or a text contains a lone surrogate.
        SpecError: the special tokens and the characters of the texts alone exceed ``vocab_size``, or ``spec`` names a
            source.
    """
    return _train(Corpus(texts, progress or silent), spec, notes)


def check_vocabulary_size(texts: Callable[[], Iterator[str]], spec: TokenizerSpec) -> None:
    """Refuse a size that is too small for the characters of some texts, as training would.

    Args:
        texts: returns an iterator over the texts, each time it is called.
        spec: kind and size of a tokenizer to train.

    Raises:
        DataError: there is no text, or a text contains a lone surrogate.
        SpecError: the special tokens and the characters of the texts alone exceed ``vocab_size``.
    """
    needed = _BYTES
    if spec.train != "bpe":
        counts: Counter[str] = Counter()
        for text in texts():
            counts.update(text)
        needed = 2 * sum(count >= spec.min_frequency for count in counts.values())  # alone, and inside words
    if not needed or needed + len(SPECIAL_TOKENS) > spec.vocab_size:  # probably: training says it exactly
        train_tokenizer(texts(), spec)


def _train(corpus: Corpus, spec: TokenizerSpec, notes: list[str] | None) -> Tokenizer:
    if spec.train is None:
        raise SpecError("This tokenizer is not trained: it is taken from a model.", "Remove tokenizer.source.")
    backend = TRAINERS[spec.train](corpus, spec)
    size = backend.get_vocab_size()
    if notes is not None:
        notes += corpus.notes
        if size < spec.vocab_size:
            notes.append(
                f"The tokenizer has {size:,} tokens instead of {spec.vocab_size:,}: no other subwords are frequent "
                f"enough in the {corpus.count:,} texts of {corpus.characters:,} characters."
            )
    return _as_transformers(backend)


def train_on_corpus(
    data: DataSpec, spec: TokenizerSpec, workspace: Workspace, folder: Path, progress: Progress | None = None
) -> TrainedTokenizer:
    """Train a tokenizer on a whole corpus, and save it as a transformers folder.

    Nothing is held out unless ``data`` says so, because nothing is evaluated. The corpus is streamed
    (:mod:`workbench.data.text.corpus`), except with a held-out split or a limit, for which all rows must be known.

    Args:
        data: a data set of the catalogue, all of whose texts are used, or a file; ``columns: {text: NAME}`` names the
            column.
        spec: its kind and size.
        workspace: whose cache is used.
        folder: where to save the tokenizer; ``AutoTokenizer.from_pretrained(folder)`` loads it.
        progress: called during downloads and training.

    Raises:
        DataError: the data cannot be used, or there is no text.
        FetchError: the data could not be fetched.
        SpecError: ``vocab_size`` is too small, or ``spec`` names a source.
        StorageError: the folder cannot be written.
    """
    texts: Iterable[str]
    holds_out = "holdout" in data.model_fields_set and (data.holdout.test or data.holdout.valid)
    if holds_out or (data.limit.train is not None and source_kind(data.train) != "hub"):
        texts, notes = load_texts(data, workspace, progress)
    else:
        texts, notes = stream_texts(data, workspace, progress)
    corpus = Corpus(texts, progress or silent)
    tokenizer = _train(corpus, spec, notes)
    save_tokenizer(tokenizer, folder)
    return {
        "folder": str(folder),
        "kind": spec.train,
        "vocab_size": len(tokenizer),
        "texts": corpus.count,
        "notes": notes,
    }


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Save a tokenizer as a transformers folder; once ``tokenizer.json`` exists, the folder is complete.

    Args:
        tokenizer: a fast tokenizer.
        folder: where to save it; created if missing.

    Raises:
        StorageError: the folder cannot be written.
    """
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
def special_tokens_in_text(tokenizer: Tokenizer) -> Iterator[None]:
    """Read ``[MASK]`` in a text as the special token inside a ``with`` block: for prompts to fill in.

    Args:
        tokenizer: a fast tokenizer.
    """
    backend = tokenizer.backend_tokenizer
    before = backend.encode_special_tokens, tokenizer.split_special_tokens  # transformers sets the first by the second
    backend.encode_special_tokens = tokenizer.split_special_tokens = False
    try:
        yield
    finally:
        backend.encode_special_tokens, tokenizer.split_special_tokens = before


# -- special tokens ---------------------------------------------------------------------------------------------------


def _as_transformers(backend: Backend) -> Tokenizer:
    """Add the special tokens, and wrap the tokenizer for transformers."""
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
