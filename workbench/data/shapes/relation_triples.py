"""Sentences with a list of their relations by name: DuIE, NYT, CasRel, and their relatives.

    {"text": "Ada left Oslo", "spo_list": [{"subject": "Ada", "predicate": "left", "object": {"@value": "Oslo"}}]}
    {"text": "Ada left Oslo", "triple_list": [["Ada", "left", "Oslo"]]}
    {"sentText": "Ada left Oslo", "relationMentions": [{"em1Text": "Ada", "em2Text": "Oslo", "label": "left"}]}

Each relation becomes an example: its sentence with the marks ``<e1>`` around the subject and ``<e2>`` around the
object. If one of them occurs several times, the two occurrences nearest to each other are marked, and counted in a
note. Sentences without a relation are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from workbench.data.cells.positions import Range, occurrences
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, refused, shapes, unprinted
from workbench.data.shapes.relations import mark_expressions
from workbench.errors import DataError
from workbench.types import Json

TEXTS = ("text", "sentence", "context", "sentText", "sent", "content", "raw_text", "input")
TRIPLES = (
    *("spo_list", "triple_list", "triples", "relationMentions", "relation_list", "spo", "spos", "relations"),
    *("relation_mentions", "triplets", "triple", "relation", "output"),
)
SUBJECTS = ("subject", "head", "h", "subj", "em1Text", "e1", "head_entity", "subject_text", "s", "arg1", "sub")
OBJECTS = ("object", "tail", "t", "obj", "em2Text", "e2", "tail_entity", "object_text", "o", "arg2")
PREDICATES = ("predicate", "relation", "label", "type", "rel", "property", "r", "p", "pred", "relation_type")
_SENTENCE = "sentence_number"  # a column that keeps the relations of a sentence in one split
_NAMES = ("@value", "name", "text", "mention", "entity", "word")
_HINT = 'Write {"subject": "Ada", "predicate": "left", "object": "Oslo"}, with both names as they are in the sentence.'


@shapes.register("relation-triples")
class RelationTriples(Shape):
    """Sentences with a list of their relations by name."""

    roles = ("text", "label")
    consumes = ("head", "tail")

    def matches(self, table: Table, needs: Needs) -> bool:
        _refuse_documents(table, needs)
        return needs.has("head", "tail") and _columns(table, needs) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _columns(table, needs)
        if columns is None:
            raise DataError(f"{table.name} lacks the relations of the training data.", "Use the same columns.")
        texts, triples = columns
        repeated = 0

        def read_row(index: int) -> list[tuple[str, str] | None]:
            nonlocal repeated
            where = f"{table.where(index)}: column {triples!r}"
            text = table.columns[texts][index]
            cell = unprinted(table.columns[triples][index]) or []
            if not isinstance(text, str) or not isinstance(cell, list):
                raise refused(where, "holds no list of relations", _HINT)
            examples: list[tuple[str, str] | None] = []
            for item in cell:
                subject, predicate, other = _triple(item, text, where)
                (head, tail), several = _nearest(text, subject, other, where)
                marked = mark_expressions(text, head, tail)
                repeated += several
                examples.append(None if marked is None else (marked, predicate))
            return examples

        good, rows = convert_rows(table, read_row, "the relations are not valid")
        pairs = [(i, example) for i, own in enumerate(rows) for example in dict.fromkeys(own) if example is not None]
        if not pairs:
            raise DataError(f"{table.name}: no sentence has a relation.", _HINT)
        result = good.take([i for i, _ in pairs])
        others = {name: values for name, values in result.columns.items() if name not in columns}
        named = {
            needs.name("text"): [each[0] for _, each in pairs],
            needs.name("label"): [each[1] for _, each in pairs],
        }
        result = result.with_columns({**others, **named})
        if len({i for i, _ in pairs}) < len(pairs):
            result = result.with_column(_SENTENCE, [str(good.rows[i]) for i, _ in pairs])
            result = replace(
                result, rows=list(range(1, len(pairs) + 1)), unit="relation", group=good.group or _SENTENCE
            )
        overlapping = sum(example is None for own in rows for example in own)
        without = sum(not own for own in rows)
        notes = (
            (len(pairs), f"the subjects and objects of {len(pairs):,} relations were marked in their sentences."),
            (repeated, f"{repeated:,} relations have a name that occurs several times; the nearest two were marked."),
            (without, f"left out {without:,} sentences without a relation."),
            (overlapping, f"left out {overlapping:,} relations whose names overlap."),
        )
        result.notes = [*table.notes, *(f"{table.name}: {note}" for count, note in notes if count)]
        return result


def _refuse_documents(table: Table, needs: Needs) -> None:
    """Raise DataError for DocRED, whose relations hold between expressions of several sentences."""
    if "text" not in needs.chosen and find_column(table, ("vertexSet",)) and find_column(table, ("sents",)):
        raise DataError(
            f"{table.name} has the form of DocRED (vertexSet, sents): its relations are those of a document, and its "
            "expressions are in several sentences. A relation is read from one sentence.",
            'For each relation whose two expressions share a sentence, write {"text": "<e1>Ada</e1> left '
            '<e2>Oslo</e2>.", "label": "left"}.',
        )


def _columns(table: Table, needs: Needs) -> tuple[str, str] | None:
    """Return the columns of sentences and of triples; None if the table has no such columns."""
    texts = needs.find(table, "text", TEXTS)
    if texts is None or not all(isinstance(value, str) for value in first_values(table, texts)):
        return None
    for name in TRIPLES:
        column = find_column(table, (name,), taken=[texts])
        values = first_values(table, column) if column is not None else []
        lists = [value for value in values if isinstance(value, list)]
        if column is not None and values and len(lists) == len(values):
            items = [item for value in lists for item in value]
            if items and all(_is_triple(item) for item in items):
                return texts, column
    return None


def _is_triple(item: Json) -> bool:
    if isinstance(item, list):
        return len(item) == 3 and all(isinstance(each, str) for each in item)
    names = [_member(item, keys) for keys in (SUBJECTS, OBJECTS, PREDICATES)]
    return all(isinstance(name, str) for name in names)


def _member(item: Json, keys: Sequence[str]) -> Json:
    """Return the text under the first of some keys; of an object its name."""
    value = next((item[key] for key in keys if item.get(key) is not None), None) if isinstance(item, dict) else None
    if isinstance(value, dict):
        return next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    return value


def _triple(item: Json, text: str, where: str) -> tuple[str, str, str]:
    """Return the subject, the predicate and the object of a triple."""
    if not _is_triple(item):
        raise refused(where, f"holds {str(item)[:80]!r}, but a subject, a predicate and an object are needed", _HINT)
    if isinstance(item, list):
        first, second, third = (str(each) for each in item)
        return (first, third, second) if second in text and third not in text else (first, second, third)
    subject, other, predicate = (str(_member(item, keys)) for keys in (SUBJECTS, OBJECTS, PREDICATES))
    return subject, predicate, other


def _nearest(text: str, subject: str, other: str, where: str) -> tuple[tuple[Range, Range], bool]:
    """Return the occurrences of two names that are nearest to each other, and whether there are others."""
    positions = [occurrences(text, name) for name in (subject, other)]
    for name, own in zip((subject, other), positions, strict=True):
        if not own:
            raise refused(where, f"holds the name {name[:60]!r}, which does not occur in its sentence", _HINT)
    pairs = [(a, b) for a, b in product(positions[0][:20], positions[1][:20]) if a[1] <= b[0] or b[1] <= a[0]]
    if not pairs:
        return (positions[0][0], positions[1][0]), False
    return min(pairs, key=lambda pair: abs(pair[0][0] - pair[1][0])), len(pairs) > 1
