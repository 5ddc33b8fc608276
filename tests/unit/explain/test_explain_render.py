"""The pictures: complete, offline, and without scripts from the text."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.explain.explain_models import bag_of_words, bert, predictor, tokenizer
from workbench.errors import MissingPackageError, RequestError, WorkbenchError
from workbench.explain import Attention, capture_attention, explain
from workbench.explain.render import assets, bertviz
from workbench.explain.render.static import token_heat_html

HOSTILE = [
    "</script><script>window.hacked = 1</script>",
    "<!--<script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"'`${window.hacked = 1}\\",
    "\u2028\u2029window.hacked = 1",
    "\u202eabc\u05e9\u05dc\u05d5\u05dd",
    "\U0001f642",
    "PYTHON_PARAMS",
    "workbench-token-0.",
    "x" * 10_000,
]


class Parsed(HTMLParser):
    """The elements and attributes of a document."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def attention_of_size(layers: int, heads: int, tokens: int) -> Attention:
    """Return random attention of this size."""
    weights = np.random.default_rng(0).dirichlet(np.full(tokens, 0.3), (layers, heads, tokens)).astype(np.float32)
    names = ["[CLS]", *["token"] * (tokens - 2), "[SEP]"]
    special = [True, *[False] * (tokens - 2), True]
    segments = [None if is_special else 0 for is_special in special]
    return Attention(weights, names, names, [(0, 0)] * tokens, segments, special, [])


