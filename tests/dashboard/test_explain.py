"""The Explain page with small random models in place of the runs' own."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.serving import heads
from tests.dashboard.fake_runs import fake_run
from tests.dashboard.pages import open_page, text_of, well
from tests.dashboard.translation import check
from workbench.runs.run import Run
from workbench.workspace import Workspace

TEXT = "the film was good and the story was bad"
LONG = "the film was good and the story was bad with music " * 11  # 121 tokens
HOSTILE = "<img src=x onerror=alert(1)> good </script><script>alert(1)</script> "
HOSTILE += "\u202e\u05e9 \U0001f642 '\"` [a](javascript:b)"


@pytest.fixture
def runs(workspace: Workspace, shared_cache: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Run]]:
    """Two finished runs; the model of each, and its base, is random."""
    import torch

    from dashboard.parts.shared import side_by_side
    from tests.unit.explain.explain_models import bert, predictor, tokenizer
    from workbench.inference.predictor import Predictor

    words = tokenizer()
    words.model_max_length = 512

    def made(seed: int) -> Predictor:
        small = predictor(bert(num_attention_heads=8), words)
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in small.model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        return Predictor(small.model, words, small.task, 512)

    both = [fake_run(workspace), fake_run(workspace, tuning="lora", seed=1)]
    models = {run.id: made(number) for number, run in enumerate(both)}
    base = made(7)
    monkeypatch.setattr(side_by_side, "load", lambda run: models[run.id])
    monkeypatch.setattr(side_by_side, "load_base", lambda run: base)
    yield both
    side_by_side._attention.clear()


def pictures(test: AppTest) -> list[str]:
    """The documents in the page's frames."""
    return [frame.proto.srcdoc for frame in test.get("iframe")]


def heat(test: AppTest) -> list[str]:
    """The pictures of tokens."""
    return [str(element.proto.body) for element in test.get("html") if "<bdi" in str(element.proto.body)]


def facts(document: str) -> dict[str, Any]:
    """What a canvas draws."""
    match = re.search(r'id="data">(.*?)</script>', document, re.DOTALL)
    assert match is not None
    return json.loads(match[1])  # type: ignore[no-any-return]


# -- what is chosen, and the URL ------------------------------------------------------------------------------------


def test_a_link_brings_everything_and_a_reload_gives_the_same(runs: list[Run]) -> None:
    query = {"run": runs[0].id, "text": TEXT, "view": "tokens", "method": "attention", "options": '{"layer": 0}'}
    query |= {"target": "rotten", "with": runs[1].id}
    test = well(open_page("explain", **query))
    assert test.text_area(key="explain.text").value == TEXT
    assert test.selectbox(key="explain.method").value == "attention"
    assert test.number_input(key="explain.options.attention.layer").value == 0
    assert test.selectbox(key="explain.target").value == "rotten"
    assert test.selectbox(key="explain.with").value == runs[1].id
    now = {name: values if isinstance(values, str) else values[0] for name, values in test.query_params.items()}
    assert now == query
    first = heat(test)
    assert len(first) == 2 and "rotten" in first[0] and first[0] != first[1]
    assert heat(well(open_page("explain", **now))) == first
    assert first != heat(well(open_page("explain", **{**now, "options": '{"layer": 2}'})))


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "no-such", "target": "no-such", "view": "no-such", "with": "no-such", "layers": "77,x"},
        {"options": "{not json"},
        {"options": '{"layer": "x", "evil": 1}'},
        {"options": "[1]"},
        {"run": "no-such", "pair": "x", "other": "x"},
    ],
)
def test_nothing_in_a_link_is_trusted(wrong: dict[str, str], runs: list[Run]) -> None:
    test = well(open_page("explain", **{"run": runs[0].id, "text": TEXT, **wrong}))
    assert len(heat(test)) == 1


def test_examples_begin_with_the_most_confident_mistake_and_can_be_searched(runs: list[Run]) -> None:
    from workbench.runs.predictions import read_predictions

    rows = read_predictions(runs[0])
    wrong = [i for i, right in enumerate(rows["correct"]) if not right]
    surest = max(wrong, key=lambda i: rows["score"][i])
    test = well(open_page("explain", run=runs[0].id))
    assert "Type a sentence" in text_of(test)
    well(test.selectbox(key="explain.example").select_index(0).run())
    assert test.text_area(key="explain.text").value == rows["input:text"][surest]
    well(test.text_input(key="explain.search").set_value("NUMBER 42,").run())
    assert len(test.selectbox(key="explain.example").options) == 1
    well(test.selectbox(key="explain.example").select_index(0).run())
    assert test.text_area(key="explain.text").value == rows["input:text"][42]


