"""How a model writes text, through transformers' ``generate``: greedy, drawn, or searched with beams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from workbench.spec import SpecModel
from workbench.tuning.max_length import max_text_length

if TYPE_CHECKING:
    import torch

WRITTEN_AT_ONCE = 32  # texts in a batch


class GenerationConfig(SpecModel):
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
    model: Any, tokenizer: Any, ids: Sequence[int], options: GenerationConfig, place: int, reads_apart: bool
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
    return _generate(model, tokenizer, [ids], options, options.writing_seed + place, reads_apart)[0]


def write_all(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Sequence[int]],
    options: GenerationConfig,
    reads_apart: bool,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[int]]:
    """Tokens that the model writes for each of many texts, in batches of like length, without the token that ends one.

    Args:
        rows: what it reads, N rows of token numbers, none empty.
        progress: told how many of how many are done.

    The other arguments are those of :func:`write`. What is drawn depends on the batch that a text stands in.
    """
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    found: list[list[int]] = [[] for _ in rows]
    for start in range(0, len(order), WRITTEN_AT_ONCE):
        batch = order[start : start + WRITTEN_AT_ONCE]
        seed = options.writing_seed + start
        for i, written in zip(
            batch, _generate(model, tokenizer, [rows[i] for i in batch], options, seed, reads_apart), strict=True
        ):
            found[i] = until_end(written, tokenizer)
        if progress is not None:
            progress(min(start + WRITTEN_AT_ONCE, len(order)), len(order))
    return found


def until_end(written: list[int], tokenizer: Any) -> list[int]:
    """What stands before the token that ends a text, and before padding."""
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    return written[: next((place for place, token in enumerate(written) if token in ends), len(written))]


def _generate(
    model: Any, tokenizer: Any, rows: Sequence[Sequence[int]], options: GenerationConfig, seed: int, reads_apart: bool
) -> list[list[int]]:
    """What is written for a batch; texts that end sooner are filled up with padding."""
    import torch
    import transformers

    room = max_text_length(model)
    new = options.max_new_tokens
    if room is not None:
        new = min(new, room - 1)
        most = room if reads_apart else room - new
        rows = [row[:most] if reads_apart else row[-most:] for row in rows]
    draws = options.temperature > 0 and options.beams == 1
    spread = {"temperature": options.temperature, "top_k": options.top_k, "top_p": options.top_p} if draws else {}
    config = transformers.GenerationConfig(
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
    given, mask = _rectangle(rows, tokenizer.pad_token_id or 0, left=not reads_apart)
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        found = model.generate(
            input_ids=given.to(model.device),  # by name: peft's models take nothing else
            attention_mask=mask.to(model.device),
            generation_config=config,
        )
    written: list[list[int]] = found[:, 1 if reads_apart else given.shape[1] :].tolist()
    return written


def _rectangle(rows: Sequence[Sequence[int]], pad_id: int, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows filled up to one length, and what of it is real; on the left where the text is to go on at its right end."""
    import torch

    longest = max(map(len, rows))
    ids, real = torch.full((len(rows), longest), pad_id), torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        place = slice(longest - len(row), longest) if left else slice(len(row))
        ids[i, place], real[i, place] = torch.tensor(list(row)), 1
    return ids, real


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers below ``count``, evenly spread, each once, int64 [min(count, most)]."""
    chosen = min(count, most)
    return np.arange(chosen) * count // max(1, chosen)
