"""What every task keeps with every tuning: it learns, is saved, answers the same when loaded, and is resumed the same.

Each task brings rows as a user would write them, ``tests/rows/TASK.jsonl``; the model is a Transformer of ours with a
few thousand weights and the head that the task names, and MiniLM where it takes that head. A pair that cannot work is
refused by ``check``, with the reason.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.contracts.test_tunings import StopAfter
from tests.tiny import gains_agree
from workbench.check import check, resolve
from workbench.inference.merging import merge
from workbench.inference.predictor import Predictor
from workbench.models.base import VOCABULARY_HEADS, models
from workbench.models.loading import load_folder
from workbench.runs.run import Run
from workbench.spec import RunSpec
from workbench.tasks.base import tasks
from workbench.training.evaluation import Evaluation
from workbench.training.job import TrainingJob
from workbench.training.reporter import RunReporter
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

ROWS = Path(__file__).parents[1] / "rows"
STEPS = 20
LENGTH = 48  # tokens

# The models have two layers of 32 numbers: what is small beside a real one has to be smaller here.
TUNINGS: dict[str, dict[str, Any]] = {
    "freeze": {"tuning.layers": 1},
    "adapter": {"tuning.width": 8},
    "adalora": {"tuning.rank": 2, "tuning.initial_rank": 3},
    "prompt": {"tuning.tokens": 4},
    "p-tuning": {"tuning.tokens": 8, "training.learning_rate": 1e-3},
    "prefix": {"tuning.tokens": 4},
}

# Pairs that check must refuse, with what it says: (task, tuning) as expressions.
REFUSED = [
    ("sentence-similarity", "head", "without a head"),
    ("translation|summarization|seq2seq-denoising", "head", "the head of an encoder-decoder shares the embeddings"),
    ("translation|summarization|seq2seq-denoising", "prefix", "an encoder or a decoder"),
]

# In make test every task is trained once; with every tuning in make test-slow.
QUICK = ("full",)
PAIRS = [
    pytest.param(task, tuning, marks=() if tuning in QUICK else pytest.mark.slow, id=f"{task}-{tuning}")
    for task in tasks.names()
    for tuning in tunings.names()
]
WITH_MINILM = [
    (task, tuning)
    for task in tasks.names()
    if tasks.get(task)().head in (models.get("minilm").heads or ())
    for tuning in tunings.names()
]


class Observed:
    """A finished run that remembers its loss on the training split, before and after training."""

    def __init__(self, run: Run) -> None:
        job = TrainingJob(run, RunReporter(run))
        self.run, self.context = run, job.context
        prepared = job.prepare()
        self.splits = prepared.splits
        self.trainer = job.make_trainer(prepared)
        self.loss_before = self._loss()
        result = self.trainer.train()
        job.finish(self.trainer, result)
        self.loss_after = self._loss()

    def _loss(self) -> float:
        self.splits["train"].activations = None
        return self.trainer.evaluation.outputs(self.splits["train"])[1]


def rows(task: str) -> list[dict[str, Any]]:
    path = ROWS / f"{task}.jsonl"
    assert path.exists(), f"the task {task} brings no rows: write some 36 to {path}"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def what_is_queried(task: Any) -> list[dict[str, Any]]:
    """A few inputs: ``tests/rows/TASK.asked.json`` where a user asks in another form than that of the rows."""
    path = ROWS / f"{task.name}.asked.json"
    if path.exists():
        results: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return results
    roles = [column.role for column in task.inputs() if column.required]
    return [{role: row[role] for role in roles} for row in rows(task.name)[:3]]


def texts(value: Any) -> Iterator[str]:
    """Every text in a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def make_base(task: str, folder: Path) -> None:
    """A lively Transformer of ours for the task's head, with a tokenizer of the rows' words."""
    import transformers

    from workbench.data.text.tokenizers import TokenizerSpec, save_tokenizer, train_tokenizer
    from workbench.models.networks import heads, transformer

    assert heads  # importing it registers our models with the Auto classes
    tokenizer = train_tokenizer(texts(rows(task)), TokenizerSpec(train="wordpiece", vocab_size=600, min_frequency=1))
    head = tasks.get(task).head if isinstance(tasks.get(task).head, str) else tasks.get(task)().head
    kinds: dict[str, Any] = {
        "AutoModelForCausalLM": transformer.DecoderConfig,
        "AutoModelForSeq2SeqLM": transformer.EncoderDecoderConfig,
    }
    shape = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "dropout": 0.0,
    }
    special = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3}
    indices = {"vocab_size": len(tokenizer), "max_position_embeddings": 2 * LENGTH, "initializer_range": 0.2}
    if head == "AutoModelForSeq2SeqLM":
        special["decoder_start_token_id"] = 2
    config = kinds.get(head, transformer.EncoderConfig)(**shape, **special, **indices)
    torch.manual_seed(0)
    own_head = head in VOCABULARY_HEADS
    getattr(transformers, head if own_head else "AutoModel").from_config(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def spec_of(task: str, tuning: str, workspace: Workspace) -> RunSpec:
    """A short run of the task with the tuning, on its rows."""
    base, data = workspace.uploads / "base", workspace.uploads / "rows.jsonl"
    if not base.exists():
        make_base(task, base)
        data.write_text((ROWS / f"{task}.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    spec = RunSpec.parse(
        {
            "name": f"{task} {tuning}",
            "task": task,
            "data": {"train": str(data), "max_length": LENGTH, "holdout": {"valid": 0.1, "test": 0.2}},
            "model": f"path:{base}",
            "tuning": tuning,
            "training": {
                "max_steps": STEPS,
                "epochs": 100,
                "batch_size": 8,
                "learning_rate": 5e-3,
                "warmup_ratio": 0,
                "log_every": 1,
                "eval_every": STEPS,
                "checkpoint_every": 5,
                "load_best": False,
                "device": "cpu",
                "precision": "fp32",
            },
        }
    )
    fields = tasks.get(task).Config.model_fields
    short = {"max_new_tokens": 6, "packing": False, "written": 4, "ranked": 4}
    changes = {f"task.{name}": value for name, value in short.items() if name in fields}
    return spec.changed({**changes, **TUNINGS.get(tuning, {})})


def with_minilm(spec: RunSpec, tuning: str) -> RunSpec:
    """The same run of MiniLM, with the tuning's own options and rate, which are made for a model of its size."""
    plain = spec.model_dump(mode="json")
    plain["model"], plain["tuning"] = "minilm", tuning
    del plain["training"]["learning_rate"], plain["training"]["checkpoint_every"]  # a checkpoint is 400 MB
    plain["data"]["max_length"] = 2 * LENGTH  # its tokenizer was not made of these rows: it takes more pieces
    if tuning == "p-tuning":  # its virtual tokens come from a new network, which has far to go in 20 steps
        plain["training"]["learning_rate"] = 5e-3
    return RunSpec.parse(plain)


def expected_refusal(task: str, tuning: str) -> str | None:
    return next((why for t, m, why in REFUSED if re.fullmatch(t, task) and re.fullmatch(m, tuning)), None)


@pytest.fixture(scope="module")
def workspaces() -> dict[str, Workspace]:
    """A workspace for each task, so that its base is made once."""
    return {}


@pytest.mark.parametrize(("task", "tuning"), PAIRS)
def test_a_task_with_a_tuning(
    task: str, tuning: str, workspaces: dict[str, Workspace], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if task not in workspaces:
        workspaces[task] = Workspace(tmp_path_factory.mktemp(task)).create()
    workspace = workspaces[task]
    spec, why = spec_of(task, tuning, workspace), expected_refusal(task, tuning)
    errors = [problem for problem in check(spec, workspace) if problem.severity == "error"]
    if why:
        assert errors and re.search(why, " ".join(error.message for error in errors))
        return
    assert not errors, errors
    work = run_once(spec, workspace)
    it_learned_and_reports(work)
    loaded_again_it_puts_out_and_answers_the_same(work)
    merged_it_puts_out_the_same(work)
    resumed_it_ends_with_the_same_weights(work)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "tuning"), WITH_MINILM)
def test_minilm_with_a_task_and_a_tuning(
    task: str,
    tuning: str,
    workspaces: dict[str, Workspace],
    tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
) -> None:
    """That it is resumed the same is seen with the small models, and here for one task."""
    if task not in workspaces:
        workspaces[task] = Workspace(tmp_path_factory.mktemp(task)).create()
    workspace = workspaces[task]
    spec, why = with_minilm(spec_of(task, tuning, workspace), tuning), expected_refusal(task, tuning)
    if tasks.get(task)().head in VOCABULARY_HEADS and tunings.get(tuning).saves_adapter:
        why = "an adapter cannot hold a new one"  # MiniLM brings no output over its words
    errors = [problem for problem in check(spec, workspace) if problem.severity == "error"]
    if why:
        assert errors and re.search(why, " ".join(error.message for error in errors))
        return
    assert not errors, errors
    work = run_once(spec, workspace)
    try:
        it_learned_and_reports(work)
        loaded_again_it_puts_out_and_answers_the_same(work)
        merged_it_puts_out_the_same(work)
        if task == "text-classification":
            resumed_it_ends_with_the_same_weights(work)
    finally:
        shutil.rmtree(work.run.folder)  # 130 MB each


def run_once(spec: RunSpec, workspace: Workspace) -> Observed:
    run = Run.create(resolve(spec, workspace).spec, workspace)
    return Observed(run)


def it_learned_and_reports(work: Observed) -> None:
    assert work.loss_after < work.loss_before
    report = work.run.report()
    primary = report.primary_metric
    assert report.metrics[primary].as_dict().keys() >= {"value", "low", "high"}
    assert primary in report.baseline and report.baseline_name
    if report.gain:
        gains_agree(report.as_dict())


def loaded_again_it_puts_out_and_answers_the_same(work: Observed) -> None:
    predictor = Predictor.load(work.run)
    before = work.trainer.evaluation.outputs(work.splits["test"])[0]
    task = predictor.task
    np.testing.assert_allclose(put_out(work, task, predictor.model, predictor.tokenizer), before, atol=1e-5, rtol=1e-5)
    question = what_is_queried(task)
    answers = predictor.predict(question)
    printed = [answer.to_json() for answer in answers]
    assert len(answers) == len(question) and json.loads(json.dumps(printed)) == printed
    assert predictor.predict(question) == answers, "asked twice, it answers twice the same"


def merged_it_puts_out_the_same(work: Observed) -> None:
    """Where the result is an adapter that can be written into its base's weights."""
    tuning = work.context.tuning
    if not (tuning.saves_adapter and tuning.merges):
        return
    predictor = Predictor.load(work.run)
    task, tokenizer = predictor.task, predictor.tokenizer
    apart = put_out(work, task, predictor.model, tokenizer)
    folder = merge(work.run)
    model, new = load_folder(folder, task.head, task.model_options(), complete=True)
    assert not new
    np.testing.assert_allclose(put_out(work, task, model.eval(), tokenizer), apart, atol=1e-5, rtol=1e-5)
    shutil.rmtree(folder)


def put_out(work: Observed, task: Any, model: Any, tokenizer: Any) -> Any:
    """Return the outputs of a model for the run's test split."""
    split = work.splits["test"]
    task.fit(work.splits["train"].examples)
    task.configure(getattr(model, "get_base_model", lambda: model)())
    encoded = task.encode(tokenizer, split.examples, work.run.spec().data.max_length)
    evaluation = Evaluation(task, model, tokenizer, work.context.spec.data.max_length, work.context.accelerator)
    return evaluation.outputs(replace(split, encoded=encoded))[0]


def resumed_it_ends_with_the_same_weights(work: Observed) -> None:
    run = Run.create(work.run.spec(), work.context.workspace)
    assert TrainingJob(run, StopAfter(run)).execute() == "stopped"
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    weights = "adapter_model.safetensors" if work.context.tuning.saves_adapter else "model.safetensors"
    once, twice = (load_file(each.folder / "model" / weights) for each in (work.run, run))
    assert once.keys() == twice.keys()
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_every_task_brings_rows() -> None:
    assert {path.stem for path in ROWS.glob("*.jsonl")} == set(tasks.names())
