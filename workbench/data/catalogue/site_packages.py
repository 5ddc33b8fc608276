"""The corpus that every installation has: docstrings and documentation of the installed packages, and functions.

Files are found through the packages' own records (``RECORD``), parsed by other processes and never imported. The
result is kept in the cache under a name made from what is installed, so it is read once, and again after something
has changed. Packages are looked for where pip installs them, not on the whole of ``sys.path``: a run that is started
from another folder must find the same. What is installed differs between machines: ``packages.json`` beside the
tables, and every run on them, say which packages, in which versions and under which licences.

Three tables, each an object a line, sorted by package and file; a text that stands in several places is taken from the
first of them only:

===================  ===============================================================================================
docstrings.jsonl     ``text``, the whole docstring; ``kind``, module, class or function. Behind them all, with ``kind``
                     documentation, the packages' own descriptions and the ``.rst`` and ``.md`` files that they bring
summaries.jsonl      ``first_line`` and ``rest`` of those that begin with a summary (PEP 257): to be summarised
functions.jsonl      ``signature``, ``code`` without the docstring, ``body`` (what follows it), and ``text``: code to
                     document, code to write
===================  ===============================================================================================

Each has ``package``, ``version``, ``licence``, ``module`` and ``name`` too.
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
from typing import IO, Any

from workbench.data.catalogue.cache import downloads, entry_lock, exclusive, make_folder
from workbench.data.catalogue.docstrings import MAX_BYTES, MIN_CHARACTERS, is_valid_text
from workbench.data.catalogue.verify import size_of
from workbench.data.progress import Progress, silent
from workbench.errors import DataError, RunError
from workbench.files import read_json, storage_errors, write_json
from workbench.workspace import Workspace

VERSION = 3  # of the tables; another one is read anew
NAME = "python-docs"  # where the cache keeps them, for every data set that is made of them
MAX_READERS = 8  # processes
MANIFEST = "packages.json"

DOCUMENTATION = "documentation"  # the kind of what is no docstring
DOCUMENTS = (".rst", ".md")
_LEGAL = re.compile(r"licen[cs]e|copying|notice|authors|contributors", re.IGNORECASE)  # the same in many packages

_OF_EACH = ("package", "version", "licence", "module", "name")
TABLES = {
    "docstrings.jsonl": (*_OF_EACH, "kind", "text"),
    "summaries.jsonl": (*_OF_EACH, "kind", "first_line", "rest"),
    "functions.jsonl": (*_OF_EACH, "signature", "code", "body", "text"),
}


@dataclass
class Package:
    """An installed package, and its Python files."""

    name: str
    version: str
    licence: str
    files: list[tuple[Path, str]] = field(default_factory=list)  # each with its module's dotted name
    description: str = ""  # of its metadata
    documents: list[tuple[Path, str]] = field(default_factory=list)  # each with its place in the installation
    docstrings: int = 0
    documentation: int = 0

    def as_dict(self) -> dict[str, Any]:
        told = ("name", "version", "licence", "docstrings", "documentation")
        return {name: getattr(self, name) for name in told}


def collect(
    name: str, workspace: Workspace, progress: Progress | None = None, folders: Sequence[Path] | None = None
) -> Path:
    """The folder with the tables, read now if what is installed has changed since.

    Args:
        name: under which they are kept.
        workspace: whose cache is used.
        progress: called with the bytes of source read, and those in all.
        folders: look for packages here instead of in :func:`site_folders`.

    Raises:
        DataError: no package there has a docstring.
        StorageError: the cache cannot be written.
    """
    places = site_folders() if folders is None else folders
    root = downloads(workspace)
    folder = root / "datasets" / name / _key(places)
    if _is_whole(folder):
        return folder
    make_folder(folder)
    with exclusive(entry_lock(root, "datasets", name), name, progress), storage_errors(folder):
        if not _is_whole(folder):
            _write_tables(find_packages(places), folder, name, progress or silent)
    return folder


def read_manifest(folder: Path) -> dict[str, Any]:
    """What ``packages.json`` says of the tables: ``{"packages": [{"name", "version", "licence", "docstrings",
    "documentation"}], "files", "unreadable", "repeated"}``."""
    found = read_json(folder / MANIFEST)
    return found if isinstance(found, dict) else {}


def is_collected(name: str, workspace: Workspace) -> bool:
    """Whether tables of any installation are in the cache: quick, for lists."""
    return any((downloads(workspace) / "datasets" / name).glob(f"*/{MANIFEST}"))


def site_folders() -> list[Path]:
    """The folders that packages are installed to, in the order in which Python looks into them."""
    own = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return [Path(folder) for folder in [*own, *site.getsitepackages()] if os.path.isdir(folder)]


def find_packages(folders: Sequence[Path]) -> list[Package]:
    """The installed packages that can be read, by name; of one that is installed twice, the one that is imported."""
    packages: dict[str, Package] = {}
    for distribution in metadata.distributions(path=[str(folder) for folder in folders]):
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "").lower()
        if not name or name in packages:
            continue
        about: Any = distribution.metadata
        package = Package(name, distribution.version or "", _licence(about), description=about.get("Description") or "")
        for file in distribution.files or []:
            if ".." in file.parts or file.is_absolute():
                continue
            if file.suffix == ".py":
                package.files.append((Path(str(distribution.locate_file(file))), _module(file.parts)))
            elif file.suffix.lower() in DOCUMENTS and not _LEGAL.match(file.stem):
                package.documents.append((Path(str(distribution.locate_file(file))), file.as_posix()))
        package.files.sort(key=lambda item: item[1])
        package.documents.sort(key=lambda item: item[1])
        if package.files or package.documents or package.description.strip():
            packages[name] = package
    return [packages[name] for name in sorted(packages)]


def _module(parts: Sequence[str]) -> str:
    *parents, last = parts
    stem = last.removesuffix(".py")
    return ".".join(parents if stem == "__init__" and parents else [*parents, stem])


def _licence(found: Any) -> str:
    """What the metadata say: an SPDX expression, or classifiers, or the first line of the licence field."""
    if found.get("License-Expression"):
        return str(found["License-Expression"])
    classifiers = [str(c) for c in found.get_all("Classifier") or [] if str(c).startswith("License ::")]
    names = [name for c in classifiers if (name := c.rpartition("::")[2].strip()) != "OSI Approved"]
    if names:
        return " or ".join(names)
    return str(found.get("License") or "").strip().partition("\n")[0][:80] or "not stated"


def _key(folders: Sequence[Path]) -> str:
    """A name for what is installed: packages, versions and how large their records are. Quick, since a run asks it."""
    listed: list[list[str | int]] = [["version", VERSION]]
    for folder in folders:
        records = sorted(folder.glob("*.dist-info"))
        listed += [[record.name, max(0, size_of(record / "RECORD"))] for record in records]
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16]


def _is_whole(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (*TABLES, MANIFEST))  # ABOUT is written last


# -- reading ----------------------------------------------------------------------------------------------------------


class _Tables:
    """The three tables while they are written: rows in the order of the files, nothing twice."""

    def __init__(self, folder: Path) -> None:
        self.drafts = {name: open(folder / f".{name}.draft", "w", encoding="utf-8") for name in TABLES}  # noqa: SIM115
        self.seen: set[bytes] = set()
        self.repeated = 0

    def add(self, package: Package, records: Sequence[dict[str, str]]) -> None:
        """Write what is new of a file's docstrings."""
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
            row = {"package": package.name, "version": package.version, "licence": package.licence, **record}
            for name, file in self.drafts.items():
                if _belongs(name, row):
                    # ASCII: one emoji in a text that is read whole makes each character of it take four bytes.
                    file.write(json.dumps({key: row[key] for key in TABLES[name]}) + "\n")

    def close(self) -> None:
        for file in self.drafts.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def place(self, folder: Path) -> None:
        """Give the tables their names, once all is written."""
        for name in TABLES:
            os.replace(folder / f".{name}.draft", folder / name)


