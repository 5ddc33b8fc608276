"""The work of a run, step by step: data, model and tuning, training, evaluation, report."""

from __future__ import annotations

import contextlib
import operator
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch.nn import functional

from workbench.check import resolve
from workbench.data.load import Dataset, load_data
from workbench.errors import DataError, RequestError, SpecError
from workbench.files import append_line, read_json, replace_folder, write_json
from workbench.machine import limit_onednn_cache
from workbench.metrics import measures
from workbench.models.base import LoadedModel
from workbench.models.identity import BaseIdentity, same_base
from workbench.models.loading import BASE_FILE
from workbench.runs import estimates
from workbench.runs.documents import BaseNote, Cost, ModelBase, Report
from workbench.runs.predictions import with_columns, write_predictions
from workbench.runs.run import Run
from workbench.training import checkpoint
from workbench.training.activation_cache import ActivationCache, remove_cached_activations
from workbench.training.cost import cost, parameters
from workbench.training.device import Device
from workbench.training.loop import Batch, TrainerCallback, TrainingInputs, TrainResult, seed_batch, train
from workbench.training.runner import (
    RunReporter,
    drop_after,
    environment,
)
from workbench.training.splits import EncodedSplit, encode_splits
from workbench.training.steps import StepSchedule
from workbench.tuning.max_length import max_text_length
from workbench.tuning.structure import ModelStructure

Indices = NDArray[np.int64]
Ending = Literal["succeeded", "stopped"]

# Of what tasks draw while evaluating (which tokens are masked): the same at each evaluation and in every run.
EVALUATION_SEED = 2**31


