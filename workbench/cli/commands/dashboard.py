"""``workbench dashboard``: serve the dashboard to a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.output import console
from workbench.errors import MissingPackageError, RequestError, UnknownNameError
from workbench.i18n import _
from workbench.workspace import Workspace


def dashboard_command(
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own needs a password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; the next free one if it is taken.")] = 8501,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name that browsers may use for this server. Repeatable.")
    ] = None,
    https_cert: Annotated[
        Path | None, typer.Option(help="Serve HTTPS with this certificate, a PEM file. Needs --https-key.")
    ] = None,
    https_key: Annotated[Path | None, typer.Option(help="Key of the certificate, a PEM file.")] = None,
    set_password: Annotated[
        bool, typer.Option(help="Prompt for a new password, store its hash, and exit. An empty one removes it.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser.")] = True,
) -> None:
    """Serve the dashboard to a browser on this machine."""
    workspace = Workspace.current()
    if set_password:
        _set_password(workspace)
    else:
        serve_dashboard(workspace, host, port, allow_host or [], browser, _https(https_cert, https_key))


def _https(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    if certificate is not None and key is not None:
        return certificate, key
    if certificate is None and key is None:
        return None
    raise RequestError("HTTPS needs a certificate and its key.", "Name both: --https-cert and --https-key.")


def serve_dashboard(
    workspace: Workspace,
    host: str,
    port: int,
    allow_hosts: list[str],
    open_browser: bool,
    https: tuple[Path, Path] | None = None,
) -> None:
    """Serve the dashboard until the process is ended.

    Args:
        workspace: what it shows.
        host: the address to listen on.
        port: the first to try.
        allow_hosts: further names by which browsers may call the server.
        open_browser: open one.
        https: files with the certificate and its key; plain HTTP without them.

    Raises:
        MissingPackageError: streamlit is not installed.
    """
    from importlib.util import find_spec

    if find_spec("streamlit") is None:
        raise MissingPackageError("streamlit", "to serve the dashboard")
    try:
        from dashboard.serving.server import serve
    except ImportError as error:
        raise UnknownNameError("module", "dashboard", [], f"The dashboard cannot be loaded: {error}.") from error
    serve(workspace, host=host, port=port, allow_hosts=allow_hosts, open_browser=open_browser, https=https)


def _set_password(workspace: Workspace) -> None:
    from dashboard.serving.password import set_password

    prompt = _("New password (leave empty to remove it)")
    password = typer.prompt(prompt, default="", show_default=False, hide_input=True, confirmation_prompt=True)
    set_password(workspace, password)
    stored = _("Password stored. The dashboard asks for it from now on.")
    console.print(stored if password else _("Password removed."))
