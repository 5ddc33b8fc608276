"""A trial of a run: a few of its real steps, timed, and the rest reckoned from them.

    python -m workbench.training.estimate FOLDER

The trial reads the run's own data, loads its model, and takes some of the batches that the run will have: the widest,
for memory and to warm up, then others from the narrowest to the widest. A straight line through the seconds of a step
over its tokens (padding included) tells what all steps will take. Evaluation, checkpoints and what comes after training
are done once on a small part, and counted as often as the run will do them.
"""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from workbench.data.load import Dataset
from workbench.data.text.batching import Batches
from workbench.machine import peak_rss_bytes
from workbench.models.base import LoadedModel
from workbench.runs import estimates
from workbench.runs.documents import Estimate, Interval
from workbench.runs.predictions import write_predictions
from workbench.runs.run import Run
from workbench.spec import RANGE_TEST
from workbench.tasks.base import Task
from workbench.training import checkpoint
from workbench.training.cost import parameters
from workbench.training.job import TrainingJob
from workbench.training.loop import TrainingInputs, add_up_gradients, move_weights
from workbench.training.meter import Meter
from workbench.training.optim import make_optimizer, make_schedule
from workbench.training.runner import RunReporter, StopRequested, as_workbench_error
from workbench.training.splits import EncodedSplit
from workbench.training.state import TrainState
from workbench.training.steps import Indices, OptimizerStep, StepSchedule

STEP_SECONDS = 12.0  # of timing steps, warm-up left out
LEAST_STEPS, MOST_STEPS = 6, 40
WARM_UP = 2  # steps that are not counted: memory is taken, kernels are chosen
EVALUATED_BATCHES = 4  # of the validation and of the test part
WRITTEN = 16  # examples that a task writes its answers for
# What no short measurement can see: a machine that other work slows down, memory that is not given back.
TIME_MARGIN, MEMORY_MARGIN = 0.2, 0.1

T = TypeVar("T")


@dataclass
class ProfilingReporter(RunReporter):
    """The watch of a trial: it knows what share of the time was spent on downloads, which happen once a machine."""

    download_seconds: float = 0.0
    _downloading: tuple[str, float] = ("", 0.0)

    def download(self, label: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._downloading[0] == label:
            self.download_seconds += now - self._downloading[1]
        self._downloading = (label, now)
        super().download(label, done, total)


@dataclass(frozen=True)
class Chosen(Batches):
    """Batches of which only some are gone through in order: those that the trial takes."""

    chosen: tuple[Indices, ...] = ()

    def in_order(self) -> list[Indices]:
        return list(self.chosen)


@dataclass
class Seconds:
    """What the stages of a trial took."""

    prepare: float = 0.0
    frozen: float = 0.0
    evaluation: float = 0.0
    samples: float = 0.0
    checkpoint: float = 0.0
    finish: float = 0.0
    first_step: float = 0.0  # memory is taken in it, and kernels are chosen
    steps: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)  # bytes of the process after each of the steps


