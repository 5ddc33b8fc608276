"""From a spec's data part to examples: fetch or find the files, read, map columns, split, limit, and report.

    DataSpec -> files -> tables -> columns -> examples -> splits -> limits -> Dataset (with its report)

Nothing is dropped silently: rows without text, rows that a catalogue entry leaves out and rows beyond a limit are
counted, and listed in the report. What cannot be used is refused with the row where it stands.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.data.catalogue import DatasetEntry, Layout, catalogue, dataset
from workbench.data.columns import Column, map_columns, require_column
from workbench.data.readers import read_table
from workbench.data.report import LeftOut, PartView, check_parts, describe_parts, listed
from workbench.data.sources import Progress, fetch_dataset
from workbench.data.splits import sample, split
from workbench.data.table import Table
from workbench.errors import DataError, RefusedError
from workbench.files import inside
from workbench.spec import DataSpec
from workbench.workspace import Workspace

PARTS = ("train", "valid", "test")


@dataclass
class Examples:
    """Examples of one part.

    Args:
        columns: role -> values: strings for texts and labels, lists of strings for several labels.
        ids: for each example ``file:row``, the same in every run on the same data.
        rows: for each example its line (or record) in the file.
        unit: what ``rows`` counts: ``"line"`` or ``"row"``.
    """

    columns: dict[str, list[Any]]
    ids: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    unit: str = "line"

    def __len__(self) -> int:
        return len(self.ids)

    def places(self) -> list[str]:
        """For each example where it stands, for messages: ``"reviews.csv, line 17"``."""
        names = (key.rpartition(":")[0] for key in self.ids)
        return [f"{name}, {self.unit} {row}" for name, row in zip(names, self.rows, strict=True)]

    def take(self, indices: Iterable[int]) -> Examples:
        """These examples only, in this order."""
        chosen = list(indices)
        return Examples(
            {role: [values[i] for i in chosen] for role, values in self.columns.items()},
            [self.ids[i] for i in chosen],
            [self.rows[i] for i in chosen],
            self.unit,
        )


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
        return {part: list(getattr(self, part).ids) for part in PARTS}


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
    entry = dataset(spec.train) if is_catalogue_name(spec.train) else None
    tables = _read_parts(spec, entry, workspace, progress)
    left_out: list[LeftOut] = []
    if entry is not None and entry.keep:
        tables = {part: _keep(part, table, entry.keep, left_out) for part, table in tables.items()}
    mapping, notes = map_columns(tables["train"], columns, {**_entry_columns(entry, columns), **spec.columns})
    group = _group_column(spec, entry, tables)
    extracted = {
        part: _Extract(part, table, columns, mapping, group if group in table.columns else None, left_out)
        for part, table in tables.items()
    }
    notes = [note for table in tables.values() for note in table.notes] + notes
    notes += [note for part in extracted.values() for note in part.notes]
    parts = _hold_out(extracted, spec, _label_role(columns, mapping), group)
    notes += _group_notes(extracted, group)
    parts = _limit(parts, spec, _label_role(columns, mapping), left_out)
    return _finish(parts, mapping, columns, tables, notes, left_out, held_out=len(parts) > len(tables))


def is_catalogue_name(name: str) -> bool:
    """Whether ``name`` is a data set of the catalogue (and not a path)."""
    return name in catalogue().datasets


def confined_path(workspace: Workspace, name: str) -> Path:
    """The file that ``name`` names, when it lies inside the workspace's uploads.

    For requests from elsewhere, which may not read the machine's other files. A relative name is taken from the
    uploads.

    Raises:
        RefusedError: it lies outside, by whatever spelling, or is no plain path.
        DataError: there is no such file.
    """
    if not name or _SUSPECT.search(name):
        raise RefusedError(
            f"{name[:120]!r} is not the name of an uploaded file.",
            "Upload the file, and give its name as it is listed.",
        )
    try:
        path = inside(workspace.uploads, name, "data file")
        there = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, or a loop of links
        raise RefusedError(f"{name[:120]!r} is not the name of an uploaded file.", "Choose another name.") from error
    if not there:
        raise DataError(f"There is no uploaded file {name[:120]!r}.", "Upload it, or choose one that is listed.")
    return path


# Home folders, network shares, control characters, backslashes, schemes, and dots or separators in an encoded form:
# none of them is decoded here, and none is let through to somebody who might.
_SUSPECT = re.compile(r"^~|^//|[\x00-\x1f\x7f\\#?]|^[A-Za-z][\w+.-]*:|%(2e|2f|5c|00|25)", re.IGNORECASE)


# -- files to tables ------------------------------------------------------------------------------------------------


def _read_parts(
    spec: DataSpec, entry: DatasetEntry | None, workspace: Workspace, progress: Progress | None
) -> dict[str, Table]:
    """The table of each part that has a file."""
    paths: dict[str, Path] = {}
    ours: set[str] = set()  # parts that come from the catalogue, and are written as its layout says
    if entry is not None:
        paths |= fetch_dataset(spec.train, workspace, progress)
        ours = set(paths)
    else:
        paths["train"] = Path(spec.train).expanduser()
    for part in ("valid", "test"):
        name = getattr(spec, part)
        if name is not None:
            paths[part] = Path(name).expanduser()
            ours.discard(part)
    _check_different(paths, workspace)
    tables = {}
    for part in PARTS:
        if part in paths:
            layout = entry.layout if entry is not None and part in ours else Layout()
            tables[part] = _read(paths[part], spec, layout)
    names = Counter(table.name for table in tables.values())
    for part, table in tables.items():
        if names[table.name] > 1:
            table.name = f"{part}/{table.name}"
    return tables


def _read(path: Path, spec: DataSpec, layout: Layout) -> Table:
    try:
        return read_table(path, spec.delimiter, spec.encoding, layout)
    except DataError as error:
        if path.exists() or path.suffix:
            raise
        known = ", ".join(sorted(catalogue().datasets))
        raise DataError(
            f"{str(path)!r} is neither a file nor a data set of the catalogue.", f"The catalogue has: {known}."
        ) from error


def _check_different(paths: Mapping[str, Path], workspace: Workspace) -> None:
    seen: dict[Path, str] = {}
    for part, path in paths.items():
        other = seen.setdefault(path.resolve(), part)
        if other != part:
            raise DataError(
                f"{path.name} is given as {other} and as {part}: what is measured must not be what was learned.",
                f"Leave data.{part} out, and a part of train is held out.",
            )


def _keep(part: str, table: Table, keep: Mapping[str, tuple[str, ...]], left_out: list[LeftOut]) -> Table:
    """The rows that the catalogue says to use."""
    for column, values in keep.items():
        if column not in table.columns:
            continue
        kept = [i for i, value in enumerate(table.columns[column]) if value in values]
        others = Counter(value for value in table.columns[column] if value not in values)
        for value, count in others.items():
            left_out.append(LeftOut(part, f"{column} is {value!r}, which this data set is not about", count=count))
        table = table.take(kept)
    return table


def _entry_columns(entry: DatasetEntry | None, columns: Sequence[Column]) -> dict[str, str]:
    roles = {column.role for column in columns}
    return {role: name for role, name in entry.columns.items() if role in roles} if entry is not None else {}


def _group_column(spec: DataSpec, entry: DatasetEntry | None, tables: Mapping[str, Table]) -> str | None:
    if spec.group is not None:
        return require_column(tables["train"], spec.group, "group")
    return entry.group if entry is not None else None


def _label_role(columns: Sequence[Column], mapping: Mapping[str, str]) -> Column | None:
    return next((column for column in columns if column.kind != "text" and column.role in mapping), None)


# -- tables to examples ---------------------------------------------------------------------------------------------


class _Extract:
    """The usable examples of one table, and what was left out of it."""

    def __init__(
        self,
        part: str,
        table: Table,
        columns: Sequence[Column],
        mapping: Mapping[str, str],
        group: str | None,
        left_out: list[LeftOut],
    ) -> None:
        self.table = table
        self.notes: list[str] = []
        for role, name in mapping.items():
            require_column(table, name, f"columns.{role}")
        roles = [column for column in columns if column.role in mapping]
        values = {c.role: self._texts(mapping[c.role]) for c in roles if c.kind == "text"}
        kept = self._with_text(part, values, left_out)
        for column in roles:
            if column.kind == "label":
                values[column.role] = self._labels(mapping[column.role], kept)
            elif column.kind == "labels":
                values[column.role] = self._label_lists(mapping[column.role], kept)
        ids = [f"{table.name}:{row}" for row in table.rows]
        everything = Examples({c.role: values[c.role] for c in roles}, ids, table.rows, table.unit)
        self.examples = everything.take(kept)
        self.groups = [table.columns[group][i] for i in kept] if group is not None else None
        self._note_labels(roles)

    def _texts(self, name: str) -> list[Any]:
        """The column as strings; empty where there is nothing."""
        values = []
        for i, value in enumerate(self.table.columns[name]):
            if value is None:
                value = ""
            elif isinstance(value, bool) or not isinstance(value, str | int | float):
                raise DataError(
                    f"{self.table.where(i)}: column {name!r} holds {_kind(value)}, where text is needed.",
                    "Choose another column (data.columns), or write it as text.",
                )
            values.append(self._whole_text(str(value), name, i))
        return values

    def _whole_text(self, value: str, name: str, i: int) -> str:
        if not value.isascii() and _SURROGATE.search(value):
            raise DataError(
                f"{self.table.where(i)}: column {name!r} holds half a character (a lone surrogate).",
                "Write the file again as UTF-8.",
            )
        return value

    def _with_text(self, part: str, texts: Mapping[str, list[Any]], left_out: list[LeftOut]) -> list[int]:
        """The rows whose texts are all there; the others are left out, and listed."""
        kept = list(range(len(self.table)))
        for role, values in texts.items():
            empty = [i for i in kept if not values[i].strip()]
            if empty:
                left_out.append(LeftOut(part, f"the {role} is empty", [self.table.rows[i] for i in empty]))
                gone = set(empty)
                kept = [i for i in kept if i not in gone]
        if not kept:
            raise DataError(f"{self.table.name}: no row has any text.", "Is the right column given (data.columns)?")
        return kept

    def _labels(self, name: str, kept: Iterable[int]) -> list[Any]:
        """The column as labels: text without spaces around it. Rows that are not kept stay empty."""
        values: list[Any] = [""] * len(self.table)
        missing: list[int] = []
        stripped = 0
        for i in kept:
            value = self.table.columns[name][i]
            text = self._label(value, name, i)
            stripped += isinstance(value, str) and text != value
            if not text:
                missing.append(i)
            values[i] = text
        if missing:
            rows = listed([self.table.rows[i] for i in missing])
            raise DataError(
                f"{self.table.where(missing[0])}: the label (column {name!r}) is missing; {len(missing):,} "
                f"{'row lacks' if len(missing) == 1 else 'rows lack'} it ({self.table.unit} {rows}).",
                "Give every row a label, or take those rows out.",
            )
        if stripped:
            self.notes.append(f"{self.table.name}: spaces around {stripped:,} labels were taken away.")
        return values

    def _label(self, value: Any, name: str, i: int) -> str:
        if value is None or value != value:  # NaN: a missing number
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # tables store a column of whole numbers with gaps as 1.0
        if isinstance(value, str | int | float):
            return self._whole_text(str(value).strip(), name, i)
        raise DataError(
            f"{self.table.where(i)}: column {name!r} holds {_kind(value)}, where one label is needed.",
            "Choose another column (data.columns), or a task with several labels.",
        )

    def _label_lists(self, name: str, kept: Sequence[int]) -> list[Any]:
        """The column as lists of labels: lists as they are, strings taken apart at ``|`` or ``;``."""
        column = self.table.columns[name]
        strings = [column[i] for i in kept if isinstance(column[i], str)]
        separator = "|" if any("|" in value for value in strings) else ";"
        values: list[Any] = [[]] * len(self.table)
        for i in kept:
            value = column[i]
            pieces = value.split(separator) if isinstance(value, str) else value
            if not isinstance(pieces, list):
                pieces = [] if pieces is None else [pieces]
            labels = [self._label(piece, name, i) for piece in pieces]
            values[i] = sorted({label for label in labels if label})
        if strings:
            self.notes.append(f"{self.table.name}: several labels in column {name!r} are taken apart at {separator!r}.")
        return values

    def _note_labels(self, roles: Sequence[Column]) -> None:
        """Tell of labels that look like one, written in two ways."""
        for column in roles:
            if column.kind == "text":
                continue
            spellings: dict[str, set[str]] = {}
            for value in self.examples.columns[column.role]:
                for label in value if isinstance(value, list) else [value]:
                    spellings.setdefault(label.casefold(), set()).add(label)
            alike = [" and ".join(map(repr, sorted(names))) for names in spellings.values() if len(names) > 1]
            if alike:
                self.notes.append(f"{self.table.name}: labels that differ in capitals only: {listed(alike)}.")


_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _kind(value: Any) -> str:
    names = {"dict": "an object", "list": "a list", "bool": "true or false"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")


# -- parts ----------------------------------------------------------------------------------------------------------


def _label_lists_of(examples: Examples, label: Column | None) -> list[tuple[str, ...]] | None:
    if label is None:
        return None
    values = examples.columns[label.role]
    return [tuple(value) if isinstance(value, list) else (value,) for value in values]


def _texts_of(examples: Examples, label: Column | None) -> list[tuple[str, ...]]:
    texts = [values for role, values in examples.columns.items() if label is None or role != label.role]
    return list(zip(*texts, strict=True))


def _hold_out(
    extracted: Mapping[str, _Extract], spec: DataSpec, label: Column | None, group: str | None
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
    together: list[Sequence[Any]] = [_texts_of(train.examples, label)]
    if train.groups is not None:
        together.append([None if value in (None, "") else str(value) for value in train.groups])
    dealt = split(len(train.examples), shares, spec.split_seed, _label_lists_of(train.examples, label), together)
    return parts | {part: train.examples.take(positions) for part, positions in dealt.items()}


def _group_notes(extracted: Mapping[str, _Extract], group: str | None) -> list[str]:
    """Tell of groups that the given files put on both sides."""
    known = {part: {str(value) for value in found.groups} for part, found in extracted.items() if found.groups}
    return [
        f"{len(both):,} values of {group!r} stand in train and in {part}: {listed(sorted(both)[:3])}."
        for part, values in known.items()
        if part != "train" and "train" in known and (both := known["train"] & values)
    ]


def _limit(
    parts: Mapping[str, Examples], spec: DataSpec, label: Column | None, left_out: list[LeftOut]
) -> dict[str, Examples]:
    limited = dict(parts)
    for part, examples in parts.items():
        most = getattr(spec.limit, part)
        if most is not None and most < len(examples):
            chosen = sample(range(len(examples)), _label_lists_of(examples, label), most, spec.split_seed)
            limited[part] = examples.take(chosen)
            reason = f"data.limit.{part} is {most:,} of {len(examples):,}"
            left_out.append(LeftOut(part, reason, count=len(examples) - most))
    return limited


def _finish(
    parts: Mapping[str, Examples],
    mapping: dict[str, str],
    columns: Sequence[Column],
    tables: Mapping[str, Table],
    notes: list[str],
    left_out: Sequence[LeftOut],
    held_out: bool,
) -> Dataset:
    """Refuse what cannot be used, report on the rest."""
    label = _label_role(columns, mapping)
    ordered = {part: parts[part] for part in PARTS if part in parts}
    views = {
        part: PartView(
            _texts_of(examples, label),
            examples.places(),
            _label_lists_of(examples, label),
        )
        for part, examples in ordered.items()
    }
    check_parts(views, several=label is not None and label.kind == "labels", held_out=held_out)
    report = describe_parts(views)
    notes += [str(item) for item in left_out] + _report_notes(report)
    report |= {"left_out": [item.as_dict() for item in left_out], "mapping": mapping, "notes": notes}
    nothing = Examples({role: [] for role in mapping})
    return Dataset(
        **{part: ordered.get(part, nothing) for part in PARTS},
        mapping=mapping,
        notes=notes,
        report=report,
        fingerprint=_fingerprint(ordered, mapping, tables),
    )


def _report_notes(report: Mapping[str, Any]) -> list[str]:
    """The report's warnings as sentences."""
    notes = []
    for name, part in report["parts"].items():
        if part["duplicates"]["count"]:
            notes.append(f"{name}: {part['duplicates']['count']:,} texts stand there more than once.")
        if part["conflicts"]["count"]:
            notes.append(f"{name}: {part['conflicts']['count']:,} texts stand there with different labels.")
    for overlap in report["overlaps"]:
        first, second = overlap["between"]
        flattering = f"figures on {second} flatter the model"
        notes.append(f"{overlap['count']:,} texts of {second} stand in {first} too: {flattering}.")
    return notes


def _fingerprint(parts: Mapping[str, Examples], mapping: Mapping[str, str], tables: Mapping[str, Table]) -> str:
    content = {
        "files": {part: table.sha256 for part, table in tables.items()},
        "mapping": dict(mapping),
        "ids": {part: examples.ids for part, examples in parts.items()},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
