"""Small Transformers for tests, and texts for them."""

from __future__ import annotations

from typing import Any

import torch
import transformers

SMALL = {
    "vocab_size": 53,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "decoder_start_token_id": 2,
}
# Larger than training's 0.02, so that attention is not uniform and every weight has an effect.
STRONG = {**SMALL, "initializer_range": 0.3}


def tokens(rows: int = 3, length: int = 11, seed: int = 0) -> torch.Tensor:
    return torch.randint(5, 53, (rows, length), generator=torch.Generator().manual_seed(seed))


def padded(rows: int = 3, length: int = 11) -> tuple[torch.Tensor, torch.Tensor]:
    """Return texts of different lengths and their mask."""
    ids, mask = tokens(rows, length), torch.ones(rows, length, dtype=torch.long)
    for row in range(rows):
        mask[row, length - 2 * row :] = 0
    return ids.masked_fill(mask == 0, 0), mask


def build(auto: str, config: Any, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return getattr(transformers, auto).from_config(config).eval()


def real(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Select the states of the text's own tokens, without padding."""
    return states[mask.bool()]


POSITIONS = ["learned", "sinusoidal", "rotary"]
