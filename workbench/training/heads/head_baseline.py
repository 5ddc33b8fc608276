"""What a solved head on the model before fine-tuning reaches: a baseline beside the majority and TF-IDF.

It shows what fine-tuning the body has added. One pass over the texts, without gradients, and seconds for the solution.
"""

from __future__ import annotations

import torch

from workbench.files import read_json, write_json
from workbench.metrics import measures
from workbench.tasks.base import TaskReport
from workbench.training.context import RunContext
from workbench.training.core.steps import StepSchedule
from workbench.training.evaluation import Evaluation
from workbench.training.heads.solved_head import assess, compute_features
from workbench.training.prepare import Prepared
from workbench.tuning.head import STRENGTHS, Head, linear_head
from workbench.tuning.linear_models import LinearHead, LinearProblem

NAME = "the model before fine-tuning, with a solved head"
MAX_SHARE = 0.05  # of the cost of training, for ``auto``
FILE = "head_baseline.json"
_PHASE = "solving a head on the model before fine-tuning"


def is_cheap(context: RunContext, prepared: Prepared) -> bool:
    """Return whether the pass over all texts costs less than 5% of training.

    The unit is a pass of one token. A training step passes each token forward and, at about twice the cost, backward;
    backward through frozen weights costs half of it.

    Args:
        context: the run.
        prepared: its data.
    """
    train, settings = prepared.splits["train"], context.spec.training
    steps = StepSchedule.from_spec(train.batches, settings, train.tokens, context.task.min_steps())
    epochs = steps.total * settings.gradient_accumulation / max(1, train.batches.count(0))
    trained = int(train.encoded.lengths.sum()) * epochs * (2 if context.tuning.saves_adapter else 3)
    names = {"train", "valid", prepared.reported} & prepared.splits.keys()
    return sum(int(prepared.splits[name].encoded.lengths.sum()) for name in names) < MAX_SHARE * trained


def head_baseline(context: RunContext, prepared: Prepared) -> TaskReport:
    """Solve a head on the model before fine-tuning. The model is not changed; call it before the method is applied.

    Args:
        context: the run; a resumed one reads the result of its first process.
        prepared: its data and model.

    Returns:
        ``{name of the baseline: metrics}``; empty where the spec, the task or the model has no such baseline.
    """
    choice, path = context.spec.training.head_baseline, context.run.folder / FILE
    name = linear_head(prepared.model, prepared.loaded.newly_initialized)
    if name is None or isinstance(context.tuning, Head) or context.resolved.model.from_scratch:
        return {}
    targets = context.task.head_targets(prepared.splits["train"].encoded)
    if targets is None or choice == "off" or (choice == "auto" and not is_cheap(context, prepared)):
        return {}
    stored = read_json(path)
    if not isinstance(stored, dict):
        stored = _metrics(context, prepared, name)
        write_json(path, stored)
    return {NAME: stored}


def _metrics(context: RunContext, prepared: Prepared, name: str) -> dict[str, float]:
    """Return the metrics on the reported split of the head that is best on the validation split."""
    task, splits = context.task, prepared.splits
    model = prepared.model.to(context.accelerator.device)
    evaluation = Evaluation(task, model, prepared.tokenizer, context.spec.data.max_length, context.accelerator)
    names: list[str] = [each for each in ("train", "valid", "test") if each in splits]
    features = {each: compute_features(context, evaluation, name, splits[each], _PHASE) for each in names}
    targets = task.head_targets(splits["train"].encoded)
    assert targets is not None
    outputs, has_bias = _shape(model.get_submodule(name))
    problem = LinearProblem(features["train"], targets, outputs, has_bias)
    if "valid" not in splits:
        return assess(task, problem.solve(STRENGTHS[len(STRENGTHS) // 2]), features["test"], splits["test"])
    sign = -1 if task.evaluation_metric in measures.SMALLER_IS_BETTER else 1
    heads: list[tuple[float, LinearHead]] = []
    for strength in STRENGTHS:
        context.reporter.phase(_PHASE)
        head = problem.solve(strength)
        heads.append((sign * assess(task, head, features["valid"], splits["valid"])[task.evaluation_metric], head))
    best = max(heads, key=lambda pair: pair[0])[1]
    return assess(task, best, features[prepared.reported], splits[prepared.reported])


def _shape(head: torch.nn.Module) -> tuple[int, bool]:
    """Return the number of outputs of a linear layer, and whether it has a bias."""
    assert isinstance(head, torch.nn.Linear)
    return head.out_features, head.bias is not None
