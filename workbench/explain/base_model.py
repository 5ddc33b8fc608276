"""The model that a run began with, to be compared with what the run made of it."""

from __future__ import annotations

import torch

from workbench.check import resolve
from workbench.data.progress import Progress
from workbench.inference.predictor import Predictor
from workbench.runs.run import Run


def load_base_model(run: Run, trained: Predictor, progress: Progress | None = None) -> Predictor:
    """The base of a run as it was before the first step, with the new head that it was given then.

    Its attention is the base's; what it predicts is chance where the head was new.

    Args:
        run: a finished run.
        trained: its own predictor; task, labels and length are the same.
        progress: told of downloads.

    Raises:
        SpecError: the run's spec names something that is not there any more.
        FetchError: the base cannot be fetched.
    """
    resolved = resolve(run.spec(), run.workspace, run.is_confined())
    resolved.model.prepare(lambda: iter(()), run.folder / "tokenizer", progress)  # the one that the run has learned
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(resolved.spec.training.seed)  # the new head is drawn from the seed, as in the run
        loaded = resolved.model.load(trained.task.head, trained.task.model_options(), progress)
    model = loaded.model.to(next(trained.model.parameters()).device)
    return Predictor(model, loaded.tokenizer, trained.task, trained.max_length)
