"""ChatterBot's corpus: YAML files, each with a list of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table
from workbench.errors import DataError
from workbench.types import Json
from workbench.yaml_text import load_yaml

_MAX_BYTES = 20 * 1024**2  # the largest file of the corpus has 130 kB


@formats.register("chatterbot")
class ChatterBot(Format):
    """Conversations: all turns (``turns``), and the first two as ``question`` and ``answer``.

    More than half of the English ones occur more than once; each is read once.
    """

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        columns: dict[str, list[Any]] = {name: [] for name in ("turns", "question", "answer", "topic")}
        seen: set[tuple[str, ...]] = set()
        short = repeated = 0
        for file in files:
            for number, conversation in enumerate(_conversations(file), start=1):
                turns = _turns(conversation, f"{file.name}, row {number}")
                if len(turns) < 2:
                    short += 1
                    continue
                if tuple(turns) in seen:
                    repeated += 1
                    continue
                seen.add(tuple(turns))
                values = (turns, turns[0], turns[1], file.name.partition(".")[0])
                for name, value in zip(columns, values, strict=True):
                    columns[name].append(value)
        table = self.table(columns, range(1, len(columns["turns"]) + 1))
        if short:
            table.notes.append(f"Excluded {short:,} conversations of less than two turns.")
        if repeated:
            table.notes.append(f"Excluded {repeated:,} duplicate conversations.")
        return table


def _conversations(file: RawFile) -> list[Json]:
    text, hint = file.text(), "Correct the file."
    document = load_yaml(text, file.name, error=DataError, hint=hint, only_text=True, max_bytes=_MAX_BYTES)
    return member(document, "conversations", list, file.name)


def _turns(conversation: Json, where: str) -> list[str]:
    turns = [conversation] if isinstance(conversation, str) else conversation  # one conversation lacks its list
    if not isinstance(turns, list):
        raise malformed(where, "a conversation must be a list of texts")
    return [text for turn in turns if (text := _turn_text(turn, where))]


def _turn_text(turn: Json, where: str) -> str:
    """Return the text of a turn; one with a colon is a mapping to YAML, and is joined again."""
    if isinstance(turn, dict) and all(isinstance(value, str) for value in turn.values()):
        return "\n".join(f"{key}: {value}" for key, value in turn.items()).strip()
    if not isinstance(turn, str):
        raise malformed(where, f"{str(turn)[:60]!r} is not a text")
    return turn.strip()
