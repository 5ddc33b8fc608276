"""From the names in a spec to tables: fetch, stream or open the files, and read them.

A split is one of: a data set of the catalogue, rows of a Hugging Face data set (``hf:...``), or a file of the user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.data.catalogue import hub_rows, site_packages
from workbench.data.catalogue.entries import DatasetEntry, catalogue
from workbench.data.catalogue.hub_rows import HubSample
from workbench.data.catalogue.naming import source_kind
from workbench.data.catalogue.sources import fetch_splits
from workbench.data.columns import Column
from workbench.data.examples import SPLITS, SplitName
from workbench.data.progress import Progress
from workbench.data.readers.archives import note_unpacked, unpacked
from workbench.data.readers.file_types import TEXTS
from workbench.data.readers.formats import format_for, read_format
from workbench.data.readers.options import DocumentSplitting, ReadOptions
from workbench.data.readers.read import read_table, refuse_header
from workbench.data.readers.table import Table
from workbench.data.report import ExcludedRows
from workbench.errors import DataError
from workbench.spec import DataSpec
from workbench.workspace import Workspace


def read_tables(
    spec: DataSpec,
    entry: DatasetEntry | None,
    columns: Sequence[Column],
    workspace: Workspace,
    progress: Progress | None = None,
) -> dict[SplitName, Table]:
    """Return the table of each split that has a file of its own.

    Args:
        spec: names the files.
        entry: the data set that ``spec.train`` names; None for a file or a reference.
        columns: the roles of the task; a task that needs only texts reads ``.txt`` files as documents.
        workspace: whose cache is used.
        progress: called during downloads, and while large files are read.

    Raises:
        DataError: a file is missing or cannot be used, or two splits name the same file.
        FetchError: a data set could not be fetched.
    """
    names: dict[SplitName, str] = {split: name for split in SPLITS if (name := getattr(spec, split)) is not None}
    if entry is not None:
        del names["train"]
    fetched = fetch_splits(spec.train, workspace, progress) if entry is not None else {}
    own_files = {split: Path(name).expanduser() for split, name in names.items() if source_kind(name, split) == "path"}
    if entry is None or entry.read_options.format is None:  # a format may make several splits from the same files
        _check_different({**{split: paths[0] for split, paths in fetched.items()}, **own_files})
    tables: dict[SplitName, Table] = {}
    for split in SPLITS:
        if split in own_files:
            tables[split] = read_user_file(own_files[split], spec, columns, progress)
        elif split in names:
            tables[split] = _read_hub_rows(split, names[split], spec, workspace, progress)
        elif split in fetched and entry is not None:
            tables[split] = _read_entry(split, fetched[split], spec, entry)
    _make_names_unique(tables)
    return tables


def filter_rows(
    tables: Mapping[SplitName, Table], entry: DatasetEntry | None
) -> tuple[dict[SplitName, Table], list[ExcludedRows]]:
    """Select the rows that a catalogue entry says to use.

    Args:
        tables: the table of each split.
        entry: the data set; None keeps all rows.

    Returns:
        The tables, and the rows that are excluded.
    """
    excluded: list[ExcludedRows] = []
    filtered: dict[SplitName, Table] = {}
    for split, table in tables.items():
        for column, values in (entry.keep if entry is not None else {}).items():
            if column not in table.columns:
                continue
            cells = table.columns[column]
            for value, count in Counter(value for value in cells if value not in values).items():
                excluded.append(ExcludedRows(split, f"{column} is {value!r}", count=count, by_choice=True))
            table = table.take(i for i, value in enumerate(cells) if value in values)
        filtered[split] = table
    return filtered, excluded


def fetch_hub_file(
    split: SplitName, name: str, spec: DataSpec, workspace: Workspace, progress: Progress | None
) -> tuple[Path, HubSample, str]:
    """Fetch rows of a Hugging Face data set, as many as ``data.limit`` says.

    Args:
        split: the split that names them.
        name: the reference, ``hf:...``.
        spec: says how many rows.
        workspace: whose cache is used.
        progress: called during the download.

    Returns:
        A Parquet file, what is known of its rows, and a note for people.

    Raises:
        DataError: there is no limit.
        FetchError: the rows could not be fetched.
    """
    rows = getattr(spec.limit, split)
    if rows is None:
        raise DataError(
            f"data.{split} is {name}, which is streamed, but data.limit.{split} is not set.",
            f"Set the number of rows to read: limit: {{{split}: 100000}}.",
        )
    path, sample = hub_rows.fetch_rows(name, rows, workspace, progress)
    return path, sample, hub_rows.describe_sample(name, sample)


def check_name(path: Path) -> None:
    """Refuse what looks like a name of the catalogue but is none.

    Args:
        path: what the spec names.

    Raises:
        DataError: it is neither a file nor a data set (the hint lists the catalogue), or no path at all.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise DataError(f"{str(path)[:60]!r} cannot be opened: {error.strerror}.", "Check the path.") from error
    if not exists and not path.suffix:
        known = ", ".join(sorted(catalogue().datasets))
        raise DataError(
            f"{str(path)!r} is neither a file nor a data set of the catalogue.", f"The catalogue contains: {known}."
        )


