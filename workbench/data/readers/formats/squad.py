"""SQuAD's JSON, versions 1.1 and 2.0: articles, their paragraphs, and questions with answers by place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member
from workbench.data.readers.table import Table

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*(?:"version"\s*:\s*"[^"]*"\s*,\s*)?"data"\s*:\s*\[')


@formats.register("squad")
class Squad(Format):
    """Questions, their contexts and answers; no answer where a question is marked as impossible."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        columns: dict[str, list[Any]] = {name: [] for name in ("question", "context", "answers", "title")}
        for number, (title, context, asked) in enumerate(_questions(file), start=1):
            where = f"{file.name}, question {number}"
            answers = [] if asked.get("is_impossible") is True else member(asked, "answers", list, where)
            columns["question"].append(member(asked, "question", str, where))
            columns["context"].append(context)
            columns["answers"].append([self.answer(answer, context, where) for answer in answers])
            columns["title"].append(title)
        table = self.table(columns, range(1, len(columns["title"]) + 1))
        table.group = "title"
        return table

    @classmethod
    def knows(cls, path: Path) -> bool:
        """A ``.json`` file that begins like SQuAD's: an object with data, articles and paragraphs."""
        if path.suffix.lower() != ".json":
            return False
        try:
            with open(path, "rb") as file:
                head = file.read(1 << 16)
        except OSError:
            return False
        return bool(_HEAD.match(head)) and b'"paragraphs"' in head

    def answer(self, answer: Any, context: str, where: str) -> dict[str, Any]:
        """One answer. Raises DataError when its text does not stand at its place."""
        text, start = member(answer, "text", str, where), member(answer, "answer_start", int, where)
        if not text or start < 0 or context[start : start + len(text)] != text:
            raise malformed(where, f"the answer {text[:60]!r} does not stand at character {start} of its context")
        return {"text": text, "start": start}


def _questions(file: RawFile) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The title, the context and the object of each question."""
    number = 0
    for place, article in enumerate(member(file.json(), "data", list, file.name), start=1):
        where = f"{file.name}, article {place}"
        title = article.get("title") if isinstance(article, dict) else None
        for paragraph in member(article, "paragraphs", list, where):
            context = member(paragraph, "context", str, where)
            for asked in member(paragraph, "qas", list, where):
                number += 1
                if not isinstance(asked, dict):
                    raise malformed(f"{file.name}, question {number}", "an object is needed")
                yield str(title or place), context, asked
