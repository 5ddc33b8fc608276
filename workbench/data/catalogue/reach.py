"""Whether something that is not on this machine can be fetched: a quick look before a run is queued.

Nothing is downloaded. Only what certainly cannot be had is refused: a host that does not answer, a folder that lacks
the file. A host that answers may still lack the file.
"""

from __future__ import annotations

import functools
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path

from workbench.data.catalogue.download import RAW_FILE
from workbench.data.catalogue.entries import (
    Entry,
    FileSource,
    HubSource,
    Source,
    UrlSource,
    WheelPartsSource,
    WheelSource,
)
from workbench.errors import FetchError

HUB = "https://huggingface.co"
_SECONDS = 2.0  # until a host that does not answer counts as out of reach
_REMEMBERED = 60.0  # seconds for which an answer holds
_PIP_SECONDS = 20
_PORTS = {"http": 80, "https": 443}

_answers: dict[tuple[str, int], tuple[float, bool]] = {}


def unreachable(entry: Entry) -> str:
    """Return why none of an entry's sources can be reached; empty if one of them can.

    Args:
        entry: an entry of the catalogue.
    """
    reasons: list[str] = []
    for source in entry.sources:
        reason = _reason(source)
        if not reason:
            return ""
        reasons.append(f"{source}: {reason}")
    return "; ".join(reasons)


def require_hub(name: str, hint: str) -> None:
    """Raise an error if the Hugging Face hub cannot be reached.

    Args:
        name: what would be fetched from it, for the message.
        hint: what to do.

    Raises:
        FetchError: it does not answer, or ``HF_HUB_OFFLINE`` forbids to ask it.
    """
    reason = _hub_reason()
    if reason:
        raise FetchError(f"{name} is not on this machine, and the hub cannot be reached: {reason}.", hint)


def connects(host: str, port: int) -> bool:
    """Return whether a host accepts connections. Looking up its name counts towards the time limit.

    Args:
        host: its name or address.
        port: the port.
    """
    known = _answers.get((host, port))
    if known is not None and time.monotonic() - known[0] < _REMEMBERED:
        return known[1]
    answers: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=_SECONDS).close()
            answers.append(True)
        except OSError:
            answers.append(False)

    thread = threading.Thread(target=connect, daemon=True)  # a resolver may wait longer than the limit
    thread.start()
    thread.join(_SECONDS + 0.5)
    result = bool(answers and answers[0])
    _answers[host, port] = time.monotonic(), result
    return result


def _reason(source: Source) -> str:
    """Return why a source cannot be reached; empty if it can."""
    if isinstance(source, WheelSource):
        return _package_reason(source.package)
    if isinstance(source, WheelPartsSource):
        return next(filter(None, (_package_reason(part.package) for part in source.parts)), "")
    if isinstance(source, UrlSource):
        mirror = os.environ.get("WORKBENCH_MIRROR")
        folder = Path(mirror).expanduser() / source.repository / source.commit if mirror else None
        if folder is not None and all((folder / path).is_file() for path in source.files.values()):
            return ""
        return _address_reason(RAW_FILE)
    if isinstance(source, HubSource):
        return _hub_reason()
    if isinstance(source, FileSource):
        folder = Path(source.folder).expanduser()
        missing = [path for path in source.files.values() if not (folder / path).is_file()]
        return f"there is no {folder / missing[0]}" if missing else ""
    return ""


def _hub_reason() -> str:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return "HF_HUB_OFFLINE is set"
    return _address_reason(os.environ.get("HF_ENDPOINT") or HUB)


def _address_reason(address: str) -> str:
    """Return why an address, or the proxy for it, cannot be reached; empty if it can."""
    parts = urllib.parse.urlsplit(address)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and not urllib.request.proxy_bypass(host):
        through = urllib.parse.urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        if not connects(through.hostname or "", through.port or _PORTS.get(through.scheme, 80)):
            return f"the proxy {through.hostname} does not answer"
        return ""
    return "" if connects(host, port) else f"{host} does not answer"


def _package_reason(requirement: str) -> str:
    """Return why pip cannot find a package; empty if it may."""
    settings = _pip_settings(tuple(sorted(item for item in os.environ.items() if item[0].startswith("PIP_"))))
    if settings is None:
        return "pip is not installed"
    package = requirement.partition("==")[0]
    links = settings.get("find-links", "").split()
    indexes = [] if settings.get("no-index", "") in ("1", "true", "True", "yes", "on") else _indexes(settings)
    reasons = [_link_reason(link, requirement) for link in links] + [_index_reason(index, package) for index in indexes]
    if not reasons and settings.get("no-index"):
        return "pip has no index"
    return reasons[-1] if reasons and all(reasons) else ""


def _indexes(settings: dict[str, str]) -> list[str]:
    return [*settings.get("extra-index-url", "").split(), *(settings.get("index-url") or _default_index()).split()]


def _link_reason(link: str, requirement: str) -> str:
    if link.startswith(("http://", "https://")):
        return _address_reason(link)
    folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(link).path) if "://" in link else link)
    package, _, version = requirement.partition("==")
    prefix = f"{_normalized(package)}_{_normalized(version)}_"
    files = folder.expanduser().glob("*.whl") if folder.expanduser().is_dir() else iter(())
    return "" if any(_normalized(file.name).startswith(prefix) for file in files) else f"{folder} has no such file"


def _index_reason(index: str, package: str) -> str:
    if index.startswith("file://"):
        folder = Path(urllib.request.url2pathname(urllib.parse.urlsplit(index).path))
        name = _normalized(package).replace("_", "-")
        return "" if (folder / name).exists() else f"{folder} has no such package"
    return _address_reason(index)


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


@functools.cache
def _default_index() -> str:
    """Return the address of the index that pip asks if no other is set; empty if pip does not tell."""
    command = [sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


@functools.lru_cache(maxsize=4)
def _pip_settings(environment: tuple[tuple[str, str], ...]) -> dict[str, str] | None:
    """Return pip's settings from its files and the environment; None without pip."""
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        option = key.rpartition(".")[2]
        settings[option] = f"{settings.get(option, '')} {value.strip(chr(39))}".strip()
    return settings
