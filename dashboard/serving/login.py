"""The login: its page, the sessions, and the browsers that have logged in before.

A browser that has logged in has two cookies: one for its session, and one by which its next login comes before those
of strangers (``Device Cookies``, OWASP). The second opens nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import html
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from dashboard.serving.comparisons import MAX_DEVICE_FAILURES, Comparisons, Failures, TooManyTriesError, source_of
from workbench.i18n import _

LOGIN, LOGOUT = "/login", "/logout"
SESSION_SECONDS = 12 * 3600
FORM_SECONDS = 10.0  # to send the form
_DEVICE_SECONDS = 365 * 24 * 3600
_MAX_SESSIONS = 1000
_MAX_FORM_BYTES = 8192
_MAX_FIELDS = 10
_FORM = "application/x-www-form-urlencoded"

log = logging.getLogger("dashboard")


class _FormError(Exception):
    """A form that cannot be read.

    Args:
        message: why.
        status: of the answer.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Login:
    """Who has logged in, and who tries to.

    Args:
        stored: returns the current password hash, or None if no password is set.
        port: of the server; a part of the cookies' names, because cookies do not tell ports apart.
    """

    def __init__(self, stored: Callable[[], dict[str, str] | None], port: int) -> None:
        self._stored = stored
        self._session_cookie = f"workbench_session_{port}"
        self._device_cookie = f"workbench_device_{port}"
        self._sessions: dict[str, tuple[float, str]] = {}  # digest of the token: when it ends, hash of the password
        self._failures = Failures()
        self._comparisons = Comparisons()

    def key(self, connection: HTTPConnection) -> str:
        """Return the key of a session, which is no secret.

        Args:
            connection: whose cookies are read.
        """
        return _digest(connection.cookies.get(self._session_cookie, ""))

    def is_valid(self, connection: HTTPConnection) -> bool:
        """Return whether a session has been opened with the current password and has not ended.

        Args:
            connection: whose cookies are read.
        """
        stored = self._stored()
        expires, made_with = self._sessions.get(self.key(connection), (0.0, ""))
        return (
            stored is not None
            and time.monotonic() < expires
            and secrets.compare_digest(made_with, str(stored.get("hash")))
        )

    async def pages(self, request: Request) -> Response:
        """Answer a request to the login or the logout.

        Args:
            request: the request.
        """
        if request.url.path == LOGOUT:
            self._sessions.pop(self.key(request), None)
            return RedirectResponse(LOGIN, 303)
        if self._stored() is None:
            return RedirectResponse("/", 303)
        if request.method == "POST":
            return await self._log_in(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(_("Not allowed."), 405)
        return _login_page(request.query_params.get("next", "/"))

    async def _log_in(self, request: Request) -> Response:
        try:
            async with asyncio.timeout(FORM_SECONDS):
                form = await _form(request)
        except TimeoutError:
            return PlainTextResponse(_("The form was not sent in time."), 408, {"connection": "close"})
        except ClientDisconnect:
            return PlainTextResponse("", 400)  # nobody reads it
        except _FormError as error:
            return _login_page("/", str(error), error.status)
        to, text, stored = form.get("next", "/"), form.get("password", ""), self._stored() or {}
        device = self._device(request, stored)
        source = device or source_of(request.client.host if request.client else "")
        delay = self._failures.add(source)  # before the comparison: simultaneous tries count as well
        try:
            right = await self._comparisons.compare(text, stored, source, known=device is not None)
        except TooManyTriesError:
            return _login_page(to, _("Too many people try to log in. Try again in a few seconds."), 429)
        if right:
            self._failures.take_back(source) if device is None else self._failures.forget(device)
            return self._new_session(request, to, stored)
        if self._failures.log_now(source):
            log.warning("Wrong password from %s.", request.client.host if request.client else "")
        await self._comparisons.hold_back(delay)
        return _login_page(to, _("Wrong password."), 401)

    def _device(self, request: Request, stored: Mapping[str, str]) -> str | None:
        """Return the name of a browser that has logged in before with this password, unless it guesses now."""
        name, _dot, signature = request.cookies.get(self._device_cookie, "").partition(".")
        if not name or not secrets.compare_digest(signature.encode(), _signature(name, stored).encode()):
            return None
        return name if self._failures.of(name) < MAX_DEVICE_FAILURES else None

    def _new_session(self, request: Request, to: str, stored: Mapping[str, str]) -> Response:
        now = time.monotonic()
        self._sessions = {key: value for key, value in self._sessions.items() if value[0] > now}
        if len(self._sessions) >= _MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        token, device = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        self._sessions[_digest(token)] = (now + SESSION_SECONDS, str(stored.get("hash")))
        answer = RedirectResponse(_local(to), 303)
        # Behind a proxy with TLS the browser says https, and this server does not know.
        secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
        for name, value, seconds in (
            (self._session_cookie, token, SESSION_SECONDS),
            (self._device_cookie, f"{device}.{_signature(device, stored)}", _DEVICE_SECONDS),
        ):
            answer.set_cookie(name, value, max_age=seconds, secure=secure, httponly=True, samesite="strict")
        return answer


def _digest(token: str) -> str:
    """Hash a token. Sessions are looked up by hash, so that the time of a look-up reveals nothing about a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _signature(device: str, stored: Mapping[str, str]) -> str:
    """Sign a browser's name with what only this server knows; a new password makes it void."""
    return hmac.new(str(stored.get("hash")).encode(), f"device {device}".encode(), hashlib.sha256).hexdigest()


def _local(to: str) -> str:
    """``to`` if it is a path on this server, otherwise the first page."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and all(" " < c < "\x7f" for c in to)
    return to if safe else "/"


async def _form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", _FORM).partition(";")[0].strip().lower()
    if kind != _FORM:
        raise _FormError(_("Send the form as it is on this page."), 415)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            raise _FormError(_("The form is too long."), 413)
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise _FormError(_("The form cannot be read.")) from error
    if not fields.get("password", [""])[0]:
        raise _FormError(_("The form has no password."))
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
