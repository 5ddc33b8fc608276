"""The answers of a model, printed for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.cli.output import console, hanging, table
from workbench.i18n import _
from workbench.tasks.answers import (
    Answer,
    Choice,
    Embedding,
    ExtractedAnswer,
    FilledMasks,
    GeneratedText,
    LabeledSpans,
    Number,
    Ranking,
    ScoredLabels,
    Similarity,
    Span,
)
from workbench.tasks.contexts import TaskInput

MAX_SHOWN = 300  # characters of an input above its answer


def show_answers(inputs: Sequence[TaskInput], answers: Sequence[Answer]) -> None:
    """Print labels as a table, and any other answer under its input.

    Args:
        inputs: role and text of each.
        answers: the answer to each.
    """
    if all(isinstance(answer, (ScoredLabels, Choice)) for answer in answers):
        rows = [
            {"label": _labels(answer), "score": answer.score, "text": _shown(each)}
            for each, answer in zip(inputs, answers, strict=True)
            if isinstance(answer, (ScoredLabels, Choice))
        ]
        table(rows, {"label": _("label"), "score": ">" + _("probability"), "text": _("text")}, _("There is no input."))
        return
    if all(isinstance(answer, Number) for answer in answers):
        values = [
            {"value": _number(answer.value), "text": _shown(each)}
            for each, answer in zip(inputs, answers, strict=True)
            if isinstance(answer, Number)
        ]
        table(values, {"value": ">" + _("number"), "text": _("text")}, _("There is no input."))
        return
    for each, answer in zip(inputs, answers, strict=True):
        console.print(_shown(each), style="bold", markup=False, soft_wrap=True)
        _show_answer(each, answer)


def _show_answer(inputs: TaskInput, answer: Answer) -> None:
    """Print one answer: text alone, numbers with their names, lists line by line."""
    match answer:
        case GeneratedText():
            _show_text(answer.text)
            if answer.unread_tokens:
                hanging(f"unread_tokens: {answer.unread_tokens}")
        case FilledMasks():
            _show_text(answer.text)
            for number, candidates in enumerate(answer.masks, start=1):
                tokens = ", ".join(f"{each.text} {each.score:.3f}" for each in candidates)
                hanging(f"[MASK] {number}: {tokens}")
        case ExtractedAnswer():
            _show_text(answer.text)
            start, end = (None, None) if answer.span is None else (answer.span.start, answer.span.end)
            _show_values({"start": start, "end": end, "score": answer.score, "no_answer": answer.no_answer})
            _show_list("candidates", [_span(span, "answer") for span in answer.candidates])
        case LabeledSpans():
            if answer.text != inputs.get("text"):
                _show_text(answer.text)
            _show_list("entities", [_span(span, "text") for span in answer.spans])
        case Ranking():
            if answer.text != inputs.get("text"):
                _show_text(answer.text)
            _show_values({"score": answer.score})
            _show_list("ranked", [f"text {item.text}  score {_number(item.score)}" for item in answer.items])
        case Number():
            _show_values({"value": answer.value})
        case Similarity():
            _show_values({"similarity": answer.score})
        case Embedding():
            _show_list("embedding", [_number(coordinate) for coordinate in answer.vector])
        case _:
            _show_values({"label": _labels(answer), "score": answer.score})


def _show_text(text: str) -> None:
    hanging(text or _("(empty)"))


def _show_values(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        hanging(f"{name}: {_number(value)}")


def _show_list(name: str, lines: Sequence[str]) -> None:
    hanging(f"{name}: {len(lines)}" if lines else _("{name}: none").format(name=name))
    for line in lines:
        hanging(line, indent=8)


def _span(span: Span, name: str) -> str:
    label = f"  label {span.label}" if span.label else ""
    return f"{name} {span.text}{label}  start {span.start}  end {span.end}  score {_number(span.score)}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _shown(inputs: TaskInput) -> str:
    """Return an input on one line."""
    parts = [" | ".join(map(str, value)) if isinstance(value, list) else str(value) for value in inputs.values()]
    text = "  ⟂  ".join(parts)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def _labels(answer: ScoredLabels | Choice) -> str:
    if isinstance(answer, ScoredLabels) and answer.labels is not None:
        return ", ".join(answer.labels) or _("(none)")
    return answer.label
