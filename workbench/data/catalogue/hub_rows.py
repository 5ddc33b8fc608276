"""Rows of a Hugging Face data set, streamed: for corpora larger than the disk.

    data: {train: "hf:OWNER/NAME@REVISION?config=NAME&split=NAME", limit: {train: 100000}}

``REVISION`` is a commit, tag or branch (default ``main``); ``config`` and ``split`` (default ``train``) are those of
the data set. Only as many rows as ``data.limit`` says are read; a limit is required. A corpus is often sorted (by
source, by date), so these are not its first rows: its files are shuffled, and rows are sampled from a buffer of up to
``BUFFER`` rows that the stream refills, all with one seed. Still, this is not a uniform sample of the whole corpus.

The rows are cached as Parquet under the reference and the number of rows, so that a resumed run, or another run, reads
the same rows without a network.

The package datasets only reads CSV, JSON, Parquet, Arrow and text here: no code of a repository is run, and formats
that can contain code are refused.
"""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, TypedDict, cast

from workbench.data.catalogue.cache import downloads, entry_lock, exclusive, make_folder
from workbench.data.catalogue.hub import check_reference, hub_error, hub_library
from workbench.data.catalogue.reach import require_hub
from workbench.data.progress import Progress, silent
from workbench.errors import DataError, FetchError, MissingPackageError, RefusedError
from workbench.files import SHARED, read_json, slug, storage_errors, write_atomically, write_json
from workbench.types import Json, JsonObject
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from pyarrow import Schema
    from pyarrow.parquet import ParquetWriter

PREFIX = "hf:"
FOLDER = "hub-rows"  # in the cache
REFERENCE_FORM = "hf:OWNER/NAME@REVISION?config=NAME&split=NAME"

SEED = 0  # of the sample: the same in every run
BUFFER = 10_000  # rows to sample from; fewer if few rows are needed
_BUFFER_FACTOR = 10  # rows in the buffer for each row needed

_CHUNK = 1000  # rows written at a time
_READERS = ("csv", "json", "parquet", "arrow", "text")  # of datasets.packaged_modules
_HINT = "Check the name, the revision and the network; without a network, use a file or a data set of the catalogue."


@dataclass(frozen=True)
class HubReference:
    """The rows that a reference names."""

    repository: str
    revision: str = "main"
    config: str | None = None
    split: str = "train"


class Shuffle(TypedDict):
    """How the rows were sampled; ``buffer`` in rows."""

    seed: int
    buffer: int


class HubSample(TypedDict):
    """What is known of the rows in the cache.

    ``sha256`` is of the rows' content, and ``whole`` says whether these are all rows of the split.
    """

    reference: str
    repository: str
    commit: str
    config: str | None
    split: str
    licence: str
    rows: int
    shuffle: Shuffle
    whole: bool
    sha256: str


def is_reference(name: str) -> bool:
    """Return whether a name refers to rows of a Hugging Face data set.

    Args:
        name: what a spec says of a split.
    """
    return name.startswith(PREFIX)


def parse_reference(name: str) -> HubReference:
    """Parse a reference.

    Args:
        name: written like ``REFERENCE_FORM``.

    Raises:
        RefusedError: it is malformed.
    """
    address, _, query = name.removeprefix(PREFIX).partition("?")
    repository, _, revision = address.partition("@")
    revision = revision or "main"
    check_reference(repository, revision)
    options = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
    if options.keys() - {"config", "split"} or not all(options.values()) or (query and not options):
        raise RefusedError(f"{name[:120]!r}: invalid options {query[:60]!r}.", f"Write it as {REFERENCE_FORM}.")
    return HubReference(repository, revision, options.get("config"), options.get("split", "train"))


