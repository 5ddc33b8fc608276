"""What people want to know of a model before they choose it."""

from __future__ import annotations

from workbench.data.catalogue.entries import ModelEntry
from workbench.data.text.language import NAMES
from workbench.i18n import _, ngettext


def describe(entry: ModelEntry) -> str:
    """Return what a model is, its language, its licence, and how much is downloaded, on one line.

    Args:
        entry: its entry of the catalogue.
    """
    count = len(entry.languages)
    language = ngettext("{n} language", "{n} languages", count).format(n=count)
    if count == 1:
        language = _(NAMES.get(entry.languages[0], entry.languages[0]))
    return f"{_(entry.label)} · {language} · {entry.licence} · {_('download: {size}').format(size=entry.size)}"
