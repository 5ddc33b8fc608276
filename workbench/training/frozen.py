"""What frozen layers put out is computed once per example and used again in later epochs.

A frozen layer that reads only frozen layers puts out the same for the same text in every epoch, if its dropout is off
(it is: a frozen layer has nothing to be regularised). So the first ``n`` layers run once over all texts, what they put
out is kept, and training runs the rest only. With N parameters in the frozen part this saves 2N operations for each
token and epoch after the first.

It works for any transformers model with a list of layers: while features are replayed, the last frozen layer is
replaced by a module that returns what was kept, and the ones before it by modules that do nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.files import storage_errors
from workbench.tuning.structure import ModelStructure

TOLERANCE = 1e-3  # largest difference between a replayed and a full pass before replaying is given up


Forward = Callable[[Any, dict[str, torch.Tensor]], Any]  # of the model and a batch


def plain(model: Any, batch: dict[str, torch.Tensor]) -> Any:
    """The model's output for a batch that is its keyword arguments."""
    return model(**batch)


class _Captured(Exception):
    """Ends a forward pass as soon as the last frozen layer has spoken."""


class _Skip(nn.Module):
    """Stands in for a frozen layer below the last: passes its input on."""

    def __init__(self, returns_tuple: bool) -> None:
        super().__init__()
        self.returns_tuple = returns_tuple

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> Any:
        return (hidden,) if self.returns_tuple else hidden


class _Replay(_Skip):
    """Stands in for the last frozen layer: puts out what was kept for the current batch."""

    current: torch.Tensor | None = None

    def forward(self, hidden: torch.Tensor, *_: Any, **__: Any) -> Any:
        assert self.current is not None and self.current.shape == hidden.shape, "features of another batch"
        return (self.current,) if self.returns_tuple else self.current


class ActivationStore:
    """Hidden states of many texts, one after another.

    Args:
        offsets: int64 [N + 1], text i has the rows ``offsets[i]:offsets[i + 1]``.
        width: numbers in a hidden state, D.
        file: keep them in this file, mapped into memory, instead of in memory.
        device: where batches are needed.
    """

    def __init__(self, offsets: NDArray[np.int64], width: int, file: Path | None, device: torch.device) -> None:
        rows = int(offsets[-1]) + 1  # one more, of zeros: what padding shows
        if file is None:
            self.values = torch.zeros(rows, width, device=device)
        else:
            _take_room(file, rows * width * 4)
            self.values = torch.from_file(str(file), shared=True, size=rows * width).view(rows, width)
            self.values[-1] = 0
        self.offsets = offsets
        self.device = device

    def rows(self, indices: NDArray[np.int64], width: int) -> torch.Tensor:
        """Which stored row each place of the padded batch shows, int64 [B, T]."""
        starts, lengths = self.offsets[indices], np.diff(self.offsets)[indices]
        places = np.arange(width)[None, :]
        found = np.where(places < lengths[:, None], starts[:, None] + places, self.offsets[-1])
        return torch.from_numpy(found).to(self.values.device)

    def batch(self, indices: NDArray[np.int64], width: int) -> torch.Tensor:
        """The hidden states of a padded batch, [B, T, D]."""
        rows = self.rows(indices, width)
        return self.values.index_select(0, rows.view(-1)).view(*rows.shape, -1).to(self.device)


def _take_room(file: Path, size: int) -> None:
    """Make ``file`` of ``size`` bytes that the disk really has: a full disk is told of here, as a StorageError.

    Without this the file would have holes, and the write into memory that finds no room for one ends the process.
    """
    with storage_errors(file), open(file, "wb") as handle:
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(handle.fileno(), 0, size)


