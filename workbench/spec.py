"""RunSpec: everything that a run needs, as one validated document.

The command line, the dashboard's form, the notebooks and YAML files are four ways to write a spec. The meaning of a
field and its unit are written once, in the field's description: tooltips, ``--help`` and the documentation use it.

The options of the task, the model and the fine-tuning method are not validated here (any key is accepted):
:mod:`workbench.check` resolves them against the registries, fills in defaults, and reports every problem at once.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from workbench.errors import SpecError
from workbench.spec_versions import RENAMED, SCHEMA_VERSION, upgrade
from workbench.yaml_text import dump_yaml, load_yaml

RANGE_TEST = "learning-rate-range-test"  # RunSpec.kind; the other kind is "training"

Options: TypeAlias = dict[str, Any]  # of a registry entry; the entry's Config validates them


class SpecModel(BaseModel):
    """A section of a spec: unknown keys are errors, and assignments are validated."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class Choice(BaseModel):
    """A registry entry by name, together with its options."""

    model_config = ConfigDict(
        extra="allow", validate_assignment=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    @property
    def options(self) -> Options:
        """The options that were set."""
        return dict(self.model_extra or {})


class TaskChoice(Choice):
    """The task of a run."""

    name: str = Field(description="What the model learns; `workbench tasks` lists all tasks.")


class ModelChoice(Choice):
    """The model of a run."""

    source: str = Field(
        description="Source of weights and architecture: a name from `workbench models`, hf:REPOSITORY@REVISION, "
        "path:FOLDER or run:RUN; or auto, a pretrained model for the language of the texts."
    )


class TuningChoice(Choice):
    """The fine-tuning method of a run."""

    method: str = Field("full", description="Which weights are trained; `workbench tunings` lists all methods.")


class Limit(SpecModel):
    """Limits on the number of examples in each split."""

    train: int | None = Field(None, ge=2, description="Most training examples to use; empty for all.")
    valid: int | None = Field(None, ge=1, description="Most validation examples to use; empty for all.")
    test: int | None = Field(None, ge=1, description="Most test examples to use; empty for all.")


class Holdout(SpecModel):
    """Shares of the training data that are held out for splits without a file."""

    valid: float = Field(0.1, ge=0, lt=1, description="Share of the training data held out for validation.")
    test: float = Field(0.2, ge=0, lt=1, description="Share of the training data held out for the final evaluation.")

    @model_validator(mode="after")
    def _leaves_something(self) -> Holdout:
        if self.valid + self.test >= 1:
            raise ValueError("valid and test together hold out everything; leave something to train on")
        return self


def _read_escaped_tab(value: object) -> object:
    """Return a tab for the two characters that people write for it."""
    return "\t" if value == r"\t" else value


def _read_label_names(value: object) -> object:
    """Return the names of labels as text: YAML reads 1, 1.0 and true as other types."""
    pairs = value.items() if isinstance(value, dict) else ()
    names = [[str(each).lower() if isinstance(each, bool | int | float) else each for each in pair] for pair in pairs]
    return dict(names) if isinstance(value, dict) else value


class DataSpec(SpecModel):
    """The data of a run."""

    train: str = Field(
        description="A name from the catalogue (`workbench data list`); a CSV, JSONL, Parquet, Excel, .conll, .txt or "
        ".md file, or a .json file in SQuAD format; a folder of texts, or of a subfolder for each label; or "
        "hf:OWNER/NAME@REVISION?config=NAME&split=NAME."
    )
    valid: str | None = Field(None, description="Validation file; without one, a part of train is held out.")
    test: str | None = Field(None, description="Test file; without one, a part of train is held out.")
    columns: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Which column has which role, as role: column. Detected by name if left out. If each label has a "
        "column of its own with 0 and 1, list these columns: label: [art, money]. Other columns (the "
        "first 20 of the file, values cut to 200 characters) are stored with the predictions, in predictions.parquet, "
        "so that you can group results by them; remove from the file what should not be stored.",
    )
    on_bad_rows: Literal["refuse", "drop"] = Field(
        "refuse", description="Rows that cannot be used: refuse the data, or leave them out and count them."
    )
    duplicates: Literal["keep", "drop"] = Field(
        "keep",
        description="Rows of a file whose texts are equal: keep them, or leave out all but the first, and every row of "
        "a text that has different labels.",
    )
    labels: Annotated[dict[str, str], BeforeValidator(_read_label_names)] = Field(
        default_factory=dict, description="Labels to merge: `{humann: human}` reads every humann as human."
    )
    group: str | None = Field(
        None,
        description="Column whose values never appear in two splits (a film, a customer, a document); an empty text "
        "for none, where the data or the task would choose one.",
    )
    limit: Limit = Field(default_factory=Limit, description="Limits on the number of examples in each split.")
    holdout: Holdout = Field(
        default_factory=Holdout, description="Shares of the training data held out for splits without a file."
    )
    split_seed: int = Field(
        0, ge=0, description="Seed of the held-out splits; use the same one for runs that you compare."
    )
    documents: Literal["auto", "file", "paragraph", "line", "passages", "articles"] = Field(
        "auto",
        description="What a document is in a .txt or .md file: the whole file, a paragraph (separated by empty lines), "
        "a line, passages of paragraphs (2,000 characters each), or articles (from one ' = Title = ' to the next). "
        "auto takes paragraphs, or lines if there are no empty ones, and whole files in a folder. A .txt file is "
        "read as a table if the task needs more than a text.",
    )
    max_length: int = Field(
        128, ge=4, le=32768, description="Longest input in tokens; longer texts are cut, and counted in the report."
    )
    delimiter: Annotated[str | None, BeforeValidator(_read_escaped_tab)] = Field(
        None, min_length=1, max_length=1, description=r"CSV delimiter, \t for a tab; detected if left out."
    )
    encoding: str | None = Field(
        None, description="Text encoding of the files (utf-8, gb18030 ...); detected if left out."
    )
    header: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of the columns, in their order, if the first line of the file is data: `[label, text]`. For "
        "CSV, Excel and JSON arrays.",
    )
    sheet: str | None = Field(
        None, min_length=1, description="Sheet of an Excel file (.xlsx); the first one if left out."
    )
    label_separator: str | None = Field(
        None,
        min_length=1,
        max_length=8,
        description="What separates the labels of an example in a column of texts (| ; or ,); detected from the whole "
        "column if left out.",
    )
    first_speaker: Literal["user", "assistant"] | None = Field(
        None,
        description="Who speaks first in conversations whose turns have no roles; the user if left out. The first turn "
        "of an assistant is left out, because it is no reply.",
    )
    outside_tag: str | None = Field(
        None,
        description="Tag of the words outside any entity, if it is not O; empty if every word belongs to an entity. "
        "Detected if left out.",
    )
    label_names: list[str] | None = Field(
        None,
        min_length=1,
        description="Names of the labels or tags, if the file has their numbers: the first is number 0. Also the names "
        "of the positions in lists of 0 and 1.",
    )

    @model_validator(mode="after")
    def _merges_are_single_steps(self) -> DataSpec:
        chained = [name for name, target in self.labels.items() if target in self.labels]
        if chained:
            raise ValueError(f"labels merges {chained[0]!r} into {self.labels[chained[0]]!r}, which is merged itself")
        return self


