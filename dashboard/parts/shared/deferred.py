"""What is drawn first where a page holds much: a browser is given its figures when it has drawn what stands above."""

from __future__ import annotations

import time

import streamlit as st

SECONDS = 0.3  # a table of 1,000 rows is drawn in less


def let_browser_draw(key: str) -> None:
    """Wait a moment, once in a visit: figures need a second of the browser, in which it draws nothing else.

    Args:
        key: of the place on the page.
    """
    mark = f"drawn.{key}"
    if st.runtime.exists() and mark not in st.session_state:
        st.session_state[mark] = True
        time.sleep(SECONDS)
