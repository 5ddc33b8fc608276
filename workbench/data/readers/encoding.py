"""Decode bytes to text: the encoding is given, marked, detected, or the text is refused. Nothing is repaired."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from workbench.data.readers.file_types import ALLOWED
from workbench.errors import DataError, MissingPackageError
from workbench.runs.report_notes import WarningNote

_MARKS: tuple[tuple[bytes, str], ...] = (  # longest first: UTF-32's mark begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = [
    "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "cp1251", "koi8_r", "cp1250", "cp1252", "cp1253", "cp1254",
    "cp1255", "cp1256", "iso8859_2", "iso8859_15", "latin_1",
]  # fmt: skip
_NOT_ENCODINGS = ("idna", "punycode", "undefined")  # text codecs of Python that no file is written in
_SET_ENCODING = "Set the file's encoding as data.encoding (for example gb18030 or cp1252), or save it as UTF-8."


def decode(content: bytes, name: str, encoding: str | None = None) -> tuple[str, list[str]]:
    """Decode a file's content.

    Args:
        content: the content of the file.
        name: the file's name, for messages.
        encoding: the encoding; detected if None.

    Returns:
        The text without its byte order mark, and a note if the encoding was guessed.

    Raises:
        DataError: the encoding is unknown or wrong (the message names the byte and the line), or the file is binary or
            empty.
        MissingPackageError: charset-normalizer is needed to guess the encoding and not installed.
    """
    notes: list[str] = []
    if encoding is None:
        encoding, notes = _detect_encoding(content, name)
    else:
        encoding = _known_encoding(encoding)
        if encoding == "utf-8":
            encoding = "utf-8-sig"  # the byte order mark, if any, is not part of the text
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


def _detect_encoding(content: bytes, name: str) -> tuple[str, list[str]]:
    """Return the encoding of the byte order mark, or UTF-8, or UTF-16 by its zero bytes, or the best guess."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, []
    try:
        content.decode("utf-8")
        return "utf-8", []
    except UnicodeDecodeError as error:
        problem = error
    sample = content[: 1 << 16]
    half = max(1, len(sample) // 2)
    if len(content) % 2 == 0 and sample[1::2].count(0) > 0.3 * half:
        return "utf-16-le", [f"{name}: read as utf-16-le, because every other byte is zero."]
    if len(content) % 2 == 0 and sample[0::2].count(0) > 0.3 * half:
        return "utf-16-be", [f"{name}: read as utf-16-be, because every other byte is zero."]
    if b"\0" in content or _is_damaged_utf8(content):
        raise _undecodable(content, name, "utf-8", problem)
    guesses = _guess_encoding(content)
    if not guesses:
        raise _undecodable(content, name, "utf-8", problem)
    others = f" ({' and '.join(guesses[1:])} would also fit)" if guesses[1:] else ""
    note = (
        f"{name}: the encoding is not UTF-8; {guesses[0]} was used{others}. "
        "If letters look wrong, set the right one as data.encoding."
    )
    return guesses[0], [WarningNote(note)]


def _is_damaged_utf8(content: bytes) -> bool:
    """Return whether nearly everything that is not ASCII is UTF-8: few bytes are damaged, and a guess would garble the
    rest."""
    good = len(re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", content))
    bad = content.decode("utf-8", errors="replace").count("\ufffd")
    return good >= 10 * bad


def _guess_encoding(content: bytes) -> list[str]:
    """Return the encodings that fit best, equally well; Western European first, which is by far the most frequent."""
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        purpose = "to guess a file's encoding (or set it as data.encoding)"
        raise MissingPackageError("charset-normalizer", purpose) from error
    # Lines with non-ASCII characters say most; a sample of them is enough, and much faster.
    non_ascii = b"\n".join(line for line in content.splitlines() if not line.isascii())[: 1 << 17]
    for sample in (non_ascii, content[: 1 << 20]):
        matches = [m for m in from_bytes(sample, cp_isolation=list(_COMMON)) if _can_decode(content, m.encoding)]
        if matches:
            best = (matches[0].chaos, matches[0].coherence)
            ties = [match for match in matches if (match.chaos, match.coherence) == best]
            names = ["cp1252" if "cp1252" in match.could_be_from_charset else match.encoding for match in ties]
            names = [name for name in names if _can_decode(content, name)]
            return sorted(names, key=lambda name: name != "cp1252")
    return []


def _can_decode(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
        return True
    except UnicodeError:
        return False


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
