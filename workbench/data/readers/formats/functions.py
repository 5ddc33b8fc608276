"""Functions of the installed packages (:mod:`workbench.data.catalogue.site_packages`) as code to be written."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, member
from workbench.data.readers.table import Table

_KEPT = ("body", "text", "name", "package", "version", "licence")


@formats.register("functions")
class Functions(Format):
    """Signature and docstring (``prompt``), and the ``body`` that follows: together they are the whole function."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {name: [] for name in ("prompt", *_KEPT)}
        rows: list[int] = []
        without = 0
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            values = {name: member(record, name, str, where) for name in _KEPT}
            signature = member(record, "signature", str, where)
            if not values["body"].strip():
                without += 1
                continue
            columns["prompt"].append(prompt(signature, values["text"]))
            for name, value in values.items():
                columns[name].append(value)
            rows.append(number)
        table = self.table(columns, rows, "line")
        if without:
            table.notes.append(f"{file.name}: {without:,} functions without a body were left out.")
        return table


def prompt(signature: str, docstring: str) -> str:
    """What a body is written to: the signature, and the docstring set in by 4."""
    text = docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text = f'"""{text}\n"""' if "\n" in text or text.endswith('"') else f'"""{text}"""'
    return f"{signature}\n{textwrap.indent(text, '    ')}\n"
