"""The Explain page with a small random model in place of a run's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from workbench.workspace import Workspace

LONG = "the film was good and the story was bad with music " * 11  # 121 tokens
HOSTILE = "<img src=x onerror=alert(1)> good </script><script>alert(1)</script>"


@pytest.fixture
def finished(workspace: Workspace, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished run whose model is random."""
    from dashboard.parts import look_inside
    from tests.unit.explain_models import bert, predictor, tokenizer
    from workbench.training.predictor import Predictor

    words = tokenizer()
    words.model_max_length = 512
    small = predictor(bert(num_attention_heads=8), words)
    loaded = Predictor(small.model, words, small.task, 512)
    monkeypatch.setattr(look_inside, "load", lambda run: loaded)
    return fake_run(workspace).id


def pictures(test: AppTest) -> list[str]:
    """The documents in the page's frames."""
    return [frame.proto.srcdoc for frame in test.get("iframe")]


def test_a_link_brings_run_text_and_view(finished: str) -> None:
    test = well(open_page("explain", run=finished, text="a good film", view="head"))
    assert test.text_area(key="explain.text").value == "a good film"
    assert "Prediction: " in text_of(test)
    assert (len(pictures(test)) == 1 and "<svg" in pictures(test)[0]) or "d3" in pictures(test)[0]


@pytest.mark.parametrize("view", ["tokens", "head", "model"])
def test_hostile_text_is_escaped_in_every_view(view: str, finished: str) -> None:
    test = well(open_page("explain", run=finished, text=HOSTILE, view=view))
    shown = "".join(pictures(test)) + "".join(str(element.proto.body) for element in test.get("html"))
    assert shown and "<img" not in shown and "<script>alert" not in shown


def test_a_text_from_the_test_examples(finished: str) -> None:
    test = well(open_page("explain", run=finished))
    assert "Type a sentence" in text_of(test)
    box = test.selectbox(key="explain.example")
    well(box.select_index(3).run())
    assert test.text_area(key="explain.text").value.startswith("a fine film, number 3")
    everything = len(box.options)
    well(test.toggle(key="explain.only_wrong").set_value(True).run())
    assert 0 < len(test.selectbox(key="explain.example").options) < everything


@pytest.mark.parametrize("view", ["head", "model"])
def test_what_is_too_large_is_not_drawn_and_a_way_out_is_offered(
    view: str, finished: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.explain.render import bertviz

    monkeypatch.setitem(bertviz.LIMITS, view, bertviz.DrawLimit(bytes=25_000_000, lines=1000))
    test = well(open_page("explain", run=finished, text=LONG, view=view))
    assert pictures(test) == []
    assert "hort" in test.warning[0].value  # "shorten the text", in one form or another


def test_fewer_layers_are_offered_when_they_fit(finished: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.explain.render import bertviz

    monkeypatch.setitem(bertviz.LIMITS, "model", bertviz.DrawLimit(bytes=25_000_000, lines=8 * 5**2))
    test = well(open_page("explain", run=finished, text="a good film", view="model"))
    assert test.multiselect(key="explain.layers.model").value == [2]
    assert len(pictures(test)) == 1
    well(test.multiselect(key="explain.layers.model").set_value([0, 1, 2]).run())
    assert pictures(test) == [] and "Choose fewer layers" in test.warning[0].value


def test_a_run_without_a_model_says_so(workspace: Workspace) -> None:
    fake_run(workspace)
    test = well(open_page("explain", text="x"))
    assert "has no model" in text_of(test)
