"""TNEWS as DataCLUE has it: an object a line, with a class whose name stands under one of two keys."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.data.readers.formats.base import Format, RawFile, formats, member
from workbench.data.readers.table import Table


@formats.register("tnews")
class Tnews(Format):
    """Headlines and the names of their classes: ``sports``, not ``news_sports`` or 5."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        texts: list[str] = []
        labels: list[str] = []
        rows: list[int] = []
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            # The test file has its names in English under label_des, where the others have them in Chinese.
            key = "label_desc" if isinstance(record, dict) and "label_desc" in record else "label_des"
            texts.append(member(record, "sentence", str, where))
            labels.append(member(record, key, str, where).removeprefix("news_"))
            rows.append(number)
        return self.table({"text": texts, "label": labels}, rows, "line")
