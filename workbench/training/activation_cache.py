"""Decides whether the activations of a run's frozen layers are cached, and where. See ``frozen.py`` for the replay."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias, TypedDict

from workbench import notes
from workbench.errors import StorageError
from workbench.files import TEMPORARY_PREFIX
from workbench.spec import TrainingSpec
from workbench.training.core.forward import Batch, Forward, default_forward
from workbench.training.frozen import ActivationStore, FrozenPrefix, disable_frozen_dropout
from workbench.training.reporter import RunReporter
from workbench.training.splits import EncodedSplit
from workbench.tuning.structure import ModelStructure
from workbench.types import Ints, Model

Collate: TypeAlias = Callable[[EncodedSplit, Ints], Batch]
Autocast: TypeAlias = "Callable[[], AbstractContextManager[object]]"

PHASE = "running the frozen layers once"


class CacheSummary(TypedDict):
    """What ``report.json`` says about the cache."""

    layers: int
    bytes: int
    place: str  # "in memory" or "on disk"


class ActivationCache:
    """The cached activations of the frozen prefix of a run's model.

    Args:
        model: on its device.
        structure: its layers, embeddings and head; None where they are not known.
        settings: the ``training`` section of the spec.
        folder: the run's folder.
        reporter: receives progress.

    Attributes:
        depth: number of leading frozen layers.
        prefix: replays them; None without a cache.
        summary: for the report; None without a cache.
        note: a sentence about what was cached, or why not; None if there was nothing to decide.
    """

    def __init__(
        self,
        model: Model,
        structure: ModelStructure | None,
        settings: TrainingSpec,
        folder: Path,
        reporter: RunReporter,
    ) -> None:
        self.model = model
        self.structure = structure
        self.settings = settings
        self.folder = folder
        self.reporter = reporter
        self.depth = structure.frozen_prefix() if structure else 0
        self.prefix: FrozenPrefix | None = None
        self.summary: CacheSummary | None = None
        self.note: str | None = None

    def fill(
        self, splits: list[EncodedSplit], collate: Collate, autocast: Autocast, forward: Forward = default_forward
    ) -> None:
        """Run the frozen layers once over some splits, if the activations fit into the spec's limits.

        Args:
            splits: those that the run reads more than once.
            collate: builds a batch of a split, on the device.
            autocast: enters the precision of the run.
            forward: computes the model's output for a batch.
        """
        if self.depth == 0 or self.structure is None or not self.settings.cache_activations:
            return
        needed = sum(int(s.encoded.tokens.offsets[-1] + 1) for s in splits) * self.model.config.hidden_size * 4
        on_disk = needed > self.settings.cache_memory_gb * 1e9
        free = shutil.disk_usage(self.folder).free
        if on_disk and needed > min(self.settings.cache_disk_gb * 1e9, free * 0.8):
            self.note = notes.CACHE_TOO_LARGE.format(layers=self.depth, size=f"{needed / 1e9:.1f}")
            return
        self.reporter.phase(PHASE)
        prefix = FrozenPrefix(self.model, self.structure, self.depth, forward)
        batch = collate(splits[0], splits[0].batches.in_order()[-1])
        if not prefix.is_constant(batch) or not self._compute(prefix, splits, collate, autocast, on_disk):
            self.note = notes.CACHE_IMPOSSIBLE.format(layers=self.depth)
            return
        self.prefix = prefix
        location = "on disk" if on_disk else "in memory"
        self.summary = {"layers": self.depth, "bytes": needed, "place": location}
        template = notes.CACHED_ON_DISK if on_disk else notes.CACHED_IN_MEMORY
        self.note = template.format(layers=self.depth, size=f"{needed / 1e6:.0f}")

    def _compute(
        self,
        prefix: FrozenPrefix,
        splits: list[EncodedSplit],
        collate: Collate,
        autocast: Autocast,
        on_disk: bool,
    ) -> bool:
        """Fill the splits' activations; False, and none filled, if a replay differs from a full pass."""
        last_batch = splits[0].batches.in_order()[-1]
        try:
            for number, split in enumerate(splits):
                file = self.folder / f"{TEMPORARY_PREFIX}activations-{number}.bin" if on_disk else None
                with autocast():
                    split.activations = self._activations(prefix, split, collate, file)
            store = splits[0].activations
            texts = splits[0].encoded.texts_of(last_batch)
            if store is not None and prefix.agrees(store, collate(splits[0], last_batch), texts):
                return True
        except (TypeError, ValueError, IndexError, AttributeError, AssertionError, OSError, StorageError) as error:
            self.reporter.info(f"Replaying frozen layers failed: {type(error).__name__}: {error}")
        for split in splits:
            split.activations = None
        return False

    def _activations(
        self, prefix: FrozenPrefix, split: EncodedSplit, collate: Collate, file: Path | None
    ) -> ActivationStore:
        return prefix.compute(
            split.encoded.tokens.offsets,
            split.batches.in_order(),
            lambda indices: collate(split, indices),
            next(self.model.parameters()).device,
            file,
            lambda done, total: self.reporter.phase(PHASE, done, total),
            split.encoded.texts_of,
        )

    def show(self, split: EncodedSplit, indices: Ints, width: int) -> None:
        """Set the activations that the next forward pass replays, where they are cached.

        Args:
            split: the split of the batch.
            indices: rows of the batch.
            width: tokens of the padded batch.
        """
        if self.prefix is not None and split.activations is not None:
            self.prefix.show(split.activations.batch(split.encoded.texts_of(indices), width))

    def replaying(self) -> AbstractContextManager[None]:
        """Return a context in which the model skips the layers whose activations are cached."""
        return self.prefix.replaying() if self.prefix else contextlib.nullcontext()

    def disable_dropout(self) -> None:
        """Turn dropout off in frozen layers. Call after ``model.train()``."""
        if self.structure:
            disable_frozen_dropout(self.structure, self.depth)


def remove_cached_activations(folder: Path) -> None:
    """Remove the activations on disk.

    Args:
        folder: the run's folder.
    """
    with contextlib.suppress(OSError):  # must not hide the error that ended the run
        for path in folder.glob(f"{TEMPORARY_PREFIX}activations-*"):
            path.unlink(missing_ok=True)
