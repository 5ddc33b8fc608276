"""Guess masked words: what BERT learns from text alone (Devlin et al. 2018, section 3.1, task 1).

    task: masked-lm

15% of the tokens are chosen, anew each time a text is met; 80% of them are shown as [MASK], 10% as some other token,
10% as they are. The loss is that of the chosen tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from workbench.data.text.packing import Documents
from workbench.data.text.tokenizers import special_tokens_in_text
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError, SpecError
from workbench.spec import SpecModel
from workbench.tasks.base import Array, Encoded, Target, TargetScore, tasks
from workbench.tasks.shared.language import IGNORED, Ints, SingleTextTask, row_sums, token_sums
from workbench.tasks.shared.masking import draw_tokens, draw_words, replace
from workbench.tuning.max_length import max_text_length

if TYPE_CHECKING:
    import torch


class MaskedOptions(SpecModel):
    """Options of the tasks that mask tokens."""

    mask_probability: float = Field(0.15, gt=0, lt=1, description="Share of the tokens that are to be guessed.")
    whole_words: bool = Field(False, description="Mask words with all their pieces, never a piece alone.")
    shown_as_mask: float = Field(0.8, ge=0, le=1, description="Share of the chosen tokens that are shown as [MASK].")
    shown_as_random: float = Field(
        0.1, ge=0, le=1, description="Share of the chosen tokens that are shown as some other token; the rest stays."
    )
    packing: bool = Field(
        True, description="Pack several short texts into one row while training, where the model keeps them apart."
    )
    candidates: int = Field(5, ge=1, le=100, description="Answers for each [MASK] in a text to be filled in.")

    @model_validator(mode="after")
    def _shares(self) -> MaskedOptions:
        if self.shown_as_mask + self.shown_as_random > 1:
            raise ValueError("shown_as_mask and shown_as_random together are more than 1")
        return self


@tasks.register("masked-lm")
class MaskedLM(SingleTextTask):
    """Masked language model: guess masked words from both sides, as BERT does."""

    head = "AutoModelForMaskedLM"
    target_kind = "masked token"
    figures: ClassVar[Sequence[str]] = ("loss", "perplexity", "bits_per_byte", "masked_accuracy")

    class Config(MaskedOptions):
        pass

    config: Config

    mask_id = -1
    ordinary: NDArray[np.int64]

    @property
    def needs_words(self) -> bool:
        return self.config.whole_words

    def learn_tokens(self, tokenizer: Any) -> None:
        if tokenizer.mask_token_id is None:
            raise SpecError(
                "The model's tokenizer has no mask token, and this task needs one.",
                "Use a model that was made for masked words (minilm, transformer-encoder), or the task causal-lm.",
            )
        self.mask_id = tokenizer.mask_token_id
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)

    def predicted(self, rows: TokenTable) -> Ints:
        maskable = row_sums(rows, self.predictable(rows))
        wanted = np.rint(self.config.mask_probability * maskable).astype(np.int64)
        found: Ints = np.minimum(np.maximum(wanted, 1), maskable)
        return found

    def tokens_by_document(self, documents: Documents, pieces: TokenTable, owner: Ints) -> Ints:
        return documents.lengths

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        import torch

        assert encoded.tokens.words is not None
        words = torch.from_numpy(encoded.tokens.pad_values(encoded.tokens.words, indices, -1, multiple))
        return self.mask(batch, words, torch.from_numpy(encoded.targets.predicted[indices]))

    def mask(self, batch: dict[str, torch.Tensor], words: torch.Tensor, wanted: torch.Tensor) -> dict[str, Any]:
        """The batch with ``wanted`` [B] tokens of each row masked; ``words`` [B, T] as in :func:`draw_words`."""
        import torch

        masked = draw_words(words, wanted) if self.config.whole_words else draw_tokens(words != -1, wanted)
        ids, settings = batch["input_ids"], self.config
        shown = replace(
            ids, masked, self.mask_id, torch.from_numpy(self.ordinary), settings.shown_as_mask, settings.shown_as_random
        )
        spoiled = {**batch, "input_ids": shown, "labels": ids.masked_fill(~masked, IGNORED)}
        if self.takes_places:  # found here, so that a GPU need not make the host wait for them
            spoiled["label_positions"] = masked.flatten().nonzero().squeeze(1)
        return spoiled

    # -- asked -----------------------------------------------------------------------------------------------------

    def answer(self, model: Any, tokenizer: Any, text: str, place: int, settings: Any) -> dict[str, Any]:
        """The text with each [MASK] filled in, and the most probable tokens for each."""
        import torch

        with special_tokens_in_text(tokenizer):
            inputs = tokenizer(text, return_tensors="pt", truncation=False)
        ids, room = inputs["input_ids"], max_text_length(model)
        if room is not None and ids.shape[1] > room:
            raise DataError(
                f"Input {place} has {ids.shape[1]:,} tokens, and the model has {room:,} positions.",
                f"Give a shorter text around {tokenizer.mask_token}.",
            )
        places = (ids[0] == tokenizer.mask_token_id).nonzero().squeeze(1)
        if not len(places):
            raise DataError(
                f"Input {place} has no {tokenizer.mask_token}.",
                f"Write {tokenizer.mask_token} where a word is to be filled in.",
            )
        found = model(**{name: value.to(model.device) for name, value in inputs.items()})
        best = torch.softmax(word_logits(found)[0, places.to(model.device)].float(), dim=-1).topk(settings.candidates)
        filled = ids[0].clone()
        filled[places] = best.indices[:, 0].cpu()
        masks = [
            [{"token": tokenizer.decode([i]).strip(), "score": p} for i, p in zip(row, scores, strict=True)]
            for row, scores in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
        return {"prompt": text, "text": tokenizer.decode(filled, skip_special_tokens=True), "masks": masks}

    def prompts(self, tokenizer: Any) -> Iterator[str]:
        """The beginnings of training texts with their middle word masked."""
        for text in self.excerpts:
            words = text.split()
            middle = len(words) // 2
            yield " ".join([*words[:middle], tokenizer.mask_token, *words[middle + 1 :]])

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return token_sums(word_logits(model_output), batch["labels"])

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """What stands behind a mask."""
        return TargetScore.choice(word_logits(model_output)[:, target.position], target.index)


def word_logits(model_output: Any) -> torch.Tensor:
    """The scores of words, whatever the head calls them."""
    found = getattr(model_output, "prediction_logits", None)
    logits: torch.Tensor = model_output.logits if found is None else found
    return logits
