"""Frozen layers are computed once per example, and their activations are replayed in later epochs.

A frozen layer whose inputs come only from frozen layers has the same output for the same text in every epoch, as long
as its dropout is off (it is: a frozen layer needs no regularization). So the first ``n`` layers run once over all
texts, their activations are stored, and training runs only the remaining layers. With N parameters in the frozen prefix
this saves 2N operations per token in every epoch after the first.

This works for any transformers model with a list of layers. During replay, the last frozen layer is replaced by a
module that returns the stored activations, and the layers before it by modules that pass their input on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import nn

from workbench.files import storage_errors
from workbench.training.core.forward import Batch, Forward, ModelOutput, default_forward
from workbench.tuning.structure import ModelStructure
from workbench.types import Ints

TOLERANCE = 1e-3  # largest difference between a replayed and a full pass, relative to the largest output

LayerOutput: TypeAlias = torch.Tensor | tuple[torch.Tensor, ...]


class _Captured(Exception):
    """Ends a forward pass after the last frozen layer."""


class _Skip(nn.Module):
    """Replaces a frozen layer below the last one: returns its input."""

    def __init__(self, returns_tuple: bool) -> None:
        super().__init__()
        self.returns_tuple = returns_tuple

    def forward(self, hidden: torch.Tensor, *_: object, **__: object) -> LayerOutput:
        return (hidden,) if self.returns_tuple else hidden


class _Replay(_Skip):
    """Replaces the last frozen layer: returns the stored activations of the current batch."""

    current: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor, *_: object, **__: object) -> LayerOutput:
        assert self.current is not None and self.current.shape == hidden.shape, "activations of another batch"
        return (self.current,) if self.returns_tuple else self.current


class ActivationStore:
    """Activations (hidden states) of many texts, one after another.

    Args:
        offsets: int64 [N + 1]; text i has the rows ``offsets[i]:offsets[i + 1]``.
        width: size D of a hidden state.
        file: store in this memory-mapped file; None to store in memory.
        device: device of the batches.
    """

    def __init__(self, offsets: Ints, width: int, file: Path | None, device: torch.device) -> None:
        rows = int(offsets[-1]) + 1  # the last row holds zeros, for padding
        if file is None:
            self.values = torch.zeros(rows, width, device=device)
        else:
            _allocate(file, rows * width * 4)
            self.values = torch.from_file(str(file), shared=True, size=rows * width).view(rows, width)
            self.values[-1] = 0
        self.offsets = offsets
        self.device = device

    def rows(self, texts: Ints, width: int) -> torch.Tensor:
        """Return the stored row of each position of a padded batch, int64 [B, T].

        Args:
            texts: indices of the texts, int64 [B].
            width: tokens T of the padded batch.
        """
        starts, lengths = self.offsets[texts], np.diff(self.offsets)[texts]
        positions = np.arange(width)[None, :]
        rows = np.where(positions < lengths[:, None], starts[:, None] + positions, self.offsets[-1])
        return torch.from_numpy(rows).to(self.values.device)

    def batch(self, texts: Ints, width: int) -> torch.Tensor:
        """Return the hidden states of a padded batch, [B, T, D].

        Args:
            texts: indices of the texts, int64 [B].
            width: tokens T of the padded batch.
        """
        rows = self.rows(texts, width)
        return self.values.index_select(0, rows.view(-1)).view(*rows.shape, -1).to(self.device)


def _allocate(file: Path, size: int) -> None:
    """Create a file whose bytes are allocated on disk, so that a full disk is a StorageError here.

    Otherwise the file would be sparse, and writing to the mapped memory on a full disk would kill the process.
    """
    with storage_errors(file), open(file, "wb") as handle:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(handle.fileno(), 0, size)


class FrozenPrefix:
    """The leading frozen layers of a model.

    Args:
        model: the model to train; layers are replaced in place during replay.
        structure: its layers, embeddings and head.
        depth: number of leading frozen layers, at least 1.
        forward: computes the model's output for a batch.
    """

    def __init__(
        self, model: nn.Module, structure: ModelStructure, depth: int, forward: Forward = default_forward
    ) -> None:
        self.model = model
        self.forward = forward
        self.layers = structure.layers
        self.depth = depth
        self._originals = list(structure.layers)
        self._returns_tuple = False
        self._replay: _Replay | None = None

    def hidden(self, batch: Batch) -> torch.Tensor:
        """Return the output of the last frozen layer, [B, T, D], by a forward pass that ends there.

        Args:
            batch: on the device.
        """
        captured: list[torch.Tensor] = []

        def capture(_: nn.Module, __: object, output: LayerOutput) -> None:
            self._returns_tuple = isinstance(output, tuple)
            captured.append(output[0] if isinstance(output, tuple) else output)
            raise _Captured

        handle = self.layers[self.depth - 1].register_forward_hook(capture)
        try:
            with torch.no_grad(), contextlib.suppress(_Captured):
                self.forward(self.model, batch)
        finally:
            handle.remove()
        return captured[0].float()

    def compute(
        self,
        offsets: Ints,
        batches: list[Ints],
        collate: Callable[[Ints], Batch],
        device: torch.device,
        file: Path | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        texts_of: Callable[[Ints], Ints] = lambda indices: indices,
    ) -> ActivationStore:
        """Compute the activations of all texts.

        Args:
            offsets: token offsets of the texts, int64 [N + 1].
            batches: indices of examples; every example once.
            collate: builds a batch on the device, padded on the right.
            device: device of the model.
            file: store in this file; None to store in memory.
            progress: called with the number of texts done and of all texts.
            texts_of: returns the texts of some examples, where an example has several.
        """
        width: int = self.model.config.hidden_size  # type: ignore[union-attr,assignment]
        store = ActivationStore(offsets, width, file, device)
        was_training = self.model.training
        self.model.eval()
        done = 0
        for indices in batches:
            hidden = self.hidden(collate(indices))
            texts = texts_of(indices)
            rows = store.rows(texts, hidden.shape[1])
            real = rows != int(offsets[-1])
            store.values[rows[real]] = hidden[real].to(store.values.device)
            done += len(texts)
            progress(done, len(offsets) - 1)
        self.model.train(was_training)
        return store

    @contextlib.contextmanager
    def replaying(self) -> Iterator[None]:
        """Make the model skip its frozen layers inside the block. Call :meth:`show` before each forward pass."""
        self._replay = _Replay(self._returns_tuple)
        for index in range(self.depth):
            self.layers[index] = self._replay if index == self.depth - 1 else _Skip(self._returns_tuple)
        try:
            yield
        finally:
            for index, layer in enumerate(self._originals):
                self.layers[index] = layer
            self._replay = None

    def show(self, activations: torch.Tensor) -> None:
        """Set the activations that the next forward pass replays.

        Args:
            activations: activations of the batch, [B, T, D].
        """
        assert self._replay is not None
        self._replay.current = activations

    def is_constant(self, batch: Batch) -> bool:
        """Return whether the output of the frozen layers is independent of the trainable weights.

        It is not if a trainable module is used inside each layer, for example relative positions that all layers
        share.

        Args:
            batch: on the device.
        """
        was_training = self.model.training
        self.model.eval()
        before = self.hidden(batch)
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        saved = [p.detach().clone() for p in trainable]
        with torch.no_grad():
            for parameter in trainable:
                parameter.add_(1.0)
            after = self.hidden(batch)
            for parameter, value in zip(trainable, saved, strict=True):
                parameter.copy_(value)
        self.model.train(was_training)
        return torch.equal(before, after)

    def agrees(self, store: ActivationStore, batch: Batch, texts: Ints) -> bool:
        """Return whether a replayed pass has the same result as a full pass.

        Args:
            store: the activations of all texts.
            batch: on the device.
            texts: indices of the batch's texts.
        """
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            full = _float_outputs(self.forward(self.model, batch), batch)
            with self.replaying():
                self.show(store.batch(texts, batch["input_ids"].shape[-1]))
                replayed = _float_outputs(self.forward(self.model, batch), batch)
        self.model.train(was_training)
        return bool(full) and all(map(_is_close, full, replayed))


def _float_outputs(output: ModelOutput, batch: Batch) -> list[torch.Tensor]:
    """Return the model's floating-point outputs (its logits, for example) without those at padding."""
    real = batch["attention_mask"].bool()
    tensors = [t for t in output.values() if isinstance(t, torch.Tensor) and t.is_floating_point() and t.dim() > 0]
    return [t[real] if t.shape[: real.dim()] == real.shape else t for t in tensors]


def _is_close(full: torch.Tensor, replayed: torch.Tensor) -> bool:
    return bool((full - replayed).abs().max() <= TOLERANCE * max(1.0, float(full.abs().max())))


def disable_frozen_dropout(structure: ModelStructure, depth: int) -> None:
    """Turn dropout off in the frozen prefix. Call after ``model.train()``.

    Args:
        structure: structure of the model.
        depth: number of leading frozen layers; the modules before them are included.
    """
    if depth == 0:
        return
    inside = {id(m) for layer in structure.layers for m in layer.modules()}
    for module in structure.model.base_model.modules():
        if module is structure.layers:
            break
        if id(module) not in inside and not any(m is structure.layers for m in module.modules()):
            module.eval()
    for layer in list(structure.layers)[:depth]:
        layer.eval()
