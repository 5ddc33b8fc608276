"""Attention heads, sent to the pictures on a page one at a time, when they are looked at.

All heads of a long text are tens of megabytes, and most are never looked at. A page stores its attention here and
draws the picture with an address that nobody can guess; the browser then requests single heads. Only numbers are sent,
and the guard protects this route like all others.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from workbench.explain.capture import Attention

PATH = "/explain/heads"
MAX_BYTES = 256_000_000


class HeadStore:
    """The attention of the pictures that were drawn last.

    Args:
        max_bytes: if exceeded, the least recently used attention is dropped.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._weights: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()  # [layers, heads, tokens, tokens] by key
        self._lock = threading.Lock()

    def add(self, attention: Attention) -> str:
        """Store the heads of one text; return their address, for ``ADDRESS/LAYER/HEAD``.

        Args:
            attention: attention of the text.
        """
        from workbench.explain.render.canvas import as_bytes

        key, values = secrets.token_urlsafe(24), as_bytes(attention.weights)
        with self._lock:
            self._weights[key] = values
            while sum(stored.nbytes for stored in self._weights.values()) > self._max_bytes and len(self._weights) > 1:
                self._weights.popitem(last=False)
        return f"{PATH}/{key}"

    def has(self, address: str) -> bool:
        """Return whether the heads at an address are still stored.

        Args:
            address: the result of :meth:`add`.
        """
        with self._lock:
            return address.removeprefix(f"{PATH}/") in self._weights

    def packed(self, key: str, layer: str, head: str) -> bytes | None:
        """Return one head, deflated; None if there is no such key, layer or head.

        Args:
            key: the end of an address.
            layer: its index, as the browser sent it.
            head: its index, as the browser sent it.
        """
        from workbench.explain.render.canvas import packed

        with self._lock:
            values = self._weights.get(key)
            if values is None or not (_is_index(layer, values.shape[0]) and _is_index(head, values.shape[1])):
                return None
            self._weights.move_to_end(key)
        return packed(values[int(layer), int(head)])


def _is_index(text: str, length: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6 and int(text) < length


STORE = HeadStore()


def route() -> Route:
    """Return the route that the pictures request heads from."""
    return Route(f"{PATH}/{{key}}/{{layer}}/{{head}}", _answer, methods=["GET"])


def _answer(request: Request) -> Response:
    params = request.path_params
    head = STORE.packed(params["key"], params["layer"], params["head"])
    if head is None:
        return PlainTextResponse("This picture is too old. Choose the view again.", 410)
    return Response(head, media_type="application/octet-stream", headers={"cache-control": "no-store"})
