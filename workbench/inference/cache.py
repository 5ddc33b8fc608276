"""Predictors that stay in memory for a while, within a limit on the size of their weights."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import cache

from workbench.inference.predictor import Predictor


def weight_bytes(predictor: Predictor) -> int:
    """Return the size of a predictor's weights and buffers, each counted once.

    Args:
        predictor: with a loaded model.
    """
    model = predictor.model
    tensors = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


class PredictorCache:
    """The predictors that were used last.

    Args:
        most_bytes: limit on the size of all of them. The one that was used last stays, whatever its size.
        most: limit on their number.
        measure: returns the size of a predictor in bytes.
    """

    def __init__(self, most_bytes: int, most: int = 8, measure: Callable[[Predictor], int] = weight_bytes) -> None:
        self.most_bytes = most_bytes
        self.most = most
        self._measure = measure
        self._entries: OrderedDict[tuple[object, ...], tuple[Predictor, int]] = OrderedDict()
        self._lock = threading.Lock()  # one is loaded at a time: two at once could exceed the limit

    def get(self, key: tuple[object, ...], load: Callable[[], Predictor]) -> Predictor:
        """Return the predictor under a key. Those that were not used for the longest time are dropped.

        Args:
            key: identifies the predictor.
            load: loads it if it is not in the cache.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key][0]
            predictor = load()
            self._entries[key] = (predictor, self._measure(predictor))
            while len(self._entries) > 1 and (self.bytes > self.most_bytes or len(self._entries) > self.most):
                self._entries.popitem(last=False)
            return predictor

    @property
    def bytes(self) -> int:
        """Size of all predictors in the cache."""
        return sum(size for _, size in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Drop all predictors."""
        with self._lock:
            self._entries.clear()


@cache
def recent_predictors() -> PredictorCache:
    """Return the predictors that the Python API keeps in memory between two calls of one process."""
    return PredictorCache(most_bytes=2 * 2**30, most=2)
