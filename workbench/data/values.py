"""One value of a file as the Python value that its column's kind says; see :class:`workbench.data.columns.Column`.

Each reader takes what stands in a table (a string from CSV, anything JSON has otherwise) and raises ValueError with
the reason, in words that end a sentence like "column 'tags' ...".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ARRAY_OF_TEXTS = re.compile(r'\s*\[\s*["\]]')


def valid_text(text: str) -> str:
    """``text`` when all its characters are whole. Raises ValueError."""
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError("holds half a character (a lone surrogate)")
    return text


def describe_type(value: Any) -> str:
    """What ``value`` is, for people."""
    names = {"dict": "an object", "list": "a list", "bool": "true or false", "NoneType": "nothing"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")


def as_text(value: Any) -> str:
    """A text; a number is written out, and nothing is an empty text."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"holds {describe_type(value)}, where text is needed")
    return valid_text(str(value))


def as_words(value: Any) -> list[str]:
    """A list of words or tags; a string is parted at spaces."""
    if value is None:
        return []
    if isinstance(value, str):
        return valid_text(value).split()
    words = [as_text(item) for item in _list(value, "words parted by spaces, or a list of them,")]
    for place, word in enumerate(words, start=1):
        if not word or word.isspace():
            raise ValueError(f"holds nothing as word {place} of {len(words)}")
    return words


def as_texts(value: Any) -> list[str]:
    """A list of texts; a string is a JSON array, or one text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    if isinstance(value, str):
        # "[sic] he said" is a text; what begins like an array of texts has to be one.
        value = _from_json(value) if _ARRAY_OF_TEXTS.match(value) else [value]
    texts = [as_text(item) for item in _list(value, "a list of texts")]
    for place, text in enumerate(texts, start=1):
        if not text.strip():
            raise ValueError(f"holds nothing as text {place} of {len(texts)}")
    return texts


def as_number(value: Any) -> float:
    """A number that is finite."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"holds {describe_type(value)}, where a number is needed")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"holds {str(value)[:60]!r}, where a number is needed") from None
    if not math.isfinite(number):
        raise ValueError(f"holds {number}, where a finite number is needed")
    return number


def as_answers(value: Any, context: str | None = None) -> list[dict[str, Any]]:
    """Answers as ``{"text", "start"}``, checked against the context that they stand in.

    Besides a list of objects, one object of two lists is read, which is how the Hugging Face hub keeps SQuAD.
    """
    if isinstance(value, str):
        value = _from_json(value) if value.strip() else []
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        value = _from_lists(value)
    return [_answer(item, context) for item in ([] if value is None else _list(value, "a list of answers"))]


def _answer(item: Any, context: str | None) -> dict[str, Any]:
    start = item.get("start", item.get("answer_start")) if isinstance(item, Mapping) else None
    text = item.get("text") if isinstance(item, Mapping) else None
    if not isinstance(text, str) or not isinstance(start, int) or isinstance(start, bool):
        raise ValueError(f'holds {_shown(item)}, where an answer is {{"text": TEXT, "start": CHARACTER}}')
    valid_text(text)
    if not text or start < 0:
        raise ValueError(f"holds an answer {text[:60]!r} at character {start}")
    if context is not None and context[start : start + len(text)] != text:
        there = context[start : start + len(text)]
        raise ValueError(f"says that {text[:60]!r} begins at character {start} of the context, where {there[:60]!r} is")
    return {"text": text, "start": start}


def _from_lists(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    texts, starts = value["text"], value.get("start", value.get("answer_start"))
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise ValueError(f"holds {len(texts)} texts of answers without as many starts")
    return [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]


def _list(value: Any, needed: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"holds {describe_type(value)}, where {needed} is needed")
    return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"holds {text[:60]!r}, which begins like JSON and is none") from None


def _shown(value: Any) -> str:
    return repr(value)[:80]


PARSERS: dict[str, Callable[[Any], Any]] = {
    "text": as_text, "words": as_words, "tags": as_words, "texts": as_texts, "number": as_number,
}  # fmt: skip
