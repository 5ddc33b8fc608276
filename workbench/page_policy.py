"""The content security policy of every HTML page that the workbench writes.

A page loads nothing and sends nothing, and only the scripts that were written into it on purpose can run: a script that
a token, a name or a note smuggled in could not. A test holds every module that writes a page to this one.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable

_HASH = re.compile(r"'sha256-[A-Za-z0-9+/]+=*'")
_META = re.compile(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def policy_tag(
    scripts: Iterable[str] = (), frames: Iterable[str] = (), images: bool = False, requests: bool = False
) -> str:
    """Return the tag that goes first into a page's head, after its encoding.

    Args:
        scripts: texts of the page's own scripts, exactly as they are between the tags.
        frames: documents that the page shows in frames; a frame is bound by the page's policy as well as by its own.
        images: allow images that the page draws itself.
        requests: allow requests to the server of the page.
    """
    documents = [_META.search(frame) for frame in frames]
    hashes = [_hash(script) for script in scripts]
    hashes += [each for match in documents if match for each in _HASH.findall(match[1])]
    rules = [
        "default-src 'none'",
        f"script-src {' '.join(dict.fromkeys(hashes))}" if hashes else "script-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src blob: data:" if images else "",
        "connect-src 'self'" if requests else "",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(filter(None, rules))}">'


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
