"""Checkpoints: complete or absent.

    checkpoints/step-00000120/
        weights.safetensors      the trainable weights (frozen weights stay where they came from)
        optimizer.safetensors    AdamW's moments by weight name; absent when no step will follow
        state.json               step, epoch, next batch, best evaluation, learning rate
        manifest.json            size and sha256 of each file above

A checkpoint is written to a temporary folder, flushed to disk, and renamed. A folder whose files do not have the sizes
and hashes of its manifest is not a checkpoint. No random generator state is stored: every random number is drawn from
the seed and the position in the run, so the position is enough.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from workbench.errors import CheckpointError
from workbench.files import TEMPORARY_PREFIX, fsync_file, fsync_folder, read_json, storage_errors, write_json
from workbench.training.core.state import TrainState

WEIGHTS = "weights.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
FILES = (WEIGHTS, OPTIMIZER, STATE)
_FOLDER = re.compile(r"step-(\d{8,})")


class ManifestEntry(TypedDict):
    """Size and hash of a file."""

    bytes: int
    sha256: str


def trainable_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the trainable weights and the saved buffers by name, on the CPU.

    Args:
        model: frozen weights (without ``requires_grad``) are left out.
    """
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items() if name not in frozen}
    return _without_tied(state)


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    scheduler: LambdaLR,
    state: TrainState,
) -> Path:
    """Write a checkpoint.

    Args:
        folder: folder of the run's checkpoints.
        model: its trainable weights are saved.
        optimizer: its moments are saved; they are twice as large as the weights. None after the last step.
        scheduler: scheduler of the learning rate.
        state: how far the run has trained.

    Returns:
        The folder of the checkpoint.

    Raises:
        StorageError: the disk is full or broken. Earlier checkpoints are unchanged, and no partial one is left.
    """
    target = folder / f"step-{state.step:08d}"
    if is_complete(target):  # of the same step, from before a resume: same content
        return target
    draft = folder / f"{TEMPORARY_PREFIX}{target.name}-{secrets.token_hex(4)}"
    with storage_errors(target):
        try:
            draft.mkdir(parents=True)
            save_file(trainable_state(model), draft / WEIGHTS)
            if optimizer is not None:
                save_file(_optimizer_state(model, optimizer), draft / OPTIMIZER)
            write_json(draft / STATE, {"position": asdict(state), "scheduler": scheduler.state_dict()["last_epoch"]})
            written = [name for name in FILES if (draft / name).exists()]
            for name in written:
                fsync_file(draft / name)
            write_json(draft / "manifest.json", {name: _manifest_entry(draft / name) for name in written})
            if target.exists():  # damaged, from before a resume: move it out of the way
                target.rename(draft.with_name(draft.name + "-old"))
            os.replace(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        fsync_folder(folder)
    return target


def load(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    scheduler: LambdaLR | None = None,
) -> TrainState:
    """Load a checkpoint.

    Args:
        path: folder of the checkpoint.
        model: receives the weights.
        optimizer: receives the moments, if given.
        scheduler: receives the position in the schedule, if given.

    Returns:
        How far the run had trained.

    Raises:
        CheckpointError: the weights in the checkpoint are not those that the run trains.
    """
    weights = load_file(path / WEIGHTS)
    expected = trainable_state(model)
    if weights.keys() != expected.keys() or any(weights[n].shape != expected[n].shape for n in expected):
        raise CheckpointError(
            f"{path.name} contains different weights from those that this run trains.", "Start a new run."
        )
    model.load_state_dict(weights, strict=False)
    state = read_json(path / STATE) or {}
    if optimizer is not None and (path / OPTIMIZER).exists():
        _load_optimizer_state(model, optimizer, load_file(path / OPTIMIZER))
    if scheduler is not None:
        _load_schedule(scheduler, state["scheduler"])
    return TrainState.from_document(state["position"])


def is_complete(path: Path) -> bool:
    """Return whether every file of a checkpoint has the size and the hash in its manifest.

    Args:
        path: folder of the checkpoint.
    """
    manifest = read_json(path / "manifest.json")
    if not isinstance(manifest, dict) or set(manifest) | {OPTIMIZER} != set(FILES):
        return False
    try:
        return all(manifest[name] == _manifest_entry(path / name) for name in manifest)
    except OSError:
        return False


def find(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder by name, oldest first. Some may be damaged.

    Args:
        folder: folder of the run's checkpoints.
    """
    if not folder.is_dir():
        return []
    paths = [(int(match[1]), p) for p in folder.iterdir() if (match := _FOLDER.fullmatch(p.name)) and p.is_dir()]
    return [path for _, path in sorted(paths)]


def latest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint; None if there is none.

    Args:
        folder: folder of the run's checkpoints.
    """
    return next((path for path in reversed(find(folder)) if is_complete(path)), None)


def step_of(path: Path) -> int:
    """Return the step of a checkpoint.

    Args:
        path: folder of the checkpoint.
    """
    return int(path.name.removeprefix("step-"))


def at_step(folder: Path, step: int) -> Path:
    """Return the checkpoint of a step.

    Args:
        folder: folder of the run's checkpoints.
        step: the step.

    Raises:
        CheckpointError: the checkpoint is missing or damaged.
    """
    path = folder / f"step-{step:08d}"
    if not is_complete(path):
        raise CheckpointError(f"The checkpoint of step {step} is missing or damaged.", "Start the run again.")
    return path


def stored_state(path: Path) -> TrainState | None:
    """Return the state that a checkpoint stores, without loading weights; None if it cannot be read.

    Args:
        path: folder of the checkpoint.
    """
    document = read_json(path / STATE)
    return TrainState.from_document(document["position"]) if isinstance(document, dict) else None


def prune(folder: Path, keep: set[int]) -> None:
    """Remove all checkpoints except some, and what crashes have left.

    Args:
        folder: folder of the run's checkpoints.
        keep: the steps whose checkpoints stay.
    """
    names = {f"step-{step:08d}" for step in keep}
    for path in folder.iterdir():
        if path.name.startswith(TEMPORARY_PREFIX):
            shutil.rmtree(path, ignore_errors=True)
        elif _FOLDER.fullmatch(path.name) and path.name not in names:
            trash = path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")
            path.rename(trash)  # readers never see a half-deleted checkpoint
            shutil.rmtree(trash, ignore_errors=True)


def _load_schedule(scheduler: LambdaLR, epoch: int) -> None:
    """Move a scheduler to a position, through its own function: the rates are exactly those of the first run."""
    scheduler.last_epoch = epoch
    rates = [base * factor(epoch) for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)]
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    scheduler._last_lr = rates  # what get_last_lr() returns


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return the moments under ``WEIGHT|KEY``, on the CPU."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    state = {}
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            state[f"{names[id(parameter)]}|{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    return state


def _load_optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor]) -> None:
    """Put moments back, each on the device of its weight."""
    parameters = dict(model.named_parameters())
    on_gpu = {id(p) for group in optimizer.param_groups for p in group["params"] if p.is_cuda}
    for label, value in state.items():
        name, _, key = label.rpartition("|")
        parameter = parameters[name]
        keep_on_cpu = key == "step" and id(parameter) not in on_gpu
        optimizer.state[parameter][key] = value.clone() if keep_on_cpu else value.to(parameter.device, copy=True)


def _without_tied(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Keep tied weights once: safetensors stores no tensor twice, and the model ties them again when it loads."""
    first: dict[int, str] = {}
    return {name: t for name, t in state.items() if first.setdefault(t.data_ptr() or id(t), name) == name}


def _manifest_entry(path: Path) -> ManifestEntry:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}
