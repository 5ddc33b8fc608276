"""Entities in rows of words: how tags spell them, how many are right, and the words of a raw text.

    words   Empire   State    Building   in   New     York
    BIO     B-LOC    I-LOC    I-LOC      O    B-LOC   I-LOC

Inside, every tag is a number: 0 is O, 2k + 1 begins a name of type k, and 2k + 2 goes on with it. Rows lie in flat
arrays, one after another, with the offset of each; nothing here loops over words.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workbench.data.text.tokens import TokenTable
from workbench.types import Ints

Scheme = Literal["bio", "iob1", "io", "bioes", "plain"]
OUTSIDE = 0
_O, _B, _I, _E, _S = range(5)
# BILOU and BMES are BIOES with other letters.
_PREFIXES = {"B": _B, "I": _I, "M": _I, "E": _E, "L": _E, "S": _S, "U": _S}

SCHEME_NAMES = {
    "bio": "BIO",
    "iob1": "IOB1 (a name begins with B only where it follows another of its type)",
    "io": "IO: neighbouring words of one type are taken as one name",
    "bioes": "BIOES",
    "plain": "types without a prefix: neighbouring words of one type are taken as one name",
}


# -- ways of writing tags -------------------------------------------------------------------------------------------


def divide(tag: str) -> tuple[int, str]:
    """A tag's prefix, as a number, and its type: ``"B-LOC"`` as (B, "LOC"); without a known prefix it is all type."""
    if tag == "O":
        return _O, ""
    prefix, dash, name = tag.partition("-")
    if dash and name and prefix in _PREFIXES:
        return _PREFIXES[prefix], name
    return -1, tag


