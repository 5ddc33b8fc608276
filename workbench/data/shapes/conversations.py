"""Conversations whose messages say who speaks: the forms of OpenAI and ShareGPT, and their variants.

    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"},
                  {"role": "assistant", "content": "Hi!"}]}
    {"conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi!"}]}

The roles decide which turns a model learns: those of the assistant. Messages of one side that follow each other are one
turn. A system message is put before the next message of the user, with an empty line between them; a column
``system`` counts as the first message. What the assistant says before the user has spoken is left out, because it is no
reply. Conversations with calls of tools, with images or without a reply are skipped. All of this is counted in notes.

A conversation can also be a list of pairs (``[["Hello", "Hi!"]]``, ``[{"human": "Hello", "assistant": "Hi!"}]``), or of
texts, whose roles are before them (``["User: Hello", "Bot: Hi!"]``) or missing
(``["Hello", "Hi!"]``). Without roles the user speaks first, unless ``data.first_speaker`` says otherwise. If one
opening is followed by many different turns, it may be the greeting of an assistant, and who speaks first must be said.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from workbench.data.catalogue.entries import catalogue
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import (
    Needs,
    Shape,
    are_objects,
    find_column,
    first_values,
    refused,
    shapes,
    unprinted,
    without,
)
from workbench.errors import DataError
from workbench.runs.report_notes import WarningNote
from workbench.types import Json

ROLE_KEYS = ("role", "from", "speaker", "author", "sender")
TEXT_KEYS = ("content", "value", "text", "message", "utterance")
USERS = frozenset(("user", "human", "customer", "client", "prompter", "usr", "visitor", "caller", "student", "patient"))
ASSISTANTS = frozenset(
    (
        "assistant",
        "gpt",
        "bot",
        "chatbot",
        "model",
        "agent",
        "ai",
        "chatgpt",
        "bing",
        "bard",
        "operator",
        "support",
        "sys",
    )
)
SYSTEMS = frozenset(("system", "developer", "context"))
TOOLS = frozenset(("tool", "function", "observation", "function_call", "function_response", "tool_call", "ipython"))
COLUMNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat")
LIST_COLUMNS = ("chosen", "data")  # other data, unless they hold lists
MIN_COMPLETE = 0.8  # share of messages with a role and a text, in a column of messages
MIN_CONVERSATIONS = 8
MIN_GREETED = 0.2  # share of conversations that begin with what may be a greeting of an assistant
MIN_DIFFERENT = 0.5  # different turns per conversation that follow such a greeting

_PREFIX = re.compile(r"\s*(?:<\|)?([A-Za-z]{2,12})(?:\|>)?\s*:")
_HINT = 'Write {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]}.'


class ConversationReader:
    """Turns messages into turns that begin with the user's, and counts what is left out.

    Args:
        name: the file, for notes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()

    def turns(self, messages: Json, system: Json, where: str) -> list[str] | None:
        """Return the turns of a conversation; None if it has to be skipped.

        Args:
            messages: the messages.
            system: a system message besides them.
            where: its location, for messages.

        Raises:
            DataError: a message is malformed, or its role is not known.
        """
        if not isinstance(messages, list):
            raise refused(where, f"holds {str(messages)[:60]!r}, but a list of messages is needed", _HINT)
        pairs = [_role_and_text(message, where) for message in messages]
        self.counts["weight 0"] += sum(isinstance(m, dict) and m.get("weight") == 0 for m in messages)
        if any(role == "tool" for role, _ in pairs):
            self.counts["tool"] += 1
            return None
        if any(text is None or not text.strip() for role, text in pairs if role != "system"):
            self.counts["without text"] += 1
            return None
        if isinstance(system, str) and system.strip():
            pairs.insert(0, ("system", system))
        turns = self._joined([(role, (text or "").strip()) for role, text in pairs])
        if len(turns) < 2:
            self.counts["without reply"] += 1
            return None
        return turns

    def _joined(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """Return alternating turns, the user's first."""
        turns: list[str] = []
        waiting: list[str] = []  # system messages before the user's next one
        speaker = ""
        opening = False
        for role, text in pairs:
            if role == "system":
                waiting += [text] if text else []
                self.counts["system"] += 1
            elif role == "assistant" and not turns:
                opening = True
            elif role == speaker:
                turns[-1] += f"\n{text}"
            else:
                turns.append("\n\n".join([*waiting, text]) if role == "user" else text)
                waiting = [] if role == "user" else waiting
                speaker = role
        self.counts["opening"] += opening
        return turns

    def notes(self) -> list[str]:
        """Return what was changed or left out, in sentences."""
        count = self.counts
        texts = {
            "system": "{} system messages were put before the user's next message",
            "opening": "{} conversations begin with the assistant: what it says before the user speaks is left out, "
            "because it is no reply",
            "tool": "skipped {} conversations with calls of tools",
            "without text": "skipped {} conversations with a message that has no text",
            "without reply": "skipped {} conversations without a reply to the user",
        }
        notes = [f"{self.name}: {text.format(f'{count[key]:,}')}." for key, text in texts.items() if count[key]]
        if count["weight 0"]:
            messages = f"{self.name}: {count['weight 0']:,} messages have the weight 0"
            notes.append(WarningNote(f"{messages}, which is not used: they are learned, too."))
        return notes


@shapes.register("conversations")
class Conversations(Shape):
    """Conversations whose messages say who speaks."""

    roles = ("turns",)

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("turns").kind != "texts":
            return False
        column = _column(table, needs)
        if column is None:
            return False
        values = [from_pairs(value) for value in first_values(table, column)]
        if is_messages(values) or _have_roles(values):
            return True
        if needs.spec.train in catalogue().datasets or not all(_is_list_of_texts(value) for value in values):
            return False
        if needs.spec.first_speaker is None:
            _refuse_same_opening(table, column)
        return bool(values)

    def convert(self, table: Table, needs: Needs) -> Table:
        column = _column(table, needs)
        if column is None:
            raise DataError(f"{table.name} lacks the conversations of the training data.", "Use the same columns.")
        if column.casefold() in LIST_COLUMNS:
            values = table.columns[column]
            table, column = without(table, column).with_column(needs.name("turns"), values), needs.name("turns")
        values = [from_pairs(unprinted(value)) for value in table.columns[column]]
        if _have_roles([value for value in values if value]):
            values = [[_message(turn) for turn in value] if isinstance(value, list) else value for value in values]
        elif all(_is_list_of_texts(value) for value in values):
            return _without_opening(table, column, needs)
        reader = ConversationReader(table.name)
        system = find_column(table, ("system", "system_prompt"))
        table, turns = convert_rows(
            table,
            lambda i: reader.turns(
                values[i], table.columns[system][i] if system else None, f"{table.where(i)}: column {column!r}"
            ),
            "the messages are not valid",
        )
        return with_turns(without(table, column, system), needs.name("turns"), turns, reader)


def with_turns(table: Table, name: str, turns: Sequence[list[str] | None], reader: ConversationReader) -> Table:
    """Return the rows that have turns, with them as a column.

    Args:
        table: the rows.
        name: name of the new column.
        turns: the turns of each row; None to skip it.
        reader: what made them.

    Raises:
        DataError: no row has turns.
    """
    selected = [i for i, own in enumerate(turns) if own is not None]
    notes = [*table.notes, *reader.notes()]
    if not selected:
        raise DataError(f"{table.name}: no conversation can be used. {' '.join(reader.notes())}", _HINT)
    result = table.take(selected).with_columns({**table.take(selected).columns, name: [turns[i] for i in selected]})
    result.notes = notes
    return result


def is_messages(values: Sequence[Json]) -> bool:
    """Return whether cells are lists of messages with a role and a text.

    Args:
        values: cells that are not empty.
    """
    if not values or not all(isinstance(value, list) and are_objects(value) for value in values):
        return False
    messages = [m for value in values if isinstance(value, list) for m in value if isinstance(m, dict)]
    complete = sum(any(k in m for k in ROLE_KEYS) and any(k in m for k in TEXT_KEYS) for m in messages)
    return complete >= MIN_COMPLETE * len(messages)


def from_pairs(value: Json) -> Json:
    """Return the messages of a conversation of pairs; any other value as it is.

    Args:
        value: such as ``[["Hello", "Hi!"]]`` or ``[{"human": "Hello", "assistant": "Hi!"}]``.
    """
    if not isinstance(value, list) or not value:
        return value
    messages: list[Json] = []
    for item in value:
        if isinstance(item, list) and len(item) == 2 and all(isinstance(each, str) for each in item):
            messages += [
                {"role": role, "content": text} for role, text in zip(("user", "assistant"), item, strict=True)
            ]
        elif isinstance(item, dict) and not any(key in item for key in ROLE_KEYS):
            names = {key.casefold(): key for key in item}
            keys = [next((names[name] for name in kind if name in names), None) for kind in (USERS, ASSISTANTS)]
            if not all(keys):
                return value
            messages += [{"role": r, "content": item[k]} for r, k in zip(("user", "assistant"), keys, strict=True) if k]
        else:
            return value
    return messages


def _column(table: Table, needs: Needs) -> str | None:
    column = needs.find(table, "turns", (*COLUMNS, *needs.column("turns").guesses))
    if column is not None or "turns" in needs.chosen:
        return column
    lists = find_column(table, LIST_COLUMNS)
    values = first_values(table, lists) if lists is not None else []
    return lists if values and all(isinstance(value, list) for value in values) else None


def _role_and_text(message: Json, where: str) -> tuple[str, str | None]:
    """Return the kind of a message's role (user, assistant, system, tool) and its text; None without one."""
    if not isinstance(message, dict):
        raise refused(where, f"holds the message {str(message)[:60]!r}, but an object is needed", _HINT)
    role = next((message[key] for key in ROLE_KEYS if message.get(key) is not None), None)
    text = next((message[key] for key in TEXT_KEYS if message.get(key) is not None), None)
    if message.get("tool_calls") or message.get("function_call"):
        return "tool", None
    if isinstance(text, list):  # content in several pieces: texts and images
        pieces = [piece.get("text") if isinstance(piece, dict) else piece for piece in text]
        text = "\n".join(map(str, pieces)) if all(isinstance(piece, str) for piece in pieces) else None
    kind = str(role).strip().casefold()
    for known, name in ((USERS, "user"), (ASSISTANTS, "assistant"), (SYSTEMS, "system"), (TOOLS, "tool")):
        if kind in known:
            return name, text if isinstance(text, str) else None
    raise refused(
        where,
        f"has a message by {str(role)[:40]!r}, and whether this is the user or the assistant is not known",
        "Write user or assistant as the role of each message.",
    )


# -- turns without roles ----------------------------------------------------------------------------------------------


def _have_roles(values: Sequence[Json]) -> bool:
    """Return whether all turns begin with a known role and a colon."""
    turns = [turn for value in values if isinstance(value, list) for turn in value]
    return bool(turns) and all(isinstance(turn, str) and _known_role(turn) for turn in turns)


def _known_role(turn: str) -> str | None:
    match = _PREFIX.match(turn)
    return match[1] if match and match[1].casefold() in USERS | ASSISTANTS | SYSTEMS else None


def _message(turn: Json) -> Json:
    """Return a turn such as ``User: Hello`` as a message."""
    role = _known_role(str(turn))
    return {"role": role, "content": str(turn).partition(":")[2].strip()} if role else turn


def _is_list_of_texts(value: Json) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _refuse_same_opening(table: Table, column: str) -> None:
    """Raise DataError if an opening is used often, and followed by many different turns."""
    followers: dict[str, list[str]] = {}
    count = 0
    for cell in table.columns[column]:
        turns = unprinted(cell)
        if isinstance(turns, list) and len(turns) > 1:
            followers.setdefault(str(turns[0]).strip(), []).append(str(turns[1]))
            count += 1
    greetings = {
        opening: len(turns)
        for opening, turns in followers.items()
        if len(turns) > 2 and len(set(turns)) >= MIN_DIFFERENT * len(turns)
    }
    greeted = sum(greetings.values())
    if count >= MIN_CONVERSATIONS and greeted >= MIN_GREETED * count:
        opening = max(greetings, key=lambda text: greetings[text])
        others = f" or {len(greetings) - 1} other openings" if len(greetings) > 1 else ""
        raise DataError(
            f"{table.name}: {greeted:,} of {count:,} conversations begin with {opening[:60]!r}{others}. If the "
            "assistant says this, a model would learn to speak as the user.",
            "Say who speaks first: data.first_speaker: assistant (or user); or write a role for each turn.",
        )


def _without_opening(table: Table, column: str, needs: Needs) -> Table:
    """Return the conversations without the first turn, which is the assistant's."""
    if needs.spec.first_speaker != "assistant":
        note = f"{table.name}: the turns have no roles, so the first turn is the user's (data.first_speaker)."
        result = table.take(range(len(table)))
        result.notes = [*table.notes, *([note] if needs.spec.first_speaker is None else [])]
        return result
    reader = ConversationReader(table.name)
    turns: list[list[str] | None] = []
    for cell in table.columns[column]:
        value = unprinted(cell)
        rest = [str(turn) for turn in value[1:]] if isinstance(value, list) else []
        reader.counts["opening"] += 1
        reader.counts["without reply"] += len(rest) < 2
        turns.append(rest if len(rest) > 1 else None)
    return with_turns(without(table, column), needs.name("turns"), turns, reader)
