"""The longest text that a model can read: one answer for everything that refuses, cuts or continues texts."""

from __future__ import annotations

from workbench.types import Model


def max_text_length(model: Model) -> int | None:
    """Return the longest text, in tokens, that a model has positions for.

    Args:
        model: a transformers model or one of ours.

    Returns:
        A number of tokens; None if there is no such limit.
    """
    if getattr(model.config, "positions", None) in ("rotary", "none"):  # ours, without a table of positions
        return None
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        # RoBERTa and its relatives count positions from after the padding's.
        padding = getattr(module, "padding_idx", None)
        if positions and name.endswith("position_embeddings") and isinstance(padding, int):
            return positions - padding - 1
    return positions
