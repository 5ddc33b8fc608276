"""Predict masked tokens, the first pretraining task of BERT (Devlin et al. 2018, section 3.1, task 1).

    task: masked-lm

Each time a text is read, 15% of its tokens are selected. Of these, 80% are replaced by [MASK], 10% by a random token,
and 10% stay unchanged. The loss covers only the selected tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from workbench.data.text.packing import Documents
from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, SpecError
from workbench.i18n import N_
from workbench.spec import SpecModel
from workbench.tasks.answers import FilledMasks, ScoredText
from workbench.tasks.base import ModelOutput, Target, TargetScore, tasks
from workbench.tasks.contexts import Batch, Encoded, InferenceContext
from workbench.tasks.shared.language import SingleTextTask
from workbench.tasks.shared.masking import draw_tokens, draw_words, replace
from workbench.tasks.shared.token_sums import row_sums, token_sums
from workbench.tuning.max_length import max_text_length
from workbench.types import IGNORE_INDEX, Ints, Tokenizer

if TYPE_CHECKING:
    import torch


class MaskedOptions(SpecModel):
    """Options of tasks that mask tokens."""

    mask_probability: float = Field(0.15, gt=0, lt=1, description="Share of the tokens to predict.")
    whole_words: bool = Field(False, description="Mask whole words, never a single subword.")
    shown_as_mask: float = Field(
        0.8, ge=0, le=1, description="Share of the selected tokens that are replaced by [MASK]."
    )
    shown_as_random: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the selected tokens that are replaced by a random token; the rest stay unchanged.",
    )
    packing: bool = Field(
        True, description="Pack several short texts into one training row, if the model can keep them apart."
    )
    candidates: int = Field(5, ge=1, le=100, description="Number of predictions to return for each [MASK].")

    @model_validator(mode="after")
    def _shares(self) -> MaskedOptions:
        if self.shown_as_mask + self.shown_as_random > 1:
            raise ValueError("the sum of shown_as_mask and shown_as_random must not exceed 1")
        return self


@dataclass(frozen=True)
class MaskTokens:
    """The tokens that can replace masked tokens.

    Attributes:
        mask_id: the token [MASK].
        ordinary: int64 [K], all tokens that are not special.
    """

    mask_id: int
    ordinary: Ints

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> MaskTokens:
        """Build from a tokenizer.

        Args:
            tokenizer: the model's tokenizer.

        Raises:
            SpecError: it has no mask token.
        """
        if tokenizer.mask_token_id is None:
            raise SpecError(
                "The model's tokenizer has no mask token, but this task needs one.",
                "Use a masked language model (minilm, transformer-encoder), or the task causal-lm.",
            )
        ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        return cls(tokenizer.mask_token_id, ordinary)


@tasks.register("masked-lm")
class MaskedLM(SingleTextTask):
    """Masked language modeling: predict masked tokens from the context on both sides, as BERT does."""

    example = N_("Let a model get used to the language of your own field before it learns a task.")
    head = "AutoModelForMaskedLM"
    target_kind = "masked token"
    metric_names: ClassVar[Sequence[str]] = ("loss", "perplexity", "bits_per_byte", "masked_accuracy")

    class Config(MaskedOptions):
        pass

    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self.mask_tokens: MaskTokens | None = None

    @property
    def needs_words(self) -> bool:
        return self.config.whole_words

    def read_special_tokens(self, tokenizer: Tokenizer) -> None:
        self.mask_tokens = MaskTokens.of(tokenizer)

    def predicted(self, rows: TokenTable) -> Ints:
        maskable = row_sums(rows, self.predictable(rows))
        wanted = np.rint(self.config.mask_probability * maskable).astype(np.int64)
        return np.asarray(np.minimum(np.maximum(wanted, 1), maskable))

    def tokens_by_document(self, documents: Documents, chunks: TokenTable, owner: Ints) -> Ints:
        return documents.lengths

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        assert encoded.tokens.words is not None
        words = torch.from_numpy(encoded.tokens.pad_values(encoded.tokens.words, indices, -1, multiple))
        return self.mask(batch, words, torch.from_numpy(encoded.targets.predicted[indices]))

    def mask(
        self, batch: dict[str, torch.Tensor], words: torch.Tensor, wanted: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Mask some tokens of each row.

        Args:
            batch: whole texts, [B, T].
            words: [B, T], as in :func:`draw_words`.
            wanted: number of tokens to mask in each row, [B].
        """
        import torch

        assert self.mask_tokens is not None
        masked = draw_words(words, wanted) if self.config.whole_words else draw_tokens(words != -1, wanted)
        ids, config = batch["input_ids"], self.config
        ordinary = torch.from_numpy(self.mask_tokens.ordinary)
        shown = replace(ids, masked, self.mask_tokens.mask_id, ordinary, config.shown_as_mask, config.shown_as_random)
        corrupted = {**batch, "input_ids": shown, "labels": ids.masked_fill(~masked, IGNORE_INDEX)}
        if self.model_inputs.label_positions:  # computed on the CPU, so that it does not wait for the GPU
            corrupted["label_positions"] = masked.flatten().nonzero().squeeze(1)
        return corrupted

    # -- inference -----------------------------------------------------------------------------------------------------

    def answer(self, context: InferenceContext, text: str, number: int, config: MaskedOptions) -> FilledMasks:
        # Fill in each [MASK] of a text.
        import torch

        tokenizer, model = context.tokenizer, context.model
        with special_tokens_in_text(tokenizer):
            inputs = tokenizer(text, return_tensors="pt", truncation=False)
        ids, room = inputs["input_ids"], max_text_length(model)
        if room is not None and ids.shape[1] > room:
            raise DataError(
                f"Input {number} has {ids.shape[1]:,} tokens, but the model accepts at most {room:,}.",
                f"Shorten the text around {tokenizer.mask_token}.",
            )
        positions = (ids[0] == tokenizer.mask_token_id).nonzero().squeeze(1)
        if not len(positions):
            raise DataError(
                f"Input {number} has no {tokenizer.mask_token}.",
                f"Write {tokenizer.mask_token} where the model should fill in a word.",
            )
        logits = word_logits(model(**context.to_device(inputs)))[0, positions.to(context.device)]
        best = torch.softmax(logits.float(), dim=-1).topk(config.candidates)
        filled = ids[0].clone()
        filled[positions] = best.indices[:, 0].cpu()
        masks = tuple(
            tuple(ScoredText(str(tokenizer.decode([i])).strip(), p) for i, p in zip(row, scores, strict=True))
            for row, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        return FilledMasks(str(tokenizer.decode(filled, skip_special_tokens=True)), text, masks)

    def prompts(self, tokenizer: Tokenizer) -> Iterator[str]:
        # The beginnings of training texts, with the middle word masked.
        for text in self.excerpts:
            words = text.split()
            middle = len(words) // 2
            yield " ".join([*words[:middle], str(tokenizer.mask_token), *words[middle + 1 :]])

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        return token_sums(word_logits(model_output), batch["labels"])

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of a token at the position of a mask.
        return TargetScore.choice(word_logits(model_output)[:, target.position], target.index)


def word_logits(model_output: ModelOutput) -> torch.Tensor:
    """Return the logits over the vocabulary, whatever the head calls them.

    Args:
        model_output: output of a head for masked tokens.
    """
    prediction = getattr(model_output, "prediction_logits", None)
    logits: torch.Tensor = model_output.logits if prediction is None else prediction
    return logits
