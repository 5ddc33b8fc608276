"""Predict the next token from the tokens before it, the pretraining task of GPT (Radford et al. 2018, section 3.1).

task: causal-lm
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from workbench.data.text.packing import tokenize_documents
from workbench.data.text.tokens import TokenTable
from workbench.errors import DataError
from workbench.i18n import N_
from workbench.tasks.answers import GeneratedText
from workbench.tasks.base import ModelOutput, Target, TargetScore, tasks
from workbench.tasks.contexts import Batch, Encoded, InferenceContext
from workbench.tasks.shared.generation import GenerationConfig, generate
from workbench.tasks.shared.language import SingleTextTask
from workbench.tasks.shared.token_sums import first_tokens, token_sums
from workbench.types import IGNORE_INDEX, Bools, Ints, Tokenizer

if TYPE_CHECKING:
    import torch


@tasks.register("causal-lm")
class CausalLM(SingleTextTask):
    """Causal language modeling: predict each next token from the tokens before it, as GPT does."""

    example = N_("Go on writing in the style of your own texts.")
    head = "AutoModelForCausalLM"
    target_kind = "next token"
    peft_type = "CAUSAL_LM"
    stochastic_inputs = False
    ends_documents = True
    metric_names = ("loss", "perplexity", "bits_per_byte", "token_accuracy")

    class Config(GenerationConfig):
        packing: bool = Field(
            True, description="Pack several short texts into one training row, if the model can keep them apart."
        )

    config: Config

    def special_tokens(self, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
        # The special tokens that the tokenizer adds; if it adds none (GPT-2's), its tokens that begin and end a text.
        prefix, suffix = super().special_tokens(tokenizer)
        if not prefix and tokenizer.bos_token_id is not None:
            prefix = [tokenizer.bos_token_id]  # without it, the first word would have no context to be predicted from
        if not suffix and tokenizer.eos_token_id is not None:
            suffix = [tokenizer.eos_token_id]
        return prefix, suffix

    def continuation_prefix(self, tokenizer: Tokenizer) -> list[int]:
        return self.special_tokens(tokenizer)[0]

    def predictable(self, table: TokenTable) -> Bools:
        return ~first_tokens(table)

    def corrupt(
        self, batch: dict[str, torch.Tensor], encoded: Encoded, indices: Ints, multiple: int
    ) -> dict[str, torch.Tensor]:
        # Add the labels; the texts are not changed.
        return {**batch, "labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORE_INDEX)}

    def outputs(self, model_output: ModelOutput, batch: Batch) -> torch.Tensor:
        next_tokens = batch["labels"][:, 1:]
        if "document_ids" in batch:
            crossing = batch["document_ids"][:, 1:] != batch["document_ids"][:, :-1]
            next_tokens = next_tokens.masked_fill(crossing, IGNORE_INDEX)
        return token_sums(model_output.logits[:, :-1], next_tokens)

    def target_score(self, model_output: ModelOutput, batch: Batch, target: Target) -> TargetScore:
        # The score of a token as the next token of the text.
        return TargetScore.choice(model_output.logits[:, -1], target.index)

    # -- inference -----------------------------------------------------------------------------------------------------

    def answer(self, context: InferenceContext, text: str, number: int, config: GenerationConfig) -> GeneratedText:
        # Continue a text.
        prefix, suffix = self.special_tokens(context.tokenizer)
        ids = prefix + tokenize_documents(context.tokenizer, [text]).ids.tolist()
        ids = ids or suffix
        if not ids:
            raise DataError(f"Input {number} has no text to continue.", "Write the beginning of a text.")
        generated = generate(context, ids, config, number, encoder_decoder=False)
        decoded = str(context.tokenizer.decode(generated, skip_special_tokens=True))
        return GeneratedText(decoded, prompt=text, tokens=len(generated))

    def prompts(self, tokenizer: Tokenizer) -> Iterator[str]:
        # The first words of training texts.
        for text in self.excerpts:
            yield " ".join(text.split()[:4])
