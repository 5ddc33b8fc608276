"""The training loop equals transformers' Trainer; limits, resumption and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from workbench.errors import NonFiniteLossError
from workbench.spec import TrainingSpec
from workbench.tasks.text_classification import TextClassification
from workbench.training.core import checkpoint
from workbench.training.core.state import TrainState
from workbench.training.core.steps import StepSchedule
from workbench.training.loop import TrainingInputs, train

VOCABULARY, EXAMPLES, BATCH = 50, 64, 4


def make_model(dropout: float = 0.0, seed: int = 0) -> BertForSequenceClassification:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout, num_labels=3,
    )  # fmt: skip
    return BertForSequenceClassification(config)


GENERATOR = torch.Generator().manual_seed(1)
IDS = torch.randint(1, VOCABULARY, (EXAMPLES, 12), generator=GENERATOR)
LABELS = torch.randint(0, 3, (EXAMPLES,), generator=GENERATOR)


class InOrder:
    """Batches in the order of the examples, as with Trainer's sequential sampler."""

    def epoch(self, number: int) -> list[np.ndarray]:
        return [np.arange(i, i + BATCH) for i in range(0, EXAMPLES, BATCH)]

    def count(self, number: int) -> int:
        return len(self.epoch(number))


class Recorder:
    """A callback that records metrics, and requests a stop at a step."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.rows: list[dict] = []
        self.stop_at, self.step = stop_at, 0

    def log(self, row):
        self.rows.append(row)

    def progress(self, state, steps, epoch):
        self.step = state.step

    def save(self, state, save):
        save()

    def stop_requested(self):
        return self.stop_at is not None and self.step >= self.stop_at

    def losses(self):
        return [row["train/loss"] for row in self.rows if "train/loss" in row]


def training_inputs(model, evaluate=None) -> TrainingInputs:
    def batch(indices):
        ids = IDS[indices]
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": LABELS[indices]}

    return TrainingInputs(InOrder(), batch, len, lambda i: 12 * len(i), evaluate, set_training=model.train)


def settings(**changes) -> TrainingSpec:
    return TrainingSpec(
        **{"epochs": 2, "batch_size": BATCH, "log_every": 1, "warmup_ratio": 0.1, "weight_decay": 0.1, **changes}
    )


def run(model, folder, callback=None, resume=False, evaluate=None, **changes):
    callback = callback or Recorder()
    result = train(
        model,
        training_inputs(model, evaluate),
        settings(**changes),
        1e-3,
        Accelerator(cpu=True),
        callback,
        folder,
        resume,
    )
    return callback, result


def trainer_losses(model, tmp_path, **arguments) -> list[float]:
    losses: list[float] = []

    class RecordLosses(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            if "loss" in logs:
                losses.append(logs["loss"])

    class Sequential(Trainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    data = [
        {"input_ids": IDS[i], "attention_mask": torch.ones(12, dtype=torch.long), "labels": LABELS[i]}
        for i in range(EXAMPLES)
    ]
    Sequential(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            num_train_epochs=2,
            weight_decay=0.1,
            warmup_steps=0.1,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            use_cpu=True,
            max_grad_norm=1.0,
            optim="adamw_torch",
            disable_tqdm=True,
            seed=0,
            **arguments,
        ),
        train_dataset=data,
        callbacks=[RecordLosses()],
    ).train()
    return losses


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_losses_equal_those_of_trainer(tmp_path, schedule):
    kind = {"constant": "constant_with_warmup"}.get(schedule, schedule)
    expected = trainer_losses(make_model(), tmp_path / "theirs", lr_scheduler_type=kind)
    recorder, _ = run(make_model(), tmp_path / "ours", lr_schedule=schedule)
    assert len(expected) == len(recorder.losses()) == 32
    np.testing.assert_allclose(recorder.losses()[:20], expected[:20], atol=1e-4)
    assert max(expected) - min(expected) > 0.05  # the losses change: constants would show nothing


def test_accumulated_gradients_equal_those_of_one_large_batch(tmp_path):
    small, large = make_model(), make_model()
    run(small, tmp_path / "a", gradient_accumulation=4, max_steps=3)

    class LargeBatches(InOrder):
        def epoch(self, number):
            return [np.arange(i, i + 4 * BATCH) for i in range(0, EXAMPLES, 4 * BATCH)]

    inputs = training_inputs(large)
    inputs.plan = LargeBatches()
    spec = settings(max_steps=3)
    train(large, inputs, spec, 1e-3, Accelerator(cpu=True), Recorder(), tmp_path / "b")
    # The schedules differ in length only if max_steps did not cut them.
    for (name, a), b in zip(small.named_parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=0, msg=name)


@pytest.mark.parametrize("stop_at", [1, 7, 16, 17, 31])
def test_a_resumed_run_is_bit_identical(tmp_path, stop_at):
    uninterrupted = make_model(dropout=0.2)
    uninterrupted_log, _ = run(uninterrupted, tmp_path / "whole", evaluate=lambda: {"eval/accuracy": 0.5}, log_every=3)
    stopped = make_model(dropout=0.2)
    first, result = run(
        stopped, tmp_path / "half", Recorder(stop_at), evaluate=lambda: {"eval/accuracy": 0.5}, log_every=3
    )
    assert (result.ending, result.state.step) == ("stopped", stop_at)
    resumed = make_model(dropout=0.2, seed=99)  # all weights must come from the checkpoint
    second, result = run(resumed, tmp_path / "half", resume=True, evaluate=lambda: {"eval/accuracy": 0.5}, log_every=3)
    assert result.ending == "finished"
    for (name, a), b in zip(uninterrupted.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert first.losses() + second.losses() == uninterrupted_log.losses()


def test_early_stopping_ends_after_patience_and_stays_ended(tmp_path):
    values = iter([0.5, 0.7, 0.6, 0.65, 0.1, 0.9])
    evaluate = lambda: {"eval/accuracy": next(values)}  # noqa: E731
    _, result = run(make_model(), tmp_path, evaluate=evaluate, eval_every=4, early_stopping_patience=2)
    assert (result.ending, result.state.step, result.state.best_step) == ("early", 16, 8)
    _, result = run(make_model(), tmp_path, evaluate=evaluate, eval_every=4, early_stopping_patience=2, resume=True)
    assert (result.ending, result.state.step) == ("finished", 16) or result.ending == "early"
    assert next(values) == 0.1  # nothing was evaluated again


class Clock:
    """A clock that advances only with batches."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def train_with_clock(model, folder, clock, callback=None, **changes):
    """Train with batches that take 10 seconds each."""
    slow = training_inputs(model, evaluate=lambda: {"eval/accuracy": 0.5})
    make_batch = slow.batch

    def batch(indices):
        clock.now += 10
        return make_batch(indices)

    slow.batch = batch
    callback = callback or Recorder()
    result = train(model, slow, settings(**changes), 1e-3, Accelerator(cpu=True), callback, folder, resume=True)
    return callback, result


