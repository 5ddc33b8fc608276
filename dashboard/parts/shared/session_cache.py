"""Results of slow work, kept in the session so that the next drawing of the page shows them at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

Result = TypeVar("Result")
MAX_RESULTS = 60
_KEY = "session_cache"


def get(*key: object) -> Any:
    """Return the cached result of a key; None if there is none.

    Args:
        key: values that JSON or ``str`` can write.
    """
    return st.session_state.setdefault(_KEY, {}).get(_name(key))


def put(result: Result, *key: object) -> Result:
    """Cache a result, and return it; the oldest results are dropped.

    Args:
        result: not None.
        key: see :func:`get`.
    """
    results: dict[str, Any] = st.session_state.setdefault(_KEY, {})
    results[_name(key)] = result
    while len(results) > MAX_RESULTS:
        del results[next(iter(results))]
    return result


def get_or_compute(compute: Callable[[], Result], *key: object) -> Result:
    """Return the cached result of a key, computed now if there is none.

    Args:
        compute: returns the result.
        key: see :func:`get`.
    """
    result: Result | None = get(*key)
    return put(compute(), *key) if result is None else result


def _name(key: tuple[object, ...]) -> str:
    return json.dumps(key, default=str)
