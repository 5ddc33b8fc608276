"""The dashboard's password: kept as a salted scrypt hash in the workspace's settings, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time

from workbench.errors import RequestError
from workbench.workspace import Workspace

SETTING = "dashboard_password"
SHORTEST = 8
LONGEST = 1024  # characters; hashing a longer one would only be work for the server
# 32 MB and about 0.1 s a try (n: cost, r: block size, p: parallelism; RFC 7914).
_COST = {"n": 2**15, "r": 8, "p": 1}
_MEMORY = 2**26


def set_password(workspace: Workspace, password: str) -> None:
    """Store a new password, or remove it when ``password`` is empty.

    Raises:
        RequestError: it is shorter than 8 characters or longer than 1,024.
    """
    if not password:
        workspace.save_settings(**{SETTING: None})
        return
    if not SHORTEST <= len(password) <= LONGEST:
        raise RequestError(
            f"The password has {len(password)} characters; {SHORTEST} to {LONGEST} are allowed.", "Choose another one."
        )
    salt = secrets.token_bytes(16)
    stored = {"salt": salt.hex(), "hash": _hash(password, salt).hex()}
    workspace.save_settings(**{SETTING: stored})


_LONGEST_WAIT = 60.0  # seconds
_tries_lock = threading.Lock()
_tries = {"failures": 0.0, "until": 0.0}


def change_password(workspace: Workspace, old: str, new: str) -> None:
    """Store a new password for whoever knows the old one; where none is set, ``old`` does not matter.

    Who gives a wrong one waits before the next try, longer each time. It never takes the password away.

    Raises:
        RequestError: the old password is wrong, it is too early for another try, or the new one is too short.
    """
    stored = stored_hash(workspace)
    if not new:
        raise RequestError("No new password was given.", f"It has {SHORTEST} to {LONGEST:,} characters.")
    if stored is not None:
        _count_try()  # before the comparison, so that tries made at once all wait for the first
        if not is_right(old, stored):
            raise RequestError("That is not the password that is set.", "Type the one that you log in with.")
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
            _tries["until"] = time.monotonic() + min(2.0 ** (_tries["failures"] - 2), _LONGEST_WAIT)


def stored_hash(workspace: Workspace) -> dict[str, str] | None:
    """The salt and hash in the settings; None when no password is set."""
    stored = workspace.settings().get(SETTING)
    return stored if isinstance(stored, dict) else None


def is_right(password: str, stored: dict[str, str]) -> bool:
    """Whether ``password`` has the stored hash; takes the same time for every wrong one."""
    try:
        salt, expected = bytes.fromhex(stored["salt"]), bytes.fromhex(stored["hash"])
    except (KeyError, TypeError, ValueError):
        return False
    return hmac.compare_digest(_hash(password[:LONGEST], salt), expected)


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, maxmem=_MEMORY, dklen=32, **_COST)
