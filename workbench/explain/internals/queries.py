"""Queries and keys: the vectors whose products decide where each head looks, for any model that has them.

transformers' models pass them to a function that they look up (``AttentionInterface``), our own to a module
(:class:`~workbench.models.networks.attention.MultiHeadAttention`). Both are recorded while the model reads the text.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from workbench.errors import RequestError
from workbench.explain.capture import Attention, attention_of
from workbench.explain.encoding import Inputs, encode
from workbench.explain.hooks import MODEL_LOCK, AttentionFunction, evaluating, intercept_attention
from workbench.i18n import _
from workbench.models.networks.attention import MultiHeadAttention, rotate, split_heads
from workbench.types import Floats, Floats32, Model, Tokenizer

_TOLERANCE = 0.02  # of a weight: half precision keeps two to three digits


@dataclass(frozen=True)
class QueriesKeys:
    """The queries and keys of every head.

    Attributes:
        attention: the resulting weights, and the tokens.
        queries, keys: float32 [layers, heads, tokens, head width]; keys that several heads share are repeated. Queries
            are scaled so that the softmax over ``queries @ keys / sqrt(width)`` is the attention.
        rebuilt: the largest difference between that softmax and the weights (0 to 1). Where it is not near 0, the
            model adds something to the products (positions, for instance), and a note says so.
        notes: what readers should know.
    """

    attention: Attention
    queries: Floats32
    keys: Floats32
    rebuilt: float
    notes: list[str]


@dataclass
class _Record:
    module: torch.nn.Module
    query: torch.Tensor  # [1, H, T, K]
    key: torch.Tensor  # [1, H or fewer, T, K]
    scaling: float


def capture_queries_keys(
    model: Model, tokenizer: Tokenizer, text: str, text_pair: str | None = None, max_length: int | None = None
) -> QueriesKeys:
    """Capture the queries and keys of every head of a model that reads a text; of an encoder-decoder, its encoder's.

    Args:
        model: a transformers model, or a peft model over one.
        tokenizer: its fast tokenizer.
        text: the text.
        text_pair: the second text of a pair.
        max_length: truncate to this many tokens.

    Raises:
        RequestError: the model has no attention, or computes it in a way that hides queries and keys.
    """
    encoded = encode(tokenizer, text, text_pair, max_length, next(model.parameters()).device)
    with MODEL_LOCK, _recording(model) as records:
        attention = attention_of(model, encoded)
    if getattr(model.config, "is_encoder_decoder", False):  # the encoder reads the text
        inside = set(model.get_encoder().modules())
        records = [record for record in records if record.module in inside]
    if len(records) != attention.layers:
        raise RequestError(
            f"The queries and keys of {type(model).__name__} cannot be read: {len(records)} attention calls were "
            f"recorded in {attention.layers} layers.",
            "Its attention is of another kind; use the head view or the model view.",
        )
    if len({record.query.shape[1] for record in records}) > 1:
        raise RequestError(
            "The layers of this model differ in their number of heads, because it was pruned.",
            "Explain the run that it was pruned from, or use the head view.",
        )
    queries, keys = (np.stack(vectors) for vectors in zip(*map(_vectors, records), strict=True))
    error = float(np.abs(rebuild(queries, keys, attention.is_causal) - attention.weights).max())
    notes = []
    if error > _TOLERANCE:
        text = _(
            "This model adds something, such as positions, to the products of queries and keys: they alone do not "
            "determine its attention (a weight is off by up to {error:.2f})."
        )
        notes.append(text.format(error=error))
    return QueriesKeys(attention, queries, keys, error, [*attention.notes, *notes])


def rebuild(queries: Floats32, keys: Floats32, causal: bool) -> Floats:
    """Compute attention from queries and keys.

    Args:
        queries: [layers, heads, tokens, head width].
        keys: the same shape.
        causal: whether a token attends to no later one.

    Returns:
        [layers, heads, tokens, tokens].
    """
    products = queries.astype(np.float64) @ np.swapaxes(keys.astype(np.float64), -1, -2)
    products /= math.sqrt(queries.shape[-1])
    if causal:
        products = np.where(np.tril(np.ones(products.shape[-2:], dtype=bool)), products, -np.inf)
    weights = np.exp(products - products.max(-1, keepdims=True))
    rebuilt: Floats = weights / weights.sum(-1, keepdims=True)
    return rebuilt


def attention_modules(model: Model, inputs: Inputs) -> list[torch.nn.Module]:
    """Return the modules that compute a model's attention, one per layer, in order.

    Args:
        model: a transformers model, or a peft model over one.
        inputs: model inputs for one text, [1, tokens] each.

    Returns:
        The modules; empty where their calls cannot be recorded.
    """
    with evaluating(model), _recording(model) as records, torch.no_grad():
        model(**inputs)
    return [record.module for record in records]


def _vectors(record: _Record) -> tuple[Floats32, Floats32]:
    """Return queries and keys of one layer, [heads, tokens, width] each."""
    query, key = record.query[0].float(), record.key[0].float()
    key = key.repeat_interleave(len(query) // len(key), dim=0)  # grouped-query attention
    query = query * (record.scaling * math.sqrt(query.shape[-1]))
    return query.cpu().numpy(), key.cpu().numpy()


@contextlib.contextmanager
def _recording(model: Model) -> Iterator[list[_Record]]:
    """Record the queries and keys of this thread's forward passes."""
    records: list[_Record] = []
    own = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    with contextlib.ExitStack() as stack:
        for module in own:
            hook = _hook(records, threading.get_ident())
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        if not own:
            stack.enter_context(intercept_attention(_recorder(records)))
        yield records


def _hook(records: list[_Record], thread: int) -> Callable[..., None]:
    def record(module: MultiHeadAttention, args: tuple[torch.Tensor, ...], kwargs: dict[str, torch.Tensor]) -> None:
        if threading.get_ident() != thread:
            return
        names = ("hidden", "mask", "causal", "rotary")
        arguments = dict(zip(names, args, strict=False)) | kwargs
        # The projection itself, not the module, whose own hooks must not run twice.
        projected = module.query_key_value(arguments["hidden"]).chunk(3, dim=-1)
        query, key = (split_heads(x, module.num_heads) for x in projected[:2])
        if arguments.get("rotary") is not None:
            query, key = rotate(query, *arguments["rotary"]), rotate(key, *arguments["rotary"])
        records.append(_Record(module, query.detach(), key.detach(), query.shape[-1] ** -0.5))

    return record


def _recorder(records: list[_Record]) -> Callable[[AttentionFunction], AttentionFunction]:
    def wrap(function: AttentionFunction) -> AttentionFunction:
        def record(
            module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, *args: object, **kwargs: object
        ) -> tuple[torch.Tensor, torch.Tensor | None]:
            scaling = kwargs.get("scaling")
            factor = float(scaling) if isinstance(scaling, int | float) else query.shape[-1] ** -0.5
            records.append(_Record(module, query.detach(), key.detach(), factor))
            return function(module, query, key, *args, **kwargs)

        return record

    return wrap
