"""A text with a tag for each of its words, or of its characters, in columns of any usual name.

    {"text": "Ada sings", "labels": ["B-PER", "O"]}         sentence,word_labels
    {"text": "小明在北京", "labels": ["B-PER", "I-PER", ...]}   Ada sings,"B-PER,O"

Whether the tags are those of the words or of the characters is decided by their number, in the first rows. Tags of
spaces are left out.
"""

from __future__ import annotations

from workbench.data.cells.values import as_tags, as_words
from workbench.data.readers.table import Table
from workbench.data.shapes.base import LOOKED_AT, Needs, Shape, shapes
from workbench.errors import DataError
from workbench.types import Json

TEXTS = ("text", "sentence", "sent", "content", "query", "utterance", "source", "chars", "characters", "input")
TAGS = (
    *("tags", "ner_tags", "labels", "label", "word_labels", "ner", "ner_labels", "tag", "iob", "bio", "slots"),
    *("ner_tag", "tag_sequence", "target", "output"),
)
MIN_ALIKE = 0.6  # share of the first rows with as many tags as words, or as characters


@shapes.register("tagged-texts")
class TaggedTexts(Shape):
    """A text with a tag for each of its words or characters."""

    roles = ("words", "tags")

    def matches(self, table: Table, needs: Needs) -> bool:
        if needs.column("words").kind != "words" or needs.column("tags").kind != "tags":
            return False
        columns = _columns(table, needs)
        if columns is None:
            return False
        unit = _unit(table, *columns)
        usual = all(
            needs.find(table, role, needs.column(role).guesses) == name
            for role, name in zip(self.roles, columns, strict=True)
        )
        return unit == "characters" or (unit == "words" and not usual)

    def convert(self, table: Table, needs: Needs) -> Table:
        columns = _columns(table, needs)
        if columns is None:
            raise DataError(f"{table.name} lacks the texts or tags of the training data.", "Use the same columns.")
        texts, tags = columns
        unit = _unit(table, texts, tags)
        words, tag_lists = list(table.columns[texts]), list(table.columns[tags])
        if unit == "characters":
            for i, text in enumerate(words):
                words[i], tag_lists[i] = _by_character(text, tag_lists[i])
        rest = {name: values for name, values in table.columns.items() if name not in columns}
        result = table.with_columns({**rest, needs.name("words"): words, needs.name("tags"): tag_lists})
        result.notes = [
            *table.notes,
            f"{table.name}: the tags in column {tags!r} are those of the {unit or 'words'} in column {texts!r}.",
        ]
        return result


def _columns(table: Table, needs: Needs) -> tuple[str, str] | None:
    texts = needs.find(table, "words", (*needs.column("words").guesses, *TEXTS))
    others = Table(table.name, {name: [] for name in table.columns if name != texts}, [])
    tags = needs.find(others, "tags", (*needs.column("tags").guesses, *TAGS))
    return (texts, tags) if texts is not None and tags is not None else None


def _unit(table: Table, texts: str, tags: str) -> str | None:
    """Return what the tags of the first rows belong to: words, characters, or nothing that is recognized."""
    total = words = characters = several = 0
    for text, cell in zip(table.columns[texts], table.columns[tags], strict=True):
        try:
            count = len(as_tags(cell))
            own = as_words(text)
        except ValueError:
            continue
        if not own or not count:
            continue
        total += 1
        several += count > 1
        words += len(own) == count
        size = len("".join(text.split())) if isinstance(text, str) else 0
        characters += isinstance(text, str) and count in (len(text), size)
        if total == LOOKED_AT:
            break
    if not several:
        return None
    if words >= MIN_ALIKE * total:
        return "words"
    return "characters" if characters >= MIN_ALIKE * total else None


def _by_character(text: Json, cell: Json) -> tuple[Json, Json]:
    """Return the characters of a text without spaces, and their tags; what does not fit stays, and is refused later."""
    try:
        tags = as_tags(cell)
    except ValueError:
        return text, cell
    if not isinstance(text, str):
        return text, cell
    visible = [i for i, character in enumerate(text) if not character.isspace()]
    characters: list[Json] = [text[i] for i in visible]
    return characters, [*(tags[i] for i in visible)] if len(tags) == len(text) else [*tags]
