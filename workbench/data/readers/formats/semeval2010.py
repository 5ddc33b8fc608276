"""SemEval-2010 task 8, and KBP37: a sentence with two marked nouns, and their relation on the next line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, read_head
from workbench.data.readers.table import Table

_HEAD = 1 << 13  # bytes that show whether a text is in this format
_SENTENCE = re.compile(r'(\d+)\t"?(.*?)"?\s*')
_MARKED = re.compile(r".*<e1>.+</e1>.*<e2>.+</e2>.*")
_RELATION = re.compile(r"[A-Za-z][\w:/.-]{0,99}(?:\((?:e1,e2|e2,e1)\))?")


@formats.register("semeval2010-task8")
class SemEval2010(Format):
    """Sentences with <e1>...</e1> and <e2>...</e2> as they are in the file, and directed relations."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        texts: list[str] = []
        labels: list[str] = []
        rows: list[int] = []
        lines = file.text().split("\n")
        for number, line in enumerate(lines, start=1):
            match = _SENTENCE.fullmatch(line)
            if match is None:
                continue
            where = f"{file.name}, line {number}"
            if not _MARKED.fullmatch(match[2]):
                raise malformed(where, "there are no <e1>...</e1> and <e2>...</e2> in the sentence")
            relation = lines[number].strip() if number < len(lines) else ""
            if not _RELATION.fullmatch(relation):
                raise malformed(f"{file.name}, line {number + 1}", f"{relation[:60]!r} is not a relation such as Other")
            texts.append(match[2])
            labels.append(relation)
            rows.append(number)
        return self.table({"text": texts, "label": labels}, rows, "line")

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.txt`` file begins with a numbered sentence with marks, and a relation.

        Args:
            path: the file.
        """
        if path.suffix.lower() != ".txt":
            return False
        lines = read_head(path, _HEAD).decode("utf-8", errors="replace").lstrip("\ufeff").splitlines()
        sentence = _SENTENCE.fullmatch(lines[0]) if len(lines) > 1 else None
        return bool(sentence and _MARKED.fullmatch(sentence[2]) and _RELATION.fullmatch(lines[1].strip()))
