"""Queries and keys: the vectors whose products decide where each head looks, out of any model that has them.

transformers' models hand them to a function that they ask for (``AttentionInterface``); our own to a module
(:class:`~workbench.models.networks.attention.MultiHeadAttention`). Both are listened to while the text is read.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.errors import RequestError
from workbench.explain.capture import Attention, attention_of
from workbench.explain.hooks import attention_functions
from workbench.explain.instance import MODEL_LOCK, encode, evaluating
from workbench.models.networks.attention import MultiHeadAttention, rotate, split_heads

_CLOSE = 0.02  # of a weight: half precision keeps two to three digits


@dataclass(frozen=True)
class QueriesKeys:
    """What each head compares.

    Attributes:
        attention: the weights that come of it, and the tokens.
        queries, keys: float32 [layers, heads, tokens, width of a head]; keys that several heads share are repeated.
            Queries are scaled so that the softmax over ``queries @ keys / sqrt(width)`` is the attention.
        rebuilt: how far that softmax is from the weights, at most (0 to 1). Where it is not near 0 the model adds
            something to the products (positions, for instance), and a note says so.
        notes: what a reader has to know.
    """

    attention: Attention
    queries: NDArray[np.float32]
    keys: NDArray[np.float32]
    rebuilt: float
    notes: list[str]


@dataclass
class _Heard:
    module: Any
    query: torch.Tensor  # [1, H, T, K]
    key: torch.Tensor  # [1, H or fewer, T, K]
    scaling: float


def capture_queries_keys(
    model: Any, tokenizer: Any, text: str, text_pair: str | None = None, max_length: int | None = None
) -> QueriesKeys:
    """Queries and keys of every head of ``model`` reading ``text``; of an encoder-decoder those of its encoder.

    Args: as of :func:`~workbench.explain.capture.capture_attention`.

    Raises:
        RequestError: the model has no attention, or computes it in a way that queries and keys cannot be read from.
    """
    encoded = encode(tokenizer, text, text_pair, max_length, next(model.parameters()).device)
    with MODEL_LOCK, _listening(model) as heard:
        attention = attention_of(model, encoded)
    if getattr(model.config, "is_encoder_decoder", False):  # the text is read by the encoder
        inside = set(model.get_encoder().modules())
        heard = [one for one in heard if one.module in inside]
    if len(heard) != attention.layers:
        raise RequestError(
            f"The queries and keys of {type(model).__name__} cannot be read: it was heard {len(heard)} times in "
            f"{attention.layers} layers.",
            "Its attention is of another kind; the head view and the model view show its weights.",
        )
    if len({one.query.shape[1] for one in heard}) > 1:
        raise RequestError(
            "Heads were cut out of this model: its layers have not as many heads as each other.",
            "See the model that it was pruned from, or the head view.",
        )
    queries, keys = (np.stack(found) for found in zip(*map(_vectors, heard), strict=True))
    rebuilt = _rebuild_error(queries, keys, attention)
    notes = []
    if rebuilt > _CLOSE:
        notes.append(
            "This model adds something to the products of queries and keys (such as positions): they alone do not "
            f"give its attention (a weight is off by up to {rebuilt:.2f})."
        )
    return QueriesKeys(attention, queries, keys, rebuilt, [*attention.notes, *notes])


def rebuild(queries: NDArray[np.float32], keys: NDArray[np.float32], causal: bool) -> NDArray[np.float64]:
    """The attention that queries and keys make: [layers, heads, tokens, tokens]."""
    products = queries.astype(np.float64) @ np.swapaxes(keys.astype(np.float64), -1, -2)
    products /= math.sqrt(queries.shape[-1])
    if causal:
        products = np.where(np.tril(np.ones(products.shape[-2:], dtype=bool)), products, -np.inf)
    weights = np.exp(products - products.max(-1, keepdims=True))
    rebuilt: NDArray[np.float64] = weights / weights.sum(-1, keepdims=True)
    return rebuilt


def _rebuild_error(queries: NDArray[np.float32], keys: NDArray[np.float32], attention: Attention) -> float:
    return float(np.abs(rebuild(queries, keys, attention.is_causal) - attention.weights).max())


def _vectors(heard: _Heard) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Queries and keys of one layer, [heads, tokens, width] each."""
    query, key = heard.query[0].float(), heard.key[0].float()
    key = key.repeat_interleave(len(query) // len(key), dim=0)  # grouped-query attention
    query = query * (heard.scaling * math.sqrt(query.shape[-1]))
    return query.cpu().numpy(), key.cpu().numpy()


@contextlib.contextmanager
def _listening(model: Any) -> Iterator[list[_Heard]]:
    """Within, what this thread's attention compares is written down."""
    heard: list[_Heard] = []
    own = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    with contextlib.ExitStack() as stack:
        if own:
            me = threading.get_ident()
            for module in own:
                handle = module.register_forward_pre_hook(_own_listener(heard, me), with_kwargs=True)
                stack.callback(handle.remove)
        else:
            stack.enter_context(attention_functions(_writing_down(heard)))
        yield heard


def _own_listener(heard: list[_Heard], thread: int) -> Callable[..., None]:
    def listen(module: MultiHeadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if threading.get_ident() != thread:
            return
        names = ("hidden", "mask", "causal", "rotary")
        given = dict(zip(names, args, strict=False)) | kwargs
        # The map itself, not the module: a hook of its own must not be called once more.
        projected = module.query_key_value(given["hidden"]).chunk(3, dim=-1)
        query, key = (split_heads(x, module.num_heads) for x in projected[:2])
        if given.get("rotary") is not None:
            query, key = rotate(query, *given["rotary"]), rotate(key, *given["rotary"])
        heard.append(_Heard(module, query.detach(), key.detach(), query.shape[-1] ** -0.5))

    return listen


def _writing_down(heard: list[_Heard]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        def listen(module: Any, query: torch.Tensor, key: torch.Tensor, *rest: Any, **named: Any) -> Any:
            scaling = named.get("scaling")
            scaling = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
            heard.append(_Heard(module, query.detach(), key.detach(), scaling))
            return function(module, query, key, *rest, **named)

        return listen

    return wrap


def attention_modules(model: Any, inputs: dict[str, torch.Tensor]) -> list[Any]:
    """The modules that compute a model's attention, a layer each in their order; empty where they cannot be heard."""
    with evaluating(model), _listening(model) as heard, torch.no_grad():
        model(**inputs)
    return [one.module for one in heard]
