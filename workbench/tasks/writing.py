"""How a model writes text, through transformers' ``generate``: greedy, drawn, or searched with beams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from workbench.spec import Part


class WritingOptions(Part):
    """Options of the tasks whose model writes."""

    max_new_tokens: int = Field(40, ge=1, le=32_768, description="Most tokens that are written for a text.")
    temperature: float = Field(
        0.8, ge=0, le=10, description="Spread of what is drawn: 0 takes the most probable token, 1 draws as learned."
    )
    top_k: int = Field(50, ge=0, description="Draw from so many of the most probable tokens; 0 for all.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Draw from the most probable tokens that together have this probability."
    )
    beams: int = Field(1, ge=1, le=64, description="Texts searched side by side for the most probable; 1 for none.")
    repetition_penalty: float = Field(
        1.0, ge=0.1, le=10, description="Divides the scores of tokens that were written before; 1 for none."
    )
    writing_seed: int = Field(0, ge=0, lt=2**31, description="Seed of what is drawn while writing.")


def write(
    model: Any, tokenizer: Any, ids: Sequence[int], options: WritingOptions, place: int, reads_apart: bool
) -> list[int]:
    """Tokens that the model writes.

    Args:
        model: a transformers model that can ``generate``.
        tokenizer: its tokenizer.
        ids: what it reads.
        options: how it writes.
        place: of the text in its request: each is drawn with a seed of its own.
        reads_apart: it reads with an encoder and writes with a decoder; otherwise it goes on with what it reads.
    """
    import torch
    from transformers import GenerationConfig

    room = getattr(model.config, "max_position_embeddings", None)
    new = options.max_new_tokens
    if room is not None:
        new = min(new, room - 1)
        most = room if reads_apart else room - new
        ids = ids[:most] if reads_apart else ids[-most:]
    draws = options.temperature > 0 and options.beams == 1
    spread = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p} if draws else {}
    config = GenerationConfig(
        max_new_tokens=new,
        do_sample=draws,
        num_beams=options.beams,
        repetition_penalty=options.repetition_penalty,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=getattr(model.config, "decoder_start_token_id", None),
        **spread,
    )
    given = torch.tensor([list(ids)], device=model.device)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(options.writing_seed + place)
        found = model.generate(
            input_ids=given,  # by name: peft's models take nothing else
            attention_mask=torch.ones_like(given),
            generation_config=config,
        )
    written: list[int] = found[0].tolist()
    return written[1:] if reads_apart else written[given.shape[1] :]
