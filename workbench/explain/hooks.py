"""Standing between a transformers model and the function that computes its attention."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def attention_functions(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Within, whoever asks transformers for an attention function in this thread is given ``wrap`` of it.

    The function is called as ``function(module, query, key, value, mask, scaling=..., ...)`` and returns the heads'
    outputs [B, T, H, K] and the weights [B, H, T, S] (or None). One at a time: hold ``MODEL_LOCK``.
    """
    from transformers import AttentionInterface

    me, before = threading.get_ident(), AttentionInterface.get_interface

    def get_interface(self: Any, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
        function: Callable[..., Any] = before(self, name, default)
        return wrap(function) if threading.get_ident() == me else function

    AttentionInterface.get_interface = get_interface  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        AttentionInterface.get_interface = before  # type: ignore[method-assign]
