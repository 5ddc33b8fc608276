"""The canvas view's document: weights as bytes, no requests, no scripts from the text."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.explain.explain_models import bert, tokenizer
from tests.unit.explain.test_explain_render import HOSTILE, Parsed, attention_of_size
from workbench.errors import RequestError
from workbench.explain import capture_attention
from workbench.explain.render import canvas


def page_data(document: str) -> Any:
    return json.loads(re.search(r'id="data">(.*?)</script>', document, re.DOTALL)[1])  # type: ignore[index]


def heads(document: str) -> dict[str, bytes]:
    blocks = re.findall(r'data-head="([\d-]+)">([^<]*)</script>', document)
    return {name: zlib.decompress(base64.b64decode(packed)) for name, packed in blocks}


def test_a_weight_survives_as_a_byte() -> None:
    weights = np.linspace(0, 1, 100_001, dtype=np.float32)
    error = np.abs(canvas.from_bytes(canvas.as_bytes(weights)) - weights)
    assert error.max() < 0.004
    assert error[weights < 0.01].max() < 0.0005
    assert canvas.as_bytes(np.array([0.0, 1.0])).tolist() == [0, 255]


def test_the_page_contains_every_head() -> None:
    attention = capture_attention(bert(), tokenizer(), "the film was unbelievable")
    document = canvas.canvas_view(attention)
    weights_by_head = heads(document)
    assert set(weights_by_head) == {f"{layer}-{head}" for layer in range(3) for head in range(4)}
    values = np.frombuffer(weights_by_head["1-2"], dtype=np.uint8).reshape(8, 8)
    np.testing.assert_allclose(canvas.from_bytes(values), attention.weights[1, 2], atol=0.004)
    data = page_data(document)
    assert data["tokens"] == attention.shown and data["special"] == [1, 0, 0, 0, 0, 0, 0, 1]
    assert data["words"] == [0, 1, 2, 3, 4, 4, 4, 7] and data["layer"] == 2
    assert np.frombuffer(zlib.decompress(base64.b64decode(data["maps"])), dtype=np.uint8).size == 12 * 64
    assert zlib.decompress(canvas.packed_head(attention, 1, 2)) == values.tobytes()


def test_words_of_two_texts_differ() -> None:
    attention = capture_attention(bert(), tokenizer(), "unbelievable", "unbelievable film")
    assert page_data(canvas.canvas_view(attention))["words"] == [0, 1, 1, 1, 4, 5, 5, 5, 8, 9]
    texts_only = attention.without_special()  # the first words of both texts are adjacent now
    assert page_data(canvas.canvas_view(texts_only))["words"] == [0, 0, 0, 3, 3, 3, 6]


def test_a_small_map_keeps_a_single_line() -> None:
    values = np.zeros((200, 200), dtype=np.uint8)
    values[131] = 9
    small = canvas.small_map(values)
    assert small.shape == (64, 64) and (small == 9).sum() == 64
    single_cell = np.zeros((200, 200), dtype=np.uint8)
    single_cell[131, 17] = 9
    assert (canvas.small_map(single_cell) == 9).sum() == 1
    assert canvas.small_map(values[:10, :10]).shape == (10, 10)


def test_other_heads_can_come_from_a_server() -> None:
    attention = attention_of_size(3, 4, 40)
    document = canvas.canvas_view(attention, layer=1, head=2, source="/attention/run")
    assert set(heads(document)) == {"1-2"} and "connect-src 'self'" in document
    assert page_data(document)["source"] == "/attention/run"
    assert "connect-src" not in canvas.canvas_view(attention)
    assert len(canvas.canvas_view(attention_of_size(12, 12, 128), source="/a")) < 1_000_000


def test_hostile_tokens_stay_inside_the_data() -> None:
    attention = replace(attention_of_size(2, 2, len(HOSTILE)), shown=HOSTILE)
    document = canvas.canvas_view(attention, title="<b>")
    plain = canvas.canvas_view(attention_of_size(2, 2, len(HOSTILE)))
    assert Parsed(document).tags == Parsed(plain).tags
    assert "<!--" not in document and "\u2028" not in document
    assert page_data(document)["tokens"] == [name[:400] for name in HOSTILE]


def test_the_page_requests_nothing() -> None:
    document = canvas.canvas_view(attention_of_size(2, 2, 5))
    assert not [pair for pair in Parsed(document).attributes if pair[0] in ("src", "href", "srcset", "action")]
    namespaces = {"http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\"' ]*", document)) == namespaces
    assert "default-src 'none'" in document


def test_a_missing_layer_or_head_is_an_error() -> None:
    with pytest.raises(RequestError, match="no layer 2"):
        canvas.canvas_view(attention_of_size(2, 2, 5), layer=2)
    with pytest.raises(RequestError, match="no head -1"):
        canvas.canvas_view(attention_of_size(2, 2, 5), head=-1)
