"""The dashboard's password: kept as a salted scrypt hash in the workspace's settings, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import secrets

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
