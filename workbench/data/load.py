"""From a spec's data part to examples: fetch or find the files, read, map columns, split, limit, and report.

    DataSpec -> files -> tables -> columns -> examples -> splits -> limits -> Dataset (with its report)

Nothing is dropped silently: rows without text, rows that a catalogue entry leaves out and rows beyond a limit are
counted, and listed in the report. What cannot be used is refused with the row where it stands.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data.catalogue import hub_rows, site_packages
from workbench.data.catalogue.entries import DatasetEntry, ReadOptions, catalogue, dataset
from workbench.data.catalogue.sources import fetch_splits
from workbench.data.columns import CLASSES, Column, map_columns, require_column
from workbench.data.examples import Examples
from workbench.data.extra_columns import extra_columns
from workbench.data.extract import Extract
from workbench.data.progress import Progress
from workbench.data.readers.documents import DocumentSplitting
from workbench.data.readers.file_types import TEXTS
from workbench.data.readers.formats import format_for, read_format
from workbench.data.readers.read import read_table
from workbench.data.readers.table import Table
from workbench.data.report import ExcludedRows, SplitView, check_splits, describe_splits, format_list
from workbench.data.splits import sample, split
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace

SPLITS = ("train", "valid", "test")
TEXT = Column("text", "The text.", ("text", "content", "document", "body", "article", "review", "sentence"))


@dataclass
class Dataset:
    """The data of a run. A part that is neither given nor held out is empty.

    Args:
        mapping: role -> column.
        notes: what was found out or left out, in sentences.
        report: see :mod:`workbench.data.report`, with ``"left_out"`` and ``"notes"`` beside.
        fingerprint: sha256 over the files' content, the mapping and the ids of each part.
    """

    train: Examples
    valid: Examples
    test: Examples
    mapping: dict[str, str]
    notes: list[str]
    report: dict[str, Any]
    fingerprint: str

    def split_ids(self) -> dict[str, list[str]]:
        """The ids of each part, for ``splits.json``."""
        return {part: list(getattr(self, part).ids) for part in SPLITS}


def load_data(
    spec: DataSpec, columns: Sequence[Column], workspace: Workspace, progress: Progress | None = None
) -> Dataset:
    """Load the examples that a spec names.

    Args:
        spec: the data part of a spec. A file's path is taken from the current folder; ``~`` is the home folder.
        columns: the roles of the task.
        workspace: whose cache is used.
        progress: called while something is downloaded.

    Raises:
        DataError: the data cannot be used; the message says where and why.
        FetchError: a data set of the catalogue could not be fetched.
    """
    entry = dataset(spec.train) if spec.train in catalogue().datasets else None
    tables = _read_parts(spec, entry, columns, workspace, progress)
    left_out: list[ExcludedRows] = []
    if entry is not None and entry.keep:
        tables = {part: _keep(part, table, entry.keep, left_out) for part, table in tables.items()}
    mapping, notes = map_columns(tables["train"], columns, {**_entry_columns(entry, columns), **spec.columns})
    group = _group_column(
        spec, entry, tables, {mapping[c.role] for c in columns if c.keeps_together and c.role in mapping}
    )
    extracted = {
        part: Extract(part, table, columns, mapping, group if group in table.columns else None, left_out)
        for part, table in tables.items()
    }
    notes = [note for table in tables.values() for note in table.notes] + notes
    notes += [note for part in extracted.values() for note in part.notes]
    label = _label_role(columns, mapping)
    read = [column.role for column in columns if column.role in mapping and not column.is_target]
    parts = _hold_out(extracted, spec, label, read)
    notes += _group_notes(extracted, group)
    parts = _limit(parts, spec, label, left_out)
    return _finish(parts, mapping, label, read, tables, notes, left_out, held_out=len(parts) > len(tables))


def load_texts(spec: DataSpec, workspace: Workspace, progress: Progress | None = None) -> tuple[list[str], list[str]]:
    """The training part's texts, one an example, and notes: for what needs a corpus and no task. See `load_data`."""
    found = load_data(spec, (TEXT,), workspace, progress)
    return found.train.columns["text"], found.notes