def fetch_rows(name: str, rows: int, workspace: Workspace, progress: Progress | None = None) -> tuple[Path, HubSample]:
    """Fetch rows of a Hugging Face data set, from the cache or by streaming them.

    Args:
        name: a reference, written like ``REFERENCE_FORM``.
        rows: how many.
        workspace: whose cache is used.
        progress: called with the characters read.

    Returns:
        A Parquet file, and what is known of its rows.

    Raises:
        RefusedError: the reference is malformed, or the data set is in an unsupported format.
        DataError: a row does not fit the others, or there are no columns of text or numbers.
        FetchError: there is no such data set, or no network.
        MissingPackageError: the package datasets is not installed.
    """
    reference = parse_reference(name)
    folder = _folder(reference, name, rows, workspace)
    make_folder(folder)
    with exclusive(entry_lock(downloads(workspace), FOLDER, folder.name), reference.repository, progress):
        document = read_json(folder / "about.json")
        if isinstance(document, dict) and (folder / "rows.parquet").is_file():
            return folder / "rows.parquet", cast(HubSample, document)
        sample = _stream_to(folder, name, reference, rows, progress or silent)
        write_json(folder / "about.json", sample, SHARED)
    return folder / "rows.parquet", sample


def is_cached(name: str, rows: int, workspace: Workspace) -> bool:
    """Return whether rows of a data set were fetched before.

    Args:
        name: a reference, written like ``REFERENCE_FORM``.
        rows: how many.
        workspace: whose cache is used.

    Raises:
        RefusedError: the reference is malformed.
    """
    folder = _folder(parse_reference(name), name, rows, workspace)
    return (folder / "rows.parquet").is_file() and isinstance(read_json(folder / "about.json"), dict)


def require_available(name: str) -> None:
    """Ask the hub whether it has a data set at a revision; nothing is downloaded.

    Args:
        name: a reference, written like ``REFERENCE_FORM``.

    Raises:
        RefusedError: the reference is malformed.
        FetchError: there is no such data set, or no network.
        MissingPackageError: the package datasets is not installed.
    """
    reference = parse_reference(name)
    require_hub(name, _HINT)
    _find_commit(reference)


def _folder(reference: HubReference, name: str, rows: int, workspace: Workspace) -> Path:
    return downloads(workspace) / FOLDER / f"{slug(reference.repository, 40)}-{_digest(name, rows)}"


def _digest(name: str, rows: int) -> str:
    return hashlib.sha256(f"{name}\n{rows}\n{SEED}\n{_buffer_size(rows)}".encode()).hexdigest()[:16]


def _buffer_size(rows: int) -> int:
    return min(BUFFER, _BUFFER_FACTOR * rows)


def describe_sample(name: str, sample: HubSample) -> str:
    """Return a sentence on the rows.

    Args:
        name: the reference.
        sample: what is known of the rows.
    """
    rows, commit, shuffle = sample["rows"], sample["commit"], sample["shuffle"]
    if sample["whole"]:
        return f"{name}: all {rows:,} rows at commit {commit}."
    return (
        f"{name}: {rows:,} rows at commit {commit}, sampled with seed {shuffle['seed']} from a buffer of "
        f"{shuffle['buffer']:,} rows."
    )


def _stream_to(folder: Path, name: str, reference: HubReference, rows: int, progress: Progress) -> HubSample:
    """Write the rows to ``folder``."""
    buffer = _buffer_size(rows)
    with storage_errors(folder):
        commit, licence = _find_commit(reference)
        stream = _open_stream(reference, commit, folder, buffer)
        counted = _CountedRows(islice(stream, rows), reference.repository, progress)
        write_atomically(
            folder / "rows.parquet", lambda file: _write_parquet(file, counted, reference.repository), SHARED
        )
    return {
        "reference": name,
        "repository": reference.repository,
        "commit": commit,
        "config": reference.config,
        "split": reference.split,
        "licence": licence,
        "rows": counted.count,
        "shuffle": {"seed": SEED, "buffer": buffer},
        "whole": counted.count < rows,
        "sha256": counted.digest.hexdigest(),
    }


def _find_commit(reference: HubReference) -> tuple[str, str]:
    """Return the current commit of the revision, and the licence on the data set's card."""
    try:
        info = hub_library().HfApi().dataset_info(reference.repository, revision=reference.revision)
    except Exception as error:  # the hub's errors have no common base class
        raise FetchError(f"hf:{reference.repository}@{reference.revision}: {hub_error(error)}", _HINT) from error
    licence = getattr(getattr(info, "card_data", None), "license", None)
    return str(info.sha), str(licence or "not stated")