class ProfilingRun(TrainingJob):
    """The run's work on a small part of its data.

    Args:
        run: a folder with the whole spec, outside of ``runs/``.
        watch: told of progress, asked whether to stop.
    """

    def __init__(self, run: Run, watch: ProfilingReporter) -> None:
        super().__init__(run, watch)
        self.downloads = watch
        self.trains = self.spec.kind != RANGE_TEST  # and evaluates, and saves
        self.took = Seconds()
        self.added_bytes = 0.0  # that the run will hold beyond what the trial holds
        if not self.trains:
            steps = {"epochs": 10_000.0, "max_steps": self.spec.range_test.steps, "max_tokens": None}
            self.training = self.training.model_copy(update=steps)

    def measure(self) -> Estimate:
        """All of it. Raises WorkbenchError for what would make the run fail, StopRequested when it shall end."""
        began = time.monotonic()
        dataset = self._read_data()
        loaded = self._load_model()
        parts = self._encode(dataset, loaded)
        self.took.prepare = time.monotonic() - began - self.downloads.download_seconds
        steps = StepSchedule.from_spec(parts["train"].batches, self.training, self._tokens_of(parts["train"]))
        groups = _first_epoch(steps)
        small = self._small(dataset, parts, loaded, sample(groups, parts["train"].batches))
        self._before(loaded, parts, small)
        self._tune(loaded)
        material = self._material(small)
        if steps.meets_examples_again():
            self._time_frozen(parts, small)
        with self.frozen.replaying():
            if self.training.compile:
                self.model.compile()
            self._time_steps(material, sample(groups, parts["train"].batches), steps.total)
            if self.trains:
                self._time_evaluation(parts, small)
        if self.trains:
            self._time_finish(parts, small, loaded)
        sizes = np.array([_size(group, parts["train"].batches) for group in groups])
        return self._reckon(steps, sizes, time.monotonic() - began)

    # -- stages ----------------------------------------------------------------------------------------------------

    def _tokens_of(self, part: EncodedSplit) -> Callable[[Indices], int]:
        return lambda indices: int(part.encoded.lengths[indices].sum())

    def _small(
        self, dataset: Dataset, parts: dict[str, EncodedSplit], loaded: LoadedModel, groups: list[OptimizerStep]
    ) -> dict[str, EncodedSplit]:
        """The parts, with few batches of each: of the training part those of ``groups``."""
        train = parts["train"]
        chosen = tuple(batch for group in groups for batch in group.batches)
        plan = Chosen(**vars(train.batches), chosen=chosen)
        small = {"train": replace(train, batches=plan)}
        for name, examples in (("valid", dataset.valid), ("test", dataset.test)):
            if name in parts:
                rows = some_rows(parts[name])
                few = examples.take(rows)
                encoded = self.task.encode(loaded.tokenizer, few, self.spec.data.max_length)
                small[name] = EncodedSplit(few, encoded, replace(parts[name].batches, lengths=encoded.lengths))
        return small

    def _before(self, loaded: LoadedModel, parts: dict[str, EncodedSplit], small: dict[str, EncodedSplit]) -> None:
        """What a task measures before training, on the small part."""
        if self.task.evaluates_zero_shot and self.trains:
            name = "test" if "test" in small else "valid"
            _, seconds = timed(lambda: self._look_before(loaded, small))
            self.took.prepare += seconds * share(parts[name], small[name])

    def _time_frozen(self, parts: dict[str, EncodedSplit], small: dict[str, EncodedSplit]) -> None:
        """Run frozen layers over the chosen batches, and reckon what all would take in time and memory."""
        _, seconds = timed(lambda: self._keep_features(small))
        if self.frozen.kept is None:
            return
        met = [name for name in ("train", "valid") if name in parts]
        self.took.frozen = seconds * sum(_padded(parts[name]) for name in met) / sum(_padded(small[n]) for n in met)
        width = self.model.config.hidden_size * 4
        all_rows = sum(int(parts[name].encoded.tokens.offsets[-1]) for name in met)
        seen = sum(int(small[n].encoded.lengths[np.concatenate(small[n].batches.in_order())].sum()) for n in met)
        self.added_bytes += max(0, all_rows - seen) * width

    def _time_steps(self, material: TrainingInputs, groups: list[OptimizerStep], total: int) -> None:
        """Take steps as the loop does, the widest first, and time those after the warm-up."""
        optimizer = make_optimizer(self.model, self.training, self.learning_rate, material.rates, material.no_decay)
        scheduler = make_schedule(optimizer, self.training, total, material.schedule)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        wrapped, prepared = self.accelerator.prepare(self.model, optimizer)
        meter, began = Meter(TrainState()), 0.0
        material.set_training()
        for place, group in enumerate([groups[0]] * WARM_UP + groups[1:]):
            self._heed_stop()
            self.watch.phase("timing steps", place, WARM_UP + len(groups) - 1)
            if place == WARM_UP:
                began = time.monotonic()
            moved = partial(material.after_step, place + 1, total)
            step_began = time.monotonic()
            add_up_gradients(wrapped, material, group, self.training.seed, place, self.accelerator, meter)
            material.before_step(place + 1, total, self._gradient_scale)
            move_weights(trained, self.training.max_grad_norm, prepared, scheduler, self.accelerator, moved)
            _wait_for_device()
            if place == 0:
                self.took.first_step = time.monotonic() - step_began
            if place >= WARM_UP - 1:  # the second time that the widest is met, it is as quick as it will be
                self.took.steps.append(time.monotonic() - step_began)
                self.took.sizes.append(_size(group, material.plan))
                self.took.resident.append(psutil.Process().memory_info().rss)
            if place >= LEAST_STEPS and time.monotonic() - began > STEP_SECONDS:
                break
        self.accelerator.unwrap_model(wrapped, keep_fp32_wrapper=False)
        if self.trains:
            self._time_checkpoint(optimizer, scheduler)

    def _gradient_scale(self) -> float:
        return float(self.accelerator.scaler.get_scale()) if self.accelerator.scaler else 1.0

    def _time_checkpoint(self, optimizer: Any, scheduler: Any) -> None:
        self.watch.phase("timing a checkpoint")
        folder = self.run.folder / "checkpoints"
        saved, self.took.checkpoint = timed(
            lambda: checkpoint.save(folder, self.model, optimizer, scheduler, TrainState(step=1))
        )
        if self.training.load_best:  # its weights are read again: memory for them is needed
            checkpoint.load(saved, self.model)

    def _time_evaluation(self, parts: dict[str, EncodedSplit], small: dict[str, EncodedSplit]) -> None:
        if "valid" not in small:
            return
        self._heed_stop()
        self.watch.phase("timing an evaluation")
        _, first = timed(lambda: self._evaluate_and_write(small["valid"]))
        _, seconds = timed(lambda: self._evaluate(small["valid"]))
        self.took.evaluation = seconds * share(parts["valid"], small["valid"])
        self.took.samples = max(0.0, first - seconds) if (self.run.folder / "samples.jsonl").exists() else 0.0

    def _time_finish(self, parts: dict[str, EncodedSplit], small: dict[str, EncodedSplit], loaded: LoadedModel) -> None:
        """What comes after training: the figures of the test part, the report, the saved model."""
        self._heed_stop()
        name = "test" if "test" in small else "valid"
        self.watch.phase(f"timing the evaluation on the {name} part")
        part, whole = small[name], parts[name]
        (outputs, _), seconds = timed(lambda: self._outputs(part))
        self.took.finish = seconds * share(whole, part)
        held = 3 * outputs.nbytes * len(whole) / len(part)  # a list of them, all in a row, and in order
        self.added_bytes += max(0.0, held - (peak_rss_bytes() - psutil.Process().memory_info().rss))
        if type(self.task).finish is not Task.finish:
            part = self._first_of(part, loaded)
            outputs, _ = self._outputs(part)
            finished, seconds = timed(lambda: self._finish_outputs(part, outputs))
            self.took.finish += seconds * len(whole.examples) / len(part.examples)
        else:
            finished = outputs
        targets = small["train"].encoded.targets

        def report() -> None:
            self.task.report(finished, part.encoded.targets, targets)
            write_predictions(self.run, self.task.prediction_rows(part.examples, finished, part.encoded.targets))

        self.took.finish += timed(report)[1]
        self.watch.phase("timing how the model is saved")
        self.took.finish += timed(lambda: self._save_model(loaded))[1]

    def _first_of(self, part: EncodedSplit, loaded: LoadedModel) -> EncodedSplit:
        """A few examples of a small part, evenly taken: a task that writes takes long for each."""
        rows = np.unique(np.linspace(0, len(part.examples) - 1, WRITTEN).astype(int))
        few = part.examples.take(rows.tolist())
        encoded = self.task.encode(loaded.tokenizer, few, self.spec.data.max_length)
        return EncodedSplit(few, encoded, replace(part.batches, lengths=encoded.lengths))

    def _heed_stop(self) -> None:
        if self.watch.stop_requested():
            raise StopRequested

    # -- the sum ---------------------------------------------------------------------------------------------------

    def _reckon(self, steps: StepSchedule, sizes: NDArray[np.int64], took_seconds: float) -> Estimate:
        took, settings = self.took, self.training
        line = Line.through(np.array(took.sizes, dtype=float), np.array(took.steps))
        per_step = float(np.mean(line.at(sizes)))
        evaluations = times_due(steps, settings.eval_every) if self.trains and took.evaluation else 0
        saves = times_due(steps, settings.checkpoint_every) if self.trains else 0
        training = took.frozen + max(0.0, took.first_step - took.steps[0]) + per_step * steps.total
        training += evaluations * (took.evaluation + took.samples) + saves * took.checkpoint
        notes = []
        if settings.max_minutes is not None and training > 60 * settings.max_minutes:
            training = 60 * settings.max_minutes
            notes.append(f"Training ends after training.max_minutes, {settings.max_minutes:g}, before its last step.")
        low = training
        if settings.early_stopping_patience is not None and evaluations > settings.early_stopping_patience + 1:
            low = training * (settings.early_stopping_patience + 1) / evaluations
            notes.append(
                "training.early_stopping_patience may end training sooner; then it takes as little as the range says."
            )
        if any(run.is_alive() for run in Run.all(self.workspace)):
            notes.append("Another run was at work while this was measured: on a quiet machine it will take less.")
        off = TIME_MARGIN + 2 * line.error() / per_step
        rest = took.prepare + took.finish
        trained, total = parameters(self.model)
        gpu = self.device.kind == "cuda"
        measured = (torch.cuda.max_memory_allocated() if gpu else peak_rss_bytes()) + self.added_bytes
        memory = measured + (0 if gpu else growth(took.resident, steps.total))
        return Estimate(
            total_seconds=_interval(training + rest, max(0, 1 - off) * (low + rest), (1 + off) * (training + rest)),
            seconds=_interval(training, max(0, 1 - off) * low, (1 + off) * training),
            peak_memory_bytes=_interval(memory, measured * (1 - MEMORY_MARGIN), memory * (1 + MEMORY_MARGIN)),
            trained_parameters=trained,
            total_parameters=total,
            steps=steps.total,
            seconds_per_step=per_step,
            evaluations=evaluations,
            seconds_per_evaluation=took.evaluation + took.samples,
            measured_steps=len(took.steps),
            took_seconds=took_seconds,
            device=self.device.name,
            machine=estimates.this_machine(),
            notes=notes,
        )


