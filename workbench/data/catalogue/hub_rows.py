"""Rows of a data set of the Hugging Face hub, streamed: for corpora larger than the disk.

    data: {train: "hf:OWNER/NAME@REVISION?config=NAME&split=NAME", limit: {train: 100000}}

``REVISION`` is a commit, tag or branch (``main`` if left out), ``config`` and ``split`` (``train`` if left out) are as
the data set names them. Only as many rows as ``data.limit`` says are taken; a limit is required. A corpus is often
sorted (by source, by date), so they are not its first rows: its files are taken in an order that is drawn, and rows
are drawn from a buffer of up to ``BUFFER`` that the stream fills up again, all with one seed. What is taken is a part
of the corpus all the same, and not a fair sample of all of it.

The rows are kept as Parquet in the cache under the reference as it was written and the number of rows, so that a run
which goes on, or another run, sees the very same rows, and needs no network for them.

The package datasets reads CSV, JSON, Parquet, Arrow and text here, and nothing else: no code of a repository is run,
and formats that can hold code are refused.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from workbench.data.catalogue.cache import downloads, entry_lock, exclusive, make_folder
from workbench.data.catalogue.hub import check_reference, hub_error, hub_library
from workbench.data.progress import Progress, silent
from workbench.errors import DataError, FetchError, MissingPackageError, RefusedError
from workbench.files import read_json, slug, storage_errors, write_atomically, write_json
from workbench.workspace import Workspace

PREFIX = "hf:"
FOLDER = "hub-rows"  # in the cache
REFERENCE_FORM = "hf:OWNER/NAME@REVISION?config=NAME&split=NAME"

SEED = 0  # of the rows that are taken: the same in every run
BUFFER = 10_000  # rows that the next one is drawn from; fewer where few are wanted
_TIMES = 10  # rows in the buffer for each that is wanted

_CHUNK = 1000  # rows written at a time
_READERS = ("csv", "json", "parquet", "arrow", "text")  # of datasets.packaged_modules
_HINT = "Check the name, the revision and the network; without one, use a file or a data set of the catalogue."


@dataclass(frozen=True)
class HubReference:
    """Which rows: what a reference says."""

    repository: str
    revision: str = "main"
    config: str | None = None
    split: str = "train"


def is_reference(name: str) -> bool:
    """Whether ``name`` asks for rows of the hub."""
    return name.startswith(PREFIX)


def parse_reference(name: str) -> HubReference:
    """What a reference says. Raises RefusedError when it is not written like ``FORM``."""
    address, _, query = name.removeprefix(PREFIX).partition("?")
    repository, _, revision = address.partition("@")
    found = HubReference(repository, revision or "main")
    check_reference(found.repository, found.revision)
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    if options.keys() - {"config", "split"} or not all(options.values()) or (query and not options):
        raise RefusedError(f"{name[:120]!r}: {query[:60]!r} is not understood.", f"Write it as {REFERENCE_FORM}.")
    return HubReference(found.repository, found.revision, options.get("config"), options.get("split", "train"))


def fetch_rows(
    name: str, rows: int, workspace: Workspace, progress: Progress | None = None
) -> tuple[Path, dict[str, Any]]:
    """Rows of a data set of the hub, streamed now if they are not in the cache.

    Args:
        name: a reference, written like ``FORM``.
        rows: how many.
        workspace: whose cache is used.
        progress: called with the characters read.

    Returns:
        a Parquet file, and ``{"reference", "repository", "commit", "config", "split", "licence", "rows", "sha256",
        "shuffle", "whole"}``; the sha256 is of the rows' content, ``shuffle`` is ``{"seed", "buffer"}``, and ``whole``
        says whether these are all rows that there are.

    Raises:
        RefusedError: the reference is none, or the data set is in a format that is not read.
        DataError: a row does not fit the others, or there are no columns of text or numbers.
        FetchError: there is no such data set, or no network.
        MissingPackageError: without datasets.
    """
    wanted = parse_reference(name)
    root = downloads(workspace)
    key = f"{slug(wanted.repository, 40)}-{_digest(name, rows)}"
    folder = root / FOLDER / key
    make_folder(folder)
    with exclusive(entry_lock(root, FOLDER, key), wanted.repository, progress):
        about = read_json(folder / "about.json")
        if not isinstance(about, dict) or not (folder / "rows.parquet").is_file():
            about = {"reference": name, **_stream_to(folder, wanted, rows, progress or silent)}
            write_json(folder / "about.json", about)
    return folder / "rows.parquet", about


def _digest(name: str, rows: int) -> str:
    return hashlib.sha256(f"{name}\n{rows}\n{SEED}\n{_buffer(rows)}".encode()).hexdigest()[:16]


def _buffer(rows: int) -> int:
    return min(BUFFER, _TIMES * rows)


def describe_sample(name: str, about: Mapping[str, Any]) -> str:
    """Which rows they are, for people."""
    rows, commit, shuffle = about["rows"], about["commit"], about["shuffle"]
    if about["whole"]:
        return f"{name}: all {rows:,} rows at commit {commit}."
    return (
        f"{name}: {rows:,} rows at commit {commit}, a part of it, drawn with seed {shuffle['seed']} through a buffer "
        f"of {shuffle['buffer']:,} rows."
    )


def _stream_to(folder: Path, wanted: HubReference, rows: int, progress: Progress) -> dict[str, Any]:
    """Write the rows to ``folder``; returns what is known of them."""
    with storage_errors(folder):
        commit, licence = _find_commit(wanted)
        stream = _open_stream(wanted, commit, folder, _buffer(rows))
        counted = _Counted(islice(stream, rows), wanted.repository, progress)
        write_atomically(folder / "rows.parquet", lambda file: _write_parquet(file, counted, wanted.repository))
    return {
        "repository": wanted.repository,
        "commit": commit,
        "config": wanted.config,
        "split": wanted.split,
        "licence": licence,
        "rows": counted.count,
        "shuffle": {"seed": SEED, "buffer": _buffer(rows)},
        "whole": counted.count < rows,
        "sha256": counted.digest.hexdigest(),
    }


def _find_commit(wanted: HubReference) -> tuple[str, str]:
    """The commit that the revision stands for now, and the licence that the data set's card tells."""
    try:
        found = hub_library().HfApi().dataset_info(wanted.repository, revision=wanted.revision)
    except Exception as error:  # the hub's errors have no common base of their own
        raise FetchError(f"hf:{wanted.repository}@{wanted.revision}: {hub_error(error)}", _HINT) from error
    licence = getattr(getattr(found, "card_data", None), "license", None)
    return str(found.sha), str(licence or "not stated")


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError("datasets", "to stream data sets of the Hugging Face hub") from error
    return datasets


