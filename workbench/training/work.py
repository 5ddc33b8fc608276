"""The work of a run, step by step: data, model and tuning, training, evaluation, report."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray

from workbench.check import resolve
from workbench.data.batching import Batches
from workbench.data.examples import Examples
from workbench.data.load import Dataset, load_data
from workbench.data.report import length_report
from workbench.errors import DataError, RequestError, SpecError
from workbench.files import TEMPORARY_PREFIX, read_json, write_json
from workbench.machine import peak_rss_bytes
from workbench.models.base import Loaded
from workbench.models.pretrained import BASE_FILE
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.tasks.base import Encoded
from workbench.training import checkpoint
from workbench.training.device import Device
from workbench.training.frozen import FeatureStore, FrozenPrefix, quiet_frozen_layers
from workbench.training.loop import Batch, Material, Outcome, Watcher, train
from workbench.training.runner import (
    RunWatch,
    environment,
    forget_after,
    whole_folder,
    workspace_of,
    write_report,
)
from workbench.training.steps import Steps
from workbench.tuning.anatomy import Anatomy

Indices = NDArray[np.int64]
Ending = Literal["succeeded", "stopped"]

EVALUATION_FACTOR = 2  # evaluation keeps nothing for a backward pass: larger batches fit


@dataclass
class Part:
    """One part of the data, ready for the model."""

    examples: Examples
    encoded: Encoded
    batches: Batches
    features: FeatureStore | None = None

    def __len__(self) -> int:
        return len(self.encoded)


class Work:
    """One run's work.

    Args:
        run: its folder.
        watch: told of progress, asked whether to stop.
    """

    def __init__(self, run: Run, watch: RunWatch) -> None:
        self.run = run
        self.watch = watch
        self.watcher: Watcher = watch  # of the loop
        self.workspace = workspace_of(run)
        self.resolved = resolve(run.spec(), self.workspace)
        self.spec = self.resolved.spec
        self.task = self.resolved.task
        self.training = self.spec.training
        self.device = Device.choose(self.training.device, self.training.precision)
        AcceleratorState._reset_state(reset_partial_state=True)  # of an earlier run in this process
        self.accelerator = Accelerator(mixed_precision=self.device.mixed_precision, cpu=self.device.kind == "cpu")
        self.notes: list[str] = []
        self.kept_step = 0  # the step whose weights are the result
        self.prefix: FrozenPrefix | None = None
        self.depth = 0  # leading layers that are frozen
        self.frozen_cache: dict[str, Any] | None = None
        self.frozen_seconds = 0.0

    def do(self) -> Ending:
        """All of it. Returns how it ended; raises WorkbenchError when it could not."""
        began = time.monotonic()
        try:
            dataset = self._read_data()
            loaded = self._load_model()
            self._record_environment(dataset, loaded)
            parts = self._encode(dataset, loaded)
            outcome = self._train(parts)
            self.watch.may_stop = False
            if outcome.ending == "stopped":
                self.watch.say(f"Stopped at step {outcome.position.step} as asked; it can be resumed from there.")
                return "stopped"
            self._finish(dataset, loaded, parts, outcome, began)
            return "succeeded"
        finally:
            self._forget_features()

    # -- before training -------------------------------------------------------------------------------------------

    def _read_data(self) -> Dataset:
        self.watch.phase("reading the data")
        dataset = load_data(self.spec.data, self.task.columns(), self.workspace, self.watch.download)
        for note in dataset.notes:
            self.watch.say(note)
        self._refuse_changed_data(dataset)
        self.task.fit(dataset.train)
        write_json(self.run.folder / "splits.json", {"fingerprint": dataset.fingerprint, "ids": dataset.split_ids()})
        return dataset

    def _refuse_changed_data(self, dataset: Dataset) -> None:
        """A run goes on with the very data that it began with, or not at all."""
        before = read_json(self.run.folder / "splits.json")
        if isinstance(before, dict) and before.get("fingerprint") != dataset.fingerprint and self._checkpoint():
            raise DataError(
                f"The data of this run has changed since it began: {self.spec.data.train} gives other examples.",
                "Restore the file to resume, or start a new run on the new data.",
            )

    def _record_environment(self, dataset: Dataset, loaded: Loaded) -> None:
        """Store with what the run began; a run that goes on must have the same base, and says what else differs."""
        now = environment(self.device, dataset.fingerprint, self.training.seed) | {"base": loaded.base}
        before = read_json(self.run.folder / "environment.json")
        if not isinstance(before, dict) or self._checkpoint() is None:
            write_json(self.run.folder / "environment.json", now)
            return
        if before.get("base") != loaded.base:
            raise RequestError(
                f"The model that this run began with has changed: {self.spec.model.source} has other weights now.",
                "Restore it to resume, or start a new run.",
            )
        for name in ("device", "packages", "python"):
            if before.get(name) != now[name]:
                self.notes.append(f"Resumed with another {name}: {now[name]}, at first {before.get(name)}.")

    def _checkpoint(self) -> Path | None:
        return checkpoint.latest(self.run.folder / "checkpoints")

    def _load_model(self) -> Loaded:
        self.watch.phase("loading the model")
        torch.manual_seed(self.training.seed)  # a new head is drawn from the seed
        loaded = self.resolved.model.load(self.task.head, self.task.model_options(), self.watch.download)
        self._check_length(loaded)
        tuned = self.resolved.tuning.apply(loaded.model, self.task.peft_type, loaded.new)
        self.model = tuned.to(self.accelerator.device)
        self.anatomy = None if self.resolved.tuning.saves_adapter else _anatomy(self.model)
        self.depth = self.anatomy.frozen_prefix() if self.anatomy else 0
        trained, total = self._parameters()
        self.watch.say(
            f"{total:,} parameters, {trained:,} of them trained ({trained / total:.2%}), on {self.device.name} in "
            f"{self.device.precision}"
        )
        return loaded

    def _check_length(self, loaded: Loaded) -> None:
        positions = _positions(loaded.model)
        if positions is not None and self.spec.data.max_length > positions:
            raise SpecError(
                f"data.max_length is {self.spec.data.max_length} tokens, and {self.spec.model.source} has {positions} "
                "positions.",
                f"Set data.max_length to {positions} or less.",
            )

    def _encode(self, dataset: Dataset, loaded: Loaded) -> dict[str, Part]:
        self.watch.phase("tokenizing")
        settings, parts, lengths = self.training, {}, {}
        for name, examples in (("train", dataset.train), ("valid", dataset.valid), ("test", dataset.test)):
            if not len(examples):
                continue
            encoded = self.task.encode(loaded.tokenizer, examples, self.spec.data.max_length)
            larger = 1 if name == "train" else EVALUATION_FACTOR
            budget = settings.token_budget * larger if settings.token_budget else None
            batches = Batches(
                encoded.tokens.lengths, settings.batch_size * larger, budget, settings.bucket, settings.seed
            )
            parts[name] = Part(examples, encoded, batches)
            lengths[name] = length_report(encoded.tokens.full_lengths.tolist(), self.spec.data.max_length)
        if not parts.keys() & {"test", "valid"}:
            raise SpecError("There is nothing to evaluate on.", "Give data.test, or a share for data.holdout.test.")
        self.pad_id = loaded.tokenizer.pad_token_id
        write_json(self.run.folder / "data.json", {**dataset.report, "notes": dataset.notes, "lengths": lengths})
        return parts

    # -- training --------------------------------------------------------------------------------------------------

    def _train(self, parts: dict[str, Part]) -> Outcome:
        began = time.monotonic()
        material = self._material(parts)
        if Steps.of(material.plan, self.training, material.tokens).meets_examples_again():
            self._keep_features(parts)
            self.frozen_seconds = time.monotonic() - began
        checkpoints = self.run.folder / "checkpoints"
        found = self._checkpoint()
        forget_after(self.run, int(found.name.removeprefix("step-")) if found else 0)
        if found:
            self.watch.say(f"Going on from {found.name}")
        rate = self.training.learning_rate or self.resolved.tuning.learning_rate
        with self.prefix.replaying() if self.prefix else contextlib.nullcontext():
            if self.training.compile:
                self.model.compile()
            outcome = train(
                self.model, material, self.training, rate, self.accelerator, self.watcher, checkpoints, resume=True
            )
        if outcome.ending != "stopped":
            self._take_best(outcome, checkpoints)
        return outcome

    def _material(self, parts: dict[str, Part]) -> Material:
        """What the loop trains on, and evaluates with."""
        train_part, valid = parts["train"], parts.get("valid")
        return Material(
            plan=train_part.batches,
            batch=lambda indices: self._batch(train_part, indices),
            weight=lambda indices: self.task.weight(train_part.encoded, indices),
            tokens=lambda indices: int(train_part.encoded.tokens.lengths[indices].sum()),
            evaluate=(lambda: self._evaluate(valid)) if valid else None,
            primary_metric=f"eval/{self.task.primary_metric}",
            set_training=self._set_training,
        )

    def _take_best(self, outcome: Outcome, checkpoints: Path) -> None:
        self.kept_step = outcome.position.step
        best = outcome.position.best_step
        if outcome.note:
            self.notes.append(outcome.note)
        if self.training.keep_best and best is not None and best != outcome.position.step:
            checkpoint.load(checkpoint.at_step(checkpoints, best), self.model)
            self.kept_step = best
            self.notes.append(f"The weights of step {best} are kept: its evaluation was the best.")

    def _set_training(self) -> None:
        self.model.train()
        if self.anatomy:
            quiet_frozen_layers(self.anatomy, self.depth)

    def _batch(self, part: Part, indices: Indices) -> Batch:
        """A batch on the device; where features are kept, they are shown to the model with it."""
        multiple = 64 if self.training.compile else 1  # a compiled model should meet few shapes
        batch = self.task.collate(part.encoded, indices, self.pad_id, multiple)
        if self.prefix is not None and part.features is not None:
            self.prefix.show(part.features.batch(indices, batch["input_ids"].shape[1]))
        return {name: tensor.to(self.accelerator.device, non_blocking=True) for name, tensor in batch.items()}

    # -- what frozen layers put out ----------------------------------------------------------------------------------

    def _keep_features(self, parts: dict[str, Part]) -> None:
        """Run the frozen layers once over the parts that are met again, when the result fits into the budget."""
        if self.depth == 0 or self.anatomy is None or not self.training.cache_frozen:
            return
        kept = [parts[name] for name in ("train", "valid") if name in parts]
        width = self.model.config.hidden_size
        needed = sum(int(part.encoded.tokens.offsets[-1] + 1) for part in kept) * width * 4
        on_disk = needed > self.training.cache_gigabytes * 1e9
        free = shutil.disk_usage(self.run.folder).free
        if on_disk and needed > min(self.training.cache_disk_gigabytes * 1e9, free * 0.8):
            self.notes.append(
                f"The {self.depth} frozen layers ran again in each epoch: what they put out would take "
                f"{needed / 1e9:.1f} GB, above training.cache_gigabytes and training.cache_disk_gigabytes."
            )
            return
        self.watch.phase("running the frozen layers once")
        prefix = FrozenPrefix(self.model, self.anatomy, self.depth)
        first = kept[0].batches.in_order()[-1]
        if not prefix.is_constant(self._batch(kept[0], first)) or not self._compute_features(prefix, kept, on_disk):
            self.notes.append(
                f"The {self.depth} frozen layers ran again in each epoch: this architecture cannot replay them."
            )
            return
        self.prefix = prefix
        place = "on disk" if on_disk else "in memory"
        self.frozen_cache = {"layers": self.depth, "bytes": needed, "place": place}
        self.notes.append(
            f"The {self.depth} frozen layers ran once per example; what they put out ({needed / 1e6:.0f} MB {place}) "
            "was used in every epoch."
        )

    def _compute_features(self, prefix: FrozenPrefix, kept: list[Part], on_disk: bool) -> bool:
        """Fill the parts' features. False, and none filled, when replaying them is not the same as a full pass."""
        first = kept[0].batches.in_order()[-1]
        try:
            for number, part in enumerate(kept):
                part.features = self._features(prefix, part, on_disk, number)
            if prefix.agrees(kept[0].features, self._batch(kept[0], first), first):  # type: ignore[arg-type]
                return True
        except (TypeError, ValueError, IndexError, AttributeError, AssertionError) as error:
            self.watch.say(f"Replaying frozen layers failed: {type(error).__name__}: {error}")
        for part in kept:
            part.features = None
        return False

    def _features(self, prefix: FrozenPrefix, part: Part, on_disk: bool, number: int) -> FeatureStore:
        file = self.run.folder / f"{TEMPORARY_PREFIX}features-{number}.bin" if on_disk else None
        with self.accelerator.autocast():
            return prefix.compute(
                part.encoded.tokens.offsets,
                part.batches.in_order(),
                lambda indices: self._batch(part, indices),
                self.accelerator.device,
                file,
                lambda done, total: self.watch.phase("running the frozen layers once", done, total),
            )

    # -- evaluation --------------------------------------------------------------------------------------------------

    def _evaluate(self, part: Part) -> dict[str, float]:
        outputs, loss = self._outputs(part)
        figures = self.task.metrics(outputs, part.encoded.targets)
        return {"eval/loss": loss, **{f"eval/{name}": value for name, value in figures.items()}}

    def _outputs(self, part: Part) -> tuple[NDArray[np.float32], float]:
        """The task's outputs for every example, in their order, and the mean loss."""
        self.model.eval()
        order, outputs, losses = [], [], []
        with torch.inference_mode(), self.accelerator.autocast():
            for indices in part.batches.in_order():
                result = self.model(**self._batch(part, indices))
                outputs.append(self.task.outputs(result))
                losses.append(result.loss.float() * len(indices))
                order.append(indices)
        found = torch.cat(outputs).float().cpu().numpy()
        in_order = np.empty_like(found)
        in_order[np.concatenate(order)] = found
        return in_order, float(torch.stack(losses).sum()) / len(part)

    # -- after training ----------------------------------------------------------------------------------------------

    def _finish(self, dataset: Dataset, loaded: Loaded, parts: dict[str, Part], outcome: Outcome, began: float) -> None:
        name = "test" if "test" in parts else "valid"
        self.watch.phase(f"evaluating on the {name} part")
        part = parts[name]
        if name == "valid":
            self.notes.append("There is no test part: the figures are of the validation part, which chose the weights.")
        outputs, loss = self._outputs(part)
        result = self.task.report(outputs, part.encoded.targets, parts["train"].encoded.targets)
        result["metrics"]["loss"] = {"value": loss, "low": None, "high": None}
        rows = self.task.prediction_rows(part.examples, outputs, part.encoded.targets)
        write_predictions(self.run, rows)
        self.watch.phase("saving the model")
        self._save_model(loaded)
        write_report(
            self.run,
            {
                **result,
                "primary_metric": self.task.primary_metric,
                "evaluated_on": name,
                "examples": {each: len(p) for each, p in parts.items()},
                "cost": self._cost(outcome, began),
                "steps": outcome.position.step,
                "best_step": outcome.position.best_step,
                "weights_of_step": self.kept_step,
                "frozen_cache": self.frozen_cache,
                "notes": self.notes,
                "data_fingerprint": dataset.fingerprint,
            },
        )
        metric = self.task.primary_metric
        value = result["metrics"][metric]
        self.watch.say(
            f"{metric} {value['value']:.4f} (95% interval {value['low']:.4f} to {value['high']:.4f}) on {len(part)} "
            f"examples; baseline {result['baseline'][metric]:.4f}"
        )

    def _save_model(self, loaded: Loaded) -> None:
        with whole_folder(self.run.folder / "model") as folder:
            self.resolved.tuning.save(self.model, folder)
            loaded.tokenizer.save_pretrained(folder)
            note = {
                "base": loaded.base if self.resolved.tuning.saves_adapter else _without_folder(loaded.base),
                "task": self.spec.task.model_dump(mode="json"),
                "tuning": self.spec.tuning.model_dump(mode="json"),
                "labels": self.task.labels,
                "head": self.task.head,
                "head_options": self.task.model_options(),
                "max_length": self.spec.data.max_length,
                "adapter": self.resolved.tuning.saves_adapter,
            }
            write_json(folder / BASE_FILE, note)

    def _parameters(self) -> tuple[int, int]:
        trained = sum(p.numel() for p in self.model.parameters() if p.requires_grad)
        return trained, sum(p.numel() for p in self.model.parameters())

    def _cost(self, outcome: Outcome, began: float) -> dict[str, Any]:
        trained, total = self._parameters()
        seconds = outcome.position.seconds + self.frozen_seconds
        cuda = self.device.kind == "cuda"
        return {
            "seconds": round(seconds, 3),
            "total_seconds": round(time.monotonic() - began, 3),
            "tokens_per_second": outcome.position.tokens / max(seconds, 1e-9),
            "tokens": outcome.position.tokens,
            "peak_memory_bytes": torch.cuda.max_memory_allocated() if cuda else peak_rss_bytes(),
            "trained_parameters": trained,
            "total_parameters": total,
            "device": self.device.name,
            "precision": self.device.precision,
        }

    def _forget_features(self) -> None:
        with contextlib.suppress(OSError):  # must not hide what ended the run
            for path in self.run.folder.glob(f"{TEMPORARY_PREFIX}features-*"):
                path.unlink(missing_ok=True)


def _without_folder(base: dict[str, Any]) -> dict[str, Any]:
    """Where a whole result came from, without the path of this machine: the result does not need it to be loaded."""
    kind, _, argument = base["source"].partition(":")
    return {**base, "source": f"path:{Path(argument).name}"} if kind == "path" else base


def _anatomy(model: Any) -> Anatomy | None:
    with contextlib.suppress(SpecError):
        return Anatomy.of(model)
    return None


def _positions(model: Any) -> int | None:
    """The longest input that a model has positions for, in tokens; None when it has no such limit."""
    positions: int | None = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        # RoBERTa and its kin count positions from after the padding's.
        if positions and name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return positions - int(module.padding_idx) - 1
    return positions
