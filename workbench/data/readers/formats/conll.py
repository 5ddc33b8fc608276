"""CoNLL: a word a line with its tag behind it, sentences parted by empty lines."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.readers.file_types import CONLL
from workbench.data.readers.formats.base import Format, RawFile, formats
from workbench.data.readers.table import Table
from workbench.errors import DataError

_DOCUMENT = "-DOCSTART-"  # a line that parts documents, and is no sentence


@formats.register("conll")
class Conll(Format):
    """Words and tags, one of each a line: the first and the last field, parted by tabs or spaces.

    Where lines -DOCSTART- part documents, the column ``document`` numbers these.
    """

    suffixes = CONLL

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        words: list[list[str]] = []
        tags: list[list[str]] = []
        rows: list[int] = []
        articles: list[str] = []
        documents = open_sentence = 0
        for number, line in enumerate(file.text().split("\n"), start=1):
            if not line.strip() or line.startswith(_DOCUMENT):
                documents += line.startswith(_DOCUMENT)
                open_sentence = 0
                continue
            word, tag = _fields(line, f"{file.name}, line {number}")
            if not open_sentence:
                open_sentence = number
                rows.append(number)
                articles.append(str(documents))
                words.append([])
                tags.append([])
            words[-1].append(word)
            tags[-1].append(tag)
        table = self.table({"words": words, "tags": tags}, rows, "line")
        if documents:
            table.columns["document"], table.group = articles, "document"
            table.notes.append(f"{file.name}: {documents:,} lines {_DOCUMENT} were passed over.")
        return table


def _fields(line: str, where: str) -> tuple[str, str]:
    """The word and the tag. A field may hold other kinds of space: only a tab or a space parts."""
    fields = line.rstrip("\t ").split("\t") if "\t" in line.rstrip("\t ") else line.rstrip(" ").split(" ")
    word, tag = fields[0].strip(), fields[-1].strip()
    if len(fields) < 2 or not word or not tag:
        raise DataError(
            f"{where}: {line[:60]!r} is not a word and its tag.",
            "Write a word, a tab (or a space) and its tag; an empty line ends a sentence.",
        )
    return word, tag
