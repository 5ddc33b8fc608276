"""Restore a text from which spans were removed, the pretraining task of BART (Lewis et al. 2020, section 2.2).

    task: seq2seq-denoising

Spans of tokens are each replaced by one [MASK] until 30% of the tokens are removed. The lengths of the spans are
sampled from a Poisson distribution with mean 3; a span of length 0 inserts a [MASK]. The model reads the corrupted text
and generates the original, so it must also predict how many tokens are missing. Spans are sampled again each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.tasks.answers import GeneratedText
from workbench.tasks.base import ModelOutput, Target, TargetScore, tasks
from workbench.tasks.contexts import Batch, Encoded, InferenceContext
from workbench.tasks.shared.generation import GenerationConfig, generate
from workbench.tasks.shared.language import SingleTextTask
from workbench.tasks.shared.token_sums import first_tokens
from workbench.types import IGNORE_INDEX, Bools, Ints, Model, TokenIds, Tokenizer

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class _SpecialTokens:
    """The special tokens used in corrupted texts."""

    mask_id: int
    pad_id: int


@tasks.register("seq2seq-denoising")
class Seq2SeqDenoising(SingleTextTask):
    """Denoising: restore a text from which spans were removed, as BART does."""

    example = N_("Let a model that reads and writes get used to your own texts.")
    head = "AutoModelForSeq2SeqLM"
    target_kind = "next token"
    peft_type = "SEQ_2_SEQ_LM"
    metric_names = ("loss", "perplexity", "bits_per_byte", "token_accuracy")

    class Config(GenerationConfig):
        mask_share: float = Field(0.3, gt=0, lt=1, description="Share of the tokens to remove.")
        span_length: float = Field(3.0, gt=0, le=100, description="Mean length of a removed span, in tokens.")
        packing: bool = Field(
            True, description="Pack several short texts into one training row, if the model can keep them apart."
        )

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.special: _SpecialTokens | None = None
        self.start_id: int | None = None  # the token that the model's decoder starts with

    def configure(self, model: Model) -> None:
        super().configure(model)
        self.start_id = getattr(model.config, "decoder_start_token_id", None)

    @property
    def packs(self) -> bool:
        return super().packs and self.start_id is not None

    def read_special_tokens(self, tokenizer: Tokenizer) -> None:
        if tokenizer.mask_token_id is None:
            raise SpecError(
                "The model's tokenizer has no mask token, but this task needs one.",
                "Use a model whose tokenizer has one, or the task causal-lm.",
            )
        self.special = _SpecialTokens(tokenizer.mask_token_id, tokenizer.pad_token_id)

    def predictable(self, table: TokenTable) -> Bools:
        # All tokens except a first one that the decoder starts with anyway.
        start = -1 if self.start_id is None else self.start_id
        return np.asarray(~(first_tokens(table) & (table.ids == start)))

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        assert self.special is not None
        table = encoded.tokens
        # numpy has distributions that torch lacks; its seed comes from torch, so a resumed run samples the same spans
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        predictable = self.predictable(table)
        corrupted, whole = [], []  # of each row, its texts
        for i in indices:
            texts = list(_texts_of_row(table, int(i)))
            corrupted.append([self._without_spans(table, text, generator) for text in texts])
            whole.append([table.ids[text][predictable[text]] for text in texts])
        ids = _rectangle(corrupted, self.special.pad_id, multiple)
        lengths = np.array([sum(map(len, row)) for row in corrupted])
        mask = np.arange(ids.shape[1])[None, :] < lengths[:, None]
        arrays = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
        arrays["labels"] = _rectangle(whole, IGNORE_INDEX, multiple)
        if table.documents is not None:
            arrays["document_ids"] = _rectangle(_numbered(corrupted), 0, multiple)
            arrays["decoder_document_ids"] = _rectangle(_numbered(whole), 0, multiple)
            arrays["decoder_input_ids"] = _rectangle(self._decoder_inputs(whole), self.special.pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def _without_spans(self, table: TokenTable, text: slice, generator: np.random.Generator) -> TokenIds:
        """Return a text with spans removed."""
        assert table.words is not None and self.special is not None
        ordinary = table.words[text] != -1
        share, length = self.config.mask_share, self.config.span_length
        return take_spans(table.ids[text], ordinary, self.special.mask_id, share, length, generator)

    def _decoder_inputs(self, whole: list[list[TokenIds]]) -> list[list[TokenIds]]:
        """Return the decoder's inputs: for each text, the start token, then the text without its last token."""
        assert self.start_id is not None
        start = np.array([self.start_id], dtype=np.int32)
        return [[np.concatenate([start, text[:-1]]) if len(text) else text for text in row] for row in whole]

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of the first generated token.
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- inference -----------------------------------------------------------------------------------------------------

    def answer(self, context: InferenceContext, text: str, number: int, config: GenerationConfig) -> GeneratedText:
        # The restored text.
        tokenizer = context.tokenizer
        if not text.strip():
            raise DataError(f"Input {number} has no text.", f"Write a text with {tokenizer.mask_token} in it.")
        with special_tokens_in_text(tokenizer):
            ids = tokenizer(text)["input_ids"]
        generated = generate(context, ids, config, number, encoder_decoder=True)
        decoded = str(tokenizer.decode(generated, skip_special_tokens=True))
        return GeneratedText(decoded, prompt=text, tokens=len(generated))

    def prompts(self, tokenizer: Tokenizer) -> Iterator[str]:
        # The beginnings of training texts, with a span of three words removed.
        for text in self.excerpts:
            words = text.split()
            middle = len(words) // 2
            yield " ".join([*words[: max(0, middle - 1)], str(tokenizer.mask_token), *words[middle + 2 :]])


