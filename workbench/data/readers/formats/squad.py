"""SQuAD's JSON, versions 1.1 and 2.0: articles, their paragraphs, and questions with answers by position.

    {"data": [{"title": "Ada", "paragraphs": [{"context": "Ada was born in Quito.", "qas": [
        {"id": "1", "question": "Where was Ada born?", "answers": [{"text": "Quito", "answer_start": 16}]}]}]}]}

The keys may be in any order, and further ones are ignored. DRCD has the same form. A list of paragraphs without
articles is read as well, and so is CMRC's first form (``context_text``, ``query_text``, and answers without a position,
which are taken where they first occur).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member, read_head
from workbench.data.readers.table import BadRow, Table
from workbench.errors import DataError
from workbench.types import Json, JsonObject

_HEAD = 1 << 18  # bytes that show whether a file is in this format
_BEGINNING = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\{|\[\s*\{)")


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
        rows: list[int] = []
        bad: list[BadRow] = []
        for number, (title, context, question) in enumerate(_questions(file), start=1):
            where = f"{file.name}, question {number}"
            answers = [] if question.get("is_impossible") is True else member(question, "answers", list, where)
            name = "query_text" if "query_text" in question else "question"
            text = member(question, name, str, where)
            try:
                own = [self.answer(_located(answer, context), context, where) for answer in answers]
            except DataError as error:
                bad.append(BadRow(number, "the answer is not valid", error.message, error.hint))
                continue
            for key, value in zip(columns, (text, context, own, title), strict=True):
                columns[key].append(value)
            rows.append(number)
        if bad and not rows:
            raise DataError(bad[0].message, bad[0].hint)
        table = self.table(columns, rows)
        table.bad_rows = bad
        table.group = "title"
        return table

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.json`` file begins like SQuAD's: an object with data, articles and paragraphs.

        Args:
            path: the file.
        """
        if path.suffix.lower() not in (".json", ".jsonl"):
            return False
        head = read_head(path, _HEAD)
        begins = _BEGINNING.match(head)
        if not begins:
            return False
        if b"[" in begins[0] or path.suffix.lower() == ".jsonl":
            return b'"qas"' in head and b'"context' in head
        return bool(re.search(rb'"data"\s*:\s*\[', head)) and (b'"paragraphs"' in head or b'"qas"' in head)

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


def _document(file: RawFile) -> Json:
    """Return the content of a file; of one with an object on each line those that have questions."""
    if file.name.lower().endswith(".jsonl"):
        lines = [record for _, record in file.json_lines()]
        return [record for record in lines if not isinstance(record, dict) or "header" not in record]
    return file.json()


def _located(answer: Json, context: str) -> Json:
    """Return an answer with its position as a number: a text without one is taken where it first occurs."""
    if isinstance(answer, str):
        return {"text": answer, "answer_start": context.find(answer)}
    start = answer.get("answer_start") if isinstance(answer, dict) else None
    if isinstance(answer, dict) and isinstance(start, str) and re.fullmatch(r"\s*\d{1,9}\s*", start):
        return {**answer, "answer_start": int(start)}
    return answer


def _questions(file: RawFile) -> Iterator[tuple[str, str, JsonObject]]:
    """Yield the title, the context and the object of each question."""
    count = 0
    document = _document(file)
    articles = document if isinstance(document, list) and document else member(document, "data", list, file.name)
    for number, article in enumerate(articles, start=1):
        where = f"{file.name}, article {number}"
        title = article.get("title") if isinstance(article, dict) else None
        is_paragraph = isinstance(article, dict) and "qas" in article and "paragraphs" not in article
        for paragraph in [article] if is_paragraph else member(article, "paragraphs", list, where):
            key = "context_text" if isinstance(paragraph, dict) and "context_text" in paragraph else "context"
            context = member(paragraph, key, str, where)
            for question in member(paragraph, "qas", list, where):
                count += 1
                if not isinstance(question, dict):
                    raise malformed(f"{file.name}, question {count}", "an object is needed")
                yield str(title or number), context, question
