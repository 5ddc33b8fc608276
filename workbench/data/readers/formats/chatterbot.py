"""ChatterBot's corpus: YAML files with a list of conversations each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table


@formats.register("chatterbot")
class ChatterBot(Format):
    """Conversations: what is said in turn (``turns``), and the first two turns as ``question`` and ``answer``.

    More than half of the English ones stand there twice and more; each is read once.
    """

    def read(self, files: Sequence[RawFile], part: str) -> Table:
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
        for count, which in ((short, "of less than two turns"), (repeated, "that stand there before")):
            if count:
                table.notes.append(f"{count:,} conversations {which} were left out.")
        return table


class _Loader(yaml.BaseLoader):
    """YAML of which nothing but texts, lists and mappings is made (``No`` is a text), and that knows no aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):  # a few lines of them could stand for gigabytes
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read", problem_mark=mark)
        return super().compose_node(parent, index)


def _conversations(file: RawFile) -> list[Any]:
    try:
        document = yaml.load(file.text(), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise malformed(file.name, f"not YAML: {' '.join(str(error).split())[:200]}") from error
    found: list[Any] = member(document, "conversations", list, file.name)
    return found


def _turns(conversation: Any, where: str) -> list[str]:
    turns = [conversation] if isinstance(conversation, str) else conversation  # one has lost its list
    if not isinstance(turns, list):
        raise malformed(where, "a conversation must be a list of texts")
    return [text for turn in turns if (text := _text(turn, where))]


def _text(turn: Any, where: str) -> str:
    """What is said. A text with a colon in it is a mapping to YAML, and put together again."""
    if isinstance(turn, dict) and all(isinstance(value, str) for value in turn.values()):
        return "\n".join(f"{key}: {value}" for key, value in turn.items()).strip()
    if not isinstance(turn, str):
        raise malformed(where, f"{str(turn)[:60]!r} is no text")
    return turn.strip()
