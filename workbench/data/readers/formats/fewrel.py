"""FewRel: one JSON object from relation to its sentences, each with words and the positions of two expressions.

    {"P931": [{"tokens": ["Ada", "flew", "to", "Oslo"], "h": ["oslo", "Q1", [[3]]], "t": ["ada", "Q2", [[0]]]}]}

The expressions are marked as in the shape ``relations``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member, read_head
from workbench.data.readers.table import Table

_HEAD = 1 << 12  # bytes that show whether a file is in this format
_BEGINNING = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"[^"]*"\s*:\s*\[\s*\{\s*"tokens"\s*:')


@formats.register("fewrel")
class FewRel(Format):
    """Sentences by relation, with the positions of two expressions."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        document = file.json()
        if not isinstance(document, dict):
            raise malformed(file.name, "an object from relation to sentences is needed")
        columns: dict[str, list[Any]] = {"tokens": [], "h": [], "t": [], "relation": []}
        for relation in document:
            for number, sentence in enumerate(member(document, relation, list, file.name), start=1):
                where = f"{file.name}, sentence {number} of {relation[:60]!r}"
                for key in ("tokens", "h", "t"):
                    columns[key].append(member(sentence, key, list, where))
                columns["relation"].append(relation)
        return self.table(columns, range(1, len(columns["relation"]) + 1))

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.json`` file begins like FewRel's.

        Args:
            path: the file.
        """
        return path.suffix.lower() == ".json" and bool(_BEGINNING.match(read_head(path, _HEAD)))
