"""The contract of every task with every fine-tuning method: it learns, saves, loads, predicts the same, and resumes.

Each task has rows as a user would write them, ``tests/rows/TASK.jsonl``. The model is one of our Transformers with a
few thousand weights and the task's head, and MiniLM if it supports that head. ``check`` refuses a pair that cannot
work, with the reason.
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
from tests.tiny import assert_gains_agree
from tests.tiny_e5 import make_e5
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
from workbench.training.reporter import RunReporter, StopRequested
from workbench.tuning.base import tunings
from workbench.workspace import Workspace

ROWS = Path(__file__).parents[1] / "rows"
STEPS = 20
LENGTH = 48  # tokens

# The models have two layers of width 32, so options that are small for a real model must be smaller here.
TUNINGS: dict[str, dict[str, Any]] = {
    "freeze": {"tuning.layers": 1},
    "adapter": {"tuning.width": 8},
    "adalora": {"tuning.rank": 2, "tuning.initial_rank": 3},
    "prompt": {"tuning.tokens": 4},
    "p-tuning": {"tuning.tokens": 8, "training.learning_rate": 1e-3},
    "prefix": {"tuning.tokens": 4},
}

# Pairs that check must refuse: regular expressions of the task and the tuning, and words of the message.
REFUSED = [
    ("sentence-similarity", "head", "without a head"),
    ("translation|summarization|seq2seq-denoising", "head", "the head of an encoder-decoder shares the embeddings"),
    ("translation|summarization|seq2seq-denoising", "prefix", "an encoder or a decoder"),
]

# make test trains every task once; make test-slow trains it with every tuning.
QUICK = ("full",)
RESUMED_WITH_MINILM = "text-classification"
PAIRS = [
    pytest.param(task, tuning, marks=() if tuning in QUICK else pytest.mark.slow, id=f"{task}-{tuning}")
    for task in tasks.names()
    for tuning in tunings.names()
]


# Rows in Chinese and German, for the multilingual model: the task's name, or a use of it with options.
MULTILINGUAL: dict[str, dict[str, Any]] = {
    "text-classification": {"name": "text-classification"},
    "pairs": {"name": "text-classification", "pairs": True},
    "token-classification": {"name": "token-classification"},
    "relation-extraction": {"name": "relation-extraction"},
    "question-answering": {"name": "question-answering"},
    "sentence-similarity": {"name": "sentence-similarity"},
}


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
    assert path.exists(), f"the task {task} has no rows: write about 36 to {path}"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def example_inputs(task: Any, name: str | None = None) -> list[dict[str, Any]]:
    """Return a few inputs: ``tests/rows/NAME.asked.json`` if users write them in another form than the rows."""
    name = name or task.name
    path = ROWS / f"{name}.asked.json"
    if path.exists():
        results: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return results
    roles = [column.role for column in task.inputs() if column.required]
    return [{role: row[role] for role in roles} for row in rows(name)[:3]]


def texts(value: Any) -> Iterator[str]:
    """Yield every text in a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)


