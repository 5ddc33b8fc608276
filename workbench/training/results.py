"""What a run writes after training: predictions, the model, and the common fields of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.files import replace_folder, write_json
from workbench.models.identity import BaseIdentity
from workbench.models.loading import BASE_FILE
from workbench.runs.documents import BaseNote, Interval, ModelBase
from workbench.runs.predictions import with_columns, write_predictions
from workbench.tasks.base import Outcome, TaskReport
from workbench.training.context import RunContext
from workbench.training.evaluation import Evaluation
from workbench.training.prepare import Prepared
from workbench.training.splits import EncodedSplit
from workbench.types import JsonObject, Model


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
    rows = context.task.prediction_rows(split.examples, final.outputs, split.encoded.targets)
    write_predictions(context.run, with_columns(rows, split.examples.ids, split.examples.extra_columns))


def save_model(context: RunContext, prepared: Prepared, model: Model) -> None:
    """Write the model or adapter, its tokenizer, and a note about both into the run's folder.

    Args:
        context: the run.
        prepared: its data and base model.
        model: the finished model.
    """
    tuning, task, spec = context.tuning, context.task, context.spec
    base = prepared.loaded.base
    with replace_folder(context.run.model_folder) as folder:
        tuning.save(model, folder)
        prepared.tokenizer.save_pretrained(folder)
        note = BaseNote(
            base=ModelBase.model_validate(base if tuning.saves_adapter else _without_folder(base)),
            task=spec.task.model_dump(mode="json"),
            tuning=spec.tuning.model_dump(mode="json"),
            labels=task.labels,
            head=task.head,
            head_options=task.model_options(),
            max_length=spec.data.max_length,
            adapter=tuning.saves_adapter,
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
        "notes": [*notes, *final.result.get("notes", [])],
        "data_fingerprint": prepared.dataset.fingerprint,
    }


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
