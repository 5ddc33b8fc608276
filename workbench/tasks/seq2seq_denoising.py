"""Write a text whole again that has holes: what BART learns from text alone (Lewis et al. 2020, section 2.2).

    task: seq2seq-denoising

Spans of tokens, their lengths drawn from a Poisson distribution of mean 3, are each replaced by one [MASK], until 30%
of the tokens are gone; a span of no tokens puts in a [MASK] that stands for nothing. The model reads what is left and
writes the whole text, so it has to find out how much is missing as well. Spans are drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, SpecError
from workbench.tasks.base import Array, Encoded, Target, TargetScore, tasks
from workbench.tasks.shared.generation import GenerationConfig, write
from workbench.tasks.shared.language import IGNORED, SingleTextTask, first_tokens

if TYPE_CHECKING:
    import torch


@tasks.register("seq2seq-denoising")
class Seq2SeqDenoising(SingleTextTask):
    """Denoising: write a text whole again from which spans were taken away, as BART does."""

    head = "AutoModelForSeq2SeqLM"
    target_kind = "next token"
    peft_type = "SEQ_2_SEQ_LM"
    figures = ("loss", "perplexity", "bits_per_byte", "token_accuracy")

    class Config(GenerationConfig):
        mask_share: float = Field(0.3, gt=0, lt=1, description="Share of the tokens that are taken away.")
        span_length: float = Field(
            3.0, gt=0, le=100, description="Mean length of a span that is taken away, in tokens."
        )
        packing: bool = Field(
            True, description="Pack several short texts into one row while training, where the model keeps them apart."
        )

    config: Config

    mask_id = -1
    pad_id = 0
    start_id: int | None = None

    def configure(self, model: Any) -> None:
        super().configure(model)
        self.start_id = getattr(model.config, "decoder_start_token_id", None)
        self.packs = self.packs and self.start_id is not None

    def learn_tokens(self, tokenizer: Any) -> None:
        if tokenizer.mask_token_id is None:
            raise SpecError(
                "The model's tokenizer has no mask token, and this task needs one.",
                "Use a model whose tokenizer has one, or the task causal-lm.",
            )
        self.mask_id, self.pad_id = tokenizer.mask_token_id, tokenizer.pad_token_id

    def predictable(self, table: TokenTable) -> NDArray[np.bool_]:
        """All but a first token that the decoder is given to start with."""
        given = -1 if self.start_id is None else self.start_id
        found: NDArray[np.bool_] = ~(first_tokens(table) & (table.ids == given))
        return found

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        table = encoded.tokens
        # numpy's generators draw what torch's cannot; seeded from torch's, the draw has its place in the run
        generator = np.random.default_rng(int(torch.randint(2**62, ())))
        known = self.predictable(table)
        shown, whole = [], []  # of each row, the texts that stand in it
        for i in indices:
            texts = list(_texts_of_row(table, int(i)))
            shown.append([self._spoiled(table, text, generator) for text in texts])
            whole.append([table.ids[text][known[text]] for text in texts])
        ids = _rectangle(shown, self.pad_id, multiple)
        lengths = np.array([sum(map(len, row)) for row in shown])
        real = np.arange(ids.shape[1])[None, :] < lengths[:, None]
        found = {"input_ids": ids, "attention_mask": real.astype(np.int64)}
        found["labels"] = _rectangle(whole, IGNORED, multiple)
        if table.documents is not None:
            found["document_ids"] = _rectangle(_numbered(shown), 0, multiple)
            found["decoder_document_ids"] = _rectangle(_numbered(whole), 0, multiple)
            found["decoder_input_ids"] = _rectangle(self._written_before(whole), self.pad_id, multiple)
        return {name: torch.from_numpy(array) for name, array in found.items()}

    def _spoiled(self, table: TokenTable, text: slice, generator: np.random.Generator) -> NDArray[np.int32]:
        """One text with spans taken away."""
        assert table.words is not None
        settings = self.config
        return take_spans(
            table.ids[text], table.words[text] != -1, self.mask_id, settings.mask_share, settings.span_length, generator
        )

    def _written_before(self, whole: list[list[NDArray[np.int32]]]) -> list[list[NDArray[np.int32]]]:
        """What the decoder has written before each token: its start, then the text up to there; anew in each text."""
        assert self.start_id is not None
        start = np.array([self.start_id], dtype=np.int32)
        return [[np.concatenate([start, text[:-1]]) if len(text) else text for text in row] for row in whole]

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """The first token that is written."""
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- asked -----------------------------------------------------------------------------------------------------

    def answer(self, model: Any, tokenizer: Any, text: str, place: int, settings: Any) -> dict[str, Any]:
        """The text written whole."""
        if not text.strip():
            raise DataError(f"Input {place} has no text.", f"Write a text with {tokenizer.mask_token} in it.")
        with special_tokens_in_text(tokenizer):
            ids = tokenizer(text)["input_ids"]
        written = write(model, tokenizer, ids, settings, place, reads_apart=True)
        return {"prompt": text, "text": tokenizer.decode(written, skip_special_tokens=True), "tokens": len(written)}

    def prompts(self, tokenizer: Any) -> Iterator[str]:
        """The beginnings of training texts with a span of three words taken away."""
        for text in self.excerpts:
            words = text.split()
            middle = len(words) // 2
            yield " ".join([*words[: max(0, middle - 1)], tokenizer.mask_token, *words[middle + 2 :]])


def take_spans(
    ids: NDArray[np.int32],
    text: NDArray[np.bool_],
    mask_id: int,
    share: float,
    mean: float,
    generator: np.random.Generator,
) -> NDArray[np.int32]:
    """A text with spans replaced by one [MASK] each.

    Args:
        ids: int32 [T].
        text: bool [T], the tokens that are not special; they stand together.
        mask_id: the number of [MASK].
        share: of the text's tokens that are taken away, exactly (rounded).
        mean: mean length of a span.
        generator: source of randomness.

    Returns:
        int32, as long as what is left.
    """
    places = np.flatnonzero(text)
    gone = int(np.rint(share * len(places)))
    if gone == 0:
        return ids
    spans = _span_lengths(gone, mean, generator)
    kept = len(places) - gone
    # Kept tokens and spans in any order, each equally probable: -1 is a kept token, else the number of a span.
    order = generator.permutation(np.concatenate([np.full(kept, -1), np.arange(len(spans))]))
    is_span = order >= 0
    width = np.where(is_span, spans[order], 1)  # tokens of the whole text that each of them stands for
    before = int(places[0])
    begin = before + np.cumsum(width) - width
    middle = np.where(is_span, mask_id, ids[np.minimum(begin, len(ids) - 1)])
    return np.concatenate([ids[:before], middle, ids[before + len(places) :]]).astype(np.int32)


def _span_lengths(gone: int, mean: float, generator: np.random.Generator) -> NDArray[np.int64]:
    """Lengths drawn from Poisson(mean) until they add up to ``gone``; the last is cut to fit."""
    found: list[int] = []
    while gone > 0:
        length = min(gone, int(generator.poisson(mean)))
        found.append(length)
        gone -= length
    return np.array(found, dtype=np.int64)


def _texts_of_row(table: TokenTable, row: int) -> Iterator[slice]:
    """Where in the table's tokens each text of a row stands: one, or several that are packed into it."""
    begin, end = int(table.offsets[row]), int(table.offsets[row + 1])
    borders = np.zeros(0, dtype=np.int64)
    if table.documents is not None:
        borders = begin + 1 + np.flatnonzero(np.diff(table.documents[begin:end]))
    yield from (slice(a, b) for a, b in pairwise([begin, *borders.tolist(), end]))


def _numbered(rows: list[list[NDArray[np.int32]]]) -> list[list[NDArray[np.int32]]]:
    """For each token the number of its text in the row, from 1."""
    return [[np.full(len(text), n, dtype=np.int32) for n, text in enumerate(row, start=1)] for row in rows]


def _rectangle(rows: list[list[NDArray[np.int32]]], fill: int, multiple: int) -> NDArray[np.int64]:
    """The texts of each row one after another, filled up to one width."""
    width = -(-max(sum(map(len, row)) for row in rows) // multiple) * multiple
    found = np.full((len(rows), width), fill, dtype=np.int64)
    for line, row in zip(found, rows, strict=True):
        joined = np.concatenate(row)
        line[: len(joined)] = joined
    return found
