"""The model that a run began with, to be compared with the trained model."""

from __future__ import annotations

import torch

from workbench.check import resolve
from workbench.data.progress import Progress
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run
from workbench.training.prepare import load_base


def load_base_model(run: Run, trained: Predictor, progress: Progress | None = None) -> Predictor:
    """Return the base model of a run as it was before the first step, with the head that the run gave it.

    Its attention is that of the base. If the head was newly initialized, its predictions are random.

    Args:
        run: a finished run.
        trained: the run's predictor; task, labels and maximum length are the same.
        progress: called during downloads.

    Raises:
        SpecError: the run's spec names something that no longer exists.
        DataError: the run's head depends on its training data, and that data cannot be read or has changed.
        FetchError: the base cannot be downloaded.
    """
    resolved = resolve(run.spec(), run.workspace, run.is_confined())
    resolved.task.labels = trained.task.labels
    with torch.random.fork_rng(devices=[]):
        loaded = load_base(resolved, run, progress)
    model = loaded.model.to(next(trained.model.parameters()).device)
    return Predictor(model, loaded.tokenizer, trained.task, trained.max_length)
