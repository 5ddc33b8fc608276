"""TMX: translation memories, XML files of units with a text in each language.

    <tu><tuv xml:lang="en"><seg>Good day</seg></tuv><tuv xml:lang="de"><seg>Guten Tag</seg></tuv></tu>

The columns are named by language, and the source language of the header comes first; see the shape ``translations``.
The content of formatting tags (``<bpt>``, ``<ph>`` ...) is left out. Files that define entities are refused: a few
lines of them can expand to gigabytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NoReturn
from xml.parsers import expat

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed
from workbench.data.readers.table import Table
from workbench.errors import DataError

MAX_DEPTH = 50  # elements inside each other
_FORMATTING = frozenset(("bpt", "ept", "ph", "it", "ut"))


@formats.register("tmx")
class Tmx(Format):
    """Translation memories."""

    suffixes = (".tmx",)

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        reader = _Reader(file.name)
        reader.parse(file.content)
        languages = [name for name, _ in reader.languages.most_common()]
        languages.sort(key=lambda name: name != reader.source)
        selected = [i for i, unit in enumerate(reader.units) if all(unit.get(name) for name in languages[:2])]
        table = self.table(
            {name: [reader.units[i].get(name, "") for i in selected] for name in languages}, (i + 1 for i in selected)
        )
        if len(selected) < len(reader.units):
            table.notes.append(
                f"{file.name}: skipped {len(reader.units) - len(selected):,} units without a translation."
            )
        return table


class _Reader:
    """Collects the units of a TMX file."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.units: list[dict[str, str]] = []
        self.languages: Counter[str] = Counter()
        self.source = ""
        self._path: list[str] = []
        self._language = ""
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.ExternalEntityRefHandler = self._refuse_entity

    def parse(self, content: bytes) -> None:
        """Read the units of a file."""
        try:
            self._parser.Parse(content, True)
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "not valid")
            raise malformed(f"{self.name}, line {error.lineno}", f"not XML: {reason}") from error
        except (ValueError, LookupError) as error:  # expat knows only encodings of one byte per character, and Unicode
            raise DataError(
                f"{self.name}: the encoding that its first line declares cannot be read.", "Save the file as UTF-8."
            ) from error
        if len(self.languages) < 2:
            raise malformed(self.name, "there are no units with two languages")

    def _refuse_entity(self, *_: object) -> NoReturn:
        line = self._parser.CurrentLineNumber
        raise malformed(f"{self.name}, line {line}", "it defines entities, which are not supported")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > MAX_DEPTH:
            raise malformed(f"{self.name}, line {self._parser.CurrentLineNumber}", "nested too deeply")
        if name == "header":
            self.source = _language(attributes.get("srclang", ""))
        elif name == "tu":
            self.units.append({})
        elif name == "tuv":
            self._language = _language(attributes.get("xml:lang") or attributes.get("lang") or "")
        elif name == "seg":
            self._text = []

    def _characters(self, text: str) -> None:
        if "seg" in self._path and not _FORMATTING & set(self._path):
            self._text.append(text)

    def _end(self, name: str) -> None:
        self._path.pop()
        if name == "seg" and self.units and self._language:
            text = " ".join("".join(self._text).split())
            if text and self._language not in self.units[-1]:
                self.units[-1][self._language] = text
                self.languages[self._language] += 1


def _language(name: str) -> str:
    """Return ``en`` for ``EN-us``: regions are not told apart."""
    return name.strip().replace("_", "-").partition("-")[0].lower()
