"""Open pages: each is a WebSocket, which may be used only as long as its login is valid.

A login ends by logging out, with a new password, and after 12 hours. It is looked up at each message and every two
seconds; then the connection is closed with 1008, and the page's script (:data:`CLOSED_SCRIPT`) shows the login.

A page that sends many messages is read more slowly, so that the others are served: each message may start a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.websockets import WebSocketClose

CHECK_SECONDS = 2.0
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013
MAX_PAGES, MAX_PAGES_OF_ONE = 300, 50  # open pages: all together, of one login
BURST, PER_SECOND = 60.0, 20.0  # messages of a page; a slider that is moved sends about ten a second

# Streamlit would try for ever to open a connection again. Also after a restart of the server, which ends all sessions.
CLOSED_SCRIPT = (
    "window.WebSocket=class extends WebSocket{constructor(...args){super(...args);"
    "this.addEventListener('close',()=>fetch('/_stcore/health',{cache:'no-store'})"
    ".then(answer=>{if(answer.status===401)location.reload()}).catch(()=>{}))}};"
)


class OpenPages:
    """The open WebSockets.

    Args:
        limit: how many may be open.
        limit_of_one: how many one login may have open.
    """

    def __init__(self, limit: int = MAX_PAGES, limit_of_one: int = MAX_PAGES_OF_ONE) -> None:
        self.limit, self.limit_of_one = limit, limit_of_one
        self._open: Counter[str] = Counter()

    async def serve(
        self,
        app: ASGIApp,
        connection: HTTPConnection,
        may_stay: Callable[[], bool],
        key: str,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve a WebSocket until it ends or its login does.

        Args:
            app: the application.
            connection: the WebSocket's handshake.
            may_stay: returns whether its login is still valid.
            key: of its session.
            receive: the WebSocket's.
            send: the WebSocket's.
        """
        if self._open.total() >= self.limit or self._open[key] >= self.limit_of_one:
            await WebSocketClose(TRY_AGAIN_LATER)(connection.scope, receive, send)
            return
        self._open[key] += 1
        page = _Page(may_stay, receive, send)
        try:
            await app(connection.scope, page.receive, page.send)
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


class _Page:
    """A WebSocket that looks up its login at each message."""

    def __init__(self, may_stay: Callable[[], bool], receive: Receive, send: Send) -> None:
        self._may_stay, self._receive, self._send = may_stay, receive, send
        self._ended = False
        self._tokens, self._refilled = BURST, time.monotonic()

    async def receive(self) -> Message:
        """Return the next message; that the page has gone when its login has ended."""
        while True:
            message: Message | None = None
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                pass
            else:
                await self._slow_down()
            if not self._may_stay():
                await self._end()
                return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}
            if message is not None:
                return message

    async def _slow_down(self) -> None:
        """Wait if the page sends too many messages; otherwise serve others first, which costs nothing."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._refilled) * PER_SECOND) - 1
        self._refilled = now
        await asyncio.sleep(max(0.0, -self._tokens / PER_SECOND))

    async def send(self, message: Message) -> None:
        """Send a message, unless the login has ended.

        Args:
            message: of the application.
        """
        if not self._ended and not self._may_stay():
            await self._end()
        if not self._ended:
            await self._send(message)

    async def _end(self) -> None:
        if not self._ended:
            self._ended = True
            await self._send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "The login has ended."})
