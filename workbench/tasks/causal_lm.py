"""Guess the next token from those before it: what GPT learns (Radford et al. 2018, section 3.1).

task: causal-lm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.data.text.packing import tokenize_documents
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError
from workbench.tasks.base import Array, Encoded, Target, TargetScore, tasks
from workbench.tasks.shared.generation import GenerationConfig, write
from workbench.tasks.shared.language import IGNORED, SingleTextTask, first_tokens, token_sums
from workbench.types import Tokenizer

if TYPE_CHECKING:
    import torch


@tasks.register("causal-lm")
class CausalLM(SingleTextTask):
    """Causal language model: guess each next token from those before it, and write, as GPT does."""

    head = "AutoModelForCausalLM"
    target_kind = "next token"
    peft_type = "CAUSAL_LM"
    stochastic_inputs = False
    ends_documents = True
    figures = ("loss", "perplexity", "bits_per_byte", "token_accuracy")

    class Config(GenerationConfig):
        packing: bool = Field(
            True, description="Pack several short texts into one row while training, where the model keeps them apart."
        )

    config: Config

    def continuation_prefix(self, tokenizer: Tokenizer) -> list[int]:
        return self.ends(tokenizer)[0]

    def ends(self, tokenizer: Any) -> tuple[list[int], list[int]]:
        """As the tokenizer has them; where it has none (GPT-2's), its tokens for the begin and the end of a text."""
        before, after = super().ends(tokenizer)
        if not before and tokenizer.bos_token_id is not None:
            before = [tokenizer.bos_token_id]  # without it the first word of a text would be guessed from nothing
        if not after and tokenizer.eos_token_id is not None:
            after = [tokenizer.eos_token_id]
        return before, after

    def predictable(self, table: TokenTable) -> NDArray[np.bool_]:
        return ~first_tokens(table)

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Array, multiple: int
    ) -> dict[str, torch.Tensor]:
        return {**batch, "labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)}

    def outputs(self, model_output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        following = batch["labels"][:, 1:]
        if "document_ids" in batch:
            crossing = batch["document_ids"][:, 1:] != batch["document_ids"][:, :-1]
            following = following.masked_fill(crossing, IGNORED)
        return token_sums(model_output.logits[:, :-1], following)

    def target_score(self, model_output: Any, batch: Mapping[str, torch.Tensor], target: Target) -> TargetScore:
        """The token that comes after the text."""
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- asked -----------------------------------------------------------------------------------------------------

    def answer(self, model: Any, tokenizer: Any, text: str, place: int, settings: Any) -> dict[str, Any]:
        """How the text goes on."""
        before, after = self.ends(tokenizer)
        ids = before + tokenize_documents(tokenizer, [text]).ids.tolist()
        ids = ids or after
        if not ids:
            raise DataError(f"Input {place} has no token to begin with.", "Write the beginning of a text.")
        written = write(model, tokenizer, ids, settings, place, reads_apart=False)
        return {"prompt": text, "text": tokenizer.decode(written, skip_special_tokens=True), "tokens": len(written)}

    def prompts(self, tokenizer: Any) -> Iterator[str]:
        """The first few words of training texts."""
        for text in self.excerpts:
            yield " ".join(text.split()[:4])
