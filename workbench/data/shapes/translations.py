"""Translations by language: an object in one column, or a column for each language.

    {"translation": {"en": "Good day", "de": "Guten Tag"}}
    en,de
    Good day,Guten Tag

The first language is the source and the second the target, unless ``columns: {source: de, target: en}`` says otherwise.
"""

from __future__ import annotations

import re

from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    Needs,
    Shape,
    are_objects,
    first_values,
    refused,
    shapes,
    unprinted,
    without,
)
from workbench.errors import DataError
from workbench.types import Json

LANGUAGE = re.compile(r"(?:[a-z]{2,3}|[A-Z]{2})(?:[-_][A-Za-z]{2,8})*")
_HINT = "Name the languages: columns: {source: en, target: de}."


@shapes.register("translations")
class Translations(Shape):
    """Translations by language."""

    roles = ("source", "target")

    def matches(self, table: Table, needs: Needs) -> bool:
        if any(isinstance(needs.chosen.get(role), str) and needs.chosen[role] in table.columns for role in self.roles):
            return False
        if {"source", "target"} & {name.casefold() for name in table.columns}:
            return False
        return _find_object(table) is not None or len(_language_columns(table)) > 1

    def convert(self, table: Table, needs: Needs) -> Table:
        column = _find_object(table)
        languages = _languages_of(table, column) if column is not None else _language_columns(table)
        source, target = _choose(languages, needs, table.name)
        good = table
        if column is None:
            texts = {language: table.columns[language] for language in (source, target)}
        else:
            cells = [unprinted(value) for value in table.columns[column]]

            def read_row(i: int) -> tuple[Json, Json]:
                where = f"{table.where(i)}: column {column!r}"
                return _text(cells[i], source, where), _text(cells[i], target, where)

            good, pairs = convert_rows(table, read_row, "the translations are not valid")
            texts = {source: [pair[0] for pair in pairs], target: [pair[1] for pair in pairs]}
        rest = without(good, column, *((source, target) if column is None else ()))
        named = {needs.name("source"): texts[source], needs.name("target"): texts[target]}
        result = good.with_columns({**rest.columns, **named})
        result.notes = [*table.notes, f"{table.name}: {source!r} is translated into {target!r}."]
        return result


def _find_object(table: Table) -> str | None:
    """Return the column of objects from language to text."""
    names = ["translation", *(name for name in table.columns if name != "translation")]
    return next((name for name in names if name in table.columns and _languages_of(table, name)), None)


def _languages_of(table: Table, column: str) -> list[str]:
    """Return the languages that all objects of a column have; none if it does not hold translations."""
    values = first_values(table, column)
    if not are_objects(values):
        return []
    records = [value for value in values if isinstance(value, dict)]
    shared = [key for key in records[0] if all(key in record for record in records)]
    texts = all(isinstance(record[key], str | None) for record in records for key in shared)
    return shared if texts and len(shared) > 1 and all(LANGUAGE.fullmatch(key) for key in shared) else []


def _language_columns(table: Table) -> list[str]:
    """Return the columns that are named like languages, if no other column holds texts of more than a word."""
    names = [name for name in table.columns if LANGUAGE.fullmatch(name) and len(name.split("-")[0].split("_")[0]) == 2]
    names = [
        name for name in names if all(isinstance(value, str) for value in first_values(table, name)) and name != "id"
    ]
    return names if len(names) > 1 else []


def _choose(languages: list[str], needs: Needs, name: str) -> tuple[str, str]:
    """Return the source and the target language."""
    if len(languages) < 2:
        raise DataError(f"{name} has no texts in two languages, as the training data has.", _HINT)
    chosen = [needs.name(role) if role in needs.chosen else None for role in ("source", "target")]
    for language in chosen:
        if language is not None and language not in languages:
            raise DataError(f"{name} has no language {language!r}. It has {', '.join(languages)}.", _HINT)
    if chosen == [None, None] and len(languages) > 2:
        raise DataError(f"{name} has {len(languages)} languages: {', '.join(languages)}.", _HINT)
    source = chosen[0] or next(language for language in languages if language != chosen[1])
    return source, chosen[1] or next(language for language in languages if language != source)


def _text(cell: Json, language: str, where: str) -> Json:
    if cell is None:
        return ""
    if not isinstance(cell, dict) or not isinstance(cell.get(language), str | None) or language not in cell:
        raise refused(where, f"has no text in {language!r}", 'Write {"en": "Good day", "de": "Guten Tag"}.')
    return cell[language]
