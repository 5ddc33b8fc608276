"""Sentences whose two expressions are given beside them: OpenNRE, TACRED, SpERT (CoNLL04), FewRel, or plain columns.

    {"text": "Ada left Oslo", "h": {"name": "Ada", "pos": [0, 3]}, "t": {"name": "Oslo", "pos": [9, 13]}, "label": "x"}
    {"token": ["Ada", "left", "Oslo"], "subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2, "relation": "left"}
    {"tokens": ["Ada", "left", "Oslo"], "entities": [{"type": "Peop", "start": 0, "end": 1}, ...],
     "relations": [{"type": "Left", "head": 0, "tail": 1}]}
    sentence,head,tail,relation         sentence,head,head_offset,tail,tail_offset,relation
    Ada left Oslo,Ada,Oslo,left         Ada left Oslo,Ada,0,Oslo,9,left

Positions count characters in a text, and words in a list of words; in TACRED the end is inclusive. They are checked.
Expressions without positions must occur once in their sentence. The sentences get the marks ``<e1>`` and ``<e2>``. A
sentence with several relations becomes several examples; one without any is left out, and counted, and so are
expressions that overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    Needs,
    Shape,
    are_lists_of_objects,
    find_column,
    first_values,
    refused,
    shapes,
    unprinted,
)
from workbench.errors import DataError
from workbench.types import Json

TEXTS = ("text", "sentence", "context")
TOKENS = ("tokens", "token", "words")
LABELS = ("relation", "label", "rel", "type", "class")
HEADS = ("head", "h", "e1", "subject", "subj", "entity1", "head_entity", "arg1")
TAILS = ("tail", "t", "e2", "object", "obj", "entity2", "tail_entity", "arg2")
_HINT = (
    "Write the sentence with <e1>...</e1> and <e2>...</e2> around its expressions, or the positions of both "
    "(head_start, head_end, tail_start, tail_end)."
)
_ENDS = (("head", "tail"), ("from_id", "to_id"))  # keys of a relation's expressions: their indices, or their ids
_MARK = re.compile(r"</?e[12]>")


@dataclass(frozen=True)
class Sentence:
    """A sentence and the positions of its words.

    Attributes:
        text: the sentence.
        words: start and end of each word in characters; None if positions count characters.
    """

    text: str
    words: list[tuple[int, int]] | None = None

    def span(self, start: Json, end: Json, where: str) -> tuple[int, int]:
        """Return the characters of a range.

        Args:
            start: its first word or character.
            end: the index after its last one.
            where: its location, for messages.

        Raises:
            DataError: the range is not in the sentence.
        """
        if isinstance(start, str) and start.strip().isdigit() and isinstance(end, str) and end.strip().isdigit():
            start, end = int(start[:12]), int(end[:12])
        count = len(self.text) if self.words is None else len(self.words)
        numbers = isinstance(start, int) and isinstance(end, int) and not isinstance(start, bool)
        if not isinstance(start, int) or not isinstance(end, int) or not numbers or not 0 <= start < end <= count:
            unit = "characters" if self.words is None else "words"
            raise refused(where, f"has an expression at {str(start)[:20]} to {str(end)[:20]} of {count} {unit}", _HINT)
        return (start, end) if self.words is None else (self.words[start][0], self.words[end - 1][1])

    def find(self, expression: Json, role: str, where: str) -> tuple[int, int]:
        """Return the characters of an expression that occurs once, by itself or in all.

        Args:
            expression: its text.
            role: head or tail, for messages.
            where: its location, for messages.

        Raises:
            DataError: it does not occur, or several times.
        """
        if not isinstance(expression, str) or not expression.strip():
            raise refused(where, f"has no {role}", _HINT)
        words = expression.strip()
        matches = [match.start() for match in re.finditer(re.escape(words), self.text)]
        alone = [start for start in matches if self._is_alone(start, start + len(words))]
        chosen = alone if len(alone) == 1 else matches
        if len(chosen) != 1:
            many = "does not occur" if not matches else f"occurs {len(matches)} times"
            raise refused(where, f"has the {role} {words[:60]!r}, which {many} in {self.text[:60]!r}", _HINT)
        return chosen[0], chosen[0] + len(words)

    def _is_alone(self, start: int, end: int) -> bool:
        text = self.text
        before = start > 0 and text[start - 1].isalnum() and text[start].isalnum()
        return not before and not (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())


@dataclass(frozen=True)
class Relation:
    """Two expressions of a sentence, in characters, and how they are related.

    Attributes:
        head: start and end of the first expression.
        tail: start and end of the second.
        label: the relation.
    """

    head: tuple[int, int]
    tail: tuple[int, int]
    label: Json


@shapes.register("relations")
class Relations(Shape):
    """Sentences whose two expressions are given beside them."""

    roles = ("text", "label")
    consumes = ("head", "tail")

    def matches(self, table: Table, needs: Needs) -> bool:
        if not needs.has("head", "tail"):
            return False
        reader = _Reader(table, needs)
        if reader.form is None and reader.text is not None and not reader.is_marked(reader.text):
            raise DataError(
                f"{table.where(0)}: there is no <e1> in the sentences of column {reader.text!r}, and no column has "
                "their expressions.",
                _HINT,
            )
        return reader.form is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        reader = _Reader(table, needs)
        if reader.form is None:
            raise DataError(f"{table.name} lacks the expressions of the training data.", "Use the same columns.")
        return reader.read()


class _Reader:
    """Finds the columns of a table, and reads its relations."""

    def __init__(self, table: Table, needs: Needs) -> None:
        self.table, self.needs = table, needs
        self.tokens = find_column(table, TOKENS)
        if self.tokens is not None and not all(isinstance(value, list) for value in first_values(table, self.tokens)):
            self.tokens = None
        self.text = needs.find(table, "text", TEXTS)
        self.head, self.tail = needs.find(table, "head", HEADS), needs.find(table, "tail", TAILS)
        self.form = self._form()

    def _form(self) -> str | None:
        table = self.table
        if self.tokens is None and (self.text is None or self.is_marked(self.text)):
            return None
        entities, relations = find_column(table, ("entities",)), find_column(table, ("relations",))
        if entities and relations:
            shown = first_values(table, relations)
            if any(are_lists_of_objects(shown, "type", *keys) for keys in _ENDS):
                return "lists"
        if self._positions("subj", "obj"):
            return "inclusive"
        if self._offsets() is not None:
            return "offsets"
        if self._positions("head", "tail") or self._positions("e1", "e2") or self._positions("h", "t"):
            return "positions"
        if self.head is None or self.tail is None:
            return None
        shown = first_values(table, self.head)
        if shown and all(_is_positioned(value) for value in shown):
            return "objects"
        if shown and all(isinstance(value, list) and len(value) == 3 for value in shown):
            return "fewrel"
        return "names" if shown and all(isinstance(value, str) for value in shown) and self.text else None

    def is_marked(self, column: str) -> bool:
        """Return whether a column has sentences with marks.

        Args:
            column: the column.
        """
        return any(isinstance(value, str) and _MARK.search(value) for value in first_values(self.table, column))

    def _positions(self, head: str, tail: str) -> tuple[str, ...] | None:
        names = [f"{role}_{border}" for role in (head, tail) for border in ("start", "end")]
        columns = [find_column(self.table, (name,)) for name in names]
        return tuple(column for column in columns if column) if all(columns) else None

    def _offsets(self) -> tuple[str, str] | None:
        """Return the columns with the first character of the head and the tail, which are given by name."""
        head, tail = find_column(self.table, ("head_offset",)), find_column(self.table, ("tail_offset",))
        return (head, tail) if head and tail and self.head and self.tail and self.text else None

    def read(self) -> Table:
        """Return the table with marked sentences."""
        self.table, rows = convert_rows(self.table, self._marked, "the relations are not valid")
        texts = [text for own in rows for text, _ in own if text is not None]
        labels = [label for own in rows for text, label in own if text is not None]
        indices = [i for i, own in enumerate(rows) for text, _ in own if text is not None]
        if not texts:
            raise DataError(f"{self.table.name}: no sentence has a relation.", _HINT)
        overlapping = sum(text is None for own in rows for text, _ in own)
        return self._table(texts, labels, indices, sum(not own for own in rows), overlapping)

    def _marked(self, index: int) -> list[tuple[str | None, Json]]:
        """Return a row's sentence with marks, and its label, for each relation; None if its expressions overlap."""
        where = f"{self.table.where(index)}:"
        sentence = self._sentence(index, where)
        relations = self._relations(index, sentence, where)
        return [(mark_expressions(sentence.text, each.head, each.tail), each.label) for each in relations]

    def _table(self, texts: list[str], labels: list[Json], rows: list[int], without: int, overlapping: int) -> Table:
        table = self.table
        result = table.take(rows)
        used = {self.tokens, self.text, self.head, self.tail, "entities", "relations", self._label_column()}
        others = {name: values for name, values in result.columns.items() if name not in used}
        result = result.with_columns({**others, self.needs.name("text"): texts, self.needs.name("label"): labels})
        if len(set(rows)) != len(rows):
            result = replace(result, rows=list(range(1, len(rows) + 1)), unit="relation")
        result.notes = [
            *table.notes,
            f"{table.name}: the expressions of {len(rows):,} relations were marked in their sentences.",
        ]
        if without:
            result.notes.append(f"{table.name}: left out {without:,} sentences without a relation.")
        if overlapping:
            result.notes.append(f"{table.name}: left out {overlapping:,} relations whose expressions overlap.")
        return result

    def _label_column(self) -> str | None:
        return self.needs.find(self.table, "label", LABELS)

    def _sentence(self, index: int, where: str) -> Sentence:
        if self.tokens is not None:
            tokens = unprinted(self.table.columns[self.tokens][index])
            if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
                raise refused(where, "holds no list of words", _HINT)
            return join_words([str(token) for token in tokens])
        text = self.table.columns[self.text or ""][index]
        if not isinstance(text, str) or _MARK.search(text):
            raise refused(where, "has no text, or a text with marks unlike the first rows", _HINT)
        return Sentence(text)

    def _relations(self, index: int, sentence: Sentence, where: str) -> Iterator[Relation]:
        if self.form == "lists":
            yield from self._listed(index, sentence, where)
            return
        column = self._label_column()
        if column is None:
            raise DataError(
                f"{self.table.name} has no column of relations.", f"Name it: columns: {{label: NAME}}. {_HINT}"
            )
        head, tail = (self._span(index, sentence, role, where) for role in ("head", "tail"))
        yield Relation(head, tail, self.table.columns[column][index])

    def _span(self, index: int, sentence: Sentence, role: str, where: str) -> tuple[int, int]:
        """Return the characters of the head or the tail of a row."""
        column = self.head if role == "head" else self.tail
        if self.form in ("positions", "inclusive"):
            pairs = [("subj", "obj")] if self.form == "inclusive" else [("head", "tail"), ("e1", "e2"), ("h", "t")]
            names = next(columns for pair in pairs if (columns := self._positions(*pair)))
            start, end = (self.table.columns[name][index] for name in (names[:2] if role == "head" else names[2:]))
            if self.form == "inclusive" and isinstance(end, int):
                end += 1
            return sentence.span(start, end, where)
        value = unprinted(self.table.columns[column or ""][index])
        offsets = self._offsets()
        if self.form == "offsets" and offsets is not None:
            digits = str(self.table.columns[offsets[role == "tail"]][index]).strip()
            start = int(digits) if digits.isdigit() and len(digits) < 12 else -1
            expression = str(value or "")
            if not expression or sentence.text[start : start + len(expression)] != expression:
                problem = f"has the {role} {expression[:60]!r}, which is not at character {digits[:20]}"
                raise refused(where, problem, _HINT)
            return start, start + len(expression)
        if self.form == "names":
            return sentence.find(value, role, where)
        if self.form == "objects" and isinstance(value, dict):
            position, name = value.get("pos", [value.get("start"), value.get("end")]), value.get("name")
        elif self.form == "objects":
            position, name = value, None
        else:
            pieces = value if isinstance(value, list) and len(value) == 3 else ["", "", []]
            first = pieces[2][0] if isinstance(pieces[2], list) and pieces[2] else []
            words = [word for word in first if isinstance(word, int)] if isinstance(first, list) else []
            position = [words[0], words[-1] + 1] if words else None
            name = None  # in FewRel in lower case
        if isinstance(position, list) and len(position) == 1 and isinstance(position[0], list):
            position = position[0]
        if not isinstance(position, list) or len(position) != 2:
            raise refused(where, f"has the {role} {str(value)[:60]!r} without a position", _HINT)
        span = sentence.span(position[0], position[1], where)
        if isinstance(name, str) and _letters(name) != _letters(sentence.text[slice(*span)]):
            actual = sentence.text[slice(*span)]
            raise refused(
                where, f"says that {name[:40]!r} is at {position[0]} to {position[1]}, which is {actual[:40]!r}", _HINT
            )
        return span

    def _listed(self, index: int, sentence: Sentence, where: str) -> Iterator[Relation]:
        """Yield the relations of a sentence that refer to its entities by their index."""
        entities = unprinted(self.table.columns[find_column(self.table, ("entities",)) or ""][index]) or []
        relations = unprinted(self.table.columns[find_column(self.table, ("relations",)) or ""][index]) or []
        if not isinstance(entities, list) or not isinstance(relations, list):
            raise refused(where, "has entities or relations that are no lists", _HINT)
        spans: list[tuple[int, int]] = []
        ids: dict[str, int] = {}
        for number, each in enumerate(entities):
            entity = each if isinstance(each, dict) else {}
            start, end = (entity.get(border, entity.get(f"{border}_offset")) for border in ("start", "end"))
            spans.append(sentence.span(start, end, where))
            ids[str(entity.get("id", number))] = number
        for each in relations:
            ends = [each.get("head"), each.get("tail")] if isinstance(each, dict) else []
            if isinstance(each, dict) and "from_id" in each:
                ends = [ids.get(str(each.get(key))) for key in ("from_id", "to_id")]
            known = [
                end for end in ends if isinstance(end, int) and not isinstance(end, bool) and 0 <= end < len(spans)
            ]
            if len(known) != 2 or not isinstance(each, dict):
                raise refused(where, f"has the relation {str(each)[:60]}, whose entities are not known", _HINT)
            yield Relation(spans[known[0]], spans[known[1]], each.get("type"))


