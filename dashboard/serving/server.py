"""Serves the dashboard: ``serve(workspace)`` listens on this machine only, behind
:class:`dashboard.serving.guard.Guard`.

A server that other machines can reach needs a password first: ``set_password(workspace, password)``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import logging
import os
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from dashboard.serving import heads
from dashboard.serving.connections import connection_limit, limited_to
from dashboard.serving.guard import EXPOSED, Guard, Names, is_exposed, is_loopback
from dashboard.serving.password import set_password, stored_hash
from dashboard.serving.websockets import CLOSED_SCRIPT, MAX_PAGES
from workbench.errors import BusyError, RefusedError, RequestError
from workbench.system.limited_process import keep_ready
from workbench.system.machine import limit_onednn_cache
from workbench.system.terminal import say
from workbench.workspace import Workspace

__all__ = ["UPLOAD_MEGABYTES", "create_app", "serve", "set_password"]

UPLOAD_MEGABYTES = 200
SERVED_BY_US = "WORKBENCH_DASHBOARD_SERVED"  # set in the environment: app.py refuses to be served without the guard
_APP = Path(__file__).parents[1] / "app.py"
PAGES = (
    "/", "/data", "/launch", "/sweeps", "/runs", "/run", "/compare", "/explain", "/playground", "/learn", "/settings",
)  # fmt: skip
_PORTS_TRIED = 50
_BACKLOG = 128
_MAX_MESSAGE_BYTES = 16 * 2**20  # of a page's message: texts and settings; files are sent in requests of their own
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h
# Streamlit's "Download as CSV" writes formulas as they are; parts/shared/tables.py has a button that escapes them.
HIDDEN = (
    '<style>[data-testid=stElementToolbarButton]:has(button[aria-label^="Download as CSV"])'
    "{display:none!important}</style>"
)
_READ_AHEAD_AFTER = 1500  # milliseconds after the page has loaded: what it needs itself comes first

# Set here and not only in config.toml, so that a user's own Streamlit settings cannot weaken them.
_OPTIONS: dict[str, object] = {
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    "global.developmentMode": False,
    "logger.enableRich": False,  # prints to standard output: where nobody reads that, a page that failed never ended
    "runner.magicEnabled": False,
    "server.allowedHosts": [],
    "server.baseUrlPath": "",
    "server.corsAllowedOrigins": [],
    "server.enableAgentApi": False,
    "server.enableCORS": True,  # Streamlit's name for "protect against cross-origin requests"
    "server.enableStaticServing": False,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": UPLOAD_MEGABYTES,
    "server.runOnSave": False,
    "server.scriptHealthCheckEnabled": False,
    "server.showEmailPrompt": False,
    "server.xsrfCookieSameSite": "strict",
}


def serve(
    workspace: Workspace,
    host: str = "127.0.0.1",
    port: int = 8501,
    open_browser: bool = False,
    allow_hosts: Iterable[str] = (),
    https: tuple[Path, Path] | None = None,
) -> None:
    """Serve the dashboard until the process is stopped (Ctrl-C, SIGTERM).

    Prints one line, ``Dashboard: http://127.0.0.1:8501``. If the port is in use, the next free one is used.

    Args:
        workspace: whose runs are shown; nothing outside it is read or written.
        host: the address to listen on; any but this machine's own needs a password.
        port: the first port to try; 0 for any free port.
        open_browser: open the first page in the user's browser.
        allow_hosts: further host names that browsers may use.
        https: files with the certificate (and its chain) and its key, in PEM format; plain HTTP without them.

    Raises:
        RefusedError: other machines could reach the server and no password is set.
        RequestError: the certificate or its key cannot be read, or they do not match.
        BusyError: no port is free.
    """
    import uvicorn

    from workbench.jobs.reviving import keep_worker, revive

    _keep_memory_small()
    keep_ready()  # a process for the first file
    allow_hosts = list(allow_hosts)
    if is_exposed(host, allow_hosts) and stored_hash(workspace) is None:
        raise RefusedError(
            f"The dashboard would listen on {' '.join([host, *allow_hosts])}, where other machines can reach it, "
            "and no password is set.",
            "Set one with `workbench dashboard --set-password`, or leave --host and --allow-host out.",
        )
    if https is not None:
        _check_certificate(*https)
    listener = _bind(host, port)
    port = listener.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    scheme = "http" if https is None else "https"
    url = f"{scheme}://{shown if host not in ('0.0.0.0', '::') else '127.0.0.1'}:{port}"
    limit = connection_limit()
    guard = create_app(workspace, host, port, allow_hosts)
    guard.pages.limit = min(MAX_PAGES, limit // 2)
    config = uvicorn.Config(
        guard,
        http=limited_to(limit),
        loop="dashboard.serving.connections:new_loop",
        ws="websockets-sansio",
        ws_max_size=_MAX_MESSAGE_BYTES,
        ssl_certfile=https[0] if https else None,
        ssl_keyfile=https[1] if https else None,
        log_level="warning",
        access_log=False,
        use_colors=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=3,
    )
    revive(workspace)  # as after a reboot
    say(f"Dashboard: {url}")
    if https is None and not is_loopback(host):
        text = "Other machines reach it over plain HTTP, so the password can be read on the way."
        say(f"Warning: {text} Use --https-cert and --https-key, or a proxy with TLS.", to_errors=True)
    if open_browser:
        threading.Timer(1.0, webbrowser.open, [url]).start()
    with listener, keep_worker(workspace):
        uvicorn.Server(config).run(sockets=[listener])


def _check_certificate(certificate: Path, key: Path) -> None:
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise RequestError(
            f"The certificate {certificate} and the key {key} cannot be used: {error}.",
            "Name two files in PEM format that belong together: --https-cert and --https-key.",
        ) from error


def _keep_memory_small() -> None:
    """Let the many threads of a dashboard share two memory pools, and return large blocks to the system.

    Arrow, which holds the tables, uses no pool of its own. accelerate does not load Amazon's client (10 MB), which
    bertviz installs and nothing here uses. This must run before these are loaded and threads start. The pools are a
    setting of glibc; with another C library nothing happens.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    limit_onednn_cache()
    sys.modules.setdefault("boto3", None)  # type: ignore[arg-type]  # Python treats this as "not installed"
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 2)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)


