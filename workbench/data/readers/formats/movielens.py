"""MovieLens: ratings and films become questions: will this user, who liked these films before, like that one?"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table

LIKED = 4.0  # stars from which a film counts as liked
MOST = 10  # films in a history
MOST_DAMAGED = 10  # lines that are passed over; where there are more, the file is not what it should be
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

    The earliest 80% of all ratings are the training part, the next 10% the validation part and the rest the test part.
    A history holds what the user liked before, newest first; what was rated in the same second is not before. It is
    empty where there is nothing yet.
    """

    def read(self, files: Sequence[RawFile], part: str) -> Table:
        ratings_file, movies_file = files
        movies = read_movies(movies_file)
        ratings = sorted(read_ratings(ratings_file))
        first, last = (round(share * len(ratings)) for share in SHARES[part])
        histories = list(_histories(ratings, movies))[first:last]
        chosen = ratings[first:last]
        for rating in chosen:
            if rating.movie not in movies:
                raise malformed(f"{ratings_file.name}, line {rating.line}", f"there is no film {rating.movie[:40]!r}")
        columns: dict[str, list[Any]] = {
            "user": [rating.user for rating in chosen],
            "time": [rating.time for rating in chosen],
            "history": histories,
            "candidate": [movies[rating.movie] for rating in chosen],
            "label": ["liked" if rating.stars >= LIKED else "not liked" for rating in chosen],
            "stars": [rating.stars for rating in chosen],
            "movie": [rating.movie for rating in chosen],
        }
        return self.table(columns, [rating.line for rating in chosen], "line")


def read_movies(file: RawFile) -> dict[str, str]:
    """Each film's number, and its title, year and genres as a text."""
    movies = {}
    for line, row in _rows(file, ("movieId", "title", "genres")):
        number, title, genres = row
        if not number or not title:
            raise malformed(f"{file.name}, line {line}", "a film has no number or no title")
        moved = _ARTICLE.fullmatch(title.strip())  # "Usual Suspects, The (1995)"
        name = f"{moved[2]} {moved[1]} {moved[3]}" if moved else title.strip()
        named = [] if genres.startswith("(") else genres.split("|")
        movies[number] = ", ".join([name, *named])
    return movies


def read_ratings(file: RawFile) -> Iterator[Rating]:
    """The ratings in the order of the file; a few without numbers are left out and told (the pinned copy has one)."""
    damaged: list[int] = []
    for line, row in _rows(file, ("userId", "movieId", "rating", "timestamp")):
        user, movie, stars, time = row
        try:
            yield Rating(int(time), line, user, movie, float(stars))
        except ValueError as error:
            damaged.append(line)
            if len(damaged) > MOST_DAMAGED:
                what = f"{stars[:20]!r} or {time[:20]!r} is no number, and {MOST_DAMAGED} lines before are like it"
                raise malformed(f"{file.name}, line {line}", what) from error
    if damaged:
        lines = ", ".join(map(str, damaged))
        file.notes.append(f"{file.name}: {len(damaged)} ratings whose stars or time are no number: left out ({lines}).")


def _rows(file: RawFile, header: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(file.text(), newline=""), strict=True)
    try:
        if tuple(next(reader, [])) != header:
            raise malformed(f"{file.name}, line 1", f"the columns {', '.join(header)} are expected")
        for row in reader:
            if len(row) != len(header):
                raise malformed(
                    f"{file.name}, line {reader.line_num}", f"{len(row)} fields, where {len(header)} should be"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise malformed(f"{file.name}, line {reader.line_num}", str(error)) from error


def _histories(ratings: Sequence[Rating], movies: dict[str, str]) -> Iterator[str]:
    """For each rating, in the order of time, what its user liked before; films are parted by semicolons."""
    liked: dict[str, list[str]] = {}  # newest last
    now: dict[str, tuple[int, list[str]]] = {}  # what was liked in the second of the user's latest rating
    for rating in ratings:
        time, waiting = now.get(rating.user, (rating.time, []))
        before = liked.setdefault(rating.user, [])
        if time != rating.time:
            before += waiting
            del before[:-MOST]
            time, waiting = rating.time, []
        yield "; ".join(reversed(before))
        if rating.stars >= LIKED and rating.movie in movies:
            waiting.append(movies[rating.movie])
        now[rating.user] = (time, waiting)
