"""Pretrained models: from the catalogue, from the Hugging Face hub, from a folder, or the result of an earlier run."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from workbench.data.catalogue.cache import downloads, entry_lock
from workbench.data.catalogue.entries import ModelEntry, catalogue
from workbench.data.catalogue.sources import fetch_hub_model, fetch_model, require_fetchable, require_hub_model
from workbench.data.catalogue.terms import open_terms, terms_hint, terms_problem
from workbench.data.progress import Progress
from workbench.errors import RefusedError, RequestError, SpecError, WorkbenchError
from workbench.files import inside, read_json
from workbench.models import e5
from workbench.models.base import DECODER_HEADS, ENCODER_HEADS, HeadOptions, LoadedModel, ModelSource, models
from workbench.models.bounds import refuse_absurd, refuse_costly_tokenizer
from workbench.models.conversion import CONVERTED
from workbench.models.export import OUR_TYPES
from workbench.models.gguf import convert_gguf
from workbench.models.identity import identify_base
from workbench.models.integrity import verify_files
from workbench.models.loading import (
    BASE_FILE,
    CIRCULAR_BASES,
    BaseNote,
    check_vocabulary,
    convert_to_workbench,
    dropout_fields,
    ensure_pad_token,
    labels_of,
    load_adapter,
    load_folder,
    load_tokenizer,
    make_source,
    refuse_broken_tokenizer,
    replace_head,
)
from workbench.models.pooling import POOLED_HEADS, Pooling, has_new_pooler, stored_pooling
from workbench.models.safety import ADAPTER_FILE, refuse_damaged, refuse_unsafe
from workbench.problem import Problem
from workbench.runs.run import Run
from workbench.spec import RunSpec, SpecModel
from workbench.tuning.adapters import merge_adapter
from workbench.tuning.base import tunings
from workbench.tuning.max_length import max_length_of_config
from workbench.types import Model

CONVERTIBLE = ("bert", "gpt2")  # architectures of transformers that become ours; see workbench.models.convert


_SOURCES_BY_TYPE = {  # of our own architectures
    "workbench-encoder": "transformer-encoder",
    "workbench-decoder": "transformer-decoder",
    "workbench-encoder-decoder": "transformer-encoder-decoder",
    "workbench-recurrent": "lstm",
    "workbench-bag-of-embeddings": "bag-of-embeddings",
    "workbench-textcnn": "textcnn",
}


class PretrainedConfig(SpecModel):
    """Options of every pretrained model."""

    dropout: float | None = Field(
        None, ge=0, lt=1, description="Dropout in the body and before the head. Default: the model's own."
    )
    code: Literal["transformers", "workbench"] = Field(
        "transformers",
        description="The implementation: transformers (any architecture), or workbench, which the notebooks "
        "build (BERT and GPT-2, same numbers).",
    )
    pooling: Literal["auto", "cls", "mean", "pooler"] = Field(
        "auto",
        description="Which vector of a text a classifier reads: mean (of its tokens' vectors), cls (the first "
        "token's), pooler (what transformers' own class reads: BERT's pooler, a decoder's last token), or auto (what "
        "the model was trained with; mean if its pooler was never trained).",
    )


def _not_convertible(source: str) -> Problem:
    hint = f"Remove model.code. It can be workbench for models with the architecture {' or '.join(CONVERTIBLE)}."
    return Problem("error", "model.code", f"{source} has no counterpart among the workbench's own Transformers.", hint)


class Pretrained(ModelSource):
    """A folder in transformers' format, wherever it comes from."""

    Config = PretrainedConfig
    config: PretrainedConfig
    is_foreign: ClassVar[bool] = False  # whether anybody may have written the folder
    trained_pooling: ClassVar[Pooling] = "pooler"  # which vector of a text it was trained to make

    @abstractmethod
    def folder(self, progress: Progress | None = None) -> Path:
        """Return the folder with config, weights and tokenizer, after fetching it if it is missing.

        Args:
            progress: receives the progress of downloads.
        """

    def max_length(self) -> int | None:
        folder = self._local_folder()
        if folder is None:
            return None
        if (folder / ADAPTER_FILE).exists():
            return make_source(BaseNote.read(folder).source, self.workspace).max_length()
        config = read_json(folder / "config.json")
        return max_length_of_config(config) if isinstance(config, dict) else None

    def _local_folder(self) -> Path | None:
        """Return the folder if it is on this machine."""
        return self.folder()

    def load(self, head: str, options: HeadOptions, progress: Progress | None = None) -> LoadedModel:
        folder = self.folder(progress)
        refuse_unsafe(folder)
        if self.is_foreign:
            refuse_absurd(folder)
            refuse_costly_tokenizer(folder)
        if (folder / ADAPTER_FILE).exists():
            loaded = load_adapter(folder, self.workspace, progress, self.config)
            model, new, pooling = merge_adapter(loaded.model), frozenset[str](), loaded.pooling
            self._refuse_other_pooling(head, pooling)
            trained_labels = labels_of(model.config.to_dict())
        else:
            if self.config.dropout is not None:
                options = {**options, **dict.fromkeys(dropout_fields(folder), self.config.dropout)}
            model, new, pooling = self._load_folder(folder, head, options)
            head_was_loaded = all(name.startswith(f"{model.base_model_prefix}.") for name in new)
            trained_labels = labels_of(read_json(folder / "config.json")) if head_was_loaded else None
        model, replaced = replace_head(model, head, options, trained_labels)
        new |= replaced
        if self.config.code == "workbench":
            model, new = convert_to_workbench(model, new)
        tokenizer = load_tokenizer(folder)
        check_vocabulary(model, tokenizer)
        ensure_pad_token(model, tokenizer)
        return LoadedModel(model, tokenizer, identify_base(self._exact_source(folder), model, new), new, pooling)

    def with_pooling(self, pooling: str | None) -> Pretrained:
        return type(self)(
            self.config.model_copy(update={"pooling": pooling or "pooler"}), self.argument, self.workspace
        )

    def _load_folder(self, folder: Path, head: str, options: HeadOptions) -> tuple[Model, frozenset[str], str | None]:
        """Return the model, the names of its newly initialized weights, and the pooling of its classifier."""
        pooling = self.config.pooling
        if pooling == "auto":
            pooling = stored_pooling(read_json(folder / "config.json")) or self.trained_pooling
        model, new = load_folder(folder, head, options, pooling=pooling)
        is_ours = model.config.model_type.startswith(OUR_TYPES)
        if self.config.pooling == "auto" and head in POOLED_HEADS and has_new_pooler(new) and not is_ours:
            pooling = "mean"
            model, new = load_folder(folder, head, options, pooling=pooling)
        return model, new, pooling if head in POOLED_HEADS and pooling != "pooler" else None

    def _refuse_other_pooling(self, head: str, pooling: str | None) -> None:
        """Raise SpecError if the options ask for another pooling than that of an adapter's base."""
        own = pooling or "pooler"
        if head in POOLED_HEADS and self.config.pooling not in ("auto", own):
            raise SpecError(
                f"model.pooling is {self.config.pooling}, but the adapter of {self.argument} was trained with {own}.",
                "Remove model.pooling.",
            )

    def known_heads(self) -> frozenset[str] | None:
        folder = self._local_folder() if self.heads is None else None
        if folder is not None and (folder / ADAPTER_FILE).exists():
            return make_source(BaseNote.read(folder).source, self.workspace).known_heads()
        config = read_json(folder / "config.json") if folder is not None else None
        source = _SOURCES_BY_TYPE.get(str(config.get("model_type"))) if isinstance(config, dict) else None
        return models.get(source).heads if source is not None else self.heads

    def num_layers(self) -> int | None:
        folder = self._local_folder()
        if folder is not None and (folder / ADAPTER_FILE).exists():
            return make_source(BaseNote.read(folder).source, self.workspace).num_layers()
        config = read_json(folder / "config.json") if folder is not None else None
        config = config if isinstance(config, dict) else {}
        count = config.get("num_hidden_layers", config.get("n_layer"))
        has_decoder = bool(config.get("is_encoder_decoder")) or "decoder_layers" in config
        return count if isinstance(count, int) and not has_decoder else None

    def problems(self, spec: RunSpec) -> list[Problem]:
        folder = self._local_folder() if self.config.code == "workbench" else None
        if folder is None or (folder / ADAPTER_FILE).exists():
            return []
        config = read_json(folder / "config.json")
        kind = str(config.get("model_type", "")) if isinstance(config, dict) else ""
        if not kind or kind in CONVERTIBLE or kind.startswith("workbench-"):
            return []
        return [_not_convertible(spec.model.source)]

    def require_fetchable(self) -> None:
        folder = self._local_folder()
        if folder is not None and (folder / ADAPTER_FILE).exists():
            make_source(BaseNote.read(folder).source, self.workspace).require_fetchable()

    def _folder_problem(self, folder: Path, confined: bool) -> str | None:
        """Why the folder cannot be loaded, or None. An adapter's base is checked as well."""
        refuse_unsafe(folder)
        refuse_damaged(folder)
        if self.is_foreign:
            refuse_absurd(folder)
        refuse_broken_tokenizer(folder, whole=not confined)
        if not (folder / ADAPTER_FILE).exists():
            return None
        note = BaseNote.read(folder)
        if note.method in tunings and not tunings.get(note.method).merges:
            why = "which cannot be merged into its base to be tuned again"
            return f"{self.argument} is an adapter of {note.method}, {why}."
        return make_source(note.source, self.workspace).problem(confined)

    def _exact_source(self, folder: Path) -> str:
        """Return the source by which a spec names exactly these weights."""
        return f"{self.name}:{self.argument}" if self.argument else self.name


