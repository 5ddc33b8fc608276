"""Functions of the installed packages (:mod:`workbench.data.catalogue.site_packages`), for code generation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, member
from workbench.data.readers.table import Table

_COLUMNS = ("body", "text", "name", "package", "version", "licence")


@formats.register("functions")
class Functions(Format):
    """Signature and docstring (``prompt``), and the ``body`` that follows: together they are the whole function."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {name: [] for name in ("prompt", *_COLUMNS)}
        rows: list[int] = []
        without_body = 0
        for number, record in file.json_lines():
            where = f"{file.name}, line {number}"
            values = {name: member(record, name, str, where) for name in _COLUMNS}
            signature = member(record, "signature", str, where)
            if not values["body"].strip():
                without_body += 1
                continue
            columns["prompt"].append(prompt(signature, values["text"]))
            for name, value in values.items():
                columns[name].append(value)
            rows.append(number)
        table = self.table(columns, rows, "line")
        if without_body:
            table.notes.append(f"{file.name}: excluded {without_body:,} functions without a body.")
        return table


def prompt(signature: str, docstring: str) -> str:
    """Return the prompt for a body: the signature, and the docstring indented by 4.

    Args:
        signature: the line (or lines) of ``def``.
        docstring: its text, without quotes and indentation.
    """
    text = docstring.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    text = f'"""{text}\n"""' if "\n" in text or text.endswith('"') else f'"""{text}"""'
    return f"{signature}\n{textwrap.indent(text, '    ')}\n"