# -- files to tables ------------------------------------------------------------------------------------------------


def _read_parts(
    spec: DataSpec,
    entry: DatasetEntry | None,
    columns: Sequence[Column],
    workspace: Workspace,
    progress: Progress | None,
) -> dict[str, Table]:
    """The table of each part that is given."""
    given = {part: getattr(spec, part) for part in SPLITS if getattr(spec, part) is not None}
    if entry is not None:
        del given["train"]
    streamed = {part: name for part, name in given.items() if hub_rows.is_reference(name)}
    brought = fetch_splits(spec.train, workspace, progress) if entry is not None else {}
    own = {part: Path(name).expanduser() for part, name in given.items() if part not in streamed}
    if entry is None or entry.read_options.format is None:  # a format may make every part from the same files
        _check_different({**{part: paths[0] for part, paths in brought.items()}, **own})
    tables = {}
    for part in SPLITS:
        if part in streamed:
            tables[part] = _stream(part, streamed[part], spec, workspace, progress)
        elif part in own:
            tables[part] = _read(own[part], spec, ReadOptions(), _documents(own[part], spec, columns))
        elif part in brought and entry is not None:
            tables[part] = _read_ours(part, brought[part], spec, entry)
    names = Counter(table.name for table in tables.values())
    for part, table in tables.items():
        if names[table.name] > 1:
            table.name = f"{part}/{table.name}"
    return tables


def _documents(path: Path, spec: DataSpec, columns: Sequence[Column]) -> DocumentSplitting | None:
    """How a text is cut into documents; None for a table. A text is all that a task without labels needs."""
    if path.suffix.lower() not in TEXTS and not path.is_dir():
        return None
    text_only = [column.kind for column in columns if column.required] == ["text"]
    return spec.documents if text_only or spec.documents != "auto" else None


def _read_ours(part: str, paths: Sequence[Path], spec: DataSpec, entry: DatasetEntry) -> Table:
    """Files of the catalogue, written as their entry says; of a text, the spec may say otherwise what a document is."""
    options, documents = entry.read_options, entry.read_options.documents
    if spec.documents != "auto":
        if documents is None:
            raise DataError(
                f"data.documents is {spec.documents!r}, and {spec.train} is a table.", "Leave data.documents out."
            )
        documents = spec.documents
    if options.format is not None:
        table = read_format(options.format, paths, spec.train, part, spec.encoding or options.encoding)
    else:
        table = _read(paths[0], spec, options, documents)
    if entry.made_here is not None:
        table.origin = site_packages.read_manifest(paths[0].parent)
        packages = len(table.origin.get("packages", []))
        table.notes.append(
            f"{spec.train}: from {packages:,} installed packages; data.json says which, and their licences."
        )
    return table


def _stream(part: str, name: str, spec: DataSpec, workspace: Workspace, progress: Progress | None) -> Table:
    """Rows of the hub, as many as the limit says."""
    path, about, note = fetch_hub_file(part, name, spec, workspace, progress)
    table = read_table(path)
    table.name, table.sha256, table.origin = about["repository"], about["sha256"], about
    table.notes.append(note)
    return table


def fetch_hub_file(
    part: str, name: str, spec: DataSpec, workspace: Workspace, progress: Progress | None
) -> tuple[Path, dict[str, Any], str]:
    """The Parquet file with rows of the hub, as many as the limit says; what is known of them, and a note."""
    rows = getattr(spec.limit, part)
    if rows is None:
        raise DataError(
            f"data.{part} is {name}, which is streamed, and data.limit.{part} is not given.",
            f"Say how many rows to read: limit: {{{part}: 100000}}.",
        )
    path, about = hub_rows.fetch_rows(name, rows, workspace, progress)
    return path, about, hub_rows.describe_sample(name, about)


