"""Columns are mapped by the spec, or by name if the names are unambiguous; anything else is an error."""

from __future__ import annotations

import pytest

from workbench.data.columns import Column, map_columns
from workbench.data.readers.table import Table
from workbench.errors import DataError

COLUMNS = (
    Column("text", "the text", ("sentence", "review")),
    Column("pair", "a second text", ("other",), required=False),
    Column("label", "the class", ("category",), kind="label"),
)


def table(*names: str) -> Table:
    return Table("t.csv", {name: ["x"] for name in names}, [2])


@pytest.mark.parametrize(
    ("names", "chosen", "mapping"),
    [
        (["text", "label"], {}, {"text": "text", "label": "label"}),
        (["Review", "CATEGORY"], {}, {"text": "Review", "label": "CATEGORY"}),
        (["text", "sentence", "label"], {}, {"text": "text", "label": "label"}),
        (["a", "b"], {"text": "a", "label": "b"}, {"text": "a", "label": "b"}),
        (["text", "review", "label"], {"text": "review"}, {"text": "review", "label": "label"}),
        (["text", "other", "label"], {}, {"text": "text", "pair": "other", "label": "label"}),
        (["sentence", "review", "label"], {"text": "review"}, {"text": "review", "label": "label"}),
    ],
)
def test_mapping(names: list[str], chosen: dict, mapping: dict) -> None:
    mapped, notes = map_columns(table(*names), COLUMNS, chosen)
    assert mapped == mapping
    noted = [role for role in mapping if any(f"is used as {role}" in note for note in notes)]
    assert noted == [role for role in mapping if role not in chosen], "every match by name is noted"


@pytest.mark.parametrize(
    ("names", "chosen", "message"),
    [
        (["a", "label"], {}, r"no column matches the role text .*'a', 'label'"),
        (["sentence", "review", "label"], {}, r"'sentence' and 'review' both match the role text"),
        (["Text", "TEXT", "label"], {}, r"'Text' and 'TEXT' both match the role text"),
        (["text", "label"], {"text": "txt"}, r"no column 'txt'\. Did you mean 'text'\?"),
        (["text", "label"], {"txt": "text"}, r"no role 'txt'\. Did you mean 'text'\?"),
        (["text", "label"], {"text": "text", "label": "text"}, r"'text' is used as text and as label"),
        (["x", "label"], {"text": "label"}, r"no column matches the role label"),
    ],
)
def test_ambiguous_columns_are_refused(names: list[str], chosen: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        map_columns(table(*names), COLUMNS, chosen)
    assert caught.value.hint


def test_an_unusable_column_is_refused_with_the_reason() -> None:
    source = table("label")
    source.unusable["text"] = "its type is binary"
    with pytest.raises(DataError, match="its type is binary"):
        map_columns(source, COLUMNS, {})
