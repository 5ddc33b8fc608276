"""How the tags of words are written: the sign for words outside any entity, and where a tag has its prefix.

The first form is what tasks read; the others are recognized and rewritten:

    B-PER I-PER O         a prefix, a hyphen and the type
    PER-B PER-I O         the letter behind the type
    B_PER b-per B:PER     another sign, or small letters
    B     I     O         no type: all entities have the type ENTITY
    B-PER I-PER 0         another sign for words outside (0, _, o, OUT, NONE, ...)
    1     2     0         numbers, with their names in ``data.label_names``
    PER   PER   O         types without a prefix

What is neither plainly one form nor another is refused: a tag that is misread would be learned as an entity.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.data.cells.values import as_tags
from workbench.data.examples import SplitName
from workbench.data.labels.lists import name_of
from workbench.data.labels.parts_of_speech import are_parts_of_speech
from workbench.data.readers.table import MalformedRowError, Table, convert_rows
from workbench.data.report import format_list
from workbench.errors import DataError

ENTITY = "ENTITY"  # the type of entities whose tags have no type
OUTSIDE = "O"
SURE_SIGNS = frozenset(("0", "_", "o", "-"))  # never a type
OUTSIDE_SIGNS = SURE_SIGNS | {
    *("out", "outside", "other", "others", "none", "null", "nil", "n", "no", "na", "n/a", "x", "*", ".", "pad"),
    *("non-entity", "nonentity", "no_entity", "not_entity", "o-o", "b-o", "i-o", "notag", "no_tag", "false"),
}
MIN_OUTSIDE = 0.2  # share of all tags that the sign for words outside must have

_LETTERS = "BIESMLUW"
_STANDARD = re.compile(rf"[{_LETTERS}]-.+", re.DOTALL)
_POSITION = rf"(?P<letter>[{_LETTERS}]|begin|beg|inside|in|middle|mid|end|last|single|unit|unique)"
_PREFIXED = re.compile(rf"{_POSITION}(?P<sign>[-_:/.| ])(?P<type>.+)", re.DOTALL | re.IGNORECASE)
_SUFFIXED = re.compile(rf"(?P<type>.+)(?P<sign>[-_:/.| ]){_POSITION}", re.DOTALL | re.IGNORECASE)
_GLUED = re.compile(rf"(?P<letter>[{_LETTERS}])(?P<sign>)(?P<type>.+)", re.DOTALL)
_UNTYPED = re.compile(rf"[{_LETTERS}{_LETTERS.lower()}]-?")
_NUMBER = re.compile(r"-?\d+(?:\.0)?")


@dataclass(frozen=True)
class TagStyle:
    """How the tags of a column are written.

    Attributes:
        outside: the sign for words outside any entity; empty if every word belongs to one.
        pattern: finds the letter and the type of a tag; None if tags are used as they are.
        untyped: whether tags are a letter without a type.
        note: what was recognized, in a sentence; empty if tags are in the usual form.
    """

    outside: str = OUTSIDE
    pattern: re.Pattern[str] | None = None
    untyped: bool = False
    note: str = ""

    def rewrite(self, tag: str) -> str:
        """Return a tag in the usual form.

        Args:
            tag: as it is in the file.
        """
        if tag == self.outside:
            return OUTSIDE
        if self.untyped:
            return f"{_letter(tag[0])}-{ENTITY}" if _UNTYPED.fullmatch(tag) else tag
        match = self.pattern.fullmatch(tag) if self.pattern is not None else None
        return f"{_letter(match['letter'])}-{match['type']}" if match else tag


def _letter(letter: str) -> str:
    return letter[0].upper().replace("W", "S")  # BMEWO calls an entity of one word W


def normalize_tags(
    tables: Mapping[SplitName, Table], column: str, names: Sequence[str] | None, outside: str | None, verbatim: bool
) -> dict[SplitName, Table]:
    """Return the tables with tags such as ``B-PER`` and ``O``.

    Args:
        tables: the table of each split.
        column: the column with the tags.
        names: names of the tags, for a column with numbers.
        outside: the sign for words outside any entity; empty if every word belongs to one; None decides by evidence.
        verbatim: whether a prefix is part of the type.

    Raises:
        DataError: the tags are numbers without names, none is the sign for words outside, or their form is unclear.
    """
    tables = dict(tables)
    rows: dict[SplitName, list[list[str] | None]] = {}
    for split, table in tables.items():
        if column in table.columns:
            tables[split], rows[split] = _rows(table, column, names)
    train = Counter(tag for tags in rows["train"] if tags is not None for tag in tags)
    if not train:
        return dict(tables)
    where = f"{tables['train'].name}: column {column!r}"
    sign, note = find_outside(train, outside, where)
    types = {tag for tag in train if tag != sign}
    further = {tag for each in rows.values() for tags in each if tags is not None for tag in tags} - {sign}
    style = TagStyle(sign, note=note) if verbatim else find_style(types, further, sign, note, where)
    result = dict(tables)
    for split, tags_of_rows in rows.items():
        cells = tables[split].columns[column]
        rewritten = {tag: style.rewrite(tag) for tag in further | {sign}}
        values = [
            cell if tags is None else [rewritten[tag] for tag in tags]
            for cell, tags in zip(cells, tags_of_rows, strict=True)
        ]
        result[split] = tables[split].with_column(column, values)
    notes = [style.note] if style.note else []
    notes += note_case({style.rewrite(tag) for tag in further})
    result["train"].notes += [f"{where}: {each}" for each in notes]
    return result


def _rows(table: Table, column: str, names: Sequence[str] | None) -> tuple[Table, list[list[str] | None]]:
    """Return the rows that can be used, and the tags of each; None for a row that cannot be read, which is refused
    later."""

    def tags_of(index: int) -> list[str] | None:
        try:
            words = as_tags(table.columns[column][index])
        except ValueError:
            return None
        return words if names is None else [_named(table, index, column, word, names) for word in words]

    return convert_rows(table, tags_of, "a tag has no name")


def _named(table: Table, index: int, column: str, word: str, names: Sequence[str]) -> str:
    name = name_of(table, index, column, word, names)
    if name is None:
        raise MalformedRowError(
            f"{table.where(index)}: column {column!r} has a missing tag (-1).", "Give every word a tag."
        )
    return str(name)


# -- words outside any entity -----------------------------------------------------------------------------------------


def find_outside(tags: Mapping[str, int], chosen: str | None, where: str) -> tuple[str, str]:
    """Return the sign for words outside any entity, and a note if it is not O.

    Args:
        tags: how often each tag occurs in the training data.
        chosen: the sign that the spec names; empty for none; None decides by evidence.
        where: the column, for messages.

    Raises:
        DataError: there is no such sign, or there are several, or the tags are numbers.
    """
    if chosen is not None:
        if chosen and chosen not in tags:
            raise DataError(f"{where} has no tag {chosen!r} (data.outside_tag). {_seen(tags)}", "Name one of its tags.")
        return chosen, ""
    if all(_NUMBER.fullmatch(tag) for tag in tags) and len(tags) > 1:
        raise DataError(
            f"{where} holds numbers ({_listed(tags)}), and which of them is O is not known.",
            "Name the tags in the order of their numbers: data.label_names: [O, B-PER, I-PER, ...].",
        )
    if OUTSIDE not in tags and are_parts_of_speech(tags):
        return "", "the tags are parts of speech: every word has one."
    signs = sorted(tag for tag in tags if tag.casefold() in OUTSIDE_SIGNS and tag != OUTSIDE)
    if OUTSIDE in tags:
        second = next((sign for sign in signs if sign.casefold() in SURE_SIGNS), None)
        if second is not None and not any(_STANDARD.fullmatch(tag) for tag in tags):
            raise DataError(
                f"{where} has the tag {second!r} as well as 'O' for words outside any entity. {_seen(tags)}",
                "Write O for every word outside.",
            )
        return OUTSIDE, ""
    common = [sign for sign in signs if tags[sign] >= MIN_OUTSIDE * sum(tags.values())]
    if len(common) != 1:
        problem = "no tag O" if not common else f"no tag O, but {' and '.join(map(repr, common))}"
        raise DataError(
            f"{where} has {problem} for words outside any entity. {_seen(tags)}",
            "Write O for words outside, or name their tag: data.outside_tag. If every word has a type, set "
            'data.outside_tag to "".',
        )
    return common[0], f"the tag {common[0]!r} is read as O, the tag of words outside any entity."


def _seen(tags: Collection[str]) -> str:
    return f"Its tags are {_listed(tags)}."


def _listed(tags: Iterable[str]) -> str:
    return format_list([repr(tag[:40]) for tag in sorted(tags)])


# -- prefixes ---------------------------------------------------------------------------------------------------------


def find_style(types: set[str], further: set[str], sign: str, note: str, where: str) -> TagStyle:
    """Return how tags are written.

    Args:
        types: the tags of the training data without the sign for words outside.
        further: the tags of all splits without it.
        sign: the sign for words outside.
        note: a note on that sign.
        where: the column, for messages.

    Raises:
        DataError: the tags may have a prefix or not.
    """
    if not types or all(_STANDARD.fullmatch(tag) for tag in types):
        letters = {tag[0] for tag in further if _STANDARD.fullmatch(tag)}
        return TagStyle(sign, _PREFIXED if "W" in letters else None, note=note)
    if all(_UNTYPED.fullmatch(tag) for tag in types) and {tag[0].upper() for tag in types} & set("BI"):
        return TagStyle(
            sign, untyped=True, note=_join(note, f"the tags ({_listed(types)}) have no type: it is called {ENTITY}.")
        )
    if any(_STANDARD.fullmatch(tag) for tag in types) and not all(_PREFIXED.fullmatch(tag) for tag in types):
        return TagStyle(sign, note=note)  # the task refuses the tags without a prefix, with their row
    for pattern in (_PREFIXED, _SUFFIXED, _GLUED):
        style = _with_letters(pattern, types, sign, note, where)
        if style is not None:
            return style
    listed = format_list(sorted(types))
    return TagStyle(sign, note=_join(note, f"the tags are read as types without a prefix: {listed}."))


def _with_letters(pattern: re.Pattern[str], types: set[str], sign: str, note: str, where: str) -> TagStyle | None:
    """Return the style of tags with a letter before or after the type; None if they have none."""
    matches = [match for tag in sorted(types) if (match := pattern.fullmatch(tag))]
    letters: dict[tuple[str, str], set[str]] = {}
    for match in matches:
        letters.setdefault((match["sign"], match["type"]), set()).add(_letter(match["letter"]))
    certain = any(len(each) > 1 for each in letters.values())
    example = matches[0].group() if matches else ""
    if len(matches) == len(types) and len({match["sign"] for match in matches}) == 1:
        if not certain and pattern is _GLUED:
            return None
        if not certain and not (pattern is _PREFIXED and matches[0]["sign"] == "-"):
            raise DataError(
                f"{where}: in {_listed(types)}, one letter may be a prefix of the type or a part of its name.",
                "Write tags as B-TYPE and I-TYPE. If the letter belongs to the name, set task.scheme to plain.",
            )
        names = format_list(sorted({match["type"] for match in matches}))
        position = "after" if pattern is _SUFFIXED else "before"
        text = f"tags such as {example!r} are read as a letter {position} the type; the types are {names}."
        return TagStyle(sign, pattern, note=_join(note, text))
    if certain and pattern is not _GLUED:
        usual = {match.group() for match in matches if match["sign"] == matches[0]["sign"]}
        other = min(types - usual)
        raise DataError(
            f"{where}: some tags are written like {example!r}, but {other!r} is not. {_seen(types | {sign})}",
            "Write all tags in the same form: B-TYPE, I-TYPE and O. If they are plain types, set task.scheme to plain.",
        )
    return None


def _join(first: str, second: str) -> str:
    return f"{first[0].lower()}{first[1:-1]}; {second}" if first else second


def note_case(tags: Collection[str]) -> list[str]:
    """Return a note on types that differ only in case.

    Args:
        tags: tags in the usual form.
    """
    spellings: dict[str, set[str]] = {}
    for tag in tags:
        name = tag[2:] if _STANDARD.fullmatch(tag) else tag
        spellings.setdefault(name.casefold(), set()).add(name)
    similar = [" and ".join(map(repr, sorted(names))) for names in spellings.values() if len(names) > 1]
    merge = "If they are one type, data.labels merges them, such as data.labels: {Loc: LOC}."
    return [f"types that differ only in case: {format_list(sorted(similar))}. {merge}"] if similar else []