class TrainingSpec(SpecModel):
    """How a run trains."""

    epochs: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="Passes over the training data; empty for 3 to 20: more for little data and for many labels.",
    )
    max_steps: int | None = Field(
        None, ge=1, description="Stop after this many optimizer steps, if that comes before the last epoch."
    )
    max_tokens: int | None = Field(
        None,
        ge=1,
        description="Stop after the step that reaches this many tokens of text (without padding), if that comes before "
        "the last epoch.",
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="Stop after the step that reaches this many minutes of training, if that comes before the last "
        "epoch. A resumed run continues to count.",
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="Examples per batch on the device.")
    max_tokens_per_batch: int | None = Field(
        None,
        ge=16,
        description="Tokens per batch, with padding; replaces batch_size. Short texts then form larger batches.",
    )
    group_by_length: bool = Field(
        True, description="Put texts of similar length into the same batch: less padding, same result."
    )
    gradient_accumulation: int = Field(
        1, ge=1, le=4096, description="Batches whose gradients are added up for one optimizer step."
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=10,
        description="Peak learning rate; empty for the default of the fine-tuning method and the model (MiniLM, full: "
        "3e-4).",
    )
    lr_schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear",
        description="How the learning rate changes after warm-up: linearly to zero, along a cosine to zero, or not at "
        "all.",
    )
    warmup_ratio: float = Field(
        0.06, ge=0, lt=1, description="Share of all steps in which the learning rate rises from 0 to its peak."
    )
    weight_decay: float = Field(
        0.01, ge=0, le=1, description="Weight decay of AdamW; biases and norm layers have none."
    )
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW: decay of the running mean of gradients.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW: decay of the running mean of squared gradients.")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW: added to the denominator.")
    max_grad_norm: float = Field(1.0, ge=0, description="Largest gradient norm; 0 for no clipping.")
    head_baseline: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Also report what a solved head on the model before fine-tuning reaches (as `tuning: head`), for "
        "classification and regression. auto: if its pass over the texts costs less than 5% of training.",
    )
    class_weights: Literal["balanced"] | None = Field(
        None,
        description="Weights of the classes in the training loss; balanced: each class counts as much as any other, "
        "however rare; empty: each example counts the same.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of initial weights, batch order and dropout.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number format of the matrix products; auto selects what the device does well."
    )
    compile: bool | Literal["auto"] = Field(
        False,
        description="Compile the model (torch.compile): slower to start, faster on a GPU; auto compiles on a GPU that "
        "supports it if the run is long enough.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where to train; auto selects a GPU if there is one."
    )
    eval_every: int | None = Field(
        None, ge=1, description="Steps between evaluations on the validation split; empty for once per epoch."
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after this many evaluations without improvement; empty to never stop early."
    )
    load_best: bool = Field(
        True, description="Use the weights of the best evaluation as the result, not those of the last step."
    )
    checkpoint_every: int | None = Field(None, ge=1, description="Steps between checkpoints; empty for once per epoch.")
    log_every: int = Field(10, ge=1, description="Steps between rows of metrics.")
    cache_activations: bool = Field(
        True, description="Compute the activations of frozen layers once per example and reuse them in later epochs."
    )
    cache_memory_gb: float = Field(2.0, ge=0, description="Most memory in GB for the activations of frozen layers.")
    cache_disk_gb: float = Field(
        10.0,
        ge=0,
        description="Most disk space in GB for the activations if they do not fit into memory; if they fit into "
        "neither, the frozen layers run in every epoch.",
    )
    keep_checkpoints: bool = Field(
        False, description="Keep checkpoints after the run has succeeded; otherwise only the result is kept."
    )


