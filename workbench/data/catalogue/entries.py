"""The catalogue: data sets, models and assets that can be fetched by name, read from ``catalogue.yaml``.

An entry lists its files, pinned by size and sha256, and its sources, tried in order.
:mod:`workbench.data.catalogue.sources` fetches them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from workbench.data.readers.options import ReadOptions
from workbench.errors import RefusedError, UnknownNameError
from workbench.files import safe_name
from workbench.yaml_text import load_yaml

EntryKind = Literal["datasets", "models", "assets"]
_SINGULAR: dict[EntryKind, str] = {"datasets": "data set", "models": "model", "assets": "asset"}

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*$")]


PACKAGE = r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.+!_-]*$"


def _file_name(name: str) -> str:
    try:
        return safe_name(name, "file name")
    except RefusedError as error:
        raise ValueError(error.message) from error


def _inner_path(path: str) -> str:
    """Return ``path`` if it names something inside an archive or repository and cannot escape it."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or set(path) & set("\\\0:?#%"):
        raise ValueError(f"{path!r} is not a path inside an archive or repository")
    return path


FileName = Annotated[str, AfterValidator(_file_name)]
FileNames = Annotated[
    tuple[FileName, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2}$")]
InnerPath = Annotated[str, AfterValidator(_inner_path)]


class _FrozenModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_FrozenModel):
    """A file in the cache: its pinned size and sha256."""

    bytes: int = Field(ge=0)
    sha256: Sha256


class WheelSource(_FrozenModel):
    """Files inside a package of the Python index. The wheel is read as an archive; it is never installed.

    ``platform`` is the platform in the wheel's name, if it has one: its files are read on every machine.
    """

    kind: Literal["wheel"]
    package: str = Field(pattern=PACKAGE)
    bytes: int = Field(ge=0)
    sha256: Sha256
    unpack: Literal["bz2"] | None = None
    platform: str | None = Field(None, pattern=r"^[a-z0-9_]+$")
    files: dict[FileName, InnerPath]

    def __str__(self) -> str:
        return f"the package {self.package}"


class WheelPart(_FrozenModel):
    """A part of a file: a member of a package of the Python index."""

    package: str = Field(pattern=PACKAGE)
    bytes: int = Field(ge=0)
    sha256: Sha256
    member: InnerPath


