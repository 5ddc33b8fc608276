"""CoNLL and its relatives: one word and its tag per line, sentences separated by empty lines.

    EU      NNP  B-NP  B-ORG        # a comment of CoNLL-U or GermEval
    rejects VBZ  B-VP  O            1  Schartau    B-PER  O
    German  JJ   B-NP  B-MISC       2  sagte       O      O

Fields are separated by tabs or spaces. The word is the first field, or the second if the first numbers the words. The
tag is the last field; of two levels of tags (GermEval) it is the first. All fields are also the columns ``column_1``,
``column_2`` and so on, for ``columns: {tags: column_3}``, or the names in a first line such as ``token pos ner``.

In CoNLL-U, tags may be in the last field (``B-PER``, or ``NER=B-PER`` among other pairs). Ranges of words (``3-4``)
and empty nodes (``8.1``) are skipped. Lines ``-DOCSTART-`` and ``# newdoc`` begin a document; if there are two or
more, the column ``document`` numbers them, and each stays in one split.

Files named ``.conll``, ``.conllu``, ``.iob``, ``.iob2`` and ``.bio`` are in this format, and ``.txt`` and ``.tsv``
files that begin like it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from workbench.data.examples import SplitName
from workbench.data.readers.file_types import CONLL
from workbench.data.readers.formats.base import Format, RawFile, formats, read_head
from workbench.data.readers.limits import OBJECT, Budget, check_lines
from workbench.data.readers.table import BadRow, Table, check_width
from workbench.data.readers.text_lines import text_lines
from workbench.errors import DataError

MIN_TAGS = 0.99  # share of the values of a field that are tags, if it holds tags
MAX_TYPES = 40  # different values of a field of types without a prefix
MIN_OUTSIDE = 0.2  # share of O in a field of types without a prefix
MIN_NUMBERED = 0.95  # share of the words that the first field numbers, if it does
MAX_MALFORMED = 0.5  # share of sentences with a malformed line, above which the file has another format
CHUNKS = frozenset(("NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP", "PNP", "VG"))
WORD_NAMES = frozenset(("word", "words", "token", "tokens", "form", "text", "term", "id", "#", "index", "nr", "no"))
TAG_NAMES = frozenset(
    (
        "tag",
        "tags",
        "ner",
        "ner_tag",
        "ner_tags",
        "label",
        "labels",
        "iob",
        "bio",
        "ne",
        "entity",
        "entities",
        "ner-tag",
    )
)
_HEAD = 1 << 16  # bytes that show whether a text file is in this format

_DOCUMENT = "-DOCSTART-"  # a line that separates documents, and is not a sentence
_TAG = re.compile(r"O|[BIESMLUW]-\S+")
_NUMBER = re.compile(r"\d+")
_SKIPPED = re.compile(r"\d+[-–]\d+|\d+\.\d+")  # a range of words, an empty node
_COMMENT = re.compile(r"#.*=|#\s*new(?:doc|par)\b")
_PAIR = re.compile(r"(?:^|\|)(ner|entity|name|ne|tag|iob|bio)=([^|]+)", re.IGNORECASE)


@dataclass(slots=True)
class Line:
    """A line with a word.

    Attributes:
        number: its number in the file.
        fields: its fields.
        text: the line.
    """

    number: int
    fields: list[str]
    text: str


@dataclass
class Sentences:
    """The sentences of a file.

    Attributes:
        lines: the lines of each sentence.
        documents: for each sentence the number of lines that begin a document before it.
        markers: lines ``-DOCSTART-``.
        comments: lines with a comment.
        skipped: lines of ranges of words and of empty nodes.
        numbered: whether the first field numbers the words.
        names: the names of the fields in a first line; empty without one.
    """

    lines: list[list[Line]] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    markers: int = 0
    comments: int = 0
    skipped: int = 0
    numbered: bool = False
    names: list[str] = field(default_factory=list)


@formats.register("conll")
class Conll(Format):
    """Words and their tags, one of each per line."""

    suffixes = CONLL

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        sentences = _read_sentences(file)
        first = int(sentences.numbered)
        bad = _without_malformed(sentences, first, file.name)
        words = [[line.fields[first] for line in sentence] for sentence in sentences.lines]
        table = self.table({"words": words}, (sentence[0].number for sentence in sentences.lines), "line")
        table.bad_rows = bad
        _add_fields(table, sentences, first, file.name)
        if len(set(sentences.documents)) > 1:
            table.columns["document"], table.group = [str(number) for number in sentences.documents], "document"
        if sentences.markers:
            whole = "" if table.group else " There is one document, so the splits consist of sentences."
            table.notes.append(f"{file.name}: skipped {sentences.markers:,} lines {_DOCUMENT}.{whole}")
        if sentences.comments:
            table.notes.append(f"{file.name}: skipped {sentences.comments:,} lines with comments.")
        if sentences.skipped:
            table.notes.append(f"{file.name}: skipped {sentences.skipped:,} ranges of words and empty nodes.")
        return table

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a file has a suffix of this format, or is a text that begins like it.

        Args:
            path: the file.
        """
        if path.suffix.lower() in cls.suffixes:
            return True
        if path.suffix.lower() not in (".txt", ".tsv"):
            return False
        head = read_head(path, _HEAD)
        whole = len(head) < _HEAD
        lines = head.decode("utf-8", errors="replace").lstrip("\ufeff").splitlines()
        return _looks_like_conll(lines if whole else lines[:-1])


