"""The longest text that a model can read: one answer for everything that refuses, cuts or continues texts."""

from __future__ import annotations

from workbench.types import JsonObject, Model

_AFTER_PADDING = ("roberta", "camembert", "mpnet", "longformer", "xmod", "data2vec-text", "ibert", "luke", "esm", "mra")


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


def max_length_of_config(config: JsonObject) -> int | None:
    """Return what :func:`max_text_length` will return of the model, before it is loaded.

    Args:
        config: the content of its ``config.json``.

    Returns:
        A number of tokens; None if there is no such limit, or if it is not known.
    """
    kind = str(config.get("model_type"))
    field = "n_positions" if kind in ("gpt2", "openai-gpt", "ctrl") else "max_position_embeddings"
    positions = config.get(field)
    if config.get("positions") in ("rotary", "none") or not isinstance(positions, int) or positions < 1:
        return None
    if not any(name in kind for name in _AFTER_PADDING):
        return positions
    padding = config.get("pad_token_id", 1)
    return positions - padding - 1 if isinstance(padding, int) else None
