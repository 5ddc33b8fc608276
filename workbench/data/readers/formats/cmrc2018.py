"""CMRC 2018: SQuAD's JSON, with some wrong answer positions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import RawFile, formats, member, read_head
from workbench.data.readers.formats.squad import RawAnswer, Squad
from workbench.data.readers.table import Table
from workbench.types import Json

_HEAD = 1 << 16  # bytes in which the first ids are
_ID = re.compile(rb'"(?:TRAIN|DEV|TRIAL|TEST)_\d+(?:_QUERY_\d+)?"')


@formats.register("cmrc2018")
class Cmrc2018(Squad):
    """Like SQuAD, but corrects wrong positions and excludes answers that are not in their context; both are counted."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        self.moved = self.missing = 0
        table = super().read(files, split)
        answers = table.columns["answers"]
        for i, candidates in enumerate(answers):
            answers[i] = [answer for answer in candidates if answer["text"]]
        selected = [i for i in range(len(table)) if answers[i]]
        table.notes.append(
            f"{files[0].name}: corrected the position of {self.moved:,} answers; excluded {self.missing:,} answers "
            f"that are not in their context, and {len(table) - len(selected):,} questions without another answer."
        )
        return table.take(selected)

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.json`` file is like SQuAD's, and its ids are those of CMRC 2018.

        Args:
            path: the file.
        """
        return super().matches(path) and bool(_ID.search(read_head(path, _HEAD)))

    def answer(self, answer: Json, context: str, where: str) -> RawAnswer:
        text, start = member(answer, "text", str, where), member(answer, "answer_start", int, where)
        position = nearest(text, start, context)
        self.missing += position is None
        self.moved += position is not None and position != start
        return {"text": text if position is not None else "", "start": position}


def nearest(text: str, start: int, context: str) -> int | None:
    """Return the position of ``text`` in ``context`` nearest to ``start``.

    Args:
        text: the answer.
        start: where it should be, in characters.
        context: the text that contains it.

    Returns:
        The position in characters; None if the context does not contain the text.
    """
    before, after = context.rfind(text, 0, max(0, start) + len(text)), context.find(text, max(0, start))
    positions = [position for position in (before, after) if text and position >= 0]
    return min(positions, key=lambda position: abs(position - start), default=None)
