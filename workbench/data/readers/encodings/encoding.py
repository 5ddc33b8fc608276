"""Decode bytes to text: the encoding is given, marked, detected, or the text is refused. Nothing is repaired."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from workbench.data.readers.encodings.guess import Reading, is_certain, rank_readings
from workbench.data.readers.file_types import ALLOWED
from workbench.errors import DataError

_MARKS: tuple[tuple[bytes, str], ...] = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_ENCODINGS = ("idna", "punycode", "undefined")  # text codecs of Python that no file is written in
_SHOWN_LINES = 3
_MIXED_LINES = 10_000
_NOT_ASCII = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_SINGLE_PAIR = re.compile(rb"[\0-\x7f]*[\xc2-\xdf][\x80-\xbf][\0-\x7f]*")
_SET_ENCODING = "Set the file's encoding as data.encoding (for example gb18030 or cp1252), or save it as UTF-8."


class LineInTwoEncodings(TypedDict):
    """A part of a line that two encodings read differently: the number of the line, and both readings.

    Plain JSON, like all of an error: it may come from another process.
    """

    number: int
    readings: tuple[str, str]


class UncertainEncodingError(DataError):
    """Two encodings fit a file.

    Args:
        name: the file's name.
        encodings: both encodings, the more probable one first.
        lines: the first lines that they read differently.
    """

    def __init__(self, name: str, encodings: tuple[str, str], lines: Sequence[LineInTwoEncodings]) -> None:
        first, second = encodings
        shown = "; ".join(
            f"line {line['number']}: {line['readings'][0]!r} ({first}) or {line['readings'][1]!r} ({second})"
            for line in lines
        )
        super().__init__(
            f"{name} is not UTF-8, and its encoding could be {first} or {second}. {shown}.",
            f"Set data.encoding={first} or data.encoding={second}, whichever reads right, or save the file as UTF-8.",
        )
        self.encodings = encodings
        self.lines = list(lines)


def decode(content: bytes, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Decode a file's content.

    Args:
        content: the content of the file.
        name: the file's name, for messages.
        encoding: the encoding; detected if None.

    Returns:
        The text without its byte order mark, and a note if the encoding was guessed.

    Raises:
        DataError: the encoding is unknown, wrong (the message names the byte and the line) or cannot be determined
            (the message shows lines in both readings), or the file is binary or empty.
    """
    notes: list[str] = []
    if encoding is None:
        encoding, notes = detect_encoding(content, name)
    else:
        encoding = _known_encoding(encoding)
        if encoding == "utf-8":
            encoding = "utf-8-sig"  # the byte order mark, if any, is not part of the text
        _check_mark(content, name, encoding)
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(content, name, encoding, error) from error
    except UnicodeError as error:
        raise DataError(f"{name} is not {encoding}: {error}.", "Set the right encoding as data.encoding.") from error
    text = text.lstrip("\ufeff")
    if not text.strip():
        raise DataError(f"{name} is empty: it contains only whitespace.", "Provide a file with column names and rows.")
    _check_is_text(text, name, encoding)
    return text, notes


def _check_mark(content: bytes, name: str, encoding: str) -> None:
    """Refuse an encoding that contradicts the byte order mark of UTF-8."""
    if content.startswith(codecs.BOM_UTF8) and encoding != "utf-8-sig":
        with contextlib.suppress(UnicodeDecodeError):
            content.decode("utf-8")
            raise DataError(
                f"{name} begins with the byte order mark of UTF-8 and is valid UTF-8, but data.encoding is {encoding}.",
                "Remove data.encoding.",
            )


def encoding_of(path: Path, encoding: str | None = None) -> str | None:
    """Detect the encoding of a file without keeping its content.

    Args:
        path: the file.
        encoding: an encoding to check instead of detecting one.

    Returns:
        The encoding by its byte order mark, or UTF-8 if all of it is; None if it can only be guessed from the whole
        file.

    Raises:
        DataError: ``encoding`` is unknown.
    """
    if encoding is not None:
        known = _known_encoding(encoding)
        return "utf-8-sig" if known == "utf-8" else known
    with open(path, "rb") as file:
        head = file.read(4)
        for mark, marked in _MARKS:
            if head.startswith(mark):
                return marked
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := file.read(1 << 16):
                if b"\0" in chunk:  # perhaps UTF-16
                    return None
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return None
    return "utf-8-sig"


def _known_encoding(encoding: str) -> str:
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, ValueError):
        codec = None
    # Python also calls things like base64 and bz2 codecs; only those that return text are encodings.
    if codec is None or not getattr(codec, "_is_text_encoding", True) or codec.name in _NOT_ENCODINGS:
        raise DataError(
            f"{encoding[:40]!r} is not a text encoding.",
            "Common ones: utf-8, utf-16, gb18030, big5, shift_jis, cp1251, cp1252, latin-1.",
        )
    return codec.name


