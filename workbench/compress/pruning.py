"""Removes attention heads from a model: the least important first, over all layers (Michel et al. 2019, section 4).

The rows of the query, key and value projections that belong to these heads are removed, and the columns of the output
projection: the model computes less, and its file is smaller. The model is evaluated before and after, on the same
split, and the result is a run like any other.

transformers 5 has no pruning of its own, and its configurations cannot describe layers of different width: a pruned
BERT or GPT-2 of transformers could be saved, but not loaded again. So only our own encoder and decoder can be pruned.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias, cast

import torch
from torch import nn

from workbench.errors import BusyError, RequestError
from workbench.explain.examples import TextInputs
from workbench.explain.internals.heads import HeadImportance, Measure, head_importance
from workbench.files import write_text
from workbench.i18n import _
from workbench.inference.model_card import write_model_card
from workbench.inference.predictor import Predictor
from workbench.models.networks.attention import MultiHeadAttention
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.notes import HEADS_REMOVED
from workbench.runs.documents import Cost, PrunedState, PruningResult, Report
from workbench.runs.run import Run
from workbench.system.machine import process_identity
from workbench.training.context import RunContext
from workbench.training.core.cost import count_parameters, measure_cost
from workbench.training.evaluation import Evaluation
from workbench.training.job import prepare_run
from workbench.training.prepare import Prepared
from workbench.training.reporter import RunReporter
from workbench.training.results import evaluate_finished, report_fields, save_model, save_predictions
from workbench.training.splits import EncodedSplit
from workbench.types import Ints, Model
from workbench.workspace import Workspace

ROUNDS = 3  # a speed is the best of this many measurements
TIMED_BATCHES = 20

Selection: TypeAlias = slice | torch.Tensor  # of rows or columns


def prune_run(
    run: Run,
    heads: str,
    workspace: Workspace,
    measure: Measure = "gradient",
    texts: int = 200,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Make a new run: the model of a run without its least important heads.

    Args:
        run: a finished run of our own encoder or decoder.
        heads: how many to remove, as a number (``"12"``) or a share of all (``"30%"``). Each layer keeps at least one.
        workspace: workspace of the new run.
        measure: measure of importance; see :func:`workbench.explain.internals.heads.head_importance`.
        texts: number of texts that importance is measured on, from the validation split or else the training split.
        out: a folder to which the model is also written.
        progress: called with the number of texts done and of all texts.

    Raises:
        RequestError: heads cannot be removed from this model, or not so many; or ``out`` exists.
        BusyError: a worker has started the new run.
    """
    model = Predictor.load(run).model
    _check_prunable(model)
    layers = model.config.num_hidden_layers
    count = parse_head_count(heads, layers, layers * model.config.num_attention_heads)
    if out is not None and out.exists():
        raise RequestError(f"{out} exists.", "Name a folder that does not exist.")
    spec = run.spec()
    name = f"{spec.name or 'run'}-pruned"
    changed = spec.changed({"name": name, "model": f"run:{run.id}", "tuning": "full", "kind": "training"})
    new = Run.create(changed, workspace)
    lock = new.process_lock()
    # Taken before a worker can start the run as a training run.
    if not lock.acquire() or not new.transition(("queued",), "running", process=process_identity()):
        raise BusyError(f"A worker has started the run {new.id}.", "Stop and delete it, and try again.")
    done = False
    try:
        reporter = RunReporter(new)
        log = io.StringIO()  # the run's own log, as if it had a process of its own
        with contextlib.redirect_stdout(log):
            PruningJob(new, reporter, run, count, measure, texts, progress).execute()
        reporter.close()
        write_text(new.log_file, log.getvalue())
        if out is not None:
            shutil.copytree(new.model_folder, out)
        done = new.transition(("running",), "succeeded", error=None)
    finally:
        lock.release()
        if not done:
            new.transition(("running",), "failed")
            new.delete()
    return new


