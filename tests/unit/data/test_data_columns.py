"""Columns are mapped by the spec, or by name where the names leave no doubt; anything else is asked."""

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
    ("names", "given", "mapping"),
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
def test_mapping(names: list[str], given: dict, mapping: dict) -> None:
    found, notes = map_columns(table(*names), COLUMNS, given)
    assert found == mapping
    told = [role for role in mapping if any(f"is taken as {role}" in note for note in notes)]
    assert told == [role for role in mapping if role not in given], "what was chosen is told"


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["a", "label"], {}, r"no column is plainly the text .*'a', 'label'"),
        (["sentence", "review", "label"], {}, r"'sentence' and 'review' could each be the text"),
        (["Text", "TEXT", "label"], {}, r"'Text' and 'TEXT' could each be the text"),
        (["text", "label"], {"text": "txt"}, r"no column 'txt'\. Did you mean 'text'\?"),
        (["text", "label"], {"txt": "text"}, r"no role 'txt'\. Did you mean 'text'\?"),
        (["text", "label"], {"text": "text", "label": "text"}, r"'text' is given as text and as label"),
        (["x", "label"], {"text": "label"}, r"no column is plainly the label"),
    ],
)
def test_what_is_not_plain_is_refused(names: list[str], given: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        map_columns(table(*names), COLUMNS, given)
    assert caught.value.hint


def test_a_column_that_cannot_be_used_says_why() -> None:
    found = table("label")
    found.unusable["text"] = "its type is binary"
    with pytest.raises(DataError, match="its type is binary"):
        map_columns(found, COLUMNS, {})