def detect_encoding(content: bytes, name: str) -> tuple[str, list[str]]:
    """Return the encoding of the byte order mark, or UTF-8, or UTF-16 by its zero bytes, or the best guess.

    Args:
        content: the content of the file.
        name: the file's name, for messages.

    Returns:
        The encoding, and a note if it was guessed.

    Raises:
        UncertainEncodingError: two encodings fit.
        DataError: no encoding fits.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, []
    utf16 = _utf16_by_zeros(content)
    if utf16 is not None:
        return utf16, [f"{name}: read as {utf16}, because every other byte is zero."]
    try:
        content.decode("utf-8")
        return "utf-8", []
    except UnicodeDecodeError as error:
        problem = error
    if b"\0" in content or _is_damaged_utf8(content):
        raise _undecodable(content, name, "utf-8", problem) from problem
    mixed = _count_utf8_lines(content)
    if mixed[0] >= max(2, mixed[1] / 5):
        refusal = _undecodable(content, name, "utf-8", problem)
        which = f"But {mixed[0]:,} of {mixed[1]:,} lines with such bytes are UTF-8: the file mixes encodings."
        raise DataError(f"{refusal.message} {which}", refusal.hint) from problem
    readings = rank_readings(content)
    if not readings:
        raise _undecodable(content, name, "utf-8", problem) from problem
    if not is_certain(readings):
        raise _uncertain(content, name, readings[0], readings[1])
    note = (
        f"{name}: the encoding is not UTF-8; {readings[0].encoding} was used, which fits {readings[0].language}. "
        "If letters look wrong, set the right one as data.encoding."
    )
    return readings[0].encoding, [note]


def _utf16_by_zeros(content: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: one byte of many pairs is zero, and the other hardly ever."""
    sample = content[: 1 << 16]
    first, second = sample[0::2].count(0), sample[1::2].count(0)
    if len(content) % 2 or max(first, second) <= 0.15 * len(sample) or min(first, second) > 0.01 * len(sample):
        return None
    return "utf-16-le" if second > first else "utf-16-be"


def _count_utf8_lines(content: bytes) -> tuple[int, int]:
    """Return how many of the first lines outside ASCII are UTF-8, and how many such lines there are."""
    lines = [match.group() for match in itertools.islice(_NOT_ASCII.finditer(content), _MIXED_LINES)]
    # One character of two bytes is no evidence: in other encodings, many single characters look like UTF-8.
    return sum(is_utf8(line) and not _SINGLE_PAIR.fullmatch(line) for line in lines), len(lines)


def is_utf8(content: bytes) -> bool:
    """Return whether bytes are UTF-8.

    Args:
        content: any bytes.
    """
    try:
        content.decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False


def _uncertain(content: bytes, name: str, first: Reading, second: Reading) -> UncertainEncodingError:
    """Return the error for a text that two encodings fit, with lines that they read differently."""
    names = first.encoding, second.encoding
    lines: list[LineInTwoEncodings] = []
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", content), start=1):
        one, other = (line.decode(encoding, errors="replace") for encoding in names)
        if one != other:
            lines.append({"number": number, "readings": (_around(one, other), _around(other, one))})
        if len(lines) == _SHOWN_LINES:
            break
    return UncertainEncodingError(name, names, lines)


def _around(text: str, other: str) -> str:
    """Return the part of a line around the first character that another reading has not."""
    first = next((i for i, pair in enumerate(zip(text, other, strict=False)) if pair[0] != pair[1]), 0)
    start = max(0, first - 30)
    return text[start : start + 60].strip()


def _is_damaged_utf8(content: bytes) -> bool:
    """Return whether nearly everything that is not ASCII is UTF-8: few bytes are damaged, and a guess would garble the
    rest."""
    good = len(re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", content))
    bad = content.decode("utf-8", errors="replace").count("\ufffd")
    return good >= 10 * bad


def _undecodable(content: bytes, name: str, encoding: str, error: UnicodeDecodeError) -> DataError:
    line = content.count(b"\n", 0, error.start) + 1
    byte = content[error.start] if error.start < len(content) else 0
    return DataError(
        f"{name}, line {line}: byte 0x{byte:02x} at offset {error.start} is not {encoding} text ({error.reason}).",
        _SET_ENCODING,
    )


def _check_is_text(text: str, name: str, encoding: str) -> None:
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise DataError(
            f"{name}, line {line}: there is a NUL character; the file is binary or damaged.", "Save it as text again."
        )
    sample = text[: 1 << 20]
    controls = len(re.findall(r"[\x01-\x08\x0e-\x1a\x1c-\x1f]", sample))
    if controls > max(20, 0.05 * len(sample)):  # about 10% of random bytes
        raise DataError(f"{name}, read as {encoding}, is full of control characters: it is binary.", ALLOWED)
