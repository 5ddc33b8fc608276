"""Conversations with one message per row.

    conversation_id,role,content
    1,user,Hello
    1,assistant,Hi!

Rows with the same conversation are joined in the order of the file. Messages that name the message before them
(``parent_id``) have the shape ``message-trees``.
"""

from __future__ import annotations

from dataclasses import replace

from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, shapes
from workbench.data.shapes.conversations import (
    ASSISTANTS,
    ROLE_KEYS,
    SYSTEMS,
    TEXT_KEYS,
    TOOLS,
    USERS,
    ConversationReader,
    with_turns,
)
from workbench.data.shapes.message_trees import PARENTS, is_tree
from workbench.errors import DataError
from workbench.types import Json

CONVERSATIONS = (
    *("conversation_id", "dialogue_id", "dialog_id", "thread_id", "session_id", "chat_id", "ticket_id", "conv_id"),
    *("conversation", "dialogue", "thread", "session", "ticket", "message_tree_id"),
)
_ROLES = USERS | ASSISTANTS | SYSTEMS | TOOLS


@shapes.register("message-rows")
class MessageRows(Shape):
    """Conversations with one message per row."""

    roles = ("turns",)

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("turns").kind != "texts" or "turns" in needs.chosen:
            return False
        columns = _columns(table)
        if columns is None or not all(
            str(value).strip().casefold() in _ROLES for value in first_values(table, columns[1])
        ):
            return False
        parent = find_column(table, PARENTS)
        if parent is not None and not is_tree(table):
            raise DataError(
                f"{table.name}: the messages form trees (column {parent!r}), but no column has their ids.",
                "Add the column message_id, or write one conversation per row (messages with a role and a content).",
            )
        return parent is None

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _columns(table)
        if columns is None:
            raise DataError(f"{table.name} lacks the messages of the training data.", "Use the same columns.")
        conversation, role, text = columns
        groups: dict[str, list[int]] = {}
        for index, value in enumerate(table.columns[conversation]):
            groups.setdefault(str(value), []).append(index)
        rows = list(groups.values())
        joined = table.take([indices[0] for indices in rows])
        joined = replace(joined, columns={conversation: joined.columns[conversation]})
        reader = ConversationReader(table.name)

        def read_row(i: int) -> list[str] | None:
            messages: list[Json] = [
                {"role": table.columns[role][k], "content": table.columns[text][k]} for k in rows[i]
            ]
            return reader.turns(messages, None, f"{joined.where(i)}: column {role!r}")

        good, turns = convert_rows(joined, read_row, "the messages are not valid")
        result = with_turns(good, needs.name("turns"), turns, reader)
        note = f"{table.name}: {len(table):,} messages were joined by {conversation!r} to {len(rows):,} conversations."
        result.notes = [*result.notes, note]
        return result


def _columns(table: Table) -> tuple[str, str, str] | None:
    """Return the columns of the conversation, the role and the text; None if one is missing."""
    conversation = find_column(table, CONVERSATIONS)
    role = find_column(table, ROLE_KEYS, taken=[conversation] if conversation else [])
    text = find_column(table, TEXT_KEYS, taken=[name for name in (conversation, role) if name])
    return (conversation, role, text) if conversation and role and text else None