def test_a_slow_method_waits_for_a_click(runs: list[Run]) -> None:
    test = well(open_page("explain", run=runs[0].id, text=TEXT, method="shapley"))
    assert "(slow)" in "".join(test.selectbox(key="explain.method").options) and heat(test) == []
    well(test.button(key="explain.start").click().run())
    assert len(heat(test)) == 1
    well(test.run())
    assert len(heat(test)) == 1  # what was computed stays


# -- the views ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["tokens", "head", "model", "neuron", "canvas", "lens"])
@pytest.mark.parametrize("beside", ["", pytest.param("base", marks=pytest.mark.slow)])
def test_hostile_text_is_escaped_in_every_view(view: str, beside: str, runs: list[Run]) -> None:
    test = well(open_page("explain", run=runs[0].id, text=HOSTILE, view=view, **({"with": beside} if beside else {})))
    shown = "".join(pictures(test)) + "".join(heat(test))
    assert not test.error, [one.value for one in test.error]
    assert (shown or view == "lens") and "<img" not in shown and "<script>alert" not in shown
    assert "](javascript" not in text_of(test)


@pytest.mark.slow
def test_ten_thousand_characters_are_shown(runs: list[Run]) -> None:
    text = ("good " * 2000)[:10_000]
    for view in ("tokens", "canvas"):
        test = well(open_page("explain", run=runs[0].id, text=text, view=view))
        assert not test.error and (heat(test) if view == "tokens" else pictures(test))
    assert "the rest was cut off" in pictures(test)[0]


