"""fastText's texts: one per line, after its labels.

__label__pos A fine film.
__label__sport __label__money The club was sold.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, read_head
from workbench.data.readers.table import Table
from workbench.types import Json

_HEAD = 1 << 13  # bytes that show whether a text is in this format
_LABELS = re.compile(r"(?:__label__\S+[ \t,]*)+")
_LABEL = re.compile(r"__label__([^\s,]+)")


@formats.register("fasttext")
class FastText(Format):
    """Texts after their labels."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        texts: list[str] = []
        labels: list[list[str]] = []
        rows: list[int] = []
        for number, line in enumerate(file.text().split("\n"), start=1):
            if not line.strip():
                continue
            match = _LABELS.match(line.strip())
            if match is None:
                raise malformed(f"{file.name}, line {number}", "it does not begin with a label such as __label__pos")
            labels.append(_LABEL.findall(match[0]))
            texts.append(line.strip()[match.end() :].strip())
            rows.append(number)
        single = all(len(own) == 1 for own in labels)
        cells: list[Json] = [own[0] if single else [*own] for own in labels]
        return self.table({"text": texts, "label": cells}, rows, "line")

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether the first lines of a text begin with labels.

        Args:
            path: the file.
        """
        if path.suffix.lower() not in (".txt", ".csv", ".tsv"):
            return False
        lines = read_head(path, _HEAD).decode("utf-8", errors="replace").lstrip("\ufeff").splitlines()
        filled = [line for line in lines if line.strip()]
        return bool(filled) and all(line.lstrip().startswith("__label__") for line in filled[: max(1, len(filled) - 1)])
