"""Model folders that were made to cost: refused by their files, before anything is built."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import RefusedError, SpecError
from workbench.models.bounds import refuse_absurd, refuse_costly_tokenizer
from workbench.tasks.shared import chat
from workbench.tasks.shared.chat import Chat

BERT = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "vocab_size": 100, "max_position_embeddings": 64, "type_vocab_size": 2,
}  # fmt: skip
SHAPES = {
    "embeddings": [100, 16],
    "positions": [64, 16],
    **{f"layer.{i}.{j}": [16, 32] for i in range(2) for j in range(8)},
}


def write_folder(folder: Path, shapes: dict[str, list[int]] = SHAPES, **config: Any) -> Path:
    header = {name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]} for name, shape in shapes.items()}
    text = json.dumps(header).encode()
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    (folder / "config.json").write_text(json.dumps({**BERT, **config}))
    return folder


ABSURD: dict[str, dict[str, Any]] = {
    "ten million layers": {"num_hidden_layers": 10**7},
    "layers of GPT-2": {"n_layer": 10**7},
    "layers of T5": {"num_layers": 10**6, "num_decoder_layers": 10**6},
    "decoder layers": {"decoder_layers": 10**5},
    "layers inside": {"text_config": {"num_hidden_layers": 10**7}},
    "layers deep inside": {"a": {"b": {"c": {"num_hidden_layers": 10**7}}}},
    "a number that is no size": {"num_hidden_layers": 10**400},
    "experts": {"num_experts": 10**7},
    "layers of experts": {"num_hidden_layers": 150, "num_local_experts": 190},
    "hidden size": {"hidden_size": 10**6},
    "hidden size of GPT-2": {"n_embd": 10**6},
    "intermediate size": {"intermediate_size": 10**9},
    "feed-forward": {"d_ff": 10**8},
    "types": {"type_vocab_size": 10**9},
    "vocabulary": {"vocab_size": 10**10},
    "positions": {"max_position_embeddings": 10**9},
    "positions of GPT-2": {"n_positions": 10**9},
    "many layers, wide": {"num_hidden_layers": 200, "hidden_size": 4096, "intermediate_size": 4096},
}


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_configurations_are_refused_at_once(name: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    with pytest.raises(RefusedError, match=r"config.json in model has .*, but "):
        refuse_absurd(write_folder(tmp_path / "model", **ABSURD[name]))
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    ("shapes", "config"),
    [
        (SHAPES, {}),
        (SHAPES, {"max_position_embeddings": 131_072, "num_experts_per_tok": 2, "num_hidden_layers": 2}),
        (SHAPES, {"num_hidden_layers": 12, "model_type": "albert"}),  # whose layers share their weights
        ({f"{i}": [64, 64] for i in range(500)}, {"num_hidden_layers": 480, "hidden_size": 64}),
        ({"experts": [8, 64, 64]}, {"num_local_experts": 8, "num_hidden_layers": 24}),
        (SHAPES, {"num_hidden_layers": "many", "hidden_size": None, "vocab_size": True, "x": [1, {"n_layer": 10**9}]}),
    ],
)
def test_models_that_exist_are_not_refused(
    shapes: dict[str, list[int]], config: dict[str, Any], tmp_path: Path
) -> None:
    refuse_absurd(write_folder(tmp_path / "model", shapes, **config))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, struct.pack("<Q", 10**18), struct.pack("<Q", 4) + b"[[[[", b"abc"]
)
def test_broken_headers_are_left_to_the_loader(content: bytes, tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(content)
    refuse_absurd(tmp_path)


# -- tokenizers ---------------------------------------------------------------------------------------------------


def write_tokenizer(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Path:
    vocabulary = {"[UNK]": 0, "a": 1, "b": 2}
    document: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }  # fmt: skip
    if change is not None:
        change(document)
    (folder / "tokenizer.json").write_text(json.dumps(document))
    return folder


def replacing(pattern: dict[str, str], content: str, times: int) -> Callable[[dict[str, Any]], None]:
    one = {"type": "Replace", "pattern": pattern, "content": content}
    return lambda document: document.update(normalizer={"type": "Sequence", "normalizers": [one] * times})


COSTLY: dict[str, Callable[[dict[str, Any]], None]] = {
    "a letter becomes two, 40 times": replacing({"String": "a"}, "aa", 40),
    "a rare letter becomes two, 40 times": replacing({"String": "\u2603"}, "\u2603\u2603", 40),
    "a letter becomes a book": replacing({"String": "q"}, "q" * 1_000_000, 1),
    "by a regular expression": replacing({"Regex": "[a-z]"}, "aa", 40),
    "many normalizers": replacing({"String": "a"}, "a", 1000),
    "nested": lambda document: document.update(
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 9}
        ]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_tokenizers_that_multiply_texts_are_refused_at_once(name: str, tmp_path: Path) -> None:
    begin = time.perf_counter()
    with pytest.raises(RefusedError, match="normalizers that may make a text"):
        refuse_costly_tokenizer(write_tokenizer(tmp_path, COSTLY[name]))
    assert time.perf_counter() - begin < 1


def adding(document: dict[str, Any]) -> None:
    """A template of 10,000 special tokens, each of which stands for 10,000."""
    token = {"SpecialToken": {"id": "a", "type_id": 0}}
    sequence = [{"Sequence": {"id": "A", "type_id": 0}}, *[token] * 10_000]
    pair = [*sequence, {"Sequence": {"id": "B", "type_id": 0}}]
    special = {"a": {"id": "a", "ids": [1] * 10_000, "tokens": ["a"] * 10_000}}
    document["post_processor"] = {
        "type": "TemplateProcessing",
        "single": sequence,
        "pair": pair,
        "special_tokens": special,
    }


def padding(document: dict[str, Any]) -> None:
    document["padding"] = {
        "strategy": {"Fixed": 4_000_000_000}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1,
        "pad_type_id": 0, "pad_token": "a",
    }  # fmt: skip


def decoding(document: dict[str, Any]) -> None:
    twice = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    document["decoder"] = {"type": "Sequence", "decoders": [twice] * 33}


@pytest.mark.parametrize("change", [adding, padding, decoding])
def test_tokenizers_that_build_gigabytes_are_refused(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"of memory|decoders that may|tokens of|ended with signal SIGABRT"):
        refuse_costly_tokenizer(write_tokenizer(tmp_path, change))


def test_a_tokenizer_that_searches_without_end_is_refused(tmp_path: Path) -> None:
    pattern = {"Regex": "(a|aa)+$"}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    begin = time.perf_counter()
    folder = write_tokenizer(tmp_path, lambda document: document.update(pre_tokenizer=split))
    with pytest.raises(RefusedError, match="The tokenizer fails on a text of 401 characters"):
        refuse_costly_tokenizer(folder)
    assert time.perf_counter() - begin < 20


def test_usual_tokenizers_are_read(tmp_path: Path) -> None:
    usual = [{"type": "NFKC"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
             {"type": "Prepend", "prepend": "\u2581"}, {"type": "Lowercase"}]  # fmt: skip
    refuse_costly_tokenizer(
        write_tokenizer(
            tmp_path, lambda document: document.update(normalizer={"type": "Sequence", "normalizers": usual})
        )
    )
    (tmp_path / "empty").mkdir()
    refuse_costly_tokenizer(tmp_path / "empty")


# -- templates ----------------------------------------------------------------------------------------------------


def chat_tokenizer(template: str) -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.WordLevel({"[UNK]": 0, "</s>": 1}, unk_token="[UNK]"))
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", eos_token="</s>")
    tokenizer.chat_template = template
    return tokenizer


LOOPS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% for i in range(99999) %}{% for j in range(99999) %}{% if i * j < 0 %}x{% endif %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
]


@pytest.mark.parametrize("template", LOOPS)
def test_templates_that_loop_are_stopped(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "RENDERING", replace(chat.RENDERING, seconds=1.0))
    with pytest.raises(SpecError, match="took more than 1 s"):
        Chat(chat_tokenizer(template))


EXPLODING = [
    "{{ 'x' * 8000000000 }}",
    "{{ '%08000000000d' % 1 }}",
    "{{ 'x' | center(8000000000) }}",
    "{% set n = namespace(x='x') %}{% for i in range(33) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% if messages | length == 31 %}{{ 'x' * 8000000000 }}{% endif %}",
]


@pytest.mark.parametrize("template", EXPLODING)
def test_templates_that_build_gigabytes_are_refused(template: str) -> None:
    with pytest.raises(SpecError, match=r"needed more than 0\.5 GiB of memory"):
        Chat(chat_tokenizer(template))


def test_a_template_that_writes_a_book_is_refused() -> None:
    text = "{% for m in messages %}{{ m.content }}{% endfor %}{{ 'x' * 3000000 }}"
    with pytest.raises(SpecError, match=r"it writes 3,000,0\d\d characters"):
        Chat(chat_tokenizer(text))
