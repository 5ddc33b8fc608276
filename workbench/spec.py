"""RunSpec: everything that a run needs, as one validated document.

The command line, the dashboard's form, the notebooks and YAML files are four ways to write one. What a field means,
with its unit, is said once, in the field's description: tooltips, ``--help`` and the docs are made from it.

The options of the task, the model and the tuning are still open here (any key is taken): :mod:`workbench.check`
resolves them against the registries, fills in defaults, and reports every problem at once.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from workbench.errors import SpecError
from workbench.spec_versions import RENAMED, SCHEMA_VERSION, upgrade

RANGE_TEST = "learning-rate-range-test"  # RunSpec.kind; the other is "training"


class SpecModel(BaseModel):
    """A part of a spec: unknown keys are errors, and a change is validated like the first value."""

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )


class Choice(BaseModel):
    """A registry entry by name, with that entry's own options beside it."""

    model_config = ConfigDict(
        extra="allow", validate_assignment=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    @property
    def options(self) -> dict[str, Any]:
        """The entry's options, as far as they were given."""
        return dict(self.model_extra or {})


class TaskChoice(Choice):
    name: str = Field(description="What is learned; `workbench tasks` lists what there is.")


class ModelChoice(Choice):
    source: str = Field(
        description="Where weights and architecture come from: a name of `workbench models`, "
        "hf:REPOSITORY@REVISION, path:FOLDER or run:RUN."
    )


class TuningChoice(Choice):
    method: str = Field("full", description="Which weights move; `workbench tunings` lists what there is.")


class Limit(SpecModel):
    """How many examples to use of each part; the rest is left out, and counted."""

    train: int | None = Field(None, ge=2, description="Most training examples to use; empty for all.")
    valid: int | None = Field(None, ge=1, description="Most validation examples to use; empty for all.")
    test: int | None = Field(None, ge=1, description="Most test examples to use; empty for all.")


class Holdout(SpecModel):
    """What is held out of the training data when no file is given for it."""

    valid: float = Field(0.1, ge=0, lt=1, description="Share of the training data held out to choose a checkpoint by.")
    test: float = Field(0.2, ge=0, lt=1, description="Share of the training data held out for the final figures.")

    @model_validator(mode="after")
    def _leaves_something(self) -> Holdout:
        if self.valid + self.test >= 1:
            raise ValueError("valid and test together hold out everything; leave something to train on")
        return self


class DataSpec(SpecModel):
    train: str = Field(
        description="A name of the catalogue (`workbench data list`); a CSV, JSONL, Parquet, .conll, .txt or .md file, "
        "or a .json file in SQuAD's form; a folder of texts; or hf:OWNER/NAME@REVISION?config=NAME&split=NAME."
    )
    valid: str | None = Field(None, description="Validation file; without it a part of train is held out.")
    test: str | None = Field(None, description="Test file; without it a part of train is held out.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Which column plays which role, as role: column. Found by name if left out. Other columns (the "
        "first 20 of the file, values cut at 200 characters) are kept beside the predictions, in predictions.parquet, "
        "so that results can be cut by them; take out of the file what should not be kept.",
    )
    group: str | None = Field(
        None, description="Column whose values stay together on one side of a split (a film, a customer, a document)."
    )
    limit: Limit = Field(default_factory=Limit, description="Use at most so many examples of each part.")
    holdout: Holdout = Field(default_factory=Holdout, description="Shares held out where no file is given.")
    split_seed: int = Field(0, ge=0, description="Seed of the held-out parts; runs compared should share it.")
    documents: Literal["auto", "file", "paragraph", "line", "passages", "articles"] = Field(
        "auto",
        description="What a document is in a .txt or .md file: the file, what empty lines part, a line, passages of "
        "such paragraphs (2,000 characters each), or articles (from one ' = Title = ' to the next); auto takes "
        "paragraphs, or lines where there are no empty ones, and in a folder files. A .txt file is read as a table "
        "where a task needs more than a text.",
    )
    max_length: int = Field(
        128, ge=4, le=32768, description="Longest input in tokens; what is longer is cut, and counted."
    )
    delimiter: str | None = Field(
        None, min_length=1, max_length=1, description="CSV delimiter; found by itself if left out."
    )
    encoding: str | None = Field(None, description="Text encoding of the files (utf-8, gb18030 ...); found by itself.")


class TrainingSpec(SpecModel):
    epochs: float = Field(3, gt=0, le=10_000, description="Passes over the training data.")
    max_steps: int | None = Field(None, ge=1, description="Stop after so many optimizer steps, if sooner.")
    max_tokens: int | None = Field(
        None, ge=1, description="Stop after the step that makes so many tokens of text, padding left out, if sooner."
    )
    max_minutes: float | None = Field(
        None,
        gt=0,
        description="Stop after the step that makes so many minutes of training, if sooner; a resumed run goes on "
        "counting.",
    )
    batch_size: int = Field(32, ge=1, le=65_536, description="Examples in a batch on the device.")
    max_tokens_per_batch: int | None = Field(
        None,
        ge=16,
        description="Tokens in a batch, padding included; replaces batch_size. Short texts, larger batches.",
    )
    group_by_length: bool = Field(
        True, description="Put texts of similar length into one batch: less padding, same result."
    )
    gradient_accumulation: int = Field(
        1, ge=1, le=4096, description="Batches whose gradients are added up before a step."
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=10,
        description="Largest learning rate; empty for what suits tuning and model (MiniLM, full: 3e-4).",
    )
    lr_schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear",
        description="How the learning rate falls after warm-up: to zero in a line, in a cosine, or not at all.",
    )
    warmup_ratio: float = Field(
        0.06, ge=0, lt=1, description="Share of all steps in which the learning rate rises from 0."
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW's weight decay; none on biases and norms.")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW: decay of the mean of gradients.")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW: decay of the mean of squared gradients.")
    adam_epsilon: float = Field(1e-8, gt=0, description="AdamW: added to the denominator.")
    max_grad_norm: float = Field(1.0, ge=0, description="Largest gradient norm; 0 for no clipping.")
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of initial weights, batch order and dropout.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number format of the matrix products; auto takes what the device does well."
    )
    compile: bool = Field(False, description="Compile the model (torch.compile): slower to start, faster on a GPU.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        "auto", description="Where to train; auto takes a GPU if any."
    )
    eval_every: int | None = Field(
        None, ge=1, description="Evaluate on the validation part every so many steps; empty for once an epoch."
    )
    early_stopping_patience: int | None = Field(
        None, ge=1, description="Stop after so many evaluations without improvement; empty for never."
    )
    load_best: bool = Field(True, description="End with the weights of the best evaluation, not the last.")
    checkpoint_every: int | None = Field(
        None, ge=1, description="Write a checkpoint every so many steps; empty for once an epoch."
    )
    log_every: int = Field(10, ge=1, description="Write a line of metrics every so many steps.")
    cache_activations: bool = Field(
        True, description="Compute what frozen layers put out once per example and use it again in later epochs."
    )
    cache_memory_gb: float = Field(2.0, ge=0, description="Most memory in GB for what frozen layers put out.")
    cache_disk_gb: float = Field(
        10.0,
        ge=0,
        description="Most disk in GB for it where memory does not do; beyond both, frozen layers run each epoch.",
    )
    keep_checkpoints: bool = Field(
        False, description="Keep checkpoints after the run has succeeded; otherwise only the result stays."
    )


