"""SciTLDR: one scientific abstract per line, as a list of sentences, with one or several summaries of one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table
from workbench.types import Json


@formats.register("scitldr")
class SciTldr(Format):
    """Abstracts as one text each, and their reference summaries."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {"text": [], "summary": [], "paper": []}
        rows: list[int] = []
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            sentences, references = _texts(record, "source", where), _texts(record, "target", where)
            columns["text"].append(" ".join(" ".join(sentence.split()) for sentence in sentences))
            columns["summary"].append([" ".join(text.split()) for text in references if text.strip()])
            columns["paper"].append(str(record.get("paper_id", number) if isinstance(record, dict) else number))
            rows.append(number)
        return self.table(columns, rows, "line")


def _texts(record: Json, key: str, where: str) -> list[str]:
    texts = [text for text in member(record, key, list, where) if isinstance(text, str)]
    if len(texts) != len(member(record, key, list, where)):
        raise malformed(where, "source and target must be lists of texts")
    return texts
