"""Text generation with transformers' ``generate``: greedy, sampled, or by beam search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from workbench.spec import SpecModel
from workbench.tasks.contexts import InferenceContext
from workbench.tuning.max_length import max_text_length
from workbench.types import Ints, Tokenizer

if TYPE_CHECKING:
    import torch

GENERATION_BATCH_SIZE = 32  # texts per batch


class GenerationConfig(SpecModel):
    """Options of tasks that generate text."""

    max_new_tokens: int = Field(40, ge=1, le=32_768, description="Maximum number of tokens to generate for a text.")
    temperature: float = Field(
        0.8,
        ge=0,
        le=10,
        description="Sampling temperature: 0 is greedy decoding, 1 samples from the model's distribution unchanged.",
    )
    top_k: int = Field(50, ge=0, description="Sample only from the k most probable tokens; 0 disables this.")
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Nucleus sampling: sample from the smallest set of tokens with this total probability; 1 "
        "disables this.",
    )
    beams: int = Field(1, ge=1, le=64, description="Number of beams in beam search; 1 disables beam search.")
    repetition_penalty: float = Field(
        1.0, ge=0.1, le=10, description="Repetition penalty for tokens that were already generated; 1 disables it."
    )
    writing_seed: int = Field(0, ge=0, lt=2**31, description="Random seed for sampling.")


def generate(
    context: InferenceContext, ids: Sequence[int], config: GenerationConfig, number: int, encoder_decoder: bool
) -> list[int]:
    """Generate tokens for one text.

    Args:
        context: a model that can ``generate``.
        ids: the input tokens.
        config: generation options.
        number: index of the text in its request; each text is sampled with its own seed.
        encoder_decoder: whether the model reads the input with an encoder; otherwise it continues the input.
    """
    return _generate_batch(context, [ids], config, config.writing_seed + number, encoder_decoder)[0]


def generate_all(
    context: InferenceContext,
    rows: Sequence[Sequence[int]],
    config: GenerationConfig,
    encoder_decoder: bool,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """Generate tokens for many texts, in batches of similar length, without the end-of-text token.

    Sampled tokens depend on the batch that a text is in.

    Args:
        context: a model that can ``generate``.
        rows: the input tokens, N rows, none empty.
        config: generation options.
        encoder_decoder: see :func:`generate`.
        progress: called with the number of finished texts and the total number.
    """
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    generated: list[list[int]] = [[] for _ in rows]
    for start in range(0, len(order), GENERATION_BATCH_SIZE):
        batch = order[start : start + GENERATION_BATCH_SIZE]
        seed = config.writing_seed + start
        outputs = _generate_batch(context, [rows[i] for i in batch], config, seed, encoder_decoder)
        for i, output in zip(batch, outputs, strict=True):
            generated[i] = until_end(output, context.tokenizer)
        if progress is not None:
            progress(min(start + GENERATION_BATCH_SIZE, len(order)), len(order))
    return generated


def until_end(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    """Return the tokens before the end-of-text token or padding.

    Args:
        ids: generated tokens.
        tokenizer: the model's tokenizer.
    """
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    return ids[: next((i for i, token in enumerate(ids) if token in ends), len(ids))]


def _generate_batch(
    context: InferenceContext,
    rows: Sequence[Sequence[int]],
    config: GenerationConfig,
    seed: int,
    encoder_decoder: bool,
) -> list[list[int]]:
    """Generate tokens for a batch; texts that end earlier are padded."""
    import torch
    import transformers

    model, tokenizer = context.model, context.tokenizer
    room = max_text_length(model)
    new = config.max_new_tokens
    if room is not None:
        new = min(new, room - 1)
        most = room if encoder_decoder else room - new
        rows = [row[:most] if encoder_decoder else row[-most:] for row in rows]
    samples = config.temperature > 0 and config.beams == 1
    sampling = {"temperature": config.temperature, "top_k": config.top_k, "top_p": config.top_p} if samples else {}
    generation_config = transformers.GenerationConfig(
        max_new_tokens=new,
        do_sample=samples,
        num_beams=config.beams,
        repetition_penalty=config.repetition_penalty,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        **sampling,
    )
    ids, mask = _rectangle(rows, tokenizer.pad_token_id or 0, left=not encoder_decoder)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=ids.to(model.device),  # as a keyword: peft models accept no positional arguments
            attention_mask=mask.to(model.device),
            generation_config=generation_config,
        )
    generated: list[list[int]] = output[:, 1 if encoder_decoder else ids.shape[1] :].tolist()
    return generated


def _rectangle(rows: Sequence[Sequence[int]], pad_id: int, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return padded rows and their attention mask; rows to continue are padded on the left."""
    import torch

    longest = max(map(len, rows))
    ids, mask = torch.full((len(rows), longest), pad_id), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        columns = slice(longest - len(row), longest) if left else slice(len(row))
        ids[i, columns], mask[i, columns] = torch.tensor(list(row)), 1
    return ids, mask


def evenly_spaced(count: int, most: int) -> Ints:
    """Return up to ``most`` distinct, evenly spaced integers below ``count``, int64 [min(count, most)].

    Args:
        count: upper limit of the integers.
        most: maximum number of integers.
    """
    chosen = min(count, most)
    return np.arange(chosen) * count // max(1, chosen)
