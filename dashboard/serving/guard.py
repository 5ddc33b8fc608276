"""Protects every route of the dashboard, the WebSocket included.

1. The ``Host`` header must be a name of this server. This refuses a page elsewhere whose DNS name was rebound to this
   machine.
2. Requests made by another site's page (``Origin``, ``Sec-Fetch-Site``) are refused.
3. If a password is set, only the login page answers until a browser has logged in.

It wraps the whole ASGI application, so that no route can be forgotten. A right is not held longer than it is given:
an open WebSocket is closed when its login ends.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from dashboard.serving.connections import ENTERED
from dashboard.serving.login import LOGIN, LOGOUT, Login
from dashboard.serving.uploads import Uploads
from dashboard.serving.websockets import OpenPages
from workbench.i18n import _

EXPOSED = "WORKBENCH_DASHBOARD_EXPOSED"  # in the environment of a server that other machines can reach

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")

# Nothing is ever loaded from, or sent to, another machine, even if a page is tricked into trying.
_POLICY = "; ".join(
    [
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # streamlit's and bertviz's own scripts need these
        "style-src 'self' 'unsafe-inline'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    ]
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
}


@dataclass(frozen=True)
class Names:
    """The host names that this server accepts.

    Attributes:
        port: where it listens.
        names: lower-case names or addresses; one without a port is accepted with any port (``box``, ``box:9000``).
        any_address: accept every IP address literal: such a name cannot be rebound.
    """

    port: int
    names: frozenset[str]
    any_address: bool = False

    @classmethod
    def of(cls, host: str, port: int, allow_hosts: Iterable[str] = ()) -> Names:
        """Return the names of a server.

        Args:
            host: the address that it is bound to.
            port: where it listens.
            allow_hosts: further names.
        """
        own = {f"{name}:{port}" for name in _LOOPBACK_NAMES}
        allowed = {name.strip().lower().rstrip(".") for name in allow_hosts if name.strip()}
        everywhere = host in ("0.0.0.0", "::")
        if not everywhere:
            own.add(f"{host.lower()}:{port}")
        return cls(port, frozenset(own | allowed), everywhere)

    def allow(self, header: str) -> bool:
        """Return whether a ``Host`` header names this server.

        Args:
            header: its value.
        """
        parsed = _split_host(header)
        if parsed is None:
            return False
        name, port = parsed
        if f"{name}:{port}" in self.names or name in self.names:
            return True
        return self.any_address and port == self.port and _is_address(name)


def _split_host(header: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(f"//{header}")
        if parts.path or parts.query or parts.fragment or "@" in header or not parts.hostname:
            return None
        return parts.hostname.lower().rstrip("."), parts.port or 80
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server.

    Args:
        host: the address that it is bound to.
    """
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_exposed(host: str, allow_hosts: Iterable[str] = ()) -> bool:
    """Return whether other machines can reach a server: by its address, or through a proxy, as a foreign name implies.

    Args:
        host: the address that it is bound to.
        allow_hosts: further names.
    """
    names = [(_split_host(name.strip()) or ("", 0))[0] for name in allow_hosts if name.strip()]
    return not is_loopback(host) or not all(is_loopback(name) for name in names)


@dataclass
class Guard:
    """ASGI middleware; see the module.

    Attributes:
        app: the application that it protects.
        names: the host names of the server.
        stored: returns the current password hash, or None if no password is set.
        must_log_in: refuse everything while no password is set (a server that other machines can reach).
        pages: the open WebSockets.
        uploads: the files that the application holds in memory.
    """

    app: ASGIApp
    names: Names
    stored: Callable[[], dict[str, str] | None]
    must_log_in: bool = False
    pages: OpenPages = field(default_factory=OpenPages)
    uploads: Uploads = field(default_factory=Uploads)
    login: Login = field(init=False)

    def __post_init__(self) -> None:
        self.login = Login(self.stored, self.names.port)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        answer = self._refusal(connection)
        if answer is None and scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT):
            answer = await self.login.pages(Request(scope, receive))
        if answer is None and not self._may_enter(connection):
            answer = self._ask_for_login(connection)
        if scope["type"] == "websocket":
            await self._open_page(answer, connection, receive, send)
        else:
            await self._reply(answer, scope, receive, send)

    def _may_enter(self, connection: HTTPConnection) -> bool:
        return not self.must_log_in if self.stored() is None else self.login.is_valid(connection)

    async def _open_page(
        self, answer: Response | None, connection: HTTPConnection, receive: Receive, send: Send
    ) -> None:
        if answer is None:
            key = self.login.key(connection)
            await self.pages.serve(self.app, connection, lambda: self._may_enter(connection), key, receive, send)
        else:
            await WebSocketClose(1008)(connection.scope, receive, send)

    async def _reply(self, answer: Response | None, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in _HEADERS]
                message = {**message, "headers": [*others, *_HEADERS.items()]}
            await send(message)

        if answer is not None:
            await answer(scope, receive, send_with_headers)
            return
        scope.setdefault("state", {})[ENTERED] = True  # its connection makes room for nobody
        await self.uploads.serve(self.app, scope, receive, send_with_headers)

    # -- Host and Origin -------------------------------------------------------------------------------------------

    def _refusal(self, connection: HTTPConnection) -> Response | None:
        hosts = connection.headers.getlist("host")
        if len(hosts) != 1 or not self.names.allow(hosts[0]):
            return PlainTextResponse(
                _("Host name not allowed. Start the dashboard with --allow-host NAME to allow it."), 421
            )
        if self.must_log_in and self.stored() is None:
            return PlainTextResponse(_("No password is set. Set one with: workbench dashboard --set-password"), 403)
        for origin in connection.headers.getlist("origin"):
            if urlsplit(origin).netloc.lower() != hosts[0].lower():
                return PlainTextResponse(_("Requests from other sites are refused."), 403)
        if connection.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not _is_navigation(connection):
            return PlainTextResponse(_("Requests from other sites are refused."), 403)
        return None

    # -- login -----------------------------------------------------------------------------------------------------

    def _ask_for_login(self, connection: HTTPConnection) -> Response:
        if connection.scope["type"] == "http" and _is_navigation(connection):
            query = f"?{connection.url.query}" if connection.url.query else ""
            return RedirectResponse(f"{LOGIN}?next={quote(connection.url.path + query, safe='')}", 303)
        return PlainTextResponse(_("Log in first."), 401)


def _is_navigation(connection: HTTPConnection) -> bool:
    """Whether a browser opens a whole page, from a typed address or a link."""
    mode = connection.headers.get("sec-fetch-mode")
    asks_for_page = "text/html" in connection.headers.get("accept", "")
    frame = connection.headers.get("sec-fetch-dest", "document") == "document"
    return connection.scope.get("method") == "GET" and asks_for_page and frame and mode in (None, "navigate")
