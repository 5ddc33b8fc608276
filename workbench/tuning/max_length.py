"""How long a text a model takes: one answer for all who refuse texts, cut them, or write them on."""

from __future__ import annotations

from typing import Any


def max_text_length(model: Any) -> int | None:
    """The longest text that a model has positions for, in tokens; None when it has no such limit."""
    if getattr(model.config, "positions", None) in ("rotary", "none"):  # ours: no table that would end
        return None
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from after the padding's.
        if positions and name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return positions - int(module.padding_idx) - 1
    return positions
