"""What a finished run answered, as parts that any face can draw: bars, marked text, a table, written text, a fact.

``Predictor.predict`` answers with a dictionary whose keys the task chose. Here stands which of them mean what to the
eye, so that a page and a notebook draw the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.data.columns import Column
from workbench.tasks.base import Task

MOST_BARS = 12
PAIR_MARK = " ⟂ "  # stands between two inputs in the predictions, and
CHOICE_MARK = " | "  # between choices


@dataclass(frozen=True)
class Fact:
    """A word or a number that is the answer, and what it is: ``Fact("Label", "fresh")``."""

    name: str
    value: str | float


@dataclass(frozen=True)
class Bars:
    """Probabilities of what could have been the answer, best first.

    Args:
        name: what they are of.
        values: of each its name and its probability, 0 to 1.
        left_out: how many more there are.
    """

    name: str
    values: tuple[tuple[str, float], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Span:
    """A marked part of a text, from character ``start`` to before ``end``; ``score`` is 0 to 1."""

    start: int
    end: int
    label: str
    score: float


@dataclass(frozen=True)
class Marked:
    """A text with what the model found in it, in the order of the text."""

    name: str
    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Ranked:
    """Texts in the model's order, the best first, each with its score (a cosine can be below 0)."""

    name: str
    rows: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Written:
    """Text that the model wrote; ``code`` when it is Python."""

    text: str
    code: bool = False


Answer = Fact | Bars | Marked | Ranked | Written


def input_fields(task: Task) -> list[Column]:
    """What a person is asked for: the task's inputs without those that only say another one in another form."""
    asked = list(task.inputs())
    roles = {column.role for column in asked}
    twice = {"words"} if "text" in roles else set()
    if {"prompt", "text"} <= roles and not any(column.required for column in asked):
        twice.add("text")
    return [column for column in asked if column.role not in twice]


def inputs_from_row(columns: Sequence[Column], written: str) -> dict[str, Any]:
    """What a row of a run's predictions asked, by role; empty where its text alone does not tell.

    Args:
        columns: what ``input_fields`` gives.
        written: the row's ``input``.
    """
    needed = [column for column in columns if column.required]
    first, mark, second = written.partition(PAIR_MARK)
    if len(needed) == 1 and needed[0].kind == "text":
        return {needed[0].role: written}
    if len(needed) == 2 and mark and needed[0].kind == "text":
        other = second.split(CHOICE_MARK) if needed[1].kind == "texts" else second
        return {needed[0].role: first, needed[1].role: other}
    return {}


def to_answers(task: Task, given: Mapping[str, Any], result: Mapping[str, Any]) -> list[Answer]:
    """The answer to one input as parts, the most important first.

    Args:
        task: whose answer it is.
        given: what was asked: role and text.
        result: what ``Predictor.predict`` gave for it.
    """
    parts: list[Answer] = []
    if "answer" in result:
        parts += _found_answer(given, result)
    elif "entities" in result:
        parts.append(_entities(result))
    elif "ranked" in result:
        parts.append(
            Ranked("Best first", tuple((str(each["text"]), float(each["score"])) for each in result["ranked"]))
        )
    elif "similarity" in result:
        parts.append(Fact("Similarity, -1 to 1", float(result["similarity"])))
    elif "embedding" in result:
        parts += _vector(result["embedding"])
    elif "scores" in result:
        parts += _classes(result)
    elif "text" in result:
        parts.append(Written(str(result["text"]), code=task.generates_code))
    for place, candidates in enumerate(result.get("masks") or (), start=1):
        parts.append(_bars(f"Gap {place}", [(str(each["token"]), float(each["score"])) for each in candidates]))
    if result.get("unread_tokens"):
        parts.append(Fact("Tokens at the end that were not read", float(result["unread_tokens"])))
    return parts


def _found_answer(given: Mapping[str, Any], result: Mapping[str, Any]) -> list[Answer]:
    """The answer marked in the text that it was found in, and what else it might have been."""
    context = str(given.get("context") or "")
    if result.get("no_answer"):
        parts: list[Answer] = [
            Fact("Answer", "none: the text does not tell"),
            Marked("", context, ()),
        ]
    else:
        span = Span(int(result["start"]), int(result["end"]), "answer", float(result["score"]))
        parts = [Fact("Answer", str(result["answer"])), Marked("", context, (span,))]
    others = [(str(each["answer"]), float(each["score"])) for each in result.get("candidates") or ()]
    return [*parts, _bars("Candidates", others)] if others else parts


def _entities(result: Mapping[str, Any]) -> Marked:
    found = [
        Span(int(each["start"]), int(each["end"]), str(each["label"]), float(each["score"]))
        for each in result["entities"]
    ]
    return Marked("", str(result["text"]), tuple(sorted(found, key=lambda span: (span.start, span.end))))


def _vector(numbers: Sequence[float]) -> list[Answer]:
    begin = ", ".join(f"{number:.3f}" for number in numbers[:8])
    more = ", ..." if len(numbers) > 8 else ""
    return [Fact(f"A vector of {len(numbers):,} numbers", begin + more)]


def _classes(result: Mapping[str, Any]) -> list[Answer]:
    if "labels" in result:
        fact = Fact("Labels", ", ".join(map(str, result["labels"])) or "none is likely enough")
    elif "choice" in result:
        fact = Fact("Choice", str(result["choice"]))
    elif "relation" in result:
        fact = Fact("Relation", f"{result['relation']}: from {result['from']} to {result['to']}")
    else:
        fact = Fact("Label", str(result["label"]))
    return [fact, _bars("Probabilities", [(str(name), float(score)) for name, score in result["scores"].items()])]


def _bars(name: str, values: list[tuple[str, float]]) -> Bars:
    best = sorted(values, key=lambda item: -item[1])
    return Bars(name, tuple(best[:MOST_BARS]), max(0, len(best) - MOST_BARS))
