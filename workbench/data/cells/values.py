"""Parse one value of a file as the Python value of its column's kind; see :class:`workbench.data.columns.Column`.

Each parser takes a value of a table (a string from CSV, any JSON value otherwise) and raises ValueError with the
reason, in words that complete a sentence such as "column 'tags' ...".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from workbench.data.cells.literals import parse_list, parse_literal
from workbench.types import Json

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DECIMAL_COMMA = re.compile(r"-?\d*,\d+")
_UNQUOTED = re.compile(r"\s*\[[^\[\],\s]+(?:, ?[^\[\],\s]+)+\]\s*")
_QUOTED = re.compile(r"""\s*[\[(]\s*(?:u?["']|\])|\s*(?:np\.)?array\(""")


class Answer(TypedDict):
    """An answer to a question: its text, and where it starts in the context, in characters."""

    text: str
    start: int


def valid_text(text: str) -> str:
    """Return ``text`` if it can be encoded.

    Args:
        text: any text.

    Raises:
        ValueError: it contains a lone surrogate.
    """
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError("contains a lone surrogate (half a character)")
    return text


def describe_type(value: object) -> str:
    """Return the type of a value in words.

    Args:
        value: any value.
    """
    names = {"dict": "an object", "list": "a list", "bool": "true or false", "NoneType": "nothing"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")


def as_text(value: Json) -> str:
    """Return a text; a number as its digits, and None as an empty text.

    Args:
        value: a value of a table.

    Raises:
        ValueError: it is not a text or a number.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"holds {describe_type(value)}, but text is needed")
    return valid_text(str(value))


def as_words(value: Json) -> list[str]:
    """Return a list of words or tags; a string is a printed list, or it is split at spaces.

    Args:
        value: a value of a table.

    Raises:
        ValueError: it is neither a string nor a list, or a word is empty.
    """
    if value is None:
        return []
    if isinstance(value, str):
        items = parse_list(value)
        if items is None:
            if _UNQUOTED.fullmatch(value):
                raise ValueError(f"holds {value[:60]!r}, a list whose texts have no quotes")
            return valid_text(value).split()
        value = items
    words = [as_text(item) for item in _as_list(value, "words separated by spaces, or a list of them,")]
    for position, word in enumerate(words, start=1):
        if not word or word.isspace():
            raise ValueError(f"has no text in word {position} of {len(words)}")
    return words


def as_tags(value: Json) -> list[str]:
    """Return a list of tags; a string is a printed list, or it is split at spaces, commas and semicolons.

    Args:
        value: a value of a table.

    Raises:
        ValueError: it is neither a string nor a list, or a tag is empty.
    """
    if isinstance(value, str) and parse_list(value) is None and not _UNQUOTED.fullmatch(value):
        return [tag for tag in re.split(r"[\s,;]+", valid_text(value)) if tag]
    return [tag.strip() for tag in as_words(value)]


def as_texts(value: Json) -> list[str]:
    """Return a list of texts; a string is a printed list, or one text.

    Args:
        value: a value of a table.

    Raises:
        ValueError: it is neither, or a text is empty.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, str):
        # "[sic] he said" is a text, and so is "[1]"; what begins like an array of texts must be one.
        items = parse_list(value) if _QUOTED.match(value) else None
        value = [value] if items is None else items
    texts = [as_text(item) for item in _as_list(value, "a list of texts")]
    for position, text in enumerate(texts, start=1):
        if not text.strip():
            raise ValueError(f"has no text in item {position} of {len(texts)}")
    return texts


def as_number(value: Json) -> float:
    """Return a finite number.

    Args:
        value: a value of a table.

    Raises:
        ValueError: it is not a finite number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"holds {describe_type(value)}, but a number is needed")
    try:
        if "_" in str(value):
            raise ValueError  # Python reads 1_000, and 2024_05 as 202405
        number = float(value)
    except (ValueError, OverflowError):
        comma = "; write decimals with a point (0.5)" if _DECIMAL_COMMA.fullmatch(str(value).strip()) else ""
        raise ValueError(f"holds {str(value)[:60]!r}, but a number is needed{comma}") from None
    if not math.isfinite(number):
        raise ValueError(f"holds {number}, but a finite number is needed")
    return number


def as_answers(value: Json, context: str | None = None) -> list[Answer]:
    """Return answers, checked against their context.

    Args:
        value: a list of ``{"text", "start"}``, or one object of two lists, as the Hugging Face hub has SQuAD.
        context: the text that contains the answers; None to skip the check.

    Raises:
        ValueError: an answer has another form, or is not in the context.
    """
    if isinstance(value, str):
        value = parse_literal(value) if value.strip() else []
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = _from_lists(value)
    if isinstance(value, Mapping) and isinstance(value.get("text"), str):
        value = [dict(value)]
    return [_as_answer(item, context) for item in ([] if value is None else _as_list(value, "a list of answers"))]


def _as_answer(item: Json, context: str | None) -> Answer:
    start = item.get("start", item.get("answer_start")) if isinstance(item, Mapping) else None
    text = item.get("text") if isinstance(item, Mapping) else None
    if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
        raise ValueError(f'holds {repr(item)[:80]}, but an answer is {{"text": TEXT, "start": CHARACTER}}')
    valid_text(text)
    if not text or start < 0:
        raise ValueError(f"holds the answer {text[:60]!r} at character {start}")
    if context is not None and context[start : start + len(text)] != text:
        actual = context[start : start + len(text)]
        raise ValueError(
            f"says that {text[:60]!r} starts at character {start} of the context, which is {actual[:60]!r}"
        )
    return {"text": text, "start": start}


def _from_lists(value: Mapping[str, Json]) -> list[Json]:
    texts, starts = value["text"], value.get("start", value.get("answer_start"))
    count = len(texts) if isinstance(texts, list) else 0
    if not isinstance(texts, list) or not isinstance(starts, list) or len(starts) != count:
        raise ValueError(f"holds {count} texts of answers but not as many starts")
    return [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]


def _as_list(value: Json, needed: str) -> Sequence[Json]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"holds {describe_type(value)}, but {needed} is needed")
    return value


PARSERS: dict[str, Callable[[Json], object]] = {
    "text": as_text,
    "words": as_words,
    "tags": as_tags,
    "texts": as_texts,
    "number": as_number,
}