def _open_stream(wanted: HubReference, commit: str, folder: Path, buffer: int) -> Iterator[dict[str, Any]]:
    """The rows of the split, shuffled as they come. Refuses readers that are not named in ``_READERS``."""
    library = _datasets()
    place = f"hf:{wanted.repository}@{wanted.revision}"
    cache = str(folder.parent / "datasets")  # the package would write to the home folder
    try:
        builder = library.load_dataset_builder(
            wanted.repository,
            wanted.config,
            revision=commit,
            cache_dir=cache,
            download_config=library.DownloadConfig(cache_dir=cache),
        )
        reader = type(builder).__module__.removeprefix("datasets.packaged_modules.").partition(".")[0]
        if reader not in _READERS:
            raise RefusedError(f"{place} is read by {reader!r}.", f"Formats that are read here: {', '.join(_READERS)}.")
        return iter(builder.as_streaming_dataset(split=wanted.split).shuffle(seed=SEED, buffer_size=buffer))
    except RefusedError:
        raise
    except Exception as error:  # as above; datasets raises ValueError for an unknown config or split
        raise FetchError(f"{place}: {hub_error(error)}", _HINT) from error


class _Counted:
    """Rows on their way: usable values only, counted, and their content hashed."""

    def __init__(self, rows: Iterator[dict[str, Any]], name: str, progress: Progress) -> None:
        self.rows = rows
        self.name = name
        self.progress = progress
        self.count = 0
        self.digest = hashlib.sha256()

    def chunks(self) -> Iterator[list[dict[str, Any]]]:
        size = 0
        while chunk := self._next():
            for row in chunk:
                line = json.dumps(row, sort_keys=True).encode()
                self.digest.update(line + b"\n")
                size += len(line)
            self.count += len(chunk)
            self.progress(f"{self.name}: streaming rows", size, None)
            yield chunk

    def _next(self) -> list[dict[str, Any]]:
        try:
            return [
                {key: value for key, value in row.items() if _is_usable(value)} for row in islice(self.rows, _CHUNK)
            ]
        except Exception as error:  # the connection, or a file that is not what its name says
            raise FetchError(f"{self.name}: {hub_error(error)}", _HINT) from error


def _is_usable(value: Any) -> bool:
    """Text, numbers and lists of text; pictures, sounds and objects stay where they are."""
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or isinstance(value, str | int | float)


def _write_parquet(file: IO[bytes], rows: _Counted, name: str) -> None:
    """Write the rows, a chunk at a time; the first one says what the columns are."""
    import pyarrow
    import pyarrow.parquet as parquet

    writer: Any = None
    try:
        for chunk in rows.chunks():
            if writer is None:
                schema = _schema(pyarrow.Table.from_pylist(chunk).schema, name)
                writer = parquet.ParquetWriter(file, schema)
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))
    except pyarrow.ArrowException as error:
        raise DataError(
            f"{name}: a row up to {rows.count:,} has values of another type than the first {_CHUNK:,} rows ({error}).",
            "Lower data.limit, or choose another data set.",
        ) from error
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError(f"{name} has no rows.", "Choose another split, config or data set.")


def _schema(found: Any, name: str) -> Any:
    """The columns of the first rows; one that is empty so far may hold text."""
    import pyarrow

    if not found.names:
        raise DataError(f"{name} has no column of text or numbers.", "Choose another data set.")
    fields = [pyarrow.field(f.name, pyarrow.string()) if pyarrow.types.is_null(f.type) else f for f in found]
    return pyarrow.schema(fields)
