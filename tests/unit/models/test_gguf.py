"""A GGUF file is converted to safetensors once and atomically, with the same weights and tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workbench.errors import RequestError
from workbench.locks import Lock
from workbench.models import gguf as module
from workbench.models.conversion import CONVERTED, NOTE
from workbench.models.gguf import convert_gguf
from workbench.models.loading import load_tokenizer
from workbench.models.safety import refuse_unsafe

gguf = pytest.importorskip("gguf")

SIZE, WIDTH, LAYERS, HEADS = 300, 32, 2, 4


def write_gguf(path: Path, pre: str = "smollm") -> dict[str, np.ndarray[Any, Any]]:
    """Write a tiny Llama with a byte-level tokenizer with the gguf library, and return its weights."""
    from tokenizers.pre_tokenizers import ByteLevel

    generator = np.random.default_rng(0)
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = special + sorted(ByteLevel.alphabet())
    tokens += ["ĠĠ"] + [f"<unused{i}>" for i in range(SIZE - len(tokens) - 1)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * WIDTH)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(SIZE)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (SIZE - 3))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}")
    shapes = {"token_embd": (SIZE, WIDTH), "output_norm": (WIDTH,)}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}": (WIDTH, WIDTH) for name in ("attn_q", "attn_k", "attn_v", "attn_output")}
        shapes |= {f"blk.{layer}.{name}": (2 * WIDTH, WIDTH) for name in ("ffn_gate", "ffn_up")}
        shapes |= {f"blk.{layer}.ffn_down": (WIDTH, 2 * WIDTH)}
        shapes |= {f"blk.{layer}.{name}": (WIDTH,) for name in ("attn_norm", "ffn_norm")}
    weights = {name: generator.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, weight in weights.items():
        writer.add_tensor(f"{name}.weight", weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model" / "model.gguf"
    path.parent.mkdir()
    write_gguf(path)
    return path


def convert(file: Path, labels: list[str] | None = None) -> Path:
    lock = Lock(file.parent.parent / "locks" / "model.lock")
    return convert_gguf(
        file, lock, "tiny", lambda label, done, total: (labels if labels is not None else []).append(label)
    )


def load(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, dtype=torch.float32).eval()


def test_weights_and_tokens_equal_those_of_the_file(file: Path) -> None:
    labels: list[str] = []
    folder = convert(file, labels)
    refuse_unsafe(folder)
    assert folder == file.parent / CONVERTED and any("tokenizer" in text for text in labels)
    weights = write_gguf(file.with_name("again.gguf"))
    model = load(folder)
    assert np.array_equal(model.get_input_embeddings().weight.detach().numpy(), weights["token_embd"])
    body = model.model.layers[1]
    assert np.array_equal(body.mlp.down_proj.weight.detach().numpy(), weights["blk.1.ffn_down"])
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight, (
        "tied, as the file has no output"
    )
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config and config["eos_token_id"] == 2
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert "im_start" in tokenizer.chat_template


@pytest.mark.parametrize(("pre", "expected"), [("smollm", ["x", "ĠĠ", "1", "0"]), ("gpt-2", ["x", "Ġ", "Ġ", "1", "0"])])
def test_digits_are_split_when_the_model_was_trained_so(pre: str, expected: list[str], tmp_path: Path) -> None:
    """As in llama.cpp's pre-tokenizer "smollm", each digit is a word, so two spaces before it stay together."""
    path = tmp_path / "model" / "model.gguf"
    path.parent.mkdir()
    write_gguf(path, pre)
    tokenizer = load_tokenizer(convert(path))
    assert tokenizer.convert_ids_to_tokens(tokenizer("x  10")["input_ids"]) == expected
    assert tokenizer.decode(tokenizer("x  10")["input_ids"]) == "x  10"


def test_a_file_is_converted_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = convert(file)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(module, "_convert", lambda *_: pytest.fail("converted again"))
    convert(file)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("damage", ["short", "missing", "note", "version"])
def test_a_damaged_conversion_is_repeated(damage: str, file: Path) -> None:
    folder = convert(file)
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    if damage == "short":
        weights.write_bytes(content[:-10])
    elif damage == "missing":
        (folder / "tokenizer.json").unlink()
    elif damage == "note":
        (folder / NOTE).write_text("{")
    else:
        (folder / NOTE).write_text((folder / NOTE).read_text().replace('"version": 1', '"version": 0'))
    convert(file)
    assert weights.read_bytes() == content and (folder / "tokenizer.json").exists()


def test_a_conversion_that_fails_leaves_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_midway(source: Path, draft: Path, tell: Any) -> None:
        (draft / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_convert", fail_midway)
    with pytest.raises(Exception, match="space"):
        convert(file)
    assert [path.name for path in file.parent.iterdir()] == ["model.gguf"]


def test_leftovers_of_a_killed_process_are_removed(file: Path) -> None:
    leftover = file.parent / ".tmp-transformers-dead"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    convert(file)
    assert not leftover.exists()


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model at all" * 100])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model" / "model.gguf"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(RequestError, match=r"model\.gguf cannot be read"):
        convert(path)
    assert not (path.parent / CONVERTED).exists()


def test_a_missing_package_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from workbench.errors import MissingPackageError

    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingPackageError, match="pip install gguf"):
        convert(file)
    shutil.rmtree(file.parent)
