"""Figures show the numbers that were measured, and text in them stays text."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.unit.explain.test_explain_render import HOSTILE, attention_of_size
from workbench.errors import RequestError
from workbench.explain.checks import Curves
from workbench.explain.internals.aggregates import HeadPatterns
from workbench.explain.internals.alignment import align_attention
from workbench.explain.internals.attention_difference import jensen_shannon
from workbench.explain.render import canvas, curves, figure, maps

SVG = "{http://www.w3.org/2000/svg}"


def titles(drawn: figure.Figure) -> list[str]:
    return [str(one.text) for one in ElementTree.fromstring(drawn.svg()).iter(f"{SVG}title")]


def test_a_map_has_the_numbers_and_their_colours() -> None:
    drawn = maps.head_map([[0.0, -2.0, 1.0]], "Map", "units", signed=True)
    assert titles(drawn) == [f"layer 0, head {i}: {v} units" for i, v in enumerate(("0", "-2", "1"))]
    fills = [one.get("fill") for one in ElementTree.fromstring(drawn.svg()).iter(f"{SVG}rect")][:3]
    assert fills == ["#f4f5f6", "#be4b00", figure.diverging(0.5)]
    assert "head 1 of layer 0: -2 units" in drawn.description
    assert maps.head_map([[0.0, 0.0]], "Map", "units").svg()  # nothing to scale by


def test_colours_differ_in_gray_and_text_on_them_is_readable() -> None:
    def grey(colour: str) -> float:
        parts = [(int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    steps = [grey(figure.sequential(share)) for share in np.linspace(0, 1, 20)]
    assert steps == sorted(steps)
    for _, colour in maps.PATTERN_LOOKS.values():
        one, other = sorted((grey(colour), grey(figure.readable_on(colour))))
        assert (other + 0.05) / (one + 0.05) > 4.5  # WCAG's least contrast
    assert len({letter for letter, _ in maps.PATTERN_LOOKS.values()}) == len(maps.PATTERN_LOOKS)


def test_the_clearest_pattern_of_a_head_is_shown() -> None:
    named = [
        {"layer": 0, "head": 1, "pattern": "separator", "share": 0.9, "even": 0.1},
        {"layer": 0, "head": 1, "pattern": "first token", "share": 0.5, "even": 0.1},
    ]
    drawn = maps.pattern_map(HeadPatterns(3, [[1.0, 1.0]], [[1.0, 1.0]], {}, {}, {}, named, []))
    assert titles(drawn) == [
        "layer 0, head 0: none of the known patterns",
        "layer 0, head 1: separator (90% of its attention; uniform attention: 10%)",
    ]


def test_curves_stand_where_their_values_are() -> None:
    lines = {"deletion": [1.0, 0.5, 0.0], "insertion": [0.0, 0.25, 0.5]}
    measured = Curves([0.0, 0.5, 1.0], lines, {"deletion": 0.5, "insertion": 0.25}, draws=5, seed=0)
    down, up = curves.faithfulness_curves(measured, HOSTILE[0])
    points = [
        [
            (float(one.get("cx", "")), float(one.get("cy", "")))
            for one in ElementTree.fromstring(drawn.svg()).iter(f"{SVG}circle")
        ]
        for drawn in (down, up)
    ]
    assert points[0][0][1] < points[0][2][1] < points[0][4][1]  # falls: y grows downwards
    assert points[1][0][1] > points[1][2][1] > points[1][4][1]
    assert points[0][2][1] == points[1][4][1]  # both are 0.5 there
    assert titles(down)[1] == "in the order of the explanation, 50%: 0.500"
    assert curves.faithfulness_curves(None, "x") == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_labels_stay_text(text: str) -> None:
    flat = {"deletion": [1.0, 1.0], "insertion": [1.0, 1.0]}
    measured = Curves([0.0, 1.0], flat, {"deletion": 1.0, "insertion": 1.0}, draws=5, seed=0)
    document = figure.page(curves.faithfulness_curves(measured, text), caption=text, title=text)
    assert document.count("<script") == 1 and "<img" not in document
    for drawn in (*curves.faithfulness_curves(measured, text), maps.head_map([[1.0]], text, text)):
        ElementTree.fromstring(drawn.svg())


def test_two_sides_travel_with_their_difference() -> None:
    first = attention_of_size(2, 3, 12)
    second = replace(first, weights=first.weights[:, :, ::-1].copy())
    document = canvas.comparison_view(first, second, ("one", "</script><b>two"))
    data = json.loads(re.search(r'id="data">(.*?)</script>', document, re.DOTALL)[1])  # type: ignore[index]
    assert data["name"] == "one" and data["second"]["name"] == "</script><b>two" and "<b>two" not in document
    change = second.weights - first.weights
    assert data["second"]["most"] == pytest.approx(np.abs(change).max(), abs=0.001)
    sent = np.frombuffer(zlib.decompress(base64.b64decode(data["second"]["difference"])), np.uint8)
    signed = (sent.astype(float) - 128) / 127
    np.testing.assert_allclose((np.sign(signed) * signed**2).reshape(change.shape), change, atol=0.008)
    assert document.count('type="text/plain" data-head="1-') == 6 + 3  # six heads of the second, three of layer 1
    page = canvas.comparison_view(first, second, ("one", "two"), sources=("/a", "/b"))
    assert page.count('type="text/plain" data-head=') == 2 and "connect-src 'self'" in page
    with pytest.raises(RequestError, match="differ in shape"):
        canvas.comparison_view(first, attention_of_size(2, 3, 11), ("one", "two"))
    moved = jensen_shannon(first.weights, second.weights)
    assert f"{moved.max():.3g}" in maps.difference_map(first, second).description


def test_two_texts_are_laid_over_each_other() -> None:
    first, second = attention_of_size(1, 1, 5), attention_of_size(1, 1, 6)
    names = [["[CLS]", "a", "good", "film", "[SEP]"], ["[CLS]", "a", "bad", "film", "indeed", "[SEP]"]]
    one, other = (replace(a, tokens=n, shown=n) for a, n in zip((first, second), names, strict=True))
    ours, theirs = align_attention(one, other)
    assert ours.shown == theirs.shown == ["[CLS]", "a", "good → bad", "film", "[SEP]"]
    np.testing.assert_array_equal(ours.weights, one.weights)
    indices = [0, 1, 2, 3, 5]
    np.testing.assert_array_equal(theirs.weights, other.weights[:, :, indices][..., indices])
    assert ours.notes[-1] == "1 unpaired token is left out."
    strange = replace(first, tokens=list("vwxyz"), shown=list("vwxyz"), special=[False] * 5)
    longer = replace(second, tokens=list("ABCDEF"), shown=list("ABCDEF"), special=[False] * 6)
    with pytest.raises(RequestError, match="share no token"):
        align_attention(strange, longer)


def test_damaged_measurements_of_heads_are_ignored(workspace: object) -> None:
    from tests.dashboard.fake_runs import fake_run
    from workbench.explain.internals.cache import load_importance, load_patterns, save_measurement
    from workbench.explain.internals.heads import HeadImportance

    run = fake_run(workspace)  # type: ignore[arg-type]
    assert load_patterns(run) is None
    importance = HeadImportance("gradient", 2, [[0.5]], [{"layer": 0, "head": 0, "importance": 0.5}])
    save_measurement(run, importance)
    assert load_importance(run, "gradient") == importance and load_importance(run) is None
    (run.heads_folder / "patterns.json").write_text('{"texts": 1')
    assert load_patterns(run) is None
    (run.heads_folder / "patterns.json").write_text("[1]")
    assert load_patterns(run) is None
