"""Checkpoints: whole or absent.

    checkpoints/step-00000120/
        weights.safetensors      the trained weights (frozen ones are where they came from)
        optimizer.safetensors    AdamW's moments, by the name of their weight; absent when no step will follow
        state.json               step, epoch, next batch, best evaluation, learning rate
        manifest.json            size and sha256 of each of the files above

A checkpoint is written into a folder of another name, flushed to the disk, and renamed. One whose files do not have the
sizes and hashes of its manifest is not a checkpoint. There is no state of a random generator in it: every random number
is drawn from the seed and the position in the data, so the position is enough.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from workbench.errors import CheckpointError
from workbench.files import TEMPORARY_PREFIX, fsync_file, fsync_folder, read_json, storage_errors, write_json
from workbench.training.state import TrainState

WEIGHTS, OPTIMIZER, STATE = FILES = ("weights.safetensors", "optimizer.safetensors", "state.json")
_FOLDER = re.compile(r"step-(\d{8,})")


def trained_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Every weight that moves, and every buffer that is saved, by name, on the CPU."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    state = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items() if name not in frozen}
    return _without_sharing(state)


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None, scheduler: Any, position: TrainState
) -> Path:
    """Write the checkpoint of ``position`` below ``folder`` and return its path.

    Without an ``optimizer`` its moments, twice as large as the weights, are not written: nothing follows the last step.

    Raises:
        StorageError: the disk is full or broken; no earlier checkpoint is touched, nothing half is left.
    """
    target = folder / f"step-{position.step:08d}"
    if is_whole(target):  # of the same step, from before a resume: same content
        return target
    draft = folder / f"{TEMPORARY_PREFIX}{target.name}-{secrets.token_hex(4)}"
    with storage_errors(target):
        try:
            draft.mkdir(parents=True)
            save_file(trained_state(model), draft / WEIGHTS)
            if optimizer is not None:
                save_file(_optimizer_state(model, optimizer), draft / OPTIMIZER)
            write_json(draft / STATE, {"position": asdict(position), "scheduler": scheduler.state_dict()["last_epoch"]})
            written = [name for name in FILES if (draft / name).exists()]
            for name in written:
                fsync_file(draft / name)
            write_json(draft / "manifest.json", {name: _entry(draft / name) for name in written})
            if target.exists():  # damaged, from before a resume: out of the way
                target.rename(draft.with_name(draft.name + "-old"))
            os.replace(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        fsync_folder(folder)
    return target


def load(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer | None = None, scheduler: Any = None
) -> TrainState:
    """Put the checkpoint at ``path`` into model, optimizer and scheduler, and return its position.

    Raises:
        CheckpointError: its weights are not those that this run trains.
    """
    weights = load_file(path / WEIGHTS)
    expected = trained_state(model)
    if weights.keys() != expected.keys() or any(weights[n].shape != expected[n].shape for n in expected):
        raise CheckpointError(f"{path.name} holds other weights than this run trains.", "Start a new run.")
    model.load_state_dict(weights, strict=False)
    state = read_json(path / STATE) or {}
    if optimizer is not None and (path / OPTIMIZER).exists():
        _load_optimizer_state(model, optimizer, load_file(path / OPTIMIZER))
    if scheduler is not None:
        # Through the schedule's own function, so that the rate is exactly what it would have been.
        scheduler.last_epoch = state["scheduler"]
        rates = [
            base * factor(state["scheduler"])
            for base, factor in zip(scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
        ]
        for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        scheduler._last_lr = rates
    return TrainState(**state["position"])


def is_whole(path: Path) -> bool:
    """Whether every file of the checkpoint has the size and the hash that its manifest gives."""
    manifest = read_json(path / "manifest.json")
    if not isinstance(manifest, dict) or set(manifest) | {OPTIMIZER} != set(FILES):
        return False
    try:
        return all(manifest[name] == _entry(path / name) for name in manifest)
    except OSError:
        return False


def find(folder: Path) -> list[Path]:
    """Checkpoints below ``folder`` by their names, oldest first; they may still prove damaged."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), p) for p in folder.iterdir() if (match := _FOLDER.fullmatch(p.name)) and p.is_dir()]
    return [path for _, path in sorted(found)]


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint below ``folder``; damaged ones are passed over."""
    return next((path for path in reversed(find(folder)) if is_whole(path)), None)


def at_step(folder: Path, step: int) -> Path:
    """The checkpoint of ``step``. Raises CheckpointError when it is missing or damaged."""
    path = folder / f"step-{step:08d}"
    if not is_whole(path):
        raise CheckpointError(f"The checkpoint of step {step} is missing or damaged.", "Start the run again.")
    return path


def prune(folder: Path, keep: set[int]) -> None:
    """Remove every checkpoint but those of the steps ``keep``, and what crashes have left."""
    kept = {f"step-{step:08d}" for step in keep}
    for path in folder.iterdir():
        if path.name.startswith(TEMPORARY_PREFIX):
            shutil.rmtree(path, ignore_errors=True)
        elif _FOLDER.fullmatch(path.name) and path.name not in kept:
            trash = path.with_name(f"{TEMPORARY_PREFIX}old-{path.name}")
            path.rename(trash)  # readers never meet a half-deleted checkpoint
            shutil.rmtree(trash, ignore_errors=True)


# -- parts --------------------------------------------------------------------------------------------------------


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    state = {}
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            state[f"{names[id(parameter)]}|{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    return state


def _load_optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer, state: dict[str, torch.Tensor]) -> None:
    parameters = dict(model.named_parameters())
    on_gpu = {id(p) for group in optimizer.param_groups for p in group["params"] if p.is_cuda}
    for label, value in state.items():
        name, _, key = label.rpartition("|")
        parameter = parameters[name]
        keep_on_cpu = key == "step" and id(parameter) not in on_gpu
        optimizer.state[parameter][key] = value.clone() if keep_on_cpu else value.to(parameter.device, copy=True)


def _without_sharing(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tied weights once each: safetensors stores no tensor twice, and the model ties them again by itself."""
    seen: dict[int, str] = {}
    return {name: t for name, t in state.items() if seen.setdefault(t.data_ptr() or id(t), name) == name}


def _entry(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}
