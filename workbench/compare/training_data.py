"""Whether runs were trained on the same data; where not, a difference between them may come from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.i18n import _
from workbench.runs.run import Run
from workbench.runs.settings import read_settings

MAX_FIELDS = 3  # that a note names


def training_data_notes(runs: Mapping[str, Run]) -> list[str]:
    """Return a note for each run that was trained on other data than the first.

    Args:
        runs: by the names that the notes use, the first one first.
    """
    (first_name, first), *others = runs.items()
    return [note for name, run in others if (note := _note((first_name, name), (first, run)))]


def group_data_notes(groups: Mapping[str, Sequence[Run]]) -> list[str]:
    """Return a note for each group of runs that were not all trained on the same data, and for groups on other data.

    Args:
        groups: runs that differ only in their seeds, by the name of their group.
    """
    notes = []
    for name, runs in groups.items():
        if len({_fingerprint(run) for run in runs} - {None}) > 1:
            text = _(
                "The runs of {name} were not all trained on the same data: a data file has changed between them, so "
                "they do not differ in their seed only."
            )
            notes.append(text.format(name=name))
    return notes + training_data_notes({name: runs[0] for name, runs in groups.items()})


def _note(names: tuple[str, str], runs: tuple[Run, Run]) -> str:
    """Return a note where two runs were trained on different data; empty where not, or where it is not known."""
    fingerprints = [_fingerprint(run) for run in runs]
    if None in fingerprints or fingerprints[0] == fingerprints[1]:
        return ""
    first, second = (read_settings(run) for run in runs)
    names_of_data = [name for name in {**first, **second} if name.startswith("data.") and name != "data.test"]
    fields = [name for name in names_of_data if first.get(name) != second.get(name)]
    if _same_rows(*runs) and not any(name.startswith("data.columns.") for name in fields):
        return ""
    if fields:
        text = _(
            "{first} and {second} were trained on different data ({fields} differs): the data may be a reason for a "
            "difference between them."
        )
    else:
        text = _(
            "{first} and {second} were trained on different data: their settings are the same, and a data file has "
            "changed between them. That may be a reason for a difference between them."
        )
    more = ", ..." if len(fields) > MAX_FIELDS else ""
    return text.format(first=names[0], second=names[1], fields=", ".join(fields[:MAX_FIELDS]) + more)


def _same_rows(first: Run, second: Run) -> bool:
    """Return whether two runs were trained on the same rows of one file; they may differ in their other splits."""
    one, other = first.splits(), second.splits()
    if one is None or other is None or not one.files or not other.files:
        return False  # not known
    return one.files.get("train") == other.files.get("train") and one.ids.get("train") == other.ids.get("train")


def _fingerprint(run: Run) -> str | None:
    environment = run.environment()
    return environment.data_fingerprint if environment is not None else None
