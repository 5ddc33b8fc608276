"""Trees of messages, in which one message may have several replies: the form of OpenAssistant (OASST).

    {"message_tree_id": "1", "prompt": {"text": "Hello", "role": "prompter", "replies": [
        {"text": "Hi!", "role": "assistant", "rank": 0, "replies": []}, {"text": "Yes?", "role": "assistant", ...}]}}

    message_id,parent_id,role,text,rank
    1,,prompter,Hello,
    2,1,assistant,Hi!,0
    3,1,assistant,Yes?,1

A tree becomes one conversation: at each message its best reply by ``rank`` (0 is the best), or the first one without
ranks. The other replies are left out and counted. Messages that were deleted are skipped with their replies.
"""

from __future__ import annotations

from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, are_objects, find_column, first_values, refused, shapes, unprinted
from workbench.data.shapes.conversations import ROLE_KEYS, TEXT_KEYS, ConversationReader, with_turns
from workbench.errors import DataError
from workbench.types import Json, JsonObject

ROOTS = ("prompt", "tree", "message", "root", "thread")
PARENTS = ("parent_id", "parent_message_id", "reply_to", "parent")
IDS = ("message_id", "id", "msg_id")
REPLIES = "replies"
MAX_DEPTH = 1000

_HINT = 'Write one conversation per row: {"messages": [{"role": "user", "content": "Hello"}, ...]}.'


@shapes.register("message-trees")
class MessageTrees(Shape):
    """Trees of messages, of which the best reply to each message is used."""

    roles = ("turns",)

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("turns").kind != "texts" or "turns" in needs.chosen:
            return False
        return _root_column(table) is not None or is_tree(table)

    def convert(self, table: Table, needs: Needs) -> Table:
        column, rows = _root_column(table), _row_columns(table)
        reader = ConversationReader(table.name)
        if column is not None:
            roots = [unprinted(value) for value in table.columns[column]]
            table = table.with_columns({name: v for name, v in table.columns.items() if name != column})
        elif rows is not None:
            table, roots = _join(table, *rows)
        else:
            raise DataError(f"{table.name} lacks the messages of the training data.", _HINT)
        others = 0

        def read_row(i: int) -> list[str] | None:
            nonlocal others
            messages, left_out = _best_path(roots[i], table.where(i))
            others += left_out
            return reader.turns([*messages], None, table.where(i))

        good, turns = convert_rows(table, read_row, "the messages are not valid")
        result = with_turns(good, needs.name("turns"), turns, reader)
        result.notes.append(
            f"{table.name}: {len(good):,} trees of messages: of several replies to a message the best by rank was "
            f"used, or the first one without ranks; {others:,} others were left out."
        )
        return result


def is_tree(table: Table) -> bool:
    """Return whether each row is a message that names the message before it.

    Args:
        table: the rows.
    """
    return _row_columns(table) is not None


def _root_column(table: Table) -> str | None:
    column = find_column(table, ROOTS)
    if column is None:
        return None
    values = first_values(table, column)
    return column if are_objects(values, REPLIES) else None


def _row_columns(table: Table) -> tuple[str, str] | None:
    """Return the columns of the ids and of the parents, if each row is a message."""
    own, parent = find_column(table, IDS), find_column(table, PARENTS)
    if own is None or parent is None or find_column(table, ROLE_KEYS) is None or find_column(table, TEXT_KEYS) is None:
        return None
    return own, parent


def _join(table: Table, own: str, parent: str) -> tuple[Table, list[Json]]:
    """Return the rows of the first messages, and for each its message with the replies to it."""
    names = {key: name for key in (*ROLE_KEYS, *TEXT_KEYS, "rank", "deleted") if (name := find_column(table, (key,)))}
    messages: list[JsonObject] = []
    for i in range(len(table)):
        message: JsonObject = {key: table.columns[name][i] for key, name in names.items()}
        messages.append({**message, REPLIES: []})
    by_id = {str(value): message for value, message in zip(table.columns[own], messages, strict=True)}
    roots, orphans = [], 0
    for i, value in enumerate(table.columns[parent]):
        if value is None or str(value).strip() in ("", "nan", "None"):
            roots.append(i)
        elif str(value) in by_id and by_id[str(value)] is not messages[i]:
            replies = by_id[str(value)][REPLIES]
            assert isinstance(replies, list)
            replies.append(messages[i])
        else:
            orphans += 1
    if not roots:
        raise DataError(f"{table.name}: each message is a reply ({parent!r}), so no conversation begins.", _HINT)
    used = set(names.values()) | {own, parent}
    result = table.with_columns({name: values for name, values in table.columns.items() if name not in used})
    result = result.take(roots)
    result.notes = list(table.notes)
    if orphans:
        result.notes.append(f"{table.name}: skipped {orphans:,} replies to messages that the file lacks.")
    return result, [messages[i] for i in roots]


def _best_path(root: Json, where: str) -> tuple[list[JsonObject], int]:
    """Return the messages from the first one along the best replies, and how many other replies there are."""
    path: list[JsonObject] = []
    others = 0
    message = root
    while isinstance(message, dict) and len(path) < MAX_DEPTH:
        path.append({key: value for key, value in message.items() if key != REPLIES})
        replies = message.get(REPLIES) or []
        if not isinstance(replies, list):
            raise refused(where, f"has {str(replies)[:60]!r} in place of a list of replies", _HINT)
        usable = [reply for reply in replies if isinstance(reply, dict) and not _is_deleted(reply)]
        others += max(0, len(usable) - 1)
        message = min(usable, key=_rank) if usable else None
    if not path:
        raise refused(where, "has no message", _HINT)
    return path, others


def _is_deleted(message: JsonObject) -> bool:
    return str(message.get("deleted")).strip().casefold() in ("true", "1")


def _rank(reply: JsonObject) -> float:
    """Return the rank of a reply; one without a rank comes behind the others."""
    try:
        rank = float(str(reply.get("rank")))
    except ValueError:
        return float("inf")
    return rank if rank == rank else float("inf")
