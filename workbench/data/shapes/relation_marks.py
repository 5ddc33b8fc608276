"""Sentences whose two expressions have marks other than ``<e1>`` and ``<e2>``.

    The [E1]film[/E1] was in a [E2]box[/E2].        [E11] film [E12] ... [E21] box [E22]
    The <head>film</head> was in a <tail>box</tail>. <subj> ... </subj> <obj> ... </obj>

They are rewritten as ``<e1>...</e1>`` and ``<e2>...</e2>``, without the spaces inside.
"""

from __future__ import annotations

import re

from workbench.data.readers.table import Table
from workbench.data.shapes.base import Needs, Shape, first_values, shapes

TEXTS = ("text", "sentence", "context")
_SECOND = ("2", "tail", "obj", "object")  # how the names of the second expression end
_MARK = re.compile(
    r"[<\[](?P<close>/?)(?P<name>e(?:ntity)?_?[12]|head|tail|subj(?:ect)?|obj(?:ect)?)"
    r"(?P<border>[ _-]?(?:start|end|begin)|[12])?[>\]]",
    re.IGNORECASE,
)
_USUAL = re.compile(r"</?e[12]>")


@shapes.register("relation-marks")
class RelationMarks(Shape):
    """Sentences whose two expressions have other marks."""

    roles = ("text",)

    def matches(self, table: Table, needs: Needs) -> bool:
        column = needs.find(table, "text", TEXTS)
        if not needs.has("head", "tail", "label") or column is None:
            return False
        texts = [value for value in first_values(table, column) if isinstance(value, str)]
        return bool(texts) and all(_is_marked(_rewrite(text)) and not _is_marked(text) for text in texts)

    def convert(self, table: Table, needs: Needs) -> Table:
        column = needs.find(table, "text", TEXTS) or needs.name("text")
        texts = [_rewrite(text) if isinstance(text, str) else text for text in table.columns[column]]
        others = {name: values for name, values in table.columns.items() if name != column}
        result = table.with_columns({**others, needs.name("text"): texts})
        result.notes = [*table.notes, f"{table.name}: the marks in column {column!r} were read as <e1> and <e2>."]
        return result


def _is_marked(text: str) -> bool:
    return set(_USUAL.findall(text)) == {"<e1>", "</e1>", "<e2>", "</e2>"}


def _rewrite(text: str) -> str:
    """Return a text with the usual marks."""

    def mark(match: re.Match[str]) -> str:
        border = (match["border"] or "").strip(" _-").casefold()
        closes = bool(match["close"]) or border in ("end", "2")
        number = 2 if match["name"].casefold().endswith(_SECOND) else 1
        return f"<{'/' if closes else ''}e{number}>"

    marked = _MARK.sub(mark, text)
    return re.sub(r"\s+(?=</e[12]>)", "", re.sub(r"(?<=<e[12]>)\s+", "", marked))
