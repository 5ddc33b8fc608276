"""Entities in rows of words: tagging schemes, counts of correct entities, and the words of a raw text.

    words   Empire   State    Building   in   New     York
    BIO     B-LOC    I-LOC    I-LOC      O    B-LOC   I-LOC

Tags are represented by ids: 0 is O, 2k + 1 begins an entity of type k, and 2k + 2 continues it. Rows are stored
consecutively in flat arrays, with the offset of each row, so all operations are vectorized over words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from workbench.data.text.tokens import TokenTable
from workbench.metrics.label_order import sort_labels
from workbench.types import Bools, Ints

Scheme = Literal["bio", "iob1", "io", "bioes", "plain"]
OUTSIDE = 0
_O, _B, _I, _E, _S = range(5)
# BILOU and BMES are BIOES with other letters.
_PREFIXES = {"B": _B, "I": _I, "M": _I, "E": _E, "L": _E, "S": _S, "U": _S}

SCHEME_NAMES = {
    "bio": "BIO",
    "iob1": "IOB1 (an entity begins with B only where it follows another of its type)",
    "io": "IO: neighbouring words of one type form one entity",
    "bioes": "BIOES",
    "plain": "types without a prefix: neighbouring words of one type form one entity",
}


# -- tagging schemes -----------------------------------------------------------------------------------------------


def split_tag(tag: str) -> tuple[int, str]:
    """Split a tag into its prefix, as a number, and its type: ``"B-LOC"`` into (B, "LOC").

    Args:
        tag: a tag; if it has no known prefix, all of it is the type.
    """
    if tag == "O":
        return _O, ""
    prefix, dash, name = tag.partition("-")
    if dash and name and prefix in _PREFIXES:
        return _PREFIXES[prefix], name
    return -1, tag


@dataclass(frozen=True)
class Tags:
    """The tags of rows of words, as written in a file.

    Attributes:
        prefix: int64 [words], 0 for O, else the number from :func:`split_tag`; -1 for none.
        type: int64 [words], index of the type in ``types``; -1 for O.
        offsets: int64 [N + 1]; row i has the words ``offsets[i]:offsets[i + 1]``.
        types: names of the types: first the known ones, then the others in their order.
    """

    prefix: Ints
    type: Ints
    offsets: Ints
    types: list[str]

    @classmethod
    def read(cls, rows: Sequence[Sequence[str]], types: Sequence[str] = (), plain: bool = False) -> Tags:
        """Read the tags of N rows.

        Args:
            rows: a tag for each word.
            types: known types; other types are appended to them.
            plain: treat the whole tag as a type, even if it begins with ``"B-"``.
        """
        every = sorted(set(chain.from_iterable(rows)))
        divided = {tag: (-1, tag) if plain and tag != "O" else split_tag(tag) for tag in every}
        further = {name for prefix, name in divided.values() if prefix != _O} - set(types)
        names = [*types, *sort_labels(further)]
        number = {"": -1} | {name: i for i, name in enumerate(names)}
        both = {tag: (prefix, number[name]) for tag, (prefix, name) in divided.items()}
        flat = np.array([both[tag] for tag in chain.from_iterable(rows)], dtype=np.int64).reshape(-1, 2)
        return cls(flat[:, 0], flat[:, 1], row_offsets(rows), names)

    @property
    def continues(self) -> Bools:
        """Whether each word has the same type as the word before it in its row, bool [words]."""
        same = np.zeros(len(self.type), dtype=bool)
        same[1:] = (self.type[1:] == self.type[:-1]) & (self.type[1:] >= 0)
        same[self.offsets[:-1][self.offsets[:-1] < len(same)]] = False
        return same

    def scheme(self) -> Scheme:
        """Detect the tagging scheme of these tags."""
        prefixes = set(np.unique(self.prefix).tolist()) - {_O}
        if -1 in prefixes:
            return "plain"
        if prefixes & {_E, _S}:
            return "bioes"
        if prefixes <= {_I}:
            return "io"
        continues = self.continues
        superfluous = (self.prefix == _B) & ~continues  # IOB1 would not have B there
        begun_by_i = (self.prefix == _I) & ~continues  # BIO would not have I there
        return "iob1" if begun_by_i.any() and not superfluous.any() else "bio"

    def to_bio(self, scheme: Scheme) -> tuple[Ints, int]:
        """Return the BIO tag ids, int64 [words], and the number of tags that are invalid at their position.

        A tag that would continue a missing entity begins a new one.

        Args:
            scheme: the tagging scheme.
        """
        continues, named = self.continues, self.type >= 0
        if scheme in ("io", "plain"):
            begins, impossible = named & ~continues, np.zeros(len(named), dtype=bool)
        elif scheme in ("bio", "iob1"):
            orphan = (self.prefix != _B) & named & ~continues
            begins = named & ((self.prefix == _B) | orphan)
            impossible = (self.prefix == _B) & ~continues if scheme == "iob1" else orphan
        else:
            begins, impossible = self._begins_in_bioes(continues, named)
        tags = np.where(named, 2 * self.type + 2 - begins, OUTSIDE)
        return tags, int(impossible.sum())

    def _begins_in_bioes(self, continues: Bools, named: Bools) -> tuple[Bools, Bools]:
        """Return which words begin an entity in BIOES, and which tags are invalid."""
        opens = np.isin(self.prefix, (_B, _I)) & named  # one more word must follow
        inner = np.isin(self.prefix, (_I, _E)) & named
        after_open = np.zeros(len(named), dtype=bool)
        after_open[1:] = opens[:-1]
        inside = inner & continues & after_open
        followed = np.zeros(len(named), dtype=bool)
        followed[:-1] = inside[1:]
        return named & ~inside, (inner & ~inside) | (opens & ~followed)


def row_offsets(rows: Sequence[Sequence[str]]) -> Ints:
    """Return the offsets of concatenated rows, int64 [N + 1].

    Args:
        rows: N rows.
    """
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=offsets[1:])
    return offsets


def first_subwords(tokens: TokenTable, offsets: Ints) -> Ints:
    """Return the position of each word's first token in its row, int64 [words]; -1 for a word without tokens.

    Args:
        tokens: tokenized rows of words.
        offsets: int64 [N + 1], offsets of the words of each row.
    """
    assert tokens.words is not None
    row = np.repeat(np.arange(len(tokens)), tokens.lengths)
    begins = tokens.words >= 0
    begins[1:] &= (tokens.words[1:] != tokens.words[:-1]) | (row[1:] != row[:-1])
    token = np.flatnonzero(begins)
    first = np.full(int(offsets[-1]), -1, dtype=np.int64)
    first[offsets[row[token]] + tokens.words[token]] = token - tokens.offsets[row[token]]
    return first


def bio_labels(types: Sequence[str]) -> list[str]:
    """Return the tags in the order of their ids: ``["O", "B-LOC", "I-LOC", ...]``.

    Args:
        types: entity types.
    """
    return ["O", *(f"{prefix}-{name}" for name in types for prefix in "BI")]


def types_of(labels: Sequence[str]) -> list[str]:
    """Return the entity types of BIO tags, in the order in which they first occur.

    Args:
        labels: the tags.
    """
    return list(dict.fromkeys(label[2:] for label in labels if label != "O"))


# -- entities -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entities:
    """The entities in rows of words, in text order.

    Attributes:
        start: int64 [entities], index of the first word, counted over all rows.
        end: int64 [entities], index after the last word.
        type: int64 [entities], index of the entity type.
        row: int64 [entities], index of the row.
    """

    start: Ints
    end: Ints
    type: Ints
    row: Ints

    @classmethod
    def read(cls, tags: Ints, offsets: Ints) -> Entities:
        """Return the entities encoded by tags: each begins with B and continues with I of the same type.

        An I without a preceding B belongs to no entity (seqeval's "strict" mode with the scheme IOB2).

        Args:
            tags: BIO tag ids, [words].
            offsets: offsets of the rows, [N + 1].
        """
        kind = np.where(tags > 0, (tags - 1) // 2, -1)
        continues = np.zeros(len(tags), dtype=bool)
        continues[1:] = (tags[1:] > 0) & (tags[1:] % 2 == 0) & (kind[1:] == kind[:-1])
        continues[offsets[:-1][offsets[:-1] < len(tags)]] = False
        borders = np.append(np.flatnonzero(~continues), len(tags))
        start = np.flatnonzero(tags % 2 == 1)
        end = borders[np.searchsorted(borders, start, side="right")]
        return cls(start, end, kind[start], np.searchsorted(offsets, start, side="right") - 1)

    def among(self, others: Entities, words: int) -> Bools:
        """Return which of these entities are also in ``others``, with the same boundaries and type, bool [entities].

        Args:
            others: entities in the same rows.
            words: number of words in all rows.
        """
        end, kind = np.full(words, -1, dtype=np.int64), np.full(words, -1, dtype=np.int64)
        end[others.start], kind[others.start] = others.end, others.type
        return np.asarray((end[self.start] == self.end) & (kind[self.start] == self.type))


@dataclass(frozen=True)
class EntityCounts:
    """Counts of entities.

    Attributes:
        hits: correctly predicted entities, by row, int64 [N].
        predicted: predicted entities, by row, int64 [N].
        gold: true entities, by row, int64 [N].
        by_type: the three counts by type, int64 [types, 3].
    """

    hits: Ints
    predicted: Ints
    gold: Ints
    by_type: Ints

    @classmethod
    def of(cls, tags: Ints, gold: Ints, offsets: Ints, types: int) -> EntityCounts:
        """Count the entities encoded by predicted and true tags.

        Args:
            tags: predicted BIO tag ids, [words].
            gold: true BIO tag ids, [words].
            offsets: offsets of the rows, [N + 1].
            types: number of types.
        """
        predicted, true = Entities.read(tags, offsets), Entities.read(gold, offsets)
        right = predicted.among(true, len(tags))
        rows = len(offsets) - 1
        by_row = (predicted.row[right], predicted.row, true.row)
        hits, count, gold_count = (np.bincount(row, minlength=rows) for row in by_row)
        kinds = (predicted.type[right], predicted.type, true.type)
        by_type = [np.bincount(kind, minlength=types) for kind in kinds]
        return cls(hits, count, gold_count, np.stack(by_type, axis=1))
