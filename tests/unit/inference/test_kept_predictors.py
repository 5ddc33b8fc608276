"""Predictors in memory: within the bound, the last used stay, and shared weights count once."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from workbench.inference.cache import PredictorCache, weight_bytes
from workbench.inference.predictor import Predictor


def made(size: int) -> Predictor:
    return cast(Predictor, SimpleNamespace(size=size))


def kept(most_bytes: int, **more: Any) -> PredictorCache:
    return PredictorCache(most_bytes, measure=lambda predictor: cast(Any, predictor).size, **more)


def test_what_was_not_used_for_longest_goes_first() -> None:
    store = kept(100)
    first = store.get(("a",), lambda: made(40))
    store.get(("b",), lambda: made(40))
    assert store.get(("a",), lambda: made(999)) is first
    store.get(("c",), lambda: made(40))
    assert store.bytes == 80 and store.get(("a",), lambda: made(999)) is first
    again = made(40)
    assert store.get(("b",), lambda: again) is again  # b had to go, and pushes c out
    assert len(store) == 2


def test_one_that_is_too_large_alone_is_kept_alone() -> None:
    store = kept(100)
    store.get(("a",), lambda: made(60))
    store.get(("big",), lambda: made(500))
    assert len(store) == 1 and store.bytes == 500


def test_the_number_is_bounded_too() -> None:
    store = kept(10**9, most=3)
    for number in range(10):
        store.get((number,), lambda: made(1))
    assert len(store) == 3


def test_a_load_that_fails_leaves_the_rest() -> None:
    store = kept(100)
    store.get(("a",), lambda: made(1))
    with pytest.raises(ZeroDivisionError):
        store.get(("b",), lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    assert len(store) == 1 and store.get(("b",), lambda: made(2)).size == 2  # type: ignore[attr-defined]


def test_two_who_ask_at_once_load_once() -> None:
    store, loads, gate = kept(100), [], threading.Barrier(4)

    def ask() -> None:
        gate.wait()
        store.get(("a",), lambda: (loads.append(1), made(1))[1])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


def test_tied_weights_count_once() -> None:
    one, two = torch.nn.Linear(4, 4, bias=False), torch.nn.Linear(4, 4, bias=False)
    two.weight = one.weight
    net = torch.nn.Sequential(one, two, torch.nn.BatchNorm1d(4, affine=False))
    held = 16 * 4 + (4 + 4) * 4 + 8  # the shared matrix, mean and variance, and a counter in int64
    assert weight_bytes(cast(Predictor, SimpleNamespace(model=net))) == held
