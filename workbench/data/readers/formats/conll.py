"""CoNLL: one word and its tag per line, sentences separated by empty lines."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.examples import SplitName
from workbench.data.readers.file_types import CONLL
from workbench.data.readers.formats.base import Format, RawFile, formats
from workbench.data.readers.table import Table
from workbench.errors import DataError

_DOCUMENT = "-DOCSTART-"  # a line that separates documents, and is not a sentence


@formats.register("conll")
class Conll(Format):
    """Words and tags, one of each per line: the first and the last field, separated by tabs or spaces.

    If lines -DOCSTART- separate documents, the column ``document`` numbers them.
    """

    suffixes = CONLL

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
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
            word, tag = _split_fields(line, f"{file.name}, line {number}")
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
            table.notes.append(f"{file.name}: skipped {documents:,} lines {_DOCUMENT}.")
        return table


def _split_fields(line: str, where: str) -> tuple[str, str]:
    """Return the word and the tag. Only tabs or spaces separate fields, which may contain other whitespace."""
    fields = line.rstrip("\t ").split("\t") if "\t" in line.rstrip("\t ") else line.rstrip(" ").split(" ")
    word, tag = fields[0].strip(), fields[-1].strip()
    if len(fields) < 2 or not word or not tag:
        raise DataError(
            f"{where}: {line[:60]!r} is not a word and its tag.",
            "Write a word, a tab (or a space) and its tag; an empty line ends a sentence.",
        )
    return word, tag
