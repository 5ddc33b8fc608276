"""TNEWS as in DataCLUE: one object per line, with the name of its class under one of two keys."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, member
from workbench.data.readers.table import Table


@formats.register("tnews")
class Tnews(Format):
    """Headlines and the names of their classes: ``sports``, not ``news_sports`` or 5."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        texts: list[str] = []
        labels: list[str] = []
        rows: list[int] = []
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            # The test file has the English names under label_des; the other files have Chinese ones there.
            key = "label_desc" if isinstance(record, dict) and "label_desc" in record else "label_des"
            texts.append(member(record, "sentence", str, where))
            labels.append(member(record, key, str, where).removeprefix("news_"))
            rows.append(number)
        return self.table({"text": texts, "label": labels}, rows, "line")
