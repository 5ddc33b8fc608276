"""SciTLDR: a scientific abstract a line, as a list of sentences, with one or several summaries of one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table


@formats.register("scitldr")
class SciTldr(Format):
    """Abstracts as one text each, and their reference summaries."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {"text": [], "summary": [], "paper": []}
        rows: list[int] = []
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            sentences, references = member(record, "source", list, where), member(record, "target", list, where)
            if not all(isinstance(text, str) for text in [*sentences, *references]):
                raise malformed(where, "source and target must be lists of texts")
            columns["text"].append(" ".join(" ".join(sentence.split()) for sentence in sentences))
            columns["summary"].append([" ".join(text.split()) for text in references if text.strip()])
            columns["paper"].append(str(record.get("paper_id", number)))
            rows.append(number)
        return self.table(columns, rows, "line")