# -- small parts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """Seconds of a step over its tokens: ``start + slope * tokens``, neither of them negative."""

    start: float
    slope: float
    spread: float  # seconds, of what was measured around the line
    count: int

    @classmethod
    def through(cls, sizes: NDArray[np.float64], seconds: NDArray[np.float64]) -> Line:
        """The line of least squares."""
        start, slope = float(seconds.mean()), 0.0
        if np.ptp(sizes) > 0.01 * sizes.mean():
            slope = float(np.cov(sizes, seconds, bias=True)[0, 1] / np.var(sizes))
            start = float(seconds.mean() - slope * sizes.mean())
            if start < 0:
                start, slope = 0.0, float((sizes * seconds).sum() / (sizes * sizes).sum())
            if slope < 0:
                start, slope = float(seconds.mean()), 0.0
        spread = float(np.sqrt(np.mean((seconds - start - slope * sizes) ** 2)))
        return cls(start, slope, spread, len(sizes))

    def at(self, sizes: NDArray[Any]) -> NDArray[np.float64]:
        """Seconds of steps of these sizes."""
        return np.asarray(self.start + self.slope * sizes, dtype=float)

    def error(self) -> float:
        """The standard error of the line's height, in seconds."""
        return float(self.spread / max(1, self.count) ** 0.5)


