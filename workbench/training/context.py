"""A run and what it computes with."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from workbench.check import Resolved, resolve
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.system.machine import cpu_cores, idle_cores, limit_onednn_cache
from workbench.tasks.answers import Answer
from workbench.tasks.base import Task
from workbench.tasks.contexts import TaskInput
from workbench.training.core.device import Device
from workbench.training.processes import ONE_PROCESS, Processes
from workbench.training.reporter import RunReporter
from workbench.tuning.base import Tuning
from workbench.workspace import Workspace


@dataclass(frozen=True)
class RunContext:
    """A run in its process: its spec with everything it names, its device, and its reporter.

    Attributes:
        run: its folder.
        reporter: receives progress.
        workspace: the run's workspace.
        resolved: the spec with its task, model source and fine-tuning method.
        device: where the run trains, and in which precision.
        accelerator: moves models and batches there.
        processes: the processes that train the run; one without a launcher.
    """

    run: Run
    reporter: RunReporter
    workspace: Workspace
    resolved: Resolved
    device: Device
    accelerator: Accelerator
    processes: Processes = ONE_PROCESS

    @classmethod
    def create(cls, run: Run, reporter: RunReporter) -> RunContext:
        """Resolve the run's spec and choose its device.

        Args:
            run: its folder holds the spec.
            reporter: receives progress.

        Raises:
            SpecError: the spec cannot be run.
            RequestError: the device is not available, or cannot compute in the precision.
        """
        workspace = run.workspace.create()
        resolved = resolve(run.spec(), workspace, run.is_confined())
        resolved.task.predict_with_run = partial(_predict_with_run, workspace)
        limit_onednn_cache()
        training = resolved.spec.training
        device = Device.choose(training.device, training.precision)
        _choose_threads(run, reporter)
        AcceleratorState._reset_state(reset_partial_state=True)  # of an earlier run in this process
        processes = Processes.current()
        accelerator = Accelerator(
            mixed_precision=device.mixed_precision,
            cpu=device.kind == "cpu",
            # Some models have weights that a task does not use, such as a pooler.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)] if processes.count > 1 else [],
        )
        return cls(run, reporter, workspace, resolved, device, accelerator, processes)

    @property
    def spec(self) -> RunSpec:
        """The resolved spec."""
        return self.resolved.spec

    @property
    def task(self) -> Task:
        """The run's task."""
        return self.resolved.task

    @property
    def tuning(self) -> Tuning:
        """The run's fine-tuning method."""
        return self.resolved.tuning


def _choose_threads(run: Run, reporter: RunReporter) -> None:
    """Use the idle cores, or as many threads as when the run began; the user's ``OMP_NUM_THREADS`` has precedence."""
    if os.environ.get("OMP_NUM_THREADS"):
        return
    before = run.environment()
    cores = cpu_cores()
    threads = min(cores, (before.threads if before else None) or idle_cores())
    torch.set_num_threads(threads)
    if threads < cores:
        reporter.info(
            f"Computing with {threads} of {cores} CPU threads, because other programs use the rest. To choose, set the "
            "environment variable OMP_NUM_THREADS."
        )


def _predict_with_run(workspace: Workspace, run_id: str, inputs: Sequence[TaskInput]) -> list[Answer]:
    """Return the predictions of another finished run. Raises RequestError if it has no model."""
    from workbench.inference.predictor import Predictor

    return Predictor.load(Run.open(run_id, workspace)).predict(inputs)