def create_app(workspace: Workspace, host: str, port: int, allow_hosts: Iterable[str] = ()) -> Guard:
    """Return the whole dashboard as one guarded ASGI application.

    Args:
        workspace: whose runs are shown.
        host: the address to listen on.
        port: the port to listen on.
        allow_hosts: further host names that browsers may use.
    """
    from streamlit import config
    from streamlit.starlette import App
    from streamlit.web import bootstrap

    allow_hosts = list(allow_hosts)
    os.environ["WORKBENCH_HOME"] = str(workspace.root)
    os.environ[SERVED_BY_US] = "1"
    os.environ[EXPOSED] = "1" if is_exposed(host, allow_hosts) else ""
    config._main_script_path = str(_APP)  # so that dashboard/.streamlit/config.toml (the theme) is read
    bootstrap.load_config_options({**_OPTIONS, "server.port": port, "server.address": host})
    app = App(_APP, routes=_pages(), on_script_error=_log_error)
    return Guard(
        app,
        names=Names.of(host, port, allow_hosts),
        stored=_stored_now(workspace),
        must_log_in=is_exposed(host, allow_hosts),
    )


def _pages() -> list[Route]:
    """Return a route for each page: Streamlit's document with the server's address. And one for attention heads.

    Without the address, Streamlit's front end first looks for the server below the page's path, and the browser reports
    the misses.
    """
    import streamlit

    static = Path(streamlit.__file__).with_name("static")
    document = static.joinpath("index.html").read_text(encoding="utf-8")
    script = f"window.__streamlit={{BACKEND_BASE_URL:location.origin}};{CLOSED_SCRIPT}{_read_ahead(static)}"
    html = document.replace("<head>", f"<head><script>{script}</script>{HIDDEN}", 1)

    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(html, headers={"cache-control": "no-cache"})

    return [*(Route(path, page) for path in PAGES), heads.route()]


def _read_ahead(static: Path) -> str:
    """Return a script that loads the code for tables and figures in advance, while a page is read.

    The browser needs a second for it, which would otherwise delay the first figure.
    """
    files = [*static.glob("static/js/DataFrame.*.js"), *static.glob("static/js/PlotlyChart.*.js")]
    parts = [f"/{path.relative_to(static).as_posix()}" for path in files]
    wait = "window.requestIdleCallback||setTimeout"  # Safari does not have it
    read = f"{json.dumps(parts)}.reduce((before,part)=>before.then(()=>import(part)),Promise.resolve())"
    return f"addEventListener('load',()=>setTimeout(()=>({wait})(()=>{read}),{_READ_AHEAD_AFTER}))"


def _log_error(error: Exception) -> None:
    """Write the traceback to the server's log; the page shows only that something failed."""
    logging.getLogger("dashboard").error("a page failed", exc_info=error)


def _stored_now(workspace: Workspace) -> Callable[[], dict[str, str] | None]:
    """Return a function that returns the stored password hash, reading the settings only when the file has changed."""
    seen: list[object] = [(), None]

    def now() -> dict[str, str] | None:
        try:
            stat = workspace.settings_file.stat()
            mark = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except FileNotFoundError:
            mark = None
        if mark != seen[0]:
            seen[:] = [mark, stored_hash(workspace)]
        return seen[1]  # type: ignore[return-value]

    return now


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + _PORTS_TRIED, 65_536)):
        listener = socket.socket(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, candidate))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            return listener
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise RequestError(
                    f"The dashboard cannot listen on {host}: {error}.", "Choose another --host."
                ) from error
    raise BusyError(f"No port from {port} on is free on {host} ({_PORTS_TRIED} tried).", "Choose another --port.")
