"""SQuAD's JSON, versions 1.1 and 2.0: articles, their paragraphs, and questions with answers by position."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table
from workbench.types import Json, JsonObject

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"version"\s*:\s*"[^"]*"\s*,\s*)?"data"\s*:\s*\[')


class RawAnswer(TypedDict):
    """An answer as it is in the file; ``start`` is None if the context does not contain it."""

    text: str
    start: int | None


@formats.register("squad")
class Squad(Format):
    """Questions, their contexts and answers; no answer if a question is marked as impossible."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {name: [] for name in ("question", "context", "answers", "title")}
        for number, (title, context, question) in enumerate(_questions(file), start=1):
            where = f"{file.name}, question {number}"
            answers = [] if question.get("is_impossible") is True else member(question, "answers", list, where)
            columns["question"].append(member(question, "question", str, where))
            columns["context"].append(context)
            columns["answers"].append([self.answer(answer, context, where) for answer in answers])
            columns["title"].append(title)
        table = self.table(columns, range(1, len(columns["title"]) + 1))
        table.group = "title"
        return table

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.json`` file begins like SQuAD's: an object with data, articles and paragraphs.

        Args:
            path: the file.
        """
        if path.suffix.lower() != ".json":
            return False
        try:
            with open(path, "rb") as file:
                head = file.read(1 << 16)
        except OSError:
            return False
        return bool(_HEAD.match(head)) and b'"paragraphs"' in head

    def answer(self, answer: Json, context: str, where: str) -> RawAnswer:
        """Return one answer.

        Args:
            answer: the answer in the file.
            context: the text that contains it.
            where: its location, for messages.

        Raises:
            DataError: its text is not at its position.
        """
        text, start = member(answer, "text", str, where), member(answer, "answer_start", int, where)
        if not text or start < 0 or context[start : start + len(text)] != text:
            raise malformed(where, f"the answer {text[:60]!r} is not at character {start} of its context")
        return {"text": text, "start": start}


def _questions(file: RawFile) -> Iterator[tuple[str, str, JsonObject]]:
    """Yield the title, the context and the object of each question."""
    count = 0
    for number, article in enumerate(member(file.json(), "data", list, file.name), start=1):
        where = f"{file.name}, article {number}"
        title = article.get("title") if isinstance(article, dict) else None
        for paragraph in member(article, "paragraphs", list, where):
            context = member(paragraph, "context", str, where)
            for question in member(paragraph, "qas", list, where):
                count += 1
                if not isinstance(question, dict):
                    raise malformed(f"{file.name}, question {count}", "an object is needed")
                yield str(title or number), context, question