def make_base(task: str, folder: Path) -> None:
    """Save one of our Transformers with large weights for the task's head, and a tokenizer trained on the rows."""
    import transformers

    from workbench.data.text.tokenizers import TokenizerSpec, save_tokenizer, train_tokenizer
    from workbench.models.networks import heads, transformer

    assert heads  # importing it registers our models with the Auto classes
    tokenizer = train_tokenizer(texts(rows(task)), TokenizerSpec(train="wordpiece", vocab_size=600, min_frequency=1))
    head = tasks.get(task).head if isinstance(tasks.get(task).head, str) else tasks.get(task)().head
    configs: dict[str, Any] = {
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
    config = configs.get(head, transformer.EncoderConfig)(**shape, **special, **indices)
    torch.manual_seed(0)
    own_head = head in VOCABULARY_HEADS
    getattr(transformers, head if own_head else "AutoModel").from_config(config).save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def spec_of(task: str, tuning: str, workspace: Workspace) -> RunSpec:
    """Return the spec of a short run of the task with the tuning, on its rows."""
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
    """Return the spec with MiniLM and the tuning's default options and rate, which suit a model of its size."""
    plain = spec.model_dump(mode="json")
    plain["model"], plain["tuning"] = "minilm", tuning
    del plain["training"]["learning_rate"], plain["training"]["checkpoint_every"]  # a checkpoint is 400 MB
    plain["data"]["max_length"] = 2 * LENGTH  # its tokenizer was not trained on these rows and needs more subwords
    if tuning == "p-tuning":  # its virtual tokens come from a new network, which must learn a lot in 20 steps
        plain["training"]["learning_rate"] = 5e-3
    return RunSpec.parse(plain)


def expected_refusal(task: str, tuning: str) -> str | None:
    return next((reason for t, m, reason in REFUSED if re.fullmatch(t, task) and re.fullmatch(m, tuning)), None)


def expected_refusal_of_minilm(task: str, tuning: str) -> str | None:
    if tasks.get(task)().head in VOCABULARY_HEADS and tunings.get(tuning).saves_adapter:
        return "an adapter cannot hold a new one"  # MiniLM has no language modeling head
    return expected_refusal(task, tuning)


def pairs_with_minilm() -> list[tuple[str, str]]:
    """Return all pairs that are refused, and every fourth of the others; of one task, all.

    Every task and every tuning is among them. The small models are trained with all pairs.
    """
    with_head = [name for name in tasks.names() if tasks.get(name)().head in (models.get("minilm").heads or ())]
    return [
        (task, tuning)
        for i, task in enumerate(with_head)
        for j, tuning in enumerate(tunings.names())
        if task == RESUMED_WITH_MINILM or expected_refusal_of_minilm(task, tuning) or (i + j) % 4 == 0
    ]


@pytest.fixture(scope="module")
def workspaces() -> dict[str, Workspace]:
    """A workspace for each task, so that its base model is created once."""
    return {}


@pytest.mark.parametrize(("task", "tuning"), PAIRS)
def test_a_task_with_a_tuning(
    task: str, tuning: str, workspaces: dict[str, Workspace], tmp_path_factory: pytest.TempPathFactory
) -> None:
    if task not in workspaces:
        workspaces[task] = Workspace(tmp_path_factory.mktemp(task)).create()
    workspace = workspaces[task]
    spec, reason = spec_of(task, tuning, workspace), expected_refusal(task, tuning)
    errors = [problem for problem in check(spec, workspace) if problem.severity == "error"]
    if reason:
        assert errors and re.search(reason, " ".join(error.message for error in errors))
        return
    assert not errors, errors
    observed = create_and_train(spec, workspace)
    assert_learned_and_reported(observed)
    assert_same_outputs_after_loading(observed)
    assert_same_outputs_after_merging(observed)
    assert_same_weights_after_resuming(observed)


@pytest.mark.slow
@pytest.mark.parametrize(("task", "tuning"), pairs_with_minilm())
def test_minilm_with_a_task_and_a_tuning(
    task: str,
    tuning: str,
    workspaces: dict[str, Workspace],
    tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
) -> None:
    """The small models test resuming with all tasks; here one task does."""
    if task not in workspaces:
        workspaces[task] = Workspace(tmp_path_factory.mktemp(task)).create()
    workspace = workspaces[task]
    spec, reason = with_minilm(spec_of(task, tuning, workspace), tuning), expected_refusal_of_minilm(task, tuning)
    errors = [problem for problem in check(spec, workspace) if problem.severity == "error"]
    if reason:
        assert errors and re.search(reason, " ".join(error.message for error in errors))
        return
    assert not errors, errors
    observed = create_and_train(spec, workspace)
    try:
        assert_learned_and_reported(observed)
        assert_same_outputs_after_loading(observed)
        assert_same_outputs_after_merging(observed)
        if task == RESUMED_WITH_MINILM:
            assert_same_weights_after_resuming(observed)
    finally:
        shutil.rmtree(observed.run.folder)  # 130 MB each


# Every task with three methods in both languages; every method with two tasks in Chinese and German.
MULTILINGUAL_TUNINGS = [
    (use, tuning, language)
    for use in MULTILINGUAL
    for tuning in tunings.names()
    for language in ("en", "zh and de")
    if tuning in ("lora", "full", "head")
    or (use in ("text-classification", "token-classification") and language == "zh and de")
    # The first has no head, and a frozen random body does not compare the texts of a pair.
    if (use, tuning) not in (("sentence-similarity", "head"), ("pairs", "head"))
]


@pytest.mark.parametrize(
    ("use", "tuning", "language"),
    [pytest.param(*each, marks=() if each[1] == "lora" else pytest.mark.slow) for each in MULTILINGUAL_TUNINGS],
)
def test_a_tiny_model_of_the_multilingual_kind(
    use: str, tuning: str, language: str, workspace: Workspace, tmp_path: Path
) -> None:
    """BERT's layers with a SentencePiece vocabulary, converted from a file like that of multilingual-e5-small."""
    file = ROWS / (f"{use}.jsonl" if language == "en" and use != "pairs" else f"multilingual/{use}.jsonl")
    content = file.read_text(encoding="utf-8")
    data = workspace.create().uploads / "rows.jsonl"
    data.write_text(content, encoding="utf-8")
    steps = 5 * STEPS if use == "pairs" else STEPS  # to compare two texts is harder
    training = {"max_steps": steps, "epochs": 100, "batch_size": 8, "eval_every": steps, "load_best": False}
    training |= {"learning_rate": 5e-3, "warmup_ratio": 0, "checkpoint_every": 5}
    spec = RunSpec.parse(
        {
            "task": MULTILINGUAL[use],
            "data": {"train": str(data), "max_length": 2 * LENGTH},
            "model": f"path:{make_e5(tmp_path / 'e5', texts([json.loads(row) for row in content.splitlines()]))}",
            "tuning": tuning,
            "training": {**training, "device": "cpu", "precision": "fp32"},
        }
    ).changed(TUNINGS.get(tuning, {}))
    observed = create_and_train(spec, workspace)
    assert_learned_and_reported(observed)
    assert_same_outputs_after_loading(observed, f"multilingual/{use}" if "multilingual" in str(file) else None)
    assert_same_outputs_after_merging(observed)
    assert_same_weights_after_resuming(observed)


@pytest.mark.slow
@pytest.mark.mirror
@pytest.mark.parametrize(("use", "tuning"), [("text-classification", "full"), *((use, "lora") for use in MULTILINGUAL)])
def test_the_multilingual_model_with_chinese_and_german_rows(
    use: str, tuning: str, workspace: Workspace, shared_cache: Path
) -> None:
    """Its tokenizer adds a space before every text and has no token types; its words are not split by BERT's rules."""
    data = workspace.create().uploads / "rows.jsonl"
    data.write_text((ROWS / "multilingual" / f"{use}.jsonl").read_text(encoding="utf-8"), encoding="utf-8")
    training = {"max_steps": STEPS, "epochs": 100, "batch_size": 8, "eval_every": STEPS, "load_best": False}
    spec = RunSpec.parse(
        {
            "task": MULTILINGUAL[use],
            "data": {"train": str(data), "max_length": 2 * LENGTH},
            "model": "auto",
            "tuning": tuning,
            "training": {**training, "device": "cpu", "precision": "fp32"},
        }
    )
    observed = create_and_train(spec, workspace)
    try:
        assert observed.context.spec.model.source == "multilingual-e5-small"
        assert_learned_and_reported(observed)
        assert_same_outputs_after_loading(observed, f"multilingual/{use}")
        assert_same_outputs_after_merging(observed)
    finally:
        shutil.rmtree(observed.run.folder)  # 480 MB each


def create_and_train(spec: RunSpec, workspace: Workspace) -> Observed:
    run = Run.create(resolve(spec, workspace).spec, workspace)
    return Observed(run)


def assert_learned_and_reported(observed: Observed) -> None:
    assert observed.loss_after < observed.loss_before
    report = observed.run.report()
    primary = report.primary_metric
    assert report.metrics[primary].as_dict().keys() >= {"value", "low", "high"}
    assert primary in report.baseline and report.baseline_name
    if report.gain:
        assert_gains_agree(report.as_dict())


def assert_same_outputs_after_loading(observed: Observed, name: str | None = None) -> None:
    predictor = Predictor.load(observed.run)
    before = observed.trainer.evaluation.outputs(observed.splits["test"])[0]
    task = predictor.task
    np.testing.assert_allclose(
        outputs_on_test_split(observed, task, predictor.model, predictor.tokenizer), before, atol=1e-5, rtol=1e-5
    )
    inputs = example_inputs(task, name)
    answers = predictor.predict(inputs)
    printed = [answer.to_json() for answer in answers]
    assert len(answers) == len(inputs) and json.loads(json.dumps(printed)) == printed
    assert predictor.predict(inputs) == answers, "the same inputs have different predictions"


def assert_same_outputs_after_merging(observed: Observed) -> None:
    """Only if the result is an adapter that can be merged into the weights of its base."""
    tuning = observed.context.tuning
    if not (tuning.saves_adapter and tuning.merges):
        return
    predictor = Predictor.load(observed.run)
    task, tokenizer = predictor.task, predictor.tokenizer
    unmerged = outputs_on_test_split(observed, task, predictor.model, tokenizer)
    folder = merge(observed.run)
    model, new = load_folder(folder, task.head, task.model_options(), complete=True)
    assert not new
    np.testing.assert_allclose(
        outputs_on_test_split(observed, task, model.eval(), tokenizer), unmerged, atol=1e-5, rtol=1e-5
    )
    shutil.rmtree(folder)


def outputs_on_test_split(observed: Observed, task: Any, model: Any, tokenizer: Any) -> Any:
    """Return the outputs of a model for the run's test split."""
    split = observed.splits["test"]
    task.fit(observed.splits["train"].examples)
    task.configure(getattr(model, "get_base_model", lambda: model)())
    encoded = task.encode(tokenizer, split.examples, observed.run.spec().data.max_length)
    evaluation = Evaluation(task, model, tokenizer, observed.context.spec.data.max_length, observed.context.accelerator)
    return evaluation.outputs(replace(split, encoded=encoded))[0]


def assert_same_weights_after_resuming(observed: Observed) -> None:
    run = Run.create(observed.run.spec(), observed.context.workspace)
    reporter = StopAfter(run)
    reporter.at = min(reporter.at, observed.run.report().steps - 2)
    try:
        ending = TrainingJob(run, reporter).execute()
    except StopRequested:  # between two solutions of a head
        ending = "stopped"
    assert ending == "stopped"
    assert TrainingJob(run, RunReporter(run)).execute() == "succeeded"
    weights = "adapter_model.safetensors" if observed.context.tuning.saves_adapter else "model.safetensors"
    once, twice = (load_file(each.folder / "model" / weights) for each in (observed.run, run))
    assert once.keys() == twice.keys()
    assert all(np.array_equal(once[name], twice[name]) for name in once)


def test_every_task_brings_rows() -> None:
    assert {path.stem for path in ROWS.glob("*.jsonl")} == set(tasks.names())