def test_training_ends_when_its_minutes_have_passed_over_all_processes(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("workbench.training.core.meter.time", clock)
    log, result = train_with_clock(make_model(), tmp_path / "a", clock, max_minutes=1.0)
    assert (result.ending, result.state.step, result.steps) == ("time", 6, 32)
    assert "step 6 of 32" in result.note and "max_minutes" in result.note
    assert [row["step"] for row in log.rows if "eval/accuracy" in row] == [6]  # this evaluation can be the best
    assert checkpoint.latest(tmp_path / "a").name == "step-00000006"
    _, result = train_with_clock(make_model(), tmp_path / "b", clock, Recorder(stop_at=4), max_minutes=1.0)
    assert result.ending == "stopped"
    clock.now += 10_000  # no training time passes between processes
    resumed, result = train_with_clock(make_model(seed=9), tmp_path / "b", clock, max_minutes=1.0)
    assert (result.ending, result.state.step, len(resumed.losses())) == ("time", 6, 2)
    # As if the process had been killed before it reported the ending.
    reported_again, result = train_with_clock(make_model(), tmp_path / "b", clock, max_minutes=1.0)
    assert (result.ending, result.state.step, reported_again.rows) == ("time", 6, [])


def test_a_run_that_ends_at_its_last_step_is_finished_even_if_time_is_up(tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("workbench.training.core.meter.time", clock)
    _, result = train_with_clock(make_model(), tmp_path, clock, max_minutes=1.0, max_steps=6)
    assert (result.ending, result.note) == ("finished", None)


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, 1), (48, 1), (49, 2), (16 * 48, 16), (16 * 48 + 1, 17), (10**9, 40)],  # 48 tokens a batch, 16 an epoch
)
def test_the_step_that_reaches_the_tokens_is_the_last(tmp_path, most, expected):
    spec = settings(epochs=2.5, max_tokens=most)
    assert StepSchedule.from_spec(InOrder(), spec, lambda batch: 12 * len(batch)).total == expected
    spec = settings(epochs=2.5, max_tokens=most, gradient_accumulation=4)
    fewer = StepSchedule.from_spec(InOrder(), spec, lambda batch: 12 * len(batch)).total
    assert fewer == -(-expected // 4)


def test_tokens_end_the_run_and_determine_the_schedule(tmp_path):
    callback, result = run(make_model(), tmp_path, max_tokens=250, warmup_ratio=0)
    assert (result.ending, result.state.step, result.state.tokens) == ("finished", 6, 288)
    rates = [row["train/learning_rate"] for row in callback.rows]
    np.testing.assert_allclose(rates, [1e-3 * (1 - step / 6) for step in range(6)])


def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(tmp_path):
    model = make_model()
    with torch.no_grad():
        model.classifier.bias[0] = math.nan
    with pytest.raises(NonFiniteLossError, match="nan") as caught:
        run(model, tmp_path)
    assert "learning_rate" in caught.value.hint
    assert checkpoint.find(tmp_path) == []


def test_frozen_weights_do_not_move(tmp_path):
    model = make_model()
    model.bert.embeddings.requires_grad_(False)
    before = {name: p.clone() for name, p in model.named_parameters()}
    run(model, tmp_path, max_steps=3)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and not any(name.startswith("bert.embeddings") for name in moved)


@pytest.mark.parametrize(
    ("min_steps", "expected"),
    [(0, 3 * 16), (48, 3 * 16), (49, 4 * 16), (16 * 20, 20 * 16), (10_000, 20 * 16)],
)
def test_without_epochs_small_data_get_more_of_them(min_steps: int, expected: int) -> None:
    assert StepSchedule.from_spec(InOrder(), TrainingSpec(), min_steps=min_steps).total == expected
    assert StepSchedule.from_spec(InOrder(), TrainingSpec(epochs=1), min_steps=min_steps).total == 16


@pytest.mark.parametrize(("labels", "steps"), [(0, 100), (2, 100), (4, 200), (77, 627), (150, 723)])
def test_many_labels_need_more_steps(labels: int, steps: int) -> None:
    task = TextClassification()
    task.labels = [str(i) for i in range(labels)]
    assert task.min_steps() == steps


@pytest.mark.parametrize(
    ("epochs", "gradient_accumulation", "max_steps", "expected"),
    [(2, 1, None, 32), (2, 3, None, 12), (0.5, 1, None, 8), (1.25, 1, None, 20), (2, 1, 5, 5), (0.001, 1, None, 1)],
)
def test_the_number_of_steps(epochs, gradient_accumulation, max_steps, expected):
    steps = StepSchedule.from_spec(
        InOrder(), TrainingSpec(epochs=epochs, gradient_accumulation=gradient_accumulation, max_steps=max_steps)
    )
    assert steps.total == expected
    optimizer_steps = list(steps.optimizer_steps(TrainState()))
    assert len(optimizer_steps) == expected
    middle = expected // 2
    start = (
        TrainState(step=middle, epoch=optimizer_steps[middle - 1].after[0], batch=optimizer_steps[middle - 1].after[1])
        if middle
        else TrainState()
    )
    rest = [np.concatenate(g.batches).tolist() for g in steps.optimizer_steps(start)]
    assert rest == [np.concatenate(g.batches).tolist() for g in optimizer_steps[middle:]]