def _is_positioned(value: Json) -> bool:
    """Return whether an expression is an object or a pair with its position."""
    if isinstance(value, dict):
        return "pos" in value or {"start", "end"} <= value.keys()
    return isinstance(value, list) and len(value) == 2 and all(isinstance(item, int) for item in value)


def _letters(text: str) -> str:
    return "".join(text.split()).casefold()


def join_words(words: Sequence[str]) -> Sentence:
    """Return a sentence of words: with spaces, or without them if most words are Chinese or Japanese characters.

    Args:
        words: the words.
    """
    dense = sum("\u2e80" <= word[:1] <= "\u9fff" for word in words) > len(words) / 2
    space = "" if dense else " "
    positions = []
    start = 0
    for word in words:
        positions.append((start, start + len(word)))
        start += len(word) + len(space)
    return Sentence(space.join(words), positions)


def mark_expressions(text: str, head: tuple[int, int], tail: tuple[int, int]) -> str | None:
    """Return a sentence with marks around two expressions; None if they overlap.

    Args:
        text: the sentence.
        head: start and end of the first expression.
        tail: start and end of the second.
    """
    if head[0] < tail[1] and tail[0] < head[1]:
        return None
    spans = sorted([(*tail, 2), (*head, 1)], reverse=True)
    for start, end, number in spans:
        text = f"{text[:start]}<e{number}>{text[start:end]}</e{number}>{text[end:]}"
    return text