class Catalogued(Pretrained):
    """A model of the catalogue."""

    def _local_folder(self) -> Path | None:
        folder = downloads(self.workspace) / "models" / self.name
        return next((each for each in (folder / CONVERTED, folder) if (each / "config.json").exists()), None)

    def max_length(self) -> int | None:
        entry = catalogue().find("models", self.name)
        assert isinstance(entry, ModelEntry)
        return entry.positions

    def problems(self, spec: RunSpec) -> list[Problem]:
        terms = open_terms(catalogue().find("models", self.name), self.workspace)
        if terms is not None:
            return [Problem("error", "model", terms_problem(self.name, terms), terms_hint(self.name, terms))]
        is_gguf = any(file.endswith(".gguf") for file in catalogue().find("models", self.name).files)
        if self.config.code == "workbench" and is_gguf:  # a Llama or a relative of it
            return [_not_convertible(spec.model.source)]
        return super().problems(spec)

    def require_fetchable(self) -> None:
        require_fetchable(self.name, self.workspace)

    def plain_name(self, exact: str) -> tuple[str, str] | None:
        return str(self.folder()), ""

    def folder(self, progress: Progress | None = None) -> Path:
        folder = fetch_model(self.name, self.workspace, progress)
        lock = entry_lock(downloads(self.workspace), "models", self.name)
        for file in catalogue().find("models", self.name).files:
            if file.endswith(".gguf"):
                return convert_gguf(folder / file, lock, self.name, progress)
            if file.endswith(e5.SUFFIX):
                return e5.convert_e5(folder / file, lock, self.name, progress)
        return folder

    def tokenizer_file(self) -> Path | None:
        folder = downloads(self.workspace) / "models" / self.name
        files = (folder / "tokenizer.json", folder / CONVERTED / "tokenizer.json")
        return next((file for file in files if file.exists()), None)


