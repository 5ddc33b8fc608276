"""Names of labels across the splits of a data set: one class has one name.

Forms that can only be one class are unified: 1 and 1.0, true and True. ``data.labels`` merges what the user names.
Everything else that looks like one class in two spellings is pointed out, with the merge to accept.
"""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from workbench.data.columns import CLASSES
from workbench.data.examples import Examples, SplitName
from workbench.data.report import format_list
from workbench.data.roles import Roles
from workbench.errors import DataError
from workbench.runs.report_notes import WarningNote

MIN_TYPO_LENGTH = 5  # characters of a label
TYPO_RATIO = 5  # how many times more frequent the right spelling is

# Zero-width spaces, word joiners, byte order marks, soft hyphens and marks of direction. Joiners (200C and 200D) shape
# letters and emoji: they are removed at the ends only.
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
_JOINERS = "\u200c\u200d"
_NO_JOINERS = dict.fromkeys(map(ord, _JOINERS))
_TAG_PREFIX = re.compile(r"[BIESMLU]-(?=.)")
_WHOLE = re.compile(r"[+-]?(?:0|[1-9]\d*)\.0+")
_BOOLEANS = ("true", "false")
_PLAIN = re.compile(r"[^\W\d_][\w ()./+-]*")
_YAML_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"))


def clean_label(text: str) -> str:
    """Return a label without surrounding spaces and without characters that nobody sees.

    Args:
        text: as it is in the file.
    """
    if text.isascii():
        return text.strip()
    return _INVISIBLE.sub("", text).strip().strip(_JOINERS).strip()


def unify_labels(splits: Mapping[SplitName, Examples], roles: Roles, merges: Mapping[str, str]) -> list[str]:
    """Give each class one name in all splits; the examples are changed.

    Args:
        splits: the examples of each split that has a file.
        roles: which values are labels and tags.
        merges: label -> label, of ``data.labels``.

    Returns:
        Notes on what was unified, and on labels that look like one class.

    Raises:
        DataError: a label of ``merges`` does not occur.
    """
    notes: list[str] = []
    columns = [column for column in roles.columns if column.kind in (*CLASSES, "tags")]
    if merges and not columns:
        raise DataError("data.labels is set, but this task has no labels.", "Remove data.labels.")
    known: set[str] = set()
    for column in columns:
        is_tag = column.kind == "tags"
        counts = _count(splits.values(), column.role, is_tag)
        known |= set(counts)
        unified: dict[str, str] = {}
        if not is_tag:
            unified = _one_form(counts)
            _rename(splits.values(), column.role, unified, is_tag)
            notes += _note_forms(unified)
            counts = _renamed(counts, unified)
            known |= set(counts)
        pairs = ((unified.get(name, name), unified.get(target, target)) for name, target in merges.items())
        chosen = {name: target for name, target in pairs if name in counts and name != target}
        _rename(splits.values(), column.role, chosen, is_tag)
        notes += [f"data.labels: {counts[name]:,} {name!r} are read as {target!r}." for name, target in chosen.items()]
        if not is_tag:  # the case of tags is noted where they are read
            notes += note_spellings(_renamed(counts, chosen))
    for name in (*merges, *merges.values()):
        _check_known(name, known)
    return notes


class Merge(NamedTuple):
    """Two labels that look like one class: the rarer one, the other, and in what they differ, in words."""

    name: str
    target: str
    difference: str


def find_merges(counts: Mapping[str, int]) -> list[Merge]:
    """Return the labels that look like another one; no target is merged itself.

    Args:
        counts: how often each label occurs.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        groups.setdefault(_folded(name), []).append(name)
    merges = [
        Merge(other, names[0], f"differ only in {_difference(names[0], other)}")
        for names in groups.values()
        for other in names[1:]
    ]
    merges += [
        Merge(rare, name, "may be one label with a typing error")
        for rare, name in _typos([names[0] for names in groups.values()], counts)
    ]
    by_name = {merge.name: merge for merge in merges}
    return [_last_target(merge, by_name) for merge in merges]


def _last_target(merge: Merge, by_name: Mapping[str, Merge]) -> Merge:
    """Return the merge of a label with the target of its target, if that has one: a typing error in two spellings."""
    while (following := by_name.get(merge.target)) is not None:
        merge = Merge(merge.name, following.target, following.difference)
    return merge


def note_spellings(counts: Mapping[str, int]) -> list[str]:
    """Return notes on labels that look like one class, each with the merge to accept.

    Args:
        counts: how often each label occurs.
    """
    return [_merge_note(merge, counts) for merge in find_merges(counts)] + _mixed_booleans(counts)


def _merge_note(merge: Merge, counts: Mapping[str, int]) -> str:
    name, target, difference = merge
    escape = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", target)
    pair = f"{_yaml(name, escape)}: {_yaml(target, escape)}"
    shown = [json.dumps(each) if escape else repr(each) for each in (target, name)]
    return WarningNote(
        f"The labels {shown[0]} ({counts[target]:,}) and {shown[1]} ({counts[name]:,}) {difference}. If they are one "
        f"class, merge them: data.labels: {{{pair}}}."
    )


def _yaml(name: str, escape: bool = False) -> str:
    """Return a label as YAML."""
    is_plain = _PLAIN.fullmatch(name) and name == name.strip() and name.casefold() not in _YAML_WORDS
    return name if is_plain and not escape else json.dumps(name, ensure_ascii=escape)


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return " ".join(text.translate(_NO_JOINERS).split())


def _difference(first: str, second: str) -> str:
    """Return in what two labels differ, in words."""
    nfc = [unicodedata.normalize("NFC", name) for name in (first, second)]
    if nfc[0] == nfc[1]:
        return "their Unicode form (they look the same)"
    if nfc[0].casefold() == nfc[1].casefold():
        return "case"
    if " ".join(nfc[0].split()) == " ".join(nfc[1].split()):
        return "white space"
    visible = [" ".join(name.translate(_NO_JOINERS).split()) for name in map(clean_label, nfc)]
    if visible[0] == visible[1]:
        return "invisible characters"
    return "case, white space or Unicode form"


# -- typing errors ---------------------------------------------------------------------------------------------------


def _typos(names: Sequence[str], counts: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the rare labels that are one typing error away from a frequent one, each with that one."""
    words = [name for name in names if len(name) >= MIN_TYPO_LENGTH - 1]
    typos: list[tuple[str, str]] = []
    if len(words) > 1000:  # a label for each row is a problem of its own
        return typos
    for rare in words:
        for name in words:
            is_rarer = TYPO_RATIO * counts[rare] <= counts[name]
            if is_rarer and len(name) >= MIN_TYPO_LENGTH and _is_typo(rare.casefold(), name.casefold()):
                typos.append((rare, name))
                break
    return typos