class WheelPartsSource(_FrozenModel):
    """One file that is divided among several packages of the Python index, because an index limits their size."""

    kind: Literal["wheel-parts"]
    file: FileName
    parts: tuple[WheelPart, ...] = Field(min_length=2)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files that it provides."""
        return (self.file,)

    def __str__(self) -> str:
        return f"the packages {', '.join(part.package for part in self.parts)}"


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
    """Tables made on this machine from the installed packages; see :mod:`workbench.data.catalogue.site_packages`."""

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


Source = Annotated[
    WheelSource | WheelPartsSource | UrlSource | HubSource | FileSource | SitePackagesSource,
    Field(discriminator="kind"),
]


class Terms(_FrozenModel):
    """Terms of use that somebody has to accept before an entry is fetched.

    Attributes:
        name: what they are called.
        address: where their text is.
        summary: what they demand, as sentences. They do not replace the text.
        notice: a sentence that must accompany copies and models trained from it.
    """

    name: str
    address: str = Field(pattern=r"^https://")
    summary: tuple[str, ...] = Field(min_length=1)
    notice: str


class Entry(_FrozenModel):
    """A data set, a model or an asset.

    Attributes:
        label: one line for people.
        size: number of examples or parameters, for people.
        licence: licence of the content.
        citation: citation of the publication, or the authors.
        files: the files of the entry, by their names in the cache.
        sources: where to fetch them, tried in order.
        terms: what somebody has to accept before it is fetched; None for an open licence.
    """

    label: str
    size: str
    licence: str
    citation: str
    files: dict[FileName, File]
    sources: tuple[Source, ...]
    terms: Terms | None = None

    @model_validator(mode="after")
    def _every_source_has_every_file(self) -> Entry:
        if self.made_here is not None:
            if self.files or len(self.sources) > 1:
                raise ValueError("an entry made on this machine has no pinned files and no other source")
            return self
        for source in self.sources:
            assert not isinstance(source, SitePackagesSource)
            if set(source.files) != set(self.files):
                raise ValueError(f"{source} must provide exactly the files {sorted(self.files)}")
        return self

    @property
    def made_here(self) -> SitePackagesSource | None:
        """The source that makes the files on this machine; None if they are fetched."""
        return next((source for source in self.sources if isinstance(source, SitePackagesSource)), None)


class ModelEntry(Entry):
    """A pretrained model: its files make a transformers folder, or are converted to one.

    Attributes:
        language: its language; ``multilingual`` if it has many.
        languages: ISO 639-1 codes of the languages that it was trained on.
        positions: longest text in tokens that the model has positions for.
        layers: number of its layers.
        width: width of its layers.
        lr_scale: see ``ModelSource``.
        missing_heads: Auto classes that transformers lacks for its architecture.
        pooling: which vector of a text it was trained to make: ``mean`` (of its tokens), ``cls`` (the first token) or
            ``pooler`` (what transformers' own class reads).
        auto_tuning: the fine-tuning method of specs that name neither a model (``auto``) nor a method.
    """

    language: str
    languages: tuple[LanguageCode, ...] = Field(min_length=1)
    positions: int = Field(ge=1)
    layers: int = Field(ge=1)
    width: int = Field(ge=1)
    lr_scale: float = Field(1.0, gt=0)
    missing_heads: tuple[str, ...] = ()
    pooling: Literal["cls", "mean", "pooler"] = "pooler"
    auto_tuning: str = "full"


class DatasetEntry(Entry):
    """A data set.

    Attributes:
        task: the task it is meant for.
        language: its language, or two with a hyphen.
        columns: role -> column.
        splits: the files of each split; a split without files is held out of train.
        group: a column whose values stay in one split when one is held out.
        keep: column -> values of the rows to use.
        read_options: how the files are written.
    """

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
            raise ValueError("a split with several files needs a format that reads them")
        return self


class Catalogue(_FrozenModel):
    """All entries, by kind and name."""

    datasets: dict[FileName, DatasetEntry] = Field(default_factory=dict)
    models: dict[FileName, ModelEntry] = Field(default_factory=dict)
    assets: dict[FileName, Entry] = Field(default_factory=dict)

    def find(self, kind: EntryKind, name: str) -> Entry:
        """Return the entry with this name.

        Args:
            kind: the entry's kind.
            name: the entry's name.

        Raises:
            UnknownNameError: there is none; the message lists similar names.
        """
        entries = self.entries(kind)
        if name not in entries:
            raise UnknownNameError(_SINGULAR[kind], name, entries)
        return entries[name]

    def entries(self, kind: EntryKind) -> Mapping[str, Entry]:
        """Return all entries of one kind, by name.

        Args:
            kind: datasets, models or assets.
        """
        entries: dict[EntryKind, Mapping[str, Entry]] = {
            "datasets": self.datasets,
            "models": self.models,
            "assets": self.assets,
        }
        return entries[kind]


@functools.cache
def catalogue() -> Catalogue:
    """Return the catalogue of the workbench."""
    text = resources.files("workbench.data.catalogue").joinpath("catalogue.yaml").read_text(encoding="utf-8")
    return Catalogue.model_validate(load_yaml(text, "The catalogue"))


def dataset(name: str) -> DatasetEntry:
    """Return the data set with this name.

    Args:
        name: the entry's name.

    Raises:
        UnknownNameError: there is none.
    """
    entry = catalogue().find("datasets", name)
    assert isinstance(entry, DatasetEntry)
    return entry
