"""How a file is written: what a reader cannot or need not detect."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

DocumentSplitting: TypeAlias = Literal["auto", "file", "paragraph", "line", "passages", "articles"]


class ReadOptions(BaseModel):
    """How a file is written, if it is not plain CSV with one header line.

    Attributes:
        delimiter: character between the fields of a CSV file; detected if None.
        encoding: detected if None.
        quoting: whether ``"`` encloses fields; detected in tab-separated files if None.
        header: names of the columns, for a file without a header line.
        header_lines: 4 for the format of Orange: names, types and flags of the columns, then an empty line.
        documents: how plain text is split into documents (:mod:`workbench.data.readers.documents`); None for a table.
        sheet: name of the sheet of an Excel file; the first one if None.
        format: the dataset format that reads the files (:mod:`workbench.data.readers.formats`); None for a plain file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: str | None = None
    quoting: bool | None = None
    header: tuple[str, ...] | None = None
    header_lines: Literal[1, 4] = 1
    documents: Literal["file", "paragraph", "line", "passages", "articles"] | None = None
    sheet: str | None = None
    format: str | None = None
