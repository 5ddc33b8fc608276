"""The dashboard's password: stored as a salted scrypt hash in the workspace's settings, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping

from workbench.errors import RequestError
from workbench.types import Json
from workbench.workspace import Workspace

SETTING = "dashboard_password"
MIN_LENGTH = 8
MAX_LENGTH = 1024  # characters; hashing more would only be work for the server
# 32 MB and about 0.1 s a try (n: cost, r: block size, p: parallelism; RFC 7914).
_COST = {"n": 2**15, "r": 8, "p": 1}
_MEMORY = 2**26
AT_ONCE = 2  # comparisons at once, from all addresses: 64 MB
_comparing = threading.BoundedSemaphore(AT_ONCE)


def set_password(workspace: Workspace, password: str) -> None:
    """Store a new password, or remove it.

    Args:
        workspace: whose password.
        password: the new one; empty to remove it.

    Raises:
        RequestError: it is shorter than 8 characters or longer than 1,024.
    """
    if not password:
        workspace.save_settings(**{SETTING: None})
        return
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise RequestError(
            f"The password has {len(password)} characters; {MIN_LENGTH} to {MAX_LENGTH:,} are allowed.",
            "Choose another password.",
        )
    salt = secrets.token_bytes(16)
    stored: Json = {"salt": salt.hex(), "hash": _hash(password, salt).hex()}
    workspace.save_settings(**{SETTING: stored})


_MAX_WAIT = 60.0  # seconds
_tries_lock = threading.Lock()
_tries = {"failures": 0.0, "until": 0.0}


def change_password(workspace: Workspace, old: str, new: str) -> None:
    """Store a new password if the old one is right. It never removes the password.

    After wrong passwords the next try has to wait, longer each time.

    Args:
        workspace: whose password.
        old: the current password; ignored if none is set.
        new: the new password.

    Raises:
        RequestError: the old password is wrong, it is too early for another try, or the new one is too short.
    """
    stored = stored_hash(workspace)
    if not new:
        raise RequestError("The new password is empty.", f"Enter {MIN_LENGTH} to {MAX_LENGTH:,} characters.")
    if stored is not None:
        _count_try()  # before the comparison, so that simultaneous tries all wait for the first
        if not is_right(old, stored):
            raise RequestError("The current password is wrong.", "Enter the password that you log in with.")
    with _tries_lock:
        _tries.update(failures=0.0, until=0.0)
    set_password(workspace, new)


def _count_try() -> None:
    with _tries_lock:
        wait = _tries["until"] - time.monotonic()
        if wait > 0:
            raise RequestError("Too many wrong passwords.", f"Try again in {wait:.0f} s.")
        _tries["failures"] += 1
        if _tries["failures"] > 2:
            _tries["until"] = time.monotonic() + min(2.0 ** min(_tries["failures"] - 2, 10), _MAX_WAIT)


def stored_hash(workspace: Workspace) -> dict[str, str] | None:
    """Return the salt and hash in the settings; None if no password is set.

    Args:
        workspace: whose password.
    """
    stored = workspace.settings().get(SETTING)
    if not isinstance(stored, dict):
        return None
    return {name: value for name, value in stored.items() if isinstance(value, str)}


def is_right(password: str, stored: Mapping[str, str]) -> bool:
    """Return whether a password is right; takes the same time for every wrong one.

    Args:
        password: as it was entered.
        stored: the result of :func:`stored_hash`.
    """
    try:
        salt, expected = bytes.fromhex(stored["salt"]), bytes.fromhex(stored["hash"])
    except (KeyError, TypeError, ValueError):
        return False
    if len(password) > MAX_LENGTH:
        return False
    with _comparing:
        return hmac.compare_digest(_hash(password, salt), expected)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, maxmem=_MEMORY, dklen=32, **_COST)
