"""The corpus of every installation: docstrings and documentation of the installed packages, and functions.

Files are listed by the packages' own records (``RECORD``), parsed in other processes and never imported. The result is
cached under a key of what is installed, so it is read once, and again after a change. Packages are looked for where pip
installs them, not on all of ``sys.path``: a run started in another folder must find the same ones. Installations differ
between machines: ``packages.json`` next to the tables, and the report of every run on them, list the packages with
versions and licences.

Three tables, each with one object per line, sorted by package and file; a text that occurs in several files is taken
from the first:

===================  ===============================================================================================
docstrings.jsonl     ``text``, the whole docstring; ``kind``, module, class or function. At the end, with ``kind``
                     documentation, the packages' own descriptions and their ``.rst`` and ``.md`` files
summaries.jsonl      ``first_line`` and ``rest`` of docstrings that begin with a summary (PEP 257): to summarize
functions.jsonl      ``signature``, ``code`` without the docstring, ``body`` (the code after it), and ``text``: code to
                     document or to write
===================  ===============================================================================================

Each row also has ``package``, ``version``, ``licence``, ``module`` and ``name``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import site
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypedDict, cast

from workbench.data.catalogue.cache import downloads, entry_lock, exclusive, make_folder
from workbench.data.catalogue.docstrings import MAX_BYTES, MIN_CHARACTERS, Docstring, is_valid_text
from workbench.data.catalogue.verify import size_of
from workbench.data.progress import Progress, silent
from workbench.errors import DataError, RunError
from workbench.files import SHARED, read_json, storage_errors, write_json
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from importlib.metadata import PackageMetadata

VERSION = 3  # of the tables; tables of another version are made again
NAME = "python-docs"  # of the folder in the cache, for all data sets made from these tables
MAX_READERS = 8  # processes
MANIFEST = "packages.json"

DOCUMENTATION = "documentation"  # the kind of rows that are not docstrings
DOCUMENTS = (".rst", ".md")
_LEGAL = re.compile(r"licen[cs]e|copying|notice|authors|contributors", re.IGNORECASE)  # the same in many packages

_COMMON = ("package", "version", "licence", "module", "name")
TABLES = {
    "docstrings.jsonl": (*_COMMON, "kind", "text"),
    "summaries.jsonl": (*_COMMON, "kind", "first_line", "rest"),
    "functions.jsonl": (*_COMMON, "signature", "code", "body", "text"),
}


class PackageRecord(TypedDict):
    """A package in the manifest; ``docstrings`` and ``documentation`` count the texts taken from it."""

    name: str
    version: str
    licence: str
    docstrings: int
    documentation: int


class Manifest(TypedDict):
    """``packages.json``: the packages, and how many files were read, could not be read, or repeat an earlier text."""

    packages: list[PackageRecord]
    files: int
    unreadable: int
    repeated: int


@dataclass
class Package:
    """An installed package.

    Args:
        name: its normalized name.
        version: its version.
        licence: its licence.
        files: its Python files, each with its module's dotted name.
        description: the description in its metadata.
        documents: its documentation, each with its path in the installation.
        docstrings: number of docstrings taken from it.
        documentation: number of documents taken from it.
    """

    name: str
    version: str
    licence: str
    files: list[tuple[Path, str]] = field(default_factory=list)
    description: str = ""
    documents: list[tuple[Path, str]] = field(default_factory=list)
    docstrings: int = 0
    documentation: int = 0

    def as_dict(self) -> PackageRecord:
        """Return the package's record in the manifest."""
        return {
            "name": self.name,
            "version": self.version,
            "licence": self.licence,
            "docstrings": self.docstrings,
            "documentation": self.documentation,
        }


