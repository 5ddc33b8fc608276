"""The one door to users' data: it is read in a process with limits of memory and time, and never in the server.

A large file takes a while, so a bar shows the progress and the time that is left. Results stay in memory, because a
page is drawn again at each click.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import streamlit as st

from dashboard.parts.shared.long_tasks import reading
from workbench.errors import DataError
from workbench.system.limited_process import Limits, call
from workbench.types import Json

MAX_RESULTS = 24  # that stay in memory


@dataclass
class _Result:
    """The result of a function, once it has one; sessions that need it at the same time wait for the first."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    text: str | None = None  # JSON, so that each page has a copy of its own
    error: DataError | None = None


@st.cache_resource(show_spinner=False, max_entries=MAX_RESULTS, ttl=3600)
def _result(function: str, arguments: str, changed: int) -> _Result:
    return _Result()


def read(
    function: str, arguments: Mapping[str, object], limits: Limits, label: str, changed: int | None = None
) -> Json:
    """Return what a function returns, which runs in a process with limits. Its progress is shown.

    Args:
        function: ``"module:name"``, of a module whose functions are made for it: JSON in, JSON out.
        arguments: its keyword arguments.
        limits: what the process may use.
        label: what is being done, translated.
        changed: the files' time of change: the result is used again until it differs. None: do not keep the result.

    Raises:
        WorkbenchError: what the function raised, or it used too much memory or time.
    """
    if changed is None:
        with reading(label) as progress:
            return call(function, arguments, limits, progress)
    result = _result(function, json.dumps(arguments, sort_keys=True), changed)
    with result.lock:
        if result.text is None and result.error is None:
            try:
                with reading(label) as progress:
                    result.text = json.dumps(call(function, arguments, limits, progress))
            except DataError as error:  # a result, too: a file that takes long to refuse is not read again
                result.error = error
    if result.error is not None:
        raise result.error.with_traceback(None)
    value: Json = json.loads(result.text or "null")
    return value