class RangeTestSpec(SpecModel):
    """A learning-rate range test: a short training run in which each step multiplies the learning rate by a factor."""

    lowest: float = Field(1e-7, gt=0, le=10, description="Learning rate of the first step.")
    highest: float = Field(1.0, gt=0, le=100, description="Learning rate of the last step.")
    steps: int = Field(
        100, ge=20, le=10_000, description="Optimizer steps from the lowest to the highest learning rate."
    )

    @model_validator(mode="after")
    def _rises(self) -> RangeTestSpec:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest:g}) must be below highest ({self.highest:g})")
        return self


# `model: minilm` is short for `model: {source: minilm}`.
_SHORT_FORMS = {"task": "name", "data": "train", "model": "source", "tuning": "method"}


def _short_form(section: str) -> BeforeValidator:
    return BeforeValidator(lambda value: {_SHORT_FORMS[section]: value} if isinstance(value, str) else value)


class RunSpec(SpecModel):
    """A whole run. ``RunSpec.load`` reads a file, ``to_yaml`` writes one."""

    schema_version: int = Field(
        SCHEMA_VERSION, ge=SCHEMA_VERSION, le=SCHEMA_VERSION, description="Schema version of this document."
    )
    name: str | None = Field(
        None, max_length=80, description="Your name for the run; made from model, data and method if left out."
    )
    notes: str = Field("", max_length=10_000, description="Anything you want to remember about this run.")
    group: str | None = Field(
        None, max_length=80, description="What the run belongs to: the name of its sweep, or a word of your own."
    )
    trial: int | None = Field(None, ge=0, description="Number of the run's trial in its sweep, from 0.")
    kind: Literal["training", "learning-rate-range-test"] = Field(
        "training",
        description="A training run, which yields a model; or a learning-rate range test, which suggests a learning "
        "rate.",
    )
    task: Annotated[TaskChoice, _short_form("task")] = Field(description="What the model learns, with its options.")
    data: Annotated[DataSpec, _short_form("data")] = Field(description="The examples to learn from.")
    model: Annotated[ModelChoice, _short_form("model")] = Field(description="The model to start from.")
    tuning: Annotated[TuningChoice, _short_form("tuning")] = Field(
        default_factory=lambda: TuningChoice(method="full"), description="Which weights are trained."
    )
    training: TrainingSpec = Field(default_factory=TrainingSpec, description="How they are trained.")
    range_test: RangeTestSpec = Field(
        default_factory=RangeTestSpec,
        description="Bounds of a learning-rate range test; training runs ignore them.",
    )

    @classmethod
    def parse(cls, document: object, origin: str = "the spec") -> RunSpec:
        """Return the spec in a dictionary.

        Args:
            document: the fields, in the current version or an older one.
            origin: where the document comes from, for messages.

        Raises:
            SpecError: names every wrong field with its value.
        """
        if not isinstance(document, dict):
            reason = "and it is empty" if document is None else f"not {type(document).__name__}"
            raise SpecError(
                f"{origin} is not a spec: a mapping of fields is needed, {reason}.",
                "`workbench check demo-full` shows what a spec looks like.",
            )
        version = document.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise SpecError(
                f"{origin} is of schema version {version}; this workbench reads versions up to {SCHEMA_VERSION}.",
                "It was written by a newer workbench: update this one.",
            )
        try:
            return cls.model_validate(upgrade(document))
        except ValidationError as error:
            lines = [f"{field or 'the document'}: {message}" for field, message in explain_validation(error)]
            raise SpecError(f"{origin} cannot be used: " + "; ".join(lines), _list_fields(error), lines) from error

    @classmethod
    def load(cls, path: Path) -> RunSpec:
        """Return the spec in a YAML (or JSON) file.

        Args:
            path: the file.

        Raises:
            SpecError: the file cannot be read, or is not a spec.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(
                f"The spec {path} cannot be read: {error}.", "Name a YAML file that exists, or a preset."
            ) from error
        return cls.from_yaml(text, str(path))

    @classmethod
    def from_yaml(cls, text: str, origin: str = "the spec") -> RunSpec:
        """Return the spec in YAML text.

        Args:
            text: the YAML.
            origin: where the text comes from, for messages.

        Raises:
            SpecError: the text is not YAML (the message names the line), or not a spec.
        """
        hint = "Correct that line; `workbench check demo-full` shows what a spec looks like."
        document = load_yaml(text, origin, hint=hint)
        return cls.parse(document, origin)

    def to_yaml(self) -> str:
        """Return the spec as YAML, with every default."""
        document = self.model_dump(mode="json")
        return dump_yaml(document)

    def changed(self, changes: Mapping[str, object]) -> RunSpec:
        """Return a copy with some fields changed.

        Args:
            changes: values by dotted path: ``{"training.epochs": 2}``.

        Raises:
            SpecError: there is no such field, or a value is not allowed.
        """
        document = self.model_dump(mode="json", exclude_unset=True)
        for path, value in changes.items():
            _set_field(document, path, value)
        return RunSpec.parse(document)


def explain_validation(error: ValidationError) -> list[tuple[str, str]]:
    """Return the dotted path of each wrong field in a pydantic error, and what is wrong in plain words.

    Args:
        error: a validation error of a spec or of an entry's options.
    """
    explained = []
    for item in error.errors(include_url=False):
        path = ".".join(str(key) for key in item["loc"])
        if item["type"] == "extra_forbidden":
            renamed, name = RENAMED.get(path), str(item["loc"][-1])
            message = f"`{name}` is now `{renamed.rpartition('.')[2]}`" if renamed else "there is no such field"
        elif item["type"] == "missing":
            message = "is missing"
        elif item["type"] == "value_error":  # a check of ours: its message names the values
            message = item["msg"].removeprefix("Value error, ")
        else:
            message = f"{item['msg'][:1].lower()}{item['msg'][1:]}, given {str(item['input'])[:60]!r}"
        explained.append((path, message))
    return explained


def _set_field(document: dict[str, Any], path: str, value: object) -> None:
    """Set the field at a dotted path of a document."""
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        section = document.setdefault(key, {})
        if isinstance(section, str) and depth == 0 and key in _SHORT_FORMS:
            section = document[key] = {_SHORT_FORMS[key]: section}
        if not isinstance(section, dict):
            raise SpecError(f"{path!r} cannot be set: {key!r} holds a value, not fields.", f"Set {key} itself.")
        document = section
    document[last] = copy.deepcopy(value)


def _list_fields(error: ValidationError) -> str:
    """Return a hint with the fields of each section that was given an unknown field."""
    sections = {item["loc"][:-1] for item in error.errors(include_url=False) if item["type"] == "extra_forbidden"}
    hints = []
    for section in sorted(sections):
        model: Any = RunSpec
        for key in section:
            model = model.model_fields[str(key)].annotation
        hints.append(f"Fields of {'.'.join(map(str, section)) or 'a spec'}: {', '.join(model.model_fields)}.")
    return " ".join(hints) or "`workbench check demo-full` shows every field with its default."