# -- helpers -----------------------------------------------------------------------------------------------------------


def take_spans(
    ids: TokenIds,
    ordinary: Bools,
    mask_id: int,
    share: float,
    mean: float,
    generator: np.random.Generator,
) -> TokenIds:
    """Replace spans of a text by one [MASK] each.

    Args:
        ids: [T].
        ordinary: [T], which tokens are not special; they are consecutive.
        mask_id: the token [MASK].
        share: share of the text's tokens to remove, exactly (rounded).
        mean: mean length of a span.
        generator: source of randomness.

    Returns:
        The remaining tokens, with the masks.
    """
    positions = np.flatnonzero(ordinary)
    removed = int(np.rint(share * len(positions)))
    if removed == 0:
        return ids
    spans = _span_lengths(removed, mean, generator)
    left = len(positions) - removed
    # Remaining tokens and spans in random order, all orders equally probable: -1 is a token, else a span's index.
    order = generator.permutation(np.concatenate([np.full(left, -1), np.arange(len(spans))]))
    is_span = order >= 0
    width = np.where(is_span, spans[order], 1)  # number of tokens of the original text that each one covers
    before = int(positions[0])
    begin = before + np.cumsum(width) - width
    middle = np.where(is_span, mask_id, ids[np.minimum(begin, len(ids) - 1)])
    return np.concatenate([ids[:before], middle, ids[before + len(positions) :]]).astype(np.int32)


def _span_lengths(removed: int, mean: float, generator: np.random.Generator) -> Ints:
    """Return span lengths whose sum is exactly ``removed``."""
    lengths: list[int] = []
    while removed > 0:
        length = min(removed, int(generator.poisson(mean)))
        lengths.append(length)
        removed -= length
    return np.array(lengths, dtype=np.int64)


def _texts_of_row(table: TokenTable, row: int) -> Iterator[slice]:
    """Yield the slice of the table for each text in a row; a packed row has several."""
    begin, end = int(table.offsets[row]), int(table.offsets[row + 1])
    borders = np.zeros(0, dtype=np.int64)
    if table.documents is not None:
        borders = begin + 1 + np.flatnonzero(np.diff(table.documents[begin:end]))
    yield from (slice(a, b) for a, b in pairwise([begin, *borders.tolist(), end]))


def _numbered(rows: list[list[TokenIds]]) -> list[list[TokenIds]]:
    """Return, for each token, the number of its text within the row, from 1."""
    return [[np.full(len(text), n, dtype=np.int32) for n, text in enumerate(row, start=1)] for row in rows]


def _rectangle(rows: list[list[TokenIds]], fill: int, multiple: int) -> Ints:
    """Return the concatenated texts of each row, padded to a common width."""
    width = math.ceil(max(sum(map(len, row)) for row in rows) / multiple) * multiple
    table = np.full((len(rows), width), fill, dtype=np.int64)
    for line, row in zip(table, rows, strict=True):
        joined = np.concatenate(row)
        line[: len(joined)] = joined
    return table