@pytest.mark.parametrize("view", ["head", "model", "neuron"])
def test_texts_too_long_for_bertviz_use_our_own_view(
    view: str, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.explain.render import bertviz, neuron

    monkeypatch.setattr(neuron, "MOST_ELEMENTS", 1000)
    for name in ("head", "model"):
        monkeypatch.setitem(bertviz.LIMITS, name, bertviz.DrawLimit(bytes=25_000_000, lines=1000))
    test = well(open_page("explain", run=runs[0].id, text=LONG, view=view))
    (document,) = pictures(test)
    assert "all heads is shown instead" in test.warning[0].value and len(facts(document)["tokens"]) == 123


def test_fewer_layers_are_offered_when_they_fit(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.explain.render import bertviz

    monkeypatch.setitem(bertviz.LIMITS, "model", bertviz.DrawLimit(bytes=25_000_000, lines=8 * 5**2))
    test = well(open_page("explain", run=runs[0].id, text="a good film", view="model"))
    assert test.multiselect(key="explain.layers.model").value == [2]
    assert len(pictures(test)) == 1 and not test.warning
    well(test.multiselect(key="explain.layers.model").set_value([0, 1, 2]).run())
    assert "all heads is shown instead" in test.warning[0].value
    assert test.query_params["layers"] in ("0,1,2", ["0,1,2"])


def test_heads_of_a_long_text_are_sent_one_at_a_time(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.parts.explain import attention_views

    monkeypatch.setattr(attention_views, "_MAX_INLINE", 1000)
    test = well(open_page("explain", run=runs[0].id, text=TEXT, view="canvas"))
    (document,) = pictures(test)
    assert document.count('type="text/plain" data-head=') == 1
    address = facts(document)["source"]
    key = address.removeprefix("/explain/heads/")
    tokens = len(facts(document)["tokens"])
    packed = heads.STORE.packed(key, "1", "5")
    assert packed is not None
    values = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(tokens, tokens)
    np.testing.assert_allclose(((values / 255.0) ** 2).sum(1), 1, atol=0.02)
    for wrong in (
        ("nobody", "1", "5"),
        (key, "3", "0"),
        (key, "0", "8"),
        (key, "-1", "0"),
        (key, "0", "x"),
        (key, "٣", "0"),
    ):
        assert heads.STORE.packed(*wrong) is None
    well(test.run())
    assert facts(pictures(test)[0])["source"] == address  # the same picture is not loaded again
    other = facts(pictures(well(open_page("explain", run=runs[0].id, text=TEXT, view="canvas")))[0])["source"]
    assert other != address  # another session has another address


def test_the_store_drops_the_least_recently_used() -> None:
    from tests.unit.explain.test_explain_render import attention_of_size

    store = heads.HeadStore(max_bytes=3 * 2 * 2 * 100)
    keys = [store.add(attention_of_size(2, 2, 10)).removeprefix(heads.PATH + "/") for _ in range(3)]
    assert store.packed(keys[0], "0", "0") is not None
    keys.append(store.add(attention_of_size(2, 2, 10)).removeprefix(heads.PATH + "/"))
    assert [store.packed(key, "0", "0") is not None for key in keys] == [True, False, True, True]


# -- two sides ------------------------------------------------------------------------------------------------------


def test_a_run_compared_with_its_base_another_run_and_another_text(runs: list[Run]) -> None:
    query = {"run": runs[0].id, "text": TEXT, "view": "canvas"}
    for beside, name in (("base", "base model"), (runs[1].id, "lora"), ("text", "other text")):
        test = well(open_page("explain", **query, other="the film was bad and the story was bad", **{"with": beside}))
        assert not test.error
        document, difference = pictures(test)
        data = facts(document)
        assert name in data["second"]["name"] and "Attention divergence of each head" in difference
        tokens = data["tokens"]
        assert ("good → bad" in tokens) == (beside == "text") and len(tokens) == 11
        assert f"Prediction, this {'text' if beside == 'text' else 'run'}" in text_of(test)
    test = well(open_page("explain", **query, **{"with": "text"}))
    assert "Type the other text" in text_of(test) and len(pictures(test)) == 1


@pytest.mark.parametrize(("view", "frames"), [("head", 2), ("model", 2), ("neuron", 2), ("tokens", 0), ("lens", 0)])
def test_both_sides_are_shown(view: str, frames: int, runs: list[Run]) -> None:
    test = well(open_page("explain", run=runs[0].id, text=TEXT, view=view, **{"with": runs[1].id}))
    assert not test.error and len(pictures(test)) == frames
    assert len(heat(test)) == (2 if view == "tokens" else 0)


# -- faithfulness, layers, heads -------------------------------------------------------------------------------------


def test_a_faithfulness_evaluation_starts_on_request(runs: list[Run]) -> None:
    test = well(open_page("explain", run=runs[0].id, text=TEXT, view="faithfulness", method="occlusion"))
    assert pictures(test) == []
    well(test.button(key="explain.evaluate").click().run())
    assert "As tokens are masked one by one" in test.info[0].value
    (page,) = pictures(test)
    assert page.count("<svg") == 2 and "in random order" in page


@pytest.mark.slow
def test_dataset_faithfulness_is_stored_with_the_run_and_shown_in_compare(runs: list[Run]) -> None:
    test = well(open_page("explain", run=runs[0].id, text=TEXT, view="faithfulness", method="gradient-x-input"))
    well(test.select_slider(key="explain.over").set_value(20).run())
    well(test.button(key="explain.evaluate_dataset").click().run())
    assert "Over 20 texts" in test.info[0].value
    assert (runs[0].folder / "explanations" / "gradient-x-input.json").exists()
    compared = well(open_page("compare", runs=f"{runs[0].id},{runs[1].id}", evidence="faithfulness"))
    assert "Over 20 texts" in text_of(compared)


@pytest.mark.slow
def test_heads_are_measured_once_and_stored(runs: list[Run]) -> None:
    query = {"run": runs[0].id, "text": TEXT, "view": "heads", "with": "base"}
    test = well(open_page("explain", **query))
    for key in ("explain.patterns", "explain.importance.ablation", "explain.layers", "explain.moves"):
        well(test.button(key=key).click().run())
    assert len(pictures(test)) == 3
    again = well(open_page("explain", **query))
    assert len(pictures(again)) == 2  # what two models have in common is of the session; the rest is the run's
    well(again.segmented_control(key="explain.pattern").set_value("entropy").run())
    assert "Entropy of each head" in "".join(pictures(again))


# -- compare --------------------------------------------------------------------------------------------------------


def test_examples_that_one_run_gets_right(runs: list[Run]) -> None:
    from workbench.compare.disagreements import disagreements
    from workbench.runs.predictions import read_predictions

    rows = disagreements(*runs)
    first, second = (read_predictions(run) for run in runs)
    right = {i for i, a, b in zip(first["id"], first["correct"], second["correct"], strict=True) if a and not b}
    assert {one.id for one in rows if one.first_is_right} == right and right
    scores = [one.score or 0 for one in rows if one.first_is_right]
    assert scores == sorted(scores, reverse=True)
    test = well(open_page("compare", runs=f"{runs[0].id},{runs[1].id}"))
    table = next(one for one in test.dataframe if "score" in one.value.columns)
    assert len(table.value) == len(right)


def test_a_run_without_a_model_says_so(workspace: Workspace) -> None:
    fake_run(workspace)
    test = well(open_page("explain", text="x"))
    assert "has no model" in text_of(test)


# -- translation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["", "base", "text"])
@pytest.mark.parametrize("view", ["tokens", "faithfulness", "canvas", "head", "neuron", "lens", "heads"])
def test_every_view_is_translated(view: str, other: str, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    more = {"with": other, "other": "the film was bad"} if other else {}
    check(open_page("explain", run=runs[0].id, text=TEXT, view=view, method="occlusion", **more))
