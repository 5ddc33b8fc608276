"""CMRC 2018: SQuAD's JSON whose places of answers are not always right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workbench.data.readers.formats.base import RawFile, formats, member
from workbench.data.readers.formats.squad import Squad
from workbench.data.readers.table import Table


@formats.register("cmrc2018")
class Cmrc2018(Squad):
    """Like SQuAD; an answer that stands nearby is moved there, and one that stands nowhere is left out, and counted."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        self.moved = self.gone = 0
        table = super().read(files, part)
        answers = table.columns["answers"]
        for i, given in enumerate(answers):
            answers[i] = [answer for answer in given if answer["text"]]
        kept = [i for i in range(len(table)) if answers[i]]
        table.notes.append(
            f"{files[0].name}: {self.moved:,} answers stood a little beside their place and were moved to it; "
            f"{self.gone:,} stand nowhere in their context and were left out, and with them "
            f"{len(table) - len(kept):,} questions that have no other."
        )
        return table.take(kept)

    def answer(self, answer: Any, context: str, where: str) -> dict[str, Any]:
        text, start = member(answer, "text", str, where), member(answer, "answer_start", int, where)
        found = nearest(text, start, context)
        self.gone += found is None
        self.moved += found is not None and found != start
        return {"text": text if found is not None else "", "start": found}


def nearest(text: str, start: int, context: str) -> int | None:
    """Where ``text`` stands in ``context`` nearest to ``start``; None when it does not."""
    before, after = context.rfind(text, 0, max(0, start) + len(text)), context.find(text, max(0, start))
    places = [place for place in (before, after) if text and place >= 0]
    return min(places, key=lambda place: abs(place - start), default=None)
