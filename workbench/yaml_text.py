"""Reading YAML that somebody else may have written, and writing it: the one function of the workbench for either.

A few lines of YAML can stand for gigabytes (aliases), overflow the parser's stack (brackets) or take hours to convert
(numbers in base 60), and PyYAML reports a wrong date or number as a ``ValueError`` of Python. So everything that reads
YAML calls :func:`load_yaml`; a test refuses any other call of ``yaml.load``.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from workbench.errors import SpecError, WorkbenchError
from workbench.system.terminal import CONTROL, printable
from workbench.types import Json

MAX_BYTES = 2 * 1024**2  # of one document: a spec has 2 kB, the catalogue 65 kB
MAX_DEPTH = 100  # lists and mappings inside each other
MAX_NUMBER = 400  # characters of a number; Python needs quadratic time for numbers in base 60

# The parser in C takes a tenth of the time; some builds of PyYAML lack it.
_Safe: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Base: type[yaml.BaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


class _Loader(_Safe):  # type: ignore[misc, valid-type]
    """Refuses a key that is given twice: the last value would win, unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
                seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


def load_yaml(
    text: str | bytes,
    origin: str,
    *,
    error: type[WorkbenchError] = SpecError,
    hint: str = "Correct that line.",
    only_text: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Json:
    """Return the value of a YAML document.

    Args:
        text: the document.
        origin: where it comes from, for messages.
        error: the class of the error that is raised.
        hint: what to do about a document that is not valid.
        only_text: read every scalar as text: ``No`` is a text.
        max_bytes: size of the largest document that is read.

    Raises:
        WorkbenchError: of the class ``error``. The text is not YAML, has aliases, is nested more than ``MAX_DEPTH``
            deep, gives a key twice (unless ``only_text``), or is too large.
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > max_bytes:
        raise error(
            f"{origin} has {size:,} bytes of YAML; at most {max_bytes:,} are read.", "Split it, or use another format."
        )
    loader = _Base if only_text else _Loader
    try:
        _check_events(text, loader, only_text)
        value: Json = yaml.load(text, loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError, LookupError, AttributeError) as cause:
        raise error(f"{origin} is not valid YAML: {' '.join(str(cause).split())[:400]}", hint) from cause
    return value


def _check_events(text: str | bytes, loader: type[yaml.SafeLoader] | type[yaml.BaseLoader], only_text: bool) -> None:
    """Refuse aliases, deep nesting and endless numbers before anything is built from the document."""
    depth = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.AliasEvent):
            raise _refused("aliases (*name) cannot be used", event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(f"lists and mappings are nested more than {MAX_DEPTH} deep", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif not only_text and isinstance(event, yaml.ScalarEvent) and _is_endless_number(event):
            raise _refused(f"a number has more than {MAX_NUMBER} characters", event)


def _is_endless_number(event: yaml.ScalarEvent) -> bool:
    """Return whether a scalar would be converted to a number of more than ``MAX_NUMBER`` characters."""
    if len(event.value) <= MAX_NUMBER:
        return False
    is_plain = event.implicit[0] and event.style in (None, "") and event.value[0] in "0123456789.+-"
    return (is_plain or event.tag is not None) and not set(event.value) - set("0123456789abcdefABCDEFox_:.+- \n\t")


def _refused(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # of the parser in C, or of the one in Python
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


class _Dumper(yaml.SafeDumper):
    """YAML that preserves rare line breaks (NEL, U+2028) and control characters, which only double quotes do."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if CONTROL.search(text) else None)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(document: object) -> str:
    """Return a document as YAML that can be printed.

    Args:
        document: JSON.
    """
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return printable(text)  # a control character can only be in double quotes, where this means the same
