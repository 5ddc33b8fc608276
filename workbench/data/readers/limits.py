"""Bounds on what is made of a file. What a file says about itself is not believed: readers count what they make.

==================  ===============================================================================================
what                at most
==================  ===============================================================================================
bytes of a file     ``MAX_BYTES``, also after decoding or unpacking
unpacked to packed  ``MAX_RATIO`` times the size of the file, beyond ``SMALL`` bytes (archives, workbooks, Parquet)
rows                ``MAX_ROWS``, empty ones included: 40 MB can be 40 million empty lines
values              ``MAX_VALUES``: rows x columns, the words of a CoNLL file, the values of JSON at any depth; an
                    object, a list or a line of CoNLL counts as ``OBJECT`` values more
seconds             ``MIN_SECONDS``, and a second for each ``BYTES_PER_SECOND`` of the file
==================  ===============================================================================================

Memory: at most ``BYTES_PER_VALUE`` for each value and ``BYTES_PER_BYTE`` for each byte of the file, both measured
(tests/unit/data/test_hostile_files.py). Reading what a stranger uploaded is limited by the process that reads it, too:
``UPLOAD`` (:mod:`workbench.system.limited_process`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import psutil

from workbench.errors import DataError
from workbench.system.limited_process import Limits

MAX_BYTES = 4 * 1024**3
MAX_RATIO = 200  # text is rarely above 20
SMALL = 16 * 1024**2
MAX_ROWS = 20_000_000
MAX_VALUES = 50_000_000
MIN_SECONDS = 60.0
BYTES_PER_SECOND = 500_000  # a slow machine reads ten times as fast
BYTES_PER_VALUE = 100
OBJECT = 4  # an object or a list takes as much memory as so many values
BYTES_PER_BYTE = 9
_CHECK_EVERY = 4096  # rows between two looks at the clock

UPLOAD_MEMORY = min(4 * 1024**3, max(1536 * 1024**2, psutil.virtual_memory().total // 2))
UPLOAD_SECONDS = 120.0
UPLOAD_HINT = "Use a smaller file, or a run on the command line, where the machine's memory is the limit."
UPLOAD = Limits(UPLOAD_MEMORY, UPLOAD_SECONDS, "Reading the file", UPLOAD_HINT)
BATCH = Limits(UPLOAD_MEMORY + 2 * 1024**3, 300.0, "Preparing the first batch", UPLOAD_HINT)  # with the model
COMPARING = Limits(UPLOAD_MEMORY, 300.0, "Comparing the texts", "Use fewer texts.")


class Budget:
    """Counts what a reader makes of a file, and refuses more than is allowed.

    Args:
        name: the file's name, for messages.
        size: its bytes, for the time that it may take.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.rows = 0
        self.values = 0
        self.seconds = MIN_SECONDS + size / BYTES_PER_SECOND
        self._end = time.monotonic() + self.seconds

    def add_row(self, values: int = 0) -> None:
        """Count a row.

        Args:
            values: how many values it has.

        Raises:
            DataError: there are too many, or reading takes too long.
        """
        self.rows += 1
        self.values += values
        if self.rows > MAX_ROWS or self.values > MAX_VALUES or not self.rows % _CHECK_EVERY:
            self.check()

    def add_values(self, values: int) -> None:
        """Count values that belong to no row of their own.

        Args:
            values: how many.

        Raises:
            DataError: there are too many.
        """
        self.values += values
        self.check()

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield lines, and look at the clock from time to time; all passes over a file share its time.

        Args:
            lines: of the file.

        Raises:
            DataError: reading takes too long.
        """
        for number, line in enumerate(lines):
            if not number % _CHECK_EVERY:
                self.check()
            yield line

    def restart(self) -> None:
        """Count from zero again, in the time that is left: the file is read in another way."""
        self.rows = self.values = 0

    def is_exceeded(self) -> bool:
        """Return whether a count or the time is above its bound."""
        return self.rows > MAX_ROWS or self.values > MAX_VALUES or time.monotonic() > self._end

    def check(self) -> None:
        """Raise DataError if the count of rows or values, or the time, is above its bound."""
        if self.rows > MAX_ROWS:
            raise too_many_rows(self.name, self.rows)
        if self.values > MAX_VALUES:
            raise too_many_values(self.name, self.values)
        if time.monotonic() > self._end:
            raise DataError(
                f"{self.name} could not be read within {self.seconds:,.0f} s, which are allowed for its size.",
                "Save it in a simpler form (CSV or JSON lines in UTF-8, or Parquet), or use a smaller file.",
            )


def too_many_rows(name: str, rows: int) -> DataError:
    """Return the error for a file of too many rows.

    Args:
        name: the file's name.
        rows: how many it has at least.
    """
    return DataError(
        f"{name} has at least {rows:,} rows, empty ones included; the maximum is {MAX_ROWS:,}.",
        "Remove empty lines, or split the file.",
    )


def too_many_values(name: str, values: int) -> DataError:
    """Return the error for a file of too many values.

    Args:
        name: the file's name.
        values: how many it has at least.
    """
    return DataError(
        f"{name} has at least {values:,} values (rows x columns); the maximum is {MAX_VALUES:,}.",
        "Remove columns that you do not need, or split the file.",
    )


def check_lines(name: str, content: bytes | str) -> None:
    """Refuse a text of too many lines before an object is made for each.

    Args:
        name: the file's name.
        content: its text or bytes.

    Raises:
        DataError: there are too many.
    """
    breaks = (b"\n", b"\r") if isinstance(content, bytes) else ("\n", "\r")
    lines = max(content.count(each) for each in breaks)  # type: ignore[arg-type]
    if lines > MAX_ROWS:
        raise too_many_rows(name, lines)


def check_structure(name: str, text: str) -> None:
    """Refuse JSON of too many values before it is decoded, which cannot be interrupted.

    Args:
        name: the file's name.
        text: its text; commas inside strings are counted, too, so that twice ``MAX_VALUES`` are allowed.

    Raises:
        DataError: there are too many.
    """
    values = OBJECT * (text.count("[") + text.count("{")) + text.count(",")
    if values > 2 * MAX_VALUES:
        raise too_many_values(name, values // 2)


def check_objects(name: str, count: int, width: int) -> None:
    """Refuse to make too many objects.

    Args:
        name: the file's name.
        count: how many objects would be made.
        width: how many values each has.

    Raises:
        DataError: they are too many.
    """
    if count * (width + OBJECT) > MAX_VALUES:
        raise too_many_values(name, count * (width + OBJECT))


def check_unpacked(name: str, unpacked: int, packed: int) -> None:
    """Refuse a file that unpacks to far more than its size.

    Args:
        name: the file's name.
        unpacked: bytes that were made of it, at least.
        packed: bytes of the file.

    Raises:
        DataError: it is too much.
    """
    allowed = min(MAX_BYTES, max(SMALL, MAX_RATIO * packed))
    if unpacked > allowed:
        raise DataError(
            f"{name} has {packed:,} bytes and unpacks to at least {unpacked:,}; the maximum is {allowed:,} "
            f"({MAX_RATIO} times its size, and {MAX_BYTES // 1024**3} GiB).",
            "Unpack it, or save it without repetitions, and use that file.",
        )