for _name, _entry in catalogue().models.items():
    # In the catalogue, GGUF files are decoders; the others are encoders.
    _heads = DECODER_HEADS if any(file.endswith(".gguf") for file in _entry.files) else ENCODER_HEADS
    _heads -= frozenset(_entry.missing_heads)
    _attributes = {
        "__doc__": _entry.label,
        "heads": _heads,
        "pretrained_heads": _heads & {"AutoModelForCausalLM"},
        "lr_scale": _entry.lr_scale,
        "languages": frozenset(_entry.languages),
        "trained_pooling": _entry.pooling,
    }
    models.register(_name)(type(f"Catalogued_{_name}", (Catalogued,), _attributes))


def _plain_folder(folder: Path) -> tuple[str, str] | None:
    """Return the folder if it holds a whole model of an architecture of transformers; otherwise None."""
    config = read_json(folder / "config.json")
    kind = str(config.get("model_type", "")) if isinstance(config, dict) else ""
    is_plain = kind and not kind.startswith("workbench-") and not (folder / ADAPTER_FILE).exists()
    return (str(folder), "") if is_plain else None


@models.register("hf")
class Hub(Pretrained):
    """A model of the Hugging Face hub, at a pinned revision: hf:REPOSITORY@REVISION."""

    argument_form = "REPOSITORY@REVISION"
    is_foreign = True

    def problem(self, confined: bool) -> str | None:
        repository, at, revision = self.argument.partition("@")
        if repository.count("/") != 1 or not at or not revision:
            return f"{self.argument!r} is not REPOSITORY@REVISION, such as google-bert/bert-base-uncased@main."
        return None

    def folder(self, progress: Progress | None = None) -> Path:
        repository, _, revision = self.argument.partition("@")
        return fetch_hub_model(repository, revision, self.workspace, progress)

    def _local_folder(self) -> Path | None:
        repository, _, revision = self.argument.partition("@")
        folder = downloads(self.workspace) / "hub" / repository.replace("/", "--") / revision
        return folder if (folder / ".complete").exists() else None  # a branch is only known to the hub

    def require_fetchable(self) -> None:
        if self._local_folder() is not None:
            super().require_fetchable()
            return
        repository, _, revision = self.argument.partition("@")
        require_hub_model(repository, revision)

    def plain_name(self, exact: str) -> tuple[str, str] | None:
        repository, _, revision = exact.removeprefix("hf:").partition("@")
        return repository, revision

    def _exact_source(self, folder: Path) -> str:
        # The folder's name is the commit: a branch may move before an adapter looks for its base again.
        return f"hf:{self.argument.partition('@')[0]}@{folder.name}"