class FrozenPrefix:
    """The first ``depth`` layers of a model, computed once.

    Args:
        model: the model to be trained, in place.
        structure: its layers, embeddings and head.
        depth: how many leading layers are frozen, at least 1.
        forward: the model's output for a batch.
    """

    def __init__(self, model: nn.Module, structure: ModelStructure, depth: int, forward: Forward = plain) -> None:
        self.model = model
        self.forward = forward
        self.layers = structure.layers
        self.depth = depth
        self._originals = list(structure.layers)
        self._returns_tuple = False
        self._replay: _Replay | None = None

    def hidden(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the last frozen layer puts out for a batch, [B, T, D], by a pass that ends there."""
        caught: list[torch.Tensor] = []

        def catch(_: nn.Module, __: Any, output: Any) -> None:
            self._returns_tuple = isinstance(output, tuple)
            caught.append(output[0] if self._returns_tuple else output)
            raise _Captured

        handle = self.layers[self.depth - 1].register_forward_hook(catch)
        try:
            with torch.no_grad(), contextlib.suppress(_Captured):
                self.forward(self.model, batch)
        finally:
            handle.remove()
        return caught[0].float()

    def compute(
        self,
        offsets: NDArray[np.int64],
        batches: list[NDArray[np.int64]],
        collate: Callable[[NDArray[np.int64]], dict[str, torch.Tensor]],
        device: torch.device,
        file: Path | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        texts_of: Callable[[NDArray[np.int64]], NDArray[np.int64]] = lambda indices: indices,
    ) -> ActivationStore:
        """The features of all texts.

        Args:
            offsets: of the texts' tokens, int64 [N + 1].
            batches: every example once.
            collate: a batch on the device, padded on the right.
            device: where the model is.
            file: keep the features here instead of in memory.
            progress: told of texts done and all texts.
            texts_of: the texts of some examples, where an example is several.
        """
        store = ActivationStore(offsets, self.model.config.hidden_size, file, device)  # type: ignore[union-attr,arg-type]
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
        """While this lasts, the model skips its frozen layers; call :meth:`show` before each pass."""
        self._replay = _Replay(self._returns_tuple)
        for place in range(self.depth):
            self.layers[place] = self._replay if place == self.depth - 1 else _Skip(self._returns_tuple)
        try:
            yield
        finally:
            for place, layer in enumerate(self._originals):
                self.layers[place] = layer
            self._replay = None

    def show(self, features: torch.Tensor) -> None:
        """The features that the next pass replays, [B, T, D]."""
        assert self._replay is not None
        self._replay.current = features

    def is_constant(self, batch: dict[str, torch.Tensor]) -> bool:
        """Whether the frozen layers put out the same when every trained weight has moved.

        They do not where a trained part is used inside each layer (relative positions that all layers share, say).
        """
        was_training = self.model.training
        self.model.eval()
        before = self.hidden(batch)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        kept = [p.detach().clone() for p in trained]
        with torch.no_grad():
            for parameter in trained:
                parameter.add_(1.0)
            after = self.hidden(batch)
            for parameter, value in zip(trained, kept, strict=True):
                parameter.copy_(value)
        self.model.train(was_training)
        return torch.equal(before, after)

    def agrees(self, store: ActivationStore, batch: dict[str, torch.Tensor], texts: NDArray[np.int64]) -> bool:
        """Whether a replayed pass gives what a full pass gives, for a batch of ``texts``: that replaying suits the
        model."""
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad():
            full = _numbers(self.forward(self.model, batch), batch)
            with self.replaying():
                self.show(store.batch(texts, batch["input_ids"].shape[-1]))
                replayed = _numbers(self.forward(self.model, batch), batch)
        self.model.train(was_training)
        return bool(full) and all(map(_near, full, replayed))


def _numbers(output: Any, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    """What a model puts out for each row or real token: its logits, or those of both ends of an answer."""
    real = batch["attention_mask"].bool()
    told = [t for t in output.values() if isinstance(t, torch.Tensor) and t.is_floating_point() and t.dim() > 0]
    return [t[real] if t.shape[: real.dim()] == real.shape else t for t in told]


def _near(full: torch.Tensor, replayed: torch.Tensor) -> bool:
    return bool((full - replayed).abs().max() <= TOLERANCE * max(1.0, float(full.abs().max())))


def quiet_frozen_layers(structure: ModelStructure, depth: int) -> None:
    """Turn dropout off in the first ``depth`` layers and in what comes before them; call after ``model.train()``."""
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
