"""Translation: the current language, plural forms, and the pseudo-language that shows untranslated text."""

from __future__ import annotations

import threading

import pytest

from workbench.i18n import VARIABLE, _, ngettext, pseudo, set_language


def test_without_a_catalogue_texts_stay_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "xx")
    assert _("Runs") == "Runs"
    assert _("") == ""  # gettext would return the catalogue's header
    assert [ngettext("{n} run", "{n} runs", n).format(n=n) for n in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]


def test_the_pseudo_language_keeps_markup_and_placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "pseudo")
    assert _("{n} runs in `workbench runs`").format(n=3) == "[3 rúñs íñ `workbench runs`]"
    assert pseudo("[docs](https://a.b/c) :material/add: <b>one</b> &amp;") == (
        "[[dóçs](https://a.b/c) :material/add: <b>óñé</b> &amp;]"
    )
    assert pseudo(" ") == " "


def test_a_language_applies_to_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen = []

    def visit() -> None:
        set_language("pseudo")
        seen.append(_("Data"))

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    assert seen == ["[Dátá]"]
    assert _("Data") == "Data"
