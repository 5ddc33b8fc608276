"""Labels that are probably none: with a single row, the footer of a table, or a sign for a missing label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from workbench.data.examples import Examples, SplitName
from workbench.data.report import format_list
from workbench.data.roles import Roles
from workbench.runs.report_notes import WarningNote

_NUMBER = re.compile(r"[+-]?\d[\d.,' ]*%?")


def note_rare_labels(
    splits: Mapping[SplitName, Examples], read: Mapping[SplitName, Examples], roles: Roles
) -> list[str]:
    """Return warnings on labels with a single row in train and none in another split, and on signs among words.

    Args:
        splits: the splits that are used.
        read: the examples of each split that has a file, before anything was held out.
        roles: which values are labels.
    """
    labels = roles.labels_of(splits["train"])
    if labels is None:
        return []
    counts = Counter(name for names in labels for name in names)
    signs = _note_signs(counts)
    if len(splits) < 2:
        return signs
    others = [each for split, each in splits.items() if split != "train"]
    elsewhere = {name for each in others for names in roles.labels_of(each) or () for name in names}
    single = sorted(name for name, count in counts.items() if count == 1 and name not in elsewhere)
    if not single:
        return signs
    what = "1 label has a single row, in train. Its"
    if len(single) > 1:
        what = f"{len(single):,} labels have a single row each, in train. Their"
    note = (
        f"{what} results cannot be measured: "
        f"{format_list([repr(name[:60]) for name in single])}. Collect more rows, or merge or remove such labels."
    )
    return [*signs, WarningNote(note), *_note_footers(single, counts, read["train"], roles)]


def _note_signs(counts: Counter[str]) -> list[str]:
    """Return warnings on labels that are a sign among words, such as ``-`` for a missing one."""
    signs = [name for name in counts if not any(character.isalnum() for character in name)]
    if not signs or 2 * len(signs) >= len(counts):
        return []
    listed = format_list([f"{name[:20]!r} ({counts[name]:,} rows)" for name in sorted(signs)])
    return [
        WarningNote(
            f"Labels that are a sign and no word: {listed}. If this means that there is no label, remove these rows, "
            "or leave the label empty and set data.on_bad_rows to drop."
        )
    ]


def _note_footers(single: list[str], counts: Counter[str], train: Examples, roles: Roles) -> list[str]:
    """Return warnings on labels that may come from a sum or footer row."""
    words = sum(count for name, count in counts.items() if not _NUMBER.fullmatch(name))
    last = max(train.rows, default=0)
    locations = train.locations()
    notes: list[str] = []
    for index, names in enumerate(roles.labels_of(train) or ()):
        for name in names:
            if name not in single:
                continue
            if _NUMBER.fullmatch(name) and words > 0.5 * counts.total():
                reason = "is a number among words"
            elif train.rows[index] == last and len(single) == 1:
                reason = "is in the last row of the file"
            else:
                continue
            notes.append(
                WarningNote(
                    f"The label {name[:60]!r} occurs once ({locations[index]}) and {reason}: it may be a sum or a "
                    "footer. If so, remove that row."
                )
            )
    return notes