def _read(path: Path, spec: DataSpec, options: ReadOptions, documents: DocumentSplitting | None = None) -> Table:
    known_format = format_for(path)
    if known_format is not None:
        return read_format(known_format, [path], path.name, "train", spec.encoding)
    check_name(path)
    return read_table(path, spec.delimiter, spec.encoding, options, documents)


def check_name(path: Path) -> None:
    """Raise DataError where ``path`` looks like a name of the catalogue that there is not."""
    if not path.exists() and not path.suffix:
        known = ", ".join(sorted(catalogue().datasets))
        raise DataError(
            f"{str(path)!r} is neither a file nor a data set of the catalogue.", f"The catalogue has: {known}."
        )


def _check_different(paths: Mapping[str, Path]) -> None:
    seen: dict[Path, str] = {}
    for part, path in paths.items():
        other = seen.setdefault(path.resolve(), part)
        if other != part:
            raise DataError(
                f"{path.name} is given as {other} and as {part}: what is measured must not be what was learned.",
                f"Leave data.{part} out, and a part of train is held out.",
            )


def _keep(part: str, table: Table, keep: Mapping[str, tuple[str, ...]], left_out: list[ExcludedRows]) -> Table:
    """The rows that the catalogue says to use."""
    for column, values in keep.items():
        if column not in table.columns:
            continue
        kept = [i for i, value in enumerate(table.columns[column]) if value in values]
        others = Counter(value for value in table.columns[column] if value not in values)
        for value, count in others.items():
            left_out.append(ExcludedRows(part, f"{column} is {value!r}, which this data set is not about", count=count))
        table = table.take(kept)
    return table


def _entry_columns(entry: DatasetEntry | None, columns: Sequence[Column]) -> dict[str, str]:
    roles = {column.role for column in columns}
    return {role: name for role, name in entry.columns.items() if role in roles} if entry is not None else {}


def _group_column(
    spec: DataSpec, entry: DatasetEntry | None, tables: Mapping[str, Table], by_task: set[str]
) -> str | None:
    """The column whose values stay on one side: the spec's, the data's own, or the one that the task keeps together."""
    if spec.group is not None:
        return require_column(tables["train"], spec.group, "group")
    if entry is not None and entry.group is not None:
        return entry.group
    if tables["train"].group is not None:
        return tables["train"].group
    if Path(spec.train).expanduser().is_dir():
        return "file"
    return next(iter(by_task), None)


def _label_role(columns: Sequence[Column], mapping: Mapping[str, str]) -> Column | None:
    return next((column for column in columns if column.kind in CLASSES and column.role in mapping), None)


# -- parts ----------------------------------------------------------------------------------------------------------


def _label_lists_of(examples: Examples, label: Column | None) -> list[tuple[str, ...]] | None:
    if label is None:
        return None
    values = examples.columns[label.role]
    return [tuple(value) if isinstance(value, list) else (value,) for value in values]


def _texts_of(examples: Examples, read: Sequence[str]) -> list[tuple[Any, ...]]:
    """For each example what the model reads of it: two with the same are the same, whatever their targets."""
    columns = [examples.columns[role] for role in read]
    return [tuple(tuple(v) if isinstance(v, list) else v for v in values) for values in zip(*columns, strict=True)]


def _hold_out(
    extracted: Mapping[str, Extract], spec: DataSpec, label: Column | None, read: Sequence[str]
) -> dict[str, Examples]:
    """The given parts, and those held out of train. Groups and identical texts stay on one side."""
    parts = {part: found.examples for part, found in extracted.items()}
    shares = {part: getattr(spec.holdout, part) for part in ("test", "valid") if part not in parts}
    shares = {part: share for part, share in shares.items() if share > 0}
    if not shares:
        return parts
    if sum(shares.values()) >= 0.95:
        raise DataError(
            f"data.holdout takes {sum(shares.values()):.0%} of the training data away.",
            "Hold out less than 95% in all.",
        )
    train = extracted["train"]
    together: list[Sequence[Any]] = [_texts_of(train.examples, read)]
    if train.groups is not None:
        together.append([None if value in (None, "") else str(value) for value in train.groups])
    dealt = split(len(train.examples), shares, spec.split_seed, _label_lists_of(train.examples, label), together)
    return parts | {part: train.examples.take(positions) for part, positions in dealt.items()}


