"""Two texts of the same lines, one for each language: ``train.en`` and ``train.de``.

The spec names one of them (``data: {train: train.en}``), whose language is the source; the other file is found beside
it. Line 5 of one is the translation of line 5 of the other, so both need equally many lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.data.examples import SplitName
from workbench.data.readers.file_types import ARCHIVES, SPREADSHEETS, SUFFIXES
from workbench.data.readers.formats.base import Format, RawFile, formats
from workbench.data.readers.table import Table
from workbench.errors import DataError

_LANGUAGE = re.compile(r"\.[a-z]{2,3}(?:[-_][A-Za-z]{2,4})?")
_OTHER_SUFFIXES = frozenset(
    (*SUFFIXES, *ARCHIVES, *SPREADSHEETS, ".tmx", ".xml", ".doc", ".pdf", ".py", ".sh", ".js", ".log", ".bak", ".tmp")
)


@formats.register("parallel")
class Parallel(Format):
    """Two texts of the same lines, one for each language."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        if len(files) != 2:
            raise DataError(
                f"{files[0].name}: its translation is missing.", "Put it beside this file: train.en, train.de."
            )
        texts = [file.text().split("\n") for file in files]
        texts = [lines[:-1] if lines[-1] == "" else lines for lines in texts]
        if len(texts[0]) != len(texts[1]):
            raise DataError(
                f"{files[0].name} has {len(texts[0]):,} lines, but {files[1].name} has {len(texts[1]):,}.",
                "Line by line, one file must be the translation of the other.",
            )
        table = self.table({"source": texts[0], "target": texts[1]}, range(1, len(texts[0]) + 1), "line")
        table.notes.append(f"{files[0].name} is the source, and {files[1].name} the target.")
        return table

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a file is named by its language, and another one beside it, too.

        Args:
            path: the file.
        """
        return bool(cls.companions(path))

    @classmethod
    def companions(cls, path: Path) -> list[Path]:
        """Return the file of the other language.

        Args:
            path: a file such as ``train.en``.

        Raises:
            DataError: there are several.
        """
        if not _is_language(path.suffix) or not path.is_file():
            return []
        others = sorted(
            other
            for other in path.parent.iterdir()
            if other != path and other.stem == path.stem and _is_language(other.suffix) and other.is_file()
        )
        if len(others) > 1:
            names = ", ".join(other.name for other in others)
            raise DataError(f"{path.name} may be translated in each of {names}.", "Keep two of them in a folder.")
        return others


def _is_language(suffix: str) -> bool:
    return bool(_LANGUAGE.fullmatch(suffix)) and suffix not in _OTHER_SUFFIXES