def read_file(path: Path, columns: Sequence[Column]) -> Table:
    """Return the rows of a user's file, in any format that training reads.

    Args:
        path: the file.
        columns: the roles of the task; a task that needs only texts reads ``.txt`` files as documents.

    Raises:
        DataError: the file is missing or cannot be used.
    """
    return read_user_file(path.expanduser(), DataSpec(train=str(path)), columns)


def read_user_file(path: Path, spec: DataSpec, columns: Sequence[Column], progress: Progress | None = None) -> Table:
    """Return the rows of a user's file, or of the only file in an archive.

    Args:
        path: the file.
        spec: says how it is written.
        columns: the roles of the task; a task that needs only texts reads ``.txt`` files as documents.
        progress: called while a large file is read.

    Raises:
        DataError: the file is missing or cannot be used.
    """
    check_name(path)
    with unpacked(path) as file:
        options = ReadOptions(sheet=spec.sheet, header=tuple(spec.header) if spec.header is not None else None)
        table = _read_file(file, spec, options, _splitting_of(file, spec, columns), progress)
    table.notes[:0] = note_unpacked(path, file)
    return table


def _splitting_of(path: Path, spec: DataSpec, columns: Sequence[Column]) -> DocumentSplitting | None:
    """Return how a text is split into documents; None to read a table."""
    if path.suffix.lower() not in TEXTS and not path.is_dir():
        return None
    text_only = [column.kind for column in columns if column.required] == ["text"]
    return spec.documents if text_only or spec.documents != "auto" else None


def _read_file(
    path: Path,
    spec: DataSpec,
    options: ReadOptions,
    documents: DocumentSplitting | None,
    progress: Progress | None = None,
) -> Table:
    if documents is None and (format_name := format_for(path)) is not None:
        refuse_header(spec.header, path.name)
        return read_format(format_name, [path], path.name, "train", spec.encoding)
    return read_table(path, spec.delimiter, spec.encoding, options, documents, True, progress)


def _read_hub_rows(
    split: SplitName, name: str, spec: DataSpec, workspace: Workspace, progress: Progress | None
) -> Table:
    path, sample, note = fetch_hub_file(split, name, spec, workspace, progress)
    table = read_table(path)
    table.name, table.sha256, table.origin = sample["repository"], sample["sha256"], sample
    table.notes.append(note)
    return table


def _read_entry(split: SplitName, paths: Sequence[Path], spec: DataSpec, entry: DatasetEntry) -> Table:
    """Read files of the catalogue as their entry says; the spec can override how a text is split."""
    options = entry.read_options
    documents: DocumentSplitting | None = options.documents
    if spec.documents != "auto":
        if documents is None:
            raise DataError(
                f"data.documents is {spec.documents!r}, but {spec.train} is a table.", "Remove data.documents."
            )
        documents = spec.documents
    if options.format is not None:
        table = read_format(options.format, paths, spec.train, split, spec.encoding or options.encoding)
    else:
        table = _read_file(paths[0], spec, options, documents)
    if entry.made_here is not None:
        manifest = site_packages.read_manifest(paths[0].parent)
        packages = len(manifest["packages"]) if manifest is not None else 0
        table.origin = manifest or {}
        table.notes.append(
            f"{spec.train}: from {packages:,} installed packages; data.json lists them with their licences."
        )
    return table


def _check_different(paths: Mapping[SplitName, Path]) -> None:
    """Refuse a file that is used as two splits."""
    seen: dict[Path, SplitName] = {}
    for split, path in paths.items():
        other = seen.setdefault(path.resolve(), split)
        if other != split:
            raise DataError(
                f"{path.name} is used as {other} and as {split}: a model must not be evaluated on its training data.",
                f"Remove data.{split}; a share of train is then held out.",
            )


def _make_names_unique(tables: Mapping[SplitName, Table]) -> None:
    """Prefix the names of tables that share one with their split."""
    names = Counter(table.name for table in tables.values())
    for split, table in tables.items():
        if names[table.name] > 1:
            table.name = f"{split}/{table.name}"
