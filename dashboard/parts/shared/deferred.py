"""Drawing in two steps where a page holds a lot: first what is above, then the figures."""

from __future__ import annotations

import time

import streamlit as st

SECONDS = 0.3  # a browser draws a table of 1,000 rows in less


def let_browser_draw(key: str) -> None:
    """Wait a moment, once per visit: figures keep the browser busy for a second, in which it draws nothing else.

    Args:
        key: key of the position on the page.
    """
    drawn_key = f"drawn.{key}"
    if st.runtime.exists() and drawn_key not in st.session_state:
        st.session_state[drawn_key] = True
        time.sleep(SECONDS)
