"""What a run writes after training: predictions, the model, and the common fields of the report.

The report compares the model with a simple one that learned from the same examples and answers the same test examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from workbench.data.examples import Examples
from workbench.data.roles import Roles
from workbench.files import replace_folder, write_json
from workbench.models.export import name_base, save_tokenizer
from workbench.models.identity import BaseIdentity
from workbench.models.integrity import hash_files
from workbench.models.loading import BASE_FILE
from workbench.runs.documents import BaseNote, Interval, ModelBase
from workbench.runs.predictions import EXAMPLE, fingerprint_inputs, with_columns, write_predictions
from workbench.runs.report_notes import warnings_in
from workbench.tasks.base import Outcome, Split, TaskReport
from workbench.training.context import RunContext
from workbench.training.core.state import TrainState
from workbench.training.evaluation import Evaluation
from workbench.training.prepare import Prepared
from workbench.training.splits import EncodedSplit
from workbench.types import Json, JsonObject, Model

_MANY_TRUNCATED = 0.2  # share of the texts
_KIND_OF_BASELINE = re.compile(r"[,;]")  # a baseline's name continues with details


@dataclass(frozen=True)
class FinalEvaluation:
    """The evaluation that the report is about.

    Attributes:
        split: the evaluated split.
        outputs: what the task reports on.
        loss: the mean loss of the split.
        result: the task's part of the report.
    """

    split: EncodedSplit
    outputs: Outcome
    loss: float
    result: TaskReport


def evaluate_finished(
    evaluation: Evaluation, prepared: Prepared, progress: Callable[[int, int], None]
) -> FinalEvaluation:
    """Evaluate a finished model on the split that the report is about.

    Args:
        evaluation: runs the model.
        prepared: the run's data.
        progress: called with the number of examples done and of all examples.
    """
    split = prepared.splits[prepared.reported]
    outputs, loss = evaluation.outputs(split)
    final = evaluation.final_outputs(split, outputs, progress)
    train_targets = prepared.splits["train"].encoded.targets
    result = prepared.task.report(final, split.encoded.targets, train_targets)
    return FinalEvaluation(split, final, loss, result)


def save_predictions(context: RunContext, final: FinalEvaluation) -> None:
    """Write ``predictions.parquet``.

    Args:
        context: the run.
        final: the evaluation of the finished model.
    """
    split = final.split
    examples, rows = split.examples, context.task.prediction_rows(split.examples, final.outputs, split.encoded.targets)
    inputs = Roles.of(context.task.columns(), {role: role for role in examples.columns}).inputs_of(examples)
    fingerprints = dict(zip(examples.ids, fingerprint_inputs(inputs), strict=False))  # none without input roles
    columns: dict[str, Sequence[Json]] = {**rows, EXAMPLE: [fingerprints.get(str(name)) for name in rows["id"]]}
    write_predictions(context.run, with_columns(columns, examples.ids, examples.extra_columns))


def save_model(context: RunContext, prepared: Prepared, model: Model) -> None:
    """Write the model or adapter, its tokenizer, and a note about both into the run's folder.

    Args:
        context: the run.
        prepared: its data and base model.
        model: the finished model.
    """
    tuning, task, spec = context.tuning, context.task, context.spec
    task.finalize(model)
    base = prepared.loaded.base
    with replace_folder(context.run.model_folder) as folder:
        tuning.save(model, folder)
        save_tokenizer(prepared.tokenizer, folder, spec.data.max_length, task.head, prepared.model.config.model_type)
        plain = context.resolved.model.plain_name(base["source"]) if tuning.saves_adapter else None
        if plain is not None:
            name_base(folder, *plain)
        note = BaseNote(
            base=ModelBase.model_validate(base if tuning.saves_adapter else _without_folder(base)),
            task=spec.task.model_dump(mode="json"),
            tuning=spec.tuning.model_dump(mode="json"),
            labels=task.labels,
            head=task.head,
            head_options=task.model_options(),
            pooling=prepared.loaded.pooling,
            max_length=spec.data.max_length,
            adapter=tuning.saves_adapter,
            files=hash_files(folder),
        )
        write_json(folder / BASE_FILE, note.as_dict())


def report_fields(prepared: Prepared, final: FinalEvaluation, notes: list[str]) -> JsonObject:
    """Return the fields of the report that every evaluated run has.

    Args:
        prepared: the run's data.
        final: the evaluation of the finished model.
        notes: sentences about the run; those of the task follow them.
    """
    return {
        **final.result,
        "primary_metric": prepared.task.primary_metric,
        "smaller_is_better": prepared.task.smaller_is_better,
        "evaluated_on": prepared.reported,
        "examples": {name: len(split) for name, split in prepared.splits.items()},
        **note_fields(prepared, [*notes, *final.result.get("notes", [])]),
        "data_fingerprint": prepared.dataset.fingerprint,
    }


def baseline_report(prepared: Prepared, final: FinalEvaluation, with_validation: bool = False) -> TaskReport:
    """Fit the task's simple model, and return the fields of the report that compare with the better simple one.

    Args:
        prepared: the run's data.
        final: the evaluation of the finished model.
        with_validation: whether the model has learned from the validation examples as well.

    Returns:
        ``baseline``, ``baseline_name``, ``gain`` and ``baselines``, and ``notes``; those of the task's report, for a
        task without a simple model.
    """
    task, name = prepared.task, prepared.task.primary_metric
    known = [prepared.splits[name] for name in (("train", "valid") if with_validation else ("train",))]
    reported = Split(final.split.examples, final.split.encoded.targets)
    fields = task.baseline_report(_joined(known), reported, final.outputs) or {}
    before: TaskReport = {
        key: final.result[key] for key in ("baseline", "baseline_name", "gain") if key in final.result
    }
    if "baseline" not in fields:
        return {**before, **fields}
    values = {each["baseline_name"]: each["baseline"][name] for each in (before, fields)}
    better = (
        before if _is_better(prepared, values[before["baseline_name"]], values[fields["baseline_name"]]) else fields
    )
    return {**better, "baselines": {**final.result.get("baselines", {}), **values}}


def _joined(splits: Sequence[EncodedSplit]) -> Split:
    """Return the examples and targets of several splits as one; of the first alone, if its targets are no array."""
    first = splits[0]
    if len(splits) == 1 or not isinstance(first.encoded.targets, np.ndarray):
        return Split(first.examples, first.encoded.targets)
    columns = {
        role: list(chain.from_iterable(split.examples.columns[role] for split in splits))
        for role in first.examples.columns
    }
    ids = list(chain.from_iterable(split.examples.ids for split in splits))
    return Split(Examples(columns, ids), np.concatenate([split.encoded.targets for split in splits]))


def _is_better(prepared: Prepared, one: float, other: float) -> bool:
    return one < other if prepared.task.smaller_is_better else one > other


def baseline_note(prepared: Prepared, fields: TaskReport, state: TrainState) -> str | None:
    """Return a sentence if the model is not clearly better than the simple one, and what to try.

    Args:
        prepared: the run's data and model.
        fields: the result of :func:`baseline_report`.
        state: the state at the end of training.

    Returns:
        None if the improvement is above zero with its whole interval, or if nothing is known about it.
    """
    name = prepared.task.primary_metric
    gain = Interval.model_validate(fields.get("gain", {}).get(name, {}))
    if gain.value is None or gain.low is None or gain.high is None or gain.low > 0:
        return None
    kind = _KIND_OF_BASELINE.split(fields["baseline_name"])[0]
    numbers = f"{name} {fields['baseline'][name]:.4f}; this model minus the baseline: {gain.value:+.4f}"
    numbers += f", 95% interval {gain.low:+.4f} to {gain.high:+.4f}"
    verdict = "is better than this model" if gain.high < 0 else "is as good as this model, as far as the data can tell"
    return f"A simple baseline, {kind}, {verdict} ({numbers}). Try {_advice(prepared, state)}."


def _advice(prepared: Prepared, state: TrainState) -> str:
    """Return what to try, by what the run shows."""
    lengths = prepared.lengths.get("train")
    share = lengths["truncated_share"] if lengths else 0.0
    advice = []
    if share >= _MANY_TRUNCATED:
        advice.append(f"a larger data.max_length ({share:.0%} of the training texts were truncated)")
    if state.best_step == state.step:
        advice.append("more epochs (the last evaluation was the best)")
    if prepared.spec.tuning.method != "full":
        advice.append("tuning: full")
    advice.append("a model that was pretrained on the language and the kind of your texts")
    return ", ".join(advice[:-1]) + (" or " if len(advice) > 1 else "") + advice[-1]


def note_fields(prepared: Prepared, notes: Sequence[str]) -> JsonObject:
    """Return the fields of a report that hold notes: those on the data first.

    Args:
        prepared: the run's data.
        notes: sentences about the run.
    """
    all_notes = [*prepared.notes, *notes]
    return {"notes": [str(note) for note in all_notes], "warnings": list(warnings_in(all_notes))}


def format_metric(metric: Interval) -> str:
    """Return a metric as text, with its confidence interval where it has one.

    Args:
        metric: with a value.
    """
    if metric.low is None:
        return f"{metric.value:.4f}"
    return f"{metric.value:.4f} (95% interval {metric.low:.4f} to {metric.high:.4f})"


def _without_folder(base: BaseIdentity) -> BaseIdentity:
    """Return the note about a base without the path on this machine; a whole model does not need it to load."""
    kind, _, argument = base["source"].partition(":")
    return BaseIdentity({**base, "source": f"path:{Path(argument).name}"}) if kind == "path" else base
