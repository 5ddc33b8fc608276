"""Translation of every text that people see: ``_("Runs")``, ``ngettext("{n} run", "{n} runs", n).format(n=n)``.

A translation is a gettext catalogue, ``workbench/locale/LANGUAGE/LC_MESSAGES/workbench.mo``. The language is
``WORKBENCH_LANGUAGE``, else what the environment says (``LANGUAGE``, ``LC_ALL``, ``LC_MESSAGES``, ``LANG``); without a
catalogue for it, texts stay English.

Rules for callers:

- The argument is one literal, so that tools can extract it. Values go in afterwards: ``_("{n} texts").format(n=n)``.
- Texts that are defined when a module is imported (field descriptions, labels of registry entries, glossaries) stay
  English there, marked with :func:`N_` where they are bare constants, and are translated where they are shown:
  ``_(field.description)``.

The language ``pseudo`` accents every letter outside of ``{fields}`` and encloses the text in brackets, so that a test
finds texts that were forgotten.
"""

from __future__ import annotations

import gettext
import os
import re
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

DOMAIN = "workbench"
FOLDER = Path(__file__).parent / "locale"
PSEUDO = "pseudo"
VARIABLE = "WORKBENCH_LANGUAGE"

_ACCENTED = str.maketrans("aeiouyncAEIOUYNC", "áéíóúýñçÁÉÍÓÚÝÑÇ")
# Parts that a program reads: format fields, code, links, HTML tags and entities, icons, colour directives.
_UNTRANSLATED = re.compile(
    r"(\{[^{}]*\}|`[^`]*`|\]\([^)]*\)|<[^<>]*>|&\w+;|:[a-z]+/\w+:|:[a-z]+(?:-background)?\[|https?://\S+)"
)

# A language for this thread or request alone; None for the process's own.
_language: ContextVar[str | None] = ContextVar("language", default=None)


def language() -> str | None:
    """Return the language in force, or None to ask gettext's own environment variables."""
    return _language.get() or os.environ.get(VARIABLE) or None


def set_language(code: str | None) -> None:
    """Choose the language for the current thread or request.

    Args:
        code: a language code such as ``"zh_CN"``; None for the process's own.
    """
    _language.set(code)


def _(message: str) -> str:
    """Translate a text.

    Args:
        message: the English text, a literal.

    Returns:
        The text in the language in force; the English text where it has no translation.
    """
    code = language()
    if code == PSEUDO:
        return pseudo(message)
    return _catalogue(code).gettext(message) if message else ""


def ngettext(singular: str, plural: str, n: int) -> str:
    """Translate a text whose form depends on a number.

    Args:
        singular: the English text for one.
        plural: the English text for other numbers.
        n: the number.

    Returns:
        The form for ``n``, still to be formatted.
    """
    code = language()
    if code == PSEUDO:
        return pseudo(singular if n == 1 else plural)
    return _catalogue(code).ngettext(singular, plural, n)


def N_(message: str) -> str:
    """Mark a constant for translation where it is shown.

    Args:
        message: the English text, a literal.

    Returns:
        The same text.
    """
    return message


def pseudo(message: str) -> str:
    """Accent a text, so that a reader sees that it went through translation.

    Args:
        message: any text.

    Returns:
        The text with accents, in brackets; format fields, code, links and tags are unchanged.
    """
    if not message.strip():
        return message
    parts = _UNTRANSLATED.split(message)
    return "[" + "".join(part if i % 2 else part.translate(_ACCENTED) for i, part in enumerate(parts)) + "]"


@lru_cache(maxsize=16)
def _catalogue(code: str | None) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, FOLDER, [code] if code else None, fallback=True)
