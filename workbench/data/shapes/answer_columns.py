"""Answers in columns of their own, beside a question and its context.

    question,context,answer_text,answer_start
    Where was Ada born?,Ada was born in Quito.,Quito,16

The start counts characters of the context. Without a column for it, an answer is searched in its context: if it occurs
several times, the first occurrence is used, and counted in a note. A question with an empty answer has none. Lists of
answers (and of starts) are read as well.
"""

from __future__ import annotations

import re

from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    Needs,
    Shape,
    find_column,
    first_values,
    is_missing,
    refused,
    shapes,
    unprinted,
    without,
)
from workbench.errors import DataError
from workbench.types import Json

TEXTS = ("answer_text", "answer", "answers", "answers_text", "answer_texts", "text_answer", "span", "final_answers")
STARTS = (
    "answer_start",
    "answer_starts",
    "answers_start",
    "start",
    "answer_begin",
    "char_start",
    "start_char",
    "start_pos",
)
MIN_TEXTS = 3  # answers without a position that show what the column holds
_HINT = "Write the answer as it is in the context, and the number of characters before it as answer_start."


@shapes.register("answer-columns")
class AnswerColumns(Shape):
    """Answers in columns of their own."""

    roles = ("context", "answers")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("answers").kind != "answers":
            return False
        columns = _columns(table, needs)
        if columns is None:
            return False
        values = first_values(table, columns[0])
        if not values or (columns[1] is None and len(values) < MIN_TEXTS):
            return False
        return all(_is_text(value, with_start=columns[1] is not None) for value in values)

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _columns(table, needs)
        context = needs.find(table, "context", needs.column("context").guesses)
        if columns is None or context is None:
            raise DataError(
                f"{table.name} lacks the contexts or answers of the training data.", "Use the same columns."
            )
        texts, starts = columns

        def read_row(index: int) -> tuple[list[dict[str, Json]], int]:
            passage = table.columns[context][index]
            return _answers(
                unprinted(table.columns[texts][index]),
                unprinted(table.columns[starts][index]) if starts else None,
                passage if isinstance(passage, str) else "",
                f"{table.where(index)}: column {texts!r}",
            )

        good, rows = convert_rows(table, read_row, "the answer is not valid")
        rest = without(good, texts, starts).columns
        answers = [own for own, _ in rows]
        result = good.with_columns({**rest, context: good.columns[context], needs.name("answers"): answers})
        if context != needs.name("context"):
            result = without(result, context).with_column(needs.name("context"), good.columns[context])
        repeated = sum(several for _, several in rows)
        source = f"and their positions from {starts!r}" if starts else "which are searched in the context"
        result.notes = [*table.notes, f"{table.name}: the answers are from column {texts!r}, {source}."]
        if repeated:
            result.notes.append(
                f"{table.name}: {repeated:,} answers occur several times in their context; "
                "the first occurrence is used."
            )
        return result


def _is_text(value: Json, with_start: bool) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, str) or (with_start and isinstance(value, int | float))


def _columns(table: Table, needs: Needs) -> tuple[str, str | None] | None:
    """Return the columns of the answers' texts and starts."""
    texts = needs.find(table, "answers", TEXTS)
    if texts is None:
        return None
    return texts, find_column(table, STARTS, taken=[texts, *needs.chosen.values()])


def _answers(texts: Json, starts: Json, context: str, where: str) -> tuple[list[dict[str, Json]], int]:
    """Return the answers of a row, and how many of them were found several times."""
    texts = texts if isinstance(texts, list) else [texts]
    answers = [text for text in texts if text is not None and text == text and str(text).strip()]
    if not isinstance(starts, list) and (is_missing(starts) or str(starts).strip() == "-1"):
        answers = [text for text in answers if not is_missing(text) or str(text) in context]
        pairs = [(_start_of(str(text), context, where), str(text)) for text in answers]
        repeated = sum(context.count(text) > 1 for _, text in pairs)
        return [{"text": text, "start": start} for start, text in dict.fromkeys(pairs)], repeated
    positions: list[Json] = starts if isinstance(starts, list) else [starts]
    if isinstance(starts, str) and len(answers) > 1:
        positions = [*re.split(r"[\s,;|]+", starts.strip())]
    if answers and len(positions) != len(answers):
        raise refused(where, f"holds {len(answers)} answers, but there are {len(positions)} starts", _HINT)
    pairs = [(_number(start, where), str(text)) for start, text in zip(positions, answers, strict=False)]
    return [{"text": text, "start": start} for start, text in pairs], 0


def _start_of(text: str, context: str, where: str) -> int:
    start = context.find(text)
    if start < 0:
        raise refused(where, f"holds {text[:60]!r}, which does not occur in the context", _HINT)
    return start


def _number(value: Json, where: str) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?\d{1,12}(?:\.0+)?", text):
        raise refused(where, f"has the start {text[:40]!r}, but a number of characters is needed", _HINT)
    return int(float(text))
