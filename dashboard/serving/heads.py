"""Heads of attention, given to the pictures on a page one at a time, as they are looked at.

Of a long text all heads together are tens of megabytes, and most are never looked at. A page keeps its attention here
and draws the picture with an address that nobody can guess; the browser then asks for single heads. Only numbers
travel, and the guard stands before this route as before all others.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from workbench.explain.capture import Attention

PATH = "/explain/heads"
MOST_BYTES = 256_000_000


class HeadStore:
    """The attention of the pictures that were drawn last.

    Args:
        most_bytes: beyond which the ones that nobody looked at for longest are forgotten.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._kept: OrderedDict[str, Any] = OrderedDict()  # uint8 [layers, heads, tokens, tokens] by key
        self._lock = threading.Lock()

    def keep(self, attention: Attention) -> str:
        """Keep the heads of one text. Returns the address that they are asked for at: ``ADDRESS/LAYER/HEAD``."""
        from workbench.explain.render.canvas import as_bytes

        key, values = secrets.token_urlsafe(24), as_bytes(attention.weights)
        with self._lock:
            self._kept[key] = values
            while sum(one.nbytes for one in self._kept.values()) > self._most and len(self._kept) > 1:
                self._kept.popitem(last=False)
        return f"{PATH}/{key}"

    def has(self, address: str) -> bool:
        """Whether the heads at an address are still kept."""
        with self._lock:
            return address.removeprefix(f"{PATH}/") in self._kept

    def packed(self, key: str, layer: str, head: str) -> bytes | None:
        """One head, deflated; None where there is no such key, layer or head."""
        from workbench.explain.render.canvas import packed

        with self._lock:
            values = self._kept.get(key)
            if values is None or not (_is_index(layer, values.shape[0]) and _is_index(head, values.shape[1])):
                return None
            self._kept.move_to_end(key)
        return packed(values[int(layer), int(head)])


def _is_index(given: str, there: int) -> bool:
    return given.isascii() and given.isdigit() and len(given) < 6 and int(given) < there


STORE = HeadStore()


def route() -> Route:
    """Where the pictures ask."""
    return Route(f"{PATH}/{{key}}/{{layer}}/{{head}}", _answer, methods=["GET"])


def _answer(request: Request) -> Response:
    asked = request.path_params
    found = STORE.packed(asked["key"], asked["layer"], asked["head"])
    if found is None:
        return PlainTextResponse("this picture is too old; choose the view again", 410)
    return Response(found, media_type="application/octet-stream", headers={"cache-control": "no-store"})