@dataclass(frozen=True)
class Tags:
    """Tags of rows of words as they stand in a file.

    Attributes:
        prefix: int64 [words], 0 for O, else what :func:`divide` says; -1 for none.
        type: int64 [words], number of the type in ``types``; -1 for O.
        offsets: int64 [N + 1]; row i has the words ``offsets[i]:offsets[i + 1]``.
        types: names of the types, sorted.
    """

    prefix: Ints
    type: Ints
    offsets: Ints
    types: list[str]

    @classmethod
    def read(cls, rows: Sequence[Sequence[str]], types: Sequence[str] = (), plain: bool = False) -> Tags:
        """The tags of N rows.

        Args:
            rows: a tag for each word.
            types: known types; others get the numbers behind them.
            plain: a tag is a type as a whole, even where it begins like ``"B-"``.
        """
        every = sorted(set(chain.from_iterable(rows)))
        divided = {tag: (-1, tag) if plain and tag != "O" else divide(tag) for tag in every}
        further = {name for prefix, name in divided.values() if prefix != _O} - set(types)
        names = [*types, *sorted(further)]
        number = {"": -1} | {name: i for i, name in enumerate(names)}
        both = {tag: (prefix, number[name]) for tag, (prefix, name) in divided.items()}
        flat = np.array([both[tag] for tag in chain.from_iterable(rows)], dtype=np.int64).reshape(-1, 2)
        return cls(flat[:, 0], flat[:, 1], row_offsets(rows), names)

    @property
    def goes_on(self) -> NDArray[np.bool_]:
        """Whether a word has the type of the word before it in its row, [words]."""
        same = np.zeros(len(self.type), dtype=bool)
        same[1:] = (self.type[1:] == self.type[:-1]) & (self.type[1:] >= 0)
        same[self.offsets[:-1][self.offsets[:-1] < len(same)]] = False
        return same

    def scheme(self) -> Scheme:
        """The way in which these tags are written, as far as they show it."""
        found = set(np.unique(self.prefix).tolist()) - {_O}
        if -1 in found:
            return "plain"
        if found & {_E, _S}:
            return "bioes"
        if found <= {_I}:
            return "io"
        goes_on = self.goes_on
        superfluous = (self.prefix == _B) & ~goes_on  # IOB1 has no B there
        begun_by_i = (self.prefix == _I) & ~goes_on  # BIO has no I there
        return "iob1" if begun_by_i.any() and not superfluous.any() else "bio"

    def to_bio(self, scheme: Scheme) -> tuple[Ints, int]:
        """The tags as numbers of BIO, int64 [words], and how many are impossible where they stand.

        A tag that goes on with a name that is not there begins one; the names of what is impossible are guessed so.
        """
        goes_on, named = self.goes_on, self.type >= 0
        if scheme in ("io", "plain"):
            begins, impossible = named & ~goes_on, np.zeros(len(named), dtype=bool)
        elif scheme in ("bio", "iob1"):
            orphan = (self.prefix != _B) & named & ~goes_on
            begins = named & ((self.prefix == _B) | orphan)
            impossible = (self.prefix == _B) & ~goes_on if scheme == "iob1" else orphan
        else:
            begins, impossible = self._begins_in_bioes(goes_on, named)
        tags = np.where(named, 2 * self.type + 2 - begins, OUTSIDE)
        return tags, int(impossible.sum())

    def _begins_in_bioes(
        self, goes_on: NDArray[np.bool_], named: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which words begin a name in BIOES, and which tags are impossible."""
        opens = np.isin(self.prefix, (_B, _I)) & named  # one more word must follow
        inner = np.isin(self.prefix, (_I, _E)) & named
        after_open = np.zeros(len(named), dtype=bool)
        after_open[1:] = opens[:-1]
        continues = inner & goes_on & after_open
        followed = np.zeros(len(named), dtype=bool)
        followed[:-1] = continues[1:]
        return named & ~continues, (inner & ~continues) | (opens & ~followed)


def row_offsets(rows: Sequence[Sequence[str]]) -> Ints:
    """Where each row begins when they stand one after another, and where the last one ends, int64 [N + 1]."""
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return offsets


def first_subwords(tokens: TokenTable, offsets: Ints) -> Ints:
    """The place in its row of each word's first token, int64 [words]; -1 for a word without any.

    Args:
        tokens: rows of words as tokens.
        offsets: int64 [N + 1], where the words of each row begin among all words.
    """
    assert tokens.words is not None
    row = np.repeat(np.arange(len(tokens)), tokens.lengths)
    begins = tokens.words >= 0
    begins[1:] &= (tokens.words[1:] != tokens.words[:-1]) | (row[1:] != row[:-1])
    at = np.flatnonzero(begins)
    first = np.full(int(offsets[-1]), -1, dtype=np.int64)
    first[offsets[row[at]] + tokens.words[at]] = at - tokens.offsets[row[at]]
    return first


def bio_labels(types: Sequence[str]) -> list[str]:
    """The names of the numbers: ``["O", "B-LOC", "I-LOC", ...]``."""
    return ["O", *(f"{prefix}-{name}" for name in types for prefix in "BI")]


def types_of(labels: Sequence[str]) -> list[str]:
    """The types of :func:`bio_labels`."""
    return [label[2:] for label in labels[1::2]]


# -- names ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entities:
    """The names in rows of words, in their order.

    Attributes:
        start: int64 [names], the first word, counted over all rows.
        end: int64 [names], behind the last word.
        type: int64 [names].
        row: int64 [names], the row that it stands in.
    """

    start: Ints
    end: Ints
    type: Ints
    row: Ints

    @classmethod
    def read(cls, tags: Ints, offsets: Ints) -> Entities:
        """The names that BIO numbers [words] spell, strictly: one begins with B, and I of its type goes on with it.

        An I without a beginning belongs to no name (seqeval's mode "strict" with the scheme IOB2).
        """
        kind = np.where(tags > 0, (tags - 1) // 2, -1)
        on = np.zeros(len(tags), dtype=bool)
        on[1:] = (tags[1:] > 0) & (tags[1:] % 2 == 0) & (kind[1:] == kind[:-1])
        on[offsets[:-1][offsets[:-1] < len(tags)]] = False
        borders = np.append(np.flatnonzero(~on), len(tags))
        start = np.flatnonzero(tags % 2 == 1)
        end = borders[np.searchsorted(borders, start, side="right")]
        return cls(start, end, kind[start], np.searchsorted(offsets, start, side="right") - 1)

    def among(self, others: Entities, words: int) -> NDArray[np.bool_]:
        """Which of these names stand in ``others`` too, with the same border and type, [names].

        Args:
            words: in all rows.
        """
        end, kind = np.full(words, -1, dtype=np.int64), np.full(words, -1, dtype=np.int64)
        end[others.start], kind[others.start] = others.end, others.type
        found: NDArray[np.bool_] = (end[self.start] == self.end) & (kind[self.start] == self.type)
        return found


@dataclass(frozen=True)
class EntityCounts:
    """How many names are right, found and there: by row, int64 [N] each, and by type, int64 [types, 3]."""

    hits: Ints
    predicted: Ints
    gold: Ints
    by_type: Ints

    @classmethod
    def of(cls, tags: Ints, gold: Ints, offsets: Ints, types: int) -> EntityCounts:
        """EntityCounts for predicted ``tags`` [words] against ``gold`` [words]."""
        said, true = Entities.read(tags, offsets), Entities.read(gold, offsets)
        right = said.among(true, len(tags))
        rows = len(offsets) - 1
        hits, found, there = (np.bincount(at, minlength=rows) for at in (said.row[right], said.row, true.row))
        by_type = [np.bincount(at, minlength=types) for at in (said.type[right], said.type, true.type)]
        return cls(hits, found, there, np.stack(by_type, axis=1))


# -- raw text -------------------------------------------------------------------------------------------------------

_TIED = "@#"  # a handle or a topic begins with these
_APART = ',;:!?()[]{}"“”„«»…。，、；：！？（）'  # stand inside a word only between digits: 10,000 or 12:30


def split_words(text: str) -> list[tuple[int, int]]:
    """The words of a raw text as (first character, behind the last), as annotated texts commonly have them.

    Signs around a word are words of their own, but not those within (``New-York``, ``U.S.``, ``@user``); ``'s`` is
    taken off; every Chinese or Japanese character is a word. What belongs to a sign (the colour of an emoji) stays
    with it.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for at, character in enumerate(text):
        if character.isspace() or _is_ideographic(character):
            found += _split_chunk(text, start, at)
            if not character.isspace():
                found.append((at, at + 1))
            start = at + 1
    return found + _split_chunk(text, start, len(text))


def _split_chunk(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The words of a stretch without space."""
    chunk = text[start:end]
    if "://" in chunk:
        return [(start, end)]
    found: list[tuple[int, int]] = []
    begin = start
    for at in range(start, end):
        between_digits = text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit()
        if text[at] in _APART and start < at < end - 1 and not between_digits:
            found += [*_peel(text, begin, at), (at, at + 1)]
            begin = at + 1
    return found + _peel(text, begin, end)


def _peel(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The word between signs, and these."""
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    while (
        start < end and _is_sign(text[start]) and not (text[start] in _TIED and text[start + 1 : start + 2].isalnum())
    ):
        until = _sign_end(text, start, end)
        before.append((start, until))
        start = until
    while start < end and _is_sign(text[_last_base(text, start, end)]) and not _is_abbreviation(text[start:end]):
        at = _last_base(text, start, end)
        while at > start and text[at - 1] == text[at]:  # "..." is one sign
            at -= 1
        after.append((at, end))
        end = at
    if end - start > 2 and text[end - 2] in "'’" and text[end - 1] in "sS":
        after.append((end - 2, end))
        end -= 2
    return [*before, *([(start, end)] if start < end else []), *reversed(after)]


def _is_ideographic(character: str) -> bool:
    """A Chinese or Japanese character or sign: no space is written between these."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"


def _is_sign(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _is_handle(word: str) -> bool:
    """``@user`` and ``#topic``: their first sign belongs to them."""
    return word[0] in _TIED and word[1:2].isalnum()


def _is_tied(character: str) -> bool:
    """Whether it belongs to the character before it: accents, joiners, colours of emoji."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf") or "\U0001f3fb" <= character <= "\U0001f3ff"


def _sign_end(text: str, start: int, end: int) -> int:
    """Behind the sign at ``start``: repetitions of it and what is tied to it belong to it."""
    at = start + 1
    while at < end and (text[at] == text[start] or _is_tied(text[at]) or text[at - 1] == "\u200d"):
        at += 1
    return at


def _last_base(text: str, start: int, end: int) -> int:
    """The last character that is tied to none before it."""
    at = end - 1
    while at > start and (_is_tied(text[at]) or text[at - 1] == "\u200d"):
        at -= 1
    return at


def _is_abbreviation(word: str) -> bool:
    """``U.S.`` and ``J.``: their last point belongs to them."""
    return word.endswith(".") and all(len(part) == 1 and part.isalpha() for part in word[:-1].split("."))
