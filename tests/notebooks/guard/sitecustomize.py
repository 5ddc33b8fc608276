"""What the tests of the course hold against every Python process of a notebook: no network, and no ageing code.

Python imports a module of this name at its start when it stands on PYTHONPATH, and processes that are started inherit
that. Each connection and each look-up of a name that is not this machine's own fails and is noted in the file that
WORKBENCH_TEST_ATTEMPTS names, so that code which goes on without the network does not hide that it asked.
"""

from __future__ import annotations

import os
import sys
import warnings

LOCAL = ("localhost", "127.", "::1", "0.0.0.0", os.uname().nodename)
AGEING = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: Python calls it before the system is asked, also for what libraries in C do through Python."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if not isinstance(address, tuple):  # a path of this machine, or the one that the socket is bound to
            return
        host = address[0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if name.startswith(LOCAL):
        return
    noted = os.environ.get("WORKBENCH_TEST_ATTEMPTS")
    if noted:
        with open(noted, "a", encoding="utf-8") as file:
            file.write(f"{event} {name}\n")
    raise ConnectionRefusedError(f"The tests of the course cut the network: {event} {name}")


sys.addaudithook(_refuse)
for kind in AGEING:
    warnings.filterwarnings("default", category=kind)  # seen, and looked for in what cells and runs say
    warnings.filterwarnings("error", category=kind, module=r"(workbench|dashboard)(\.|\Z)")
