"""Solves the linear head of a frozen model: its features are computed once, and no gradient passes through the body.

    features of every text -> for each C: solve, evaluate -> the best one becomes the head

The features are stored in the run's folder, so that a resumed run does not compute them again.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

from workbench.files import write_atomically
from workbench.metrics import measures
from workbench.notes import REFITTED, SOLVED_HEAD
from workbench.runs.recovery import drop_after
from workbench.tasks.base import Task
from workbench.training.context import RunContext
from workbench.training.core.state import TrainState
from workbench.training.evaluation import Evaluation
from workbench.training.loop import TrainerCallback, TrainingInputs, TrainResult
from workbench.training.prepare import Prepared
from workbench.training.splits import EncodedSplit
from workbench.training.trainer import Trainer
from workbench.tuning.head import Head, linear_head
from workbench.tuning.linear_models import HeadTargets, LinearHead, LinearProblem
from workbench.types import Model

FOLDS = 5  # of the cross-validation without a validation split
FEATURES_FILE = "features.safetensors"


@dataclass(frozen=True)
class Fold:
    """A part of the training split that is held out in cross-validation.

    Attributes:
        problem: the other parts.
        features: of the held-out texts, [N, D].
        targets: of the held-out texts.
    """

    problem: LinearProblem
    features: torch.Tensor
    targets: HeadTargets


def can_solve(context: RunContext, prepared: Prepared) -> bool:
    """Return whether the head of a prepared run can be solved, and the spec does not ask for training it.

    Args:
        context: the run.
        prepared: its data and model.
    """
    tuning = context.tuning
    return (
        isinstance(tuning, Head)
        and tuning.config.solver == "auto"
        and linear_head(prepared.model, prepared.loaded.newly_initialized) is not None
        and context.task.head_targets(prepared.splits["train"].encoded) is not None
    )


class SolvedHead(Trainer):
    """Solves the head of a prepared run, for which :func:`can_solve` is true.

    Args:
        context: the run.
        prepared: its data and model.
    """

    def __init__(self, context: RunContext, prepared: Prepared) -> None:
        super().__init__(context, prepared)
        name = linear_head(self.model, prepared.loaded.newly_initialized)
        assert name is not None
        self._name = name
        self._linear: nn.Linear = self.model.get_submodule(name)  # type: ignore[assignment]
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        for parameter in self._linear.parameters():
            parameter.requires_grad_(True)

    def train(self, inputs: TrainingInputs | None = None, callback: TrainerCallback | None = None) -> TrainResult:
        """Solve the head for each C, and keep the best.

        Args:
            inputs: not used.
            callback: receives the rows of metrics; the run's reporter if left out.

        Raises:
            StopRequested: the run was asked to stop.
        """
        began = time.monotonic()
        reporter, tuning = self.context.reporter, self.context.tuning
        assert isinstance(tuning, Head)
        callback = callback or reporter
        drop_after(self.context.run, 0)
        names: list[str] = [name for name in ("train", "valid") if name in self.prepared.splits]
        features = self._load_features(names) or self._compute_features(names)
        self.caching_seconds = time.monotonic() - began
        state = TrainState(tokens=sum(int(self.prepared.splits[name].encoded.lengths.sum()) for name in names))
        targets = self._targets("train")
        problem = self._problem(features["train"], targets)
        folds = None if "valid" in features else self._folds(features["train"], targets)
        strengths, best = self.strengths, None
        values: dict[str, float] = {}
        smaller_is_better = folds is not None or self.context.task.evaluation_metric in measures.SMALLER_IS_BETTER
        better = operator.lt if smaller_is_better else operator.gt
        for number, strength in enumerate(strengths, start=1):
            reporter.phase("solving the head", number - 1, len(strengths))
            head = problem.solve(strength)
            row, value, loss = self._assess(head, strength, features, folds)
            state.step, state.seconds = number, time.monotonic() - began - self.caching_seconds
            reporter.progress(state, len(strengths), 1.0)
            row_head = {
                "step": number,
                "epoch": 1.0,
                "time": round(time.monotonic() - began, 3),
                "tokens": state.tokens,
            }
            train_loss = mean_loss(problem.targets, head.logits(features["train"]))
            callback.log({**row_head, "train/loss": train_loss, "train/C": strength, **row})
            values[f"{strength:g}"] = value
            if best is None or better(value, best[0]) or (value == best[0] and loss < best[1]):
                best = (value, loss, head, strength)
                state.best_step, state.best_metric = number, value
        assert best is not None
        _, _, head, strength = best
        primary = "loss" if folds else self.context.task.evaluation_metric
        where = f"in {FOLDS}-fold cross-validation" if folds else "on the validation split"
        tried = ", ".join(values)
        self.notes.append(SOLVED_HEAD.format(C=f"{strength:g}", values=tried, metric=primary, where=where))
        if self.learns_from_validation():
            head = self._problem(torch.cat(list(features.values())), self._all_targets(names)).solve(strength)
            self.notes.append(REFITTED)
        self._set(head)
        tuning.solution = {"C": strength, primary: dict(values), "lbfgs_steps": head.steps}
        (self.context.run.checkpoints_folder / FEATURES_FILE).unlink(missing_ok=True)
        return TrainResult(state, len(strengths), "finished")

    def load_best(self, result: TrainResult) -> int:
        """Return the number of the best C: its head is in the model.

        Args:
            result: how solving ended.
        """
        return result.state.best_step or 0

    @property
    def strengths(self) -> Sequence[float]:
        """The values of C that are tried."""
        assert isinstance(self.context.tuning, Head)
        return self.context.tuning.strengths

    def solve(self, features: torch.Tensor, split: EncodedSplit) -> LinearHead:
        """Solve the head for some texts, with the first value of C.

        Args:
            features: of the texts, [N, D].
            split: the texts.
        """
        targets = self.context.task.head_targets(split.encoded)
        assert targets is not None
        return self._problem(features, targets).solve(self.strengths[0])

    def learns_from_validation(self) -> bool:
        """Return whether the final head is solved on the validation examples as well."""
        tuning = self.context.tuning
        return isinstance(tuning, Head) and tuning.config.refit and {"valid", "test"} <= self.prepared.splits.keys()

    # -- features ------------------------------------------------------------------------------------------------------

    def features(self, split: EncodedSplit, phase: str) -> torch.Tensor:
        """Return what the head reads of each text, float32 [N, D].

        Args:
            split: the texts.
            phase: the name under which progress is reported.
        """
        return compute_features(self.context, self.evaluation, self._name, split, phase)

    def _compute_features(self, names: list[str]) -> dict[str, torch.Tensor]:
        from safetensors.torch import save

        splits = self.prepared.splits
        features = {name: self.features(splits[name], f"computing the features of the {name} split") for name in names}
        content = save({name: rows.cpu() for name, rows in features.items()}, self._identity())
        path = self.context.run.checkpoints_folder / FEATURES_FILE
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, lambda file: file.write(content))
        return features

    def _load_features(self, names: list[str]) -> dict[str, torch.Tensor] | None:
        """Return the features that an earlier process of this run has stored; None if there are none for these data."""
        from safetensors import SafetensorError, safe_open

        path = self.context.run.checkpoints_folder / FEATURES_FILE
        try:
            with safe_open(path, framework="pt") as file:
                if file.metadata() != self._identity() or set(file.keys()) != set(names):
                    return None
                features = {name: file.get_tensor(name).to(self._linear.weight.device) for name in names}
        except (OSError, SafetensorError):
            return None
        self.context.reporter.info("Using the features that were computed before the run was interrupted.")
        return features

    def _identity(self) -> dict[str, str]:
        """Return what the features depend on."""
        fingerprint = str(self.prepared.loaded.base["fingerprint"])
        precision = self.context.device.precision
        return {"data": self.prepared.dataset.fingerprint, "model": fingerprint, "precision": precision}

    # -- solutions -----------------------------------------------------------------------------------------------------

    def _targets(self, split: str) -> HeadTargets:
        targets = self.context.task.head_targets(self.prepared.splits[split].encoded)
        assert targets is not None
        return targets

    def _all_targets(self, splits: list[str]) -> HeadTargets:
        parts = [self._targets(split) for split in splits]
        weights = [part.weights for part in parts if part.weights is not None]
        values = np.concatenate([part.values for part in parts])
        return HeadTargets(parts[0].kind, values, np.concatenate(weights) if weights else None)

    def _problem(self, features: torch.Tensor, targets: HeadTargets) -> LinearProblem:
        return LinearProblem(features, targets, self._linear.out_features, self._linear.bias is not None)

    def _folds(self, features: torch.Tensor, targets: HeadTargets) -> list[Fold]:
        """Return the parts of the training split for cross-validation."""
        order = np.random.default_rng(self.settings.seed).permutation(len(features))
        folds = []
        for fold in range(FOLDS):
            held_out = np.sort(order[fold::FOLDS])
            rest = np.setdiff1d(order, held_out)
            problem = self._problem(features[torch.from_numpy(rest)], targets.subset(rest))
            folds.append(Fold(problem, features[torch.from_numpy(held_out)], targets.subset(held_out)))
        return folds

    def _assess(
        self,
        head: LinearHead,
        strength: float,
        features: dict[str, torch.Tensor],
        folds: list[Fold] | None,
    ) -> tuple[dict[str, float], float, float]:
        """Return a row of metrics, the value by which the best C is chosen, and the loss."""
        task = self.context.task
        if folds is not None:
            losses = [mean_loss(fold.targets, fold.problem.solve(strength).logits(fold.features)) for fold in folds]
            loss = float(np.mean(losses))
            return {"eval/loss": loss}, loss, loss
        valid = self.prepared.splits["valid"]
        loss = mean_loss(self._targets("valid"), head.logits(features["valid"]))
        metrics = {f"eval/{name}": value for name, value in assess(task, head, features["valid"], valid).items()}
        return {"eval/loss": loss, **metrics}, metrics[f"eval/{task.evaluation_metric}"], loss

    def _set(self, head: LinearHead) -> None:
        """Write a solution into the model."""
        with torch.no_grad():
            self._linear.weight.copy_(head.weight)
            if head.bias is not None:
                self._linear.bias.copy_(head.bias)


def compute_features(
    context: RunContext, evaluation: Evaluation, head: str, split: EncodedSplit, phase: str
) -> torch.Tensor:
    """Return what a linear head reads of each text, float32 [N, D].

    Args:
        context: the run.
        evaluation: holds the model.
        head: name of the head in the model.
        split: the texts.
        phase: the name under which progress is reported.
    """
    model = evaluation.model
    linear: nn.Linear = model.get_submodule(head)  # type: ignore[assignment]
    rows = torch.empty(len(split), linear.in_features, device=linear.weight.device)
    done = 0
    with _without_head(model, head), torch.inference_mode(), context.accelerator.autocast():
        model.eval()
        for indices in split.batches.in_order():
            context.reporter.phase(phase, done, len(split))
            batch = evaluation.batch(split, indices)
            batch.pop("labels", None)
            rows[torch.from_numpy(indices)] = model(**batch).logits.float()
            done += len(indices)
    return rows.clone()


def assess(task: Task, head: LinearHead, features: torch.Tensor, split: EncodedSplit) -> dict[str, float]:
    """Return the metrics of a solved head on a split.

    Args:
        task: interprets the outputs.
        head: a solved head.
        features: of the split, [N, D].
        split: its targets are compared with.
    """
    outputs = task.outputs(SimpleNamespace(logits=head.logits(features)), {}).cpu().numpy()
    return task.metrics(outputs, split.encoded.targets)


def mean_loss(targets: HeadTargets, logits: torch.Tensor) -> float:
    """Return the weighted mean loss of a head: cross-entropy, or squared error for numbers.

    Args:
        targets: what it has to predict.
        logits: [N, L].
    """
    values = torch.from_numpy(np.asarray(targets.values)).to(logits.device)
    if targets.kind == "classes":
        losses = nn.functional.cross_entropy(logits, values, reduction="none")
    elif targets.kind == "label sets":
        losses = nn.functional.binary_cross_entropy_with_logits(logits, values, reduction="none")
    else:
        losses = (logits[:, 0] - values).square()
    weights = torch.ones_like(losses) if targets.weights is None else torch.from_numpy(targets.weights).to(losses)
    return float((losses * weights).sum() / weights.sum())


@contextmanager
def _without_head(model: Model, name: str) -> Iterator[None]:
    """Replace a linear head by nothing inside the block: the model's logits are then what the head would read."""
    parent_name, _, child = name.rpartition(".")
    parent, head = model.get_submodule(parent_name), model.get_submodule(name)
    setattr(parent, child, nn.Identity())
    try:
        yield
    finally:
        setattr(parent, child, head)