def growth(resident: list[int], steps: int) -> float:
    """Bytes that a process will still grow by after the steps that were watched.

    Seen on a CPU: a run of an LSTM grew from 0.7 GB at step 13 to 1.4 GB at step 345, ever more slowly, while MiniLM
    hardly grows. The logarithm of the steps follows that roughly, and a few steps tell too little of it: of that LSTM
    a fifth is still missing.

    Args:
        resident: after each watched step.
        steps: of the whole run.
    """
    watched = len(resident)
    if watched < LEAST_STEPS or steps <= watched:
        return 0.0
    slope = np.polyfit(np.log(np.arange(1, watched + 1)), np.array(resident, dtype=float), 1)[0]
    return max(0.0, float(slope) * float(np.log(steps / watched)))


def sample(groups: list[OptimizerStep], plan: Batches, most: int = MOST_STEPS) -> list[OptimizerStep]:
    """The widest group, then others from all widths in an order that is mixed but always the same."""
    order = sorted(groups, key=lambda group: -_size(group, plan))
    places = np.unique(np.linspace(0, len(order) - 1, most).astype(int))
    mixed = np.random.Generator(np.random.PCG64(0)).permutation(places[1:])
    return [order[0], *(order[place] for place in mixed)]


def some_rows(part: EncodedSplit, batches: int = EVALUATED_BATCHES) -> list[int]:
    """Examples of a part that fill a few of its batches, the widest among them."""
    if len(part.encoded) != len(part.examples):  # rows are windows of examples: any of these
        rows = np.linspace(0, len(part.examples) - 1, batches * part.batches.batch_size)
        return np.unique(rows.astype(int)).tolist()  # type: ignore[no-any-return]
    all_batches = part.batches.in_order()
    places = np.unique(np.linspace(0, len(all_batches) - 1, batches).astype(int))
    return sorted(int(row) for place in places for row in all_batches[place])