class RangeTestSpec(SpecModel):
    """A learning-rate range test: a short training in which the learning rate rises by the same factor at each step."""

    lowest: float = Field(1e-7, gt=0, le=10, description="Learning rate of the first step.")
    highest: float = Field(1.0, gt=0, le=100, description="Learning rate of the last step.")
    steps: int = Field(100, ge=20, le=10_000, description="Optimizer steps from the lowest to the highest rate.")

    @model_validator(mode="after")
    def _rises(self) -> RangeTestSpec:
        if self.lowest >= self.highest:
            raise ValueError(f"lowest ({self.lowest:g}) must be below highest ({self.highest:g})")
        return self


# `model: minilm` is short for `model: {source: minilm}`.
_SHORT_FORMS = {"task": "name", "data": "train", "model": "source", "tuning": "method"}


def _short_form(part: str) -> BeforeValidator:
    return BeforeValidator(lambda value: {_SHORT_FORMS[part]: value} if isinstance(value, str) else value)


class _Loader(yaml.SafeLoader):
    """YAML without its two traps: a key given twice (the last would win), and aliases (a few lines could stand for
    gigabytes)."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) cannot be used in a spec", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """YAML that keeps rare line ends (NEL, U+2028, U+2029): only between double quotes are they read as written."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(end in text for end in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class RunSpec(SpecModel):
    """A run, whole. See the fields; ``RunSpec.load`` reads a file, ``to_yaml`` writes one."""

    schema_version: int = Field(
        SCHEMA_VERSION, ge=SCHEMA_VERSION, le=SCHEMA_VERSION, description="Schema version of this document."
    )
    name: str | None = Field(None, max_length=80, description="Your name for the run; made from its parts if left out.")
    notes: str = Field("", max_length=10_000, description="Anything to remember about this run.")
    group: str | None = Field(
        None, max_length=80, description="What the run belongs to: the name of its sweep, or a word of your own."
    )
    trial: int | None = Field(None, ge=0, description="Number of the run's trial in its sweep, from 0.")
    kind: Literal["training", "learning-rate-range-test"] = Field(
        "training",
        description="A training, which gives a model; or a short test of rising learning rates, which suggests one.",
    )
    task: Annotated[TaskChoice, _short_form("task")] = Field(description="What is learned, and its options.")
    data: Annotated[DataSpec, _short_form("data")] = Field(description="The examples to learn from.")
    model: Annotated[ModelChoice, _short_form("model")] = Field(description="The model to start from.")
    tuning: Annotated[TuningChoice, _short_form("tuning")] = Field(
        default_factory=lambda: TuningChoice(method="full"), description="Which weights move."
    )
    training: TrainingSpec = Field(default_factory=TrainingSpec, description="How they move.")
    range_test: RangeTestSpec = Field(
        default_factory=RangeTestSpec,
        description="Bounds of a learning-rate range test; trainings do not read them.",
    )

    @classmethod
    def parse(cls, document: Any, origin: str = "the spec") -> RunSpec:
        """A spec from a dictionary. Raises SpecError that names every wrong field, with what was given."""
        if not isinstance(document, dict):
            given = "and it is empty" if document is None else f"not {type(document).__name__}"
            raise SpecError(
                f"{origin} is not a spec: a mapping of fields is needed, {given}.",
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
            raise SpecError(f"{origin} cannot be used: " + "; ".join(lines), _allowed(error), lines) from error

    @classmethod
    def load(cls, path: Path) -> RunSpec:
        """A spec from a YAML (or JSON) file. Raises SpecError when it cannot be read or is not a spec."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise SpecError(
                f"The spec {path} cannot be read: {error}.", "Name a YAML file that exists, or a preset."
            ) from error
        return cls.from_yaml(text, str(path))

    @classmethod
    def from_yaml(cls, text: str, origin: str = "the spec") -> RunSpec:
        """A spec from YAML text. Raises SpecError, with the line, when it is not YAML or not a spec."""
        try:
            document = yaml.load(text, _Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # a 13th month, a thousand brackets
            raise SpecError(
                f"{origin} is not valid YAML: {' '.join(str(error).split())}",
                "Correct it there; `workbench check demo-full` shows what a spec looks like.",
            ) from error
        return cls.parse(document, origin)

    def to_yaml(self) -> str:
        """The whole spec, every default written out."""
        document = self.model_dump(mode="json")
        return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)

    def changed(self, changes: dict[str, Any]) -> RunSpec:
        """A copy with fields changed, named by dotted paths: ``{"training.epochs": 2}``. Raises SpecError."""
        document = self.model_dump(mode="json", exclude_unset=True)
        for path, value in changes.items():
            _set(document, path, value)
        return RunSpec.parse(document)


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for depth, key in enumerate(parents):
        below = document.setdefault(key, {})
        if isinstance(below, str) and depth == 0 and key in _SHORT_FORMS:
            below = document[key] = {_SHORT_FORMS[key]: below}
        if not isinstance(below, dict):
            raise SpecError(f"{path!r} cannot be set: {key!r} holds a value, not fields.", f"Set {key} itself.")
        document = below
    document[last] = copy.deepcopy(value)


def _allowed(error: ValidationError) -> str:
    """The fields that there are beside each one that there is not."""
    parts = {item["loc"][:-1] for item in error.errors(include_url=False) if item["type"] == "extra_forbidden"}
    told = []
    for part in sorted(parts):
        model: Any = RunSpec
        for key in part:
            model = model.model_fields[str(key)].annotation
        told.append(f"Fields of {'.'.join(map(str, part)) or 'a spec'}: {', '.join(model.model_fields)}.")
    return " ".join(told) or "`workbench check demo-full` shows every field with its default."


def explain_validation(error: ValidationError) -> list[tuple[str, str]]:
    """Each wrong field of a pydantic error, with what is wrong in plain words."""
    found = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            new = RENAMED.get(where)
            name = str(item["loc"][-1])
            message = f"`{name}` is now `{new.rpartition('.')[2]}`" if new else "there is no such field"
        elif item["type"] == "missing":
            message = "is missing"
        else:
            message = f"{item['msg'][:1].lower()}{item['msg'][1:]}, given {str(item['input'])[:60]!r}"
        found.append((where, message))
    return found
