"""Predictors that stay in memory for a while, within a bound on what their weights take together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from workbench.inference.predictor import Predictor


def weight_bytes(predictor: Predictor) -> int:
    """What a predictor's weights and buffers take, each counted once."""
    model = predictor.model
    held = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in held.values())


class PredictorCache:
    """The predictors that were used last.

    Args:
        most_bytes: what all of them may take together. The one that was asked for last stays, whatever it takes.
        most: how many there may be.
        measure: what one takes, in bytes.
    """

    def __init__(self, most_bytes: int, most: int = 8, measure: Callable[[Predictor], int] = weight_bytes) -> None:
        self.most_bytes = most_bytes
        self.most = most
        self._measure = measure
        self._kept: OrderedDict[tuple[object, ...], tuple[Predictor, int]] = OrderedDict()
        self._lock = threading.Lock()  # one is loaded at a time: two at once could take what neither may

    def get(self, key: tuple[object, ...], load: Callable[[], Predictor]) -> Predictor:
        """The predictor under ``key``, loaded now when it is not here; those not used for longest go."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
            made = load()
            self._kept[key] = (made, self._measure(made))
            while len(self._kept) > 1 and (self.bytes > self.most_bytes or len(self._kept) > self.most):
                self._kept.popitem(last=False)
            return made

    @property
    def bytes(self) -> int:
        """What is kept takes so much."""
        return sum(size for _, size in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._kept.clear()
