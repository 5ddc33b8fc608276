"""Notes are stored in English and translated where they are shown."""

from __future__ import annotations

import re

import pytest

from workbench import notes
from workbench.i18n import pseudo


def _filled(template: str) -> str:
    """Return the sentence with a number, or a text with punctuation, in each field."""
    names = re.findall(r"{(\w+)}", template)
    return template.format(**{name: f"1,20{i}.5 (a: {{b}})" for i, name in enumerate(names)})


@pytest.mark.parametrize("template", notes.TEMPLATES)
def test_a_stored_note_is_shown_in_the_readers_language(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    note = _filled(template)
    assert notes.translate(note) == note  # English
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    assert notes.translate(note) == _filled(pseudo(template))
    assert notes.translate(f"train: {note}") == f"{pseudo('train')}: " + _filled(pseudo(template))


def test_an_unknown_note_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_LANGUAGE", "pseudo")
    for note in ("", "Something else.", "Before. " + notes.NO_TEST_SPLIT):
        assert notes.translate(note) == note


def test_every_template_is_recognized() -> None:
    constants = {name: value for name, value in vars(notes).items() if re.fullmatch("[A-Z][A-Z_]+", name)}
    assert {value for value in constants.values() if isinstance(value, str)} == set(notes.TEMPLATES)
