"""MovieLens: ratings and films become questions: will this user, who liked these films before, like that one?"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

LIKED = 4.0  # stars from which a film counts as liked
MAX_HISTORY = 10  # films
MAX_DAMAGED = 10  # lines that are skipped; with more of them, the file is refused
SHARES = {"train": (0.0, 0.8), "valid": (0.8, 0.9), "test": (0.9, 1.0)}  # of all ratings, by time

_ARTICLE = re.compile(r"(.+), (The|A|An|Les?|La|L'|Il|El|Das|Der|Die) (\(\d{4}\))")


class Rating(NamedTuple):
    """A line of ratings.csv; ``time`` in seconds since 1970."""

    time: int
    line: int
    user: str
    movie: str
    stars: float


@formats.register("movielens")
class MovieLens(Format):
    """Ratings in the order of time: user, time, history, candidate and whether it was liked.

    The earliest 80% of all ratings are the train split, the next 10% the validation split and the rest the test split.
    A history holds what the user liked before, newest first, without ratings of the same second. It is empty at first.
    """

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        ratings_file, movies_file = files
        movies = read_movies(movies_file)
        ratings = sorted(read_ratings(ratings_file))
        first, last = (round(share * len(ratings)) for share in SHARES[split])
        histories = list(_histories(ratings, movies))[first:last]
        selected = ratings[first:last]
        for rating in selected:
            if rating.movie not in movies:
                raise malformed(f"{ratings_file.name}, line {rating.line}", f"there is no film {rating.movie[:40]!r}")
        columns: dict[str, list[Any]] = {
            "user": [rating.user for rating in selected],
            "time": [rating.time for rating in selected],
            "history": histories,
            "candidate": [movies[rating.movie] for rating in selected],
            "label": ["liked" if rating.stars >= LIKED else "not liked" for rating in selected],
            "stars": [rating.stars for rating in selected],
            "movie": [rating.movie for rating in selected],
        }
        return self.table(columns, [rating.line for rating in selected], "line")


def read_movies(file: RawFile) -> dict[str, str]:
    """Return film number -> its title, year and genres as a text.

    Args:
        file: movies.csv.

    Raises:
        DataError: the file is malformed.
    """
    movies = {}
    for line, row in _rows(file, ("movieId", "title", "genres")):
        number, title, genres = row
        if not number or not title:
            raise malformed(f"{file.name}, line {line}", "a film has no number or no title")
        match = _ARTICLE.fullmatch(title.strip())  # "Usual Suspects, The (1995)"
        name = f"{match[2]} {match[1]} {match[3]}" if match else title.strip()
        names = [] if genres.startswith("(") else genres.split("|")
        movies[number] = ", ".join([name, *names])
    return movies


def read_ratings(file: RawFile) -> Iterator[Rating]:
    """Yield the ratings in the order of the file; a few damaged lines are skipped and noted (the pinned copy has one).

    Args:
        file: ratings.csv.

    Raises:
        DataError: the file is malformed, or more than ``MAX_DAMAGED`` lines are damaged.
    """
    damaged: list[int] = []
    for line, row in _rows(file, ("userId", "movieId", "rating", "timestamp")):
        user, movie, stars, time = row
        try:
            yield Rating(int(time), line, user, movie, float(stars))
        except ValueError as error:
            damaged.append(line)
            if len(damaged) > MAX_DAMAGED:
                problem = f"{stars[:20]!r} or {time[:20]!r} is not a number, as in {MAX_DAMAGED} lines before"
                raise malformed(f"{file.name}, line {line}", problem) from error
    if damaged:
        lines = ", ".join(map(str, damaged))
        file.notes.append(f"{file.name}: excluded {len(damaged)} ratings without valid stars or time (lines {lines}).")


def _rows(file: RawFile, header: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file with this header, each with its line."""
    reader = csv.reader(io.StringIO(file.text(), newline=""), strict=True)
    try:
        if tuple(next(reader, [])) != header:
            raise malformed(f"{file.name}, line 1", f"the columns {', '.join(header)} are expected")
        for row in reader:
            if len(row) != len(header):
                raise malformed(
                    f"{file.name}, line {reader.line_num}", f"{len(row)} fields, but {len(header)} are expected"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise malformed(f"{file.name}, line {reader.line_num}", str(error)) from error


def _histories(ratings: Sequence[Rating], movies: dict[str, str]) -> Iterator[str]:
    """Yield for each rating, in the order of time, what its user liked before; films are separated by semicolons."""
    liked: dict[str, list[str]] = {}  # by user, newest last
    latest: dict[str, tuple[int, list[str]]] = {}  # by user: the second of the latest rating, and what was liked in it
    for rating in ratings:
        time, pending = latest.get(rating.user, (rating.time, []))
        before = liked.setdefault(rating.user, [])
        if time != rating.time:
            before += pending
            del before[:-MAX_HISTORY]
            time, pending = rating.time, []
        yield "; ".join(reversed(before))
        if rating.stars >= LIKED and rating.movie in movies:
            pending.append(movies[rating.movie])
        latest[rating.user] = (time, pending)
