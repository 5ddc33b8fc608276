"""Protects every route of the dashboard, the WebSocket included.

1. The ``Host`` header must be a name of this server. This refuses a page elsewhere whose DNS name was rebound to this
   machine.
2. Requests made by another site's page (``Origin``, ``Sec-Fetch-Site``) are refused.
3. If a password is set, only the login page answers until a browser has logged in.

It wraps the whole ASGI application, so that no route can be forgotten.
"""

from __future__ import annotations

import hashlib
import html
import ipaddress
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, urlsplit

import anyio.to_thread
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from dashboard.serving import password
from workbench.i18n import _

LOGIN, LOGOUT = "/login", "/logout"
EXPOSED = "WORKBENCH_DASHBOARD_EXPOSED"  # in the environment of a server that other machines can reach
SESSION_SECONDS = 12 * 3600
_MAX_SESSIONS = 1000
_MAX_LOGIN_BYTES = 8192  # bytes of a login form
_MAX_WAIT = 60.0  # seconds after many wrong passwords

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")
log = logging.getLogger("dashboard")

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
class _Backoff:
    """How long a client that sent wrong passwords must wait; one per address."""

    failures: int = 0
    until: float = 0.0


@dataclass
class Guard:
    """ASGI middleware; see the module.

    Attributes:
        app: the application that it protects.
        names: the host names of the server.
        stored: returns the current password hash, or None if no password is set.
        must_log_in: refuse everything while no password is set (a server that other machines can reach).
    """

    app: ASGIApp
    names: Names
    stored: Callable[[], dict[str, str] | None]
    must_log_in: bool = False
    _sessions: dict[str, tuple[float, str]] = field(default_factory=dict)
    _backoffs: dict[str, _Backoff] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        answer = self._refusal(connection)
        if answer is None and scope["type"] == "http" and scope["path"] in (LOGIN, LOGOUT):
            answer = await self._login_pages(Request(scope, receive))
        if answer is None and not self._may_enter(connection):
            answer = self._ask_for_login(connection)
        await self._reply(answer, scope, receive, send)

    async def _reply(self, answer: Response | None, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await (self.app if answer is None else WebSocketClose(1008))(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [(name, value) for name, value in message["headers"] if name.lower() not in _HEADERS]
                message = {**message, "headers": [*others, *_HEADERS.items()]}
            await send(message)

        await (answer or self.app)(scope, receive, send_with_headers)

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

    @property
    def _cookie(self) -> str:
        return f"workbench_session_{self.names.port}"  # cookies do not tell ports apart, so the name does

    def _may_enter(self, connection: HTTPConnection) -> bool:
        stored = self.stored()
        if stored is None:
            return not self.must_log_in
        expires, made_with = self._sessions.get(_digest(connection.cookies.get(self._cookie, "")), (0.0, ""))
        return time.monotonic() < expires and secrets.compare_digest(made_with, str(stored.get("hash")))

    def _ask_for_login(self, connection: HTTPConnection) -> Response:
        if connection.scope["type"] == "http" and _is_navigation(connection):
            query = f"?{connection.url.query}" if connection.url.query else ""
            return RedirectResponse(f"{LOGIN}?next={quote(connection.url.path + query, safe='')}", 303)
        return PlainTextResponse(_("Log in first."), 401)

    async def _login_pages(self, request: Request) -> Response | None:
        if request.url.path == LOGOUT:
            self._sessions.pop(_digest(request.cookies.get(self._cookie, "")), None)
            return RedirectResponse(LOGIN, 303)
        if self.stored() is None:
            return RedirectResponse("/", 303)
        if request.method == "POST":
            return await self._log_in(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(_("Not allowed."), 405)
        return _login_page(request.query_params.get("next", "/"))

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        to = form.get("next", "/")
        client = request.client.host if request.client else ""
        backoff = self._backoffs.get(client, _Backoff())
        wait = backoff.until - time.monotonic()
        if wait > 0:
            return _login_page(to, _("Too many wrong passwords. Try again in {n} s.").format(n=f"{wait:.0f}"), 429)
        stored = self.stored()
        # Counted before the comparison, so that simultaneous tries all wait for the first.
        self._count_failure(client, backoff)
        if stored is None or not await anyio.to_thread.run_sync(password.is_right, form.get("password", ""), stored):
            log.warning("Wrong password from %s.", client)
            return _login_page(to, _("Wrong password."), 401)
        self._backoffs.pop(client, None)
        return self._new_session(to, str(stored["hash"]))

    def _count_failure(self, client: str, backoff: _Backoff) -> None:
        if len(self._backoffs) > _MAX_SESSIONS:
            self._backoffs.pop(next(iter(self._backoffs)))
        backoff.failures += 1
        backoff.until = time.monotonic() + min(0.5 * 2 ** (backoff.failures - 1), _MAX_WAIT)
        self._backoffs[client] = backoff

    def _new_session(self, to: str, made_with: str) -> Response:
        now = time.monotonic()
        self._sessions = {key: value for key, value in self._sessions.items() if value[0] > now}
        if len(self._sessions) >= _MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = (now + SESSION_SECONDS, made_with)
        answer = RedirectResponse(_local(to), 303)
        answer.set_cookie(self._cookie, token, max_age=SESSION_SECONDS, httponly=True, samesite="strict")
        return answer


def _digest(token: str) -> str:
    """Hash a token. Sessions are looked up by hash, so that the time of a look-up reveals nothing about a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _is_navigation(connection: HTTPConnection) -> bool:
    """Whether a browser opens a whole page, from a typed address or a link."""
    mode = connection.headers.get("sec-fetch-mode")
    asks_for_page = "text/html" in connection.headers.get("accept", "")
    frame = connection.headers.get("sec-fetch-dest", "document") == "document"
    return connection.scope.get("method") == "GET" and asks_for_page and frame and mode in (None, "navigate")


def _local(to: str) -> str:
    """``to`` if it is a path on this server, otherwise the first page."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and all(" " < c < "\x7f" for c in to)
    return to if safe else "/"


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_LOGIN_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>TITLE</title>
<meta name="viewport" content="width=device-width"><style>
:root{color-scheme:light dark;font-family:system-ui,sans-serif}body{display:grid;place-items:center;min-height:90vh}
form{display:grid;gap:.8rem;width:20rem}
input,button{font:inherit;padding:.6rem;border-radius:.4rem;border:1px solid #888}
button{background:#0b6e8f;color:#fff;border:0}p{margin:0;color:#c2410c}h1{font-size:1.3rem;margin:0}</style>
<form method="post" action="/login"><h1>PRODUCT</h1><label for="p">LABEL</label>
<input id="p" name="password" type="password" autocomplete="current-password" autofocus required>
<input type="hidden" name="next" value="NEXT">MESSAGE<button>BUTTON</button></form></html>"""


def _login_page(to: str, message: str = "", status: int = 200) -> Response:
    alert = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    texts = {
        "TITLE": _("Log in - Transformer workbench"),
        "PRODUCT": _("Transformer workbench"),
        "LABEL": _("Password"),
        "BUTTON": _("Log in"),
    }
    page = _PAGE
    for name, text in texts.items():
        page = page.replace(name, html.escape(text))
    page = page.replace("MESSAGE", alert).replace("NEXT", html.escape(_local(to)))
    return HTMLResponse(page, status, {"cache-control": "no-store"})
