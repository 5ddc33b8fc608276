"""What stands in the URL and what a widget says, when the two do not agree."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import state


def page() -> None:
    import streamlit as st

    from dashboard import state

    views = ["tokens", "head", "model"]
    state.from_url(state.Explain.VIEW, lambda text: text if text in views else None)
    st.session_state.setdefault(state.Explain.VIEW.key, "tokens")
    state.to_url(state.Explain.VIEW, st.radio("View", views, key=state.Explain.VIEW.key))
    st.toggle("Other", key="other")


def opened(**query: str) -> AppTest:
    test = AppTest.from_function(page)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def in_url(test: AppTest) -> str:
    value = test.query_params["view"]
    return value if isinstance(value, str) else value[0]  # as the test gave it, or as the page did


@pytest.mark.parametrize("query", [{}, {"view": "head"}])
def test_the_back_button_moves_the_widget(query: dict[str, str]) -> None:
    test = opened(**query)
    test.radio[0].set_value("model").run()
    assert in_url(test) == "model"
    test.query_params["view"] = "tokens"
    test.run()
    assert test.radio[0].value == in_url(test) == "tokens"


@pytest.mark.parametrize("query", [{}, {"view": "head"}])
def test_a_second_quick_click_is_not_undone_by_the_url_of_before_the_first(query: dict[str, str]) -> None:
    test = opened(**query)
    before = in_url(test)
    test.radio[0].set_value("tokens" if before != "tokens" else "head").run()
    test.query_params["view"] = before  # the browser has not yet heard of the new one
    test.radio[0].set_value("model").run()
    assert test.radio[0].value == in_url(test) == "model"
    test.toggle[0].set_value(True).run()
    assert test.radio[0].value == in_url(test) == "model"


def test_unknown_values_change_nothing() -> None:
    test = opened(view="nothing")
    assert test.radio[0].value == in_url(test) == "tokens"


@pytest.mark.parametrize("text", ["", "[1]", '"a"', "null", "{", '{"a": NaN', "[" * 20_000, '{"a":' * 5_000])
def test_a_link_whose_object_cannot_be_read_is_ignored(text: str) -> None:
    assert state.mapping(text) is None


def test_an_object_in_a_link() -> None:
    assert state.mapping('{"steps": 4, "names": ["a"]}') == {"steps": 4, "names": ["a"]}