@pytest.fixture(autouse=True)
def _no_scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the JavaScript libraries, which do not matter here."""
    monkeypatch.setattr(assets, "script", lambda name, workspace=None: f"/* {name} */")


VIEWS = [bertviz.head_view, bertviz.model_view]


@pytest.mark.parametrize("view", VIEWS)
def test_no_address_can_be_requested(view: Any) -> None:
    document = view(capture_attention(bert(), tokenizer(), "good film"))
    parsed = Parsed(document)
    assert not [pair for pair in parsed.attributes if pair[0] in ("src", "href", "srcset", "data", "action")]
    assert not re.search(r"https?:|cdnjs|requirejs/|url\(|@import", document)
    assert "default-src 'none'" in document
    assert parsed.tags.count("title") == 1 and ("lang", "en") in parsed.attributes


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_tokens_stay_strings(view: Any) -> None:
    attention = replace(attention_of_size(2, 2, len(HOSTILE)), shown=HOSTILE)
    document = view(attention)
    plain = Parsed(view(attention_of_size(2, 2, len(HOSTILE))))
    assert Parsed(document).tags == plain.tags  # no additional elements
    assert document.count("</script>") == plain.tags.count("script")
    assert "<!--" not in document and "\u2028" not in document.split("</p>", 1)[1]
    data = json.loads(re.search(r"const params = (.*);\n", document)[1])  # type: ignore[index]
    shown = data["attention"][0]["left_text"]
    # The tokens are shown, truncated if they are too long.
    assert all(token.startswith(text.removesuffix("…")) for token, text in zip(HOSTILE, shown, strict=True))
    assert all(len(text) <= 15 for text in shown) and shown[6] == "\U0001f642"


def test_the_data_are_the_rounded_weights() -> None:
    attention = capture_attention(bert(), tokenizer(), "good film was bad")
    data = json.loads(re.search(r"const params = (.*);\n", bertviz.head_view(attention, layers=[2, 1]))[1])  # type: ignore[index]
    np.testing.assert_array_equal(
        np.array(data["attention"][0]["attn"]), attention.weights[1:].astype(np.float64).round(4)
    )
    assert data["include_layers"] == [1, 2] and data["layer"] == 2 and data["heads"] == [0, 1, 2, 3]


def test_layers_heads_and_special_tokens_can_be_left_out() -> None:
    attention = capture_attention(bert(), tokenizer(), "good film")
    document = bertviz.model_view(attention, layers=[0], heads=[1, 3], hide_special=True)
    data = json.loads(re.search(r"const params = (.*);\n", document)[1])  # type: ignore[index]
    assert np.array(data["attention"][0]["attn"]).shape == (1, 2, 2, 2)
    assert data["attention"][0]["left_text"] == ["good", "film"]
    assert "1 layer with" in document and "left out" in document
    for wrong in ({"layers": [3]}, {"heads": [-1]}, {"layers": []}):
        with pytest.raises(RequestError, match=r"no such .*s: \["):
            bertviz.model_view(attention, **wrong)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="Layer 0 is not among"):
        bertviz.head_view(attention, layers=[1], layer=0)


def test_a_pair_can_be_shown_in_parts() -> None:
    document = bertviz.head_view(capture_attention(bert(), tokenizer(), "good film", "bad story"))
    assert "Sentence A -> Sentence B" in document and "&quot;" not in document.split("</p>")[1][:500]
    data = json.loads(re.search(r"const params = (.*);\n", document)[1])  # type: ignore[index]
    assert data["attention"][3]["right_text"] == ["bad", "story", "[SEP]"]


def test_the_same_attention_has_the_same_document() -> None:
    attention = capture_attention(bert(), tokenizer(), "good film")
    other = capture_attention(bert(), tokenizer(), "bad film")
    assert bertviz.head_view(attention) == bertviz.head_view(attention)
    ids = {re.search(r'id="(attention-\w+)"', bertviz.head_view(a))[1] for a in (attention, other)}  # type: ignore[index]
    assert len(ids) == 2


def test_the_size_is_estimated_and_limited() -> None:
    attention = attention_of_size(4, 6, 40)
    for layers in (None, [0, 2]):
        actual_size = len(bertviz.head_view(attention, layers=layers)) + 237_682 + 89_501  # d3 and jQuery
        assert 0.9 * bertviz.view_size(attention, layers) < actual_size <= bertviz.view_size(attention, layers)
    pair = replace(attention, segments=[0] * 15 + [1] * 25)
    actual_size = len(bertviz.head_view(pair)) + 237_682 + 89_501
    assert 0.9 * bertviz.view_size(pair) < actual_size <= bertviz.view_size(pair)
    large = attention_of_size(12, 12, 128)
    for name, view in (("head", bertviz.head_view), ("model", bertviz.model_view)):
        reason = bertviz.why_not_drawn(large, name)  # type: ignore[arg-type]
        assert reason is not None and "128 tokens, 12 layers and 12 heads" in reason and "lines" in reason
        with pytest.raises(RequestError, match="shorter text"):
            view(large)
    assert bertviz.why_not_drawn(large, "model", layers=[11]) is None
    assert bertviz.why_not_drawn(attention_of_size(6, 12, 64), "model") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6", "cdnjs.cloudflare.com/ajax/libs/require.js/3.0.0"),
        ("<div id='vis'></div>", "<div id='view'></div>"),
        ("</script>\n", "</script>\n<script src='https://cdn.example/more.js'></script>\n"),
        ("require.config({", "fetch('https://cdn.example/more.js'); require.config({"),
        ("; // HACK: ", ";"),
    ],
)
def test_a_changed_bertviz_is_refused(before: str, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import bertviz as package

    original = package.head_view

    def changed(**arguments: Any) -> Any:
        page = original(**arguments)
        assert before in page.data
        page.data = page.data.replace(before, after)
        return page

    monkeypatch.setattr(package, "head_view", changed)
    with pytest.raises(WorkbenchError, match="cannot be made to draw offline"):
        bertviz.head_view(attention_of_size(1, 1, 3))


def test_without_bertviz_the_error_states_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bertviz", None)
    with pytest.raises(MissingPackageError, match="pip install bertviz"):
        bertviz.head_view(attention_of_size(1, 1, 3))


def test_a_script_cannot_end_its_element() -> None:
    assert assets.escape_script("a='</SCRIPT>';b='<!--';c='</p>'") == "a='\\x3c/SCRIPT>';b='\\x3c!--';c='</p>'"


def test_the_static_picture_shows_hostile_text_as_text() -> None:
    explanation = explain(bag_of_words(), "good film", "occlusion")
    hostile = replace(
        explanation,
        tokens=HOSTILE[:4],
        shown=HOSTILE[:4],
        method="<b>",
        notes=["<script>"],
        target="<i>",
        prediction={"label": "<u>", "score": 1.0, "scores": {"<i>": 0.5}},
    )
    parsed = Parsed(token_heat_html(hostile))
    assert set(parsed.tags) <= {"div", "p", "b", "bdi", "span", "details", "summary", "table", "tr", "td", "th"}
    assert {name for name, _ in parsed.attributes} <= {"style", "title"}
    assert all(text in parsed.text for text in (*HOSTILE[:4], "<b>", "<script>", "<i>", "<u>"))


def test_the_static_picture_has_its_numbers_as_text() -> None:
    explanation = explain(bag_of_words(), "good film was bad", "occlusion")
    html = token_heat_html(explanation)
    assert html == explanation._repr_html_()
    parsed = Parsed(html)
    colours = [
        value.split(";")[0] for name, value in parsed.attributes if name == "style" and value.startswith("background")
    ]
    assert colours[1] == "background:rgba(0,114,178,0.550)"  # "good", the strongest
    assert colours[4].startswith("background:rgba(213,94,0")  # "bad", against
    assert explanation.faithfulness["sentence"] in parsed.text and "fresh" in parsed.text
    assert f"{explanation.scores[1]:+.4f}" in parsed.text


def test_subwords_are_joined_in_the_static_picture() -> None:
    text = Parsed(token_heat_html(explain(predictor(bert(), tokenizer()), "was unbelievable"))).text
    assert "[CLS] was unbelievable [SEP]" in text


def test_assets_come_from_the_workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    (tmp_path / "d3.js").write_text("var d3 = '</script>'")
    monkeypatch.setattr(assets, "fetch_asset", lambda name, workspace: tmp_path / f"{name}.js")
    assert assets.script("d3") == "var d3 = '\\x3c/script>'"


@pytest.mark.parametrize(
    ("text", "direction"), [("good film", "ltr"), ("1 \u05e1\u05e8\u05d8 good", "rtl"), ("12", "ltr")]
)
def test_the_static_picture_reads_in_the_texts_direction(text: str, direction: str) -> None:
    html = token_heat_html(explain(bag_of_words(), text, "occlusion"))
    assert re.findall(r"direction:(\w+)", html) == [direction]
