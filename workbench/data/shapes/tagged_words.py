"""Texts whose words have their tags behind them: ``word/TAG``, ``word_TAG`` and ``word|TAG``.

    Ada/NNP sings/VBZ ./.           迈向/v 充满/v 希望/n 的/u 新/a 世纪/n

This is how part-of-speech corpora are written (Penn Treebank, Brown, People's Daily). A ``.txt`` file has one sentence
per line. A slash inside a word is written ``\\/``. Brackets around several words (``[中国/ns 政府/n]nt``) and the
number before a paragraph of the People's Daily are left out.
"""

from __future__ import annotations

from workbench.data.cells.slash_tags import find_sign, read_tagged
from workbench.data.readers.table import Table, convert_rows
from workbench.data.shapes.base import Needs, Shape, first_values, refused, shapes
from workbench.data.shapes.tagged_texts import TEXTS
from workbench.errors import DataError

_HINT = "Write a tag behind each word: Ada/NNP sings/VBZ."


@shapes.register("tagged-words")
class TaggedWords(Shape):
    """Texts whose words have their tags behind them."""

    roles = ("words", "tags")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("words").kind != "words" or needs.column("tags").kind != "tags" or "tags" in needs.chosen:
            return False
        return _find(table, needs) is not None

    def convert(self, table: Table, needs: Needs) -> Table:
        form = _find(table, needs)
        if form is None:
            raise DataError(f"{table.name} lacks the tagged texts of the training data.", "Use the same columns.")
        column, sign = form

        def read_row(i: int) -> tuple[list[str], list[str]]:
            text = table.columns[column][i]
            pairs = read_tagged(text, sign) if isinstance(text, str) else None
            if not pairs:
                raise refused(table.where(i), f"holds {str(text)[:60]!r}, in which a word has no tag", _HINT)
            return [word for word, _ in pairs], [tag for _, tag in pairs]

        good, rows = convert_rows(table, read_row, "a word has no tag")
        rest = {name: values for name, values in good.columns.items() if name != column}
        words, tags = [row[0] for row in rows], [row[1] for row in rows]
        result = good.with_columns({**rest, needs.name("words"): words, needs.name("tags"): tags})
        example = f"{words[0][0]}{sign}{tags[0][0]}"[:40]
        result.notes = [
            *table.notes,
            f"{table.name}: column {column!r} holds words with their tags, such as {example!r}.",
        ]
        return result


def _find(table: Table, needs: Needs) -> tuple[str, str] | None:
    """Return the column of the texts, and what separates a word and its tag."""
    column = needs.find(table, "words", (*needs.column("words").guesses, *TEXTS))
    if column is None:
        return None
    values = first_values(table, column)
    texts = [value for value in values if isinstance(value, str)]
    sign = find_sign(texts) if len(texts) == len(values) else None
    return (column, sign) if sign is not None else None