# -- lines ------------------------------------------------------------------------------------------------------------


def _split(line: str) -> list[str]:
    """Return the fields of a line. Only tabs or spaces separate fields, which may contain other whitespace."""
    line = line.rstrip("\t ")
    return [part.strip() for part in line.split("\t")] if "\t" in line else [part for part in line.split(" ") if part]


def _numbered_lines(file: RawFile) -> Iterator[Line]:
    """Yield the lines of a file; of several empty lines the first."""
    text = file.text()
    check_lines(file.name, text)
    budget = Budget(file.name, len(text))
    was_empty = True
    for number, line in enumerate(text_lines(text, file.name, only_newlines=True), start=1):
        line = line.removesuffix("\n")
        is_empty = not line.strip()
        if not (is_empty and was_empty):
            fields = _split(line)
            check_width(len(fields), f"{file.name}, line {number},")
            budget.add_row(len(fields) + OBJECT)
            yield Line(number, fields, line)
        was_empty = is_empty


def _read_sentences(file: RawFile) -> Sentences:
    """Return the sentences of a file, without comments, document markers, ranges of words and empty nodes."""
    lines = list(_numbered_lines(file))
    result = Sentences()
    width = _usual_width(lines)
    header = _header(lines)
    if header is not None:
        result.names = header.fields
        lines = [line for line in lines if line is not header]
    documents = 0
    is_open = False
    for line in lines:
        if not line.text.strip():
            is_open = False
        elif line.text.startswith(_DOCUMENT):
            documents, is_open = documents + 1, False
            result.markers += 1
        elif not is_open and _is_comment(line, width):
            documents += bool(re.match(r"#\s*newdoc\b", line.text))
            result.comments += 1
        else:
            if not is_open:
                result.lines.append([])
                result.documents.append(documents)
                is_open = True
            result.lines[-1].append(line)
    result.numbered = _is_numbered(result.lines, width)
    if result.numbered:
        for i, sentence in enumerate(result.lines):
            words = [line for line in sentence if not _SKIPPED.fullmatch(line.fields[0])]
            result.skipped += len(sentence) - len(words)
            result.lines[i] = words
    pairs = [pair for pair in zip(result.lines, result.documents, strict=True) if pair[0]]
    result.lines, result.documents = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return result


def _usual_width(lines: Sequence[Line]) -> int:
    """Return how many fields most lines have."""
    widths = Counter(len(line.fields) for line in lines if line.text.strip() and not line.text.startswith(_DOCUMENT))
    return max(widths, key=lambda width: (widths[width], width), default=0)


def _is_comment(line: Line, width: int) -> bool:
    """Return whether a line at the beginning of a sentence is a comment; a word may begin with ``#``, too."""
    return line.text.startswith("#") and (len(line.fields) != width or bool(_COMMENT.match(line.text)))


