"""Labels of texts as annotation tools export them: Label Studio, Prodigy and spaCy.

    {"data": {"text": "..."}, "annotations": [{"result": [{"type": "choices", "value": {"choices": ["pos"]}}]}]}
    {"text": "...", "options": [...], "accept": ["pos"], "answer": "accept"}
    {"text": "...", "label": "pos", "answer": "accept"}
    {"text": "...", "cats": {"pos": 1.0, "neg": 0.0}}

Texts that nobody has annotated, and those whose answer in Prodigy is not ``accept``, are skipped and counted: a label
that was rejected is not the label of the text.
"""

from __future__ import annotations

from workbench.data.cells.entities import is_annotations
from workbench.data.columns import CLASSES
from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, find_column, first_values, shapes, unprinted
from workbench.data.shapes.spans import TEXTS, text_in, text_key, unprinted_object, without_rejected
from workbench.errors import DataError
from workbench.types import Json

ANNOTATIONS = ("annotations", "completions")
MIN_CATEGORY = 0.5  # from which on a category of spaCy applies


@shapes.register("class-annotations")
class ClassAnnotations(Shape):
    """Labels of texts as annotation tools export them."""

    roles = ("text", "label")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("label").kind not in CLASSES or "label" in needs.chosen:
            return False
        return _form(table) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        form = _form(table)
        if form is None:
            raise DataError(f"{table.name} lacks the annotations of the training data.", "Use the same columns.")
        kind, column = form
        table, rejected = without_rejected(table)
        if kind == "answer":
            _refuse_single_label(table, column, rejected)
        labels = [_labels(kind, unprinted(value)) for value in table.columns[column]]
        annotated = [i for i, own in enumerate(labels) if own is not None]
        if not annotated:
            raise DataError(f"{table.name}: no text is annotated.", "Annotate the texts, and export them again.")
        result = table.take(annotated)
        texts, key = find_column(result, (*TEXTS, "data")), None
        columns = {name: values for name, values in result.columns.items() if name != column}
        if texts is not None:
            key = text_key(result, texts)
            columns[texts] = [text_in(unprinted_object(value), key) for value in result.columns[texts]]
            columns = {needs.name("text") if name == texts else name: values for name, values in columns.items()}
        several = needs.column("label").kind == "labels"
        columns[needs.name("label")] = [_cell(labels[i], several) for i in annotated]
        result = result.with_columns(columns)
        notes = (
            (True, f"the labels are those of column {column!r}."),
            (rejected, f"skipped {rejected:,} rows whose answer is not accept."),
            (
                len(labels) - len(annotated),
                f"skipped {len(labels) - len(annotated):,} texts that nobody has annotated.",
            ),
        )
        result.notes = [*table.notes, *(f"{table.name}: {note}" for count, note in notes if count)]
        return result


def _form(table: Table) -> tuple[str, str] | None:
    """Return the tool's form and the column of its labels; None if the table has another form."""
    column = find_column(table, ANNOTATIONS)
    if column is not None:
        results = [value for value in first_values(table, column) if is_annotations(value)]
        if any(_labels("choices", value) for value in results):
            return "choices", column
    column = find_column(table, ("cats",))
    if column is not None and all(isinstance(value, dict) for value in first_values(table, column)):
        return "cats", column
    answer, accepted = find_column(table, ("answer",)), find_column(table, ("accept",))
    if answer is None or not set(map(str, table.columns[answer])) <= {"accept", "reject", "ignore"}:
        return None
    if accepted is not None and all(isinstance(value, list) for value in first_values(table, accepted)):
        return "accept", accepted
    label = find_column(table, ("label",))
    return ("answer", label) if label is not None else None


def _labels(kind: str, value: Json) -> list[Json] | None:
    """Return the labels of a cell; None if nobody has annotated it."""
    if kind == "choices":
        annotations = value if isinstance(value, list) else []
        done = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
        results = done[0].get("result") if done else None
        values = [each.get("value") for each in results if isinstance(each, dict)] if isinstance(results, list) else []
        labels = [label for each in values if isinstance(each, dict) for label in _list(each.get("choices"))]
        return labels or None
    if kind == "cats":
        scores = value.items() if isinstance(value, dict) else ()
        return [name for name, score in scores if isinstance(score, bool | int | float) and score >= MIN_CATEGORY]
    return _list(value)


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _cell(labels: list[Json] | None, several: bool) -> Json:
    if several:
        return labels
    return labels[0] if labels is not None and len(labels) == 1 else labels or None


def _refuse_single_label(table: Table, column: str, rejected: int) -> None:
    """Raise DataError if all rows ask for the same label: then the answer is what has to be learned."""
    names = {str(value) for value in table.columns[column]}
    if rejected and len(names) == 1:
        raise DataError(
            f"{table.name}: each row has the label {next(iter(names))[:40]!r}, and its answer says whether it applies.",
            "To learn the answer, name it: columns: {label: answer}.",
        )