@models.register("path")
class Local(Pretrained):
    """A folder on this machine in transformers' format: path:FOLDER."""

    argument_form = "FOLDER"
    is_foreign = True

    def problem(self, confined: bool) -> str | None:
        try:
            folder = self._confined_path() if confined else self._path()
            for file in folder.iterdir() if confined and folder.is_dir() else ():
                inside(self.workspace.uploads, file, "model file")  # no link to another place
            if not os.path.exists(folder / "config.json") and not os.path.exists(folder / ADAPTER_FILE):
                return f"There is no model in {folder}: it has no config.json."
            return self._folder_problem(folder, confined)
        except WorkbenchError as error:
            return str(error)
        except RecursionError:
            return CIRCULAR_BASES

    def plain_name(self, exact: str) -> tuple[str, str] | None:
        return _plain_folder(self._path())

    def folder(self, progress: Progress | None = None) -> Path:
        return self._path()

    def tokenizer_file(self) -> Path | None:
        file = self._path() / "tokenizer.json"
        return file if file.exists() else None

    def _path(self) -> Path:
        return Path(self.argument).expanduser().absolute()

    def _confined_path(self) -> Path:
        """Return the folder, which must be inside the workspace's uploads. A relative path starts at the workspace."""
        if self.argument.startswith("~"):
            raise RefusedError(f"The model folder {self.argument[:120]!r} is outside the workspace's uploads.")
        return inside(self.workspace.uploads, self.workspace.root / self.argument, "model folder")


@models.register("run")
class FromRun(Pretrained):
    """The result of an earlier run in this workspace: run:RUN."""

    argument_form = "RUN"

    def problem(self, confined: bool) -> str | None:
        try:
            return self._folder_problem(self.folder(), confined)
        except WorkbenchError as error:
            return str(error)
        except RecursionError:
            return CIRCULAR_BASES

    def plain_name(self, exact: str) -> tuple[str, str] | None:
        return _plain_folder(self.folder())

    def trained_labels(self, task: str) -> list[str]:
        note = Run.open(self.argument, self.workspace).base_note()
        return list(note.labels) if note is not None and note.task.get("name") == task else []

    def folder(self, progress: Progress | None = None) -> Path:
        run = Run.open(self.argument, self.workspace)
        folder = run.model_folder
        if not (folder / BASE_FILE).exists():
            raise RequestError(*run.why_no_model())
        return folder

    def load(self, head: str, options: HeadOptions, progress: Progress | None = None) -> LoadedModel:
        run = Run.open(self.argument, self.workspace)
        note = run.base_note()
        if note is not None:
            verify_files(run.model_folder, note.files, f"the model of run {run.id}")
        return super().load(head, options, progress)

    def tokenizer_file(self) -> Path | None:
        file = self.folder() / "tokenizer.json"
        return file if file.exists() else None