def _belongs(table: str, row: dict[str, str]) -> bool:
    if table == "summaries.jsonl":
        return bool(row["rest"])
    return table == "docstrings.jsonl" or (row["kind"] == "function" and bool(row["code"]))


def _write_tables(packages: list[Package], folder: Path, name: str, progress: Progress) -> None:
    work = [(package, path, module) for package in packages for path, module in package.files]
    sizes = [path.stat().st_size if path.is_file() else 0 for _, path, _ in work]
    tables, unreadable, done = _Tables(folder), 0, 0
    try:
        answers = _read_all([(path, module) for _, path, module in work])
        for (package, _, _), size, records in zip(work, sizes, answers, strict=True):
            unreadable += records is None
            tables.add(package, records or [])
            done += size
            progress(f"{name}: reading docstrings", done, sum(sizes))
        for package in packages:
            found, lost = _read_documentation(package)
            unreadable += lost
            tables.add(package, found)
    finally:
        tables.close()
    if not tables.seen:
        raise DataError(
            "No installed package has docstrings or documentation.", "Choose another corpus (workbench data list)."
        )
    tables.place(folder)
    with_text = [package.as_dict() for package in packages if package.docstrings or package.documentation]
    read = len(work) + sum(len(package.documents) for package in packages)
    counts = {"files": read, "unreadable": unreadable, "repeated": tables.repeated}
    write_json(folder / MANIFEST, {"packages": with_text, **counts})


def _read_documentation(package: Package) -> tuple[list[dict[str, str]], int]:
    """A package's description and its documents, as records; and how many of the documents cannot be read."""
    texts, unreadable = [("METADATA", package.description)], 0
    for path, place in package.documents:
        try:
            if path.stat().st_size <= MAX_BYTES:
                texts.append((place, path.read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError):
            unreadable += 1
    empty = dict.fromkeys(("module", "first_line", "rest", "signature", "code", "body"), "")
    whole = [(place, text.strip()) for place, text in texts if is_valid_text(text)]
    found = [
        {**empty, "kind": DOCUMENTATION, "name": place, "text": text}
        for place, text in whole
        if len(text) >= MIN_CHARACTERS
    ]
    return found, unreadable


def _read_all(work: Sequence[tuple[Path, str]]) -> Iterator[list[dict[str, str]] | None]:
    """What :mod:`workbench.data.catalogue.docstrings` finds in each file, in order; the files are dealt out to
    processes."""
    readers = [_start_reader() for _ in range(min(os.cpu_count() or 1, MAX_READERS, len(work) or 1))]
    try:
        for number, reader in enumerate(readers):
            mine = work[number :: len(readers)]
            requests = [json.dumps({"path": str(path), "module": module}) + "\n" for path, module in mine]
            _stream(reader.stdin).writelines(requests)
            _stream(reader.stdin).close()
        for number in range(len(work)):
            line = _stream(readers[number % len(readers)].stdout).readline()
            if not line:
                raise RunError("A process that reads docstrings has died.", "Try again; is there enough memory?")
            yield json.loads(line)
    finally:
        for reader in readers:
            reader.kill()
            reader.wait()
            _stream(reader.stdout).close()


def _start_reader() -> subprocess.Popen[str]:
    # -P: a file in the current folder must not stand in for a module of ours.
    command = [sys.executable, "-P", "-m", "workbench.data.catalogue.docstrings"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    )


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
