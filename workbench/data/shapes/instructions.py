"""Instructions and replies as columns: the form of Alpaca, and prompts with completions.

    {"instruction": "Translate to French.", "input": "Good morning", "output": "Bonjour"}
    {"prompt": "What is a token?", "completion": "A piece of text."}

Each row is a conversation of two turns, for the task dialogue. An ``input`` is put behind its instruction, with an
empty line between them; a ``system`` text before it. Earlier turns can be in ``history``: ``[["Hello", "Hi!"]]``.
Prompts and completions may be lists of messages, as in the shape ``conversations``. Rows without a reply are skipped.
"""

from __future__ import annotations

from workbench.data.cells.transcripts import TEMPLATES, read_transcript
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    Needs,
    Shape,
    find_column,
    first_values,
    refused,
    shapes,
    unprinted,
    without,
)
from workbench.data.shapes.conversations import COLUMNS, ConversationReader, is_messages, with_turns
from workbench.errors import DataError
from workbench.types import Json

PROMPTS = ("instruction", "prompt", "question", "query", "input", "user")
REPLIES = ("output", "response", "completion", "answer", "reply", "assistant", "chosen")

_HINT = "Write a text in the columns of the instruction and of the reply."


@shapes.register("instructions")
class Instructions(Shape):
    """Instructions and replies, in columns of their own."""

    roles = ("turns",)

    def matches(self, table: Table, needs: Needs) -> bool:
        column = needs.column("turns")
        if column.kind != "texts" or "turns" in needs.chosen:
            return False
        if find_column(table, ("turns", *COLUMNS, *column.guesses)) is not None:
            return False
        return _columns(table) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _columns(table)
        if columns is None:
            raise DataError(f"{table.name} lacks the instructions or replies of the training data.", _HINT)
        prompt, reply = columns
        table, undesirable = _without_undesirable(table)
        further = find_column(table, ("input", "context")) if prompt == "instruction" else None
        system, history = find_column(table, ("system", "system_prompt")), find_column(table, ("history",))
        reader = ConversationReader(table.name)

        def read_row(i: int) -> list[str] | None:
            where = table.where(i)
            messages = _messages(table.columns[prompt][i], "user", f"{where}: column {prompt!r}")
            more = table.columns[further][i] if further else None
            if isinstance(more, str) and more.strip() and messages:
                messages[-1] = {"role": "user", "content": f"{messages[-1]['content']}\n\n{more.strip()}"}
            earlier = _history(table.columns[history][i], f"{where}: column {history!r}") if history else []
            replies = _messages(table.columns[reply][i], "assistant", f"{where}: column {reply!r}")
            return reader.turns([*earlier, *messages, *replies], table.columns[system][i] if system else None, where)

        good, turns = convert_rows(table, read_row, "the instruction or reply is not valid")
        result = without(good, prompt, reply, further, system, history)
        result.notes = [*table.notes, f"{table.name}: {prompt!r} is the user's turn, and {reply!r} the reply."]
        if undesirable:
            result.notes.append(f"{table.name}: left out {undesirable:,} replies that are labeled as undesirable.")
        return with_turns(result, needs.name("turns"), turns, reader)


def _without_undesirable(table: Table) -> tuple[Table, int]:
    """Return the rows without replies whose label is false, and their number; other labels mean something else."""
    column = find_column(table, ("label", "desirable", "is_good"))
    values = table.columns[column] if column is not None else []
    if not any(isinstance(value, bool) for value in values) or not all(isinstance(v, bool | None) for v in values):
        return table, 0
    desired = [i for i, value in enumerate(values) if value is not False]
    if not desired:
        raise DataError(f"{table.name}: each reply is labeled as undesirable ({column!r} is false).", _HINT)
    return table.take(desired), len(table) - len(desired)


def _columns(table: Table) -> tuple[str, str] | None:
    """Return the columns of prompts and replies; None if the table lacks one of them."""
    prompt = find_column(table, PROMPTS)
    reply = find_column(table, REPLIES, taken=[prompt] if prompt else [])
    if prompt is None or reply is None:
        return None
    for column in (prompt, reply):
        values = first_values(table, column)
        if not is_messages(values) and not all(isinstance(value, str | int | float) for value in values):
            return None
    return prompt, reply


def _messages(cell: Json, role: str, where: str) -> list[dict[str, Json]]:
    value = unprinted(cell)
    if is_messages([value]) and isinstance(value, list):
        return [message for message in value if isinstance(message, dict)]
    if role == "user" and isinstance(cell, str) and cell.rstrip().casefold().endswith(("assistant:", "assistant：")):
        transcript = read_transcript(cell, TEMPLATES[-1])  # BELLE's "Human: ... Assistant:"
        if len(transcript) > 1 and not transcript[-1][1]:
            return [{"role": speaker, "content": text} for speaker, text in transcript[:-1]]
    if cell is None or isinstance(cell, str | int | float):
        return [{"role": role, "content": "" if cell is None else str(cell)}]
    raise refused(where, f"holds {str(cell)[:60]!r}, but a text is needed", _HINT)


def _history(cell: Json, where: str) -> list[dict[str, Json]]:
    value = unprinted(cell) or []
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise refused(where, "is not a list of [message, reply]", _HINT)
    roles = ("user", "assistant")
    pairs = [pair for pair in value if isinstance(pair, list)]
    return [{"role": role, "content": text} for pair in pairs for role, text in zip(roles, pair, strict=True)]
