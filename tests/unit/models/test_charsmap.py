"""The library's normalizer reads a map as it was written, for every character."""

from __future__ import annotations

import sys

import pytest
from tokenizers.normalizers import Precompiled

from workbench.models.charsmap import build_charsmap

EXAMPLES = {
    "\x01": "",
    "\t": " ",
    "ª": "a",
    "é": "e\u0301",
    "ﬁ": "fi",
    "\u3000": " ",
    "世": "界",
    "𝐛": "b",
    "\U0010fffd": "x",
}


def test_every_character_is_replaced_as_the_map_says() -> None:
    """Also those whose bytes begin like a key: a node with the wrong children would replace them."""
    normalizer = Precompiled(build_charsmap(EXAMPLES))
    for code in range(1, sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            char = chr(code)
            assert normalizer.normalize_str(f"x{char}x") == f"x{EXAMPLES.get(char, char)}x", hex(code)


def test_a_map_without_characters_changes_nothing() -> None:
    assert Precompiled(build_charsmap({})).normalize_str("aé世\t") == "aé世\t"


@pytest.mark.parametrize("replacements", [{"ab": "c"}, {"": "c"}, {"a": "\0"}, {"\0": "a"}])
def test_what_cannot_be_written_is_refused(replacements: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="single characters"):
        build_charsmap(replacements)
