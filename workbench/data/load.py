"""From a spec's data section to examples.

    DataSpec -> tables -> columns -> examples -> splits -> limits -> Dataset (with its report)

Nothing is dropped silently: rows without text, rows that a catalogue entry excludes and rows beyond a limit are counted
and listed in the report. Unusable data is refused, with the row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workbench.data.bad_rows import exclude_bad_rows
from workbench.data.catalogue.entries import DatasetEntry
from workbench.data.catalogue.naming import find_entry
from workbench.data.columns import Column, map_columns, require_column
from workbench.data.examples import SPLITS, Examples, SplitName
from workbench.data.extra_columns import extra_columns
from workbench.data.extract import Extracted, extract
from workbench.data.labels.rare import note_rare_labels
from workbench.data.labels.spelling import unify_labels
from workbench.data.members import expand_objects
from workbench.data.normalize import normalize_targets
from workbench.data.progress import Progress
from workbench.data.readers.table import Table
from workbench.data.report import DataReport, ExcludedRows, SplitView, build_report, check_splits
from workbench.data.roles import Roles
from workbench.data.shapes import apply_shapes
from workbench.data.splitting.duplicates import drop_duplicates
from workbench.data.splitting.holdout import apply_limits, hold_out, note_shared_groups
from workbench.data.splitting.sizes import check_sizes
from workbench.data.tables import filter_rows, read_tables
from workbench.runs.report_notes import from_json
from workbench.spec import DataSpec
from workbench.workspace import Workspace

TEXT = Column("text", "The text.", ("text", "content", "document", "body", "article", "review", "sentence"))


@dataclass
class Dataset:
    """The data of a run. A split that has no file and is not held out is empty.

    Args:
        train: the examples to learn from.
        valid: the examples to choose a checkpoint by.
        test: the examples to report on.
        mapping: role -> column.
        notes: what was detected or excluded, in sentences; warnings (:class:`WarningNote`) come first.
        report: see :mod:`workbench.data.report`.
        fingerprint: sha256 over the content of the files, the mapping and the ids of each split.
        files: sha256 of the file of each split that has one.
    """

    train: Examples
    valid: Examples
    test: Examples
    mapping: dict[str, str]
    notes: list[str]
    report: DataReport
    fingerprint: str
    files: dict[str, str] = field(default_factory=dict)

    def split(self, name: SplitName) -> Examples:
        """Return a split by name.

        Args:
            name: ``train``, ``valid`` or ``test``.
        """
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        return splits[name]

    def split_ids(self) -> dict[SplitName, list[str]]:
        """Return the ids of the examples of each split, for ``splits.json``."""
        return {name: list(self.split(name).ids) for name in SPLITS}


@dataclass(frozen=True)
class ReadSplits:
    """The examples of each split that has a file of its own.

    Attributes:
        tables: the rows of each split.
        roles: the roles of the task and their columns.
        notes: which columns were chosen by their names, and how labels are read.
        group: the column whose values stay in one split; None without one.
        extracted: the usable examples of each split.
        excluded: the rows that a catalogue entry excludes.
    """

    tables: dict[SplitName, Table]
    roles: Roles
    notes: list[str]
    group: str | None
    extracted: dict[SplitName, Extracted]
    excluded: list[ExcludedRows]


def load_data(
    spec: DataSpec, columns: Sequence[Column], workspace: Workspace, progress: Progress | None = None
) -> Dataset:
    """Load the examples that a spec names.

    Args:
        spec: the data section of a spec. A relative path starts at the current folder; ``~`` is the home folder.
        columns: the roles of the task.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        DataError: the data cannot be used; the message says where and why.
        FetchError: a data set of the catalogue could not be fetched.
    """
    read = read_splits(spec, columns, workspace, progress)
    tables, roles, extracted, mapping = read.tables, read.roles, read.extracted, read.roles.mapping
    excluded = read.excluded + [rows for each in extracted.values() for rows in each.excluded]

    splits = hold_out(extracted, spec, roles)
    splits, over_limit = apply_limits(splits, spec, roles)
    excluded += over_limit
    splits = {split: splits[split] for split in SPLITS if split in splits}
    _attach_extra_columns(splits, tables, mapping)

    notes = [note for table in tables.values() for note in table.notes] + read.notes
    notes += [note for each in extracted.values() for note in each.notes]
    notes += note_shared_groups(extracted, read.group)
    notes += note_rare_labels(splits, {split: each.examples for split, each in extracted.items()}, roles)
    check_sizes(splits, extracted, spec, roles, read.group)
    report = _check_and_report(splits, roles, tables, excluded, notes)
    empty = Examples({role: [] for role in mapping})
    return Dataset(
        train=splits["train"],
        valid=splits.get("valid", empty),
        test=splits.get("test", empty),
        mapping=mapping,
        notes=from_json(report["notes"]),
        report=report,
        fingerprint=_fingerprint(splits, mapping, tables, spec.labels),
        files={split: table.sha256 for split, table in tables.items()},
    )


def read_splits(
    spec: DataSpec, columns: Sequence[Column], workspace: Workspace, progress: Progress | None = None
) -> ReadSplits:
    """Read the examples of each split that has a file of its own; nothing is held out, limited or compared yet.

    Args:
        spec: the data section of a spec.
        columns: the roles of the task.
        workspace: whose cache is used.
        progress: called during downloads.

    Raises:
        DataError: the data cannot be used; the message says where and why.
        FetchError: a data set of the catalogue could not be fetched.
    """
    entry = find_entry(spec.train)
    all_tables = read_tables(spec, entry, columns, workspace, progress)
    tables, excluded = filter_rows(all_tables, entry)

    tables, chosen = apply_shapes(tables, columns, _known_columns(spec, entry, columns), spec)
    tables = expand_objects(tables, columns, chosen)
    mapping, mapping_notes = map_columns(tables["train"], columns, chosen)
    roles = Roles.of(columns, mapping)
    tables = normalize_targets(tables, roles, spec)
    group = _group_column(spec, entry, tables["train"], roles)

    extracted = {split: extract(split, table, roles, group) for split, table in tables.items()}
    excluded += exclude_bad_rows({split: each.bad_rows for split, each in extracted.items()}, tables, spec)
    examples = {split: each.examples for split, each in extracted.items()}
    label_notes = unify_labels(examples, roles, spec.labels)
    excluded += drop_duplicates(extracted, spec, roles)
    return ReadSplits(tables, roles, mapping_notes + label_notes, group, extracted, excluded)


def load_texts(spec: DataSpec, workspace: Workspace, progress: Progress | None = None) -> tuple[list[str], list[str]]:
    """Load the texts of the train split, for what needs a corpus and no task.

    Args:
        spec: the data section of a spec.
        workspace: whose cache is used.
        progress: called during downloads.

    Returns:
        The texts, one per example, and notes.

    Raises:
        DataError: the data cannot be used.
        FetchError: a data set of the catalogue could not be fetched.
    """
    dataset = load_data(spec, (TEXT,), workspace, progress)
    return dataset.train.columns["text"], dataset.notes


def _known_columns(spec: DataSpec, entry: DatasetEntry | None, columns: Sequence[Column]) -> dict[str, str | list[str]]:
    """Return role -> column as the catalogue and the spec say; the spec has precedence."""
    roles = {column.role for column in columns}
    known = {role: name for role, name in entry.columns.items() if role in roles} if entry is not None else {}
    return {**known, **spec.columns}


def _group_column(spec: DataSpec, entry: DatasetEntry | None, train: Table, roles: Roles) -> str | None:
    """Return the column whose values stay in one split, named by the spec, the data or the task."""
    if spec.group is not None:
        return require_column(train, spec.group, "group") if spec.group else None
    if entry is not None and entry.group is not None:
        return entry.group
    if train.group is not None:
        return train.group
    if Path(spec.train).expanduser().is_dir():
        return "file"
    return roles.group


def _attach_extra_columns(
    splits: Mapping[SplitName, Examples], tables: Mapping[SplitName, Table], mapping: Mapping[str, str]
) -> None:
    """Attach the columns without a role to the splits that are reported on: only their results are sliced."""
    for split, examples in splits.items():
        if split != "train":
            table = tables.get(split, tables["train"])
            examples.extra_columns = extra_columns(table, mapping.values(), examples.rows)


def _check_and_report(
    splits: Mapping[SplitName, Examples],
    roles: Roles,
    tables: Mapping[SplitName, Table],
    excluded: Sequence[ExcludedRows],
    notes: Sequence[str],
) -> DataReport:
    views = {
        split: SplitView(roles.inputs_of(examples), examples.locations(), roles.labels_of(examples))
        for split, examples in splits.items()
    }
    check_splits(views, multi_label=roles.multi_label)
    origin = {split: table.origin for split, table in tables.items() if table.origin}
    return build_report(views, excluded, roles.mapping, notes, origin)


def _fingerprint(
    splits: Mapping[SplitName, Examples],
    mapping: Mapping[str, str],
    tables: Mapping[SplitName, Table],
    merges: Mapping[str, str],
) -> str:
    content: dict[str, object] = {
        "files": {split: table.sha256 for split, table in tables.items()},
        "mapping": dict(mapping),
        "ids": {split: examples.ids for split, examples in splits.items()},
    }
    if merges:
        content["labels"] = dict(merges)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