def _datasets() -> ModuleType:
    try:
        import datasets
    except ImportError as error:
        raise MissingPackageError("datasets", "to stream data sets of the Hugging Face hub") from error
    module: ModuleType = datasets
    return module


def _open_stream(reference: HubReference, commit: str, folder: Path, buffer: int) -> Iterator[JsonObject]:
    """Yield the rows of the split, shuffled while they stream; refuse readers that are not in ``_READERS``."""
    library = _datasets()
    address = f"hf:{reference.repository}@{reference.revision}"
    cache = str(folder.parent / "datasets")  # the package would write to the home folder
    try:
        builder = library.load_dataset_builder(
            reference.repository,
            reference.config,
            revision=commit,
            cache_dir=cache,
            download_config=library.DownloadConfig(cache_dir=cache),
        )
        reader = type(builder).__module__.removeprefix("datasets.packaged_modules.").partition(".")[0]
        if reader not in _READERS:
            raise RefusedError(f"{address} needs the reader {reader!r}.", f"Supported formats: {', '.join(_READERS)}.")
        return iter(builder.as_streaming_dataset(split=reference.split).shuffle(seed=SEED, buffer_size=buffer))
    except RefusedError:
        raise
    except Exception as error:  # as above; datasets raises ValueError for an unknown config or split
        raise FetchError(f"{address}: {hub_error(error)}", _HINT) from error


class _CountedRows:
    """A stream of rows: reduced to usable values, counted, and hashed."""

    def __init__(self, rows: Iterator[JsonObject], name: str, progress: Progress) -> None:
        self.rows = rows
        self.name = name
        self.progress = progress
        self.count = 0
        self.digest = hashlib.sha256()

    def chunks(self) -> Iterator[list[JsonObject]]:
        """Yield the rows in chunks of ``_CHUNK``."""
        size = 0
        while chunk := self._next_chunk():
            for row in chunk:
                line = json.dumps(row, sort_keys=True).encode()
                self.digest.update(line + b"\n")
                size += len(line)
            self.count += len(chunk)
            self.progress(f"{self.name}: streaming rows", size, None)
            yield chunk

    def _next_chunk(self) -> list[JsonObject]:
        try:
            return [
                {key: value for key, value in row.items() if _is_usable(value)} for row in islice(self.rows, _CHUNK)
            ]
        except Exception as error:  # the connection, or a file that is not what its name says
            raise FetchError(f"{self.name}: {hub_error(error)}", _HINT) from error


def _is_usable(value: Json) -> bool:
    """Return whether a value is text, a number or a list of text; images, audio and objects are skipped."""
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or isinstance(value, str | int | float)


def _write_parquet(file: IO[bytes], rows: _CountedRows, name: str) -> None:
    """Write the rows chunk by chunk; the first chunk determines the columns."""
    import pyarrow
    import pyarrow.parquet as parquet

    writer: ParquetWriter | None = None
    try:
        for chunk in rows.chunks():
            if writer is None:
                schema = _schema(pyarrow.Table.from_pylist(chunk).schema, name)
                writer = parquet.ParquetWriter(file, schema)
            writer.write_table(pyarrow.Table.from_pylist(chunk, schema=schema))
    except pyarrow.ArrowException as error:
        raise DataError(
            f"{name}: among the first {rows.count:,} rows, one has values of another type than the first "
            f"{_CHUNK:,} ({error}).",
            "Lower data.limit, or choose another data set.",
        ) from error
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError(f"{name} has no rows.", "Choose another split, config or data set.")


def _schema(inferred: Schema, name: str) -> Schema:
    """Return the columns of the first rows; a column that is empty so far may hold text."""
    import pyarrow

    if not inferred.names:
        raise DataError(f"{name} has no column of text or numbers.", "Choose another data set.")
    fields = [pyarrow.field(f.name, pyarrow.string()) if pyarrow.types.is_null(f.type) else f for f in inferred]
    return pyarrow.schema(fields)
