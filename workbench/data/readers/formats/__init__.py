"""Dataset formats: files that are not plain tables. One module per format; each turns files into a
:class:`workbench.data.readers.table.Table`.

A catalogue entry names one (``read_options: {format: conll}``), and a format can claim users' files by their suffix.
To add a format, add a file with a registered class::

    @formats.register("lines")
    class Lines(Format):
        "One text per line."

        def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
            lines = files[0].text().splitlines()
            return self.table({"text": lines}, rows=range(1, len(lines) + 1), unit="line")
"""

from __future__ import annotations

from workbench.data.readers.formats.base import Format, RawFile, format_for, formats, read_format

__all__ = ["Format", "RawFile", "format_for", "formats", "read_format"]
