"""Connections that send nothing are closed, and their number is limited, so that nobody can use up all descriptors.

uvicorn has a time limit for neither a request's header nor a TLS handshake, and its ``limit_concurrency`` refuses
the newest connection. Here the oldest connection without a login makes room for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from asyncio import Server, Transport
from collections.abc import Awaitable, Callable
from typing import cast

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEADER_SECONDS = 10.0  # for the header of a request, and for a TLS handshake
MAX_CONNECTIONS = 1000
ENTERED = "workbench.entered"  # in a request's state: the guard has let it in
_RESERVED = 100  # descriptors for files, pipes and processes
_MAX_DESCRIPTORS = 8192


def connection_limit() -> int:
    """Raise this process's limit of descriptors if possible; return how many connections may then be open at once.

    A page needs its connection and two more descriptors.
    """
    try:
        import resource
    except ImportError:  # not on this system
        return MAX_CONNECTIONS // 4
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    available = _MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    return max(16, min(MAX_CONNECTIONS, (available - _RESERVED) // 2))


class Connection(H11Protocol):
    """A connection with a time limit for each header. See the module."""

    limit = MAX_CONNECTIONS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._since = time.monotonic()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Wait for a request; close the oldest stranger's connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.limit:
            strangers = [each for each in self.connections if isinstance(each, Connection) and not each._has_entered()]
            # Where everybody else has logged in, the new connection is the only stranger.
            oldest = min(strangers, key=lambda each: (each._is_busy(), each._since))
            oldest.transport.abort()
            self.connections.discard(oldest)
        self._wait_for_header()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        self._wait_for_header()
        super().data_received(data)
        if self._is_busy():
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over to a WebSocket, which has time limits of its own."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _has_entered(self) -> bool:
        return self.scope is not None and bool(self.scope.get("state", {}).get(ENTERED))

    def _is_busy(self) -> bool:
        """Whether a request's header is complete and its answer is not."""
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_header(self) -> None:
        if self._deadline is None and not self._is_busy():
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def limited_to(limit: int) -> type[Connection]:
    """Return the class of a server's connections.

    Args:
        limit: how many may be open at once.
    """
    return type("LimitedConnection", (Connection,), {"limit": limit})


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose TLS handshakes end in time; uvicorn does not pass the limit on."""

    async def create_server(self, *args: object, **kwargs: object) -> Server:
        if kwargs.get("ssl"):
            kwargs.setdefault("ssl_handshake_timeout", HEADER_SECONDS)
        create = cast("Callable[..., Awaitable[Server]]", super().create_server)
        return await create(*args, **kwargs)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of a server."""
    return _Loop()
