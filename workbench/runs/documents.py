"""The documents in a run's folder, as classes: what a run writes, and what everything else reads.

Each class describes one JSON file or a part of it. Reading is tolerant, so that folders of other versions load: unknown
fields are kept as they are, and every field may be missing. A value of the wrong type is ignored; the document's
``notes`` or ``error`` then name the file. Dumping (``as_dict``) writes the fields that were set and no
others, so that a file that was read and written again keeps its keys.

The classes also define what ``workbench ... --json`` prints; ``tests/contracts/json_schemas.json`` freezes their
schemas.

Importing this module imports pydantic and nothing heavier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args

from pydantic import AfterValidator, Field, ValidationError

from workbench.runs.document import Document
from workbench.runs.report_notes import WarningNote

if TYPE_CHECKING:
    from workbench.types import Json, JsonObject
else:  # free-form JSON is not validated
    Json = Any
    JsonObject = dict[str, Any]

State: TypeAlias = Literal["queued", "running", "succeeded", "failed", "stopped", "interrupted"]
STATES: tuple[State, ...] = get_args(State)


def _whole(value: int) -> int:
    """Refuse an integer that no program of ours writes: converting or printing it would fail later."""
    if not -(2**63) <= value < 2**63:
        raise ValueError("the number is too large")
    return value


def _whole_rows(rows: list[list[int]]) -> list[list[int]]:
    for row in rows:
        if row and not (min(row) >= -(2**63) and max(row) < 2**63):
            raise ValueError("a number is too large")
    return rows


Whole: TypeAlias = Annotated[int, AfterValidator(_whole)]
Number: TypeAlias = Whole | float  # unlike float alone, this keeps an integer an integer when it is written again


class RunError(Document):
    """Why a run failed.

    Attributes:
        kind: name of the error's class without ``Error``.
        message: what was wrong.
        hint: what to do.
    """

    kind: str = ""
    message: str = ""
    hint: str = ""


class Interval(Document):
    """A number with its 95% interval.

    Attributes:
        value: the number; None where it is not finite.
        low: lower end; None where there is no interval.
        high: upper end.
    """

    value: Number | None = None
    low: Number | None = None
    high: Number | None = None

    def relative_error(self, truth: float) -> float:
        """Return how far ``value`` is from the truth, as a fraction of the truth: 0.1 is 10% too much."""
        return (self.value or 0.0) / truth - 1


# -- status.json -----------------------------------------------------------------------------------------------------


class RunProgress(Document):
    """How far a run is.

    Attributes:
        phase: what it is doing, in words; ``training`` during the loop.
        step: optimizer steps that are done.
        steps: optimizer steps in all.
        epoch: epochs that are done.
        seconds_left: estimate for the rest of the training.
        done: items of this phase that are done.
        total: items of this phase.
    """

    phase: str | None = None
    step: Number | None = None
    steps: Number | None = None
    epoch: Number | None = None
    seconds_left: Number | None = None
    done: Number | None = None
    total: Number | None = None


class Status(Document):
    """``status.json``: the state of a run, and the words about its spec that a list of runs shows.

    Attributes:
        state: see ``STATES``.
        created: time of creation, ISO 8601.
        order: position in the queue; the smallest runs first.
        title: the run's name; empty without one.
        kind: ``training``, ``learning-rate-range-test`` or ``head-pruning``.
        task, model, data, tuning: of its spec.
        group: name of its sweep.
        trial: number of its trial in the sweep.
        seed: seed of its training.
        confined: whether it may read the workspace's uploads only.
        claimed: when a worker took it from the queue, seconds since the epoch.
        slot: which of the worker's slots it runs in.
        process: the run's process, see :func:`workbench.system.machine.process_identity`.
        heartbeat: when the process last wrote its progress, ISO 8601.
        moved: when that progress last changed, ISO 8601.
        progress: how far it is.
        error: why it failed.
    """

    file_name: ClassVar[str] = "status.json"

    state: State = "failed"
    created: str | None = None
    order: Number | None = None
    title: str | None = None
    kind: str | None = None
    task: str | None = None
    model: str | None = None
    data: str | None = None
    tuning: str | None = None
    group: str | None = None
    trial: Whole | None = None
    seed: Whole | None = None
    confined: bool | None = None
    claimed: Number | None = None
    slot: Whole | None = None
    process: JsonObject | None = None
    heartbeat: str | None = None
    moved: str | None = None
    progress: RunProgress | None = None
    error: RunError | None = None

    def damaged(self, message: str) -> Self:
        """Return the status with an error about values that were ignored, unless it has one."""
        hint = "Restore the file, or delete the run."
        return self.model_copy(update={"error": self.error or RunError(kind="DamagedRun", message=message, hint=hint)})


# -- report.json -----------------------------------------------------------------------------------------------------


class Cost(Document):
    """What a run took.

    Attributes:
        seconds: duration of training, evaluations included.
        total_seconds: duration of the whole process.
        tokens: that were trained on, padding left out.
        tokens_per_second: training throughput.
        peak_memory_bytes: peak memory of the GPU where there is one, otherwise of the process.
        trained_parameters: trainable parameters.
        total_parameters: all parameters.
        device: name of the device.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        flops_per_token: floating-point operations for a token, forward and backward.
        peak_flops: what the device can do in a second.
        peak_flops_source: where that number comes from.
        mfu: model FLOPs utilization, 0 to 1 (Chowdhery et al. 2022, "PaLM", appendix B).
    """

    seconds: Number | None = None
    total_seconds: Number | None = None
    tokens: Number | None = None
    tokens_per_second: Number | None = None
    peak_memory_bytes: Number | None = None
    trained_parameters: Number | None = None
    total_parameters: Number | None = None
    device: str | None = None
    precision: str | None = None
    flops_per_token: Number | None = None
    peak_flops: Number | None = None
    peak_flops_source: str | None = None
    mfu: Number | None = None


class Estimate(Document):
    """What a spec is expected to cost on this machine.

    Attributes:
        total_seconds: duration of the whole run, from reading the data to its report.
        seconds: duration of training alone, with its evaluations (``report.json``'s ``cost.seconds``).
        peak_memory_bytes: most memory at once: of the process, or of the GPU where there is one.
        trained_parameters: trainable parameters.
        total_parameters: all parameters.
        steps: optimizer steps of the run.
        seconds_per_step: a step, without evaluation.
        evaluations: how often the validation split is evaluated during training.
        seconds_per_evaluation: duration of one evaluation.
        measured_steps: how many real steps the estimate is based on.
        took_seconds: how long the measurement took.
        device: on which it was made.
        machine: the processor, and what else says whether the estimate is valid here.
        notes: sentences on what it leaves out.
        errors: in a report: by what fraction of the truth each guess was off.
    """

    total_seconds: Interval
    seconds: Interval
    peak_memory_bytes: Interval
    trained_parameters: Whole
    total_parameters: Whole
    steps: Whole
    seconds_per_step: float
    evaluations: Whole
    seconds_per_evaluation: float
    measured_steps: Whole
    took_seconds: float
    device: str
    machine: str
    notes: list[str] = Field(default_factory=list)
    errors: dict[str, float] | None = None

    @classmethod
    def read(cls, content: Json) -> Estimate | None:
        """Return the estimate in a JSON value; None when it is none, or incomplete."""
        try:
            return cls.model_validate(content)
        except ValidationError:
            return None


class RangeTestResult(Document):
    """The result of a learning-rate range test.

    Attributes:
        suggestion: the peak learning rate to train with; None when the loss did not fall by more than its noise.
        how: how the suggestion was chosen, or why there is none; a sentence.
        steepest: the rate at which the smoothed loss falls fastest.
        minimum: the rate at which it is lowest.
        minimum_tenth: a tenth of that.
        fall: how far the smoothed loss falls, from its start to its lowest value.
        diverged_at: the step at which the loss exploded and the test ended; None when it took all its steps.
        rates: learning rate of each step, [N].
        losses: training loss of each step, [N].
        smoothed: the smoothed losses, [N].
    """

    suggestion: float | None
    how: str
    steepest: float | None
    minimum: float | None
    minimum_tenth: float | None
    fall: float | None
    diverged_at: Whole | None
    rates: list[float]
    losses: list[float]
    smoothed: list[float]


class PrunedState(Document):
    """A model before or after its heads were removed: metrics of a split, speed, parameters."""

    metrics: dict[str, Number | None] = Field(default_factory=dict)
    texts_per_second: Number | None = None
    parameters: Whole | None = None


class PruningResult(Document):
    """What pruning attention heads has changed.

    Attributes:
        source: id of the run whose model was pruned.
        heads_cut: how many heads were removed.
        heads_kept: the heads that are left in each layer.
        measure: by which importance was measured.
        before, after: the model with and without the removed heads.
    """

    source: str | None = None
    heads_cut: Whole | None = None
    heads_kept: list[Any] = Field(default_factory=list)
    measure: str | None = None
    before: PrunedState = PrunedState()
    after: PrunedState = PrunedState()


class Report(Document):
    """``report.json``: what a run achieved and what it cost. Tasks add fields of their own.

    Attributes:
        metrics: the final metrics with their intervals.
        baseline: the same metrics of a simple baseline.
        baseline_name: what the baseline is.
        baselines: for each of several baselines, its metrics by name, or only its primary metric.
        gain: improvement over the baseline, with a paired bootstrap's interval.
        measures: the metrics that are sums over examples, see :mod:`workbench.metrics.measures`.
        primary_metric: the metric that the run is judged by.
        smaller_is_better: whether smaller values of that metric are better.
        evaluated_on: the split, ``test`` or ``valid``.
        examples: number of examples of each split.
        cost: what it took.
        estimate: what it was expected to take.
        steps: optimizer steps.
        best_step: step of the best evaluation.
        weights_of_step: step whose weights were kept.
        frozen_cache: where the activations of the frozen prefix were cached.
        tuning: what the fine-tuning method reports.
        notes: sentences for people: those on the data first, and warnings before others.
        warnings: those of the notes that are warnings.
        data_fingerprint: hash of the data and its splits.
        labels: names of the classes.
        confusion: counts [gold, predicted].
        per_class: precision, recall, F1 and support of each class.
        tokenizer: what the tokenizer loses of the text.
        range_test: the result of a learning-rate range test.
        pruning: the result of head pruning.
    """

    file_name: ClassVar[str] = "report.json"

    metrics: dict[str, Interval] = Field(default_factory=dict)
    baseline: dict[str, Number | None] = Field(default_factory=dict)
    baseline_name: str | None = None
    baselines: dict[str, dict[str, Number | None] | Number] = Field(default_factory=dict)
    gain: dict[str, Interval] = Field(default_factory=dict)
    measures: dict[str, list[str]] = Field(default_factory=dict)
    primary_metric: str | None = None
    smaller_is_better: bool | None = None
    evaluated_on: str | None = None
    examples: dict[str, Whole] = Field(default_factory=dict)
    cost: Cost = Cost()
    estimate: Estimate | None = None
    steps: Whole | None = None
    best_step: Whole | None = None
    weights_of_step: Whole | None = None
    frozen_cache: Json = None
    tuning: JsonObject = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    data_fingerprint: str | None = None
    labels: list[str] = Field(default_factory=list)
    confusion: Annotated[list[list[int]], AfterValidator(_whole_rows)] | None = None
    per_class: dict[str, dict[str, Number | None]] = Field(default_factory=dict)
    tokenizer: JsonObject | None = None
    range_test: RangeTestResult | None = None
    pruning: PruningResult | None = None

    def damaged(self, message: str) -> Self:
        """Return the report with a note about values that were ignored."""
        return self.model_copy(update={"notes": [*self.notes, message]})

    def marked_notes(self) -> list[str]:
        """Return the notes; warnings are :class:`workbench.runs.report_notes.WarningNote`."""
        warnings = set(self.warnings)
        return [WarningNote(note) if note in warnings else note for note in self.notes]

    @property
    def primary(self) -> Interval | None:
        """The metric that the run is judged by; None when it has none."""
        return self.metrics.get(self.primary_metric) if self.primary_metric else None


# -- other files -----------------------------------------------------------------------------------------------------


class ModelBase(Document):
    """The weights that a result was trained from.

    Attributes:
        source: a model source, such as ``minilm`` or ``run:ID``.
        fingerprint: hash of its weights.
        folder: folder of a local model.
    """

    source: str | None = None
    fingerprint: str | None = None


class Environment(Document):
    """``environment.json``: what must be known to repeat the run.

    Attributes:
        workbench, python, platform: versions.
        packages: version of each package that computes.
        device: ``{"kind", "name", "precision"}``.
        threads: CPU threads of the matrix products; a resumed run uses as many, so that it computes the same numbers.
        processes: how many processes train the run; a resumed run needs as many.
        machine: see :func:`workbench.system.machine.describe`.
        git_commit: commit of the workbench's checkout, when it runs from one.
        data_fingerprint: hash of the data and its splits.
        seed: seed of the training.
        base: the model that the run started from: source and fingerprint.
    """

    file_name: ClassVar[str] = "environment.json"

    workbench: str | None = None
    python: str | None = None
    platform: str | None = None
    packages: dict[str, str] = Field(default_factory=dict)
    device: JsonObject = Field(default_factory=dict)
    threads: Whole | None = None
    processes: Whole = 1
    machine: JsonObject = Field(default_factory=dict)
    git_commit: str | None = None
    data_fingerprint: str | None = None
    seed: Whole | None = None
    base: ModelBase = ModelBase()


class BaseNote(Document):
    """``model/workbench.json``: how to load a run's model.

    Attributes:
        base: what it was trained from; an adapter needs it.
        task: the task with its options.
        tuning: the fine-tuning method with its options.
        labels: names of the classes, in the order of the head's outputs.
        head: name of a transformers Auto class.
        head_options: keyword arguments for the head.
        pooling: which vector of a text the classifier reads; None without a choice, and in files of earlier versions.
        max_length: longest input in tokens.
        adapter: whether the folder holds an adapter only.
        files: sha256 of each file of the model; empty in files of earlier versions.
    """

    file_name: ClassVar[str] = "workbench.json"

    base: ModelBase = ModelBase()
    task: JsonObject = Field(default_factory=dict)
    tuning: JsonObject = Field(default_factory=dict)
    labels: list[str] = Field(default_factory=list)
    head: str | None = None
    head_options: JsonObject = Field(default_factory=dict)
    pooling: str | None = None
    max_length: Whole | None = None
    adapter: bool = False
    files: dict[str, str] = Field(default_factory=dict)


class Splits(Document):
    """``splits.json``: which examples are in which split.

    Attributes:
        fingerprint: hash of the data and its splits.
        ids: ids of the examples of each split.
        labels: names of the classes, in the order of the head's outputs; None in files of earlier versions.
        files: hash of the file of each split that has one; None in files of earlier versions.
    """

    file_name: ClassVar[str] = "splits.json"

    fingerprint: str | None = None
    ids: dict[str, list[str]] = Field(default_factory=dict)
    labels: list[str] | None = None
    files: dict[str, str] | None = None


# -- many runs -------------------------------------------------------------------------------------------------------


class RunSummary(Document):
    """A run in a few fields: what ``workbench show --json`` and ``workbench runs --json`` print.

    ``show`` adds ``spec`` and ``samples``; ``runs`` adds ``title``, ``task``, ``model``, ``data``, ``tuning``, and
    ``tags``. Of a run that is running, ``moved`` says when its progress last changed, and ``stop_requested_at`` when
    it was asked to stop.
    """

    id: str
    state: State
    kind: str | None = None
    spec: JsonObject | None = None
    report: Report | None = None
    samples: list[JsonObject] = Field(default_factory=list)
    error: RunError | None = None
    progress: RunProgress | None = None
    moved: str | None = None
    stop_requested_at: str | None = None
    created: str | None = None
    title: str | None = None
    task: str | None = None
    model: str | None = None
    data: str | None = None
    tuning: str | None = None
    tags: list[str] = Field(default_factory=list)

    @property
    def is_training(self) -> bool:
        """Whether the run trains a model, unlike a range test; runs of early versions name no kind."""
        return (self.kind or "training") == "training"

    def metric(self, name: str) -> Interval:
        """Return one final metric; without a value when the run does not have it."""
        return self.report.metrics.get(name, Interval()) if self.report else Interval()

    @property
    def cost(self) -> Cost:
        """What the run took; without values when it has no report."""
        return self.report.cost if self.report else Cost()
