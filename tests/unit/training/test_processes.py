"""The share of each of several processes: together they compute what one process computes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workbench.errors import RequestError, SpecError
from workbench.system.launcher import launched_processes
from workbench.tasks.base import tasks
from workbench.training.job import _refuse_shared_batches
from workbench.training.loop import TrainingInputs, seed_batch
from workbench.training.processes import Processes, SharedCallback, shared_inputs
from workbench.training.runner import as_workbench_error


class Apart(Processes):
    """Processes that are not connected: each keeps its own loss."""

    def mean(self, value):
        return value


def make_inputs(targets_of_row):
    """Return inputs whose rows are numbers with some targets each; the loss is the mean over the targets."""
    values = torch.arange(1.0, len(targets_of_row) + 1)

    def forward(model, batch):
        weights = torch.tensor([float(targets_of_row[row]) for row in batch["rows"]])
        losses = (model(values[batch["rows"]][:, None])[:, 0] - 2) ** 2
        return SimpleNamespace(loss=(losses * weights).sum() / weights.sum())

    return TrainingInputs(
        plan=None,
        batch=lambda indices: {"rows": torch.from_numpy(indices), "noise": torch.rand(3)},
        loss_weight=lambda indices: int(sum(targets_of_row[i] for i in indices)),
        tokens=len,
        forward=forward,
    )


def gradient(inputs, indices):
    model = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(model.weight, 0.5)
    torch.nn.init.constant_(model.bias, 0.1)
    output = inputs.forward(model, inputs.batch(indices))
    output.loss.backward()
    return torch.cat([model.weight.grad.flatten(), model.bias.grad]), float(output.loss.detach())


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("targets", [[1, 1, 1, 1, 1], [3, 1, 0, 5, 2], [0, 4, 0, 1, 0], [2]])
def test_the_mean_over_the_processes_is_the_gradient_of_the_whole_batch(targets, count):
    inputs, indices = make_inputs(targets), np.arange(len(targets))
    expected, loss = gradient(inputs, indices)
    parts = [gradient(shared_inputs(inputs, Apart(rank, count)), indices) for rank in range(count)]
    assert torch.allclose(torch.stack([part for part, _ in parts]).mean(0), expected, atol=1e-6)
    assert np.mean([part for _, part in parts]) == pytest.approx(loss, abs=1e-6)


def test_one_process_computes_with_its_inputs_unchanged():
    inputs = make_inputs([1, 1])
    assert shared_inputs(inputs, Processes()) is inputs


def test_the_random_numbers_of_the_processes_differ_and_repeat():
    def noise(rank):
        seed_batch(0, 1, 2)
        return shared_inputs(make_inputs([1, 1, 1, 1]), Apart(rank, 2)).batch(np.arange(4))["noise"].tolist()

    assert noise(0) == noise(0) and noise(1) == noise(1) and noise(0) != noise(1)


def test_every_item_is_in_one_share():
    shares = [Processes(rank, 3).share(list(range(8))) for rank in range(3)]
    assert sorted(item for share in shares for item in share) == list(range(8)) and all(shares)


def test_every_process_stops_with_process_0():
    class Stopping(Processes):
        def agree(self, value):
            return 1.0

    callback = SharedCallback(SimpleNamespace(stop_requested=lambda: False), Stopping(1, 2))
    assert callback.stop_requested() is True


def test_a_task_that_compares_the_rows_of_a_batch_is_refused():
    context = SimpleNamespace(processes=Processes(0, 2), task=tasks.get("sentence-similarity")())
    with pytest.raises(SpecError, match="cannot share a batch"):
        _refuse_shared_batches(context)
    _refuse_shared_batches(SimpleNamespace(processes=Processes(), task=context.task))


@pytest.mark.parametrize("engine", ["FSDP", "DEEPSPEED"])
def test_engines_that_divide_the_model_are_refused(monkeypatch, engine):
    monkeypatch.setenv(f"ACCELERATE_USE_{engine}", "true")
    with pytest.raises(RequestError, match=engine):
        Processes.join()


def test_the_end_of_another_process_is_no_bug_of_this_one():
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:33")
    assert "Another process" in as_workbench_error(lost).message
    assert "Another process" not in as_workbench_error(RuntimeError("shape mismatch")).message


def test_processes_are_counted_only_under_a_launcher(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")  # of another program
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert launched_processes() == 1
    for name, value in (("RANK", "0"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    assert launched_processes() == 4
