"""Opens a page of the dashboard under streamlit's AppTest."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.parts.shared.data import reports

APP = Path(__file__).resolve().parents[2] / "dashboard" / "app.py"
PAGES = ("home", "data", "launch", "sweeps", "runs", "run", "compare", "explain", "playground", "learn", "settings")


def open_page(page: str, **query: str) -> AppTest:
    """The page as it is after its first run, with these query parameters in its URL."""
    test = AppTest.from_file(str(APP), default_timeout=60)
    if page != "home":
        test.run()
        test.switch_page(f"views/{page}.py")
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def unfold(test: AppTest, *keys: str) -> AppTest:
    """The page when somebody has opened these of its expanders: what is folded away is not drawn before."""
    for key in keys:
        test.session_state[key] = True
    return test.run()


def skip_first_score(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train no simple model on the Data page: for tests of something else, because it takes some seconds each time."""
    monkeypatch.setattr(reports, "first_score", lambda *_: None)


def text_of(test: AppTest) -> str:
    """Everything that the page says."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "error", "warning", "info", "success", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(test, kind))


def well(test: AppTest) -> AppTest:
    """The page, when it ran without an uncaught error."""
    assert not test.exception, [f"{e.message}\n{e.stack_trace}" for e in test.exception]
    return test
