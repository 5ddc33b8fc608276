"""Conversations as texts in the template of a chat model, or as a transcript.

    {"text": "<|im_start|>user\\nHello<|im_end|>\\n<|im_start|>assistant\\nHi!<|im_end|>"}
    {"text": "### Human: Hello ### Assistant: Hi!"}
    {"chosen": "\\n\\nHuman: Hello\\n\\nAssistant: Hi!", "rejected": "..."}
    {"chat": {"turn_1": {"Human": "<|Human|>: Hello<eoh>", "MOSS": "<|MOSS|>: Hi!<eom>"}}}

The templates of ChatML, Llama 2 and 3, Mistral and Gemma are read, marks such as ``<|user|>`` and ``[Human]:``,
headings such as ``### Response:``, and lines that begin with the speaker (``User: Hello``). A ``.txt`` file may hold
several such conversations: each begins behind an empty line or with a system message. The marks are removed, and the
messages are used as those of the shape ``conversations``.
"""

from __future__ import annotations

from workbench.data.cells.transcripts import TEMPLATES, Template, find_template, read_transcript
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, refused, shapes, unprinted, without
from workbench.data.shapes.conversations import COLUMNS, ConversationReader, with_turns
from workbench.errors import DataError
from workbench.types import Json, JsonObject

TEXTS = ("text", "content", "transcript", "plain_text", "formatted", "formatted_text", "chosen", "prompt", "sample")
MIN_SHARE = 0.8  # of the first texts, which are conversations

_USER, _ASSISTANT = "Human", "MOSS"  # the keys of a turn in MOSS
_HINT = "Write each conversation in the same template, or as a list of messages with a role and a content."


@shapes.register("transcripts")
class Transcripts(Shape):
    """Conversations as one text each: in the template of a chat model, or as a transcript."""

    roles = ("turns",)

    def matches(self, table: Table, needs: Needs) -> bool:
        return needs.column("turns").kind == "texts" and _find(table, needs) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        form = _find(table, needs)
        if form is None:
            raise DataError(f"{table.name} lacks the conversations of the training data.", "Use the same columns.")
        column, template = form
        reader = ConversationReader(table.name)
        system = find_column(table, ("system", "system_prompt", "meta_instruction"))

        def read_row(i: int) -> list[str] | None:
            where = f"{table.where(i)}: column {column!r}"
            cell = table.columns[column][i]
            messages = _turns(cell) if template is None else _messages(cell, template)
            if not messages:
                raise refused(where, f"holds {str(cell)[:60]!r}, which is no conversation in this template", _HINT)
            return reader.turns([*messages], table.columns[system][i] if system else None, where)

        good, turns = convert_rows(table, read_row, "the conversation is not valid")
        result = without(good, column, system, "rejected" if column.casefold() == "chosen" else None)
        name = "MOSS's turns" if template is None else template.name
        result.notes = [*table.notes, f"{table.name}: column {column!r} holds conversations ({name})."]
        return with_turns(result, needs.name("turns"), turns, reader)


def _find(table: Table, needs: Needs) -> tuple[str, Template | None] | None:
    """Return the column of the conversations and its template, which is None for MOSS's turns."""
    chat = find_column(table, ("chat",))
    if chat is not None and "turns" not in needs.chosen:
        values = first_values(table, chat)
        if values and all(_turns(value) for value in values):
            return chat, None
    names = (*COLUMNS, *needs.column("turns").guesses, *TEXTS)
    candidates = [needs.find(table, "turns", names)] if "turns" in needs.chosen else _present(table, names)
    for column in candidates:
        values = first_values(table, column) if column is not None else []
        texts = [value for value in values if isinstance(value, str)]
        template = find_template(texts, MIN_SHARE) if len(texts) == len(values) else None
        if column is not None and template is not None:
            return column, template
    return None


def _present(table: Table, names: tuple[str, ...]) -> list[str | None]:
    columns = (find_column(table, (name,)) for name in ("turns", *names))
    return list(dict.fromkeys(column for column in columns if column is not None))


def _messages(cell: Json, template: Template) -> list[JsonObject]:
    """Return the messages of a text; of another template if it is not in the usual one."""
    if not isinstance(cell, str):
        return []
    ways = (template, *(other for other in TEMPLATES if other is not template))
    messages = next((read for way in ways if len(read := read_transcript(cell, way)) > 1), [])
    messages = messages or read_transcript(cell, template)
    return [{"role": "assistant" if role.casefold() == "moss" else role, "content": text} for role, text in messages]


def _turns(cell: Json) -> list[JsonObject]:
    """Return the messages of turns as MOSS writes them; none for anything else."""
    value = unprinted(cell)
    messages: list[JsonObject] = []
    for turn in value.values() if isinstance(value, dict) else ():
        if not isinstance(turn, dict) or not (
            isinstance(turn.get(_USER), str) and isinstance(turn.get(_ASSISTANT), str)
        ):
            return []
        commands = str(turn.get("Commands") or "None")
        for key, role in ((_USER, "user"), (_ASSISTANT, "assistant")):
            text = str(turn[key]).partition("|>:")[2] or str(turn[key])
            messages.append({"role": role, "content": text.strip().removesuffix("<eoh>").removesuffix("<eom>").strip()})
        if "None" not in commands:
            messages[-1]["tool_calls"] = [commands]
    return messages