def times_due(steps: StepSchedule, every: int | None) -> int:
    """How often something happens that is due every so many steps, or at each epoch's end; the last step counts."""
    if every is not None:
        return -(-steps.total // every)
    ends = epoch = seen = 0
    while seen < steps.total:
        seen += -(-steps.plan.count(epoch) // steps.gradient_accumulation)
        ends, epoch = ends + 1, epoch + 1
    return ends


def share(whole: EncodedSplit, small: EncodedSplit) -> float:
    """How many times more tokens (padding included) a part has than its small one."""
    return _padded(whole) / _padded(small)


def timed(do: Callable[[], T]) -> tuple[T, float]:
    """What ``do`` gives, and the seconds that it took; a GPU is waited for."""
    began = time.monotonic()
    found = do()
    _wait_for_device()
    return found, time.monotonic() - began


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _padded(part: EncodedSplit) -> int:
    return part.batches.padded_tokens(part.batches.in_order())


def _size(group: OptimizerStep, plan: Any) -> int:
    return int(plan.padded_tokens(list(group.batches)))


def _first_epoch(steps: StepSchedule) -> list[OptimizerStep]:
    """The steps of the first epoch, as far as the run goes."""
    found = []
    for group in steps.optimizer_steps(TrainState()):
        found.append(group)
        if group.ends_epoch:
            break
    return found


# -- the process -----------------------------------------------------------------------------------------------------


def _interval(value: float, low: float, high: float) -> Interval:
    return Interval(value=value, low=low, high=high)


def profile_folder(folder: Path) -> int:
    """Do the trial in ``folder``, in this process; the estimate is kept in the workspace. Returns the exit code."""
    run = Run(folder)
    lock = run.process_lock()
    if not lock.acquire():
        return 0
    watch = ProfilingReporter(run)
    watch.begin()
    try:
        trial = ProfilingRun(run, watch)
        found = trial.measure()
        estimates.save(found, trial.spec, trial.workspace)
        watch.end()
        run.update_status(state="succeeded")
        return 0
    except StopRequested:
        watch.end()
        run.update_status(state="stopped")
        return 0
    except Exception as error:
        watch.end()
        failure = as_workbench_error(error)
        traceback.print_exc()
        run.update_status(state="failed", error=failure.as_dict())
        return failure.exit_code
    finally:
        watch.free_reserve()
        for path in folder.iterdir():  # weights, as large as the run's own
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
        lock.release()


if __name__ == "__main__":
    sys.exit(profile_folder(Path(sys.argv[1])))
