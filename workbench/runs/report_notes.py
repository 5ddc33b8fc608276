"""Notes: sentences for people about the data and the result of a run; some of them are warnings.

A note is a string, and a warning is a :class:`WarningNote`, so that readers, the data, tasks and training can pass
notes on without knowing which is which. In JSON each is a :class:`Note`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, ValidationError

Severity = Literal["warning", "info"]


class WarningNote(str):
    """A note on something that makes results wrong or misleading unless it is meant."""

    __slots__ = ()


class NoteRecord(TypedDict):
    """A :class:`Note` as JSON."""

    severity: Severity
    message: str


class Note(BaseModel):
    """A note in a JSON document.

    Attributes:
        severity: ``warning`` for what makes results wrong or misleading, ``info`` for everything else.
        message: a sentence.
    """

    model_config = ConfigDict(frozen=True)

    severity: Severity = "info"
    message: str

    @classmethod
    def of(cls, note: str) -> Note:
        """Return a note with its severity.

        Args:
            note: a sentence.
        """
        return cls(severity="warning" if isinstance(note, WarningNote) else "info", message=str(note))

    def text(self) -> str:
        """Return the sentence; a warning is a :class:`WarningNote`."""
        return WarningNote(self.message) if self.severity == "warning" else self.message


def by_severity(notes: Iterable[str]) -> list[str]:
    """Return notes without repetitions, warnings first.

    Args:
        notes: sentences.
    """
    return sorted(dict.fromkeys(notes), key=lambda note: not isinstance(note, WarningNote))


def warnings_in(notes: Iterable[str]) -> list[str]:
    """Return the warnings as plain sentences.

    Args:
        notes: sentences.
    """
    return [str(note) for note in notes if isinstance(note, WarningNote)]


def to_json(notes: Iterable[str]) -> list[NoteRecord]:
    """Return notes as JSON.

    Args:
        notes: sentences.
    """
    marked = (Note.of(note) for note in notes)
    return [{"severity": note.severity, "message": note.message} for note in marked]


def from_json(content: object) -> list[str]:
    """Return the notes of a JSON document; warnings are :class:`WarningNote`. What is not a note is ignored.

    Args:
        content: a list of notes, or of sentences, as older versions wrote them.
    """
    return list(_read(content)) if isinstance(content, list) else []


def _read(content: Iterable[object]) -> Iterator[str]:
    for item in content:
        if isinstance(item, str):
            yield item
            continue
        try:
            yield Note.model_validate(item).text()
        except ValidationError:
            continue
