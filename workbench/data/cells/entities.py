"""Parse the entities of a text as annotation tools and people write them: by position, by name, or both.

    [[0, 3, "PER"]]                                             {"PER": ["Ada"]}
    [{"start": 0, "end": 3, "label": "PER", "text": "Ada"}]     {"PER": {"Ada": [[0, 2]]}}
    [{"result": [{"value": {"start": 0, ...}}]}]                {"Ada": "PER"}
    [{"label": ["PER"], "points": [{"start": 0, ...}]}]         [["Ada", "PER"]], [{"name": "Ada", "type": "PER"}]

Which of two texts is the name is decided by which of them occurs in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.types import Json, JsonObject

STARTS = ("start", "start_offset", "begin", "start_char", "offset", "start_pos", "start_idx", "char_start", "from")
ENDS = ("end", "end_offset", "end_char", "stop", "end_pos", "end_idx", "char_end", "to")
RANGES = ("span", "position", "positions", "pos", "offsets", "offset", "indices", "entity_index", "range", "loc")
LABELS = (
    *("label", "labels", "type", "label_type", "entity_type", "tag", "entity_group", "category", "class", "ner"),
    *("entity_label", "entity", "name"),
)
SURFACES = (
    *("text", "surface", "word", "mention", "value", "name", "entity_text", "entity_name", "entity", "string", "span"),
    *("phrase", "term", "token"),
)
_TAG = re.compile(r"O|[BIESLU]-\S+")  # a tag of a word is no type of an entity


@dataclass(frozen=True)
class Mention:
    """An entity as it is written.

    Attributes:
        label: its type, a text or a number.
        start: its first character; None if only its name is known.
        end: the end of its characters; None if only its name is known.
        surface: its name; None if only its position is known.
    """

    label: str | int
    start: int | None
    end: int | None
    surface: str | None


def is_annotations(cell: Json) -> bool:
    """Return whether a cell is a list of annotations of Label Studio, each with a ``result``.

    Args:
        cell: a cell.
    """
    return isinstance(cell, list) and bool(cell) and all(isinstance(item, dict) and "result" in item for item in cell)


def parse_mentions(cell: Json, text: str) -> list[Mention] | None:
    """Return the entities of a text; None if nobody has annotated it.

    Args:
        cell: the entities, in any of the forms above.
        text: the text that they occur in.

    Raises:
        ValueError: the cell has another form; the message completes a sentence such as "column 'entities' ...".
    """
    if isinstance(cell, dict) and isinstance(cell.get("entities"), list | dict):
        cell = cell["entities"]
    if cell is None or cell == "":
        return []
    if is_annotations(cell) and isinstance(cell, list):
        annotations = [item for item in cell if isinstance(item, dict) and not item.get("was_cancelled")]
        # Further annotations are other people's opinions of the same text.
        return list(_of_results(annotations[0]["result"])) if annotations else None
    if isinstance(cell, dict):
        mentions = list(_of_object(cell, text))
    elif isinstance(cell, list):
        mentions = [mention for item in cell for mention in _of_item(item, text)]
    else:
        raise ValueError(f"holds {str(cell)[:60]!r}, but a list of entities is needed")
    tag = next((m.label for m in mentions if m.start is None and _TAG.fullmatch(str(m.label))), None)
    if tag is not None:
        raise ValueError(f"holds the tag {tag!r} of a word, but types of entities are needed")
    return mentions


def _of_results(results: Json) -> Iterator[Mention]:
    """Yield the entities of an annotation of Label Studio; its relations and choices are none."""
    for each in results if isinstance(results, list) else []:
        value = each.get("value") if isinstance(each, dict) else None
        if isinstance(value, dict) and "start" in value:
            yield from _of_item(value, "")


def _of_object(cell: JsonObject, text: str) -> Iterator[Mention]:
    """Yield the entities of an object from type to names, or from name to type."""
    if all(isinstance(value, str) for value in cell.values()):
        pairs = [(key, value) for key, value in cell.items() if isinstance(value, str)]
        yield from (_pair(key, value, text) for key, value in pairs if value.strip())
        return
    for label, names in cell.items():
        if isinstance(names, dict):
            for each, ranges in names.items():
                yield from (Mention(_label(label), start, end, each) for start, end in _ranges(ranges))
            continue
        listed: list[Json] = names if isinstance(names, list) else [names]
        for name in listed:
            if isinstance(name, str):
                yield Mention(_label(label), None, None, name)
            elif isinstance(name, list) and len(name) in (2, 3):
                surface = name[2] if len(name) == 3 else None
                yield Mention(_label(label), *_range(name[:2]), surface if isinstance(surface, str) else None)
            elif isinstance(name, dict):
                yield from _of_item({"label": label, **name}, text)
            elif name is not None:
                raise ValueError(f"holds {str(name)[:60]!r} under {label[:40]!r}, but names are needed")


def _of_item(item: Json, text: str) -> Iterator[Mention]:
    """Yield the entity of an item of a list; with several positions, several."""
    if isinstance(item, list) and len(item) >= 3 and _is_int(item[0]) and _is_int(item[1]):
        surface = item[3] if len(item) > 3 and isinstance(item[3], str) else None
        yield Mention(_label(item[2]), *_range(item[:2]), surface)
    elif isinstance(item, list) and len(item) == 3 and _is_int(item[1]) and _is_int(item[2]):
        yield Mention(_label(item[0]), *_range(item[1:]), None)
    elif isinstance(item, list) and len(item) == 2 and all(isinstance(each, str) and each.strip() for each in item):
        yield _pair(str(item[0]), str(item[1]), text)
    elif isinstance(item, dict) and isinstance(points := item.get("points"), list):
        for point in points:
            if isinstance(point, dict):
                yield from _of_item({"label": item.get("label"), **point}, text)
    elif isinstance(item, dict):
        yield _of_record(item)
    else:
        raise ValueError(f"holds {str(item)[:60]!r}, but an entity is [start, end, label]")


def _of_record(item: JsonObject) -> Mention:
    """Return the entity that an object describes."""
    start, end = _first(item, STARTS), _first(item, ENDS)
    label_key = next((key for key in LABELS if item.get(key) is not None and key not in STARTS), None)
    if start is None or end is None or isinstance(start, list | dict):
        length = item.get("length")
        pair = next((item[key] for key in RANGES if isinstance(item.get(key), list | dict)), None)
        if isinstance(pair, dict):
            pair = [_first(pair, STARTS), _first(pair, ENDS)]
        if isinstance(pair, list) and len(pair) == 1 and isinstance(pair[0], list):
            pair = pair[0]
        if isinstance(pair, list) and len(pair) == 2:
            start, end = pair
        elif isinstance(start, int) and isinstance(length, int):
            end = start + length
    label = item[label_key] if label_key is not None else None
    surface = next((item[key] for key in SURFACES if key != label_key and isinstance(item.get(key), str)), None)
    if start is None and end is None:
        if not isinstance(surface, str) or not surface.strip():
            raise ValueError(f"holds {str(item)[:60]!r}, an entity without a position or name")
        return Mention(_label(label), None, None, surface)
    first, last = _range([start, end])
    return Mention(_label(label), first, last, surface if isinstance(surface, str) and surface.strip() else None)


def _pair(first: str, second: str, text: str) -> Mention:
    """Return the entity of a name and its type: the name is the one that occurs in the text."""
    if first not in text and second in text:
        first, second = second, first
    return Mention(_label(second), None, None, first)


def _ranges(value: Json) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a name: one, or a list of them."""
    if isinstance(value, list) and len(value) == 2 and all(_is_int(item) for item in value):
        value = [value]
    for item in value if isinstance(value, list) else [value]:
        yield _range(item)


def _range(value: Json) -> tuple[int, int]:
    pair = value if isinstance(value, list) else []
    numbers = [int(each) if isinstance(each, str) and re.fullmatch(r"\s*\d{1,9}\s*", each) else each for each in pair]
    if len(numbers) != 2 or not all(_is_int(each) for each in numbers):
        shown = " to ".join(str(each)[:20] for each in pair) or str(value)[:40]
        raise ValueError(f"has the position {shown}, which is not two numbers")
    start, end = (int(each) for each in numbers if isinstance(each, int))
    return start, end


def _label(value: Json) -> str | int:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"holds an entity with the label {str(value)[:40]!r}, but a text is needed")
    return "_".join(value.split())


def _is_int(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _first(record: JsonObject, names: Sequence[str]) -> Json:
    return next((record[name] for name in names if record.get(name) is not None), None)