def _group_notes(extracted: Mapping[str, Extract], group: str | None) -> list[str]:
    """Tell of groups that the given files put on both sides."""
    known = {part: {str(value) for value in found.groups} for part, found in extracted.items() if found.groups}
    found = {part: known["train"] & values for part, values in known.items() if part != "train" and "train" in known}
    return [
        f"{len(both):,} values of {group!r} stand in train and in {part}: "
        f"{format_list([one[:60] for one in sorted(both)])}."
        for part, both in found.items()
        if both
    ]


def _limit(
    parts: Mapping[str, Examples], spec: DataSpec, label: Column | None, left_out: list[ExcludedRows]
) -> dict[str, Examples]:
    limited = dict(parts)
    for part, examples in parts.items():
        most = getattr(spec.limit, part)
        if most is not None and most < len(examples):
            chosen = sample(range(len(examples)), _label_lists_of(examples, label), most, spec.split_seed)
            limited[part] = examples.take(chosen)
            reason = f"data.limit.{part} is {most:,} of {len(examples):,}"
            left_out.append(ExcludedRows(part, reason, count=len(examples) - most))
    return limited


def _finish(
    parts: Mapping[str, Examples],
    mapping: dict[str, str],
    label: Column | None,
    read: Sequence[str],
    tables: Mapping[str, Table],
    notes: list[str],
    left_out: Sequence[ExcludedRows],
    held_out: bool,
) -> Dataset:
    """Refuse what cannot be used, report on the rest."""
    ordered = {part: parts[part] for part in SPLITS if part in parts}
    for part in ordered:
        if part != "train":  # only what is reported on is ever cut by them
            table = tables.get(part, tables["train"])
            ordered[part].extra_columns = extra_columns(table, mapping.values(), ordered[part].rows)
    views = {
        part: SplitView(
            _texts_of(examples, read),
            examples.locations(),
            _label_lists_of(examples, label),
        )
        for part, examples in ordered.items()
    }
    check_splits(views, several=label is not None and label.kind == "labels", held_out=held_out)
    report = describe_splits(views)
    notes += [str(item) for item in left_out] + _report_notes(report)
    report |= {"left_out": [item.as_dict() for item in left_out], "mapping": mapping, "notes": notes}
    report["origin"] = {part: table.origin for part, table in tables.items() if table.origin}
    nothing = Examples({role: [] for role in mapping})
    return Dataset(
        **{part: ordered.get(part, nothing) for part in SPLITS},
        mapping=mapping,
        notes=notes,
        report=report,
        fingerprint=_fingerprint(ordered, mapping, tables),
    )


def _stand(count: int, where: str = "") -> str:
    return f"{count:,} text{where} stands" if count == 1 else f"{count:,} texts{where} stand"


def _report_notes(report: Mapping[str, Any]) -> list[str]:
    """The report's warnings as sentences."""
    notes = []
    for name, part in report["parts"].items():
        if part["duplicates"]["count"]:
            notes.append(f"{name}: {_stand(part['duplicates']['count'])} there more than once.")
        if part["conflicts"]["count"]:
            notes.append(f"{name}: {_stand(part['conflicts']['count'])} there with different labels.")
    for overlap in report["overlaps"]:
        first, second = overlap["between"]
        flattering = f"figures on {second} flatter the model"
        notes.append(f"{_stand(overlap['count'], f' of {second}')} in {first} too: {flattering}.")
    return notes


def _fingerprint(parts: Mapping[str, Examples], mapping: Mapping[str, str], tables: Mapping[str, Table]) -> str:
    content = {
        "files": {part: table.sha256 for part, table in tables.items()},
        "mapping": dict(mapping),
        "ids": {part: examples.ids for part, examples in parts.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