def _is_numbered(sentences: Sequence[Sequence[Line]], width: int) -> bool:
    """Return whether the first field counts the words of each sentence from 0 or 1, or those of the whole file."""
    if width < 3:
        return False
    right = total = 0
    numbers: list[int] = []
    for sentence in sentences:
        expected: int | None = None
        for line in sentence:
            first = line.fields[0] if line.fields else ""
            if _SKIPPED.fullmatch(first):
                continue
            total += 1
            number = int(first) if _NUMBER.fullmatch(first) and len(first) < 10 else None
            numbers += [] if number is None else [number]
            right += number is not None and (number == expected or (expected is None and number < 2))
            expected = None if number is None else number + 1
    counts_on = len(numbers) == total and all(b == a + 1 for a, b in pairwise(numbers))
    return right > 0 and (right >= MIN_NUMBERED * total or (counts_on and total > 1))


def _header(lines: Sequence[Line]) -> Line | None:
    """Return the first line if it names the fields, such as ``token ner``; None if it is a word and its tag."""
    first = next((line for line in lines if line.text.strip()), None)
    if first is None or len(first.fields) < 2 or len(set(first.fields)) < len(first.fields):
        return None
    names = [name.casefold() for name in first.fields]
    return first if names[0] in WORD_NAMES and set(names[1:]) & TAG_NAMES else None


def _without_malformed(sentences: Sentences, first: int, name: str) -> list[BadRow]:
    """Remove the sentences with a malformed line, and return them; raise DataError if most have one."""
    bad: dict[int, BadRow] = {}
    for index, sentence in enumerate(sentences.lines):
        line = next((line for line in sentence if _is_malformed(line, first)), None)
        if line is not None:
            bad[index] = BadRow(
                sentence[0].number,
                "a line is not a word and its tag",
                f"{name}, line {line.number}: {line.text[:60]!r} is not a word and its tag.",
                "Write a word, a tab (or a space) and its tag; an empty line ends a sentence.",
            )
    if len(bad) > MAX_MALFORMED * len(sentences.lines) or (bad and len(bad) == len(sentences.lines)):
        problem = bad[min(bad)]
        raise DataError(problem.message, problem.hint)
    sentences.lines = [lines for i, lines in enumerate(sentences.lines) if i not in bad]
    sentences.documents = [number for i, number in enumerate(sentences.documents) if i not in bad]
    return list(bad.values())


def _is_malformed(line: Line, first: int) -> bool:
    word = line.fields[first] if len(line.fields) > first else ""
    return not word or len(line.fields) < first + 2 or not line.fields[-1]


# -- fields -----------------------------------------------------------------------------------------------------------


def _add_fields(table: Table, sentences: Sentences, first: int, name: str) -> None:
    """Add the column ``tags``, and a column for each other field if all lines have equally many."""
    widths = {len(line.fields) for sentence in sentences.lines for line in sentence}
    if len(widths) != 1:
        values = [line.fields[-1] for sentence in sentences.lines for line in sentence]
        _refuse_tag_first(sentences, values, name)
        table.columns["tags"] = [[line.fields[-1] for line in sentence] for sentence in sentences.lines]
        return
    width = widths.pop()
    columns = {
        index: [[line.fields[index] for line in sentence] for sentence in sentences.lines]
        for index in range(first + 1, width)
    }
    chosen = _tag_field(columns, sentences, name)
    if chosen is None and width == 10 and (pairs := _tags_of_pairs(columns[9])) is not None:
        table.columns["tags"] = pairs
        table.notes.append(f"{name}: the tags are the pairs such as NER=B-PER in the last field.")
    elif chosen is not None:
        table.columns["tags"] = columns[chosen]
        if chosen != width - 1 or first:
            table.notes.append(
                f"{name}: the words are in field {first + 1} of {width}, and the tags in field {chosen + 1}."
            )
    if width > first + 2:
        table.columns |= {f"column_{index + 1}": values for index, values in columns.items()}
        levels = [index for index, rows in columns.items() if _types(rows) and index != chosen]
        if chosen is not None and levels and not all(_types(columns[index]) <= CHUNKS for index in levels):
            others = ", ".join(f"column_{index + 1}" for index in levels)
            table.notes.append(
                f"{name}: field {chosen + 1} of {width} was chosen for the tags, but others hold tags, too: {others}. "
                f"To use one of them, set data.columns.tags."
            )
    if sentences.names:
        table.notes.append(f"{name}: the first line names the fields: {', '.join(sentences.names)[:120]}.")
        named = dict(enumerate(sentences.names))
        table.columns |= {named[i]: rows for i, rows in columns.items() if i in named and named[i] not in table.columns}
        if first in named and named[first] not in table.columns:
            table.columns[named[first]] = table.columns["words"]


