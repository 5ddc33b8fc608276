"""A normalization map from single characters to texts, in SentencePiece's binary form.

The fast tokenizers' ``Precompiled`` normalizer replaces every character of such a map in one pass over a text; a
sequence of ``Replace`` normalizers would need thousands of passes. The form: the size of a trie in bytes (u32), the
trie, and the replacements, each ended by a zero byte. The trie is a double array over the UTF-8 bytes of the
characters (Aoe (1989): An Efficient Digital Search Algorithm by Using a Double-Array Structure. IEEE Transactions on
Software Engineering 15(9)); each unit of it has 32 bits:

    a node    offset << 10 | has a value << 8 | byte      its children are at (position ^ offset) ^ byte
    a value   1 << 31 | value                             at (position ^ offset) of its node
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping

_BLOCK = 256  # positions for the children of a node, one per byte
_HAS_VALUE = 1 << 8
_IS_VALUE = 1 << 31
_LIMIT = 1 << 21  # positions that an offset in this form can reach


def build_charsmap(replacements: Mapping[str, str]) -> bytes:
    """Write a map as the ``Precompiled`` normalizer of ``tokenizers`` reads it.

    Args:
        replacements: character -> text; neither may contain the character 0.

    Raises:
        ValueError: a key is not one character, the character 0 occurs, or the map is too large.
    """
    if any(len(key) != 1 or "\0" in key + text for key, text in replacements.items()):
        raise ValueError("a map replaces single characters, and the character 0 cannot be written")
    values, texts = _join(replacements.values())
    trie = _build_trie({key.encode(): values[text] for key, text in replacements.items()})
    return struct.pack("<I", 4 * len(trie)) + struct.pack(f"<{len(trie)}I", *trie) + texts


def _join(replacements: Iterable[str]) -> tuple[dict[str, int], bytes]:
    """Return where each text begins in the bytes that hold them all, and these bytes."""
    starts: dict[str, int] = {}
    content = bytearray()
    for text in replacements:
        if text not in starts:
            starts[text] = len(content)
            content += text.encode() + b"\0"
    return starts, bytes(content)


def _build_trie(values: Mapping[bytes, int]) -> list[int]:
    """Return the units of a double array in which every key has its value. No key is the beginning of another."""
    children: dict[bytes, set[int]] = defaultdict(set)  # the bytes that follow the beginning of a key
    for key in values:
        for length in range(len(key)):
            children[key[:length]].add(key[length])
    # Every node with children has a block of its own, which needs no search for free positions; the values follow.
    blocks = {prefix: _BLOCK * number for number, prefix in enumerate([b"", *sorted(children.keys() - {b""})], 1)}
    first_value = _BLOCK * (len(blocks) + 1)
    size = first_value + -(-len(values) // _BLOCK) * _BLOCK
    if size > _LIMIT:
        raise ValueError("the map has too many characters")
    units = [0] * size
    units[0] = blocks[b""] << 10
    for prefix, block in blocks.items():
        for byte in children[prefix]:
            position, child = block ^ byte, prefix + bytes([byte])
            if child in blocks:
                units[position] = (position ^ blocks[child]) << 10 | byte
    for position_of_value, (key, value) in enumerate(sorted(values.items()), first_value):
        position = blocks[key[:-1]] ^ key[-1]
        units[position] = (position ^ position_of_value) << 10 | _HAS_VALUE | key[-1]
        units[position_of_value] = _IS_VALUE | value
    return units
