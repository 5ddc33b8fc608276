"""Heads taken out of a model for good: the least important first, over all layers (Michel et al. 2019, section 4).

Their rows of the maps that make queries, keys and values, and their columns of the map that puts the heads together,
are cut out: the model computes less and is saved smaller. What it is worth is measured before and after, on the same
test part, and the result is a run like any other.

transformers 5 has dropped its own pruning, and has no place in a configuration for layers of different width: a BERT or
GPT-2 of transformers that was cut could be saved, and not loaded again. So only our own encoder and decoder are pruned.
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
from workbench.explain.heads import HeadImportance, Measure, head_importance
from workbench.files import write_text
from workbench.inference.predictor import Predictor
from workbench.machine import process_identity
from workbench.models.networks.attention import MultiHeadAttention
from workbench.models.networks.transformer import DecoderConfig, EncoderConfig
from workbench.runs.documents import Cost, PrunedState, PruningResult, Report
from workbench.runs.run import Run
from workbench.training.context import RunContext
from workbench.training.cost import count_parameters, measure_cost
from workbench.training.evaluation import Evaluation
from workbench.training.job import prepare_run
from workbench.training.prepare import Prepared
from workbench.training.reporter import RunReporter
from workbench.training.results import evaluate_finished, report_fields, save_model, save_predictions
from workbench.training.splits import EncodedSplit
from workbench.types import Ints, Model
from workbench.workspace import Workspace

ROUNDS = 3  # each speed is the best of so many
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
    """A new run: the model of ``run`` without its least important heads.

    Args:
        run: a finished run of our own encoder or decoder.
        heads: how many go, as a number (``"12"``) or a share of all (``"30%"``). Each layer keeps one at least.
        workspace: where the new run stands.
        measure: of importance; see :func:`workbench.explain.heads.head_importance`.
        texts: that importance is measured on: of the validation part, or else of the training part.
        out: a folder that the model is also written to.
        progress: told how many of these texts are done.

    Raises:
        RequestError: heads cannot be cut out of this model, or not so many; ``out`` exists.
    """
    predictor = Predictor.load(run)
    _refuse_others(predictor.model)
    total = predictor.model.config.num_hidden_layers * predictor.model.config.num_attention_heads
    count = heads_to_cut(heads, predictor.model.config.num_hidden_layers, total)
    if out is not None and out.exists():
        raise RequestError(f"{out} is there already.", "Name a folder that is not there yet.")
    spec = run.spec()
    name = f"{spec.name or 'run'}-pruned"
    changed = spec.changed({"name": name, "model": f"run:{run.id}", "tuning": "full", "kind": "training"})
    new = Run.create(changed, workspace)
    lock = new.process_lock()
    # Held before a worker can take it for a run that is to be trained.
    if not lock.acquire() or not new.transition(("queued",), "running", process=process_identity()):
        raise BusyError(f"A worker has taken the run {new.id}.", "Stop and delete it, and try again.")
    done = False
    try:
        reporter = RunReporter(new)
        said = io.StringIO()  # what a run says goes into its log, as that of a process of its own does
        with contextlib.redirect_stdout(said):
            PruningJob(new, reporter, run, count, measure, texts, progress).execute()
        reporter.close()
        write_text(new.folder / "log.txt", said.getvalue())
        if out is not None:
            shutil.copytree(new.folder / "model", out)
        done = new.transition(("running",), "succeeded", error=None)
    finally:
        lock.release()
        if not done:
            new.transition(("running",), "failed")
            new.delete()
    return new


def heads_to_cut(given: str, layers: int, total: int) -> int:
    """``"30%"`` or ``"12"`` as a number of heads. Raises RequestError."""
    text = given.strip()
    try:
        count = round(float(text[:-1]) / 100 * total) if text.endswith("%") else int(text)
    except ValueError as error:
        raise RequestError(f"{given!r} is no number of heads.", "Write it as 12, or as a share: 30%.") from error
    if not 1 <= count <= total - layers:
        raise RequestError(
            f"{given} of {total} heads are {count}.",
            f"Choose from 1 to {total - layers}: each of the {layers} layers keeps one.",
        )
    return count


def heads_to_keep(importance: HeadImportance, count: int) -> list[list[int]]:
    """For each layer the heads that stay when the ``count`` least important go; one stays in every layer."""
    keep = [list(range(len(row))) for row in importance.importance]
    for one in importance.order:
        layer = keep[one["layer"]]
        if count and len(layer) > 1:
            layer.remove(one["head"])
            count -= 1
    return keep


def cut_heads(model: Model, keep: Sequence[Sequence[int]]) -> None:
    """Take all heads but ``keep`` (of each layer) out of ``model``, weights and configuration."""
    modules = [module for module in model.modules() if isinstance(module, MultiHeadAttention)]
    size = model.config.hidden_size // model.config.num_attention_heads
    for module, heads in zip(modules, keep, strict=True):
        inside = torch.tensor([head * size + i for head in heads for i in range(size)])
        width = module.num_heads * size
        rows = torch.cat([part * width + inside for part in range(3)])  # queries, keys, values
        module.query_key_value = _part(module.query_key_value, rows, slice(None))
        module.output = _part(module.output, slice(None), inside)
        module.num_heads = len(heads)
    model.config.kept_heads = [len(heads) for heads in keep]


def _part(linear: nn.Linear, rows: Selection, columns: Selection) -> nn.Linear:
    """A smaller map with some rows (outputs) and columns (inputs) of ``linear``."""
    weight = linear.weight.detach()[rows][:, columns].clone()
    made = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(linear.bias[rows])
    return made


def _refuse_others(model: Model) -> None:
    name = type(model).__name__
    if hasattr(model, "peft_config"):
        raise RequestError(
            f"The result is an adapter on a {name}: heads are cut out of whole models.",
            "Write it as one model first: workbench merge RUN, and train with model: path:FOLDER.",
        )
    if not isinstance(model.config, EncoderConfig | DecoderConfig):
        raise RequestError(
            f"Heads cannot be cut out of a {name} for good: transformers 5 has no form to save it in that loads again.",
            "Heads of transformer-encoder and transformer-decoder can; see which matter with head importance.",
        )
    if model.config.kept_heads is not None:
        raise RequestError("This model was pruned already.", "Prune the run that it came from, by more.")


class PruningJob:
    """A run that trains nothing: it measures the importance of the heads, removes some, and evaluates the result.

    Args:
        run: the new run's folder.
        reporter: receives progress.
        source: the run whose model is pruned.
        count: number of heads to remove.
        measure: of importance.
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
        cut_heads(model, heads_to_keep(importance, self.count))
        after = _pruned_state(evaluation, split)
        final = evaluate_finished(evaluation, prepared, context.reporter.generation)
        save_predictions(context, final)
        context.tuning.apply(model, context.task.peft_type, frozenset())  # it saves the model
        save_model(context, prepared, model)
        notes.append(
            f"{self.count} heads of {self.source.id} were removed, the least important by {self.measure} over "
            f"{importance.texts} texts; nothing was trained after that."
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
    seconds = min(_forward_seconds(evaluation, split, batches) for _ in range(ROUNDS))
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


def show_lines(run: Run) -> list[str]:
    """What pruning has done to a run, in words."""
    report = run.report()
    pruning = report.pruning if report else None
    if report is None or pruning is None:
        return []
    before, after, metric = pruning.before, pruning.after, report.primary_metric or ""
    lines = [f"{pruning.heads_cut} heads cut out; the layers keep {', '.join(map(str, pruning.heads_kept))}."]
    if metric in before.metrics:
        lines.append(f"{metric}: {before.metrics[metric]:.4f} before, {after.metrics[metric]:.4f} after.")
    slow, fast = before.texts_per_second or 0.0, after.texts_per_second or 0.0
    return [
        *lines,
        f"Texts a second: {slow:,.0f} before, {fast:,.0f} after ({fast / max(slow, 1e-9):.2f} times).",
        f"Parameters: {before.parameters:,} before, {after.parameters:,} after.",
    ]