def _tag_field(columns: dict[int, list[list[str]]], sentences: Sentences, name: str) -> int | None:
    """Return the index of the field with the tags; None if the file is CoNLL-U without any."""
    types = {index: names for index, rows in columns.items() if (names := _types(rows))}
    last = max(columns)
    if not types:
        values = [tag for row in columns[last] for tag in row]
        _refuse_tag_first(sentences, values, name)
        return None if len(columns) == 8 and sentences.numbered else last
    chosen = max(types)
    if chosen != last and _is_outside_common(columns[last]):
        return last  # types without a prefix, beside chunks such as B-NP
    levels = [
        index
        for index in range(min(types), chosen)
        if all(
            (types.get(i, set()) & types[chosen] or sentences.numbered) and not types.get(i, CHUNKS) <= CHUNKS
            for i in range(index, chosen)
        )
    ]
    return levels[0] if levels else chosen


def _is_outside_common(rows: Sequence[Sequence[str]]) -> bool:
    values = [value for row in rows for value in row]
    return len(values) > values.count("O") >= MIN_OUTSIDE * len(values)


def _types(rows: Sequence[Sequence[str]]) -> set[str]:
    """Return the types of a field's tags; none if it does not hold tags with a prefix."""
    counts = Counter(value for row in rows for value in row)
    tags = sum(count for value, count in counts.items() if _TAG.fullmatch(value))
    return (
        {value[2:] for value in counts if len(value) > 2 and _TAG.fullmatch(value)}
        if tags >= MIN_TAGS * counts.total()
        else set()
    )


def _refuse_tag_first(sentences: Sentences, values: Sequence[str], name: str) -> None:
    """Raise DataError if the first field holds tags, and the last one words."""
    firsts = [[line.fields[0] for line in sentence] for sentence in sentences.lines]
    if _types(firsts) and not all(_TAG.fullmatch(value) for value in values):
        line = sentences.lines[0][0]
        raise DataError(
            f"{name}, line {line.number}: the first field holds tags ({line.fields[0][:40]!r}), but the word must come "
            "first.",
            "Swap the fields: the word, a tab (or a space) and its tag.",
        )


def _tags_of_pairs(rows: Sequence[Sequence[str]]) -> list[list[str]] | None:
    """Return the tags in pairs such as ``NER=B-PER``; None if there are none."""
    matches = [[_PAIR.search(value) for value in row] for row in rows]
    tags = [[match[2] if match else "O" for match in row] for row in matches]
    return tags if _types(tags) else None


def _looks_like_conll(lines: Sequence[str]) -> bool:
    """Return whether lines are words with tags, in at least two sentences."""
    numbered = [Line(number, _split(line), line) for number, line in enumerate(lines, start=1)]
    header = _header(numbered)
    numbered = [line for line in numbered if line is not header]
    width = _usual_width(numbered)
    words = list(_token_lines(numbered, width))
    if len(words) < 5 or width < 2 or len({line.number - i for i, line in enumerate(words)}) < 2:
        return False
    if any(len(line.fields) != width for line in words):
        return False
    columns = [[line.fields[index] for line in words] for index in range(width)]
    if _types([columns[0]]):
        return True  # tags before words: reading the file says so
    single = not any(len(value.split()) > 1 for column in columns for value in column)
    if single and _is_outside_common([columns[-1]]) and len(set(columns[-1])) <= MAX_TYPES:
        return True
    return any(_types([columns[index]]) for index in {width - 1, min(2, width - 1)})


def _token_lines(lines: Sequence[Line], width: int) -> Iterator[Line]:
    for i, line in enumerate(lines):
        begins = i == 0 or not lines[i - 1].text.strip() or lines[i - 1].text.startswith("#")
        if line.text.strip() and not line.text.startswith(_DOCUMENT) and not (begins and _is_comment(line, width)):
            yield line