def _is_typo(first: str, second: str) -> bool:
    """Return whether two words differ by one letter that is missing, added, wrong, or swapped with the next.

    Words that differ in a digit are different: class1 and class2."""
    if abs(len(first) - len(second)) > 1 or first == second:
        return False
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    end = 0
    while end < min(len(first), len(second)) - start and first[-1 - end] == second[-1 - end]:
        end += 1
    a, b = first[start : len(first) - end], second[start : len(second) - end]
    if any(letter.isdigit() for letter in a + b):
        return False
    return (len(a) <= 1 and len(b) <= 1) or (len(a) == len(b) == 2 and a == b[::-1])


# -- forms of one value ----------------------------------------------------------------------------------------------


def _one_form(counts: Collection[str]) -> dict[str, str]:
    """Return label -> label for 1.0 beside 1, and for True beside true."""
    unified = {name: short for name in counts if _WHOLE.fullmatch(name) and (short := name.partition(".")[0]) in counts}
    spellings = [name for name in counts if name.casefold() in _BOOLEANS]
    if len({name.casefold() for name in spellings}) < len(spellings):
        unified |= {name: name.casefold() for name in spellings if name != name.casefold()}
    return unified


def _note_forms(unified: Mapping[str, str]) -> list[str]:
    if not unified:
        return []
    return ["Read as one label: " + format_list([f"{name!r} as {target!r}" for name, target in unified.items()]) + "."]


def _mixed_booleans(counts: Mapping[str, int]) -> list[str]:
    """Return a note on true or false beside 0 or 1."""
    words = [name for name in counts if name.casefold() in _BOOLEANS]
    digits = [name for name in counts if name in ("0", "1")]
    if not words or not digits or len(counts) > 4:
        return []
    number = {"true": "1", "false": "0"}
    pairs = ", ".join(f'"{name}": "{number[name.casefold()]}"' for name in words if number[name.casefold()] in counts)
    merge = f" If they are the same, merge them: data.labels: {{{pairs}}}." if pairs else ""
    return [WarningNote(f"The labels {format_list([repr(name) for name in [*words, *digits]])} are mixed.{merge}")]


# -- merging ---------------------------------------------------------------------------------------------------------


def _count(splits: Iterable[Examples], role: str, is_tag: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    for examples in splits:
        for value in examples.columns[role]:
            names = value if isinstance(value, list) else [value]
            counts.update([_TAG_PREFIX.sub("", name) for name in names] if is_tag else names)
    return counts


def _rename(splits: Iterable[Examples], role: str, names: Mapping[str, str], is_tag: bool) -> None:
    if not names:
        return
    for examples in splits:
        examples.columns[role] = [_renamed_value(value, names, is_tag) for value in examples.columns[role]]


def _renamed_value(value: str | list[str], names: Mapping[str, str], is_tag: bool) -> str | list[str]:
    if isinstance(value, str):
        return names.get(value, value)
    if is_tag:
        return [_renamed_tag(tag, names) for tag in value]
    return sorted({names.get(name, name) for name in value})


def _renamed_tag(tag: str, names: Mapping[str, str]) -> str:
    match = _TAG_PREFIX.match(tag)
    prefix = match[0] if match else ""
    name = tag[len(prefix) :]
    return prefix + names.get(name, name)


def _renamed(counts: Mapping[str, int], names: Mapping[str, str]) -> Counter[str]:
    result: Counter[str] = Counter()
    for name, count in counts.items():
        result[names.get(name, name)] += count
    return result


def _check_known(name: str, known: Collection[str]) -> None:
    if name not in known:
        similar = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        suggestion = f" Did you mean {similar[0]!r}?" if similar else ""
        raise DataError(
            f"data.labels names {name!r}, but no example has that label.{suggestion}",
            f"The labels are: {format_list([repr(label[:60]) for label in sorted(known)])}.",
        )
