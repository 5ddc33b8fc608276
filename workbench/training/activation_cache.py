"""Whether what frozen layers put out is kept for a run, and where. How it is computed and replayed: ``frozen.py``."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.files import TEMPORARY_PREFIX
from workbench.spec import TrainingSpec
from workbench.training.frozen import ActivationStore, Forward, FrozenPrefix, plain, quiet_frozen_layers
from workbench.training.runner import RunReporter
from workbench.training.splits import EncodedSplit
from workbench.tuning.structure import ModelStructure

Collate = Callable[[EncodedSplit, NDArray[np.int64]], dict[str, torch.Tensor]]


class ActivationCache:
    """What the frozen layers of a run's model put out, where it is kept.

    Args:
        model: on its device.
        structure: its layers, embeddings and head; None where they are not known.
        settings: the spec's training part.
        folder: the run's.
        watch: told of progress.

    Attributes:
        depth: leading layers that are frozen.
        prefix: replays them; None where nothing is kept.
        kept: what ``report.json`` says of it; None where nothing is kept.
        note: a sentence on what was done, or why not.
    """

    def __init__(
        self, model: Any, structure: ModelStructure | None, settings: TrainingSpec, folder: Path, watch: RunReporter
    ) -> None:
        self.model = model
        self.structure = structure
        self.settings = settings
        self.folder = folder
        self.watch = watch
        self.depth = structure.frozen_prefix() if structure else 0
        self.prefix: FrozenPrefix | None = None
        self.kept: dict[str, Any] | None = None
        self.note: str | None = None

    def keep(
        self,
        parts: list[EncodedSplit],
        collate: Collate,
        autocast: Callable[[], AbstractContextManager[Any]],
        forward: Forward = plain,
    ) -> None:
        """Run the frozen layers once over ``parts``, when the result fits into the budget.

        Args:
            parts: those that are met again.
            collate: a batch of a part, on the device.
            autocast: the precision to compute in.
            forward: the model's output for a batch, as the task has it.
        """
        if self.depth == 0 or self.structure is None or not self.settings.cache_activations:
            return
        needed = sum(int(p.encoded.tokens.offsets[-1] + 1) for p in parts) * self.model.config.hidden_size * 4
        on_disk = needed > self.settings.cache_memory_gb * 1e9
        free = shutil.disk_usage(self.folder).free
        if on_disk and needed > min(self.settings.cache_disk_gb * 1e9, free * 0.8):
            self.note = (
                f"The {self.depth} frozen layers ran again in each epoch: what they put out would take "
                f"{needed / 1e9:.1f} GB, above training.cache_memory_gb and training.cache_disk_gb."
            )
            return
        self.watch.phase("running the frozen layers once")
        prefix = FrozenPrefix(self.model, self.structure, self.depth, forward)
        first = parts[0].batches.in_order()[-1]
        constant = prefix.is_constant(collate(parts[0], first))
        if not constant or not self._compute(prefix, parts, collate, autocast, on_disk):
            self.note = f"The {self.depth} frozen layers ran again in each epoch: this architecture cannot replay them."
            return
        self.prefix = prefix
        place = "on disk" if on_disk else "in memory"
        self.kept = {"layers": self.depth, "bytes": needed, "place": place}
        self.note = (
            f"The {self.depth} frozen layers ran once per example; what they put out ({needed / 1e6:.0f} MB {place}) "
            "was used in every epoch."
        )

    def _compute(
        self,
        prefix: FrozenPrefix,
        parts: list[EncodedSplit],
        collate: Collate,
        autocast: Callable[[], AbstractContextManager[Any]],
        on_disk: bool,
    ) -> bool:
        """Fill the parts' features. False, and none filled, when replaying them is not the same as a full pass."""
        first = parts[0].batches.in_order()[-1]
        try:
            for number, part in enumerate(parts):
                file = self.folder / f"{TEMPORARY_PREFIX}features-{number}.bin" if on_disk else None
                with autocast():
                    part.features = self._features(prefix, part, collate, file)
            features = parts[0].features
            texts = parts[0].encoded.texts_of(first)
            if features is not None and prefix.agrees(features, collate(parts[0], first), texts):
                return True
        except (TypeError, ValueError, IndexError, AttributeError, AssertionError) as error:
            self.watch.say(f"Replaying frozen layers failed: {type(error).__name__}: {error}")
        for part in parts:
            part.features = None
        return False

    def _features(
        self, prefix: FrozenPrefix, part: EncodedSplit, collate: Collate, file: Path | None
    ) -> ActivationStore:
        return prefix.compute(
            part.encoded.tokens.offsets,
            part.batches.in_order(),
            lambda indices: collate(part, indices),
            next(self.model.parameters()).device,
            file,
            lambda done, total: self.watch.phase("running the frozen layers once", done, total),
            part.encoded.texts_of,
        )

    def show(self, part: EncodedSplit, indices: NDArray[np.int64], width: int) -> None:
        """Before a pass over a batch of ``part``: what the frozen layers put out for it, where that is kept."""
        if self.prefix is not None and part.features is not None:
            self.prefix.show(part.features.batch(part.encoded.texts_of(indices), width))

    def replaying(self) -> AbstractContextManager[None]:
        """While this lasts, the model skips the layers whose output is kept."""
        return self.prefix.replaying() if self.prefix else contextlib.nullcontext()

    def quiet(self) -> None:
        """Turn dropout off in frozen layers; call after ``model.train()``."""
        if self.structure:
            quiet_frozen_layers(self.structure, self.depth)


def remove_cached_activations(folder: Path) -> None:
    """Remove what was kept on disk in a run's folder."""
    with contextlib.suppress(OSError):  # must not hide what ended the run
        for path in folder.glob(f"{TEMPORARY_PREFIX}features-*"):
            path.unlink(missing_ok=True)