def parse_head_count(heads: str, layers: int, total: int) -> int:
    """Return a number of heads.

    Args:
        heads: ``"12"``, or a share: ``"30%"``.
        layers: number of layers; each keeps one head.
        total: number of all heads.

    Raises:
        RequestError: not a number of heads, or too many.
    """
    text = heads.strip()
    try:
        count = round(float(text[:-1]) / 100 * total) if text.endswith("%") else int(text)
    except ValueError as error:
        raise RequestError(f"{heads!r} is not a number of heads.", "Write it as 12, or as a share: 30%.") from error
    if not 1 <= count <= total - layers:
        raise RequestError(
            f"{heads} of {total} heads are {count}.",
            f"Choose from 1 to {total - layers}: each of the {layers} layers keeps one.",
        )
    return count


def heads_to_keep(importance: HeadImportance, count: int) -> list[list[int]]:
    """Return the heads that remain in each layer when the least important are removed.

    Args:
        importance: importance of every head.
        count: number of heads to remove; one remains in every layer.
    """
    remaining = [list(range(len(row))) for row in importance.importance]
    for head in importance.order:
        layer = remaining[head["layer"]]
        if count and len(layer) > 1:
            layer.remove(head["head"])
            count -= 1
    return remaining


def remove_heads(model: Model, remaining: Sequence[Sequence[int]]) -> None:
    """Remove heads from the weights and the configuration of a model, in place.

    Args:
        model: one of our own encoders or decoders.
        remaining: for each layer, the heads to keep.
    """
    modules = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    size = model.config.hidden_size // model.config.num_attention_heads
    for module, heads in zip(modules, remaining, strict=True):
        inside = torch.tensor([head * size + i for head in heads for i in range(size)])
        width = module.num_heads * size
        rows = torch.cat([projection * width + inside for projection in range(3)])  # queries, keys, values
        module.query_key_value = _select(module.query_key_value, rows, slice(None))
        module.output = _select(module.output, slice(None), inside)
        module.num_heads = len(heads)
    model.config.kept_heads = [len(heads) for heads in remaining]


def _select(linear: nn.Linear, rows: Selection, columns: Selection) -> nn.Linear:
    """Return a smaller linear layer with some rows (outputs) and columns (inputs) of another."""
    weight = linear.weight.detach()[rows][:, columns].clone()
    smaller = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        smaller.weight.copy_(weight)
        smaller.bias.copy_(linear.bias[rows])
    return smaller


def _check_prunable(model: Model) -> None:
    """Raise RequestError for a model whose heads cannot be removed."""
    name = type(model).__name__
    if hasattr(model, "peft_config"):
        raise RequestError(
            f"The result is an adapter on a {name}: heads can only be removed from complete models.",
            "Merge it first (workbench merge RUN), and train with model: path:FOLDER.",
        )
    if not isinstance(model.config, EncoderConfig | DecoderConfig):
        raise RequestError(
            f"Heads cannot be removed from a {name}: transformers 5 has no format that would load it again.",
            "Heads of transformer-encoder and transformer-decoder can be removed; head importance works for all.",
        )
    if model.config.kept_heads is not None:
        raise RequestError("This model was already pruned.", "Prune more heads of the run that it came from.")


