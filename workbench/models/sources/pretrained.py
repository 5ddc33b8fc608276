"""Pretrained models: of the catalogue, of the Hugging Face hub, in a folder, or the result of an earlier run."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from workbench.data.catalogue.cache import downloads, entry_lock
from workbench.data.catalogue.entries import catalogue
from workbench.data.catalogue.sources import fetch_hub_model, fetch_model
from workbench.data.progress import Progress
from workbench.errors import RefusedError, RequestError, WorkbenchError
from workbench.files import inside, read_json
from workbench.models.base import DECODER_HEADS, ENCODER_HEADS, Loaded, ModelSource, models
from workbench.models.gguf import converted
from workbench.models.loading import (
    ADAPTER_FILE,
    BASE_FILE,
    ENDLESS,
    base_identity,
    base_note,
    check_vocabulary,
    convert_to_workbench,
    dropout_fields,
    ensure_pad_token,
    labels_of,
    load_adapter,
    load_folder,
    load_tokenizer,
    make_source,
    refuse_unsafe,
    with_head,
)
from workbench.runs.run import Run
from workbench.spec import SpecModel
from workbench.tuning.adapters import merge_adapter
from workbench.tuning.base import tunings


class PretrainedConfig(SpecModel):
    """Options of every pretrained model."""

    dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout in the body and before the head; empty for the model's own."
    )
    code: Literal["transformers", "workbench"] = Field(
        "transformers",
        description="Whose code computes it: transformers' (any architecture), or ours, which the notebooks build "
        "(BERT, GPT-2; the same numbers).",
    )


class Pretrained(ModelSource):
    """A folder in transformers' format, wherever it comes from."""

    Config = PretrainedConfig
    config: PretrainedConfig

    @abstractmethod
    def folder(self, progress: Progress | None = None) -> Path:
        """The folder with config, weights and tokenizer, fetched when it is missing."""

    def load(self, head: str, options: dict[str, Any], progress: Progress | None = None) -> Loaded:
        folder = self.folder(progress)
        refuse_unsafe(folder)
        if (folder / ADAPTER_FILE).exists():
            loaded = load_adapter(folder, self.workspace, progress, self.config)
            model, new = merge_adapter(loaded.model), frozenset[str]()
            had = labels_of(model.config.to_dict())
        else:
            if self.config.dropout is not None:
                options = {**options, **dict.fromkeys(dropout_fields(folder), self.config.dropout)}
            model, new = load_folder(folder, head, options)
            body = f"{model.base_model_prefix}."
            had = labels_of(read_json(folder / "config.json")) if all(name.startswith(body) for name in new) else None
        model, fresh = with_head(model, head, options, had)
        if self.config.code == "workbench":
            model, new = convert_to_workbench(model, new | fresh)
            fresh = frozenset()
        tokenizer = load_tokenizer(folder)
        check_vocabulary(model, tokenizer)
        ensure_pad_token(model, tokenizer)
        return Loaded(model, tokenizer, base_identity(self._source(folder), model, new | fresh), new | fresh)

    def _folder_problem(self, folder: Path, confined: bool) -> str | None:
        """Why what ``folder`` holds cannot be loaded, or None; an adapter's base is looked at as well."""
        refuse_unsafe(folder)
        if not (folder / ADAPTER_FILE).exists():
            return None
        note = base_note(folder)
        method = str((note.get("tuning") or {}).get("method"))
        if method in tunings and not tunings.get(method).merges:
            return f"{self.argument} is an adapter of {method}, which cannot be merged into its base to be tuned again."
        return make_source(note["base"]["source"], self.workspace).problem(confined)

    def _source(self, folder: Path) -> str:
        """How a spec names this very model."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


class Catalogued(Pretrained):
    """A model of the catalogue."""

    def folder(self, progress: Progress | None = None) -> Path:
        folder = fetch_model(self.name, self.workspace, progress)
        for file in catalogue().find("models", self.name).files:
            if file.endswith(".gguf"):
                lock = entry_lock(downloads(self.workspace), "models", self.name)
                return converted(folder / file, lock, self.name, progress)
        return folder


for _name, _entry in catalogue().models.items():
    # Those of the catalogue that come as GGUF write; the others read.
    _heads = DECODER_HEADS if any(file.endswith(".gguf") for file in _entry.files) else ENCODER_HEADS
    _told = {
        "__doc__": _entry.label,
        "heads": _heads,
        "pretrained_heads": _heads & {"AutoModelForCausalLM"},
        "lr_scale": _entry.lr_scale,
    }
    models.register(_name)(type(f"Catalogued_{_name}", (Catalogued,), _told))


@models.register("hf")
class Hub(Pretrained):
    """A model of the Hugging Face hub, at a pinned revision: hf:REPOSITORY@REVISION."""

    argument_form = "REPOSITORY@REVISION"

    def problem(self, confined: bool) -> str | None:
        repository, at, revision = self.argument.partition("@")
        if repository.count("/") != 1 or not at or not revision:
            return f"{self.argument!r} is not REPOSITORY@REVISION, such as google-bert/bert-base-uncased@main."
        return None

    def folder(self, progress: Progress | None = None) -> Path:
        repository, _, revision = self.argument.partition("@")
        return fetch_hub_model(repository, revision, self.workspace, progress)

    def _source(self, folder: Path) -> str:
        # The folder's name is the commit: a branch may move before an adapter looks for its base again.
        return f"hf:{self.argument.partition('@')[0]}@{folder.name}"


@models.register("path")
class Local(Pretrained):
    """A folder on this machine in transformers' format: path:FOLDER."""

    argument_form = "FOLDER"

    def problem(self, confined: bool) -> str | None:
        try:
            folder = self._confined_path() if confined else self._path()
            for file in folder.iterdir() if confined and folder.is_dir() else ():
                inside(self.workspace.uploads, file, "model file")  # not a link that leads elsewhere
            if not os.path.exists(folder / "config.json") and not os.path.exists(folder / ADAPTER_FILE):
                return f"There is no model in {folder}: it has no config.json."
            return self._folder_problem(folder, confined)
        except WorkbenchError as error:
            return str(error)
        except RecursionError:
            return ENDLESS

    def folder(self, progress: Progress | None = None) -> Path:
        return self._path()

    def _path(self) -> Path:
        return Path(self.argument).expanduser().absolute()

    def _confined_path(self) -> Path:
        """The folder, which must lie in the workspace's uploads. A relative name counts from the workspace."""
        if self.argument.startswith("~"):
            raise RefusedError(f"The model folder {self.argument[:120]!r} lies outside the workspace's uploads.")
        return inside(self.workspace.uploads, self.workspace.root / self.argument, "model folder")


@models.register("run")
class FromRun(Pretrained):
    """What an earlier run of this workspace has trained: run:RUN."""

    argument_form = "RUN"

    def problem(self, confined: bool) -> str | None:
        try:
            return self._folder_problem(self.folder(), confined)
        except WorkbenchError as error:
            return str(error)
        except RecursionError:
            return ENDLESS

    def folder(self, progress: Progress | None = None) -> Path:
        run = Run.open(self.argument, self.workspace)
        folder = run.folder / "model"
        if not (folder / BASE_FILE).exists():
            raise RequestError(*run.why_no_model())
        return folder