def collect(
    name: str, workspace: Workspace, progress: Progress | None = None, folders: Sequence[Path] | None = None
) -> Path:
    """Return the folder with the tables, made now if the installed packages have changed.

    Args:
        name: the tables' name in the cache.
        workspace: whose cache is used.
        progress: called with the bytes of source read, and their total.
        folders: look for packages here instead of in :func:`site_folders`.

    Raises:
        DataError: no package there has a docstring.
        StorageError: the cache cannot be written.
    """
    search = site_folders() if folders is None else folders
    root = downloads(workspace)
    folder = root / "datasets" / name / _key(search)
    if _is_complete(folder):
        return folder
    make_folder(folder)
    with exclusive(entry_lock(root, "datasets", name), name, progress), storage_errors(folder):
        if not _is_complete(folder):
            _write_tables(find_packages(search), folder, name, progress or silent)
    return folder


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of the tables in a folder; None if there is none.

    Args:
        folder: the folder with the tables.
    """
    document = read_json(folder / MANIFEST)
    return cast(Manifest, document) if isinstance(document, dict) else None


def is_collected(name: str, workspace: Workspace) -> bool:
    """Return whether tables of any installation are in the cache: quick, for lists.

    Args:
        name: the tables' name in the cache.
        workspace: whose cache is used.
    """
    return any((downloads(workspace) / "datasets" / name).glob(f"*/{MANIFEST}"))


def site_folders() -> list[Path]:
    """Return the folders with installed packages, in the order in which Python searches them."""
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in [*user, *site.getsitepackages()] if os.path.isdir(folder)]


def find_packages(folders: Sequence[Path]) -> list[Package]:
    """Return the installed packages with readable files, by name; of duplicates, the one that Python imports.

    Args:
        folders: the folders to search, in order.
    """
    packages: dict[str, Package] = {}
    for distribution in metadata.distributions(path=[str(folder) for folder in folders]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if not name or name in packages:
            continue
        package = _describe_package(name, distribution)
        if package.files or package.documents or package.description.strip():
            packages[name] = package
    return [packages[name] for name in sorted(packages)]


def _describe_package(name: str, distribution: metadata.Distribution) -> Package:
    about = distribution.metadata
    description = str(about["Description"] or "") if "Description" in about else ""
    package = Package(name, distribution.version or "", _licence(about), description=description)
    for file in distribution.files or []:
        if ".." in file.parts or file.is_absolute():
            continue
        if file.suffix == ".py":
            package.files.append((Path(str(distribution.locate_file(file))), _module_name(file.parts)))
        elif file.suffix.lower() in DOCUMENTS and not _LEGAL.match(file.stem):
            package.documents.append((Path(str(distribution.locate_file(file))), file.as_posix()))
    package.files.sort(key=lambda item: item[1])
    package.documents.sort(key=lambda item: item[1])
    return package


def _module_name(parts: Sequence[str]) -> str:
    *parents, last = parts
    stem = last.removesuffix(".py")
    return ".".join(parents if stem == "__init__" and parents else [*parents, stem])


def _licence(about: PackageMetadata) -> str:
    """Return the licence in the metadata: an SPDX expression, classifiers, or the first line of the licence field."""
    expression = about.get_all("License-Expression")
    if expression and expression[0]:
        return str(expression[0])
    classifiers = [str(c) for c in about.get_all("Classifier") or [] if str(c).startswith("License ::")]
    names = [name for c in classifiers if (name := c.rpartition("::")[2].strip()) != "OSI Approved"]
    if names:
        return " or ".join(names)
    licence = (about.get_all("License") or [""])[0]
    return str(licence or "").strip().partition("\n")[0][:80] or "not stated"


def _key(folders: Sequence[Path]) -> str:
    """Return a key of the packages, their versions and the sizes of their records: quick, as every run needs it."""
    content: list[list[str | int]] = [["version", VERSION]]
    for folder in folders:
        records = sorted(folder.glob("*.dist-info"))
        content += [[record.name, max(0, size_of(record / "RECORD"))] for record in records]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _is_complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (*TABLES, MANIFEST))  # the manifest is written last


# -- reading ----------------------------------------------------------------------------------------------------------


class _TableWriter:
    """Writes the three tables: rows in the order of the files, without duplicates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drafts = {name: open(folder / f".{name}.draft", "w", encoding="utf-8") for name in TABLES}  # noqa: SIM115
        self.seen: set[bytes] = set()
        self.repeated = 0

    def add(self, package: Package, records: Sequence[Docstring]) -> None:
        """Write the texts of a file that do not occur in an earlier one.

        Args:
            package: the file's package; its counts are updated.
            records: the texts.
        """
        for record in records:
            digest = hashlib.sha256(" ".join(record["text"].split()).encode()).digest()[:16]
            if digest in self.seen:
                self.repeated += 1
                continue
            self.seen.add(digest)
            if record["kind"] == DOCUMENTATION:
                package.documentation += 1
            else:
                package.docstrings += 1
            row: dict[str, object] = {
                "package": package.name, "version": package.version, "licence": package.licence, **record,
            }  # fmt: skip
            for name, file in self.drafts.items():
                if _belongs(name, record):
                    # ASCII: a single emoji would make each character of a text in memory take four bytes.
                    file.write(json.dumps({key: row[key] for key in TABLES[name]}) + "\n")

    def close(self) -> None:
        """Flush the drafts to disk and close them."""
        for file in self.drafts.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def publish(self) -> None:
        """Rename the drafts, once all of them are complete."""
        for name in TABLES:
            os.replace(self.folder / f".{name}.draft", self.folder / name)