class PruningJob:
    """A run that trains nothing: it measures the importance of the heads, removes some, and evaluates the result.

    Args:
        run: the new run's folder.
        reporter: receives progress.
        source: the run whose model is pruned.
        count: number of heads to remove.
        measure: measure of importance.
        texts: number of texts that importance is measured on.
        progress: called with the number of texts done and of all texts.
    """

    def __init__(
        self,
        run: Run,
        reporter: RunReporter,
        source: Run,
        count: int,
        measure: Measure,
        texts: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.context = RunContext.create(run, reporter)
        self.source = source
        self.count = count
        self.measure = measure
        self.texts = texts
        self.progress = progress

    def execute(self) -> None:
        """Do the whole run.

        Raises:
            WorkbenchError: the run failed.
        """
        began = time.monotonic()
        context = self.context
        notes: list[str] = []
        prepared = prepare_run(context, notes)
        model = prepared.model.to(context.accelerator.device)
        evaluation = Evaluation(
            context.task, model, prepared.tokenizer, context.spec.data.max_length, context.accelerator
        )
        split = prepared.splits[prepared.reported]
        importance = self._importance(prepared, prepared.splits.get("valid", prepared.splits["train"]))
        before = _pruned_state(evaluation, split)
        remove_heads(model, heads_to_keep(importance, self.count))
        after = _pruned_state(evaluation, split)
        final = evaluate_finished(evaluation, prepared, context.reporter.generation)
        save_predictions(context, final)
        context.tuning.apply(model, context.task.peft_type, frozenset())  # it saves the model
        save_model(context, prepared, model)
        notes.append(
            HEADS_REMOVED.format(heads=self.count, run=self.source.id, measure=self.measure, texts=importance.texts)
        )
        report = Report.model_validate(
            {
                **report_fields(prepared, final, notes),
                "cost": self._cost(model, split, time.monotonic() - began),
                "steps": 0,
                "tuning": {},
                "pruning": PruningResult(
                    source=self.source.id,
                    heads_cut=self.count,
                    heads_kept=model.config.kept_heads,
                    measure=self.measure,
                    before=before,
                    after=after,
                ),
            }
        )
        write_model_card(context.run, context.run.model_folder, report)
        context.run.write_report(report)

    def _cost(self, model: Model, split: EncodedSplit, seconds: float) -> Cost:
        """Return the cost of a run that has trained on no token."""
        cost = measure_cost(
            model,
            self.context.device,
            tokens=0,
            seconds=max(seconds, 1e-9),
            total_seconds=seconds,
            length=round(float(split.encoded.tokens.lengths.mean())),
            predicted=1.0,
            replayed=False,
        )
        return cost.model_copy(update={"seconds": 0.0})

    def _importance(self, prepared: Prepared, split: EncodedSplit) -> HeadImportance:
        """Measure the importance of the heads over the first texts of a split that is not reported on."""
        roles = [column.role for column in prepared.task.inputs()]
        rows = range(min(self.texts, len(split.examples)))
        examples = [
            {name: split.examples.columns[role][row] for name, role in zip(("text", "text_pair"), roles, strict=False)}
            for row in rows
        ]
        max_length = prepared.spec.data.max_length
        predictor = Predictor(prepared.model, prepared.tokenizer, prepared.task, max_length)
        return head_importance(predictor, cast("list[TextInputs]", examples), self.measure, self.progress)


def _pruned_state(evaluation: Evaluation, split: EncodedSplit) -> PrunedState:
    """Return metrics, speed and size of a model."""
    outputs, loss = evaluation.outputs(split)
    batches = split.batches.in_order()[:TIMED_BATCHES]
    seconds = min(_forward_seconds(evaluation, split, batches) for _round in range(ROUNDS))
    return PrunedState(
        metrics={"loss": loss, **evaluation.task.metrics(outputs, split.encoded.targets)},
        texts_per_second=sum(map(len, batches)) / seconds,
        parameters=count_parameters(evaluation.model)[1],
    )


def _forward_seconds(evaluation: Evaluation, split: EncodedSplit, batches: Sequence[Ints]) -> float:
    """Time the forward passes of some batches."""
    evaluation.model.eval()
    began = time.perf_counter()
    with torch.inference_mode(), evaluation.accelerator.autocast():
        for indices in batches:
            evaluation.task.forward(evaluation.model, evaluation.batch(split, indices))
        if evaluation.accelerator.device.type == "cuda":
            torch.cuda.synchronize()
    return time.perf_counter() - began


def describe_pruning(run: Run) -> list[str]:
    """Return what pruning has changed, in sentences; empty for a run that was not pruned.

    Args:
        run: a finished run.
    """
    report = run.report()
    pruning = report.pruning if report else None
    if report is None or pruning is None:
        return []
    before, after, metric = pruning.before, pruning.after, report.primary_metric or ""
    remaining = ", ".join(map(str, pruning.heads_kept))
    lines = [_("{count} heads removed; the layers keep {heads}.").format(count=pruning.heads_cut, heads=remaining)]
    if metric in before.metrics:
        change = _("{metric}: {before:.4f} before, {after:.4f} after.")
        lines.append(change.format(metric=metric, before=before.metrics[metric], after=after.metrics[metric]))
    slow, fast = before.texts_per_second or 0.0, after.texts_per_second or 0.0
    speed = _("Texts per second: {before:,.0f} before, {after:,.0f} after ({factor:.2f} times).")
    size = _("Parameters: {before:,} before, {after:,} after.")
    return [
        *lines,
        speed.format(before=slow, after=fast, factor=fast / max(slow, 1e-9)),
        size.format(before=before.parameters, after=after.parameters),
    ]