class TrainingJob:
    """One run's work.

    Args:
        run: its folder.
        watch: told of progress, asked whether to stop.
    """

    def __init__(self, run: Run, watch: RunReporter) -> None:
        self.run = run
        self.watch = watch
        self.watcher: TrainerCallback = watch  # of the loop
        self.workspace = run.workspace.create()
        self.resolved = resolve(run.spec(), self.workspace, run.is_confined())
        self.spec = self.resolved.spec
        self.task = self.resolved.task
        self.task.predict_with_run = self._predict_with_run
        self.training = self.spec.training
        self.learning_rate = self.resolved.learning_rate  # the largest
        limit_onednn_cache()
        self.device = Device.choose(self.training.device, self.training.precision)
        AcceleratorState._reset_state(reset_partial_state=True)  # of an earlier run in this process
        self.accelerator = Accelerator(mixed_precision=self.device.mixed_precision, cpu=self.device.kind == "cpu")
        self.notes: list[str] = []
        self.kept_step = 0  # the step whose weights are the result
        self.frozen_seconds = 0.0

    def execute(self) -> Ending:
        """All of it. Returns how it ended; raises WorkbenchError when it could not."""
        began = time.monotonic()
        estimates.copy_to_run(self.spec, self.workspace, self.run.folder)
        try:
            dataset = self._read_data()
            loaded = self._load_model()
            self._record_environment(dataset, loaded)
            parts = self._encode(dataset, loaded)
            self.task.init_head(loaded.model, parts["train"].encoded, loaded.newly_initialized)
            self._look_before(loaded, parts)
            self._tune(loaded)
            outcome = self._train(parts)
            self.watch.may_stop = False
            if outcome.ending == "stopped":
                self.watch.say(f"Stopped at step {outcome.position.step} as asked; it can be resumed from there.")
                return "stopped"
            self._finish(dataset, loaded, parts, outcome, began)
            return "succeeded"
        finally:
            remove_cached_activations(self.run.folder)

    def _predict_with_run(self, run_id: str, inputs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What another finished run of the workspace answers. Raises RequestError when it has no model."""
        from workbench.inference.predictor import Predictor

        return Predictor.load(Run.open(run_id, self.workspace)).predict(inputs)

    # -- before training -------------------------------------------------------------------------------------------

    def _read_data(self) -> Dataset:
        self.watch.phase("reading the data")
        dataset = load_data(self.spec.data, self.task.columns(), self.workspace, self.watch.download)
        for note in dataset.notes:
            self.watch.say(note)
        self._refuse_changed_data(dataset)
        self.task.fit(dataset.train)
        write_json(self.run.folder / "splits.json", {"fingerprint": dataset.fingerprint, "ids": dataset.split_ids()})
        notes = self.resolved.model.prepare(
            lambda: self.task.texts(dataset.train), self.run.folder / "tokenizer", self.watch.download
        )
        for note in notes:
            self.watch.say(note)
        dataset.notes += notes
        return dataset

    def _refuse_changed_data(self, dataset: Dataset) -> None:
        """A run goes on with the very data that it began with, or not at all."""
        before = read_json(self.run.folder / "splits.json")
        if isinstance(before, dict) and before.get("fingerprint") != dataset.fingerprint and self._checkpoint():
            raise DataError(
                f"The data of this run has changed since it began: {self.spec.data.train} gives other examples.",
                "Restore the file to resume, or start a new run on the new data.",
            )

    def _record_environment(self, dataset: Dataset, loaded: LoadedModel) -> None:
        """Store with what the run began; a run that goes on must have the same base, and says what else differs."""
        now = environment(self.device, dataset.fingerprint, self.training.seed) | {"base": loaded.base}
        before = read_json(self.run.folder / "environment.json")
        if not isinstance(before, dict) or self._checkpoint() is None:
            write_json(self.run.folder / "environment.json", now)
            return
        began = before.get("base") or {}
        if began.get("source") != loaded.base["source"] or not same_base(began, loaded.base):
            raise RequestError(
                f"The model that this run began with has changed: {self.spec.model.source} has other weights now.",
                "Restore it to resume, or start a new run.",
            )
        for name in ("device", "packages", "python"):
            if before.get(name) != now[name]:
                self.notes.append(f"Resumed with another {name}: {now[name]}, at first {before.get(name)}.")

    def _checkpoint(self) -> Path | None:
        return checkpoint.latest(self.run.folder / "checkpoints")

    def _load_model(self) -> LoadedModel:
        self.watch.phase("loading the model")
        torch.manual_seed(self.training.seed)  # a new head is drawn from the seed
        loaded = self.resolved.model.load(self.task.head, self.task.model_options(), self.watch.download)
        self._check_fit(loaded)
        self.task.configure(loaded.model)
        return loaded

    def _look_before(self, loaded: LoadedModel, parts: dict[str, EncodedSplit]) -> None:
        """Show the task what the model as it was loaded puts out for the part that is reported on, if it asks."""
        if not self.task.evaluates_zero_shot or self.spec.kind != "training":
            return
        self.watch.phase("evaluating the model before training")
        self.model = loaded.model.to(self.accelerator.device)
        with torch.random.fork_rng():
            outputs, loss = self._outputs(parts["test" if "test" in parts else "valid"])
        self.task.on_untrained_outputs(outputs, loss, self.resolved.model.from_scratch)

    def _tune(self, loaded: LoadedModel) -> None:
        tuned = self.resolved.tuning.apply(loaded.model, self.task.peft_type, loaded.newly_initialized)
        self.model = tuned.to(self.accelerator.device)
        structure = None if self.resolved.tuning.saves_adapter else _structure(self.model)
        self.frozen = ActivationCache(self.model, structure, self.training, self.run.folder, self.watch)
        trained, total = parameters(self.model)
        self.watch.say(
            f"{total:,} parameters, {trained:,} of them trained ({trained / total:.2%}), on {self.device.name} in "
            f"{self.device.precision}"
        )

    def _check_fit(self, loaded: LoadedModel) -> None:
        """Refuse texts longer than the model's positions, and a head that the adapter cannot carry."""
        positions, virtual = max_text_length(loaded.model), self.resolved.tuning.num_virtual_tokens()
        if positions is not None and self.spec.data.max_length + virtual > positions:
            more = f" and {virtual} virtual ones" if virtual else ""
            raise SpecError(
                f"data.max_length is {self.spec.data.max_length} tokens{more}, and {self.spec.model.source} has "
                f"{positions} positions.",
                f"Set data.max_length to {positions - virtual} or less.",
            )
        if self.resolved.tuning.saves_adapter and _new_beside_tied(loaded):
            raise SpecError(
                f"{self.spec.model.source} has no head for {self.task.name}, and an adapter cannot carry a new one: it "
                "shares weights with the embeddings.",
                "Use tuning: full, head or freeze; or begin from a model that has this head.",
            )

    def _encode(self, dataset: Dataset, loaded: LoadedModel) -> dict[str, EncodedSplit]:
        self.watch.phase("tokenizing")
        parts, lengths = encode_splits(self.task, loaded.tokenizer, dataset, self.spec)
        for name, part in parts.items():
            if part.encoded.note:
                self.notes.append(f"{name}: {part.encoded.note}")
                self.watch.say(self.notes[-1])
        self.tokenizer = loaded.tokenizer
        self.pad_id = loaded.tokenizer.pad_token_id
        write_json(self.run.folder / "data.json", {**dataset.report, "notes": dataset.notes, "lengths": lengths})
        return parts

    # -- training --------------------------------------------------------------------------------------------------

    def _train(self, parts: dict[str, EncodedSplit]) -> TrainResult:
        began = time.monotonic()
        material = self._material(parts)
        if StepSchedule.from_spec(material.plan, self.training, material.tokens).meets_examples_again():
            self._keep_features(parts)
        if self.frozen.note:
            self.notes.append(self.frozen.note)
            self.frozen_seconds = time.monotonic() - began
        checkpoints = self.run.folder / "checkpoints"
        found = self._checkpoint()
        drop_after(self.run, int(found.name.removeprefix("step-")) if found else 0)
        if found:
            self.watch.say(f"Going on from {found.name}")
        with self.frozen.replaying():
            if self.training.compile:
                self.model.compile()
            outcome = train(
                self.model,
                material,
                self.training,
                self.learning_rate,
                self.accelerator,
                self.watcher,
                checkpoints,
                resume=True,
            )
        if outcome.ending != "stopped":
            self._take_best(outcome, checkpoints)
        return outcome

    def _material(self, parts: dict[str, EncodedSplit]) -> TrainingInputs:
        """What the loop trains on, and evaluates with."""
        train_part, valid = parts["train"], parts.get("valid")
        tuning = self.resolved.tuning
        return TrainingInputs(
            plan=train_part.batches,
            batch=lambda indices: self._batch(train_part, indices),
            weight=lambda indices: self.task.loss_weight(train_part.encoded, indices),
            tokens=lambda indices: int(train_part.encoded.lengths[indices].sum()),
            evaluate=(lambda: self._evaluate_and_write(valid)) if valid else None,
            better=operator.lt if self.task.evaluation_metric in measures.SMALLER_IS_BETTER else operator.gt,
            primary_metric=f"eval/{self.task.evaluation_metric}",
            set_training=self._set_training,
            rates=tuning.lr_multipliers(self.model),
            no_decay=tuning.no_decay,
            before_step=partial(tuning.before_step, self.model),
            after_step=partial(tuning.after_step, self.model),
            forward=self.task.forward,
        )

    def _take_best(self, outcome: TrainResult, checkpoints: Path) -> None:
        self.kept_step = outcome.position.step
        best = outcome.position.best_step
        if outcome.note:
            self.notes.append(outcome.note)
        if self.training.load_best and best is not None and best != outcome.position.step:
            checkpoint.load(checkpoint.at_step(checkpoints, best), self.model)
            self.kept_step = best
            self.notes.append(f"The weights of step {best} are kept: its evaluation was the best.")

    def _set_training(self) -> None:
        self.model.train()
        self.frozen.quiet()

    def _batch(self, part: EncodedSplit, indices: Indices) -> Batch:
        """A batch on the device; where features are kept, they are shown to the model with it."""
        multiple = 64 if self.training.compile else 1  # a compiled model should meet few shapes
        batch = self.task.collate(part.encoded, indices, self.pad_id, multiple)
        if part.features is not None:
            self.frozen.show(part, indices, batch["input_ids"].shape[-1])
        return {name: tensor.to(self.accelerator.device, non_blocking=True) for name, tensor in batch.items()}

    def _keep_features(self, parts: dict[str, EncodedSplit]) -> None:
        """Run frozen layers once over what is met again, where each meeting is the same."""
        if not self.task.stochastic_inputs:
            met_again = [parts[name] for name in ("train", "valid") if name in parts]
            self.frozen.keep(met_again, self._batch, self.accelerator.autocast, self.task.forward)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def _evaluate(self, part: EncodedSplit) -> dict[str, float]:
        return self._figures(part, *self._outputs(part))

    def _figures(self, part: EncodedSplit, outputs: NDArray[np.floating[Any]], loss: float) -> dict[str, float]:
        figures = self.task.metrics(outputs, part.encoded.targets)
        return {"eval/loss": loss, **{f"eval/{name}": value for name, value in figures.items()}}

    def _outputs(self, part: EncodedSplit) -> tuple[NDArray[np.floating[Any]], float]:
        """The task's outputs for every row, in their order, and the mean loss."""
        self.model.eval()
        order, outputs, losses, weights = [], [], [], []
        with torch.inference_mode(), self.accelerator.autocast():
            for place, indices in enumerate(part.batches.in_order()):
                seed_batch(EVALUATION_SEED, 0, place)
                batch = self._batch(part, indices)
                result = self.task.forward(self.model, batch)
                outputs.append(self.task.outputs(result, batch))
                weights.append(self.task.loss_weight(part.encoded, indices))
                losses.append(result.loss.float() * weights[-1])
                order.append(indices)
        found = stack_rows(outputs)
        in_order = np.empty_like(found)
        in_order[np.concatenate(order)] = found
        return in_order, float(torch.stack(losses).sum()) / sum(weights)

    def _evaluate_and_write(self, part: EncodedSplit) -> dict[str, float]:
        """The figures of the validation part; what else is to be looked at as training goes on is appended to files.

        Which label is taken for which goes to ``confusion.jsonl``, and what the model writes by now to
        ``samples.jsonl``, a line a text.
        """
        outputs, loss = self._outputs(part)
        figures = self._figures(part, outputs, loss)
        confusion = self.task.confusion(outputs, part.encoded.targets)
        if confusion is not None:
            self.run.append_confusion(self.watch.step, self.task.labels, confusion.tolist())
        seed_batch(EVALUATION_SEED, 1, 0)
        # Texts grow token by token: a compiled model would be compiled for each length.
        with self.accelerator.autocast(), torch.compiler.set_stance("force_eager"):
            for sample in self.task.samples(self.model, self.tokenizer):
                append_line(self.run.folder / "samples.jsonl", {"step": self.watch.step, **sample})
        return figures

    # -- after training ----------------------------------------------------------------------------------------------

    def _finish(
        self, dataset: Dataset, loaded: LoadedModel, parts: dict[str, EncodedSplit], outcome: TrainResult, began: float
    ) -> None:
        name = "test" if "test" in parts else "valid"
        self.watch.phase(f"evaluating on the {name} part")
        part = parts[name]
        if name == "valid":
            self.notes.append("There is no test part: the figures are of the validation part, which chose the weights.")
        outputs, loss = self._outputs(part)
        outputs = self._finish_outputs(part, outputs)
        result = self.task.report(outputs, part.encoded.targets, parts["train"].encoded.targets)
        result["metrics"].setdefault("loss", {"value": loss, "low": None, "high": None})
        rows = self.task.prediction_rows(part.examples, outputs, part.encoded.targets)
        write_predictions(self.run, with_columns(rows, part.examples.ids, part.examples.extra_columns))
        self.watch.phase("saving the model")
        self._save_model(loaded)
        self.run.write_report(
            Report.model_validate(
                {
                    **result,
                    "primary_metric": self.task.primary_metric,
                    "smaller_is_better": self.task.smaller_is_better,
                    "evaluated_on": name,
                    "examples": {each: len(p) for each, p in parts.items()},
                    "cost": self._cost(parts["train"], outcome, began),
                    "steps": outcome.position.step,
                    "best_step": outcome.position.best_step,
                    "weights_of_step": self.kept_step,
                    "frozen_cache": self.frozen.kept,
                    "tuning": self.resolved.tuning.report(self.model),
                    "notes": [*self.notes, *result.get("notes", [])],
                    "data_fingerprint": dataset.fingerprint,
                }
            )
        )
        metric = self.task.primary_metric
        self.watch.say(
            f"{metric} {_told(result['metrics'][metric])} on {len(part.examples)} examples; baseline "
            f"{result['baseline'][metric]:.4f}"
        )

    def _finish_outputs(self, part: EncodedSplit, outputs: NDArray[np.floating[Any]]) -> Any:
        """What the task reports on: its outputs, or what it makes of the part with the finished model (texts, say)."""
        self.model.eval()
        seed_batch(EVALUATION_SEED, 2, 0)
        encoded, examples = part.encoded, part.examples
        with torch.inference_mode(), self.accelerator.autocast(), torch.compiler.set_stance("force_eager"):
            return self.task.finish(self.model, self.tokenizer, examples, encoded, outputs, self.watch.answering)

    def _save_model(self, loaded: LoadedModel) -> None:
        with replace_folder(self.run.folder / "model") as folder:
            self.resolved.tuning.save(self.model, folder)
            loaded.tokenizer.save_pretrained(folder)
            adapter = self.resolved.tuning.saves_adapter
            note = BaseNote(
                base=ModelBase.model_validate(loaded.base if adapter else _without_folder(loaded.base)),
                task=self.spec.task.model_dump(mode="json"),
                tuning=self.spec.tuning.model_dump(mode="json"),
                labels=self.task.labels,
                head=self.task.head,
                head_options=self.task.model_options(),
                max_length=self.spec.data.max_length,
                adapter=adapter,
            )
            write_json(folder / BASE_FILE, note.as_dict())

    def _cost(self, part: EncodedSplit, outcome: TrainResult, began: float) -> Cost:
        return cost(
            self.model,
            self.device,
            outcome.position.tokens,
            outcome.position.seconds + self.frozen_seconds,
            time.monotonic() - began,
            round(float(part.encoded.tokens.lengths.mean())),
            self._share_predicted(part),
            replayed=self.frozen.prefix is not None,
        )

    def _share_predicted(self, part: EncodedSplit) -> float:
        """The share of the tokens that the output matrix is computed for: few where words are masked, if the model
        spares it the others."""
        if not getattr(self.model.config, "sparse_prediction", False):
            return 1.0
        tokens = int(part.encoded.tokens.lengths.sum())
        return min(1.0, self.task.loss_weight(part.encoded, np.arange(len(part.encoded))) / tokens)


def stack_rows(parts: list[torch.Tensor]) -> NDArray[Any]:
    """Outputs of batches [B, T, ...] one below the other, filled up to the longest T with NaN, or -100 for integers."""
    if parts[0].dim() > 1 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        fill = float("nan") if parts[0].is_floating_point() else -100
        padding = [0, 0] * (parts[0].dim() - 2)
        parts = [functional.pad(part, [*padding, 0, longest - part.shape[1]], value=fill) for part in parts]
    found: NDArray[Any] = torch.cat(parts).cpu().numpy()
    return found


def _told(value: dict[str, Any]) -> str:
    """A metric with its interval, where it has one."""
    if value.get("low") is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} (95% interval {value['low']:.4f} to {value['high']:.4f})"


def _without_folder(base: BaseIdentity) -> BaseIdentity:
    """Where a whole result came from, without the path of this machine: the result does not need it to be loaded."""
    kind, _, argument = base["source"].partition(":")
    return BaseIdentity({**base, "source": f"path:{Path(argument).name}"}) if kind == "path" else base


def _structure(model: Any) -> ModelStructure | None:
    with contextlib.suppress(SpecError):
        return ModelStructure.of(model)
    return None


def _new_beside_tied(loaded: LoadedModel) -> bool:
    """Whether weights that were made anew lie in a module with the output that is tied to the embeddings."""
    output = loaded.model.get_output_embeddings()
    if output is None or output.weight is not loaded.model.get_input_embeddings().weight:
        return False
    holders = (loaded.model.get_submodule(name.rpartition(".")[0]) for name in loaded.newly_initialized)
    return any(parameter is output.weight for module in holders for parameter in module.parameters())