def _belongs(table: str, record: Docstring) -> bool:
    if table == "summaries.jsonl":
        return bool(record["rest"])
    return table == "docstrings.jsonl" or (record["kind"] == "function" and bool(record["code"]))


def _write_tables(packages: list[Package], folder: Path, name: str, progress: Progress) -> None:
    work = [(package, path, module) for package in packages for path, module in package.files]
    sizes = [path.stat().st_size if path.is_file() else 0 for _, path, _ in work]
    tables, unreadable, done = _TableWriter(folder), 0, 0
    try:
        results = _read_all([(path, module) for _, path, module in work])
        for (package, _, _), size, records in zip(work, sizes, results, strict=True):
            unreadable += records is None
            tables.add(package, records or [])
            done += size
            progress(f"{name}: reading docstrings", done, sum(sizes))
        for package in packages:
            documentation, failed = _read_documentation(package)
            unreadable += failed
            tables.add(package, documentation)
    finally:
        tables.close()
    if not tables.seen:
        raise DataError(
            "No installed package has docstrings or documentation.", "Choose another corpus (workbench data list)."
        )
    tables.publish()
    manifest: Manifest = {
        "packages": [package.as_dict() for package in packages if package.docstrings or package.documentation],
        "files": len(work) + sum(len(package.documents) for package in packages),
        "unreadable": unreadable,
        "repeated": tables.repeated,
    }
    write_json(folder / MANIFEST, manifest, SHARED)


def _read_documentation(package: Package) -> tuple[list[Docstring], int]:
    """Return a package's description and its documents as records, and how many documents cannot be read."""
    texts, unreadable = [("METADATA", package.description)], 0
    for path, relative in package.documents:
        try:
            if path.stat().st_size <= MAX_BYTES:
                texts.append((relative, path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            unreadable += 1
    valid = [(name, text.strip()) for name, text in texts if is_valid_text(text)]
    records: list[Docstring] = [
        {
            "module": "", "kind": DOCUMENTATION, "name": name, "text": text, "first_line": "", "rest": "",
            "signature": "", "code": "", "body": "",
        }
        for name, text in valid
        if len(text) >= MIN_CHARACTERS
    ]  # fmt: skip
    return records, unreadable


def _read_all(work: Sequence[tuple[Path, str]]) -> Iterator[list[Docstring] | None]:
    """Yield the docstrings of each file, in order; the files are divided among processes."""
    readers = [_start_reader() for _ in range(min(os.cpu_count() or 1, MAX_READERS, len(work) or 1))]
    try:
        for number, reader in enumerate(readers):
            assigned = work[number :: len(readers)]
            requests = [json.dumps({"path": str(path), "module": module}) + "\n" for path, module in assigned]
            _pipe(reader.stdin).writelines(requests)
            _pipe(reader.stdin).close()
        for number in range(len(work)):
            line = _pipe(readers[number % len(readers)].stdout).readline()
            if not line:
                raise RunError(
                    "A process that reads docstrings has died.", "Try again, and check that there is enough memory."
                )
            yield json.loads(line)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
            _pipe(reader.stdout).close()


def _start_reader() -> subprocess.Popen[str]:
    # -P: a file in the current folder must not shadow a module of the workbench.
    command = [sys.executable, "-P", "-m", "workbench.data.catalogue.docstrings"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
