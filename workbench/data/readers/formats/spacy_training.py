"""spaCy's training data for entities: texts with the positions of their entities, as pairs in JSON.

    [["Ada lives in Oslo", {"entities": [[0, 3, "PER"], [13, 17, "LOC"]]}], ...]
    {"classes": ["PER", "LOC"], "annotations": [["Ada lives in Oslo", {"entities": [[0, 3, "PER"]]}], ...]}

Also with one pair per line in a ``.jsonl`` file, and with categories of the text in place of entities
(``{"cats": {"pos": 1.0}}``). The positions are checked as in the shape ``spans``. The documents of spaCy 2
(``paragraphs`` with ``sentences`` of ``tokens``) are read as words and tags; a text without tags is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from workbench.data.examples import SplitName
from workbench.data.readers.formats.base import Format, RawFile, formats, malformed, member, read_head
from workbench.data.readers.table import Table
from workbench.types import Json

_HEAD = 1 << 14  # bytes that show whether a file is in this format
_PAIRS = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*\[\s*"|\[\s*")')
_DOCUMENTS = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*\{")
_ANNOTATIONS = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{(?:\s*"classes"\s*:\s*\[[^\]]*\]\s*,)?\s*"annotations"\s*:\s*\[')


@formats.register("spacy-training")
class SpacyTraining(Format):
    """Texts and the positions of their entities, as pairs."""

    def read(self, files: Sequence[RawFile], split: SplitName) -> Table:
        (file,) = files
        if _is_document(file.content[:_HEAD]):
            return self._documents(file)
        columns: dict[str, list[Any]] = {"text": [], "entities": []}
        rows: list[int] = []
        for number, pair in _pairs(file):
            if pair is None:
                continue  # an annotator's tool writes null for a text without a decision
            where = f"{file.name}, row {number}"
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise malformed(where, 'a text and {"entities": [[start, end, label]]} are needed')
            columns["text"].append(pair[0])
            if isinstance(pair[1], dict) and "entities" not in pair[1] and "cats" in pair[1]:
                columns.setdefault("cats", []).append(member(pair[1], "cats", dict, where))
            else:
                columns["entities"].append(member(pair[1], "entities", list, where))
            rows.append(number)
        if columns["entities"] and columns.get("cats"):
            raise malformed(file.name, "some texts have entities, and others only categories (cats)")
        return self.table({name: values for name, values in columns.items() if values}, rows)

    def _documents(self, file: RawFile) -> Table:
        """Return the sentences of documents of spaCy 2."""
        columns: dict[str, list[Any]] = {"words": [], "tags": [], "document": []}
        documents = file.json()
        for number, document in enumerate(documents if isinstance(documents, list) else [], start=1):
            where = f"{file.name}, row {number}"
            for paragraph in member(document, "paragraphs", list, where):
                for sentence in member(paragraph, "sentences", list, where):
                    tokens = member(sentence, "tokens", list, where)
                    tags = [token.get("ner") if isinstance(token, dict) else None for token in tokens]
                    if not all(isinstance(tag, str) and tag != "-" for tag in tags):
                        continue
                    columns["words"].append([member(token, "orth", str, where) for token in tokens])
                    columns["tags"].append(tags)
                    columns["document"].append(str(number))
        return self.table(columns, range(1, len(columns["words"]) + 1))

    @classmethod
    def matches(cls, path: Path) -> bool:
        """Return whether a ``.json`` or ``.jsonl`` file begins like pairs of a text and its entities.

        Args:
            path: the file.
        """
        if path.suffix.lower() not in (".json", ".jsonl"):
            return False
        head = read_head(path, _HEAD)
        is_pairs = _PAIRS.match(head) and b"{" in head
        return bool(is_pairs or _ANNOTATIONS.match(head) or _is_document(head))


def _is_document(head: bytes) -> bool:
    """Return whether a file begins like documents of spaCy 2."""
    return bool(_DOCUMENTS.match(head)) and b'"sentences"' in head and b'"orth"' in head


def _pairs(file: RawFile) -> Iterator[tuple[int, Json]]:
    text = file.text()
    if text.lstrip().startswith("{"):
        yield from enumerate(member(file.json(), "annotations", list, file.name), start=1)
    elif re.match(r"\s*\[\s*\[", text):
        document = file.json()
        yield from enumerate(document if isinstance(document, list) else [], start=1)
    else:
        yield from file.json_lines()
